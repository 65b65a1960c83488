"""A period of an account: its entries are numbered in the order of time without a gap, so the first one of a day is found by halving."""

from datetime import date, datetime, time
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from kvitt.api.console.frame import Visit
from kvitt.errors import BadRequest
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.money import Minor
from kvitt.kernel.queries import load

_SQL: Final = load("ledger", "kvitt.api.console.pages")
_OSLO: Final = ZoneInfo("Europe/Oslo")


class AccountOnPage(NamedTuple):
    """An account with its amounts."""

    account_id: int
    currency: str
    description: str | None
    posted_minor: Minor
    available_min_minor: Minor
    available_max_minor: Minor
    entries: int
    created_at: datetime
    request_key: str | None


class DaysAsked(NamedTuple):
    """Days of Oslo, both included; None: without that bound."""

    since: date | None
    until: date | None


def period_asked(visit: Visit) -> DaysAsked:
    """The period that an address names. Raises BadRequest."""
    return DaysAsked(_day(visit, "since"), _day(visit, "until"))


def entries_between(visit: Visit, account: AccountOnPage, period: DaysAsked) -> tuple[int, int]:
    """The number of the first entry of a period, and that of the first one behind it."""
    first = _first_at(visit, account, period.since) if period.since else 1
    last = period.until.toordinal() if period.until else None
    return first, account.entries + 1 if last is None else _first_at(visit, account, date.fromordinal(last + 1))


def _first_at(visit: Visit, account: AccountOnPage, day: date) -> int:
    """The first entry of a day or later; the next one to come, where there is none."""
    moment, low, high = datetime.combine(day, time(), _OSLO), 1, account.entries + 1
    while low < high:
        middle = (low + high) // 2
        if fetch_value(visit.connection, _SQL.moment_of_entry, {"account_id": account.account_id, "entry": middle}) < moment:
            low = middle + 1
        else:
            high = middle
    return low


def _day(visit: Visit, name: str) -> date | None:
    text = visit.query.get(name)
    try:
        found = date.fromisoformat(text) if text else None
    except ValueError:
        found = date.min
    if found and not 1990 < found.year < 2200:
        raise BadRequest((name, "is a day, such as 2026-05-04"))
    return found
