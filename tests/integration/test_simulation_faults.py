"""The simulation service goes wrong on demand, in each way that the rail and its proxy have been seen to (helved §4.8)."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from lxml import etree

from kvitt.rails.oppdrag.emulator import Chance, Faults, received, set_faults
from kvitt.rails.oppdrag.emulator.habits import AnswerForm, ServiceFault, ServiceFaults, get_service_faults
from kvitt.rails.oppdrag.emulator.order import CaseAtRail
from kvitt.rails.oppdrag.emulator.watch import SimulationVisit, Watch
from support.emulator_orders import Line, order_xml
from support.emulator_stage import change, forget_puts
from support.simulation_stage import SERVICE, SOAP_PATH, SimulatedRail, envelope, local, request_xml, simulated_rail

MAY = Line("L1", "2026-05-04", "2026-05-15", 1000, rate_code="DAG")
ONE = Chance(next=1)


@pytest.fixture
def rail(database: str) -> Iterator[SimulatedRail]:
    with simulated_rail(database) as playing:
        playing.signed()
        yield playing


FAULTS = {
    ServiceFault.UNKNOWN_PERSON: ("SOAP-ENV:Server", "Personen finnes ikke", ""),
    ServiceFault.INVALID_FIELD: ("SOAP-ENV:Server", "Verdien i KODE-FAGOMRAADE er ugyldig", ""),
    ServiceFault.NEW_DECISION_NEEDED: ("SOAP-ENV:Server", "Må ha nytt vedtak når Sats/Type/Vedtak-fom endres", ""),
    ServiceFault.CASE_UNKNOWN: ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling", "OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før"),
    ServiceFault.CASE_EXISTS: ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling", "Oppdraget finnes fra før"),
    ServiceFault.REFERENCE_UNKNOWN: ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling", "Referert vedtak/linje ikke funnet"),
    ServiceFault.NAME_UNKNOWN: ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling", "Navn på person ikke funnet i PDL"),
    ServiceFault.PERSON_NOT_REGISTERED: ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling", "Personen finnes ikke i PDL"),
    ServiceFault.LINE_EXISTS: ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling", "DELYTELSE-ID finnes i oppdragsbasen fra før"),
    ServiceFault.NO_RUN_PLAN: ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling", "Kjøreplan mangler"),
    ServiceFault.CLOSED_FOR_NOW: ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling", "Oppdragssystemet er ikke tilgjengelig"),
    ServiceFault.REQUEST_CONVERSION: ("SOAP-ENV:Client", "Conversion from SOAP failed", "DFHPI1009"),
    ServiceFault.REQUEST_CONVERSION_UNEXPLAINED: ("SOAP-ENV:Client", "Conversion from SOAP failed", ""),
    ServiceFault.ANSWER_CONVERSION: ("SOAP-ENV:Server", "Conversion to SOAP failed", "DFHPI1008"),
    ServiceFault.MALFORMED: ("SOAP-ENV:Client", "Malformed SOAP message", "XRC_NOT_WELL_FORMED"),
    ServiceFault.NO_BODY: ("SOAP-ENV:Server", "The target application did not create a new SOAP Body", ""),
    ServiceFault.FAILED_AUTHENTICATION: ("wsse:FailedAuthentication", "Security token failed validation", ""),
    ServiceFault.UNHEARD_OF: ("SOAP-ENV:Server", "Noe ingen har hørt om", "4711"),
}


@pytest.mark.parametrize("fault", ServiceFault)
def test_each_fault_comes_as_it_was_seen_and_once(rail: SimulatedRail, fault: ServiceFault) -> None:
    rail.fail(fault=ONE, answers_with=fault)
    answer = rail.simulate(MAY)
    code, text, detail = answer.fault
    wanted = FAULTS[fault]
    assert (answer.status, code, text, detail[: len(wanted[2])]) == (500, *wanted)
    assert f"{text:80}</faultstring>".encode() in answer.body
    assert rail.simulate(MAY).status == 200
    assert [outcome for _, outcome in rail.simulated()] == ["fault", "answered"]


def test_a_closed_rail_is_the_proxys_page(rail: SimulatedRail) -> None:
    rail.fail(closed=True)
    answer = rail.simulate(MAY)
    assert (answer.status, answer.content_type) == (502, "text/html")
    assert b"502 Bad Gateway" in answer.body
    rail.fail(gateway=ONE)
    assert [rail.simulate(MAY).status, rail.simulate(MAY).status] == [502, 200]


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("2026-06-15T04:00", 200),
        ("2026-06-15T03:59", 502),
        ("2026-06-15T18:59", 200),
        ("2026-06-15T19:00", 502),
        ("2026-06-13T10:00", 502),
        ("2026-12-25T10:00", 502),
    ],
)
def test_it_keeps_its_hours_in_oslo_on_bank_days_where_that_is_set(rail: SimulatedRail, moment: str, status: int) -> None:
    rail.moment(moment)
    rail.assertion = ""
    assert rail.simulate(MAY).status == 200
    rail.behave(keeps_hours=True)
    assert rail.simulate(MAY).status == status


def test_an_answer_may_be_slow(rail: SimulatedRail) -> None:
    rail.fail(slow=ONE, slow_seconds=0.3)
    begun = time.monotonic()
    assert rail.simulate(MAY).status == 200
    assert time.monotonic() - begun >= 0.3


def test_many_slow_ones_keep_nobody_waiting(rail: SimulatedRail) -> None:
    rail.fail(slow=Chance(next=40), slow_seconds=3600)
    body = envelope(request_xml(MAY), rail.signed())
    callers = [threading.Thread(target=_asked_in_vain, args=(str(rail.http.base_url), body)) for _ in range(40)]
    for each in callers:
        each.start()
    while get_service_faults(rail.conn).slow.next:
        time.sleep(0.01)
    assert rail.simulate(MAY).status == 200
    for each in callers:
        each.join()
    while len(rail.simulated()) < 41:
        time.sleep(0.01)
    assert sorted(outcome for _, outcome in rail.simulated()) == ["abandoned"] * 40 + ["answered"]


def _asked_in_vain(url: str, body: bytes) -> None:
    with httpx.Client(base_url=url, timeout=2, trust_env=False) as http, pytest.raises(httpx.ReadTimeout):
        http.post(SOAP_PATH, content=body)


def test_an_answer_may_break_off(rail: SimulatedRail) -> None:
    rail.fail(cut=ONE)
    answer = rail.simulate(MAY)
    assert answer.status == 200
    assert b"<simulerBeregningResponse" in answer.body
    with pytest.raises(etree.XMLSyntaxError):
        _ = answer.xml
    rail.fail(dropped=ONE)
    with pytest.raises(httpx.RemoteProtocolError):
        rail.simulate(MAY)
    assert rail.simulate(MAY).status == 200


def test_an_answer_may_come_in_other_forms(rail: SimulatedRail) -> None:
    plain = rail.simulate(MAY)
    answers = {}
    for form in AnswerForm:
        rail.fail(other_form=ONE, forms=(form,))
        answers[form] = rail.simulate(MAY)
    assert answers[AnswerForm.PREFIXED].periods() == answers[AnswerForm.LATIN_1].periods() == plain.periods()
    assert b"<ns5:simulerBeregningResponse" in answers[AnswerForm.PREFIXED].body
    assert answers[AnswerForm.LATIN_1].content_type == "text/xml; charset=iso-8859-1"
    assert f'<simulerBeregningResponse xmlns="{SERVICE}"/>'.encode() in answers[AnswerForm.SELF_CLOSED].body
    assert local(answers[AnswerForm.NOTE_ONLY].xml, "beskrMelding")
    assert not local(answers[AnswerForm.NOTE_ONLY].xml, "simulering")
    assert local(answers[AnswerForm.EMPTY_SIMULATION].xml, "simulering")
    assert answers[AnswerForm.EMPTY_SIMULATION].rows() == []
    assert answers[AnswerForm.NOT_XML].body == b"OK"
    rail.behave(pads=False)
    assert local(rail.simulate(MAY).xml, "fagsystemId")[0].text == "SAK-1"


def test_an_answer_may_be_as_long_as_is_wanted(rail: SimulatedRail) -> None:
    rail.fail(large=ONE, large_bytes=50_000_000)
    answer = rail.simulate(MAY)
    assert len(answer.body) >= 50_000_000
    assert answer.body.count(b"<beregningsPeriode ") == answer.body.count(b"</beregningsPeriode>") > 10_000
    assert len(rail.simulate(MAY).body) < 10_000


def test_the_token_service_may_refuse_and_assertions_may_expire_early(rail: SimulatedRail) -> None:
    rail.fail(token=ONE, tokens_expire=ONE)
    assert [rail.token().status_code, rail.token().status_code] == [401, 200]
    assert "FailedAuthentication" in rail.simulate(MAY).fault[0]
    assert rail.simulate(MAY).status == 200


def test_what_strikes_by_chance_strikes_the_same_requests(rail: SimulatedRail) -> None:
    rail.fail(gateway=Chance(0.5))
    first = [rail.simulate(MAY, message_id=f"urn:uuid:{number}").status for number in range(12)]
    assert {*first} == {200, 502}
    assert [rail.simulate(MAY, message_id=f"urn:uuid:{number}").status for number in range(12)] == first


def test_faults_that_are_none_are_refused() -> None:
    for wrong in ({"forms": ()}, {"large_bytes": -1}, {"slow_seconds": -1.0}):
        with pytest.raises(ValueError, match="not negative"):
            ServiceFaults(**wrong)  # type: ignore[arg-type]


def test_orders_and_simulations_that_keep_out_of_each_others_way_are_no_violation(rail: SimulatedRail) -> None:
    assert rail.simulate(MAY).status == 200
    assert rail.ask(order_xml(MAY)) == ["00"]
    assert rail.simulate(Line("L2", "2026-05-11", "2026-05-15", 1, ref="L1"), change="ENDR").status == 200
    assert rail.simulated() == [("SAK-1", "answered"), ("SAK-1", "answered")]
    assert rail.violations() == ()


@contextmanager
def asking(rail: SimulatedRail, area: str = "AAP") -> Iterator[None]:
    """A simulation is at the rail while the block runs; then its caller hangs up."""
    rail.fail(slow=ONE, slow_seconds=3600)
    body = envelope(request_xml(MAY, change="ENDR", area=area), rail.signed())
    url, known = rail.http.base_url, len(rail.simulated())
    with socket.create_connection((url.host, url.port)) as caller:
        caller.sendall(f"POST {SOAP_PATH} HTTP/1.1\r\nHost: rail\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        while not _locks(rail, granted=True):
            time.sleep(0.01)
        yield
    while len(rail.simulated()) == known:
        time.sleep(0.01)


def test_an_order_that_comes_while_its_case_is_simulated_is_a_violation(rail: SimulatedRail) -> None:
    with asking(rail):
        assert rail.ask(order_xml(MAY, case="SAK-2"), order_xml(MAY)) == ["00", "00"]
        assert rail.violations() == (("order while simulating", "SAK-1"),)
    assert rail.ask(change(Line("L2", "2026-05-11", "2026-05-15", 1300, ref="L1"))) == ["00"]
    assert len(rail.violations()) == 1
    assert rail.simulated() == [("SAK-1", "abandoned")]


@pytest.mark.parametrize(
    ("simulated", "ordered", "is_violation"),
    [("TILLSTPB", "TILLSTBO", True), ("TILLST", "TILLSTRS", True), ("AAP", "DP", False), ("TILLSTBO", "TILSOPP", False)],
)
def test_areas_of_one_benefit_are_one_case_and_areas_of_others_are_not(
    rail: SimulatedRail, simulated: str, ordered: str, is_violation: bool
) -> None:
    with asking(rail, simulated):
        rail.ask(order_xml(MAY, area=ordered))
    assert rail.violations() == ((("order while simulating", "SAK-1"),) if is_violation else ())


def test_sick_pay_of_employer_and_employee_is_one_case() -> None:
    assert CaseAtRail("SP", "SAK-1").areas == CaseAtRail("SPREF", "SAK-1").areas != CaseAtRail("AAP", "SAK-1").areas


def test_an_order_that_comes_again_while_its_case_is_simulated_is_none(rail: SimulatedRail) -> None:
    body = order_xml(MAY)
    assert rail.ask(body) == ["00"]
    with asking(rail):
        forget_puts(rail)
        rail.sent -= 1
        assert rail.ask(body) == ["00"]
    assert [received.repeats for received in received(rail.conn)] == [1]
    assert rail.violations() == ()


def test_a_mark_ends_with_the_process_that_made_it(rail: SimulatedRail) -> None:
    watch = Watch(rail.conninfo)
    watch.begin(SimulationVisit("urn:uuid:1", CaseAtRail("AAP", "SAK-1"), rail.now), rail.now)
    assert _locks(rail, granted=True)
    watch.close()
    while _locks(rail, granted=True):
        time.sleep(0.01)
    assert rail.ask(order_xml(MAY)) == ["00"]
    assert rail.violations() == ()


def test_a_simulation_before_the_receipt_has_left_is_a_violation(rail: SimulatedRail) -> None:
    set_faults(rail.conn, Faults(delay=ONE, delay_seconds=60))
    assert rail.ask(order_xml(MAY)) == []
    rail.simulate(Line("L2", "2026-05-11", "2026-05-15", 1, ref="L1"), change="ENDR")
    assert rail.violations() == (("simulation before the receipt", "SAK-1"),)


def test_a_simulation_while_an_order_of_the_case_is_being_booked_is_a_violation_and_waits_for_it(rail: SimulatedRail) -> None:
    second = change(Line("L2", "2026-05-11", "2026-05-15", 1300, ref="L1", rate_code="DAG"))
    assert rail.ask(order_xml(MAY)) == ["00"]
    with rail.conn.transaction():
        rail.conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('simulated ^AAP$ SAK-1', 12))")
        found: list[int] = []
        asking = threading.Thread(target=lambda: found.append(rail.simulate(MAY, change="ENDR", case="SAK-1").status))
        asking.start()
        while not _locks(rail, granted=False):
            time.sleep(0.01)
    asking.join()
    assert found == [500]
    assert rail.violations() == (("simulation while booking", "SAK-1"),)
    assert rail.ask(second) == ["00"]


def _locks(rail: SimulatedRail, *, granted: bool) -> bool:
    """Whether somebody marks a case as simulated, or waits to."""
    wanted = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted = %s)"
    return rail.conn.execute(wanted, [granted]).fetchone() == (True,)
