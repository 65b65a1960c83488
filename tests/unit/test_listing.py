"""Lists and tables: ids and amounts are never cut, whatever the width; what does not fit stands below under its own name."""

from datetime import UTC, datetime
from typing import Any

import pytest

from kvitt.cli.listing import READ_AHEAD, Column, Fit, cell_width, described, print_list, table
from kvitt.cli.order_page import ORDERS
from kvitt.disbursement.holding import HoldKind, HoldReason
from kvitt.disbursement.operate import OpenOrder

IDS = ["5f2c0d3a-9d0e-5b53-8a26-2f7c9b0e4d11", "5f2c0d3b-0000-5b53-8a26-2f7c9b0e4d12"]
WHY = "a new line equals one that another payment of the same case already pays, from 2025-06-02 on"


def order(order_id: str) -> OpenOrder:
    reason = HoldReason(HoldKind.EQUAL_LINE, WHY)
    return OpenOrder(order_id, "TILLEGGSSTØNADER", "300000123", "TILLSTPB", "ready", (reason,), datetime(2026, 6, 1, tzinfo=UTC), 17)


@pytest.mark.parametrize("width", [40, 80, 120, 200, None])
def test_no_id_is_cut_and_no_line_is_wider_than_the_terminal(width: int | None) -> None:
    lines = list(table(ORDERS, map(order, IDS), width))
    for each in (*IDS, "300000123", "TILLSTPB", "TILLEGGSSTØNADER", "2026-06-01 00:00:00"):
        assert any(each in line for line in lines), each
    assert " ".join(" ".join(lines).split()).count(WHY) == len(IDS)
    assert width is None or max(map(cell_width, lines)) <= width


def test_a_long_reason_stands_on_a_line_of_its_own_at_80() -> None:
    lines = list(table(ORDERS, [order(IDS[0])], 80))
    assert lines[2].split()[:3] == [IDS[0], "ready", "300000123"]
    below = [line for line in lines[3:] if line.startswith("    ")]
    assert any(line.startswith("    held for: a new line equals") for line in below)


def test_a_pipe_gets_one_line_for_each_row() -> None:
    assert len(list(table(ORDERS, map(order, IDS), None))) == 2 + len(IDS)


def test_numbers_stand_on_the_right_grouped() -> None:
    columns = (Column("name", of=lambda row: row[0]), Column("rows", kind=Fit.NUMBER, of=lambda row: row[1]))
    assert list(table(columns, [("a", 1234567), ("b", 5)]))[2:] == ["a     1,234,567", "b             5"]


def test_wide_characters_take_two_places() -> None:
    columns = (Column("name", of=lambda row: row[0]), Column("rows", kind=Fit.NUMBER, of=lambda row: row[1]))
    heading, *_, row = table(columns, [("漢字", 1)])
    assert cell_width(heading) == cell_width(row)


def test_texts_of_one_thing_go_on_below_themselves() -> None:
    columns = (
        Column("no", of=len),
        Column("why", kind=Fit.TEXT, of=lambda row: row[0]),
        Column("none", of=lambda row: row[1:] or None),
    )
    lines = list(described(columns, [WHY], 40))
    assert lines[0] == "no   1"
    assert max(map(len, lines)) <= 40
    assert all(line.startswith("     ") for line in lines[2:])


@pytest.mark.parametrize(
    ("rows", "published"),
    [(5, ""), (6, "more: 1 left out by --limit 5\n"), (5 + READ_AHEAD, "more: at least 1,000 left out by --limit 5\n")],
)
def test_a_list_says_how_much_it_leaves_out(capsys: pytest.CaptureFixture[str], rows: int, published: str) -> None:
    columns = (Column("number", of=lambda row: row),)
    print_list(columns, list(range(rows)), limit=5, as_json=False, nothing="none")
    assert capsys.readouterr().out.endswith(f"4\n{published}")
    print_list(columns, list(range(rows)), limit=5, as_json=True, nothing="none")
    out, said = capsys.readouterr()
    assert (out.splitlines()[0], len(out.splitlines()), said) == ('{"number":0}', 5, published)


def test_an_empty_list_says_so_and_is_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    columns: tuple[Any, ...] = (Column("number"),)
    print_list(columns, [], limit=5, as_json=False, nothing="there is nothing")
    print_list(columns, [], limit=5, as_json=True, nothing="there is nothing")
    assert capsys.readouterr().out == "there is nothing\n"
