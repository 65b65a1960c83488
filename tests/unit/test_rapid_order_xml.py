"""A need's order as XML, to the byte, and what the rail emulator makes of it (rapid §3.1)."""

import re
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kvitt.contracts.rapid.derive import forwarded_order
from kvitt.contracts.rapid.needs import (
    MAX_GRADE,
    MAX_RATE,
    RATE_OF,
    Need,
    NeedKind,
    NeedLine,
)
from kvitt.contracts.rapid.wire.need import read
from kvitt.disbursement.values import LineChange, Scheme
from kvitt.rails.oppdrag.emulator.answers import ACCEPTED
from kvitt.rails.oppdrag.emulator.batch import echo
from kvitt.rails.oppdrag.emulator.order import ReceivedOrder
from kvitt.rails.oppdrag.emulator.reading import read as rail_reads
from kvitt.rails.oppdrag.forwarded_xml import correlation_time, encode
from kvitt.rails.oppdrag.rail import LineKey, correlation_key, decode, line_keys
from support.rapid_messages import CASE_ID, EXAMPLE, GOLDEN_XML, KEY, LEFT_OUT, PERSON, cessation, line, need_bytes
from support.wire_values import norwegian

AT = datetime.fromisoformat("2024-03-04T12:00:00.512345")


def xml_of(body: bytes) -> str:
    asked = read(body)
    assert isinstance(asked, Need), asked
    return encode(forwarded_order(asked, 1, KEY, AT)).decode()


def only_line(body: bytes) -> list[str]:
    root = etree.fromstring(xml_of(body).encode())
    line = root.find("oppdrag-110/oppdrags-linje-150")
    assert line is not None
    return [f"{child.tag}={child.text}" if not len(child) else f"{child.tag}({''.join(child.itertext())})" for child in line]


def test_the_contracts_example_is_the_contracts_order_to_the_byte() -> None:
    assert xml_of(EXAMPLE.encode()) == GOLDEN_XML


def test_the_root_has_no_namespace_and_the_document_one_line() -> None:
    declaration, document = xml_of(need_bytes()).split("\n")
    assert declaration == '<?xml version="1.0" encoding="utf-8"?>'
    assert document.startswith("<Oppdrag><oppdrag-110>")
    assert "xmlns" not in document


def test_all_that_a_line_may_say_stands_in_the_contracts_order() -> None:
    said = cessation("2024-03-10", datoKlassifikFom="2024-03-01", refDelytelseId=2, refFagsystemId=f" {CASE_ID}\r\n")
    assert only_line(need_bytes(linjer=[said])) == [
        "delytelseId=1",
        "refDelytelseId=2",
        f"refFagsystemId={CASE_ID}",
        "kodeEndringLinje=ENDR",
        "kodeKlassifik=SPREFAG-IOP",
        "datoKlassifikFom=2024-03-01",
        "datoVedtakFom=2024-03-04",
        "datoVedtakTom=2024-03-22",
        "kodeStatusLinje=OPPH",
        "datoStatusFom=2024-03-10",
        "sats=1450",
        "henvisning=6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1",
        "fradragTillegg=T",
        "typeSats=DAG",
        "saksbehId=Kari Utbetaler",
        "brukKjoreplan=N",
        "refusjonsinfo-156(009876543212024-03-042024-12-13)",
        "grad-170(UFOR80)",
        "attestant-180(Kari Utbetaler)",
    ]


def test_a_person_is_paid_before_the_grade_and_without_a_last_day() -> None:
    said = only_line(need_bytes(fagområde="SP", mottaker=PERSON, linjer=[line(klassekode="SPATORD")]))
    assert said[-4:] == ["brukKjoreplan=N", f"utbetalesTilId={PERSON}", "grad-170(UFOR80)", "attestant-180(Kari Utbetaler)"]


@pytest.mark.parametrize(("sats", "published", "sign"), [(1450, "1450", "T"), (0, "0", "T"), (-1450, "1450", "F"), ("-7.00", "7", "F")])
def test_a_deduction_is_positive_with_a_sign(sats: object, published: str, sign: str) -> None:
    said = only_line(need_bytes(linjer=[line(sats=sats)]))
    assert [text for text in said if text.startswith(("sats", "fradrag"))] == [f"sats={published}", f"fradragTillegg={sign}"]


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"maksdato": None}, "maksDato"),
        ({"linjer": [line(refFagsystemId=None, refDelytelseId=None)]}, "ref"),
        ({"linjer": [line(datoStatusFom=LEFT_OUT, statuskode=LEFT_OUT)]}, "tatus"),
        ({"linjer": [line(datoKlassifikFom=None)]}, "datoKlassifikFom"),
        ({"kind": NeedKind.HOLIDAY_PAY}, "grad-170"),
        ({"linjer": []}, "oppdrags-linje-150"),
    ],
)
def test_what_is_not_said_is_left_out(changes: dict[str, object], absent: str) -> None:
    assert f"<{absent}" not in xml_of(need_bytes(**changes)).replace("refusjons", "").replace("refunderes", "")  # type: ignore[arg-type]


