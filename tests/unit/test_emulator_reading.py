"""What the rail emulator takes for an order, and what no document can make it do."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kvitt.rails.oppdrag.emulator import DamageForm
from kvitt.rails.oppdrag.emulator.answers import CASE_EXISTS, invalid
from kvitt.rails.oppdrag.emulator.batch import echo, unechoed
from kvitt.rails.oppdrag.emulator.damage import damage
from kvitt.rails.oppdrag.emulator.order import CaseAtRail, ChangeCode, ReceivedOrder
from kvitt.rails.oppdrag.emulator.reading import (
    LARGEST_ORDER_BYTES,
    Garbled,
    Invalid,
    Unreadable,
    read,
)
from support.emulator_orders import NAMESPACE, Line, hold_back_xml, order_xml

GOOD = order_xml(Line("L1", "2026-06-01", "2026-06-12", 640, decided_rate=700), Line("L2", "2026-06-15", "2026-06-19", 710, ref="L1"))

PLAIN = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<Oppdrag><oppdrag-110><kodeFagomraade>SPREF</kodeFagomraade><kodeEndring>NY</kodeEndring>'
    b"<fagsystemId>KV5R2WQ7NZ</fagsystemId><oppdragGjelderId>24068715888</oppdragGjelderId><saksbehId>Kari Utbetaler</saksbehId>"
    b"<kodeAksjon>1</kodeAksjon><utbetFrekvens>MND</utbetFrekvens><datoOppdragGjelderFom>1970-01-01</datoOppdragGjelderFom><avstemming-115>"
    b"<nokkelAvstemming>1709550000000000123</nokkelAvstemming><tidspktMelding>2024-03-04T12:00:00.512345678</tidspktMelding>"
    b"<kodeKomponent>SP</kodeKomponent></avstemming-115><oppdrags-enhet-120><enhet>8020</enhet><typeEnhet>BOS</typeEnhet>"
    b"<datoEnhetFom>1970-01-01</datoEnhetFom></oppdrags-enhet-120><oppdrags-linje-150><delytelseId>1</delytelseId>"
    b"<kodeEndringLinje>NY</kodeEndringLinje><kodeKlassifik>SPREFAG-IOP</kodeKlassifik><datoVedtakFom>2024-03-04</datoVedtakFom>"
    b"<datoVedtakTom>2024-03-22</datoVedtakTom><sats>1450</sats><henvisning>6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1</henvisning>"
    b"<fradragTillegg>T</fradragTillegg><typeSats>DAG</typeSats><saksbehId>Kari Utbetaler</saksbehId><brukKjoreplan>N</brukKjoreplan>"
    b"<refusjonsinfo-156><refunderesId>00987654321</refunderesId><datoFom>2024-03-04</datoFom><maksDato>2024-12-13</maksDato>"
    b"</refusjonsinfo-156><grad-170><typeGrad>UFOR</typeGrad><grad>80</grad></grad-170>"
    b"<attestant-180><attestantId>Kari Utbetaler</attestantId></attestant-180></oppdrags-linje-150></oppdrag-110></Oppdrag>"
)


def order_in(body: bytes) -> ReceivedOrder:
    reading = read(body)
    assert isinstance(reading, ReceivedOrder), reading
    return reading


def test_an_order_is_read_with_its_lines() -> None:
    order = order_in(GOOD)
    assert (order.case, order.change, order.person) == (CaseAtRail("AAP", "SAK-1"), ChangeCode.NEW, "01020312345")
    first, second = order.lines
    assert (first.line_id, first.starts, first.ends, first.amount, first.decided_rate) == (
        "L1",
        date(2026, 6, 1),
        date(2026, 6, 12),
        640,
        700,
    )
    assert (second.ref_line, second.ref_case, second.rate_code) == ("L1", "SAK-1", "DAG7")


def test_the_older_form_without_a_namespace_is_read() -> None:
    order = order_in(PLAIN)
    assert (order.case, order.lines[0].amount, order.lines[0].class_code) == (CaseAtRail("SPREF", "KV5R2WQ7NZ"), 1450, "SPREFAG-IOP")


def test_a_deduction_is_negative_and_decimals_are_rounded() -> None:
    order = order_in(order_xml(Line("L1", "2026-06-01", "2026-06-12", "640.50", sign="F")))
    assert order.lines[0].amount == -641


@pytest.mark.parametrize("days", ["2026-06-01", "2026-06-01Z", "2026-06-01-05:00"])
def test_a_day_is_the_day_written_whatever_its_zone(days: str) -> None:
    assert order_in(GOOD.replace(b"<datoVedtakFom>2026-06-01+02:00", f"<datoVedtakFom>{days}".encode())).lines[0].starts == date(2026, 6, 1)


@pytest.mark.parametrize("transfers_on", ["", "2026-07-01"])
def test_a_hold_back_is_read(transfers_on: str) -> None:
    order = order_in(order_xml(hold_backs=hold_back_xml("2026-06-01", "2026-06-12", transfers_on)))
    assert order.hold_backs[0].transfers_on == (date(2026, 7, 1) if transfers_on else None)


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b"<kodeAksjon>1</kodeAksjon>", b""),
        (b"<kodeAksjon>1</kodeAksjon>", b"<kodeAksjon>2</kodeAksjon>"),
        (b"<kodeEndring>NY</kodeEndring>", b"<kodeEndring>NEW</kodeEndring>"),
        (b"<typeSats>DAG7</typeSats>", b"<typeSats>DAY</typeSats>"),
        (b"<sats>640</sats>", b"<sats>640,5</sats>"),
        (b"<sats>640</sats>", b"<sats>640.123</sats>"),
        (b"<delytelseId>L1</delytelseId>", b"<delytelseId>" + b"x" * 31 + b"</delytelseId>"),
        (b"<fagsystemId>SAK-1</fagsystemId>", b"<fagsystemId>" + b"x" * 31 + b"</fagsystemId>"),
        (b"<oppdragGjelderId>01020312345</oppdragGjelderId>", b"<oppdragGjelderId>12345678</oppdragGjelderId>"),
        (b"<vedtakId>2026-06-01</vedtakId>", b"<vedtakId>2026-06-01T</vedtakId>"),
        (b"2026-06-12+02:00", b"2026-06-31+02:00"),
        (b"2026-06-12+02:00", b"12026-06-12"),
        (b"<brukKjoreplan>N</brukKjoreplan>", b"<brukKjoreplan>NO</brukKjoreplan>"),
        (b"<enhet>8020</enhet>", b"<enhet>802</enhet>"),
        (b"<attestantId>B200002</attestantId>", b"<attestantId></attestantId>"),
        (b"<kodeEndringLinje>NY</kodeEndringLinje>", b"<kodeEndringLinje>UEND</kodeEndringLinje>"),
        (b"    <oppdrag-110>", b"    <mmel><alvorlighetsgrad>00</alvorlighetsgrad></mmel><oppdrag-110>"),
        (b"<saksbehId>dagpenger</saksbehId>", b"<extra/><saksbehId>dagpenger</saksbehId>"),
        (b"trygdeetaten.no/skjema/oppdrag", b"trygdeetaten.no/skjema/annet"),
    ],
)
def test_an_order_against_the_schema_is_invalid_and_can_be_echoed(there: bytes, instead: bytes) -> None:
    body = GOOD.replace(there, instead)
    assert body != GOOD
    assert isinstance(read(body), Invalid)
    assert etree.fromstring(echo(body, CASE_EXISTS))[0].tag == "mmel"


def test_qualified_children_are_invalid() -> None:
    assert isinstance(read(GOOD.replace(b"<ns2:oppdrag xmlns:ns2=", b"<oppdrag xmlns=").replace(b"</ns2:", b"</")), Invalid)


@pytest.mark.parametrize("cut", [2, 20, 300, len(GOOD) - 300])
def test_an_order_that_breaks_off_is_garbled(cut: int) -> None:
    assert isinstance(read(GOOD[:-cut]), Garbled)


BOMB = b'<!DOCTYPE oppdrag [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>'
FILE = b'<!DOCTYPE oppdrag [<!ENTITY f SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\x00\xff\xfe",
        b"<receipt/>",
        b"<oppdrag/>",
        BOMB + b"<oppdrag>&c;</oppdrag>",
        GOOD.replace(b"<ns2:oppdrag", BOMB + b"<ns2:oppdrag").replace(b"SAK-1", b"&c;"),
        GOOD.replace(b"<ns2:oppdrag", FILE + b"<ns2:oppdrag").replace(b"SAK-1", b"&f;"),
        GOOD.replace(b"<ns2:oppdrag", b'<!DOCTYPE oppdrag SYSTEM "http://127.0.0.1:1/x.dtd"><ns2:oppdrag'),
        GOOD.decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        GOOD.decode().replace("UTF-8", "UTF-7").replace("<ns2:oppdrag", "+ADwAIQ-DOCTYPE x+AD4-<ns2:oppdrag").encode(),
        b" " * 1_000_000 + b"<nothing",
        b"<!-- -->" * 200_000 + b"<nothing",
        b"<oppdrag" + b' a="b"' * 100_000,
        GOOD + b" " * LARGEST_ORDER_BYTES,
    ],
    ids=lambda body: f"{len(body)} bytes {body[:24]!r}",
)
def test_what_no_order_could_be_is_unreadable(body: bytes) -> None:
    assert isinstance(read(body), Unreadable)


def test_a_document_nested_too_deep_is_garbled() -> None:
    assert isinstance(read(b"<oppdrag>" + b"<a>" * 100_000), Garbled)


def test_an_encoding_that_is_declared_wrongly_does_not_change_what_is_read() -> None:
    assert order_in(GOOD.replace(b"UTF-8", b"ISO-8859-1")) == order_in(GOOD)


def test_an_undefined_entity_is_garbled() -> None:
    assert isinstance(read(GOOD.replace(b"SAK-1", b"&secret;")), Garbled)


@given(st.data())
def test_no_bytes_make_reading_or_echoing_fail(data: st.DataObject) -> None:
    body = bytearray(GOOD if data.draw(st.booleans()) else PLAIN)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 12))] = data.draw(st.binary(max_size=12))
    reading = read(bytes(body))
    if isinstance(reading, ReceivedOrder | Invalid):
        echoed = etree.fromstring(echo(bytes(body), CASE_EXISTS), etree.XMLParser(encoding="utf-8"))
        assert etree.QName(next(element for element in echoed if isinstance(element.tag, str))).localname == "mmel"


@pytest.mark.parametrize("body", [GOOD, PLAIN])
def test_a_receipt_is_the_order_with_the_answer_first_and_nothing_else_changed(body: bytes) -> None:
    receipt = echo(body, CASE_EXISTS)
    answer = (
        "<mmel><systemId>231-OPPD</systemId><kodeMelding>B110008F</kodeMelding><alvorlighetsgrad>08</alvorlighetsgrad>"
        "<beskrMelding>Oppdraget finnes fra før</beskrMelding><programId>K231BB10</programId>"
        "<sectionNavn>CA10-INPUTKONTROLL</sectionNavn></mmel>"
    ).encode()
    assert receipt.replace(answer, b"") == body
    assert etree.fromstring(receipt)[0].tag == "mmel"


def test_the_answer_leaves_a_default_namespace_as_the_orders_children_do() -> None:
    body = (
        GOOD.replace(b"<ns2:oppdrag xmlns:ns2=", b"<oppdrag xmlns=")
        .replace(b"</ns2:", b"</")
        .replace(b"<oppdrag-110>", b'<oppdrag-110 xmlns="">')
    )
    assert isinstance(read(body), ReceivedOrder)
    assert etree.fromstring(echo(body, CASE_EXISTS))[0].tag == "mmel"


def test_text_in_an_answer_is_escaped() -> None:
    body = GOOD.replace(b"<kodeAksjon>1</kodeAksjon>", b"<kodeAksjon>&lt;b&gt;&amp;</kodeAksjon>")
    reading = read(body)
    assert isinstance(reading, Invalid)
    assert "<b>&" in reading.problem
    assert "<b>&" in etree.fromstring(echo(body, invalid(reading.problem))).findtext("mmel/beskrMelding")


RECEIPT = echo(GOOD, CASE_EXISTS)


@pytest.mark.parametrize(
    ("form", "has", "lacks", "parses"),
    [
        (DamageForm.DEFAULT_NAMESPACE, f'<oppdrag xmlns="{NAMESPACE}"><mmel>'.encode(), b"ns2", True),
        (DamageForm.OTHER_PREFIX, b"</ns6:oppdrag>", b"ns2", True),
        (DamageForm.ROOT_CASE, b"</ns2:Oppdrag>", b"ns2:oppdrag", True),
        (DamageForm.MISSING_END, b"</oppdrag-110>", b"</ns2:oppdrag>", False),
        (DamageForm.TRAILING_BLANKS, b"<fagsystemId>SAK-1   </fagsystemId>", b"SAK-1<", True),
        (DamageForm.PADDED_SEVERITY, b"<alvorlighetsgrad>08 </alvorlighetsgrad>", b"08<", True),
        (DamageForm.PADDED_TEXT, "finnes fra før          </beskrMelding>".encode(), "før<".encode(), True),
        (DamageForm.BARE_ANSWER, b"<mmel><alvorlighetsgrad>08</alvorlighetsgrad></mmel>", b"kodeMelding", True),
        (DamageForm.TRUNCATED, b"<mmel>", b"</oppdrag-110>", False),
    ],
)
def test_each_form_of_damage(form: DamageForm, has: bytes, lacks: bytes, parses: bool) -> None:
    damaged = damage(RECEIPT, form)
    assert has in damaged
    assert lacks not in damaged
    if parses:
        etree.fromstring(damaged)
    else:
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(damaged)


@pytest.mark.parametrize("form", DamageForm)
@pytest.mark.parametrize("receipt", [unechoed(CASE_EXISTS), b"", b"no xml"])
def test_damage_never_fails_on_what_is_broken_already(form: DamageForm, receipt: bytes) -> None:
    assert isinstance(damage(receipt, form), bytes)
