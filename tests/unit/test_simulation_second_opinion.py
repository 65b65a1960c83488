"""The published WSDL in another library's hands: it reads our questions as they are meant, and we read the answers that it writes."""

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from lxml import etree

from kvitt.disbursement.simulation import Simulation
from kvitt.disbursement.values import LineChange, Order
from kvitt.rails.oppdrag.order_xml import RATE_CODES
from kvitt.rails.oppdrag.simulation_answer import read_simulation
from kvitt.rails.oppdrag.simulation_request import encode_simulation, envelope
from support import simulation_answers as answers
from support.simulation_answers import Of, Row
from support.simulation_server import SIMULATION, says, scripted_server
from support.tried import tried
from unit.test_simulation_request import ORDER, as_published, asked

zeep = pytest.importorskip("zeep")
WSDL = Path(__file__).parents[2].parent / "shared/schemas/simulering/no/nav/system/os/eksponering/simulerfpservicewsbinding.wsdl"
pytestmark = pytest.mark.skipif(not WSDL.exists(), reason="the published WSDL is not beside the project")
SERVICE = "{http://nav.no/system/os/tjenester/simulerFpService/simulerFpServiceGrensesnitt}"


@cache
def client() -> Any:
    """The other library with the published WSDL."""
    return zeep.Client(str(WSDL))


def element(name: str) -> Any:
    return client().wsdl.types.get_element(SERVICE + name)


@tried(30)
@given(asked)
def test_a_question_is_read_by_the_published_types_as_it_was_meant(order: Order) -> None:
    read = element("simulerBeregningRequest").parse(etree.fromstring(as_published(encode_simulation(order))), client().wsdl.types).request
    meant = [line for line in order.lines if not (line.forwarded and line.forwarded.change is LineChange.NONE)]
    assert (read.oppdrag.kodeFagomraade, read.oppdrag.fagsystemId) == (order.area, order.case_id)
    assert (read.oppdrag.saksbehId or "") == order.caseworker[:8]
    assert read.oppdrag.enhet[0].enhet == (order.office or "8020")
    assert len(read.oppdrag.oppdragslinje) == len(meant)
    for line, own in zip(read.oppdrag.oppdragslinje, meant, strict=True):
        assert (line.datoVedtakFom, line.datoVedtakTom) == (str(own.start), str(own.end))
        assert (line.sats, line.typeSats) == (Decimal(own.amount), RATE_CODES[own.rate_type].replace("DAG7", "DAG"))
        assert line.kodeKlassifik == own.class_code
        assert [each.attestantId for each in line.attestant] == [own.approver[:8]]
        if own.forwarded and own.forwarded.grade is not None:
            assert [each.grad for each in line.grad] == [own.forwarded.grade]
    if meant:
        span = (read.simuleringsPeriode.datoSimulerFom, read.simuleringsPeriode.datoSimulerTom)
        assert span == (str(min(line.start for line in meant)), str(max(line.end for line in meant)))


ANSWER = answers.computed(
    ("2026-01-05", "2026-01-09", [Of([Row("2026-01-05", "2765.00", end="2026-01-09", rate="553.00", rate_type="DAG", count="5.00")])]),
    total="2765.00",
)


def test_the_answers_of_these_tests_are_what_the_published_types_say() -> None:
    """Apart from the blanks that fill up what is empty, which the schema forbids and the rail writes."""
    body = etree.fromstring(ANSWER)[1][0]
    read = element("simulerBeregningResponse").parse(body, client().wsdl.types).response.simulering
    (period,) = read.beregningsPeriode
    (payment,) = period.beregningStoppnivaa
    (row,) = payment.beregningStoppnivaaDetaljer
    assert (read.gjelderId, read.belop, payment.fagsystemId.strip(), row.belop) == ("01020312345", Decimal(2765), "S-1", Decimal(2765))


def test_what_the_other_library_asks_and_hears_over_http_is_what_we_ask_and_hear() -> None:
    with scripted_server() as server:
        server.scripts = {SIMULATION: [says(ANSWER)]}
        service = client().create_service(
            "{http://nav.no/system/os/eksponering/simulerFpServiceWSBinding}simulerFpServiceBinding", server.url + SIMULATION
        )
        sent = element("simulerBeregningRequest").parse(etree.fromstring(encode_simulation(ORDER)), client().wsdl.types)
        heard = service.simulerBeregning(request=sent.request)
        (got,) = server.asked
    ours = etree.fromstring(envelope(encode_simulation(ORDER), to="http://here", message_id="1"))
    assert texts(etree.fromstring(got.body)) == texts(ours)
    found = read_simulation(200, ANSWER)
    assert isinstance(found, Simulation)
    row = heard.simulering.beregningsPeriode[0].beregningStoppnivaa[0].beregningStoppnivaaDetaljer[0]
    own = found.periods[0].payments[0].postings[0]
    assert (int(row.belop), int(row.sats * 100), row.klassekode.strip()) == (own.amount, own.rate, own.class_code)


def texts(root: etree._Element) -> list[tuple[str, str]]:
    """Every element of the SOAP body with its text, in order."""

    def walked(parent: etree._Element) -> Iterator[tuple[str, str]]:
        for child in parent:
            yield str(child.tag), (child.text or "").strip()
            yield from walked(child)

    return list(walked(root.find("{http://schemas.xmlsoap.org/soap/envelope/}Body")))
