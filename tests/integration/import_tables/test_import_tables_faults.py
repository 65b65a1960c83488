"""Imports of an older system's tables that are ended, repeated, or find something wrong; and what the check finds of them."""

from uuid import UUID

import pytest
from msgspec import structs

from kvitt.contracts.iverksetting.importing import read_cases
from kvitt.disbursement import take_over as module
from kvitt.disbursement.take_over import RowRule, TakeOver, TakeOverReport
from kvitt.kernel.source_tables import source_tables
from kvitt.testing import Hub
from support.iverksetting_bodies import PERSON, days, person_of, v2
from support.iverksetting_stage import DecisionSite
from support.old_tables import OldSystem, entry
from support.taken_over import DAYS, OPERATOR, OTHER, UID, differences, take_over


def test_an_import_from_before_cases_knew_whom_they_were_opened_for_may_be_repeated(hub: Hub, old: OldSystem) -> None:
    old.decide("EMPTY", "B1")
    with source_tables(old.conninfo) as tables:
        read = [structs.replace(each, case=each.case and structs.replace(each.case, opened_for=None)) for each in read_cases(tables)]
    assert TakeOver(hub.connection, hub.clock).run([lambda: read], OPERATOR).written
    again = take_over(hub, old)
    assert (again.already_there, again.cases, again.faults) == (1, 0, 0)
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
