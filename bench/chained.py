"""A chain of decisions alone: what one more costs the rules in a case that has very many periods, without reading or storing anything."""

import time
from datetime import date, datetime, timedelta

from msgspec.structs import replace

from bench.place import Place
from bench.report import Figure, Target, rounded, tell
from bench.size import Size
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.derive.chained import WantedPeriod, derive
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState
from kvitt.disbursement.instructions import Decision
from kvitt.disbursement.values import CaseId, DecisionId, Order, Period, RateType, Refusal, Scheme
from kvitt.kernel.money import Kroner

MOST_MS = 20
_PERIODS_OF_DECISION = 4
_TIMES = 15
_BENEFIT = BENEFITS["ARBEIDSTRENING"]
_BEGINS = date(2006, 1, 2)
_MADE_AT = datetime(2026, 7, 4, 9, 15)  # noqa: DTZ001 - the rail's clock has no zone
_DECISION = Decision(
    scheme=Scheme.TILTAKSPENGER,
    key="key",
    case_id=CaseId("long-case"),
    decision_id=DecisionId("B1"),
    person="01820390012",
    decided_at="2026-07-04T09:15:00",
    caseworker="A100001",
    approver="B200002",
    hold_back=None,
    dry_run=False,
    whole_case=True,
)


def _fortnight(number: int, amount: int) -> list[WantedPeriod]:
    """The periods of one reporting card: each some days, of amounts that differ."""
    found = []
    for place in range(_PERIODS_OF_DECISION):
        first = _BEGINS + timedelta(days=14 * number + 3 * place)
        period = Period(first, first + timedelta(days=2), Kroner(amount + place), "0219")
        found.append(WantedPeriod(_BENEFIT, f"card-{number}", RateType.WEEKDAY, period))
    return found


def _ordered(wanted: list[WantedPeriod], state: CaseState) -> Order:
    found = derive(_DECISION, wanted, state, _MADE_AT)
    assert not isinstance(found, Refusal), "the made-up decisions are sound"
    (order,) = found
    return order


def _after(order: Order, state: CaseState) -> CaseState:
    payments = {**state.payments, **{each.payment_id: each for each in order.payments}}
    numbered = order.numbered
    return replace(state, payments=payments, areas=state.areas | {order.area}, orders_made=order.number, numbered=numbered)


def run(_: Place, size: Size) -> None:
    """One more decision with all that the case pays, of which one card changes and one is new; samples: best and worst."""
    state, wanted = NEW_CASE, list[WantedPeriod]()
    for number in range(size.decisions_of_case):
        wanted += _fortnight(number, 500)
        state = _after(_ordered(wanted, state), state)
    changed = [*wanted[:-_PERIODS_OF_DECISION], *_fortnight(size.decisions_of_case - 1, 600), *_fortnight(size.decisions_of_case, 500)]
    taken = []
    for _time in range(_TIMES):
        # The time of the processor, so that other work on the machine does not count.
        started = time.process_time()
        order = _ordered(changed, state)
        taken.append(1000 * (time.process_time() - started))
    assert len(order.lines) == 2 * _PERIODS_OF_DECISION, "what does not change is not sent again"
    tell(
        Figure(
            name="one more decision: derivation",
            value=rounded(sorted(taken)[_TIMES // 2]),
            unit="ms of one core, median",
            on=f"a chain of {size.decisions_of_case} decisions with {len(wanted)} periods",
            samples=[rounded(min(taken)), rounded(max(taken))],
            target=Target(most=MOST_MS),
        )
    )
