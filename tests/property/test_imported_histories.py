"""Whatever the older system has decided: what is taken over goes on as it would have gone on there, and the rail pays what is wanted.

Its lines are made by the contract's own steps (`support/old_tables.py`), which share nothing with the derivation; the rail is the rules of
the emulator.
"""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kvitt.contracts.iverksetting.importing import cases_of
from kvitt.disbursement.decisions import DecisionState
from kvitt.disbursement.derive.chained import WantedPeriod, chain_payment_id
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState
from kvitt.disbursement.imported import ImportedCase
from kvitt.disbursement.schedule import Owed, expand
from kvitt.disbursement.values import Payment, Period, RateType, Scheme
from kvitt.rails.oppdrag import order_xml
from kvitt.rails.oppdrag.emulator.schedule import days_of
from support import emulator_orders
from support.decided_case import TILTAK, DecidedCase, wanting
from support.emulator_orders import Line
from support.old_tables import AREAS, Entry, OldRows, entry
from support.strategies import days_apart
from support.tried import tried

CHAINS: dict[Scheme, list[tuple[str, str | None, dict[str, object]]]] = {
    Scheme.DAGPENGER: [
        ("DAGPENGER_EØS", "card-1", {"fastsattDagsats": 1000}),
        ("DAGPENGER_EØS", "card-2", {"fastsattDagsats": 1000}),
    ],
    Scheme.TILTAKSPENGER: [
        ("ARBEIDSTRENING", "card-1", {"brukersNavKontor": "0311"}),
        ("ARBEIDSTRENING", "card-2", {"brukersNavKontor": "0312"}),
    ],
    Scheme.TILLEGGSSTONADER: [("TILSYN_BARN_AAP", None, {}), ("BOUTGIFTER_AAP", None, {})],
    Scheme.AAP: [("AAP_UNDER_ARBEIDSAVKLARING", None, {"fastsattDagsats": 1200})],
}
Spans = Sequence[tuple[int, Period]]


@st.composite
def states(draw: st.DrawFn, scheme: Scheme) -> tuple[tuple[int, Period], ...]:
    """A complete state in no order: days and amounts of each chain."""
    spans = [
        (place, Period(first, last, draw(st.integers(1, 2))))  # type: ignore[arg-type]  # kroner
        for place in range(len(CHAINS[scheme]))
        for first, last in draw(days_apart())
    ]
    return tuple(draw(st.permutations(spans)))


def histories(scheme: Scheme) -> st.SearchStrategy[list[tuple[Spans, bool]]]:
    return st.lists(st.tuples(states(scheme), st.sampled_from([True, True, False])), min_size=1, max_size=5)


def entries(scheme: Scheme, spans: Spans) -> list[Entry]:
    """The state as the older system has it."""
    found = []
    for place, period in spans:
        benefit, card, terms = CHAINS[scheme][place]
        cards = {"meldekortId": card} if card else {}
        found.append(entry(period.start.isoformat(), period.end.isoformat(), period.amount, benefit, **terms, **cards))
    return found


def wanted(scheme: Scheme, spans: Spans) -> list[WantedPeriod]:
    """The state as a decision of kvitt wants it."""
    found = []
    for place, period in spans:
        benefit, card, terms = CHAINS[scheme][place]
        rate, office = terms.get("fastsattDagsats"), terms.get("brukersNavKontor")
        found.append(wanting(replace(period, decided_rate=rate, office=office), benefit, card))
    return found


class Old(OldRows):
    """The older system with the rail of one case."""

    def __init__(self, case: DecidedCase) -> None:
        super().__init__()
        self._case, self._known = case, False

    def sent(self, area: str, case_id: str, person: str, lines: Sequence[Line]) -> None:
        change = "ENDR" if self._known else "NY"
        assert self._case.rail.take(emulator_orders.order_xml(*lines, case=case_id, area=area, person=person, change=change)) == "00"
        self._known = True


def taken_over(old: OldRows, case_id: str) -> ImportedCase:
    rows = [(sort, body) for sort, table in enumerate(("iverksetting", "iverksettingsresultat")) for body in old.bodies(table)]
    (found,) = cases_of(case_id, rows)
    assert found.case is not None, found.findings
    return found.case


