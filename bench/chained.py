"""A chain of very many decisions: what one more costs the rules alone, and what it costs from its bytes to the order that is durable."""

import gc
import statistics
import time
from datetime import date, datetime, timedelta
from typing import Any, Final

import msgspec
import psycopg
from msgspec.structs import replace

from bench.large_case import accept_ready
from bench.place import Place
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from kvitt.app.ports import PORTS
from kvitt.contracts.iverksetting.call import SOURCE_OF, EnactmentCall
from kvitt.contracts.iverksetting.decision import DecisionForm, Generation
from kvitt.contracts.iverksetting.read import ReadingTerms
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.derive.chained import WantedPeriod, derive
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.instructions import Decision
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.disbursement.values import CaseId, DecisionId, Order, Period, RateType, Refusal, Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.money import Kroner

MOST_MS, MOST_DURABLE_MS = 20, 40
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


def run(place: Place, size: Size) -> None:
    """One more decision with all that the case pays, of which one card changes and one is new; samples: best and worst."""
    _derive(size)
    _decide(place, size)


def _derive(size: Size) -> None:
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
    report(
        Figure(
            name="one more decision: derivation",
            value=rounded(sorted(taken)[_TIMES // 2]),
            unit="ms of one core, median",
            on=f"a chain of {size.decisions_of_case} decisions with {len(wanted)} periods",
            samples=[rounded(min(taken)), rounded(max(taken))],
            target=Target(most=MOST_MS),
        )
    )


_SOURCE: Final = SOURCE_OF[Scheme.TILTAKSPENGER]
_HEADERS: Final = EnactmentCall(
    ReadingTerms(DecisionForm.V2, Generation.THIRD), Authority(application="bench", opens=True)
).headers.encode()


def _decide(place: Place, size: Size) -> None:
    """A case that grows decision by decision, each accepted by the rail before the next."""
    with place.database() as conninfo, connect(conninfo, application="kvitt bench", keeps_plans=True) as connection:
        case = _GrowingCase(connection)
        for _ in range(size.decisions_of_case):
            case.decide(changes=False)
        periods = len(case.spans)
        gc.freeze()  # as in a hub: its collector shall not walk through what was loaded before
        taken = [case.decide(changes=True) for _ in range(_TIMES)]
    report(
        Figure(
            name="one more decision: durable order",
            value=rounded(statistics.median(taken)),
            unit="ms, median",
            on=f"a chain of {size.decisions_of_case} decisions with {periods} periods",
            samples=[rounded(min(taken)), rounded(max(taken))],
            target=Target(most=MOST_DURABLE_MS),
            durability=place.durability(),
        )
    )


class _GrowingCase:
    """A case with all that it pays, as its next decision says it."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection, self._submit = connection, Submit(connection, utc_now, PORTS).execute
        self._decisions = 0
        self.spans: list[dict[str, object]] = []

    def decide(self, *, changes: bool) -> float:
        """One decision more, with a new card; `changes`: other amounts for the newest one before. Returns its milliseconds."""
        if changes:
            self.spans[-_PERIODS_OF_DECISION:] = _spans(self._decisions - 1, 600)
        self.spans += _spans(self._decisions, 500)
        self._decisions += 1
        call = Incoming(_SOURCE, 0, self._decisions, b"bench", _body(self._decisions, self.spans), _HEADERS)
        started = time.perf_counter()
        outcomes = self._submit([call])
        milliseconds = 1000 * (time.perf_counter() - started)
        assert outcomes == [Outcome.DERIVED], "each decision changes something"
        accept_ready(self._connection)
        return milliseconds


def _spans(number: int, amount: int) -> list[dict[str, object]]:
    """The periods of one reporting card, as a decision says them."""
    return [
        {
            "beløp": each.period.amount,
            "satstype": "DAGLIG",
            "fraOgMedDato": each.period.start,
            "tilOgMedDato": each.period.end,
            "stønadsdata": {"stønadstype": _BENEFIT.name, "meldekortId": each.reporting_card, "brukersNavKontor": each.period.office},
        }
        for each in _fortnight(number, amount)
    ]


def _body(number: int, spans: list[dict[str, object]]) -> bytes:
    before = {"behandlingId": f"B{number - 1}", "iverksettingId": None} if number > 1 else None
    people = {"saksbehandlerId": _DECISION.caseworker, "beslutterId": _DECISION.approver}
    decided = {"vedtakstidspunkt": "2026-07-04T09:15:00", **people, "utbetalinger": spans}
    body = {"sakId": _DECISION.case_id, "behandlingId": f"B{number}", "personident": _DECISION.person, "vedtak": decided}
    return msgspec.json.encode({**body, "forrigeIverksetting": before})
