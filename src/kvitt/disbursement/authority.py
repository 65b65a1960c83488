"""Authority of a decision: who sends it, and which rules of its scheme bind them, applied to what the decision says (iverksetting §1.6).

The rules are settings, and who sends is found in a token; what both mean for one decision stands in the headers of its record, so that it
is handled again years later without either.
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from kvitt.disbursement.calendar import DAYS_OF_WEEK, SATURDAY, next_day
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Payment, Period, RateType, Refusal, Scheme

USUAL_CAPS: Final = {Scheme.DAGPENGER: 5000}
"""Kroner per day, by scheme, where its settings say nothing (iverksetting §1.8)."""
_PAGE: Final = f"{BASE}/async/kom_i_gang"


class TwoPeople(StrEnum):
    """Whose decisions need two people, one who decides and one who attests."""

    PERSONS = "persons"
    """Those that a person sends; what a system sends is decided by nobody."""
    ALL = "all"
    NOBODY = "nobody"


class DecisionPolicy(Struct, frozen=True, kw_only=True):
    """Rules of a scheme for who may send which decisions.

    A person of one of `approver_groups` is an approver. `system_callers` are the applications that may send without a person, by their
    names without cluster and team; None: all that the scheme has. `approver_opens`: only an approver sends the first decision of a
    case; `approver_frames`: only an approver changes what later ones are bound by. `cap_kroner` binds whoever is no approver, per day,
    as long as a case has no cap of its own; None: nothing does.
    """

    approver_groups: frozenset[str] = frozenset()
    system_callers: frozenset[str] | None = None
    approver_opens: bool = True
    approver_frames: bool = True
    cap_kroner: int | None = None
    two_people: TwoPeople = TwoPeople.PERSONS


class Authority(Struct, frozen=True, kw_only=True):
    """Who sends a decision, and what the rules of its scheme let them do with it at that moment.

    `application` is the name without cluster and team; `person` is None for a system. `opens`: they may send the first decision of a
    case; `frames`: they may change its frame; `two_people`: who decides and who attests may not be one.
    """

    application: str
    person: str | None = None
    approver: bool = False
    opens: bool = False
    frames: bool = False
    cap_kroner: int | None = None
    two_people: bool = False

    def rules(self) -> Mapping[str, str]:
        """Returns what the rules let them do, in words, to be kept with the record."""
        said = {"opens": self.opens, "frames": self.frames, "two_people": self.two_people}
        words = {name: "yes" if holds else "no" for name, holds in said.items()}
        return words if self.cap_kroner is None else words | {"cap_kroner": str(self.cap_kroner)}


def authority_of(application: str, person: str | None, rules: Mapping[str, str], *, approver: bool) -> Authority:
    """The authority of a record that was kept; what its rules say nothing of, it may not do."""
    cap = rules.get("cap_kroner")
    return Authority(
        application=application,
        person=person,
        approver=approver,
        opens=rules.get("opens") == "yes",
        frames=rules.get("frames") == "yes",
        cap_kroner=None if cap is None else int(cap),
        two_people=rules.get("two_people") != "no",
    )


NOT_OPENED: Final = Refusal(403, "Første vedtak på en sak må sendes av en ansatt med beslutter-rolle", _PAGE)
NOT_FRAMED: Final = Refusal(403, "Rammevedtak må sendes av en ansatt med beslutter-rolle", _PAGE)
ONE_PERSON: Final = Refusal(403, "Saksbehandler og beslutter kan ikke være samme person", _PAGE)
SENT_BY_CASEWORKER: Final = Refusal(403, "Beslutter som sender vedtaket kan ikke selv være saksbehandler i det", _PAGE)


def refused_opening(by: Authority) -> Refusal | None:
    """The refusal of a case's first decision; None: they may send it."""
    return None if by.opens else NOT_OPENED


def refused_frame(by: Authority) -> Refusal | None:
    """The refusal of a decision that changes the frame of its case; None: they may change it."""
    return None if by.frames else NOT_FRAMED


def refused_outside_frame(
    by: Authority, start: date | None, cap_kroner: int | None, first_day: date | None, highest_kroner: int
) -> Refusal | None:
    """The refusal of payments before the start of the case's frame, or above its cap; None: they are within, or an approver sends them.

    `first_day` and `highest_kroner` (on one day) are those of what differs from the decision before; `first_day` None: nothing does.
    `cap_kroner` None: the case has no cap of its own, and that of its scheme holds.
    """
    if by.approver or first_day is None:
        return None
    if start is not None and first_day < start:
        text = f"Utbetaling fra {first_day} er før virkningstidspunktet {start}, og må sendes av en ansatt med beslutter-rolle"
        return Refusal(403, text, _PAGE)
    cap = by.cap_kroner if cap_kroner is None else cap_kroner
    if cap is not None and highest_kroner > cap:
        return Refusal(403, f"Beløp over maksgrensen på {cap} kr per dag må sendes av en ansatt med beslutter-rolle", _PAGE)
    return None


def refused_one_person(by: Authority, caseworker: str, approver: str, *, as_approver: bool = False) -> Refusal | None:
    """The refusal where one person decides and attests; None: there are two, or the rule does not bind who sends.

    `as_approver`: the decision is lawful only because an approver sends it, who may not have decided it then.
    """
    if not by.two_people:
        return None
    if _same(caseworker, approver):
        return ONE_PERSON
    if as_approver and by.approver and by.person is not None and _same(by.person, caseworker):
        return SENT_BY_CASEWORKER
    return None


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def first_raised(payment: Payment | None, period: Period, rate_type: RateType) -> date | None:
    """The first day on which a period pays more than its payment was accepted to; None: it says again what is accepted, or less."""
    day = _first_paid(period.start, rate_type)
    for accepted in _paying_as_much(payment, period, rate_type) if payment else ():
        if accepted.start > day:
            break
        day = _first_paid(max(day, next_day(accepted.end)), rate_type)
    return day if day <= period.end else None


def kroner_a_day(period: Period, rate_type: RateType) -> int:
    """The most that a period pays on a day; of a month's amount each day has its part, rounded up."""
    if rate_type is not RateType.MONTH:
        return period.amount
    months = range(period.start.year * 12 + period.start.month - 1, period.end.year * 12 + period.end.month)
    return max(-(-period.amount // monthrange(month // 12, month % 12 + 1)[1]) for month in months)


def _first_paid(day: date, rate_type: RateType) -> date:
    """The day, or the Monday after where a weekend pays nothing."""
    weekend = rate_type is RateType.WEEKDAY and day.weekday() >= SATURDAY
    return day + timedelta(days=DAYS_OF_WEEK - day.weekday()) if weekend else day


def _paying_as_much(payment: Payment, period: Period, rate_type: RateType) -> Sequence[Period]:
    """The accepted periods that pay as much at the same rate, in order, of those that end on the days of a period or behind them."""
    wanted = sorted(payment.wanted, key=lambda each: each.start)
    return [each for each in wanted if each.amount >= period.amount and each.end >= period.start and payment.rate_of(each) is rate_type]
