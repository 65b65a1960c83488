"""Cases of an older system's tables, taken over: later decisions and changes go on from the lines that the rail has (iverksetting §9)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from msgspec import structs

from kvitt.contracts.iverksetting.importing import read_cases
from kvitt.contracts.utbetalinger.importing import read_payments
from kvitt.disbursement import take_over as module
from kvitt.disbursement.check.check import check
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.take_over import RowRule, TakeOver, TakeOverReport
from kvitt.disbursement.values import Scheme
from kvitt.kernel.operators import Operator
from kvitt.kernel.source_tables import source_tables
from kvitt.testing import Hub, TestServer
from support.emulator_orders import Line
from support.iverksetting_bodies import PERSON, dagpenger, days, encoded, person_of, previous, v2
from support.iverksetting_stage import DecisionSite, decision_site
from support.old_tables import KINDS, OldSystem, entry, on_wire
from support.single_payments import Body, single, span

OPERATOR = Operator("kari", "kvitt takes over", "ola")
UID, OTHER = "5d0c2e9e-1111-4222-8333-444455556666", "5d0c2e9e-1111-4222-8333-444455557777"
LINE = "850a4857-fa4e-4d0d-934a-240f7c76c8a4"


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[DecisionSite]:
    with decision_site(database, tmp_path) as site:
        yield site


@pytest.fixture
def hub(site: DecisionSite) -> Hub:
    return site.hub


@pytest.fixture
def old(kvitt_server: TestServer, hub: Hub) -> Iterator[OldSystem]:
    with kvitt_server.new_database() as conninfo:
        system = OldSystem(conninfo, hub)
        yield system
        system.close()


def take_over(
    hub: Hub, old: OldSystem, *, dry_run: bool = False, leave_out: bool = False, progress: Callable[[TakeOverReport], None] = lambda _: None
) -> TakeOverReport:
    with source_tables(old.conninfo) as tables:
        reads = [partial(read_cases, tables), partial(read_payments, tables)]
        return TakeOver(hub.connection, hub.clock).run(reads, OPERATOR, dry_run=dry_run, leave_out=leave_out, progress=progress)


def differences(hub: Hub) -> list[str]:
    """What the check finds by itself, of a hub that does not know yet all that the rail has."""
    return [str(each) for each in check(hub.conninfo, hub.ports).differences]


def lines_of(hub: Hub) -> list[tuple[str, str, str, str, str, int, str]]:
    """The lines of the order that left last: id, day from which it is ceased, the line before, days, amount, class code."""
    return [
        (
            each.line_id,
            str(each.status_from) if each.status else "",
            each.ref_line,
            str(each.starts),
            str(each.ends),
            each.amount,
            each.class_code,
        )
        for each in hub.sent()[-1].lines
    ]


TS = "TSTBASISP4-OP"


def test_a_correcting_decision_goes_on_from_the_lines_that_the_rail_has(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    first = [entry("2025-02-10", "2025-02-21", 640), entry("2025-02-24", "2025-03-07", 655)]
    old.decide("S1", "B1", *first)
    old.decide("S1", "B2", entry("2025-02-10", "2025-02-14", 640))
    report = take_over(hub, old)
    assert (report.cases, report.decisions, report.payments, report.left_out, report.counts) == (1, 2, 1, 0, {})
    assert hub.findings() == []
    assert [site.status("S1", each).json() for each in ("B1", "B2")] == ["OK", "OK"]
    site.take(v2("S1", "B3", [days("2025-02-10", "2025-02-14", 640), days("2025-03-03", "2025-03-07", 700)], after=previous("B2")))
    hub.run()
    assert lines_of(hub) == [("S1#2", "", "S1#1", "2025-03-03", "2025-03-07", 700, TS)]
    site.take(v2("S1", "B4", [days("2025-02-10", "2025-02-12", 640)], after=previous("B3")), approver=False)
    hub.run()
    assert lines_of(hub) == [("S1#2", "2025-02-13", "", "2025-03-03", "2025-03-07", 700, TS)]
    assert site.status("S1", "B4").json() == "OK"
    assert hub.findings() == []


def test_a_cut_after_the_move_repeats_the_last_line_as_it_was_made(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    old.decide("S1", "B1", entry("2025-02-10", "2025-03-07", 640))
    old.decide("S1", "B2", entry("2025-02-10", "2025-02-21", 640))
    take_over(hub, old)
    site.take(v2("S1", "B3", [days("2025-02-10", "2025-02-14", 640)], after=previous("B2")))
    hub.run()
    assert lines_of(hub) == [("S1#0", "2025-02-15", "", "2025-02-10", "2025-03-07", 640, TS)]
    assert hub.findings() == []


def test_chains_of_reporting_cards_that_have_ceased_are_gone_on_with_too(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    terms = {"benefit": "DAGPENGER_ARBEIDSSØKER_ORDINÆR", "fastsattDagsats": 1000}
    one, two = ({**terms, "meldekortId": card} for card in ("M1", "M2"))
    old.decide("D1", "B1", entry("2025-02-10", "2025-02-21", 640, **one), entry("2025-02-24", "2025-03-07", 640, **two), scheme="DAGPENGER")
    old.decide("D1", "B2", entry("2025-02-24", "2025-03-07", 640, **two), scheme="DAGPENGER")
    report = take_over(hub, old)
    assert (report.payments, report.ceased) == (2, 1)
    wanted = [dagpenger("2025-02-10", "2025-02-21", 700, card="M1"), dagpenger("2025-02-24", "2025-03-07", 710, card="M2")]
    site.take(v2("D1", "B3", wanted, after=previous("B2")), Scheme.DAGPENGER)
    hub.run()
    assert lines_of(hub) == [
        ("D1#2", "", "D1#0", "2025-02-10", "2025-02-21", 700, "DPORAS"),
        ("D1#3", "", "D1#1", "2025-02-24", "2025-03-07", 710, "DPORAS"),
    ]
    assert hub.findings() == []


def test_numbers_of_a_rejected_decision_are_not_used_again_and_it_may_be_gone_on_from(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    old.decide("S1", "B1", entry("2025-02-10", "2025-02-21", 640))
    old.decide("S1", "B2", entry("2025-02-10", "2025-02-21", 700), state="KVITTERT_FUNKSJONELL_FEIL")
    report = take_over(hub, old)
    assert (report.cases, report.counts) == (1, {RowRule.REJECTED: 1})
    assert site.status("S1", "B2").json() == "FEILET_MOT_OPPDRAG"
    site.take(v2("S1", "B3", [days("2025-02-10", "2025-02-21", 710)], after=previous("B2")))
    hub.run()
    assert lines_of(hub) == [("S1#2", "", "S1#0", "2025-02-10", "2025-02-21", 710, TS)]
    assert hub.findings() == []


def test_a_case_without_payments_goes_on_as_a_chain(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    old.decide("S1", "B1")
    take_over(hub, old)
    assert site.status("S1", "B1").json() == "OK_UTEN_UTBETALING"
    refused = site.post(v2("S1", "B2", [days("2025-02-10")]), approver=False)
    assert (refused.status_code, "siste mottatte iverksetting" in refused.text) == (400, True)
    # Somebody has opened the case before, so a machine may go on.
    site.take(v2("S1", "B2", [days("2025-02-10")], after=previous("B1")), approver=False)
    hub.run()
    assert lines_of(hub) == [("S1#0", "", "", "2025-02-10", "2025-02-10", 640, TS)]
    assert hub.findings() == []


def test_a_repeat_of_a_decision_that_was_taken_over_is_taken_for_one(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    old.decide("S1", "B1", entry("2025-02-10", "2025-02-21", 640), enactment="i1")
    old.decide("S1", "B2", entry("2025-02-10", "2025-02-21", 650), enactment="i2")
    take_over(hub, old)
    decided = {"vedtakstidspunkt": "2025-03-03T13:05:00"}
    body = v2("S1", "B2", [days("2025-02-10", "2025-02-21", 650)], after=previous("B1", "i1"), iverksettingId="i2")
    body["vedtak"] |= decided
    site.take(body)
    body["vedtak"]["utbetalinger"][0]["beløp"] = 660
    refused = site.post(body)
    said = refused.status_code, refused.json()["msg"]
    assert said == (409, "Iverksettingen er allerede mottatt, med et annet innhold i: vedtak.utbetalinger")
    hub.run()
    assert hub.sent() == ()
    assert hub.findings() == []


def test_a_case_of_aap_of_the_earlier_class_code_is_ceased_by_it_and_paid_by_the_new_one(
    site: DecisionSite, hub: Hub, old: OldSystem
) -> None:
    terms = {"benefit": "AAP_UNDER_ARBEIDSAVKLARING", "fastsattDagsats": 1200}
    old.decide("A1", "B1", entry("2025-02-10", "2025-02-21", 640, **terms), scheme="AAP", code="AAPUAA")
    case = old.cases["AAP", "A1"]
    assert [key for key in case.last if "AAPUAA" in key] == [*case.last]
    report = take_over(hub, old)
    assert report.counts == {RowRule.OLD_CLASS_CODE: 1}
    wanted = [days("2025-02-10", "2025-02-28", 640, benefit="AAP_UNDER_ARBEIDSAVKLARING", fastsattDagsats=1200)]
    site.take(v2("A1", "B2", wanted, after=previous("B1")), Scheme.AAP)
    hub.run()
    assert lines_of(hub) == [
        ("A1#0", "2025-02-10", "", "2025-02-10", "2025-02-21", 640, "AAPUAA"),
        ("A1#1", "", "", "2025-02-10", "2025-02-28", 640, "AAPOR"),
    ]
    assert site.status("A1", "B2", scheme=Scheme.AAP).json() == "OK"
    assert hub.findings() == []


def call(site: DecisionSite, method: str, uid: str, body: Body | None = None, path: str = "") -> httpx.Response:
    """The answer to a call about a single payment of AAP."""
    return site.client.request(method, f"/utbetalinger/{uid}{path}", json=body, headers=site.headers(Scheme.AAP))


DAYS = span("2025-02-10", "2025-02-21", 640)
LONGER = [span(f"2025-02-{day}", amount=640) for day in (10, 11, 12, 13, 14, 17, 18, 19, 20, 21, 24, 25)]


def test_changes_of_a_payment_that_was_taken_over_go_on_from_its_last_line(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    old.pay(UID, "A1", DAYS, line=LINE)
    report = take_over(hub, old)
    assert (report.cases, report.payments, report.decisions, report.counts) == (1, 1, 0, {})
    assert hub.findings() == []
    assert call(site, "GET", UID, path="/status").json() == "OK"
    shown = call(site, "GET", UID).json()
    assert [each["fom"] for each in shown["perioder"]] == [each["fom"] for each in LONGER[:10]]
    assert call(site, "PUT", UID, shown).status_code == 409
    body = single(*LONGER, sakId="A1")
    assert call(site, "PUT", UID, body).status_code == 204
    hub.run()
    ((made, _, before, *_rest),) = lines_of(hub)
    assert (before, _rest) == (on_wire(LINE), ["2025-02-10", "2025-02-25", 640, "AAPOR"])
    assert call(site, "GET", UID, path="/status").json() == "OK"
    assert call(site, "DELETE", UID, body).status_code == 204
    hub.run()
    assert lines_of(hub) == [(made, "2025-02-10", "", "2025-02-10", "2025-02-25", 640, "AAPOR")]
    assert hub.findings() == []


def test_a_payment_is_ceased_by_the_line_that_the_rail_has(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    """The older system had cut it: what is paid is less than its last line, and that one is of an id with a number."""
    sent = Line("A1#3", "2025-02-10", "2025-03-07", 640, rate_code="DAG")
    old.pay(UID, "A1", span("2025-02-10", "2025-03-07", 640), line="A1#3", sent=[sent])
    cut = Line("A1#3", "2025-02-10", "2025-03-07", 640, rate_code="DAG", ceased_from="2025-02-22")
    old.pay(UID, "A1", DAYS, line="A1#3", last=span("2025-02-10", "2025-03-07", 640), sent=[cut])
    take_over(hub, old)
    body = single(*LONGER[:10], sakId="A1")
    assert call(site, "DELETE", UID, single(*LONGER[:9], sakId="A1")).status_code == 400
    assert call(site, "DELETE", UID, body).status_code == 204
    hub.run()
    assert lines_of(hub) == [("A1#3", "2025-02-10", "", "2025-02-10", "2025-03-07", 640, "AAPOR")]
    assert call(site, "GET", UID).status_code == 404
    assert call(site, "GET", UID, path="/status").json() == "OK"
    assert call(site, "POST", UID, body).status_code == 201
    hub.run()
    assert hub.findings() == []


@pytest.mark.parametrize(
    ("kind", "spans", "shown"),
    [
        ("UKEDAG", [span("2025-06-02", "2025-06-06"), span("2025-06-09", "2025-06-13")], ("2025-06-02", "2025-06-13", 10)),
        ("UKEDAG", [span("2025-06-02", "2025-06-08")], ("2025-06-02", "2025-06-06", 5)),
        ("MND", [span("2025-04-01", "2025-04-30"), span("2025-05-01", "2025-05-31")], ("2025-04-01", "2025-05-31", 2)),
        ("DAG", [span("2025-06-02"), span("2025-06-03"), span("2025-06-05")], ("2025-06-02", "2025-06-05", 3)),
    ],
)
def test_periods_that_were_not_joined_are_put_back_without_a_change_and_ceased_as_shown(
    site: DecisionSite, old: OldSystem, kind: str, spans: list[Body], shown: tuple[str, str, int]
) -> None:
    hub = site.hub
    sent = [
        Line(f"A1#{number}", each["fom"], each["tom"], each["beløp"], rate_code=KINDS[kind], ref=f"A1#{number - 1}" if number else "")
        for number, each in enumerate(spans)
    ]
    old.pay(UID, "A1", *spans, kind=kind, line=sent[-1].line_id, sent=sent)
    assert take_over(hub, old).counts == {}
    body = call(site, "GET", UID).json()
    periods = body["perioder"]
    assert (periods[0]["fom"], periods[-1]["tom"], len(periods)) == shown
    again = call(site, "PUT", UID, body)
    assert (again.status_code, again.json()["msg"]) == (409, "Ingen reell endring")
    assert call(site, "DELETE", UID, body).status_code == 204
    hub.run()
    last = spans[-1]
    assert lines_of(hub) == [(sent[-1].line_id, spans[0]["fom"], "", last["fom"], last["tom"], 940, "AAPOR")]
    assert call(site, "GET", UID, path="/status").json() == "OK"
    assert hub.findings() == []


@pytest.mark.parametrize(
    ("kind", "spans"),
    [("EN_GANG", [span("2025-06-02"), span("2025-06-03")]), ("MND", [span("2025-04-10", "2025-04-30")])],
)
def test_periods_that_no_call_can_name_are_taken_over_with_a_note(hub: Hub, old: OldSystem, kind: str, spans: list[Body]) -> None:
    old.pay(UID, "A1", *spans, kind=kind, line=LINE, sent=[])
    report = take_over(hub, old)
    assert (report.payments, report.written, report.counts) == (1, True, {RowRule.NOT_AS_CALLED: 1})


def test_what_was_never_taken_or_deleted_is_not_paid_and_may_be_posted(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    old.pay(UID, "A1", DAYS, status="FEILET_MOT_OPPDRAG")
    gone = Line(LINE, "2025-02-10", "2025-02-21", 640, rate_code="DAG")
    old.pay(OTHER, "A1", DAYS, line=LINE, deleted=True, sent=[gone])
    old.sent("AAP", "A1", PERSON, [replace(gone, ceased_from="2025-02-10")])
    report = take_over(hub, old)
    assert (report.payments, report.ceased, report.counts) == (1, 1, {RowRule.NEVER_TAKEN: 1, RowRule.DELETED: 1})
    assert hub.findings() == []
    for uid in (UID, OTHER):
        assert call(site, "PUT", uid, single(*LONGER, sakId="A1")).status_code == 404
    assert call(site, "POST", OTHER, single(*LONGER, sakId="A1")).status_code == 201
    hub.run()
    assert hub.findings() == []


def test_a_case_of_which_nothing_was_accepted_is_its_persons_still(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    """Only an approver has it pay somebody else, as if it had been opened here."""
    old.decide("EMPTY", "B1")
    old.decide("FAILED", "B1", entry("2025-02-10", "2025-02-21", 640), state="KVITTERT_FUNKSJONELL_FEIL")
    old.pay(UID, "SINGLE", DAYS, status="FEILET_MOT_OPPDRAG")
    assert take_over(hub, old).written
    his = person_of(71)
    for case in ("EMPTY", "FAILED"):
        body = v2(case, "B2", [days("2025-04-07", "2025-04-11")], after=previous("B1"))
        assert site.post({**body, "personident": his}, approver=False).status_code == 403
    site.take(body, approver=False)
    headers = {**site.headers(Scheme.AAP, approver=False), "content-type": "application/json"}
    for person, status in ((his, 403), (PERSON, 201)):
        paid = encoded({**single(span("2025-05-05")), "sakId": "SINGLE", "personident": person})
        assert site.client.post(f"/utbetalinger/{OTHER}", content=paid, headers=headers).status_code == status
    hub.run()
    assert differences(hub) == []


def test_an_import_from_before_cases_knew_whom_they_were_opened_for_may_be_repeated(hub: Hub, old: OldSystem) -> None:
    old.decide("EMPTY", "B1")
    with source_tables(old.conninfo) as tables:
        read = [structs.replace(each, case=each.case and structs.replace(each.case, opened_for=None)) for each in read_cases(tables)]
    assert TakeOver(hub.connection, hub.clock).run([lambda: read], OPERATOR).written
    again = take_over(hub, old)
    assert (again.already_there, again.cases, again.faults) == (1, 0, 0)
    assert differences(hub) == []


def test_a_case_that_was_left_out_and_forgotten_is_opened_by_an_approver(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    old.pay(UID, "A2", DAYS, status="SENDT_TIL_OPPDRAG")
    assert take_over(hub, old, leave_out=True).left_out == 1
    Operate(hub.connection, hub.clock, hub.ports).forget(Scheme.AAP, "A2", "*", OPERATOR)
    paid = encoded({**single(span("2025-05-05")), "sakId": "A2"})
    for approver, status in ((False, 403), (True, 201)):
        headers = {**site.headers(Scheme.AAP, approver=approver), "content-type": "application/json"}
        assert site.client.post(f"/utbetalinger/{OTHER}", content=paid, headers=headers).status_code == status
    hub.run()
    assert differences(hub) == []


def many(old: OldSystem, cases: int) -> None:
    for number in range(cases):
        old.decide(f"S{number}", "B1", entry("2025-02-10", "2025-02-21", 640 + number))
        old.pay(str(UUID(int=number)), f"A{number}", DAYS)


class _Killed(Exception):
    """Ends an import in the middle."""


def test_an_import_that_was_ended_goes_on_where_it_was(hub: Hub, old: OldSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    many(old, 4)
    looked = take_over(hub, old, dry_run=True)
    assert (looked.cases, looked.rows, looked.written) == (8, 12, False)
    assert hub.connection.execute("SELECT count(*) FROM cases").fetchone() == (0,)

    def killed(report: TakeOverReport) -> None:
        if report.written and report.cases >= 4:
            raise _Killed

    with pytest.raises(_Killed):
        take_over(hub, old, progress=killed)
    assert differences(hub) == []
    again = take_over(hub, old)
    assert (again.cases, again.already_there, again.written) == (4, 4, True)
    last = take_over(hub, old)
    assert (last.cases, last.already_there, last.left_out) == (0, 8, 0)
    assert hub.findings() == []


def test_cases_with_something_wrong_are_left_out_and_taken_over_once_they_are_mended(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    waiting = old.decide("S1", "B1", entry("2025-02-10", "2025-02-21", 640), state="LAGT_PÅ_KØ")
    old.decide("S2", "B1", entry("2025-02-10", "2025-02-21", 640))
    refused = take_over(hub, old)
    assert (refused.written, refused.faults, refused.cases) == (False, 1, 1)
    assert hub.connection.execute("SELECT count(*) FROM cases").fetchone() == (0,)
    taken = take_over(hub, old, leave_out=True)
    assert (taken.written, taken.cases, taken.left_out, taken.counts) == (True, 1, 1, {RowRule.OPEN: 1})
    assert [str(each.subject) for each in taken.findings] == ["TILLEGGSSTØNADER S1, iverksettingsresultat 2"]
    answer = site.post(v2("S1", "B9", [days("2025-02-10")]))
    assert (answer.status_code, "overtatt" in answer.text) == (409, True)
    assert differences(hub) == []
    old.connection.execute("""UPDATE iverksettingsresultat SET oppdragresultat = '{"oppdragStatus": "KVITTERT_OK"}' WHERE sakId = 'S1'""")
    old.sent("TILLST", "S1", PERSON, waiting)
    later = take_over(hub, old)
    assert (later.cases, later.already_there, later.left_out) == (1, 1, 0)
    assert hub.findings() == []
    assert site.status("S1", "B1").json() == "OK"


@pytest.mark.parametrize("case_id", ["x" * 31, "x" * 4000])
def test_a_case_whose_id_nothing_can_hold_is_left_out_and_holds_up_no_other(hub: Hub, old: OldSystem, case_id: str) -> None:
    old.pay(UID, "A1", DAYS)
    old.connection.execute(
        "UPDATE utbetaling SET sak_id = %(id)s, data = jsonb_set(data, '{sakId}', to_jsonb(%(id)s::text))", {"id": case_id}
    )
    old.decide("S2", "B1", entry("2025-02-10", "2025-02-21", 640))
    taken = take_over(hub, old, leave_out=True)
    assert (taken.written, taken.cases, taken.left_out, taken.counts) == (True, 1, 1, {RowRule.CASE_ID: 1})
    assert hub.connection.execute("SELECT case_id FROM cases").fetchall() == [("S2",)]


def test_what_is_there_otherwise_is_a_named_difference(site: DecisionSite, hub: Hub, old: OldSystem) -> None:
    old.decide("S1", "B1", entry("2025-02-10", "2025-02-21", 640))
    old.pay(UID, "A1", DAYS)
    take_over(hub, old)
    site.take(v2("S3", "B1", [days("2025-02-10")], personident=person_of(7)))
    hub.run()
    old.connection.execute('UPDATE iverksettingsresultat SET oppdragresultat = \'{"oppdragStatus": "KVITTERT_MED_MANGLER"}\'')
    old.connection.execute("UPDATE utbetaling SET data = jsonb_set(data, '{perioder,0,beløp}', '700')")
    old.decide("S3", "B1")
    old.pay(OTHER, "S1", DAYS, benefit="TILSYN_BARN_AAP")
    old.pay(UID, "A2", DAYS)
    found = take_over(hub, old, dry_run=True)
    # With note or without, the rail took it: the decision is the same.
    named = {(each.rule, each.case) for each in found.findings}
    assert named == {
        (RowRule.DIFFERS, "AAP A1"),
        (RowRule.TAKEN, "AAP A2"),
        (RowRule.TWO_CONTRACTS, "TILLEGGSSTØNADER S1"),
        (RowRule.IN_KVITT, "TILLEGGSSTØNADER S3"),
    }
    assert (found.cases, found.left_out, found.faults) == (0, 4, 4)
    assert differences(hub) == []


TAMPERED = {
    "a decision's digest": "UPDATE imported_decisions SET digest = sha256('')",
    "a decision's state": "UPDATE imported_decisions SET state = 'rejected'",
    "a decision's answer": "UPDATE imported_decisions SET answer = '{}'",
    "a decision's name": "UPDATE imported_decisions SET subject = 'B7'",
    "a decision": "DELETE FROM imported_decisions",
    "the case's numbers": "UPDATE cases SET numbered = 0",
    "the case's frame": "UPDATE cases SET cap_kroner = 5000",
    "the case's contract": "UPDATE cases SET contract = 'helved'",
    "what a payment is": "UPDATE payments SET document = replace(convert_from(document, 'UTF8'), '640', '900')::bytea",
    "the entry": "UPDATE audit SET note = replace(note, 'iverksetting', 'utbetalinger') WHERE chain = 1",
    "a case": "DELETE FROM audit WHERE chain = 1",
}


@pytest.mark.parametrize("what", TAMPERED)
def test_the_check_finds_a_change_of(hub: Hub, old: OldSystem, what: str) -> None:
    old.decide("S1", "B1", entry("2025-02-10", "2025-02-21", 640))
    take_over(hub, old)
    assert hub.findings() == []
    assert hub.connection.execute(TAMPERED[what].encode()).rowcount > 0
    assert hub.findings() != []
