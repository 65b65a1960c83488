"""Authority of a decision: who sends it, and which rules of its scheme bind them, applied to what the decision says (iverksetting §1.6).

The rules are settings, and who sends is found in a token; what both mean for one decision stands in the headers of its record, so that it
is handled again years later without either.
"""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.calendar import DAYS_OF_WEEK, SATURDAY, next_day
from kvitt.disbursement.decisions import Frame
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Payment, Period, RateType, Refusal, Scheme
from kvitt.kernel.operators import same_person

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


def is_unopened(case: CaseState, edition: int) -> bool:
    """Whether nothing was ever received in a case: no contract has it, or an import left it out, and somebody had that forgotten."""
    forgotten = case.opened_for is None and not case.orders_made and not case.payments
    return case.contract is None or (edition >= Edition.OPENED_FOR and forgotten)


def is_opened_for_another(case: CaseState, person: str, edition: int) -> bool:
    """Whether a case of which nothing was accepted was opened for somebody else; of one that was opened before this rule, nobody knows."""
    return edition >= Edition.OPENED_FOR and case.person is None and case.opened_for not in (None, person)


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
    if same_person(caseworker, approver):
        return ONE_PERSON
    if as_approver and by.approver and by.person is not None and same_person(by.person, caseworker):
        return SENT_BY_CASEWORKER
    return None


class PaidPeriod(NamedTuple):
    """A period with the rate that it is paid at; `payment` is what was accepted of its payment before, None: nothing."""

    payment: Payment | None
    period: Period
    rate_type: RateType

    @property
    def said(self) -> tuple[object, ...]:
        """Returns what two of them have in common that say the same."""
        paid = self.payment.payment_id if self.payment else None
        return paid, self.period.start, self.period.end, self.period.amount, self.rate_type


def paid_of(payments: Iterable[Payment]) -> Sequence[PaidPeriod]:
    """All that payments shall pay."""
    return [PaidPeriod(each, period, each.rate_of(period)) for each in payments for period in each.wanted]


def refused_amounts(
    by: Authority, frame: Frame, wanted: Sequence[PaidPeriod], accepted: Iterable[Payment], people: tuple[str, str]
) -> Refusal | None:
    """The refusal of a case that shall pay `wanted`; None: within the frame, or sent by an approver who has not decided it.

    What was accepted may be said again by anybody. The cap holds for each payment that is raised, and for all together on a day on
    which they pay more than they did. `people`: who decided and who attests.
    """
    own = refused_one_person(by, *people, as_approver=True) if by.approver else None
    bound = frame.start is not None or _cap(by, frame) is not None
    if not bound or (by.approver and own is None):
        return None
    first, highest = _raised(wanted, paid_of(accepted), capped=_cap(by, frame) is not None)
    refused = refused_outside_frame(replace(by, approver=False), frame.start, frame.cap_kroner, first, highest)
    return own if refused and by.approver else refused


def _cap(by: Authority, frame: Frame) -> int | None:
    return by.cap_kroner if frame.cap_kroner is None else frame.cap_kroner


def _raised(wanted: Sequence[PaidPeriod], before: Sequence[PaidPeriod], *, capped: bool) -> tuple[date | None, int]:
    """The first day on which a period pays more than its payment did, and the most that is paid on such a day; None: on no day."""
    said = {each.said for each in before}
    raised = [(day, each) for each in wanted if each.said not in said and (day := first_raised(*each)) is not None]
    if not raised:
        return None, 0
    first = min(day for day, _ in raised)
    if not capped:
        return first, 0
    alone = max(kroner_a_day(each.period, each.rate_type) for _, each in raised)
    return first, max(alone, _most_together(raised, wanted, before))


_RAISED, _WANTED, _BEFORE = 0, 1, 3
"""Where a change stands: how many periods are raised; what is paid from Monday to Friday and at weekends, and what was."""


def _most_together(raised: Sequence[tuple[date, PaidPeriod]], wanted: Iterable[PaidPeriod], before: Iterable[PaidPeriod]) -> int:
    """The most that is paid in all on a day on which something is raised and more is paid than before; 0: there is none."""
    first, last = min(day for day, _ in raised), max(each.period.end for _, each in raised)
    changes: dict[int, list[int]] = defaultdict(lambda: [0] * 5)
    for day, each in raised:
        _change(changes, day, each.period.end, {_RAISED: 1})
    for place, periods in ((_WANTED, wanted), (_BEFORE, before)):
        for _, period, rate_type in periods:
            if period.start <= last and period.end >= first:
                kroner = kroner_a_day(period, rate_type)
                _change(changes, period.start, period.end, {place: kroner, place + 1: 0 if rate_type is RateType.WEEKDAY else kroner})
    return _most(changes)


def _change(changes: dict[int, list[int]], start: date, end: date, amounts: Mapping[int, int]) -> None:
    """Days are numbers here: the day after the last one is one, too."""
    for day, sign in ((start.toordinal(), 1), (end.toordinal() + 1, -1)):
        for place, amount in amounts.items():
            changes[day][place] += sign * amount


def _most(changes: Mapping[int, list[int]]) -> int:
    most, sums = 0, [0] * 5
    for day, until in pairwise(sorted(changes)):
        sums = [total + change for total, change in zip(sums, changes[day], strict=True)]
        kinds = {int((number - 1) % DAYS_OF_WEEK >= SATURDAY) for number in range(day, min(until, day + DAYS_OF_WEEK))}
        more = [sums[_WANTED + kind] for kind in kinds if sums[_WANTED + kind] > sums[_BEFORE + kind]]
        most = max([most, *more]) if sums[_RAISED] else most
    return most


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
