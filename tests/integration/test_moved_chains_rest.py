"""Chains of decisions that went on as single payments: what is shown of them is what may be put back, and ceased (iverksetting §8.1)."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.derive.chained import ChainKey, chain_payment_id
from kvitt.disbursement.values import CaseId, Scheme
from kvitt.testing import TestServer
from support.iverksetting_bodies import Body, days, person_of, previous, tiltakspenger, v2
from support.iverksetting_stage import V2, DecisionSite, decision_site
from support.single_payments import span, supplement, text

TS, TP = Scheme.TILLEGGSSTONADER, Scheme.TILTAKSPENGER
SATURDAY = 5
_numbers = count(1)


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecisionSite]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    directory: Path = tmp_path_factory.mktemp("moved")
    with kvitt_server.database() as conninfo, decision_site(conninfo, directory) as site:
        yield site
        assert site.hub.findings() == []


def _uid(number: int) -> str:
    return str(UUID(int=0x6666 << 96 | 0x4 << 76 | 0x8 << 60 | number))


def _moved(site: DecisionSite, case: str, uid: str, benefit: str = "TILSYN_BARN_AAP", *, dry_run: bool = False) -> httpx.Response:
    """The answer to the move of a chain of a case after its first decision."""
    asked = {"sakId": case, "behandlingId": "B1", "uidToStønad": {"first": uid, "second": benefit}}
    return site.post(asked, path=f"{V2}/migrate/dryrun" if dry_run else f"{V2}/migrate")


@pytest.mark.parametrize(
    ("spans", "left"),
    [
        ([days("2026-05-04", "2026-05-10")], ("2026-05-04", "2026-05-08")),
        ([days("2026-05-03", "2026-05-04")], ("2026-05-04", "2026-05-04")),
        ([days("2026-05-04", "2026-05-09"), days("2026-05-10", "2026-05-15")], ("2026-05-04", "2026-05-15")),
        ([days("2026-05-04", "2026-05-09"), days("2026-05-10", "2026-05-15", 700)], ("2026-05-04", "2026-05-15")),
        ([days("2026-05-04", "2026-05-08"), days("2026-05-09", "2026-05-10", 700)], ("2026-05-04", "2026-05-08")),
        ([days("2026-05-04", "2026-05-10", rate="DAGLIG_INKL_HELG")], ("2026-05-04", "2026-05-10")),
        ([days("2026-05-01", "2026-06-30", rate="MÅNEDLIG")], ("2026-05-01", "2026-06-30")),
    ],
)
def test_what_moved_is_put_back_without_a_change_and_ceased_as_it_is_shown(
    site: DecisionSite, spans: list[Body], left: tuple[str, str]
) -> None:
    number = next(_numbers)
    uid, person = _uid(number), person_of(number)
    case, headers = f"W-{number}", {**site.headers(TS), "content-type": "application/json"}
    site.take(v2(case, "B1", spans, personident=person))
    site.hub.run()
    assert _moved(site, case, uid).status_code == 200
    shown = site.client.get(f"/utbetalinger/{uid}", headers=headers)
    periods = shown.json()["perioder"]
    assert (periods[0]["fom"], periods[-1]["tom"]) == left
    again = site.client.put(f"/utbetalinger/{uid}", content=shown.content, headers=headers)
    assert (again.status_code, again.json()["msg"]) == (409, "Ingen reell endring")
    assert site.client.request("DELETE", f"/utbetalinger/{uid}", content=shown.content, headers=headers).status_code == 204
    site.hub.run()
    assert site.client.get(f"/utbetalinger/{uid}/status", headers=headers).json() == "OK"
    # A weekend before the first day may be left of the line; by weekday it pays nothing.
    assert [each for each in site.hub.rail.pays("TILLST", case) if each.start.weekday() < SATURDAY or each.rate_code != "DAG"] == []


def _called(site: DecisionSite, method: str, uid: str, body: bytes = b"") -> httpx.Response:
    """The answer to a call on a single payment."""
    return site.client.request(
        method, f"/utbetalinger/{uid}", content=body, headers={**site.headers(TS), "content-type": "application/json"}
    )


def _ceased_case(site: DecisionSite, *spans: Body, scheme: Scheme = TS) -> tuple[str, str]:
    """A case whose last decision, the second one, pays nothing; and its person."""
    number = next(_numbers)
    case, person = f"W-{number}", person_of(number)
    site.take(v2(case, "B1", spans, personident=person), scheme)
    site.hub.run()
    site.take(v2(case, "B2", [], after=previous("B1"), personident=person), scheme)
    site.hub.run()
    return case, person


@pytest.mark.parametrize("named", ["TILSYN_BARN_AAP", "LÆREMIDLER_AAP", "TILSYN_BARN_ETTERLATTE"])
def test_a_case_that_has_ceased_moves_with_all_its_chains_whichever_is_named(site: DecisionSite, named: str) -> None:
    case, person = _ceased_case(site, days("2026-05-04", "2026-05-08"), days("2026-05-04", "2026-05-08", 55, benefit="LÆREMIDLER_AAP"))
    uid, later = (_uid(next(_numbers)) for _ in range(2))
    shown = _moved(site, case, uid, named, dry_run=True).json()
    assert [each["perioder"] for each in shown] == [[], []]
    assert {each["stønad"] for each in shown} == {"TILSYN_BARN_AAP", "LÆREMIDLER_AAP"}
    for _ in range(2):
        assert _moved(site, case, uid, named).status_code == 200
    assert _called(site, "GET", f"{uid}/status").status_code == (404 if named == "TILSYN_BARN_ETTERLATTE" else 200), (
        "nothing was there to go on under it"
    )
    # The other one may be given its name later, once.
    other = "TILSYN_BARN_AAP" if named == "LÆREMIDLER_AAP" else "LÆREMIDLER_AAP"
    for _ in range(2):
        assert _moved(site, case, later, other).status_code == 200
    assert _called(site, "GET", f"{later}/status").json() == "OK"
    again = _moved(site, case, _uid(next(_numbers)), other)
    assert (again.status_code, again.json()["msg"]) == (409, f"Utbetalingen er allerede flyttet til {later}")
    fresh = supplement(span("2026-06-01", amount=640), kind="UKEDAG", sakId=case, personident=person, stønad=other)
    assert _called(site, "POST", later, text(fresh)).status_code == 201
    site.hub.run()
    assert _called(site, "GET", f"{later}/status").json() == "OK"


def test_a_case_of_reporting_cards_that_has_ceased_moves_with_all_of_them(site: DecisionSite) -> None:
    case, _ = _ceased_case(site, tiltakspenger("2026-05-04", card="M1"), tiltakspenger("2026-05-18", card="M2"), scheme=TP)
    asked = {"sakId": case, "behandlingId": "B1", "meldeperiode": "M1"}
    shown = site.post(asked, TP, path=f"{V2}/migrate/dryrun").json()
    assert [each["perioder"] for each in shown] == [[], []]
    for card in ("M1", "M2", "M1"):
        assert site.post({**asked, "meldeperiode": card}, TP, path=f"{V2}/migrate").status_code == 200


def test_a_last_line_of_another_rate_type_is_repeated_as_it_was_made(site: DecisionSite) -> None:
    number = next(_numbers)
    case, uid, person, week = f"W-{number}", _uid(number), person_of(number), days("2026-05-04", "2026-05-08")
    site.take(v2(case, "B1", [week, days("2026-05-15", amount=900, rate="ENGANGS")], personident=person))
    site.hub.run()
    site.take(v2(case, "B2", [week], after=previous("B1"), personident=person))
    site.hub.run()
    assert _moved(site, case, uid).status_code == 200
    assert _called(site, "DELETE", uid, _called(site, "GET", uid).content).status_code == 204
    site.hub.run()
    assert _called(site, "GET", f"{uid}/status").json() == "OK"
    (line,) = site.hub.sent()[-1].lines
    assert (str(line.starts), line.amount, line.rate_code) == ("2026-05-15", 900, "ENG")


def test_a_chain_that_did_not_move_is_neither_shown_nor_changed(site: DecisionSite) -> None:
    number, benefit = next(_numbers), "LÆREMIDLER_AAP"
    case, person, later = f"W-{number}", person_of(number), _uid(next(_numbers))
    site.take(v2(case, "B1", [days("2026-05-04"), days("2026-05-04", amount=55, benefit=benefit)], personident=person))
    site.hub.run()
    chain = chain_payment_id(TS, CaseId(case), ChainKey(BENEFITS[benefit].class_code))
    body = text(supplement(span("2026-05-04", amount=70), kind="UKEDAG", sakId=case, personident=person, stønad=benefit))
    assert _moved(site, case, _uid(number)).status_code == 200
    assert [_called(site, "GET", each).status_code for each in (_uid(number), chain, f"{chain}/status")] == [200, 404, 404]
    assert [_called(site, method, chain, body).status_code for method in ("PUT", "DELETE", "POST")] == [404, 404, 409]
    assert _moved(site, case, later, benefit).status_code == 200
    assert [each["beløp"] for each in _called(site, "GET", later).json()["perioder"]] == [55]


def test_a_decision_that_was_received_is_answered_alike_after_its_case_moved(site: DecisionSite) -> None:
    number = next(_numbers)
    case, spans = f"W-{number}", [days("2026-05-04", "2026-05-08")]
    body = v2(case, "B1", spans, personident=person_of(number))
    site.take(body)
    site.hub.run()
    assert _moved(site, case, _uid(number)).status_code == 200
    site.take(body)
    other = site.post({**body, "personident": person_of(next(_numbers))})
    assert (other.status_code, other.json()["msg"]) == (409, "Iverksettingen er allerede mottatt, med et annet innhold i: personident")
    fresh = site.post(v2(case, "B2", [], after=previous("B1"), personident=person_of(number)))
    assert (fresh.status_code, fresh.json()["msg"]) == (409, "Saken hører til kontrakten utbetalinger, og kan bare endres gjennom den")
    assert len([order for order in site.hub.sent() if order.case_id == case]) == 1
