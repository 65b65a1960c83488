"""A message of the rapid as its reader holds it: every field as the bytes it came as, so that an answer carries them unchanged.

Only what the rapid itself keeps is looked into: identity, time, the trace back, and who has read the message (rapid §1.1, §1.2).
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from kvitt.kernel.identifiers import named_uuid

SERVICE: Final = "kvitt"
_MAX_COUNT: Final = 2**53
_IDS: Final = UUID("c3f0a9d4-4a5b-5d17-8f3e-5b7c1d2e9a60").bytes

_fields = msgspec.json.Decoder(dict[str, Raw])
_items = msgspec.json.Decoder(list[Raw])
_encoder = msgspec.json.Encoder()


class Trace(Struct, frozen=True):
    """The cause of a message, as `@forårsaket_av` says it; blank parts are left out there."""

    id: str
    opprettet: str
    event_name: str
    behov: tuple[str, ...] = ()


class Participant(Struct, frozen=True):
    """One entry of `system_participating_services`: who had the message, under which id, and when."""

    id: str
    time: str
    service: str = SERVICE


class Packet(Struct, frozen=True):
    """A message as read: its fields in their order and to the byte, the read count and the readers brought up to date."""

    fields: Mapping[str, Raw]
    id: str
    created: str
    read_count: int
    participants: tuple[Raw | Participant, ...]


def parse(body: bytes, at: datetime) -> Packet:
    """The packet, counted as read by us `at` that Oslo time; `body` is known to be a JSON object. Never raises for one.

    A message without a read count was never read, one without a time was made now, one without an id gets one (rapid §1.1).
    """
    fields = _fields.decode(body)
    identity = _text(fields, "@id") or named_uuid(_IDS, hashlib.sha256(body).hexdigest())
    readers = _list(fields, "system_participating_services")
    return Packet(
        fields=fields,
        id=identity,
        created=_text(fields, "@opprettet") or default_text(at),
        read_count=_count(fields.get("system_read_count")) + 1,
        participants=(*readers, Participant(identity, default_text(at))),
    )


def trace_of(packet: Packet) -> Trace:
    """How what is caused by this packet shall name it."""
    needs = [item for item in map(_value, _list(packet.fields, "@behov")) if isinstance(item, str)]
    return Trace(packet.id, packet.created, _text(packet.fields, "@event_name"), tuple(needs))


def answered(packet: Packet, solutions: Mapping[str, bytes], *, event_id: str, at: datetime, cause: Trace) -> bytes:
    """The whole need as read, with a solution under the name of each need, as a new message made `at` that Oslo time (rapid §2.3).

    All fields that the rapid does not keep itself are the bytes that came in.
    """
    made = default_text(at)
    own = {
        "@id": _raw(event_id),
        "@opprettet": _raw(made),
        "system_read_count": _raw(packet.read_count),
        "system_participating_services": _raw((*packet.participants, Participant(event_id, made))),
        "@forårsaket_av": _raw(trace_fields(cause)),
        "@løsning": _raw({name: Raw(solution) for name, solution in solutions.items()}),
    }
    return _encoder.encode({**packet.fields, **own})


def trace_fields(trace: Trace) -> Mapping[str, str | Sequence[str]]:
    """The members of `@forårsaket_av`, those that say something."""
    members: dict[str, str | Sequence[str]] = {"id": trace.id, "opprettet": trace.opprettet, "event_name": trace.event_name}
    return {name: text for name, text in (members | {"behov": trace.behov}).items() if text}


def default_text(at: datetime) -> str:
    """A local time in the platform's own form: no seconds when all below the minute is zero, else 0, 3 or 6 digits of one (rapid §1.2)."""
    assert at.tzinfo is None, "times on the rapid are local times"
    if at.microsecond % 1000:
        return at.isoformat(timespec="microseconds")
    if at.microsecond:
        return at.isoformat(timespec="milliseconds")
    return at.isoformat(timespec="seconds" if at.second else "minutes")


def _raw(value: object) -> Raw:
    return Raw(_encoder.encode(value))


def _value(raw: Raw | None) -> object:
    """The text, number or word that a field holds; None for nothing, and for what has parts of its own."""
    if raw is None or _starts(raw, b"{") or _starts(raw, b"["):
        return None
    try:
        value: object = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return None  # a number beyond all that can be counted
    return value


def _text(fields: Mapping[str, Raw], name: str) -> str:
    value = _value(fields.get(name))
    return value if isinstance(value, str) else ""


def _list(fields: Mapping[str, Raw], name: str) -> Iterable[Raw]:
    raw = fields.get(name)
    return _items.decode(raw) if raw is not None and _starts(raw, b"[") else ()


def _starts(raw: Raw, mark: bytes) -> bool:
    return memoryview(raw)[:1] == mark


def _count(raw: Raw | None) -> int:
    """How often the message was read before; -1 when it does not say so in a number that can be counted on."""
    value = _value(raw)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT
    return value if is_count and isinstance(value, int) else -1
