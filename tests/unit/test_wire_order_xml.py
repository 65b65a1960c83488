"""An order's XML is the contract's to the letter, valid by our schema and by the published one, and carries no more than it may."""

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from kvitt.disbursement.values import (
    Area,
    CaseId,
    DecisionId,
    HoldBack,
    LineId,
    Order,
    OrderId,
    OrderLine,
    PaymentId,
    RateType,
    Scheme,
)
from kvitt.errors import InvalidOrderMessage
from kvitt.rails.oppdrag import order_xml
from kvitt.rails.oppdrag.rail import LineKey, line_keys
from support.tried import tried
from support.wire_values import orders

PUBLISHED = Path(__file__).parents[2].parent / "shared" / "schemas" / "oppdragskjema-1.xsd"

CONTRACT = """\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:oppdrag xmlns:ns2="http://www.trygdeetaten.no/skjema/oppdrag">
    <oppdrag-110>
        <kodeAksjon>1</kodeAksjon>
        <kodeEndring>ENDR</kodeEndring>
        <kodeFagomraade>TILLSTPB</kodeFagomraade>
        <fagsystemId>300000123</fagsystemId>
        <utbetFrekvens>MND</utbetFrekvens>
        <oppdragGjelderId>01020312345</oppdragGjelderId>
        <datoOppdragGjelderFom>2000-01-01+01:00</datoOppdragGjelderFom>
        <saksbehId>ts</saksbehId>
        <avstemming-115>
            <kodeKomponent>TILLSTPB</kodeKomponent>
            <nokkelAvstemming>2025-07-04-10.10.00.000000</nokkelAvstemming>
            <tidspktMelding>2025-07-04-13.22.05.481516</tidspktMelding>
        </avstemming-115>
        <oppdrags-enhet-120>
            <typeEnhet>BOS</typeEnhet>
            <enhet>8020</enhet>
            <datoEnhetFom>1970-01-01+01:00</datoEnhetFom>
        </oppdrags-enhet-120>
        <oppdrags-linje-150>
            <kodeEndringLinje>ENDR</kodeEndringLinje>
            <kodeStatusLinje>OPPH</kodeStatusLinje>
            <datoStatusFom>2025-06-02+02:00</datoStatusFom>
            <vedtakId>2025-07-04</vedtakId>
            <delytelseId>hQpIV/pOTQ2TSiQPfHbIpA==</delytelseId>
            <kodeKlassifik>TSTBASISP4-OP</kodeKlassifik>
            <datoKlassifikFom>2025-06-02+02:00</datoKlassifikFom>
            <datoVedtakFom>2025-06-02+02:00</datoVedtakFom>
            <datoVedtakTom>2025-06-13+02:00</datoVedtakTom>
            <sats>150</sats>
            <fradragTillegg>T</fradragTillegg>
            <typeSats>DAG</typeSats>
            <brukKjoreplan>N</brukKjoreplan>
            <saksbehId>ts</saksbehId>
            <utbetalesTilId>01020312345</utbetalesTilId>
            <henvisning>BEH-B</henvisning>
            <attestant-180>
                <attestantId>ts</attestantId>
            </attestant-180>
        </oppdrags-linje-150>
        <oppdrags-linje-150>
            <kodeEndringLinje>NY</kodeEndringLinje>
            <vedtakId>2025-07-04</vedtakId>
            <delytelseId>q83vEjRWeJC83vEjRWeJCw==</delytelseId>
            <kodeKlassifik>TSTBASISP4-OP</kodeKlassifik>
            <datoKlassifikFom>2025-06-06+02:00</datoKlassifikFom>
            <datoVedtakFom>2025-06-06+02:00</datoVedtakFom>
            <datoVedtakTom>2025-06-13+02:00</datoVedtakTom>
            <sats>150</sats>
            <fradragTillegg>T</fradragTillegg>
            <typeSats>DAG</typeSats>
            <brukKjoreplan>N</brukKjoreplan>
            <saksbehId>ts</saksbehId>
            <utbetalesTilId>01020312345</utbetalesTilId>
            <henvisning>BEH-B</henvisning>
            <refFagsystemId>300000123</refFagsystemId>
            <refDelytelseId>hQpIV/pOTQ2TSiQPfHbIpA==</refDelytelseId>
            <attestant-180>
                <attestantId>ts</attestantId>
            </attestant-180>
        </oppdrags-linje-150>
    </oppdrag-110>
</ns2:oppdrag>"""

