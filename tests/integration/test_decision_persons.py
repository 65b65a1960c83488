"""For whom a case is opened over HTTP: until something is accepted, only an approver has it pay somebody else (iverksetting §1.1, §1.6)."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from kvitt.disbursement.authority import is_opened_for_another
from kvitt.disbursement.check.check import check
from kvitt.disbursement.derive.micro_chained import NEW_CASE
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.kernel.operators import Operator
from kvitt.testing import TestServer
from support.iverksetting_bodies import days, encoded, old, old_day, person_of, previous, v2
from support.iverksetting_stage import OLD, DecisionSite, decision_site
from support.single_payments import days as single_days
from support.single_payments import supplement

TS, DP = Scheme.TILLEGGSSTONADER, Scheme.DAGPENGER
NOT_OPENED = (403, "Første vedtak på en sak må sendes av en ansatt med beslutter-rolle")
WEEK = "2026-05-04", "2026-05-08"


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecisionSite]:
    with kvitt_server.database() as conninfo, decision_site(conninfo, tmp_path_factory.mktemp("persons")) as site:
        yield site
        site.hub.run()
        assert site.hub.findings() == []


@pytest.fixture
def unsure(database: str, tmp_path: Path) -> Iterator[DecisionSite]:
    """A hub of a test's own, which shall not know all that the rail has."""
    with decision_site(database, tmp_path) as site:
        yield site


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["msg"]


def rejected(site: DecisionSite) -> None:
    """The rail takes nothing of what was decided."""
    site.hub.rail.fault(refuse=1)
    site.hub.run()
    site.hub.rail.fault()


@pytest.mark.parametrize("case", ["EMPTY", "REJECTED"])
def test_nobody_but_an_approver_has_a_case_pay_somebody_else(site: DecisionSite, case: str) -> None:
    """Opened with nothing to pay, or by a decision that the rail rejected."""
    hers, his = (person_of(2 * len(case) + each) for each in range(2))
    site.take(v2(case, "B1", [] if case == "EMPTY" else [days(*WEEK)], personident=hers))
    rejected(site)
    for after in (previous("B1"), None) if case == "REJECTED" else (previous("B1"),):
        assert said(site.post(v2(case, "B2", [days(*WEEK)], after=after, personident=his), approver=False)) == NOT_OPENED
    site.take(v2(case, "B2", [days(*WEEK)], after=previous("B1"), personident=his))
    rejected(site)
    assert said(site.post(v2(case, "B3", [days(*WEEK)], after=previous("B2"), personident=hers), approver=False)) == NOT_OPENED
    site.take(v2(case, "B3", [days(*WEEK)], after=previous("B2"), personident=his), approver=False)
    site.hub.run()
    assert site.status(case, "B3").json() == "OK"
    refused = site.post(v2(case, "B4", [], after=previous("B3"), personident=hers))
    assert (refused.status_code, "personident" in refused.json()["msg"]) == (400, True)


@pytest.mark.parametrize("opened_for_another", [False, True])
def test_what_the_rail_may_pay_is_found_whomever_its_case_is_decided_for_next(unsure: DecisionSite, *, opened_for_another: bool) -> None:
    """People settled an order as rejected, which the rail may have: the same days in another case of its person are held."""
    site, hub = unsure, unsure.hub
    hers, his = person_of(61), person_of(62)
    operate = Operate(hub.connection, hub.clock, hub.ports)
    hub.rail.fault(swallow=1)
    site.take(v2("MAY", "B1", [days(*WEEK)], personident=hers))
    hub.run()
    hub.rail.fault()
    (sent,) = operate.orders([OrderState.SENT])
    operate.decide(sent.order_id, accepted=False, operator=Operator("Kari", "the bank says so", "Ola"))
    if opened_for_another:
        site.take(v2("MAY", "B2", [], after=previous("B1"), personident=his))
    site.take(v2("OTHER", "B1", [days(*WEEK)], personident=hers))
    hub.run()
    (held,) = operate.orders([OrderState.READY], held_only=True)
    assert "MAY" in held.held_for[0].text
    assert [str(each) for each in check(hub.conninfo, hub.ports).differences] == []


def test_messages_of_days_before_the_rule_are_handled_as_they_were() -> None:
    case = replace(NEW_CASE, contract="iverksetting", opened_for="hers")
    assert [is_opened_for_another(case, "his", edition) for edition in (Edition.EVERY_NEED, Edition.OPENED_FOR)] == [False, True]
    assert not is_opened_for_another(case, "hers", Edition.OPENED_FOR)
    assert not is_opened_for_another(replace(case, opened_for=None), "hers", Edition.OPENED_FOR)
    assert not is_opened_for_another(NEW_CASE, "hers", Edition.OPENED_FOR)


def test_an_approver_of_another_person_has_not_decided_it(site: DecisionSite) -> None:
    site.take(v2("OWN", "B1", [], personident=person_of(31)))
    own = {"saksbehandlerId": "B200002", "beslutterId": "C300003"}
    refused = said(site.post(v2("OWN", "B2", [days(*WEEK)], after=previous("B1"), personident=person_of(32), **own)))
    assert refused == (403, "Beslutter som sender vedtaket kan ikke selv være saksbehandler i det")


def test_a_rejected_single_payment_is_for_its_person_still(site: DecisionSite) -> None:
    uid, other = (f"5f0d3c0e-0000-4000-8000-0000000000d{each}" for each in "12")
    hers, his = person_of(41), person_of(42)

    def answer(uid: str, person: str, *, approver: bool) -> httpx.Response:
        headers = {**site.headers(TS, approver=approver), "content-type": "application/json"}
        body = supplement(*single_days(1, 5, 500), sakId="SINGLE", personident=person)
        return site.client.post(f"/utbetalinger/{uid}", content=encoded(body), headers=headers)

    assert answer(uid, hers, approver=True).status_code == 201
    rejected(site)
    for each in (uid, other):
        assert said(answer(each, his, approver=False)) == NOT_OPENED
    assert answer(other, hers, approver=False).status_code == 201


def test_the_first_form_needs_a_frame_for_each_person(kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    hers, his = person_of(51), person_of(52)
    with kvitt_server.database() as conninfo, decision_site(conninfo, tmp_path_factory.mktemp("first"), answers_as="first") as site:
        frame = old("3fa85f64-5717-4562-b3fc-2c963f66afa6", personIdent=hers, vedtakstype="RAMMEVEDTAK")
        site.take(frame, DP, path=OLD)
        after = (frame["behandlingId"], [])
        paid = old("3fa85f64-5717-4562-b3fc-2c963f66afa7", [old_day(*WEEK)], after=after, personIdent=his)
        for approver in (True, False):
            refused = site.post(paid, DP, path=OLD, approver=approver)
            assert refused.status_code == 409, refused.text
        site.take({**paid, "personIdent": hers}, DP, path=OLD, approver=False)
        site.hub.run()
        assert site.hub.findings() == []
