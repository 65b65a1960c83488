"""What the rail's simulation is asked: the order's own lines, in the published order of elements, the same bytes for the same order."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from kvitt.disbursement.values import (
    Area,
    CaseId,
    DecisionId,
    ForwardedLine,
    ForwardedOrder,
    HoldBack,
    LineChange,
    LineId,
    Order,
    OrderId,
    OrderLine,
    PaymentId,
    RateType,
    Scheme,
)
from kvitt.errors import InvalidOrderMessage, TooManyToSimulate
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.simulation_request import encode_simulation, envelope
from support.tried import tried
from support.wire_values import norwegian, orders

PUBLISHED = Path(__file__).parents[2].parent / "shared/schemas/simulering/no/nav/system/os"
WSDL = PUBLISHED / "tjenester/simulerFpService/simulerfpservicegrensesnitt.wsdl"
beside = pytest.mark.skipif(not PUBLISHED.exists(), reason="the published schemas are not beside the project")

OF_A_STREAM = """\
<ns3:simulerBeregningRequest xmlns:ns2="http://nav.no/system/os/entiteter/oppdragSkjema" xmlns:ns3="http://nav.no/system/os/tjenester/simulerFpService/simulerFpServiceGrensesnitt">
  <request><oppdrag>
    <kodeEndring>NY</kodeEndring><kodeFagomraade>AAP</kodeFagomraade><fagsystemId>4NAAA1</fagsystemId><utbetFrekvens>MND</utbetFrekvens>
    <oppdragGjelderId>01020312345</oppdragGjelderId><datoOppdragGjelderFom>2000-01-01</datoOppdragGjelderFom><saksbehId>Z900001</saksbehId>
    <ns2:enhet><typeEnhet>BOS</typeEnhet><enhet>8020</enhet><datoEnhetFom>1970-01-01</datoEnhetFom></ns2:enhet>
    <oppdragslinje>
      <kodeEndringLinje>NY</kodeEndringLinje><delytelseId>hQpIV/pOTQ2TSiQPfHbIpA==</delytelseId><kodeKlassifik>AAPOR</kodeKlassifik>
      <datoKlassifikFom>2025-06-02</datoKlassifikFom><datoVedtakFom>2025-06-02</datoVedtakFom><datoVedtakTom>2025-06-13</datoVedtakTom><sats>553</sats>
      <fradragTillegg>T</fradragTillegg><typeSats>DAG</typeSats><brukKjoreplan>N</brukKjoreplan><saksbehId>Z900001</saksbehId><utbetalesTilId>01020312345</utbetalesTilId>
      <ns2:attestant><attestantId>Z900002</attestantId></ns2:attestant>
    </oppdragslinje>
  </oppdrag><simuleringsPeriode><datoSimulerFom>2025-06-02</datoSimulerFom><datoSimulerTom>2025-06-13</datoSimulerTom></simuleringsPeriode></request>
</ns3:simulerBeregningRequest>"""
OF_THE_RAPID = """\
<a:simulerBeregningRequest xmlns:a="http://nav.no/system/os/tjenester/simulerFpService/simulerFpServiceGrensesnitt" xmlns:b="http://nav.no/system/os/entiteter/oppdragSkjema">
  <request><oppdrag>
    <kodeEndring>ENDR</kodeEndring><kodeFagomraade>SPREF</kodeFagomraade><fagsystemId>KV5R2WQ7</fagsystemId><utbetFrekvens>MND</utbetFrekvens>
    <oppdragGjelderId>24068715888</oppdragGjelderId><datoOppdragGjelderFom>1970-01-01</datoOppdragGjelderFom>
    <saksbehId>Kari &amp; P</saksbehId>
    <b:enhet><typeEnhet>BOS</typeEnhet><enhet>8020</enhet><datoEnhetFom>1970-01-01</datoEnhetFom></b:enhet>
    <oppdragslinje>
      <kodeEndringLinje>NY</kodeEndringLinje><delytelseId>2</delytelseId><kodeKlassifik>SPREFAG-IOP</kodeKlassifik>
      <datoVedtakFom>2024-03-04</datoVedtakFom><datoVedtakTom>2024-03-22</datoVedtakTom><sats>-1450</sats>
      <fradragTillegg>T</fradragTillegg><typeSats>DAG</typeSats><brukKjoreplan>N</brukKjoreplan><saksbehId>Kari &amp; P</saksbehId>
      <refFagsystemId>KV5R2WQ7</refFagsystemId><refDelytelseId>1</refDelytelseId>
      <b:refusjonsInfo><refunderesId>00987654321</refunderesId><maksDato>2024-12-13</maksDato><datoFom>2024-03-04</datoFom></b:refusjonsInfo>
      <b:grad><typeGrad>UFOR</typeGrad><grad>80</grad></b:grad>
      <b:attestant><attestantId>Kari &amp; P</attestantId></b:attestant>
    </oppdragslinje>
  </oppdrag><simuleringsPeriode><datoSimulerFom>2024-03-04</datoSimulerFom><datoSimulerTom>2024-03-22</datoSimulerTom></simuleringsPeriode></request>