JUNE_2, JUNE_6, JUNE_13 = date(2025, 6, 2), date(2025, 6, 6), date(2025, 6, 13)
FIRST = LineId("850a4857-fa4e-4d0d-934a-240f7c76c8a4")
SECOND = LineId(str(UUID(bytes=b64decode("q83vEjRWeJC83vEjRWeJCw=="))))
CESSATION = OrderLine(
    line_id=FIRST,
    refers_to=None,
    payment_id=PaymentId("11111111-2222-4333-8444-555555555555"),
    class_code="TSTBASISP4-OP",
    start=JUNE_2,
    end=JUNE_13,
    amount=150,
    decided_rate=None,
    rate_type=RateType.WEEKDAY,
    ceased_from=JUNE_2,
    decided_on="2025-07-04",
    caseworker="ts",
    approver="ts",
    decision_id=DecisionId("BEH-B"),
)
NEW = replace(CESSATION, line_id=SECOND, refers_to=FIRST, start=JUNE_6, ceased_from=None)
ORDER = Order(
    order_id=OrderId("00000000-0000-5000-8000-000000000000"),
    scheme=Scheme.TILLEGGSSTONADER,
    area=Area("TILLSTPB"),
    case_id=CaseId("300000123"),
    number=2,
    is_first_order=False,
    frequency="MND",
    person="01020312345",
    caseworker="ts",
    office=None,
    hold_back=None,
    made_at=datetime(2025, 7, 4, 13, 22, 5, 481516),  # noqa: DTZ001 - Oslo local time by definition
    lines=(CESSATION, NEW),
    payments=(),
)


def text_of(order: Order) -> str:
    xml = order_xml.encode(order)
    order_xml.validate(xml)
    return xml.decode()


def block(text: str, element: str) -> str:
    """All blocks of an element without indentation."""
    return "".join(re.sub(r"\n *", "", found) for found in re.findall(rf"<{element}>.*?</{element}>", text, re.DOTALL))


def test_an_order_is_written_as_the_contract_shows_it() -> None:
    assert text_of(ORDER) == CONTRACT


def test_the_same_order_gives_the_same_bytes_and_its_clock_is_the_correlation_time() -> None:
    assert order_xml.encode(ORDER) == order_xml.encode(replace(ORDER))
    assert order_xml.correlation_time(ORDER) == "2025-07-04-13.22.05.481516"
    on_the_second = replace(ORDER, made_at=datetime(2025, 7, 4, 9, 0))  # noqa: DTZ001 - Oslo local time by definition
    assert order_xml.correlation_time(on_the_second) == "2025-07-04-09.00.00.000000"


def test_line_keys_are_what_a_receipt_will_carry() -> None:
    assert line_keys(ORDER) == (LineKey("hQpIV/pOTQ2TSiQPfHbIpA==", "2025-06-02"), LineKey("q83vEjRWeJC83vEjRWeJCw==", None))


def test_the_first_order_of_a_case_is_new() -> None:
    assert "<kodeEndring>NY</kodeEndring>" in text_of(replace(ORDER, is_first_order=True))


