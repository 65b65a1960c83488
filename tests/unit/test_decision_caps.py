"""The cap of a day holds for all that a case pays: held against the same said day by day (design §16)."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kvitt.disbursement.authority import SENT_BY_CASEWORKER, Authority, PaidPeriod, refused_amounts
from kvitt.disbursement.decisions import Frame
from kvitt.disbursement.values import Action, Area, CaseId, DecisionId, LineId, Payment, PaymentId, Period, RateType
from kvitt.kernel.money import Kroner

CAP, BEGIN = 30, date(2026, 5, 1)
SYSTEM = Authority(application="a", cap_kroner=CAP)
APPROVER = Authority(application="a", person="Z990001", approver=True, opens=True, frames=True, two_people=True, cap_kroner=CAP)
TWO = "Z990002", "Z990003"
Paid = tuple[int, int, int, RateType]
"""First day, days after it, amount and rate."""

_periods = st.tuples(st.integers(0, 9), st.integers(0, 6), st.integers(1, 40), st.sampled_from([RateType.WEEKDAY, RateType.DAY]))
_cases = st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), _periods)


def payment(name: str, paid: Paid) -> Payment:
    return Payment(
        original_key="B1",
        area=Area("DP"),
        payment_id=PaymentId(name),
        action=Action.CREATE,
        first_of_case=True,
        case_id=CaseId("S1"),
        decision_id=DecisionId("B1"),
        last_line=LineId("S1#0"),
        last_sent=None,
        person="01820390012",
        decided_at="2026-05-04T09:00",
        benefit=name,
        approver="Z990003",
        caseworker="Z990002",
        rate_type=paid[3],
        hold_back=None,
        periods=(period(paid),),
    )


def period(paid: Paid) -> Period:
    start = BEGIN + timedelta(days=paid[0])
    return Period(start, start + timedelta(days=paid[1]), Kroner(paid[2]))


def kroner_on(day: int, paid: Paid | None) -> int:
    """The amount of a day, straight from what a rate is."""
    if paid is None or not paid[0] <= day <= paid[0] + paid[1]:
        return 0
    return 0 if paid[3] is RateType.WEEKDAY and (BEGIN + timedelta(days=day)).weekday() > 4 else paid[2]


def raises(before: Paid | None, paid: Paid) -> bool:
    return any(kroner_on(day, paid) > (kroner_on(day, before) if before and before[3] is paid[3] else 0) for day in range(16))


def refused(before: Mapping[str, Paid], after: Mapping[str, Paid], by: Authority = SYSTEM, people: tuple[str, str] = TWO) -> str | None:
    accepted = {name: payment(name, paid) for name, paid in before.items()}
    wanted = [PaidPeriod(accepted.get(name), period(paid), paid[3]) for name, paid in after.items()]
    found = refused_amounts(by, Frame(), wanted, accepted.values(), people)
    return None if found is None else found.text


@given(_cases, _cases)
def test_no_day_is_raised_above_the_cap(before: Mapping[str, Paid], after: Mapping[str, Paid]) -> None:
    alone = any(paid[2] > CAP and raises(before.get(name), paid) for name, paid in after.items())
    totals = [[sum(kroner_on(day, each) for each in case.values()) for case in (before, after)] for day in range(16)]
    together = any(now > max(CAP, then) for then, now in totals)
    assert (refused(before, after) is not None) is (alone or together)


@given(_cases, _cases)
def test_an_approver_pays_it_unless_they_decided_it(before: Mapping[str, Paid], after: Mapping[str, Paid]) -> None:
    assert refused(before, after, APPROVER) is None
    own = refused(before, after, APPROVER, ("z990001", "Z990003"))
    assert own == (SENT_BY_CASEWORKER.text if refused(before, after) else None)


def test_the_last_day_that_there_is_can_be_paid() -> None:
    first, others = Period(date.max, date.max, Kroner(CAP)), Period(date.max, date.max, Kroner(1))
    wanted: Sequence[PaidPeriod] = [PaidPeriod(None, first, RateType.DAY), PaidPeriod(None, others, RateType.DAY)]
    assert refused_amounts(SYSTEM, Frame(), wanted[:1], [], TWO) is None
    assert refused_amounts(SYSTEM, Frame(), wanted, [], TWO) is not None


def test_a_month_counts_with_its_part_of_a_day() -> None:
    """A month of 31 days at 620 is 20 a day."""
    month = PaidPeriod(None, Period(date(2026, 5, 1), date(2026, 5, 31), Kroner(620)), RateType.MONTH)
    day = PaidPeriod(None, Period(date(2026, 5, 9), date(2026, 5, 9), Kroner(10)), RateType.ONE_OFF)
    over = PaidPeriod(None, Period(date(2026, 5, 10), date(2026, 5, 10), Kroner(11)), RateType.ONE_OFF)
    assert refused_amounts(SYSTEM, Frame(), [month, day], [], TWO) is None
    assert refused_amounts(SYSTEM, Frame(), [month, day, over], [], TWO) is not None
