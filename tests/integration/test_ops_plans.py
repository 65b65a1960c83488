"""What a scrape and a look for late receipts read: open work by its own short indexes, however much is stored (see test_plans)."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from integration.test_plans import scanned
from kvitt.kernel.database import connect
from kvitt.kernel.queries import load
from support.full_store import FILL, NOW, ROWS
from support.used_again import UsingAgain

Connection = psycopg.Connection[tuple[object, ...]]
OPEN_WORK = {
    *("orders_open", "messages_unanswered", "unrelayed_pkey", "dead_letters_open", "alarms_standing"),
    *(
        "orders_over_limit",
        "receipts_open",
        "contradictions_open",
        "simulation_requests_open",
        "reconciliation_runs_open",
        "cancellations_open",
        "reconciliation_messages_open",
    ),
}
LOOKS: dict[str, dict[str, Any]] = {
    "raise_alarms": {"now": NOW, "before": NOW, "limit": 1000, "rail": "oppdrag"},
    "clear_alarms": {"now": NOW},
    "mark_late_cancellations": {"before": NOW, "rail": "oppdrag"},
    "open_alarms": {},
    "open_orders": {"now": NOW, "ages": [60.0, 3600.0]},
    "count_messages": {"limit": 1000},
    "unanswered_messages": {},
    "outbox_waiting": {},
    "note_keeping_up": {"not_taken_in": 5},
    "open_dead_letters": {},
    "open_contradictions": {},
    "over_limit": {},
    "open_receipts": {},
    "open_simulations": {},
    "open_runs": {},
    "open_run_messages": {},
    "raise_reconciliation_alarms": {"now": NOW, "before": NOW, "areas": ["DP"], "jobs": ["reconcile DP"]},
    "clear_reconciliation_alarms": {"now": NOW, "areas": ["DP"], "jobs": ["reconcile DP"]},
    "unanswered_simulations": {"rail": "oppdrag", "after": NOW, "reasons": ["closed"]},
}
_RUNS = {"Seq Scan on reconciliation_runs", "Seq Scan on reconciliation_messages"}
RAIL_ALARMS = {"raise_rail_alarm", "clear_rail_alarm", "open_rail_alarms", "open_reconciliation_alarms"}
SMALL = {"stopped_areas", "last_check", "log_lag", "log_behind", "report_roles", "end_process", *RAIL_ALARMS}
"""Read tables of some dozen rows."""
BY_PEOPLE = {"list_alarms"}
"""Asked for by a person now and then; as much as there is."""
ALARMS = """
INSERT INTO alarms (order_id, area, sent_at, raised_at, cleared_at)
SELECT md5('order ' || n)::uuid, 'DP', %(now)s, %(now)s, CASE WHEN n %% 100 > 0 THEN %(now)s::timestamptz END
FROM generate_series(1, %(rows)s) AS n"""
DEAD = """
INSERT INTO dead_letters (source, partition, position, body, reason, at, state)
SELECT 'topic', 0, n, convert_to(repeat(md5(n::text), 50), 'UTF8'), 'why', %(now)s, CASE WHEN n %% 100 > 0 THEN 'replayed' ELSE 'open' END
FROM generate_series(1, %(rows)s) AS n"""

CONTRADICTIONS = """
INSERT INTO contradictions (case_no, order_id, receipt_no, ours, rails, found_at, resolved_at, resolution)
SELECT n, md5('order ' || n)::uuid, n, 'rejected', 'accepted', %(now)s, CASE WHEN n %% 100 > 0 THEN %(now)s::timestamptz END,
       CASE WHEN n %% 100 > 0 THEN 'kept' END
FROM generate_series(1, %(rows)s) AS n"""

RUNS = """
INSERT INTO reconciliation_runs (run_id, rail, area, kind, form, first_day, last_day, trigger, made_at, state)
SELECT md5('run ' || n)::uuid, 'oppdrag', 'DP', 'interface', 'helved', date '2026-01-01' + n, date '2026-01-01' + n, 'schedule', %(now)s,
       CASE WHEN n %% 500 = 0 THEN 'made' ELSE 'good' END
FROM generate_series(1, %(rows)s) AS n"""
RUN_MESSAGES = """
INSERT INTO reconciliation_messages (run_no, place, message_id, body, state)
SELECT run_no, 1, run_id, 'x', CASE state WHEN 'made' THEN 'ready' ELSE 'sent' END FROM reconciliation_runs"""


@pytest.fixture(scope="module")
def filled(kvitt_server: UsingAgain) -> Iterator[Connection]:
    """A store with twenty thousand orders, of which a few hundred are open, and its statistics."""
    with kvitt_server.unused() as conninfo, connect(conninfo) as connection:
        for statement in (*FILL, ALARMS, DEAD, CONTRADICTIONS, RUNS, RUN_MESSAGES):
            connection.execute(statement.encode(), {"rows": ROWS, "now": NOW})
        connection.execute("VACUUM (ANALYZE)")
        yield connection


@pytest.mark.parametrize("name", LOOKS)
def test_open_work_is_found_by_its_index(filled: Connection, name: str) -> None:
    row = filled.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {getattr(load('ops', 'kvitt.ops'), name)}".encode(), LOOKS[name]).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]  # type: ignore[index]
    assert set(scanned(plan)) <= OPEN_WORK
    assert not {"Seq Scan on alarms", "Seq Scan on dead_letters", "Seq Scan on contradictions", *_RUNS} & set(_nodes(plan))


def test_every_statement_of_operations_is_held_to_its_plan_or_said_not_to_need_it() -> None:
    assert set(dir(load("ops", "kvitt.ops"))) == set(LOOKS) | SMALL | BY_PEOPLE


def _nodes(node: dict[str, Any]) -> list[str]:
    return [f"{node['Node Type']} on {node.get('Relation Name', '')}", *(each for part in node.get("Plans", ()) for each in _nodes(part))]
