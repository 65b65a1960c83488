"""Bodies that are nearly what a form says: seeded damage to JSON as values and as bytes."""

import json
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

_STRANGE: Sequence[Any] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**20,
    "",
    " ",
    "\u0000",
    "\ud800",
    "\u200b",
    "é" * 300,
    "9999-12-31",
    "0001-01-01",
    "2026-02-30",
    "2026-05-04T09:00:00+02:00",
    "NaN",
    [],
    {},
    [[]],
    {"verdi": "x"},
    "ENGANGS",
    "AVDØD",
)
_BYTES = (b"", b"{", b"}", b"[", b'"', b",", b":", b"\\", b"\x00", b"\xff", b"\xc3", b"1e999", b"-0", b"null", b"\xef\xbb\xbf")


def fuzzed(bodies: Sequence[dict[str, Any]], count: int, seed: int) -> Iterator[bytes]:
    """So many bodies, each made of one of these by one to three pieces of damage."""
    random = Random(seed)
    for _ in range(count):
        body = json.loads(json.dumps(random.choice(bodies)))
        for _ in range(random.randint(1, 3)):
            _damage(body, random)
        raw = json.dumps(body, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
        yield _torn(raw, random) if random.random() < 0.4 else raw


def _damage(body: Any, random: Random) -> None:
    """One member, somewhere, becomes something else, goes, or stands there under another name."""
    inner = body
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            return
        key = random.choice(keys)
        if isinstance(inner[key], dict | list) and random.random() < 0.7:
            inner = inner[key]
            continue
        match random.randint(0, 3):
            case 0:
                del inner[key]
            case 1 if isinstance(inner, dict):
                inner[str(key) + random.choice("xX \u00e5")] = inner.pop(key)
            case 2 if isinstance(inner, list):
                inner.extend(inner[:3])
            case _:
                inner[key] = random.choice(_STRANGE)
        return


def _torn(raw: bytes, random: Random) -> bytes:
    """Bytes cut out, put in, or turned."""
    start = random.randrange(len(raw) + 1)
    match random.randint(0, 2):
        case 0:
            return raw[:start] + raw[start + random.randint(1, 40) :]
        case 1:
            return raw[:start] + random.choice(_BYTES) + raw[start:]
        case _:
            return raw[:start] + bytes([random.randrange(256)]) + raw[start + 1 :]
