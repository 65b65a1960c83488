"""An order with its receipt, as it is told on the order topic: the order's own bytes with `mmel` first (helved_stream §1.2, §5.1)."""

from xml.sax.saxutils import escape

from kvitt.rules.answers import Receipt

_END_OF_ROOT_TAG = b'oppdrag">'


def receipted(xml: bytes, receipt: Receipt) -> bytes:
    """The stored order with the rail's answer in front; well-formed however damaged the echo was."""
    fields = (("kodeMelding", receipt.code), ("alvorlighetsgrad", receipt.grade_text), ("beskrMelding", receipt.text))
    leaves = "".join(f"\n        <{name}>{escape(text)}</{name}>" for name, text in fields if text)
    head, separator, rest = xml.partition(_END_OF_ROOT_TAG)
    return head + separator + f"\n    <mmel>{leaves}\n    </mmel>".encode() + rest
