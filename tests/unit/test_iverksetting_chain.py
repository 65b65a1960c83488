"""The rules of a decision after those before it, and of who may send it; each with its code and text in each generation."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from kvitt.contracts.iverksetting.benefits import catalogue_name
from kvitt.contracts.iverksetting.call import EnactmentCall
from kvitt.contracts.iverksetting.chain import DecisionInCase, refused_in_case
from kvitt.contracts.iverksetting.contract import checked
from kvitt.contracts.iverksetting.decision import CaseDecision, DecidedSpan, DecisionForm, EnactmentKey, Generation
from kvitt.contracts.iverksetting.read import ReadingTerms, read_decision
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.decisions import DecisionChain, DecisionState, Frame, ReceivedDecision
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState
from kvitt.disbursement.values import Action, Area, CaseId, DecisionId, LineId, Payment, PaymentId, Period, Refusal, Scheme
from kvitt.kernel.money import Kroner
from support.iverksetting_bodies import PERSON, Body, days, encoded, old, old_day, previous, v2

SCHEME = Scheme.TILLEGGSSTONADER
MACHINE = Authority(application="utbetaling", opens=True, frames=True, two_people=False)
SERVICE = Authority(application="utbetaling", cap_kroner=2000)
APPROVER = Authority(application="saksbehandling", person="B200002", approver=True, opens=True, frames=True, two_people=True)
ACCEPTED, OPEN, REJECTED, NOTHING = DecisionState.ACCEPTED, DecisionState.OPEN, DecisionState.REJECTED, DecisionState.WITHOUT_PAYMENT
CHAIN = [("B1", ACCEPTED), ("B2", ACCEPTED)]
ONE, TWO, THREE = (str(uuid5(NAMESPACE_URL, name)) for name in ("one", "two", "three"))


def chain_of(received: Sequence[tuple[str, DecisionState]], named: Body | None) -> DecisionChain:
    """The chain of decisions in their order, as one finds it that names `named`."""
    all_of_them = [ReceivedDecision((name, ""), number, state) for number, (name, state) in enumerate(received, 1)]
    by_key = {each.key: each for each in all_of_them}
    in_force = [each for each in all_of_them if each.state in (ACCEPTED, NOTHING)]
    key = (named["behandlingId"], named.get("iverksettingId") or "") if named else None
    return DecisionChain(all_of_them[-1] if all_of_them else None, in_force[-1] if in_force else None, by_key.get(key) if key else None)


def paid(spans: Sequence[DecidedSpan]) -> Mapping[PaymentId, Payment]:
    """What is accepted, as if a decision with these entries had been."""
    found: dict[PaymentId, Payment] = {}
    for span in spans:
        key = PaymentId(catalogue_name(span.terms))
        before = found[key].periods if key in found else ()
        found[key] = Payment(
            original_key="B1",
            area=Area("TILLST"),
            payment_id=key,
            action=Action.CREATE,
            first_of_case=True,
            case_id=CaseId("S12"),
            decision_id=DecisionId("B1"),
            last_line=LineId("S12#0"),
            last_sent=None,
            person=PERSON,
            decided_at="2026-05-04T09:00",
            benefit=key,
            approver="B200002",
            caseworker="A100001",
            rate_type=span.rate_type,
            hold_back=None,
            periods=(*before, Period(span.start, span.end, span.amount)),
        )
    return found


def refused(
    body: Body,
    received: Sequence[tuple[str, DecisionState]] = (),
    *,
    by: Authority = MACHINE,
    generation: Generation = Generation.THIRD,
    accepted: Body | None = None,
    form: DecisionForm = DecisionForm.V2,
    **case: Any,
) -> Refusal | None:
    """The refusal of a decision in a case that has received others, and pays what `accepted` says."""
    decision = decided(body, form)
    payments = [PaymentId(catalogue_name(span.terms)) for span in decision.spans]
    stands: dict[str, Any] = {"decisions": chain_of(received, body["forrigeIverksetting"]), "person": PERSON if received else None, **case}
    if accepted is not None:
        stands["payments"] = paid(decided(accepted, form).spans)
    found = CaseState(**{**{name: getattr(NEW_CASE, name) for name in NEW_CASE.__struct_fields__}, **stands})
    return refused_in_case(DecisionInCase(decision, found, SCHEME, by, generation), payments)


def decided(body: Body, form: DecisionForm = DecisionForm.V2) -> CaseDecision:
    found = read_decision(encoded(body), ReadingTerms(form))
    assert isinstance(found, CaseDecision), found
    return found


def named(decision: str = "B3", after: str | None = "B2", spans: Sequence[Body] = (), **members: Any) -> Body:
    return v2(decision=decision, spans=spans, after=previous(after) if after else None, **members)


NOT_LATEST = (
    "Forrige iverksetting stemmer ikke med siste mottatte iverksetting på saken. BehandlingId/IverksettingId forrige iverksetting: "
)
RULES = [
    (
        named(after="B9"),
        CHAIN,
        (400, "Fant ikke iverksetting med sakId S12 og behandlingId B9 og iverksettingId null"),
        (409, "Fant ikke forrige iverksetting med behandlingId B3 og forrige behandlingId B9 for fagsystem TILLEGGSSTØNADER"),
        (400, "Forrige behandling med id B9 er ikke mottatt for iverksetting"),
    ),
    (
        named(after="B9"),
        [],
        (400, "Fant ikke iverksetting med sakId S12 og behandlingId B9 og iverksettingId null"),
        (409, "Fant ikke forrige iverksetting med behandlingId B3 og forrige behandlingId B9 for fagsystem TILLEGGSSTØNADER"),
        (400, "Forrige behandling med id B9 er ikke mottatt for iverksetting"),
    ),
    *[
        (
            named(after=after),
            CHAIN,
            *[(400, f"{NOT_LATEST}{said}, behandlingId/iverksettingId siste mottatte iverksetting: B2/null")] * 3,
        )
        for after, said in (("B1", "B1/null"), (None, "null/null"))
    ],
    (
        named(),
        [("B1", ACCEPTED), ("B2", OPEN)],
        (423, "Forrige iverksetting er ikke ferdig iverksatt mot Oppdragssystemet"),
        (409, "Forrige iverksetting er ikke ferdig iverksatt mot Oppdragssystemet"),
        (409, "Forrige iverksetting er ikke ferdig håndtert mhp oppdrag"),
    ),
]


@pytest.mark.parametrize(("body", "received", "third", "second", "first"), RULES)
def test_a_broken_chain_is_said_with_the_code_and_text_of_each_generation(
    body: Body, received: Sequence[tuple[str, DecisionState]], third: tuple[int, str], second: tuple[int, str], first: tuple[int, str]
) -> None:
    for generation, said in (
        (Generation.THIRD, third),
        (Generation.SECOND, second),
        (Generation.SECOND_PLAIN, second),
        (Generation.FIRST, first),
    ):
        found = refused(body, received, generation=generation)
        assert found is not None
        assert (found.status, found.text) == said


def test_the_rules_of_the_chain_are_looked_at_in_their_order() -> None:
    open_and_not_latest = refused(named(after="B1"), [("B1", ACCEPTED), ("B2", OPEN)])
    assert open_and_not_latest is not None
    assert open_and_not_latest.text.startswith("Forrige iverksetting stemmer ikke")


@pytest.mark.parametrize(
    ("after", "received"),
    [
        (None, []),
        ("B2", CHAIN),
        ("B2", [("B1", ACCEPTED), ("B2", NOTHING)]),
        ("B2", [("B1", ACCEPTED), ("B2", REJECTED)]),
        ("B1", [("B1", ACCEPTED), ("B2", REJECTED)]),
        (None, [("B1", REJECTED)]),
        ("B1", [("B1", REJECTED)]),
    ],
)
def test_a_decision_goes_on_from_the_latest_one_or_from_what_a_rejected_one_was_built_on(
    after: str | None, received: Sequence[tuple[str, DecisionState]]
) -> None:
    assert refused(named(after=after), received) is None


def test_a_null_id_is_no_other_id() -> None:
    found = refused(v2(decision="B3", after=previous("B2", "i"), iverksettingId="j"), CHAIN)
    assert found is not None
    assert found.text == "Fant ikke iverksetting med sakId S12 og behandlingId B2 og iverksettingId i"


def test_an_empty_id_is_not_none() -> None:
    names = {EnactmentKey("B2", enactment).names for enactment in (None, "", "i")}
    assert len(names) == 3


def test_a_case_that_waits_for_something_else_takes_no_decision() -> None:
    found = refused(named(), CHAIN, open=True)
    assert found is not None
    assert found.status == 423


SPANS = [days("2026-05-04", "2026-05-08", 1650)]


@pytest.mark.parametrize(
    ("body", "received", "by", "text"),
    [
        (named(after=None), [], SERVICE, "Første vedtak på en sak må sendes av en ansatt med beslutter-rolle"),
        (named(virkningstidspunkt="2026-01-01"), CHAIN, SERVICE, "Rammevedtak må sendes av en ansatt med beslutter-rolle"),
        (named(maksbeløpPerDag=9000), CHAIN, SERVICE, "Rammevedtak må sendes av en ansatt med beslutter-rolle"),
        (named(beslutterId="a100001"), CHAIN, APPROVER, "Saksbehandler og beslutter kan ikke være samme person"),
        (
            named(after=None, saksbehandlerId="B200002", beslutterId="C300003"),
            [],
            APPROVER,
            "Beslutter som sender vedtaket kan ikke selv være saksbehandler i det",
        ),
        (named(spans=[days("2026-05-04", amount=2001)]), CHAIN, SERVICE, "Beløp over maksgrensen på 2000 kr per dag"),
        (named(spans=[days("2026-05-04", amount=2001, rate="ENGANGS")]), CHAIN, SERVICE, "Beløp over maksgrensen på 2000 kr per dag"),
        (
            named(spans=[days("2026-02-01", "2026-02-28", 56_001, rate="MÅNEDLIG")]),
            CHAIN,
            SERVICE,
            "Beløp over maksgrensen på 2000 kr per dag",
        ),
    ],
)
def test_what_needs_an_approver_or_two_people_is_refused(
    body: Body, received: Sequence[tuple[str, DecisionState]], by: Authority, text: str
) -> None:
    found = refused(body, received, by=by)
    assert found is not None
    assert found.status == 403
    assert found.text.startswith(text)


@pytest.mark.parametrize(
    ("body", "received"),
    [
        (named(after=None, virkningstidspunkt="2026-05-01", spans=SPANS), []),
        (named(virkningstidspunkt="2026-01-01", maksbeløpPerDag=1), CHAIN),
        (named(spans=[days("2020-01-01", amount=90_000)]), CHAIN),
    ],
)
def test_an_approver_opens_a_case_moves_its_frame_and_pays_outside_of_it(body: Body, received: Sequence[tuple[str, DecisionState]]) -> None:
    assert refused(body, received, by=APPROVER, frame=Frame(date(2026, 5, 1), Kroner(2000))) is None


FRAME = Frame(date(2026, 5, 6), Kroner(1650))


@pytest.mark.parametrize(
    ("spans", "accepted", "within"),
    [
        ([days("2026-05-06", "2026-05-08", 1650)], [], True),
        ([days("2026-05-05", "2026-05-08", 1650)], [], False),
        ([days("2026-05-06", amount=1651)], [], False),
        (SPANS, SPANS, True),
        ([days("2026-05-04", "2026-05-05", 1650)], SPANS, True),
        ([days("2026-05-04", "2026-05-08", 1500)], SPANS, True),
        ([days("2026-05-04", "2026-05-08", 1650)], [days("2026-05-04", "2026-05-05", 1650), days("2026-05-06", "2026-05-08", 1660)], True),
        ([days("2026-05-04", "2026-05-12", 1650)], SPANS, True),
        ([days("2026-05-01", "2026-05-08", 1650)], SPANS, False),
        ([days("2026-05-04", "2026-05-08", 1650, benefit="BOUTGIFTER_AAP")], SPANS, False),
        ([days("2026-05-04", "2026-05-08", 1650, rate="DAGLIG_INKL_HELG")], SPANS, False),
        ([days("2026-05-04", "2026-05-12", 1700)], [days("2026-05-04", "2026-05-08", 1700), days("2026-05-11", "2026-05-12", 1700)], True),
        ([], SPANS, True),
    ],
)
def test_a_service_pays_within_the_frame_and_may_say_again_what_is_accepted(
    spans: Sequence[Body], accepted: Sequence[Body], within: bool
) -> None:
    found = refused(named(spans=spans), CHAIN, by=SERVICE, frame=FRAME, accepted=v2(spans=accepted))
    assert (found is None) is within


def first(decision: str, after: tuple[str, Sequence[Body]] | None, spans: Sequence[Body] = (), **members: Any) -> Body:
    return old(decision, spans, after=after, **members)


PAID = [old_day("2026-05-04", "2026-05-08", 1650)]


def refused_first(body: Body, received: Sequence[str] = (ONE, TWO), by: Authority = MACHINE, **case: Any) -> Refusal | None:
    states = [(decision, ACCEPTED) for decision in received]
    return refused(body, states, form=DecisionForm.FIRST, generation=Generation.FIRST, by=by, **case)


def test_the_first_form_says_again_what_was_decided_last() -> None:
    again = first(THREE, (TWO, PAID), [*PAID, old_day("2026-05-11")])
    assert refused_first(again, accepted=first(TWO, None, PAID)) is None
    for wrong in ([], [old_day("2026-05-04", "2026-05-08", 1651)], [*PAID, old_day("2026-05-11")]):
        found = refused_first(first(THREE, (TWO, wrong), PAID), accepted=first(TWO, None, PAID))
        assert found is not None
        assert (found.status, found.text) == (400, "Mottatt og faktisk forrige iverksatting er ikke konsistente")


def test_the_order_in_which_it_was_decided_is_no_matter() -> None:
    both = [old_day("2026-05-04"), old_day("2026-05-11", amount=700, ferietillegg="ORDINAER")]
    assert refused_first(first(THREE, (TWO, both[::-1]), both), accepted=first(TWO, None, both)) is None


def test_the_person_of_a_case_of_the_first_form_stays_who_they_were() -> None:
    found = refused_first(first(THREE, (TWO, []), PAID), person="02830490062")
    assert found is not None
    assert (found.status, found.text) == (
        400,
        "Forrige behandling er knyttet til en annen person enn denne iverksettingen gjelder",
    )
    assert refused(named(), CHAIN, person="02830490062") is None


def test_a_payment_decision_follows_a_frame() -> None:
    found = refused_first(first(ONE, None, PAID), ())
    assert found is not None
    assert (found.status, found.text) == (409, "Stønadsmottaker har ikke iverksatt rammevedtak")
    assert refused_first(first(ONE, None, vedtakstype="RAMMEVEDTAK"), ()) is None


def test_a_frame_decision_needs_an_approver() -> None:
    found = refused_first(first(THREE, (TWO, []), vedtakstype="RAMMEVEDTAK"), by=SERVICE)
    assert found is not None
    assert (found.status, found.text) == (403, "Rammevedtak må sendes av en ansatt med beslutter-rolle")
    assert refused_first(first(THREE, (TWO, []), vedtakstype="RAMMEVEDTAK"), by=APPROVER) is None


@pytest.mark.parametrize(
    ("generation", "by", "status"),
    [
        (Generation.FIRST, SERVICE, 403),
        (Generation.FIRST, APPROVER, 400),
        (Generation.SECOND, SERVICE, 400),
        (Generation.THIRD, SERVICE, 400),
    ],
)
def test_in_the_first_generation_that_is_said_before_the_rules_of_the_body(generation: Generation, by: Authority, status: int) -> None:
    body = old(ONE, [old_day("2026-05-04", amount=9000)], vedtakstype="RAMMEVEDTAK")
    found = checked(encoded(body), Scheme.DAGPENGER, EnactmentCall(ReadingTerms(DecisionForm.FIRST, generation), by))
    assert isinstance(found, Refusal)
    assert found.status == status