@pytest.mark.parametrize(
    ("office", "blocks"),
    [(None, [("BOS", "8020")]), ("0220", [("BOS", "0220"), ("BEH", "8020")])],
)
def test_an_office_that_is_not_ours_pays_and_ours_handles(office: str | None, blocks: list[tuple[str, str]]) -> None:
    expected = "".join(
        f"<oppdrags-enhet-120><typeEnhet>{kind}</typeEnhet><enhet>{number}</enhet>"
        "<datoEnhetFom>1970-01-01+01:00</datoEnhetFom></oppdrags-enhet-120>"
        for kind, number in blocks
    )
    assert block(text_of(replace(ORDER, office=office)), "oppdrags-enhet-120") == expected


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (
            HoldBack(JUNE_2, JUNE_13, date(2025, 12, 11), "AVVENT_REFUSJONSKRAV"),
            (
                "<datoAvventFom>2025-06-02+02:00</datoAvventFom><datoAvventTom>2025-06-13+02:00</datoAvventTom>"
                "<kodeArsak>AVRK</kodeArsak><datoOverfores>2025-12-11+01:00</datoOverfores><feilreg>N</feilreg>"
            ),
        ),
        (
            HoldBack(JUNE_2, JUNE_13, None, "AVVENT_AVREGNING", registered_by_mistake=True),
            (
                "<datoAvventFom>2025-06-02+02:00</datoAvventFom><datoAvventTom>2025-06-13+02:00</datoAvventTom>"
                "<kodeArsak>AVAV</kodeArsak><feilreg>J</feilreg>"
            ),
        ),
        (
            HoldBack(JUNE_2, JUNE_13),
            "<datoAvventFom>2025-06-02+02:00</datoAvventFom><datoAvventTom>2025-06-13+02:00</datoAvventTom><feilreg>N</feilreg>",
        ),
    ],
)
def test_a_hold_back_has_its_cause_its_transfer_and_its_mistake(held: HoldBack, expected: str) -> None:
    assert block(text_of(replace(ORDER, hold_back=held)), "avvent-118") == f"<avvent-118>{expected}</avvent-118>"


@pytest.mark.parametrize(
    ("rate_type", "code"), [(RateType.DAY, "DAG7"), (RateType.WEEKDAY, "DAG"), (RateType.MONTH, "MND"), (RateType.ONE_OFF, "ENG")]
)
def test_rate_types_have_the_rails_codes(rate_type: RateType, code: str) -> None:
    assert f"<typeSats>{code}</typeSats>" in text_of(replace(ORDER, lines=(replace(NEW, rate_type=rate_type),)))


def test_a_decided_rate_is_written_between_reference_and_approver() -> None:
    text = re.sub(r"\n *", "", text_of(replace(ORDER, lines=(replace(NEW, decided_rate=1077),))))
    assert "</refDelytelseId><vedtakssats-157><vedtakssats>1077</vedtakssats></vedtakssats-157><attestant-180>" in text


def test_references_come_in_pairs_and_never_on_a_cessation() -> None:
    assert "<ref" not in text_of(replace(ORDER, lines=(replace(CESSATION, refers_to=SECOND), replace(NEW, refers_to=None))))


def test_an_order_without_lines_is_an_order() -> None:
    assert "oppdrags-linje-150" not in text_of(replace(ORDER, lines=()))


def test_an_older_line_id_goes_out_as_it_is_up_to_thirty_characters() -> None:
    assert order_xml.encode_line_id(LineId("200001343#0")) == "200001343#0"
    assert order_xml.encode_line_id(LineId(FIRST.upper())) == "hQpIV/pOTQ2TSiQPfHbIpA=="
    with pytest.raises(ValueError, match=r"^gammelt format av periodeid er over 30 tegn\.$"):
        order_xml.encode(replace(ORDER, lines=(replace(NEW, refers_to=LineId("x" * 31)),)))


def test_marks_and_line_ends_in_texts_arrive_as_they_were() -> None:
    wanted = "a<b>&c\r\nd]]>\t'\""
    xml = order_xml.encode(replace(ORDER, case_id=CaseId(wanted)))
    assert etree.fromstring(xml).findtext("oppdrag-110/fagsystemId") == wanted


@tried(100)
@given(orders)
def test_any_order_is_valid_by_our_schema(order: Order) -> None:
    order_xml.validate(order_xml.encode(order))


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published schema is not beside the project")
@tried(100)
@given(orders)
def test_any_order_is_valid_by_the_published_schema(order: Order) -> None:
    known_rates = order_xml.encode(order).replace(b"<typeSats>DAG7<", b"<typeSats>DAG<")
    published_schema().assertValid(etree.fromstring(known_rates))


