"""Decisions over HTTP become the lines of the contract's tables, at a rail that takes them, byte for byte by the published schema."""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pytest

from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.order_xml import validate
from kvitt.testing import TestServer
from kvitt.testing.rail import SentOrder
from support.iverksetting_bodies import Body, days, old, old_day, person_of, previous, v2
from support.iverksetting_stage import OLD, DecisionSite, decision_site

K1, K2 = "TILSYN_BARN_AAP", "BOUTGIFTER_AAP"
_SPAN = re.compile(r"(?:(K2): )?(\d\d)-(\d\d)…(\d\d)-(\d\d) @ (\d+)")
_LINE = re.compile(r"(?:(NY) #(\d+)(?: → #(\d+))? |OPPH (\d\d)-(\d\d) #(\d+) )(\d\d)-(\d\d)…(\d\d)-(\d\d) @ (\d+)(?: (K2))?")
Line = tuple[str, date | None, str, date, date, int, str]

A, B, C = "02-10…02-21 @ 640", "02-10…03-07 @ 640", "02-24…03-07 @ 655"
WORKED: dict[str, list[tuple[str, str]]] = {
    "W1": [(A, f"NY #0 {A}")],
    "W2": [(A, f"NY #0 {A}"), (A, "")],
    "W3": [(A, f"NY #0 {A}"), (f"{A}; {C}", f"NY #1 → #0 {C}")],
    "W4": [(A, f"NY #0 {A}"), ("02-10…02-28 @ 640", "NY #1 → #0 02-10…02-28 @ 640")],
    "W5": [(A, f"NY #0 {A}"), ("02-03…02-21 @ 640", "NY #1 → #0 02-03…02-21 @ 640")],
    "W6": [
        (f"{A}; 03-10…03-21 @ 640", f"NY #0 {A}; NY #1 → #0 03-10…03-21 @ 640"),
        ("02-10…02-28 @ 640; 03-10…03-21 @ 640", "NY #2 → #1 02-10…02-28 @ 640; NY #3 → #2 03-10…03-21 @ 640"),
    ],
    "W7": [(B, f"NY #0 {B}"), (f"{A}; 02-22…03-07 @ 320", "NY #1 → #0 02-22…03-07 @ 320")],
    "W8": [
        (B, f"NY #0 {B}"),
        ("02-10…02-21 @ 700; 02-22…03-07 @ 640", "NY #1 → #0 02-10…02-21 @ 700; NY #2 → #1 02-22…03-07 @ 640"),
    ],
    "W9": [(B, f"NY #0 {B}"), ("02-10…02-21 @ 700", "NY #1 → #0 02-10…02-21 @ 700")],
    "W10": [(B, f"NY #0 {B}"), (A, f"OPPH 02-22 #0 {B}")],
    "W11": [(B, f"NY #0 {B}"), (A, f"OPPH 02-22 #0 {B}"), ("02-10…02-14 @ 640", f"OPPH 02-15 #0 {B}")],
    "W12": [(B, f"NY #0 {B}"), ("02-24…03-07 @ 640", f"OPPH 02-10 #0 {B}; NY #1 → #0 02-24…03-07 @ 640")],
    "W13": [(B, f"NY #0 {B}"), ("02-10…02-14 @ 640; 02-24…03-07 @ 640", f"OPPH 02-15 #0 {B}; NY #1 → #0 02-24…03-07 @ 640")],
    "W14": [
        (f"{A}; {C}", f"NY #0 {A}; NY #1 → #0 {C}"),
        (f"02-10…02-14 @ 640; {C}", f"OPPH 02-15 #1 {C}; NY #2 → #1 {C}"),
    ],
    "W15": [(A, f"NY #0 {A}"), ("", f"OPPH 02-10 #0 {A}"), (A, f"NY #1 → #0 {A}")],
    "W16": [
        (
            "02-03…02-07 @ 640; 02-10…02-14 @ 650; 02-17…02-21 @ 660",
            "NY #0 02-03…02-07 @ 640; NY #1 → #0 02-10…02-14 @ 650; NY #2 → #1 02-17…02-21 @ 660",
        ),
        ("02-03…02-07 @ 640; 02-10…02-14 @ 650", "OPPH 02-17 #2 02-17…02-21 @ 660"),
        ("02-03…02-07 @ 640", "OPPH 02-10 #2 02-17…02-21 @ 660"),
    ],
    "W17": [
        ("02-03…02-07 @ 640; 02-10…02-14 @ 650", "NY #0 02-03…02-07 @ 640; NY #1 → #0 02-10…02-14 @ 650"),
        ("02-03…02-07 @ 640", "OPPH 02-10 #1 02-10…02-14 @ 650"),
        ("02-03…02-07 @ 640; 02-10…02-14 @ 650", "NY #2 → #1 02-10…02-14 @ 650"),
    ],
    "W18": [
        ("02-10…02-14 @ 640", "NY #0 02-10…02-14 @ 640"),
        ("02-24…02-28 @ 640", "OPPH 02-10 #0 02-10…02-14 @ 640; NY #1 → #0 02-24…02-28 @ 640"),
    ],
    "W19": [
        (f"{A}; K2: 02-10…02-21 @ 72", f"NY #0 {A}; NY #1 02-10…02-21 @ 72 K2"),
        ("02-10…02-21 @ 660; K2: 02-10…02-21 @ 80", "NY #2 → #0 02-10…02-21 @ 660; NY #3 → #1 02-10…02-21 @ 80 K2"),
    ],
    "W20": [
        (f"{A}; K2: 02-10…02-21 @ 72", f"NY #0 {A}; NY #1 02-10…02-21 @ 72 K2"),
        (f"{A}; 02-24…02-28 @ 640", "OPPH 02-10 #1 02-10…02-21 @ 72 K2; NY #2 → #0 02-24…02-28 @ 640"),
    ],
}
"""The worked tables (iverksetting §2.4): decision by decision what is sent, and the lines that it becomes. Days of 2025."""
MOST_DECISIONS = max(map(len, WORKED.values()))
CODES = {K1: "TSTBASISP4-OP", K2: "TSBUASIA-OP"}


