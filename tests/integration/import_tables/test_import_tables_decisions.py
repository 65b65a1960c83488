"""Decisions of an older system's tables, taken over: later ones go on from the lines that the rail has (iverksetting §9)."""

from kvitt.disbursement.take_over import RowRule
from kvitt.disbursement.values import Scheme
from kvitt.testing import Hub
from support.iverksetting_bodies import dagpenger, days, previous, v2
from support.iverksetting_stage import DecisionSite
from support.old_tables import OldSystem, entry
from support.taken_over import lines_of, take_over

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
