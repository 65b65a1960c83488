"""The receipt: the order's own bytes with the answer (mmel) put in first below the root (helved §4.5, iverksetting §1.11)."""

from uuid import UUID, uuid5
from xml.sax.saxutils import escape

from kvitt.rails.oppdrag.emulator.order import Answer
from kvitt.rails.oppdrag.emulator.reading import NAMESPACE, ROOT_START

_RECEIPT_IDS = UUID("5b0f2f0e-6f0c-5c4e-9a53-0d6f4a2d9c11")


def echo(body: bytes, answer: Answer) -> bytes:
    """The order with the answer inserted, not one of its other bytes changed; `body` must begin as an order does."""
    found = ROOT_START.match(body)
    assert found is not None, "only what begins as an order is echoed"
    start = body[: found.end()]
    # Under a default namespace an unqualified child has to leave it, as the order's own children do.
    own_tag = '<mmel xmlns="">' if b"xmlns=" in start.rpartition(b"<")[2] else "<mmel>"
    return start + mmel(answer, own_tag).encode() + body[found.end() :]


def unechoed(answer: Answer) -> bytes:
    """The rail's answer to what it could not parse: no order in it, and no end tag of the root (rapid §3.3)."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<oppdrag xmlns="{NAMESPACE}">{mmel(answer)}<oppdrag-110></oppdrag-110>'.encode()


def mmel(answer: Answer, start_tag: str = "<mmel>") -> str:
    """The answer as XML, on one line."""
    fields = (
        ("systemId", "231-OPPD"),
        ("kodeMelding", answer.code),
        ("alvorlighetsgrad", answer.severity),
        ("beskrMelding", answer.text),
        ("programId", answer.program),
        ("sectionNavn", answer.section),
    )
    return start_tag + "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields if text) + "</mmel>"


def receipt_id(message_id: str, digest: bytes, copy: int) -> str:
    """The message id of a receipt: the same order always gets its receipt under the same id; `copy` 1 is the doubled one."""
    return str(uuid5(_RECEIPT_IDS, f"{message_id}:{digest.hex()}:{copy}"))
