"""The rail emulator's books: what a chain of lines pays after each order, day by day."""

from collections.abc import Iterator
from datetime import date

import pytest

from kvitt.rails.oppdrag.emulator import all_spans, schedule, spans
from support.emulator_orders import Line, order_xml
from support.emulator_stage import FIRST, Rail, change, day, staged

Piece = tuple[int, int, int]
"""First day, last day, amount."""

STREAM_EXAMPLES: list[tuple[list[Piece], list[tuple[int, ...]], list[Piece]]] = [
    # old; lines sent (three numbers: a new line, four: a cessation, its date first); new. Source: helved §3.5
    ([(2, 13, 150)], [(2, 13, 275)], [(2, 13, 275)]),
    ([(2, 13, 150)], [(2, 2, 13, 150), (6, 13, 150)], [(6, 13, 150)]),
    ([(2, 6, 150), (9, 13, 250)], [(16, 20, 350)], [(2, 6, 150), (9, 13, 250), (16, 20, 350)]),
    ([(2, 13, 150)], [(7, 2, 13, 150)], [(2, 6, 150)]),
    ([(2, 6, 150), (9, 13, 250)], [(7, 9, 13, 250)], [(2, 6, 150)]),
    ([(2, 13, 150), (16, 27, 250)], [(7, 16, 27, 250), (16, 27, 250)], [(2, 6, 150), (16, 27, 250)]),
    ([(2, 13, 150)], [(2, 27, 150)], [(2, 27, 150)]),
    ([(2, 27, 150)], [(2, 13, 275), (16, 27, 150)], [(2, 13, 275), (16, 27, 150)]),
    ([(2, 27, 150)], [(16, 27, 275)], [(2, 15, 150), (16, 27, 275)]),
    ([(2, 27, 150)], [(14, 2, 27, 150), (23, 27, 150)], [(2, 13, 150), (23, 27, 150)]),
    ([(2, 13, 150)], [(2, 2, 13, 150)], []),
]

MICRO_EXAMPLES: list[tuple[list[Piece], list[tuple[int, ...]], list[Piece]]] = [
    # M1 to M20; source: iverksetting §3.6
    ([(1, 12, 640)], [(1, 12, 710)], [(1, 12, 710)]),
    ([(1, 12, 640)], [(1, 1, 12, 640), (8, 12, 640)], [(8, 12, 640)]),
    ([(1, 5, 640), (8, 12, 710)], [(15, 19, 720)], [(1, 5, 640), (8, 12, 710), (15, 19, 720)]),
    ([(1, 12, 640)], [(6, 1, 12, 640)], [(1, 5, 640)]),
    ([(1, 5, 640), (8, 12, 710)], [(6, 8, 12, 710)], [(1, 5, 640)]),
    ([(1, 10, 640), (11, 19, 710)], [(6, 11, 19, 710), (11, 19, 710)], [(1, 5, 640), (11, 19, 710)]),
    ([(1, 10, 640), (11, 19, 710)], [(6, 19, 710)], [(1, 5, 640), (6, 19, 710)]),
    (
        [(1, 5, 640), (6, 15, 710), (16, 24, 640)],
        [(6, 16, 24, 640), (10, 15, 710), (16, 24, 640)],
        [(1, 5, 640), (10, 15, 710), (16, 24, 640)],
    ),
    ([(1, 5, 640), (6, 10, 710), (11, 15, 720)], [(6, 11, 15, 720), (11, 15, 720)], [(1, 5, 640), (11, 15, 720)]),
    ([(1, 12, 640)], [(1, 19, 640)], [(1, 19, 640)]),
    ([(8, 12, 640)], [(1, 12, 640)], [(1, 12, 640)]),
    ([(1, 12, 640)], [(1, 5, 710), (6, 12, 640)], [(1, 5, 710), (6, 12, 640)]),
    ([(1, 12, 640)], [(6, 12, 710)], [(1, 5, 640), (6, 12, 710)]),
    ([(1, 12, 640)], [(4, 8, 710), (9, 12, 640)], [(1, 3, 640), (4, 8, 710), (9, 12, 640)]),
    ([(1, 12, 640)], [(4, 1, 12, 640), (9, 12, 640)], [(1, 3, 640), (9, 12, 640)]),
    ([(1, 12, 640)], [(1, 5, 710)], [(1, 5, 710)]),
    ([(1, 12, 640)], [(1, 1, 12, 640), (3, 8, 640)], [(3, 8, 640)]),
    ([(1, 5, 640), (10, 12, 640)], [(22, 24, 640)], [(1, 5, 640), (10, 12, 640), (22, 24, 640)]),
    ([(1, 5, 640), (10, 12, 640)], [(6, 9, 500), (10, 12, 640)], [(1, 5, 640), (6, 9, 500), (10, 12, 640)]),
    ([(10, 12, 640)], [(1, 5, 500), (10, 12, 640)], [(1, 5, 500), (10, 12, 640)]),
]


