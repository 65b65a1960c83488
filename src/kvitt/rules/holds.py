"""Why an order is held: a list of reasons, each of a kind that says who may lift it (design §3, §8, §12)."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

_BETWEEN = "\n"


class HoldKind(StrEnum):
    """What holds an order back; the values stand in the store."""

    EQUAL_LINE = "equal_line"
    """As orders were held that are older than the comparison by days."""
    PAID_TWICE = "paid_twice"
    CONTRADICTION = "contradiction"
    UNKNOWN_PAYMENT = "unknown_payment"


RELEASABLE = frozenset({HoldKind.EQUAL_LINE, HoldKind.PAID_TWICE, HoldKind.UNKNOWN_PAYMENT})
"""What an operator lifts by releasing the order; everything else is lifted by the act that settles it."""


class HoldReason(Struct, frozen=True):
    """One reason why a ready order is not sent; `text` says it to a person, in one line."""

    kind: HoldKind
    text: str

    def encode(self) -> str:
        """The reason as it stands in the store: `kind: text`."""
        return f"{self.kind.value}: {self.text}"


IN_CONTRADICTION = HoldReason(HoldKind.CONTRADICTION, "what the rail says of another order of the case contradicts what stands")


def decode(stored: str) -> HoldReason:
    """A reason as it stands in the store. Raises ValueError for a kind that is not known."""
    kind, _, text = stored.partition(": ")
    return HoldReason(HoldKind(kind), text)


def joined(reasons: Iterable[HoldReason]) -> str:
    """Reasons as the one text that a row takes to the store; empty without any."""
    return _BETWEEN.join(reason.encode() for reason in reasons)


def separated(text: str) -> tuple[HoldReason, ...]:
    """The reasons in what `joined` gives."""
    return tuple(decode(each) for each in text.split(_BETWEEN)) if text else ()


def without_releasable(reasons: Sequence[HoldReason]) -> tuple[HoldReason, ...]:
    """What still holds an order once an operator has released it."""
    return tuple(reason for reason in reasons if reason.kind not in RELEASABLE)