def day_of(month: str, day: str) -> date:
    return date(2025, int(month), int(day))


def spans(text: str) -> list[Body]:
    """The entries of a decision of a table."""
    return [
        days(day_of(*found.group(2, 3)).isoformat(), day_of(*found.group(4, 5)).isoformat(), int(found[6]), benefit=K2 if found[1] else K1)
        for found in (_SPAN.fullmatch(each) for each in text.split("; ") if each)
        if found
    ]


def lines(case: str, text: str) -> list[Line]:
    """The lines of a table: id, day from which it is ceased, reference, days, amount, class code."""
    made: list[Line] = []
    for each in filter(None, text.split("; ")):
        found = _LINE.fullmatch(each)
        assert found, each
        new, number, refers_to, month, day, ceased, *rest = found.groups()
        cut = None if new else day_of(month, day)
        code = CODES[K2 if rest[5] else K1]
        dates = day_of(rest[0], rest[1]), day_of(rest[2], rest[3])
        made.append((f"{case}#{number or ceased}", cut, f"{case}#{refers_to}" if refers_to else "", *dates, int(rest[4]), code))
    return made


def lines_of(order: SentOrder) -> list[Line]:
    """The lines of an order as it left."""
    return [
        (each.line_id, each.status_from if each.status else None, each.ref_line, each.starts, each.ends, each.amount, each.class_code)
        for each in order.lines
    ]


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecisionSite]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    directory: Path = tmp_path_factory.mktemp("decisions")
    with kvitt_server.database() as conninfo, decision_site(conninfo, directory) as site:
        yield site
        assert site.hub.findings() == []


@pytest.fixture(scope="module")
def worked(site: DecisionSite) -> dict[tuple[str, int], list[SentOrder]]:
    """The orders that each decision of the tables became, after all of them were received, sent, and answered by the rail."""
    found: dict[tuple[str, int], list[SentOrder]] = {}
    for number in range(MOST_DECISIONS):
        before = len(site.hub.sent())
        posted = [(case, table[number]) for case, table in WORKED.items() if number < len(table)]
        for case, (state, _) in posted:
            after = previous(f"{case}-{number - 1}") if number else None
            site.take(v2(case, f"{case}-{number}", spans(state), after=after, personident=person_of([*WORKED].index(case))))
        site.hub.run()
        for order in site.hub.sent()[before:]:
            found.setdefault((order.case_id, number), []).append(order)
    return found


