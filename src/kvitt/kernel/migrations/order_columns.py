"""Columns of orders and lines that reconciliation and simulation ask for, filled in from the orders' bytes behind migration 0030."""

from datetime import date
from typing import Any

import msgspec
import psycopg
from lxml import etree

from kvitt.kernel.backfill import BATCH, Backfill, Step
from kvitt.kernel.queries import load

_SQL = load("order_columns", "kvitt.kernel.migrations")
_RATES = {"DAG7": "day", "DAG": "weekday", "MND": "month", "ENG": "one_off"}
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
LineColumns = tuple[str, int, str, date | None, str, str, str, str | None, int | None]
"""Order id and position; rate type, day of the decision, caseworker, approver, recipient, office and grade."""


def lines_of(order_id: str, message: bytes) -> list[LineColumns]:
    """Returns what the bytes of an order say of its lines, of either form."""
    root = etree.fromstring(message, _PARSER)
    offices = {_leaf(each, "typeEnhet"): _leaf(each, "enhet") for each in root.findall(".//{*}oppdrags-enhet-120")}
    # Where another office than the rail's usual one pays, the usual one is named beside it.
    office = offices["BOS"] if "BEH" in offices else None
    return [_line(order_id, place, line, office) for place, line in enumerate(root.findall(".//{*}oppdrags-linje-150"))]


def _line(order_id: str, place: int, line: etree._Element, office: str | None) -> LineColumns:
    decided_on, grade = _leaf(line, "vedtakId"), _leaf(line, "grad-170/{*}grad")
    return (
        order_id,
        place,
        _RATES[_leaf(line, "typeSats")],
        date.fromisoformat(decided_on) if decided_on else None,
        _leaf(line, "saksbehId"),
        _leaf(line, "attestant-180/{*}attestantId"),
        _leaf(line, "refusjonsinfo-156/{*}refunderesId").removeprefix("00") or _leaf(line, "utbetalesTilId"),
        office,
        int(grade) if grade else None,
    )


def _leaf(parent: etree._Element, path: str) -> str:
    return parent.findtext(f"{{*}}{path}") or ""


def _orders(cursor: psycopg.Cursor[Any], after: str) -> Step | None:
    place = msgspec.json.decode(after) if after else (-1, 0)
    rows = cursor.execute(_SQL.orders_after, (*place, BATCH)).fetchall()
    if not rows:
        cursor.execute(_SQL.prove_orders_complete)
        cursor.execute(_SQL.prove_lines_complete)
        return None
    lines = [line for *_, order_id, message in rows for line in lines_of(order_id, message)]
    if lines:
        cursor.execute(_SQL.complete_lines, [list(column) for column in zip(*lines, strict=True)])
    cursor.execute(_SQL.complete_orders, ([row[2] for row in rows],))
    return Step(msgspec.json.encode(rows[-1][:2]).decode(), len(rows))


BACKFILLS = (Backfill("orders and their lines", _orders),)
