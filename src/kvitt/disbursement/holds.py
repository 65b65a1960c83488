"""Why an order is held: a list of reasons, each of a kind that says who may lift it (design §3, §8, §12)."""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from kvitt.disbursement.values import PaymentId
from kvitt.kernel.money import Kroner


class HoldKind(StrEnum):
    """Reasons that hold an order back; the values stand in the store."""

    EQUAL_LINE = "equal_line"
    """As orders were held that are older than the comparison by days."""
    PAID_TWICE = "paid_twice"
    CONTRADICTION = "contradiction"
    UNKNOWN_PAYMENT = "unknown_payment"


RELEASABLE = frozenset({HoldKind.EQUAL_LINE, HoldKind.PAID_TWICE, HoldKind.UNKNOWN_PAYMENT})
"""What an operator lifts by releasing the order; everything else is lifted by the act that settles it."""


class HoldReason(Struct, frozen=True, omit_defaults=True):
    """One reason why a ready order is not sent; `text` says it to a person, in one line, and the rest to a program.

    Of days that are paid twice: their class code, who pays (`sources`) how much each, or how many `more` there are. Of an unknown payment:
    which one.
    """

    kind: HoldKind
    text: str
    class_code: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    sources: tuple[str, ...] = ()
    amounts_kroner: tuple[Kroner, ...] = ()
    payment_id: PaymentId | None = None
    more: int = 0

    def encode(self) -> str:
        """The reason as it stands in the store."""
        return _encoder.encode(self).decode()


IN_CONTRADICTION = HoldReason(HoldKind.CONTRADICTION, "what the rail says of another order of the case contradicts what stands")
_encoder, _decoder = Encoder(), Decoder(tuple[HoldReason, ...])
NOT_HELD: Final = "[]"
"""No reasons, as they stand in the store."""


def encode_all(reasons: Sequence[HoldReason]) -> str:
    """Reasons as a row takes them to the store: a JSON array."""
    return _encoder.encode(reasons).decode() if reasons else NOT_HELD


def decode_all(stored: str) -> tuple[HoldReason, ...]:
    """The reasons in a JSON array. Raises msgspec.ValidationError for a kind that is not known."""
    return () if stored == NOT_HELD else _decoder.decode(stored)


def without_releasable(reasons: Sequence[HoldReason]) -> tuple[HoldReason, ...]:
    """Returns what still holds an order once an operator has released it."""
    return tuple(reason for reason in reasons if reason.kind not in RELEASABLE)