@pytest.mark.parametrize(("case", "number"), [(case, number) for case, table in WORKED.items() for number in range(len(table))])
def test_a_decision_becomes_the_lines_of_its_table(
    site: DecisionSite, worked: dict[tuple[str, int], list[SentOrder]], case: str, number: int
) -> None:
    _, expected = WORKED[case][number]
    orders = worked.get((case, number), [])
    assert [line for order in orders for line in lines_of(order)] == lines(case, expected)
    assert site.status(case, f"{case}-{number}").json() == ("OK" if expected else "OK_UTEN_UTBETALING")
    for order in orders:
        validate(order.message)
        assert (b"<kodeEndring>NY<" in order.message) == (number == 0)
        assert b"<henvisning>%b<" % f"{case}-{number}".encode() in order.message


STEPS = [f"0f3e19aa-6d55-4d7d-9f0f-88b0c0de000{number}" for number in range(1, 6)]
MAY = "2026-05"


def may(first: int, last: int, amount: int) -> Body:
    return old_day(f"{MAY}-{first:02}", f"{MAY}-{last:02}", amount)


def test_the_chain_of_five_decisions(site: DecisionSite) -> None:
    """The chain that the contract begins with (iverksetting §1.1), in its first form."""
    second = [may(1, 5, 1650), may(6, 10, 1650)]
    third = [may(1, 4, 1650), may(5, 5, 1290), may(6, 10, 1650), may(11, 15, 1650), may(16, 20, 1650)]
    fifth = [*third, may(21, 25, 1675), may(26, 26, 1040), may(27, 28, 1675), may(29, 30, 1190)]
    person = person_of(900)

    def post(number: int, paid: Sequence[Body], before: Sequence[Body] | None, kind: str, *, approver: bool) -> list[SentOrder]:
        after = (STEPS[number - 2], before) if before is not None else None
        sent = len(site.hub.sent())
        body = old(STEPS[number - 1], paid, after=after, personIdent=person, vedtakstype=kind)
        site.take(body, Scheme.DAGPENGER, path=OLD, approver=approver)
        site.hub.run()
        return list(site.hub.sent()[sent:])

    assert post(1, [], None, "RAMMEVEDTAK", approver=True) == []
    assert site.status(STEPS[0], scheme=Scheme.DAGPENGER).json() == "OK_UTEN_UTBETALING"
    (order,) = post(2, second, [], "UTBETALINGSVEDTAK", approver=False)
    assert [(line.line_id, line.ref_line, line.amount) for line in order.lines] == [("S900#0", "", 1650), ("S900#1", "S900#0", 1650)]
    (order,) = post(3, third, second, "UTBETALINGSVEDTAK", approver=False)
    # The first four days stay; the fifth is paid less, and all behind it is said again.
    assert [(line.line_id, line.ref_line, line.starts.day, line.ends.day, line.amount) for line in order.lines] == [
        ("S900#2", "S900#1", 5, 5, 1290),
        ("S900#3", "S900#2", 6, 10, 1650),
        ("S900#4", "S900#3", 11, 15, 1650),
        ("S900#5", "S900#4", 16, 20, 1650),
    ]
    assert post(4, third, third, "RAMMEVEDTAK", approver=True) == []
    (order,) = post(5, fifth, third, "UTBETALINGSVEDTAK", approver=False)
    assert [(line.line_id, line.starts.day, line.ends.day, line.amount) for line in order.lines] == [
        ("S900#6", 21, 25, 1675),
        ("S900#7", 26, 26, 1040),
        ("S900#8", 27, 28, 1675),
        ("S900#9", 29, 30, 1190),
    ]
    assert {line.class_code for line in order.lines} == {"DPORAS"}
    validate(order.message)
    assert site.status(STEPS[4], scheme=Scheme.DAGPENGER).json() == "OK"
    assert site.status("S900", STEPS[4], scheme=Scheme.DAGPENGER).json() == "OK"
