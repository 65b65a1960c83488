"""The ledger: accounts with what they have, at least and at most, the open plans that make the difference, and a plan with its batches."""

from datetime import date, datetime, time
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from kvitt.api.console.charts import step_chart
from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, kept_of, listed, place_in, text_asked
from kvitt.api.console.pages.payouts import asker_of
from kvitt.api.console.showing import amount_text
from kvitt.errors import AccountNotFound, BadRequest, NotFound
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.money import Minor
from kvitt.kernel.queries import load
from kvitt.payouts.rules import payout_of_plan

_SQL: Final = load("ledger", "kvitt.api.console.pages")
_LAST: Final = 9_223_372_036_854_775_807
_LOOKED_THROUGH: Final = 1_000
_MOST_PLANS: Final = 200
_MOST_STEPS: Final = 200
_MOST_POSTINGS: Final = 1_000
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


class EntryOnPage(NamedTuple):
    """The trace of a step in an account: its amounts after it, and by how much its own one changed."""

    entry: int
    at: datetime
    plan_id: str
    operation: str
    batch_id: int
    posted_minor: Minor
    available_min_minor: Minor
    available_max_minor: Minor
    change_minor: Minor


class OpenPlanOfAccount(NamedTuple):
    """A plan that is held, and what it would give the account, or take of it."""

    plan_id: str
    held_at: datetime
    net_minor: Minor


class PlanOnPage(NamedTuple):
    """A plan as it stands."""

    plan_id: str
    state: str
    held_at: datetime
    changed_at: datetime


class StepOfPlan(NamedTuple):
    """A hold of a batch, or the end of the plan."""

    operation: str
    batch_id: int | None
    at: datetime
    actor: str | None


class PostingOfPlan(NamedTuple):
    """A posting of a batch."""

    batch_id: int
    position: int
    source: int
    target: int
    amount_minor: Minor
    currency: str
    description: str


def read_accounts(visit: Visit) -> Values:
    """A page of accounts, newest first."""
    after = place_in(visit.query.get(AFTER), int)
    asked = {"before": after[0] if after else _LAST, "limit": visit.page_rows + 1}
    rows = fetch(visit.connection, AccountOnPage, _SQL.accounts, asked)
    return {"accounts": listed(rows, lambda each: (each.account_id,), after, visit.page_rows)}


def read_account(visit: Visit) -> Values:
    """One account with a page of its entries in a period, newest first. Raises AccountNotFound, BadRequest."""
    account_id, after = visit.path["account_id"], place_in(visit.query.get(AFTER), int)
    account = fetch_one(visit.connection, AccountOnPage, _SQL.account, {"account_id": account_id}) if account_id <= _LAST else None
    if account is None:
        raise AccountNotFound(account_id)
    period = period_asked(visit)
    first, behind = entries_between(visit, account, period)
    asked = {"account_id": account_id, "first": first, "before": min(after[0], behind) if after else behind, "limit": visit.page_rows + 1}
    rows = fetch(visit.connection, EntryOnPage, _SQL.entries, asked)
    entries = listed(rows, lambda each: (each.entry,), after, visit.page_rows)
    shown = {"account": account, "entries": entries, "period": period, "query": kept_of(visit.query)}
    return shown if visit.takes_out else {**shown, **_held(visit, account), **_over_time(visit, account, first, behind)}


def _over_time(visit: Visit, account: AccountOnPage, first: int, behind: int) -> Values:
    """The three amounts of an account as they were, at the newest entries of a period; the first of them stands for what was before."""
    asked = {"account_id": account.account_id, "first": first, "before": behind, "limit": _MOST_STEPS}
    steps = fetch(visit.connection, EntryOnPage, _SQL.entries, asked)[::-1]
    write = partial(amount_text, currency=account.currency)
    charts = {
        "Own": step_chart([(each.at, each.posted_minor) for each in steps], write),
        "At least": step_chart([(each.at, each.available_min_minor) for each in steps], write),
        "At most": step_chart([(each.at, each.available_max_minor) for each in steps], write),
    }
    return {"charts": charts, "steps_shown": len(steps), "steps": behind - first}


def _held(visit: Visit, account: AccountOnPage) -> Values:
    """The open plans of an account, and whether they are all that there are: then they make up the whole difference."""
    least, posted, most = account.available_min_minor, account.posted_minor, account.available_max_minor
    asked = {"account_id": account.account_id, "looked_through": _LOOKED_THROUGH, "limit": _MOST_PLANS}
    plans = fetch(visit.connection, OpenPlanOfAccount, _SQL.open_plans, asked) if least != posted or most != posted else []
    losses, gains = (sum(each.net_minor for each in plans if (each.net_minor < 0) is loses) for loses in (True, False))
    return {"plans": plans, "are_all": (posted + losses, posted + gains) == (least, most)}


def read_plan(visit: Visit) -> Values:
    """One plan with its batches. Raises BadRequest, NotFound."""
    plan_id = text_asked(visit.query, "id") or ""
    asked = {"plan_id": plan_id, "limit": _MOST_POSTINGS, "payout_id": payout_of_plan(plan_id)}
    plan = fetch_one(visit.connection, PlanOnPage, _SQL.plan, asked)
    if plan is None:
        raise NotFound("there is no such plan in this ledger")
    steps = fetch(visit.connection, StepOfPlan, _SQL.steps, asked)
    postings = fetch(visit.connection, PostingOfPlan, _SQL.postings, asked)
    return {
        "plan": plan,
        "payout_id": fetch_value(visit.connection, _SQL.payout_of_plan, asked),
        "steps": [(each, asker_of(each.actor)) for each in steps],
        "batches": [(batch_id, list(found)) for batch_id, found in groupby(postings, lambda each: each.batch_id)],
        "most": _MOST_POSTINGS if len(postings) == _MOST_POSTINGS else None,
    }


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
    """The first entry of a day or later; the next one to come, where there is none.

    Entries are numbered in the order of time without a gap, so it is found by halving.
    """
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


PAGES: Final = (
    ConsolePage("/ledger", "Ledger", "ledger.html", read_accounts, nav="Ledger", key="l", live="ledger"),
    ConsolePage("/ledger/accounts/{account_id:int}", "Account", "account.html", read_account, live="ledger"),
    ConsolePage("/ledger/plans/one", "Plan", "plan.html", read_plan, live="ledger"),
)