@pytest.fixture
def rail(database: str) -> Iterator[Rail]:
    with staged(database) as playing:
        yield playing


def chained(pieces: list[Piece]) -> list[Line]:
    """The lines that create the payment: each refers to the one before."""
    return [
        Line(f"P{place}", day(start), day(end), amount, ref=f"P{place - 1}" if place else "")
        for place, (start, end, amount) in enumerate(pieces)
    ]


def sent(stored: list[Line], numbers: list[tuple[int, ...]]) -> list[Line]:
    """The lines of the correction as the example's table writes them: cessations name the last stored line, new ones follow on."""
    last = stored[-1].line_id
    lines: list[Line] = []
    for place, figures in enumerate(numbers):
        if len(figures) == 4:
            ceased, start, end, amount = figures
            lines.append(Line(last, day(start), day(end), amount, ceased_from=day(ceased)))
        else:
            start, end, amount = figures
            lines.append(Line(f"N{place}", day(start), day(end), amount, ref=last))
            last = f"N{place}"
    return lines


@pytest.mark.parametrize(
    ("old", "numbers", "new"),
    [*STREAM_EXAMPLES, *MICRO_EXAMPLES],
    ids=[*(f"stream {n}" for n in range(1, 12)), *(f"M{n}" for n in range(1, 21))],
)
def test_the_worked_examples_give_what_was_wanted(rail: Rail, old: list[Piece], numbers: list[tuple[int, ...]], new: list[Piece]) -> None:
    stored = chained(old)
    assert rail.ask(order_xml(*stored), change(*sent(stored, numbers))) == ["00", "00"]
    assert rail.paid() == [(day(start), day(end), amount) for start, end, amount in new]


def test_two_cuts_in_a_row_name_the_same_line_with_its_own_days(rail: Rail) -> None:
    stored = [
        Line("A", "2026-04-01", "2026-05-31", 7600, rate_code="MND"),
        Line("B", "2026-10-01", "2026-10-31", 7600, ref="A", rate_code="MND"),
    ]
    cuts = [Line("B", "2026-10-01", "2026-10-31", 7600, ceased_from=first, rate_code="MND") for first in ("2026-06-01", "2026-05-01")]
    assert rail.ask(order_xml(*stored), change(cuts[0]), change(cuts[1])) == ["00", "00", "00"]
    assert rail.paid() == [("2026-04-01", "2026-04-30", 7600)]


def test_a_reference_into_the_middle_of_a_chain_overwrites_the_whole_chain_from_there(rail: Rail) -> None:
    stored = chained([(1, 5, 640), (8, 12, 710), (15, 19, 720)])
    rail.ask(order_xml(*stored), change(Line("B", day(8), day(9), 99, ref="P0")))
    assert rail.paid() == [(day(1), day(5), 640), (day(8), day(9), 99)]


def test_a_new_chain_leaves_the_others_alone_and_spans_name_their_lines(rail: Rail) -> None:
    rail.ask(order_xml(*chained([(1, 5, 640), (8, 12, 710)])), change(Line("X", day(1), day(30), 10, decided_rate=20)))
    found = [
        (span.chain_first_line_id, span.line_id, span.chain_last_line_id, span.decided_rate) for span in spans(rail.conn, "AAP", "SAK-1")
    ]
    assert found == [("P0", "P0", "P1", None), ("P0", "P1", "P1", None), ("X", "X", "X", 20)]


@pytest.mark.parametrize(
    ("rate_code", "days"),
    [
        ("DAG", [date(2026, 5, 29), date(2026, 6, 1), date(2026, 6, 2)]),
        ("DAG7", [date(2026, 5, 29), date(2026, 5, 30), date(2026, 5, 31), date(2026, 6, 1), date(2026, 6, 2)]),
        ("MND", [date(2026, 5, 29), date(2026, 6, 1)]),
        ("ENG", [date(2026, 5, 29)]),
    ],
)
def test_the_schedule_pays_on_the_days_of_the_rate(rail: Rail, rate_code: str, days: list[date]) -> None:
    rail.ask(order_xml(Line("L1", "2026-05-29", "2026-06-02", 640, rate_code=rate_code)))
    due = schedule(rail.conn, "AAP", "SAK-1")
    assert [day.date for day in due] == days
    assert {(day.chain, day.amount, day.class_code) for day in due} == {("L1", 640, "AAPOR")}


def test_all_spans_stream_by_area_and_case_in_the_order_of_code_points(rail: Rail) -> None:
    keys = [("DP", "a"), ("AAP", "b"), ("AAP", "Z"), ("AAP", "å"), ("AAP", "a#1")]
    rail.ask(*(order_xml(FIRST, area=area, case=case) for area, case in keys))
    streamed = list(all_spans(rail.conn))
    assert [(area, case) for area, case, _ in streamed] == sorted(keys)
    assert all(pieces == spans(rail.conn, area, case) for area, case, pieces in streamed)
