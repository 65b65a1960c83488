"""The rail emulator's side of the older form: what it reads, what it refuses, and what comes of it (rapid §3.1, §3.3)."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

import pytest

from kvitt.contracts.rapid.derive import forwarded_order
from kvitt.contracts.rapid.needs import Need, NeedKind
from kvitt.contracts.rapid.wire.need import read as need_of
from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.emulator import answers
from kvitt.rails.oppdrag.emulator.batch import echo
from kvitt.rails.oppdrag.emulator.decide import KnownCases, OrderDecision, decide
from kvitt.rails.oppdrag.emulator.order import (
    ChangeCode,
    EmulatedAnswer,
    LineEntry,
    ReceivedOrder,
)
from kvitt.rails.oppdrag.emulator.reading import Garbled, Invalid, read
from kvitt.rails.oppdrag.emulator.schedule import pieces
from kvitt.rails.oppdrag.forwarded_xml import encode
from kvitt.rails.oppdrag.rail import decode
from support.rapid_messages import CASE_ID, GOLDEN_XML, KEY, PERSON, cessation, line, need_bytes

GOLDEN = GOLDEN_XML.encode()
NAMESPACE = b"http://www.trygdeetaten.no/skjema/oppdrag"
AT = datetime.fromisoformat("2024-03-04T12:00:00.5")


def order_of(kind: NeedKind = NeedKind.PAYMENT, **changes: Any) -> ReceivedOrder:
    asked = need_of(need_bytes(kind, **changes))
    assert isinstance(asked, Need), asked
    order = read(encode(forwarded_order(asked, 1, KEY, AT)))
    assert isinstance(order, ReceivedOrder), order
    return order


class RailBooks:
    """The rail's books, kept up by the orders that it accepts."""

    def __init__(self) -> None:
        self._known = KnownCases((), (), ())
        self._entries: list[LineEntry] = []

    def take(self, order: ReceivedOrder) -> EmulatedAnswer:
        decision: OrderDecision = decide(order, self._known, AT.date())
        if decision.answer is answers.ACCEPTED:
            self._known.add(order, decision)
            self._entries += decision.entries
        return decision.answer

    def paid(self, area: str = "SPREF") -> list[tuple[str, str, int]]:
        of_case = [entry for entry in self._entries if entry.case == (area, CASE_ID)]
        return [(span.start.isoformat(), span.end.isoformat(), span.amount) for span in pieces(of_case)]


def taken(orders: Iterable[ReceivedOrder]) -> RailBooks:
    books = RailBooks()
    for order in orders:
        assert books.take(order) is answers.ACCEPTED
    return books


def test_the_contracts_order_is_read() -> None:
    order = read(GOLDEN)
    assert isinstance(order, ReceivedOrder)
    assert (order.case, order.change, order.person, len(order.lines)) == (("SPREF", CASE_ID), ChangeCode.NEW, PERSON, 1)
    only = order.lines[0]
    assert (only.line_id, only.amount, only.rate_code, only.class_code) == ("1", 1450, "DAG", "SPREFAG-IOP")
    assert (only.starts, only.ends, only.class_from) == (date(2024, 3, 4), date(2024, 3, 22), None)


@pytest.mark.parametrize("area", [b"SPREF", b"SP"])
@pytest.mark.parametrize(
    ("root", "end"),
    [
        (b'Oppdrag xmlns="' + NAMESPACE + b'"', b"Oppdrag"),
        (b'oppdrag xmlns="' + NAMESPACE + b'"', b"oppdrag"),
        (b'ns2:oppdrag xmlns:ns2="' + NAMESPACE + b'"', b"ns2:oppdrag"),
        (b'Oppdrag xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"', b"Oppdrag"),
    ],
)
def test_a_namespace_on_the_root_is_answered_like_what_cannot_be_read(area: bytes, root: bytes, end: bytes) -> None:
    body = GOLDEN.replace(b"SPREF<", area + b"<").replace(b"<Oppdrag>", b"<" + root + b">").replace(b"</Oppdrag>", b"</" + end + b">")
    assert isinstance(read(body), Garbled)


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        (b"<sats>1450</sats>", b"<sats>-1450</sats>"),
        (b"<fradragTillegg>T</fradragTillegg>", b"<fradragTillegg>X</fradragTillegg>"),
        (b"<typeSats>DAG</typeSats>", b"<typeSats>DAG7</typeSats>"),
        (b"<kodeEndringLinje>NY</kodeEndringLinje>", b""),
        (b"<delytelseId>1</delytelseId>", b"<refDelytelseId>1</refDelytelseId><delytelseId>2</delytelseId>"),
        (b"<saksbehId>Kari Utbetaler</saksbehId>", b"<saksbehId></saksbehId>"),
        (b"<refunderesId>00987654321</refunderesId><datoFom>", b"<datoFom>"),
        (b"<attestant-180>", b"<utbetalesTilId>24068715888</utbetalesTilId><attestant-180>"),
        (b"2024-03-22", b"2024-02-30"),
    ],
)
def test_another_order_of_elements_or_another_value_is_invalid(there: bytes, instead: bytes) -> None:
    body = GOLDEN.replace(there, instead, 1)
    assert body != GOLDEN
    assert isinstance(read(body), Invalid)


