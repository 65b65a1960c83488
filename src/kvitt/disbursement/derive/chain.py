"""Micro-chaining: the fewest lines that turn a payment's chain at the rail into what is wanted (helved §3.5).

The rail's rule: on each day of a chain one line is valid; a new line overwrites the chain from its first day on, without
end; a cessation cuts it from its date. So everything after the first difference is sent again, and days that shall stop
before the first new line need a cessation of the last line, as that line was sent.
"""

from collections.abc import Sequence
from datetime import date

from msgspec import Struct

from kvitt.disbursement.calendar import DAYS_OF_WEEK, SATURDAY, next_day
from kvitt.disbursement.values import Period

ORDER_BEGINS = date(2000, 1, 1)
"""The day from which every order says that it holds (`datoOppdragGjelderFom`): no chain has a day before it (helved §5.1)."""


class ChainChange(Struct, frozen=True):
    """The change that a chain needs: a cut from `cease_from` (if any), then `new` periods, each a line that refers to the one before."""

    cease_from: date | None
    new: tuple[Period, ...]


def _first_difference(accepted: Sequence[Period], wanted: Sequence[Period]) -> int:
    for index, (old, new) in enumerate(zip(accepted, wanted, strict=False)):
        if old != new:
            return index
    return min(len(accepted), len(wanted))


def _only_ends_earlier(old: Period, new: Period) -> bool:
    """Everything but the end is equal: the line at the rail stays and is cut, nothing is sent anew for it."""
    return (
        old.start == new.start
        and old.end > new.end
        and old.amount == new.amount
        and old.decided_rate == new.decided_rate
        and old.office == new.office
    )


def _all_weekend(start: date, end: date) -> bool:
    """No day from `start` up to but not including `end` is a weekday."""
    return start.weekday() >= SATURDAY and (end - start).days <= DAYS_OF_WEEK - start.weekday()


def extend(accepted: Sequence[Period], wanted: Sequence[Period], *, weekdays_only: bool = False) -> ChainChange:
    """The change from `accepted` to `wanted`, both sorted and free of overlap; nothing at all when they are equal.

    An empty `wanted` cuts the chain from its first day. With `weekdays_only` weekend days pay nothing, so days that stop need no
    cut when only a weekend lies between them and the first new line (docs/decisions/36-no-cessation-for-a-weekend.md).
    Source: helved §3.5 and the table M1-M20 of iverksetting §3.6.
    """
    if not wanted:
        return ChainChange(accepted[0].start if accepted else None, ())
    first = _first_difference(accepted, wanted)
    if first == len(accepted):
        return ChainChange(None, tuple(wanted[first:]))
    if first == len(wanted):
        return ChainChange(next_day(wanted[-1].end), ())
    if _only_ends_earlier(accepted[first], wanted[first]):
        cease_from, new = next_day(wanted[first].end), tuple(wanted[first + 1 :])
    else:
        cease_from, new = accepted[first].start, tuple(wanted[first:])
    overwritten_anyway = bool(new) and (new[0].start <= cease_from or (weekdays_only and _all_weekend(cease_from, new[0].start)))
    return ChainChange(None if overwritten_anyway else cease_from, new)


def extend_unknown(last_sent: Period | None, wanted: Sequence[Period], *, weekdays_only: bool = False) -> ChainChange:
    """The change from a chain of which only the last line is known, as it was sent if even that is, to `wanted`.

    Nothing of it can be left as it is: an empty `wanted` cuts the whole chain, from the first day that an order can have, and anything else
    is sent whole, which overwrites the chain from its first day on. Days before that are cut where the last line is known to have some.
    """
    if not wanted:
        return ChainChange(ORDER_BEGINS, ())
    begins = wanted[0].start
    earlier = last_sent is not None and last_sent.start < begins and not (weekdays_only and _all_weekend(last_sent.start, begins))
    return ChainChange(ORDER_BEGINS if earlier else None, tuple(wanted))