def published_schema(loaded: list[etree.XMLSchema] = []) -> etree.XMLSchema:  # noqa: B006 - read once
    if not loaded:
        loaded.append(etree.XMLSchema(etree.parse(PUBLISHED)))
    return loaded[0]


@tried(100)
@given(orders)
def test_any_order_says_what_it_was_made_of(order: Order) -> None:
    root = etree.fromstring(order_xml.encode(order))
    assert root.findtext("oppdrag-110/fagsystemId") == order.case_id
    for element, line in zip(root.iterfind("oppdrag-110/oppdrags-linje-150"), order.lines, strict=True):
        assert element.findtext("henvisning") == line.decision_id
        assert element.findtext("sats") == str(line.amount)
        assert (element.findtext("refFagsystemId") is None) == (line.refers_to is None or line.ceased_from is not None)
        assert element.findtext("datoVedtakTom")[:10] == line.end.isoformat()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"case_id": "SECRET" * 6}, "fagsystemId"),
        ({"caseworker": "SECRET-TO"}, "saksbehId"),
        ({"person": "SECRET"}, "oppdragGjelderId"),
        ({"office": "SEC"}, "enhet"),
        ({"frequency": "SECRET"}, "utbetFrekvens"),
    ],
)
def test_what_the_rail_could_not_read_is_refused_by_place_and_never_quoted(change: dict[str, str], place: str) -> None:
    with pytest.raises(InvalidOrderMessage) as refused:
        order_xml.validate(order_xml.encode(replace(ORDER, **change)))
    assert place in str(refused.value)
    assert "SEC" not in str(refused.value)


NO_ORDERS = [
    b"",
    b"<oppdrag/>",
    CONTRACT.encode()[:-5],
    CONTRACT.replace("<kodeAksjon>1</kodeAksjon>", "").encode(),
    CONTRACT.replace("<sats>150", "<sats>150.001").encode(),
    CONTRACT.replace("300000123", "a\x00b").encode(),
    CONTRACT.replace("?>\n", '?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>', 1).replace("BEH-B", "&b;").encode(),
    CONTRACT.replace('UTF-8" standalone="yes"?>\n', 'UTF-16"?><!DOCTYPE x [<!ENTITY a "a">]>', 1).encode("utf-16"),
    CONTRACT.replace("BEH-B", "&file;").encode(),
]


@pytest.mark.parametrize("xml", NO_ORDERS)
def test_what_is_no_order_does_not_leave(xml: bytes) -> None:
    with pytest.raises(InvalidOrderMessage):
        order_xml.validate(xml)


def test_a_year_of_single_days_is_still_one_valid_order() -> None:
    days = [JUNE_2 + timedelta(days=day) for day in range(365)]
    text_of(replace(ORDER, lines=tuple(replace(NEW, start=day, end=day) for day in days)))


def refused_by(validate: Callable[[], object]) -> str | None:
    try:
        validate()
    except InvalidOrderMessage as refused:
        return str(refused)
    return None


@tried(100)
@given(st.lists(st.one_of(orders.map(order_xml.encode), st.sampled_from(NO_ORDERS)), max_size=6))
def test_many_orders_are_refused_just_where_one_of_them_is(messages: list[bytes]) -> None:
    one_by_one = [refused for each in messages if (refused := refused_by(lambda each=each: order_xml.validate(each)))]
    assert refused_by(lambda: order_xml.validate_all(messages)) == (one_by_one[0] if one_by_one else None)


def test_more_orders_than_are_validated_at_once_are_all_looked_at() -> None:
    good, bad = order_xml.encode(ORDER), NO_ORDERS[4]
    many = [good] * (2_100_000 // len(good))
    order_xml.validate_all(many)
    for place in (0, len(many) // 2, len(many) - 1):
        with pytest.raises(InvalidOrderMessage):
            order_xml.validate_all([*many[:place], bad, *many[place:]])