</a:simulerBeregningRequest>"""

JUNE_2, JUNE_6, JUNE_13 = date(2025, 6, 2), date(2025, 6, 6), date(2025, 6, 13)
FIRST = LineId("850a4857-fa4e-4d0d-934a-240f7c76c8a4")
LINE = OrderLine(
    line_id=FIRST,
    refers_to=None,
    payment_id=PaymentId("11111111-2222-4333-8444-555555555555"),
    class_code="AAPOR",
    start=JUNE_2,
    end=JUNE_13,
    amount=Kroner(553),
    decided_rate=None,
    rate_type=RateType.WEEKDAY,
    ceased_from=None,
    decided_on="2025-07-04",
    caseworker="Z900001",
    approver="Z900002",
    decision_id=DecisionId("BEH-B"),
)
ORDER = Order(
    order_id=OrderId("00000000-0000-5000-8000-000000000000"),
    scheme=Scheme.AAP,
    area=Area("AAP"),
    case_id=CaseId("4NAAA1"),
    number=1,
    is_first_order=True,
    frequency="MND",
    person="01020312345",
    caseworker="Z900001",
    office=None,
    hold_back=None,
    made_at=datetime(2025, 7, 4, 13, 22, 5),  # noqa: DTZ001 - Oslo local time by definition
    lines=(LINE,),
    payments=(),
)
OWN = ForwardedLine(2, 1, " KV5R2WQ7 ", LineChange.NEW, class_from=JUNE_2, ceased=False, ceased_from=None, grade=80)
FORWARDED_LINE = replace(
    LINE,
    line_id=LineId("KV5R2WQ7#2"),
    class_code="SPREFAG-IOP",
    start=date(2024, 3, 4),
    end=date(2024, 3, 22),
    amount=Kroner(-1450),
    caseworker="Kari & Paul",
    approver="Kari & Paul",
    forwarded=OWN,
)
FORWARDED = replace(
    ORDER,
    scheme=Scheme.SYKEPENGER,
    area=Area("SPREF"),
    case_id=CaseId("KV5R2WQ7"),
    person="24068715888",
    caseworker="Kari & Paul",
    lines=(FORWARDED_LINE,),
    forwarded=ForwardedOrder(LineChange.CHANGE, "987654321", date(2024, 12, 13)),
)


def structure(xml: str | bytes) -> bytes:
    """The document without its blanks and prefixes."""
    root = etree.fromstring(xml, etree.XMLParser(remove_blank_text=True))
    for element in root.iter():
        element.set("namespace", etree.QName(element).namespace or "")
        element.tag = etree.QName(element).localname
    etree.cleanup_namespaces(root)
    return etree.tostring(root, method="c14n")


def of_sender(**own: Any) -> Order:
    """A forwarded order whose line says something else of itself."""
    return replace(FORWARDED, lines=(replace(FORWARDED_LINE, forwarded=replace(OWN, **own)),))


def test_a_question_of_a_stream_is_written_as_the_contract_shows_it_and_names_the_days_of_its_lines() -> None:
    assert structure(encode_simulation(ORDER)) == structure(OF_A_STREAM)


def test_a_question_of_the_rapid_says_what_its_sender_says_in_the_order_that_the_schema_has() -> None:
    assert structure(encode_simulation(FORWARDED)) == structure(OF_THE_RAPID)


def test_what_the_simulation_does_not_know_makes_no_difference() -> None:
    held = replace(
        ORDER, hold_back=HoldBack(JUNE_2, JUNE_13), lines=(replace(LINE, decided_rate=1077, decision_id="other", decided_on="2020-01-01"),)
    )
    assert encode_simulation(held) == encode_simulation(ORDER) == encode_simulation(replace(ORDER, made_at=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_a_cessation_has_its_date_and_a_successor_its_reference_behind_who_is_paid() -> None:
    ceased = replace(LINE, ceased_from=JUNE_6, refers_to=LineId("older"))
    text = encode_simulation(
        replace(ORDER, is_first_order=False, office="0220", lines=(ceased, replace(LINE, line_id=LineId("new"), refers_to=FIRST)))
    ).decode()
    assert "ENDR</kodeEndringLinje><kodeStatusLinje>OPPH</kodeStatusLinje><datoStatusFom>2025-06-06</datoStatusFom><delytelseId>" in text
    reference = "</utbetalesTilId><refFagsystemId>4NAAA1</refFagsystemId><refDelytelseId>hQpIV/pOTQ2TSiQPfHbIpA==</refDelytelseId>"
    assert text.count(reference) == text.count("refDelytelseId>") / 2 == 1
    assert re.findall(r"<typeEnhet>(\w+)</typeEnhet><enhet>(\d+)<", text) == [("BOS", "0220"), ("BEH", "8020")]


def test_the_span_is_that_of_all_lines_whatever_their_order_is() -> None:
    later = replace(LINE, start=date(2025, 9, 1), end=date(2025, 12, 31))
    text = encode_simulation(replace(ORDER, lines=(later, LINE))).decode()
    assert "<datoSimulerFom>2025-06-02</datoSimulerFom><datoSimulerTom>2025-12-31</datoSimulerTom>" in text


def test_a_senders_line_is_ceased_by_its_date_alone() -> None:
    assert b"OPPH" not in encode_simulation(of_sender(ceased=True))
    assert b"<datoStatusFom>2025-06-06</datoStatusFom><delytelseId>" in encode_simulation(of_sender(ceased_from=JUNE_6))


def test_what_is_paid_to_the_person_names_the_person_and_no_refund() -> None:
    text = encode_simulation(replace(FORWARDED, area=Area("SP"))).decode()
    assert "<utbetalesTilId>24068715888</utbetalesTilId>" in text
    assert "refusjonsInfo" not in text


def test_a_line_that_changes_nothing_is_not_asked_about() -> None:
    text = encode_simulation(replace(FORWARDED, lines=(replace(FORWARDED_LINE, forwarded=replace(OWN, change=LineChange.NONE)),))).decode()
    assert "oppdragslinje" not in text
    assert "<simuleringsPeriode/>" in text


def test_a_question_has_room_for_1400_lines_and_for_no_more() -> None:
    days = [JUNE_2 + timedelta(days=count) for count in range(1401)]
    lines = tuple(replace(LINE, start=day, end=day) for day in days)
    assert encode_simulation(replace(ORDER, lines=lines[:1400])).count(b"<oppdragslinje>") == 1400
    with pytest.raises(TooManyToSimulate, match="the order has 1401 lines, and the rail simulates at most 1400"):
        encode_simulation(replace(ORDER, lines=lines))


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        (replace(ORDER, person="SECRET"), "oppdragGjelderId"),
        (replace(ORDER, case_id=CaseId("SECRET" * 6)), "fagsystemId"),
        (replace(ORDER, frequency="SECRET"), "utbetFrekvens"),
        (replace(ORDER, office="SEC"), "enhet"),
        (replace(ORDER, lines=(replace(LINE, approver=""),)), "attestantId"),
        (of_sender(grade=101), "grad"),
        (replace(FORWARDED, forwarded=replace(FORWARDED.forwarded, recipient="SECRET" * 3)), "refunderesId"),
        (replace(ORDER, case_id=CaseId("SEC\x00RET")), "well-formed"),
    ],
)
def test_what_the_rail_could_not_read_is_refused_by_place_and_never_quoted(wrong: Order, place: str) -> None:
    with pytest.raises(InvalidOrderMessage) as refused:
        encode_simulation(wrong)
    assert place in str(refused.value)
    assert "SEC" not in str(refused.value)


grades = st.none() | st.integers(0, 100)
days = st.none() | st.dates(date(1900, 1, 1), date(2199, 12, 31))
owns = st.builds(
    ForwardedLine,
    number=st.integers(1, 99999),
    ref_number=st.none() | st.integers(1, 99999),
    ref_case=st.none() | norwegian(1, 30),
    class_from=days,
    ceased_from=days,
    grade=grades,
)


@st.composite
def forwarded(draw: st.DrawFn) -> Order:
    """Arbitrary orders of senders that make their lines."""
    order = draw(orders)
    own = ForwardedOrder(draw(st.sampled_from(LineChange)), draw(st.text("0123456789", min_size=9, max_size=11)), draw(days))
    lines = tuple(replace(line, rate_type=RateType.WEEKDAY, forwarded=draw(owns)) for line in order.lines)
    return replace(order, area=Area(draw(st.sampled_from(["SP", "SPREF"]))), lines=lines, forwarded=own)


asked = st.one_of(orders, forwarded())


@tried(100)
@given(asked, norwegian(1, 30), norwegian(1, 50))
def test_any_order_gives_a_question_that_our_schema_takes_and_that_is_the_same_each_time(order: Order, case_id: str, name: str) -> None:
    order = replace(order, case_id=CaseId(case_id), caseworker=name)
    question = encode_simulation(order)
    assert question == encode_simulation(order)
    assert question.isascii()
    found = etree.fromstring(question).find("request/oppdrag")
    assert found.findtext("fagsystemId") == case_id
    assert found.findtext("saksbehId") == name[:8]
    kept = [line for line in order.lines if not (line.forwarded and line.forwarded.change is LineChange.NONE)]
    assert [line.findtext("sats") for line in found.iterfind("oppdragslinje")] == [str(line.amount) for line in kept]


@beside
@tried(100)
@given(asked)
def test_any_question_is_valid_by_the_published_schema_but_for_what_the_rail_takes_besides(order: Order) -> None:
    published().assertValid(etree.fromstring(as_published(encode_simulation(order))))


def as_published(question: bytes) -> bytes:
    """The question without the two things that the rail takes and its published schema does not."""
    head, *lines = question.replace(b"<typeSats>DAG7<", b"<typeSats>DAG<").split(b"<oppdragslinje>")
    recipient = b"</saksbehId><utbetalesTilId>01020312345</utbetalesTilId>"
    filled = [line if b"utbetalesTilId" in line else line.replace(b"</saksbehId>", recipient) for line in lines]
    return b"<oppdragslinje>".join([head, *filled])


def published(loaded: list[etree.XMLSchema] = []) -> etree.XMLSchema:  # noqa: B006 - read once
    if not loaded:
        schema = etree.parse(WSDL).find("{*}types/{http://www.w3.org/2001/XMLSchema}schema")
        loaded.append(etree.XMLSchema(etree.fromstring(etree.tostring(schema), base_url=str(WSDL))))
    return loaded[0]


def test_the_envelope_addresses_the_service_and_holds_assertion_and_question_as_they_are() -> None:
    question, assertion = encode_simulation(ORDER), b'<saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" ID="x"/>'
    message = envelope(question, to="https://proxy/sim?a=1&b=2", message_id="5d0c2e9e-0000-4000-8000-000000000000", assertion=assertion)
    root = etree.fromstring(message)
    assert root.tag == "{http://schemas.xmlsoap.org/soap/envelope/}Envelope"
    wsa = {"a": "http://www.w3.org/2005/08/addressing"}
    head = root[0]
    service = "http://nav.no/system/os/tjenester/simulerFpService/simulerFpServiceGrensesnitt/simulerFpService/simulerBeregning"
    assert head.findtext("a:Action", None, wsa) == service
    assert head.findtext("a:MessageID", None, wsa) == "urn:uuid:5d0c2e9e-0000-4000-8000-000000000000"
    assert head.findtext("a:To", None, wsa) == "https://proxy/sim?a=1&b=2"
    assert head.findtext("a:ReplyTo/a:Address", None, wsa) == "http://www.w3.org/2005/08/addressing/anonymous"
    security = head.find("{*}Security")
    assert security.get("{http://schemas.xmlsoap.org/soap/envelope/}mustUnderstand") == "1"
    assert assertion in message
    assert question in message
    assert root[1][0].tag.endswith("}simulerBeregningRequest")
    assert b"Security" not in envelope(question, to="http://here", message_id="1")