def test_an_organisation_is_padded_and_a_person_is_not() -> None:
    assert "<refunderesId>00987654321</refunderesId>" in xml_of(need_bytes())
    assert f"<refunderesId>{PERSON}</refunderesId>" in xml_of(need_bytes(mottaker=PERSON))


@pytest.mark.parametrize(
    ("text", "published"),
    [("A & B", "A &amp; B"), ("a<b>\"c'", "a&lt;b>\"c'"), ("a\rb\nc\td", "a&#xd;b\nc\td"), ("Åse Ørn", "Åse Ørn"), ("]]>", "]]&gt;")],
)
def test_text_is_escaped_as_the_contract_says_and_comes_back_as_it_was(text: str, published: str) -> None:
    xml = xml_of(need_bytes(saksbehandler=text))
    assert xml.count(f"<saksbehId>{published}</saksbehId>") == 2
    assert f"<attestantId>{published}</attestantId>" in xml
    assert etree.fromstring(xml.encode()).findtext("oppdrag-110/saksbehId") == text


@pytest.mark.parametrize(
    ("at", "published"), [("2024-03-04T12:00:00", "2024-03-04T12:00:00"), ("2024-03-04T12:00:00.5", "2024-03-04T12:00:00.5")]
)
def test_the_correlation_time_is_the_time_as_it_stands_in_the_order(at: str, published: str) -> None:
    asked = read(need_bytes())
    assert isinstance(asked, Need)
    moment = datetime.fromisoformat(at)
    assert correlation_time(moment) == published
    assert f"<tidspktMelding>{published}</tidspktMelding>" in encode(forwarded_order(asked, 1, KEY, moment)).decode()


days = st.dates(date(1900, 1, 1), date(2199, 12, 31))
longs = st.integers(-(2**63), 2**63 - 1)
texts = norwegian(1, 30)
blanks = st.text(" \r\n\t", max_size=3)


def lines(kind: NeedKind) -> st.SearchStrategy[NeedLine]:
    grades = st.integers(0, MAX_GRADE)
    return st.builds(
        NeedLine,
        start=days,
        end=days,
        change=st.sampled_from(LineChange),
        amount=st.integers(-MAX_RATE, MAX_RATE),
        rate=st.just(RATE_OF[kind]),
        line_id=longs,
        ref_line=st.none() | longs,
        ref_case=st.none() | st.builds(lambda text, blank: text + blank, texts, blanks),
        class_code=norwegian(1, 50),
        class_from=st.none() | days,
        ceased_from=st.none() | days,
        ceased=st.booleans(),
        grade=grades if kind is NeedKind.PAYMENT else st.none() | grades,
    )


def needs_of(kind: NeedKind) -> st.SearchStrategy[Need]:
    digits = [st.text("0123456789", min_size=length, max_size=length) for length in (9, 11)]
    return st.builds(
        Need,
        kind=st.just(kind),
        person=digits[1],
        organisation=digits[0],
        payment_id=st.uuids().map(str),
        case_id=texts,
        area=st.sampled_from(["SPREF", "SP"]),
        change=st.sampled_from(LineChange),
        caseworker=norwegian(1, 50),
        recipient=digits[0] | digits[1],
        last_day=st.none() | days if kind is NeedKind.PAYMENT else st.none(),
        lines=st.lists(lines(kind), max_size=4).map(tuple),
    )


needs = st.sampled_from(NeedKind).flatmap(needs_of)
times = st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2100-01-01"))


@given(needs, longs, times)
def test_the_rail_can_read_the_order_of_every_valid_need(asked: Need, key: int, at: datetime) -> None:
    order = rail_reads(encode(forwarded_order(asked, 1, key, at)))
    assert isinstance(order, ReceivedOrder), order
    assert (order.case, order.person, order.change.value) == ((asked.area, asked.case_id), asked.person, asked.change.value)
    assert [(each.line_id, each.amount, each.starts) for each in order.lines] == [
        (str(each.line_id), each.amount, each.start) for each in asked.lines
    ]


@given(needs, longs, times)
def test_a_receipt_of_the_order_says_its_lines_its_case_and_its_time(asked: Need, key: int, at: datetime) -> None:
    receipt = decode(echo(encode(forwarded_order(asked, 1, key, at)), ACCEPTED))
    assert (receipt.area, receipt.case, receipt.correlation_time) == (asked.area, (Scheme.SYKEPENGER, asked.case_id), correlation_time(at))
    assert receipt.correlation_key == correlation_key(line_keys(forwarded_order(asked, 1, KEY, AT)))


def test_the_line_keys_of_the_example_and_of_a_cessation() -> None:
    asked = read(need_bytes(linjer=[line(), cessation("2024-03-10", delytelseId=2)]))
    assert isinstance(asked, Need)
    assert line_keys(forwarded_order(asked, 1, KEY, AT)) == (LineKey("1", None), LineKey("2", "2024-03-10"))


def test_the_order_of_a_need_is_the_same_every_time() -> None:
    assert len({xml_of(need_bytes()), xml_of(need_bytes()), xml_of(EXAMPLE.encode())}) == 1
    assert re.search(r"\s{2}", GOLDEN_XML) is None
