"""Limits on what a source may have paid, at once and in an hour: what is over them is held, and not lost (design §11).

A source is an application that calls, or a topic. What two people have set (`limit_acts`) goes before the settings. An hour is one of the
clock's. What an order pays more than its case paid before is counted in the order's transaction, under a lock on the row of its source;
what is held for its limit never counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import psycopg
from msgspec import Struct
from msgspec.json import Decoder

from kvitt.disbursement.calendar import DAYS_OF_WEEK, SATURDAY
from kvitt.disbursement.holding import HoldKind, HoldReason, OwnPay, Paid
from kvitt.disbursement.values import RateType
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL: Final = load("source_limits", "kvitt.disbursement")
_DAYS_COUNTED: Final = 366
"""What is paid without end counts for a year."""
_MONTHS_OF_YEAR: Final = 12


class SourceLimit(Struct, frozen=True):
    """The most that a source may have paid; None: as much as it likes."""

    kroner_per_hour: Kroner | None = None
    kroner_per_order: Kroner | None = None

    @property
    def words(self) -> str:
        """The limit as people read it."""
        parts = ((self.kroner_per_order, "for one order"), (self.kroner_per_hour, "in an hour"))
        return " and ".join(f"{kroner} kr {where}" for kroner, where in parts if kroner is not None) or "any amount"


NO_LIMIT: Final = SourceLimit()
SourceLimits = Mapping[str, SourceLimit]


class SetLimit(Struct, array_like=True, frozen=True):
    """A limit that two people have set, until a moment if one is said; None is as the settings have it."""

    source: str
    kroner_per_hour: Kroner | None
    kroner_per_order: Kroner | None
    until: datetime | None

    def holds(self, now: datetime) -> bool:
        """Whether it has not ended."""
        return self.until is None or now < self.until


_DECODER: Final = Decoder(tuple[SetLimit, ...])


def decode_limits(text: str | None) -> Sequence[SetLimit]:
    """The limits that people have set, as the statements have them that bring them along."""
    return _DECODER.decode(text) if text else ()


def in_force(settings: SourceLimits, of_people: Sequence[SetLimit], now: datetime) -> SourceLimits:
    """The limits that hold: those that people have set, as far as they say, and else those of the settings."""
    if not of_people:
        return settings
    return {**settings, **{each.source: _over(each, settings.get(each.source, NO_LIMIT)) for each in of_people if each.holds(now)}}


def _over(of_people: SetLimit, settings: SourceLimit) -> SourceLimit:
    hour, order = of_people.kroner_per_hour, of_people.kroner_per_order
    return SourceLimit(settings.kroner_per_hour if hour is None else hour, settings.kroner_per_order if order is None else order)


class _PaidInHour(NamedTuple):
    source: str
    kroner: int


class SourceHours:
    """Holds what limited sources have had paid in the hour of a transaction."""

    def __init__(self, now: datetime) -> None:
        self._limits: SourceLimits = {}
        self.hour = now.replace(minute=0, second=0, microsecond=0)
        self._paid: dict[str, int] = {}

    def look(self, cursor: psycopg.Cursor[Any], limits: SourceLimits, sources: Iterable[str], *, lock: bool = True) -> None:
        """Looks up, and locks until the transaction ends, what those of these sources had paid that have a limit. Asks nothing without.

        Not to `lock` is for who only looks at what would be.
        """
        self._limits = limits
        limited = sorted({each for each in sources if each in self._limits} - self._paid.keys())
        if limited:
            rows = fetch(cursor, _PaidInHour, _SQL.lock_source_hours if lock else _SQL.source_hours, [self.hour, limited])
            self._paid.update({**dict.fromkeys(limited, 0), **{each.source: each.kroner for each in rows}})

    def is_limited(self, source: str) -> bool:
        """Whether what it has paid is counted."""
        return source in self._paid

    def over_limit(self, source: str, kroner: int) -> HoldReason | None:
        """The reason to hold an order that pays so much, if there is one."""
        limit = self._limits.get(source, NO_LIMIT)
        paid = self._paid.get(source, 0)
        if limit.kroner_per_order is not None and kroner > limit.kroner_per_order:
            text = f"{source} may have {limit.kroner_per_order} kr paid at once, and the order pays {kroner} kr"
            return _reason(source, text, (kroner, limit.kroner_per_order))
        if limit.kroner_per_hour is not None and kroner > 0 and paid + kroner > limit.kroner_per_hour:
            said = f"had {paid} kr before in this hour, and the order pays {kroner} kr"
            return _reason(
                source, f"{source} may have {limit.kroner_per_hour} kr paid in an hour, {said}", (kroner, paid, limit.kroner_per_hour)
            )
        return None

    def count(self, source: str, kroner: int) -> None:
        """An order that pays so much is not held for its limit."""
        self._paid[source] += kroner


def kroner_of(own: OwnPay, on: date) -> int:
    """Returns how much more a case pays by an order, source by source, until a year from a day; what it pays less is no credit."""
    after, before = _by_source(own.after), own.before()
    until = on.toordinal() + _DAYS_COUNTED
    return sum(max(0, _total(after[name], until) - _total(before.get(name, ()), until)) for name in after)


def _by_source(pays: Sequence[Paid]) -> Mapping[str, Sequence[Paid]]:
    found: dict[str, list[Paid]] = {}
    for each in pays:
        found.setdefault(each.source, []).append(each)
    return found


def _total(pays: Iterable[Paid], until: int) -> int:
    return sum(each.amount * _times(each, min(each.end, until)) for each in pays if each.start <= until)


def _times(paid: Paid, end: int) -> int:
    """How often an amount is paid until a day."""
    match paid.rate:
        case RateType.ONE_OFF:
            return 1
        case RateType.MONTH:
            first, last = date.fromordinal(paid.start), date.fromordinal(end)
            return (last.year - first.year) * _MONTHS_OF_YEAR + last.month - first.month + 1
        case RateType.WEEKDAY:
            return _weekdays_before(end + 1) - _weekdays_before(paid.start)
        case RateType.DAY:
            return end - paid.start + 1


def _weekdays_before(day: int) -> int:
    # Ordinal 1 is a Monday.
    weeks, days = divmod(day - 1, DAYS_OF_WEEK)
    return weeks * SATURDAY + min(days, SATURDAY)


def _reason(source: str, text: str, kroner: Sequence[int]) -> HoldReason:
    return HoldReason(HoldKind.OVER_LIMIT, text, sources=(source,), amounts_kroner=tuple(map(Kroner, kroner)))