def state_of(taken: ImportedCase) -> CaseState:
    """The case as rules see it after the import."""
    payments = {each.payment_id: each for each in taken.payments}
    return replace(NEW_CASE, payments=payments, person=taken.person, areas=frozenset(taken.areas), numbered=taken.numbered)


def due(scheme: Scheme, case: DecidedCase, spans: Spans) -> set[tuple[str, object, int]]:
    """What falls due by a state, chain by chain."""
    found = set()
    for each in wanted(scheme, spans):
        payment_id = chain_payment_id(scheme, case.decision.case_id, each.chain)
        owed = Owed(each.period.start, each.period.end, each.period.amount, RateType.WEEKDAY)
        found |= {(payment_id, one.day, one.amount) for one in expand([owed]).days}
    return found


def paid(case: DecidedCase) -> set[tuple[str, object, int]]:
    """What falls due at the rail, by the payments whose last lines are the newest of their chains."""
    of_chain: dict[str, Payment] = {order_xml.encode_line_id(each.last_line): each for each in case.state.payments.values()}
    spans = case.rail.pays()
    newest = {span.chain_first_line_id: of_chain[span.chain_last_line_id].payment_id for span in spans}
    return {(newest[one.chain], one.date, one.amount) for one in days_of(spans)[0]}


@pytest.mark.parametrize("scheme", CHAINS)
@given(data=st.data())
@tried(60)
def test_a_case_goes_on_with_the_lines_that_the_older_system_would_have_made(scheme: Scheme, data: st.DataObject) -> None:
    case = DecidedCase(replace(TILTAK, scheme=scheme))
    case_id, old = case.decision.case_id, Old(case)
    for number, (spans, _) in enumerate(data.draw(histories(scheme))):
        old.decide(case_id, f"B{number}", *entries(scheme, spans), scheme=scheme.value, person=case.decision.person)
    case.state = state_of(taken_over(old, case_id))
    spans = data.draw(states(scheme))
    theirs, _, _ = old.cases[scheme.value, case_id].lines_for(entries(scheme, spans))
    order = case.decides(wanted(scheme, spans))
    ours = [
        Line(
            each.line_id,
            each.start.isoformat(),
            each.end.isoformat(),
            each.amount,
            ref=each.refers_to or "",
            ceased_from=each.ceased_from.isoformat() if each.ceased_from else "",
            rate_code="DAG",
            class_code=each.class_code,
            decided_rate=each.decided_rate,
        )
        for each in (order.lines if order else ())
    ]
    assert ours == theirs
    assert paid(case) == due(scheme, case, spans)


@pytest.mark.parametrize("scheme", CHAINS)
@given(data=st.data())
@tried(60)
def test_after_decisions_that_were_rejected_too_the_rail_pays_what_is_wanted(scheme: Scheme, data: st.DataObject) -> None:
    """The rail took none of a rejected decision, in the older system or here, and no number is ever used twice."""
    case = DecidedCase(replace(TILTAK, scheme=scheme))
    case_id, old = case.decision.case_id, Old(case)
    pays: Spans = ()
    used: set[str] = set()
    for number, (spans, accepted) in enumerate(data.draw(histories(scheme))):
        state = "" if accepted else "KVITTERT_FUNKSJONELL_FEIL"
        lines = old.decide(case_id, f"B{number}", *entries(scheme, spans), scheme=scheme.value, state=state, person=case.decision.person)
        used |= {line.line_id for line in lines}
        pays = spans if accepted else pays
        if not accepted:
            # The older system goes on from there by hand, with a number that was not used.
            break
    taken = taken_over(old, case_id)
    assert [each.state is DecisionState.REJECTED for each in taken.decisions].count(True) <= 1
    case.state, case.made = state_of(taken), used
    assert paid(case) == due(scheme, case, pays)
    for spans, accepted in data.draw(histories(scheme)):
        order = case.decides(wanted(scheme, spans), accepted=accepted)
        pays = spans if accepted or order is None else pays
        assert paid(case) == due(scheme, case, pays)


def test_every_scheme_of_decisions_is_among_them() -> None:
    assert {scheme.value for scheme in CHAINS} == {*AREAS}