def test_a_person_and_an_employer_can_have_an_order_each_under_one_payment() -> None:
    store = taken([order_of(), order_of(fagområde="SP", mottaker=PERSON, linjer=[line(klassekode="SPATORD")])])
    assert store.paid("SPREF") == store.paid("SP") == [("2024-03-04", "2024-03-22", 1450)]


def test_a_deduction_has_a_positive_rate_and_takes_money() -> None:
    assert taken([order_of(linjer=[line(sats=-1450)])]).paid() == [("2024-03-04", "2024-03-22", -1450)]


def test_holiday_pay_is_paid_once() -> None:
    assert [each.rate_code for each in order_of(NeedKind.HOLIDAY_PAY).lines] == ["ENG"]
    assert taken([order_of(NeedKind.HOLIDAY_PAY)]).paid() == [("2024-03-04", "2024-03-22", 1450)]


def test_a_cessation_ends_the_line_it_repeats() -> None:
    store = taken([order_of(), order_of(endringskode="ENDR", linjer=[cessation("2024-03-11")])])
    assert store.paid() == [("2024-03-04", "2024-03-10", 1450)]


def test_a_new_line_may_point_back_and_takes_over_from_its_first_day() -> None:
    later = line(delytelseId=2, refDelytelseId=1, refFagsystemId=CASE_ID, fom="2024-03-18", tom="2024-03-29", sats=900)
    store = taken([order_of(), order_of(endringskode="ENDR", linjer=[line(endringskode="UEND"), later])])
    assert store.paid() == [("2024-03-04", "2024-03-17", 1450), ("2024-03-18", "2024-03-29", 900)]


def test_an_order_and_lines_that_say_they_are_unchanged_change_nothing() -> None:
    said = line(endringskode="UEND", refDelytelseId=1, refFagsystemId=CASE_ID)
    for unchanged in (said, cessation("2024-03-11", endringskode="UEND")):
        store = taken([order_of(), order_of(endringskode="UEND", linjer=[unchanged])])
        assert store.paid() == [("2024-03-04", "2024-03-22", 1450)]


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, answers.CASE_EXISTS),
        ({"endringskode": "UEND", "fagsystemId": "ANOTHER"}, answers.CASE_UNKNOWN),
        ({"endringskode": "ENDR"}, answers.LINE_EXISTS),
        ({"endringskode": "ENDR", "fødselsnummer": "01020312345"}, answers.PERSON_DIFFERS),
        ({"endringskode": "ENDR", "linjer": [line(endringskode="UEND", delytelseId=7)]}, answers.LINE_UNKNOWN),
        ({"endringskode": "ENDR", "linjer": [line(endringskode="UEND", sats=1)]}, answers.LINE_DIFFERS),
        ({"endringskode": "ENDR", "linjer": [cessation("2024-03-11", refDelytelseId=1, refFagsystemId="X")]}, answers.REFERENCE_ON_CHANGE),
        ({"endringskode": "ENDR", "linjer": [cessation("2024-03-11", datoStatusFom=None)]}, answers.STATUS_DATE_MISSING),
    ],
)
def test_what_the_rail_does_not_take(changes: dict[str, Any], answer: EmulatedAnswer) -> None:
    assert taken([order_of()]).take(order_of(**changes)) is answer


@pytest.mark.parametrize("answer", [answers.ACCEPTED, answers.WARNING, answers.CASE_EXISTS])
def test_the_receipt_is_the_order_with_the_answer_in_front(answer: EmulatedAnswer) -> None:
    body = echo(GOLDEN, answer)
    assert b"xmlns" not in body
    receipt = decode(body)
    assert (receipt.area, receipt.case, receipt.raw_severity, receipt.text) == (
        "SPREF",
        (Scheme.SYKEPENGER, CASE_ID),
        answer.severity,
        answer.text,
    )
