"""A request to the emulator's simulation is read or answered with a fault, whatever its bytes are."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from kvitt.rails.oppdrag.emulator.order import ChangeCode
from kvitt.rails.oppdrag.emulator.simulation.faults import SoapFault, fault_envelope
from kvitt.rails.oppdrag.emulator.simulation.request import ReadEnvelope, SimulationQuestion, read_request
from support.emulator_orders import PERSON, Line
from support.simulation_stage import envelope, request_xml

NOW = datetime.fromisoformat("2026-06-15T14:00")
ENVELOPE = envelope(
    request_xml(Line("L1", "2026-05-04", "2026-05-15", 1000, rate_code="DAG"), Line("L2", "2026-06-01", "2026-06-05", 700, ref="L1")),
    '<saml2:Assertion xmlns:saml2="urn:x" ID="SAML-1"/>',
    "urn:uuid:1",
)


def test_a_request_is_read_with_its_head() -> None:
    read = read_request(ENVELOPE, NOW)
    assert (read.message_id, read.assertion_id) == ("urn:uuid:1", "SAML-1")
    assert isinstance(read.found, SimulationQuestion)
    order = read.found.order
    assert (order.case, order.person, order.change, read.found.caseworker) == (("AAP", "SAK-1"), PERSON, ChangeCode.NEW, "Z900001")
    assert (str(read.found.first), str(read.found.last)) == ("2026-05-04", "2026-06-05")
    assert [(line.line_id, line.amount, line.rate_code, line.ref_line, line.payee) for line in order.lines] == [
        ("L1", 1000, "DAG", "", PERSON),
        ("L2", 700, "DAG7", "L1", PERSON),
    ]


@given(st.binary(max_size=200))
def test_any_bytes_have_an_answer(body: bytes) -> None:
    answered(read_request(body, NOW))


@given(st.integers(0, len(ENVELOPE) - 1), st.integers(0, 40), st.sampled_from([b"", b"<", b">", b"&", b"\x00", b"0", b"<a/>", b"\xff"]))
def test_a_request_of_which_a_part_is_something_else_has_an_answer(start: int, length: int, instead: bytes) -> None:
    answered(read_request(ENVELOPE[:start] + instead + ENVELOPE[start + length :], NOW))


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="<&\ufffe\uffff"), max_size=60))
def test_any_text_in_a_field_has_an_answer(text: str) -> None:
    for name in (b"sats", b"datoVedtakFom", b"typeSats", b"fagsystemId", b"utbetalesTilId", b"datoSimulerTom", b"kodeEndringLinje"):
        start = ENVELOPE.index(b"<" + name + b">") + len(name) + 2
        answered(read_request(ENVELOPE[:start] + text.encode() + ENVELOPE[ENVELOPE.index(b"</", start) :], NOW))


def answered(read: ReadEnvelope) -> None:
    if isinstance(read.found, SoapFault):
        assert fault_envelope(read.found).startswith(b"<?xml")
    else:
        assert isinstance(read.found, SimulationQuestion)
