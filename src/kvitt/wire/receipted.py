"""An order with its receipt, as it is told on the order topic: the order's own bytes with `mmel` first (helved §1.2, §5.1)."""

from xml.sax.saxutils import escape

from kvitt.rules.answers import Receipt

LEAVES = (
    *("systemId", "kodeMelding", "alvorlighetsgrad", "beskrMelding", "sqlKode", "sqlState", "sqlMelding"),
    *("mqCompletionKode", "mqReasonKode", "programId", "sectionNavn"),
)
"""Everything that an `mmel` may hold, in the order in which it stands there; all of it optional."""
_END_OF_ROOT_TAG = b'oppdrag">'
_BARE_ROOT, _HEAD_BYTES = b"<Oppdrag>", 100
"""The root of orders that their senders made, which has no namespace, and how far from the beginning it stands at most."""


def receipted(xml: bytes, receipt: Receipt) -> bytes:
    """The stored order with the rail's answer in front; well-formed however damaged the echo was."""
    said = dict(receipt.others) | {"kodeMelding": receipt.code, "alvorlighetsgrad": receipt.grade_text, "beskrMelding": receipt.text}
    leaves = "".join(f"\n        <{name}>{escape(said[name])}</{name}>" for name in LEAVES if said.get(name))
    tag = _BARE_ROOT if xml.find(_BARE_ROOT, 0, _HEAD_BYTES) >= 0 else _END_OF_ROOT_TAG
    head, separator, rest = xml.partition(tag)
    return head + separator + f"\n    <mmel>{leaves}\n    </mmel>".encode() + rest
