"""Single payments of an older system's tables, taken over: later changes go on from the lines that the rail has (iverksetting §9)."""

from dataclasses import replace

import pytest

from kvitt.disbursement.operate import Operate
from kvitt.disbursement.take_over import RowRule
from kvitt.disbursement.values import Scheme
from kvitt.testing import Hub
from support.emulator_orders import Line
from support.iverksetting_bodies import PERSON, days, encoded, person_of, previous, v2
from support.iverksetting_stage import DecisionSite
from support.old_tables import KINDS, OldSystem, entry, on_wire
from support.single_payments import Body, single, span
from support.taken_over import DAYS, LINE, OPERATOR, OTHER, UID, call, differences, lines_of, take_over

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
