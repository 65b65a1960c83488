"""A run looks at what is new, however much is stored: it reads neither orders nor what was reported from end to end (see test_plans)."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from integration.test_plans import scanned
from kvitt.kernel.database import connect
from kvitt.kernel.queries import load
from support.full_store import FILL, NOW, ROWS
from support.used_again import UsingAgain

Connection = psycopg.Connection[tuple[object, ...]]
DAY = date(2026, 6, 29)
HISTORY = (
    # Half of them have numbers; all but some hundred are of days long ago.
    """UPDATE orders SET day = date '2026-06-29' - (place / 100)::integer, area = CASE WHEN place %% 2 = 0 THEN 'SPREF' ELSE 'DP' END,
              reconciliation_key = CASE WHEN place %% 2 = 0 THEN place END
       FROM (SELECT order_id AS id, row_number() OVER () AS place FROM orders) AS n WHERE n.id = order_id""",
    """INSERT INTO reconciliation_runs (run_id, rail, area, kind, form, first_day, last_day, trigger, made_at, state)
       SELECT md5('run ' || n)::uuid, 'oppdrag', 'SPREF', 'interface', 'rapid', date '2026-06-29' - n, date '2026-06-29' - n, 'schedule',
              %(now)s, CASE WHEN n %% 50 = 0 THEN 'made' ELSE 'good' END
       FROM generate_series(1, 200) AS n""",
    """INSERT INTO reconciled_orders (run_no, order_id, bucket, receipt_no, key_day)
       SELECT n.run_no, o.order_id, 'accepted', NULL, o.day FROM orders AS o JOIN reconciliation_runs AS n ON n.last_day = o.day""",
    """INSERT INTO reports_open (order_id, rail, area)
       SELECT order_id, rail, area FROM orders WHERE reconciliation_key IS NOT NULL ORDER BY day LIMIT 100""",
    """INSERT INTO earlier_key_days (order_id, key_day) SELECT order_id, day + 1 FROM orders WHERE area = 'DP'""",
    """INSERT INTO reconciliation_messages (run_no, place, message_id, body, state)
       SELECT n.run_no, p, md5(n.run_no || ' ' || p)::uuid, convert_to(repeat(md5(p::text), 50), 'UTF8'), 'sent'
       FROM reconciliation_runs AS n, generate_series(1, 100) AS p""",
    """INSERT INTO reconciled_areas (rail, area, kind, last_day)
       VALUES ('oppdrag', 'SPREF', 'interface', '2026-06-29'), ('oppdrag', 'DP', 'interface', '2026-06-29')""",
)
GROWS = {"orders", "reconciled_orders", "receipts", "earlier_key_days", "reconciliation_messages"}
AREA = {"rail": "oppdrag", "area": "SPREF", "kind": "interface"}
RUN = {**AREA, "run_no": 7, "warned_by": ["04"], "first_day": DAY, "last_day": DAY}
OF_A_RUN: dict[str, dict[str, Any]] = {
    "first_order": AREA,
    "last_day": AREA,
    "reported_until": AREA,
    "report_by_day": {**RUN, "area": "DP", "rests_after": 5000, "rest_seconds": 0.0},
    "report_by_number": {**RUN, "after": DAY - timedelta(days=1), "whole_until": DAY, "replaces": None},
    "totals_of_run": RUN,
    "span_of_run": RUN,
    "details_of_run": RUN,
    "messages_of_run_after": {"run_no": 7, "after": 0, "limit": 500},
    "messages_under_way": RUN,
    "drop_messages": RUN,
}
SMALL = {
    *("know_area", "lock_area", "lock_orders", "move_area", "move_mark", "runs_of_range", "run", "runs"),  # some rows for each area and day
    *("complete_run", "count_messages", "lock_run", "replace_run", "add_run", "add_messages"),  # one row, or a plain insert
    "open_earlier",  # once in the life of an area
    *("messages_of_run", "states_of_messages", "changed_since"),  # all of one run, for a person who asks for it
}
AGAIN = {"report_by_number": {**OF_A_RUN["report_by_number"], "replaces": 7}}
OPEN_WORK = {"reports_open_of_area", "reports_open_pkey", "reconciliation_messages_open"}
"""Short, however much is stored."""


def _fill(connection: Connection) -> None:
    for statement in (*FILL, *HISTORY):
        connection.execute(statement.encode(), {"rows": ROWS, "now": NOW})


@pytest.fixture(scope="module", params=["just filled", "with statistics"])
def filled(kvitt_server: UsingAgain, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A store with twenty thousand orders of two hundred days, most of which were reported."""
    with kvitt_server.unused() as conninfo, connect(conninfo) as connection:
        _fill(connection)
        if request.param == "with statistics":
            connection.execute("VACUUM (ANALYZE)")
        yield connection


@pytest.mark.parametrize(("name", "given"), [*OF_A_RUN.items(), *AGAIN.items()])
def test_a_run_reads_what_is_new_by_index(filled: Connection, name: str, given: dict[str, Any]) -> None:
    statement = getattr(load("reconcile", "kvitt.disbursement"), name)
    row = filled.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}".encode(), given).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]  # type: ignore[index]
    assert set(scanned(plan)) <= OPEN_WORK
    assert not [each for each in _scans(plan) if each in GROWS]


def test_every_statement_of_a_run_is_held_to_its_plan_or_said_not_to_need_it() -> None:
    assert set(dir(load("reconcile", "kvitt.disbursement"))) == {*OF_A_RUN, *SMALL}


def _scans(node: dict[str, Any]) -> list[str]:
    own = [node["Relation Name"]] if node["Node Type"] == "Seq Scan" else []
    return [*own, *(each for part in node.get("Plans", ()) for each in _scans(part))]
