"""Cases of an older system's tables, taken over: later decisions and changes go on from the lines that the rail has (iverksetting §9)."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from kvitt.contracts.iverksetting.importing import read_cases
from kvitt.contracts.utbetalinger.importing import read_payments
from kvitt.disbursement.take_over import RowRule, TakeOver, TakeOverReport
from kvitt.disbursement.values import Scheme
from kvitt.kernel.operators import Operator
from kvitt.kernel.source_tables import source_tables
from kvitt.testing import Hub, TestServer
from support.iverksetting_bodies import dagpenger, days, previous, tiltakspenger, v2
from support.iverksetting_stage import DecisionSite, decision_site
from support.old_tables import OldSystem, entry

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


def take_over(hub: Hub, old: OldSystem, *, dry_run: bool = False, leave_out: bool = False) -> TakeOverReport:
    with source_tables(old.conninfo) as tables:
        reads = [partial(read_cases, tables), partial(read_payments, tables)]
        return TakeOver(hub.connection, hub.clock).run(reads, OPERATOR, dry_run=dry_run, leave_out=leave_out)


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


def test_numbers_of_a_rejected_decision_are_not_used_again_and_it_may_be_gone_on_from(
    site: DecisionSite, hub: Hub, old: OldSystem
) -> None:
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
    assert (refused.status_code, refused.json()["msg"]) == (409, "Iverksettingen er allerede mottatt: vedtak.utbetalinger er endret")
    hub.run()
    assert hub.sent() == ()
    assert hub.findings() == []


def test_a_case_of_aap_of_the_earlier_class_code_is_ceased_by_it_and_paid_by_the_new_one(
    site: DecisionSite, hub: Hub, old: OldSystem
) -> None:
    terms = {"benefit": "AAP_UNDER_ARBEIDSAVKLARING", "fastsattDagsats": 1200}
    old.decide("A1", "B1", entry("2025-02-10", "2025-02-21", 640, **terms), scheme="AAP", code="AAPUAA")
    case = old._cases["AAP", "A1"]
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
