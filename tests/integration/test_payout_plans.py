"""Every statement of payouts that runs per batch or per call finds its rows by index, however many payouts there are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from kvitt.kernel.database import connect
from kvitt.kernel.queries import load
from support.used_again import UsingAgain

ROWS = 20_000
NOW = datetime(2026, 7, 1, tzinfo=UTC)
IDS = [f"p-{number}" for number in range(1, ROWS, 200)]
ZEROS, TEXTS, BYTES = [1] * len(IDS), ["x"] * len(IDS), [b"x"] * len(IDS)
NEWEST: dict[str, Any] = {"at": None, "payout_id": None, "party_id": None, "shop_id": None, "status": None, "limit": 100}
STEP = {"payout_id": "p-7", "number": 1, "fencing_token": 1, "busy": 60.0}

FILL = (
    """INSERT INTO payouts.payouts (payout_id, sequence, created_at, party_id, shop_id, status, payout_tool_id, amount, fee, currency,
                                     ledger, plan_id, last_event_hash)
       SELECT 'p-' || n, 0, %(now)s::timestamptz + n * interval '1 ms', 'party-' || n %% 500, 'shop-1',
              CASE WHEN n %% 100 = 0 THEN 'unpaid' ELSE 'confirmed' END, 'tool-1', 100, 1, 'RUB', 'own', 'payout_p-' || n, 'x'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payouts.cash_flow (payout_id, position, source_type, source, target_type, target, amount, currency)
       SELECT 'p-' || n, m, 'merchant_settlement', 1, 'merchant_payout', 2, 100, 'RUB'
       FROM generate_series(1, %(rows)s) AS n, generate_series(0, 2) AS m""",
    """INSERT INTO payouts.events (payout_id, sequence, at, status, body, hash)
       SELECT 'p-' || n, m, %(now)s, 'unpaid', convert_to(repeat(md5(n::text), 10), 'UTF8'), 'x'
       FROM generate_series(1, %(rows)s) AS n, generate_series(0, 1) AS m""",
    """INSERT INTO payouts.saga_steps (payout_id, number, action, plan_id, content, state, made_at, closed_at, busy_until, next_try_at)
       SELECT 'p-' || n, 1, 'create', 'payout_p-' || n, 'x', CASE WHEN n %% 1000 = 7 THEN 'compensating' ELSE 'done' END, %(now)s,
              CASE WHEN n %% 1000 = 7 THEN NULL ELSE %(now)s::timestamptz END, %(now)s, %(now)s
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO parties.parties (party_id, revision, loaded_at, document)
       SELECT 'party-' || n, 1, %(now)s, convert_to(repeat(md5(n::text), 10), 'UTF8') FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO parties.house (currency, loaded_at, document) SELECT 'C' || n, %(now)s, 'x' FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.plans (plan_id, state, held_at, changed_at)
       SELECT 'payout_p-' || n, 'committed', %(now)s, %(now)s FROM generate_series(1, %(rows)s) AS n""",
)
HOT: dict[tuple[str, str], list[Any]] = {
    ("payouts", "payouts"): [[IDS]],
    ("payouts", "cash_flows"): [[IDS]],
    ("payouts", "events"): [[IDS]],
    ("payouts", "plans_of_strangers"): [[[f"payout_{each}" for each in IDS], IDS]],
    ("payouts", "plans_there"): [[[f"payout_{each}" for each in IDS]]],
    ("payouts", "payout_exists"): [["p-7"]],
    ("payouts", "step_payouts"): [[IDS, ZEROS, TEXTS, TEXTS, TEXTS, BYTES, [NOW] * len(IDS)]],
    ("payouts", "note_republished"): [["p-7"]],
    ("payouts", "page"): [
        NEWEST,
        {**NEWEST, "at": NOW, "payout_id": "p-7"},
        {**NEWEST, "party_id": "party-7", "shop_id": "shop-1"},
        {**NEWEST, "status": "unpaid", "at": NOW, "payout_id": "p-7"},
    ],
    ("parties", "party"): [["party-7"]],
    ("parties", "some_parties"): [[[f"party-{number}" for number in range(1, ROWS, 200)]]],
    ("parties", "houses"): [[["C1", "C7", "C9"]]],
    ("payout_saga", "open_saga_step"): [["p-7"]],
    ("payout_saga", "count_saga_steps"): [["p-7"]],
    ("payout_saga", "acquire_saga_step"): [STEP],
    ("payout_saga", "acquire_due"): [STEP],
    ("payout_saga", "prolong_saga_step"): [STEP],
    ("payout_saga", "note_held"): [STEP],
    ("payout_saga", "compensate_saga_step"): [STEP],
    ("payout_saga", "leave_saga_step"): [{**STEP, "wait": 1.0, "reason": "x"}],
    ("payout_saga", "close_saga_step"): [{**STEP, "state": "done", "now": NOW, "reason": None, "held": True}],
}
PLAIN = {"lock_payouts", "add_payouts", "add_cash_flow", "add_events", "add_saga_step", "put_parties", "put_house", "parties"}
"""Locks and inserts, which read nothing, and the whole directory, which an operator asks for."""


@pytest.fixture(scope="module")
def filled(kvitt_server: UsingAgain) -> Iterator[psycopg.Connection[Any]]:
    with kvitt_server.unused() as conninfo, connect(conninfo) as connection:
        for statement in FILL:
            connection.execute(statement, {"rows": ROWS, "now": NOW})
        connection.execute("ANALYZE")
        yield connection


def scanned(node: dict[str, Any]) -> list[str]:
    """The tables that a plan reads from end to end."""
    below = [each for part in node.get("Plans", ()) for each in scanned(part)]
    return below + ([node["Relation Name"]] if node["Node Type"] == "Seq Scan" else [])


@pytest.mark.parametrize(("file", "name"), list(HOT), ids=lambda each: each)
def test_rows_are_found_by_index(filled: psycopg.Connection[Any], file: str, name: str) -> None:
    for arguments in HOT[file, name]:
        row = filled.execute(f"EXPLAIN (FORMAT JSON) {getattr(load(file, 'kvitt.payouts'), name)}".encode(), arguments).fetchone()
        assert row is not None
        assert scanned(row[0][0]["Plan"]) == []


def test_every_statement_is_held_to_its_plan_or_reads_nothing() -> None:
    assert {name for file in ("payouts", "payout_saga", "parties") for name in dir(load(file, "kvitt.payouts"))} == PLAIN | {
        name for _, name in HOT
    }
