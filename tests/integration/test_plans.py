"""Every statement that runs per batch finds its rows by index: in a store that has just been filled, and in one whose statistics are known.

A sequential scan of a table that grows is the one way in which a store gets slower with age. The arrays are as long as a batch, the
tables hold some twenty thousand rows, and the session is the one that `connect` gives.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest

from kvitt.kernel.database import connect
from kvitt.kernel.queries import load
from support.full_store import FILL, NOW, REPORTED, ROWS
from support.used_again import UsingAgain

BATCH = 128
GROWING = {
    *(
        "cases",
        "messages",
        "orders",
        "order_lines",
        "payments",
        "outbox",
        "receipts",
        "audit",
        "log_entries",
        "idempotency_records",
        "decisions",
        "imported_decisions",
    ),
    "cancellations",
    *("simulation_requests", "simulation_questions"),
    *("ledger.accounts", "ledger.plans", "ledger.postings", "ledger.steps", "ledger.entries"),
    *("reconciled_orders", "reconciliation_messages", "reconciliation_remarks"),
    *("payouts.payouts", "payouts.cash_flow", "payouts.events"),
    *("queue.message", "rail.received", "rail.known_case", "rail.entry", "rail.hold_back", "rail.receipt"),
}
OPEN_WORK = {
    "reconciliation_runs_open",
    *("cancellations_to_send", "cancellations_open"),
    *("orders_open", "payments_pending", "payments_pending_once", "unrelayed_pkey", "message_ready", "receipt_due"),
    *("orders_held_by_sum", "orders_unknown_by_sum", "alarms_by_sum", "dead_letters_open_since", "order_checks_in_vain"),
    *("orders_held", "simulation_requests_open", "simulation_requests_asked", "simulation_requests_at_work"),
    *("messages_unanswered", "messages_queued", "receipts_open", "deferred_open", "saga_steps_due"),
    "audit_of_operators",
}
"""Indexes of what is not finished, and of what people did; they are short, however much is stored."""

NUMBERS = [1 + n * (ROWS // BATCH) for n in range(BATCH)]
ZEROS, AREAS, RAILS = [0] * BATCH, ["DP"] * BATCH, ["oppdrag"] * BATCH
SCHEMES, CASES = ["DAGPENGER"] * BATCH, [f"case-{number}" for number in NUMBERS]
NAMED_CASES = [SCHEMES, CASES]
IDS = [str(UUID(int=number << 64)) for number in NUMBERS]
DAYS = [NOW.date()] * BATCH
MOMENTS, TEXTS, BYTES = [NOW] * BATCH, [f"text-{number}" for number in NUMBERS], [b"%d" % number for number in NUMBERS]
THREE = [["topic"] * 3, [0, 1, 2], [5000] * 3]
RELAYED = {"now": NOW, "numbers": NUMBERS, "partitions": ZEROS, "positions": NUMBERS, "last": NUMBERS[-1]}
SENDING = {"order_ids": IDS, "sender": "sender:1:1", "now": NOW}
RAIL_CASES = {"areas": AREAS, "case_ids": CASES}

Parameters = Sequence[Any] | dict[str, Any]
KERNEL, HUB, LEDGER, LOG = "kvitt.kernel", "kvitt.disbursement", "kvitt.ledger", "kvitt.transports.log"
KAFKA = "kvitt.transports.kafka"
QUEUE, RAIL = "kvitt.transports.queue", "kvitt.rails.oppdrag.emulator"
ENACTMENT, SINGLE = "kvitt.contracts.iverksetting", "kvitt.contracts.utbetalinger"
DECIDED = {"source": "rest.iverksetting.DAGPENGER", "scheme": "DAGPENGER", "cases": ["case-7", "case-8"], "decision": "B1", "enactment": ""}
HOT: dict[tuple[str, str], dict[str, Parameters]] = {
    (HUB, "cases"): {
        "ensure_cases": NAMED_CASES,
        "lock_cases": NAMED_CASES,
        "current_payments": [NUMBERS],
        "payments_of_lost_orders": [NUMBERS, ZEROS],
        "ids_in_use": [ZEROS, IDS, SCHEMES, CASES],
        "queued_messages": [NUMBERS, ZEROS, 20],
        "answer_of_edge": ["topic", 1, 5000],
        "idempotency_records": [ZEROS, NUMBERS, TEXTS, IDS],
        "accepted_lines": [NUMBERS],
        "decisions_of_cases": [NUMBERS, NUMBERS, TEXTS, IDS],
    },
    (HUB, "other_cases"): {
        "cases_of_persons": [NUMBERS, TEXTS, SCHEMES],
        "payments_of_other_cases": [NUMBERS, TEXTS, SCHEMES, 100],
        "lines_of_other_cases": [NUMBERS, TEXTS, SCHEMES, 100],
    },
    (HUB, "source_limits"): {
        "lock_source_hours": [NOW, TEXTS],
        "source_hours": [NOW, TEXTS],
        "used_in_hour": {"sources": TEXTS, "hour": NOW},
    },
    (HUB, "simulations"): {
        "requests_by_number": [NUMBERS],
        "questions_of_requests": [NUMBERS],
        "has_ended": [1],
        "ended_among": [NUMBERS],
        "request_named": ["message 1"],
        "open_since": [NUMBERS],
        "at_rail": [NUMBERS],
        "candidates": {"rail": "oppdrag", "but": NUMBERS, "limit": BATCH},
        "overdue": {"rail": "oppdrag", "now": NOW, "wait": "300 seconds", "limit": BATCH},
        "still_requested": [NUMBERS],
        "begin_asking": {"requests": NUMBERS, "simulator": "simulator:1:1", "now": NOW},
        "take_over": {"rail": "oppdrag", "simulator": "simulator:1:2", "at_work_until": NOW},
        "answer_questions": [NUMBERS, ZEROS, ZEROS, ZEROS, BYTES, TEXTS, TEXTS, [False] * BATCH],
        "end_requests": {
            "requests": NUMBERS,
            "states": TEXTS,
            "moments": MOMENTS,
            "at_work_until": MOMENTS,
            "reasons": TEXTS,
            "notes": TEXTS,
            "simulator": "simulator:1:1",
        },
    },
    (HUB, "orders"): {
        "dequeue_orders": {"day": NOW.date(), "rail": "oppdrag", "sender": "sender:1:1", "now": NOW, "limit": 256},
        "lock_messages": [["topic"], NUMBERS],
        "orders_of_messages": [NUMBERS],
        "mark_sent": {"order_ids": IDS, "sender": "sender:1:1", "moments": MOMENTS},
        "give_back": [IDS, "sender:1:1"],
        "all_with_rail": [NUMBERS],
        "orphans_to_unknown": {"rail": "oppdrag", "sender": "sender:1:2"},
        "has_orphans": {"rail": "oppdrag", "sender": "sender:1:2"},
        "unknown_unsent": {"rail": "oppdrag", "but": [], "limit": BATCH},
        "unknown_to_sending": SENDING,
        "number_receipts": [TEXTS, BYTES, ZEROS],
        "orders_by_id": [IDS],
        "said_of_orders": [IDS],
        "share_files": [IDS, IDS],
        "orders_for_receipts": [ZEROS, SCHEMES, CASES, RAILS, AREAS, BYTES],
        "settle_orders": [IDS, ["accepted"] * BATCH, NUMBERS, MOMENTS, [False] * BATCH],
        "sent_to_unknown": [IDS],
        "progress_of_messages": [NUMBERS],
        "supersede_payments": [IDS],
        "accept_payments": [IDS],
        "drop_payments": [IDS],
        "pending_payments": [IDS],
        "case_lists": [NUMBERS],
    },
    (LOG, "log"): {
        "read": {"topics": THREE[0], "partitions": THREE[1], "positions": THREE[2], "records": 256, "bytes": 4 << 20},
        "unrelayed": {"limit": 2000},
        "forget_relayed": {"rows": NUMBERS},
    },
    (KERNEL, "requests"): {
        "lock_requests": [TEXTS, TEXTS],
        "begin_requests": {"subjects": TEXTS, "keys": TEXTS, "digests": BYTES, "now": NOW, "until": NOW},
        "requests": {"subjects": TEXTS, "keys": TEXTS},
        "answer_requests": [TEXTS, TEXTS, NUMBERS, TEXTS, BYTES],
        "release_requests": [TEXTS, TEXTS],
    },
    (KERNEL, "outbox"): {
        "mark_relayed": RELAYED,
        "mark_relayed_free": RELAYED,
        "forget_relayed": {"numbers": NUMBERS, "last": NUMBERS[-1]},
        "noted_and_waiting": {},
    },
    (KAFKA, "kafka"): {"unpublished": {"limit": 2000, "bytes": 1 << 20}},
    (HUB, "write"): {
        "step_messages": [NUMBERS, ["answered"] * BATCH, MOMENTS, MOMENTS, BYTES, MOMENTS],
        "add_to_source_hours": [IDS, NUMBERS, TEXTS, MOMENTS, NUMBERS],
        "step_cases": [
            NUMBERS,
            TEXTS,
            AREAS,
            NUMBERS,
            ZEROS,
            ZEROS,
            ZEROS,
            BYTES,
            MOMENTS,
            [""] * BATCH,
            ZEROS,
            TEXTS,
            DAYS,
            ZEROS,
            ZEROS,
            TEXTS,
            TEXTS,
        ],
    },
    (QUEUE, "table_queue"): {
        "count_lost": {"queue": "requests"},
        "hand_out": {"queue": "requests", "limit": 200, "bytes": 16 << 20},
        "hold": {"queue": "requests", "hand_out_no": 1, "sequences": NUMBERS},
        "consume": {"queue": "requests", "hand_out_no": 1, "sequences": NUMBERS},
        "dead_letter": {"sequences": NUMBERS[:1], "dead_letters": "requests.dlq"},
        "was_put": {"queue": "requests", "message_ids": TEXTS},
        "depth": {"queue": "requests"},
    },
    (RAIL, "emulator"): {
        "known_messages": {"message_ids": TEXTS},
        "known_cases": {**RAIL_CASES, "of_cases": TEXTS},
        "named_lines": {**RAIL_CASES, "line_ids": TEXTS},
        "hold_backs": RAIL_CASES,
        "add_repeats": {"message_ids": TEXTS},
        "send_again": {"message_ids": TEXTS, "anew": [True] * BATCH, "now": NOW},
        "due_receipts": {"now": NOW, "limit": 500},
        "mark_put": {"now": NOW, "receipt_ids": TEXTS},
        "entries_of_case": {"area": "DP", "case_id": "case-1"},
    },
}
HOT[ENACTMENT, "statuses"] = {
    "cases_of_call": {**DECIDED, "key": b"B1\0"},
    "status_of_decision": DECIDED,
    "status_of_call": {"source": "rest.iverksetting.DAGPENGER", "scheme": "DAGPENGER", "decision": "B1", "key": b"B1\0"},
}
HOT[HUB, "take_over"] = {
    "imported_entries": [NUMBERS],
    "owners_of_payments": [IDS],
}
HOT[SINGLE, "payments"] = {
    "versions": {"payment_id": IDS[0], "contract": "utbetalinger"},
    "version_before_move": {"payment_id": IDS[0], "contract": "utbetalinger"},
    "cases_of_payments": {"payment_ids": IDS, "owner": "utbetalinger", "moved_to": "helved"},
    "newest_correction": {"scheme": "DAGPENGER", "case_id": "case-7", "contract": "utbetalinger", "key": b"k"},
}
HOT[HUB, "cancel"] = {
    "dequeue_cancellations": {"rail": "oppdrag", "sender": "canceller:1:1", "limit": 64, "waits": True},
    "mark_cancellations_sent": {"ids": IDS, "sender": "canceller:1:1", "now": NOW},
    "give_cancellations_back": {"ids": IDS, "sender": "canceller:1:1"},
    "cancellations_to_unknown": {"rail": "oppdrag", "sender": "canceller:1:2"},
    "unknown_cancellations": {"rail": "oppdrag", "but": [], "limit": 64},
    "unknown_cancellations_to_sending": {"ids": IDS, "sender": "canceller:1:1"},
    "answer_cancellations": {"order_ids": IDS, "states": ["agreed"] * BATCH, "receipts": NUMBERS, "moments": MOMENTS},
    "last_cancellation": {"order_id": IDS[0]},
    "cancellations_of_order": {"order_id": IDS[0]},
    "order_to_cancel": {"order_id": IDS[0]},
}
HOT[HUB, "deferred"] = {
    "lock_free_cases": NAMED_CASES,
    "known_cases": NAMED_CASES,
    "cases_with_deferred": ["", "", 100],
    "deferred_messages": ["DAGPENGER", "case-1", 200],
    "deferred_receipts": ["DAGPENGER", "case-1", 200],
    "take_deferred": [NOW, NUMBERS],
}
HOT[LEDGER, "ledger"] = {
    "lock_plans": [TEXTS],
    "postings_of_plans": [TEXTS],
    "lock_accounts": [NUMBERS],
    "answers_of_steps": [TEXTS, TEXTS, NUMBERS],
    "accounts": [NUMBERS],
    "step_plans": [TEXTS, TEXTS, MOMENTS],
    "step_accounts": [*[NUMBERS] * 5, MOMENTS],
    "accounts_by_key": [TEXTS],
    "account": [1],
    "plan": ["plan"],
    "close_past": {"account_id": 1, "before": NOW},
    "totals_before": {"account_id": 1, "before": NOW},
    "entries_after": {"account_id": 1, "after": 1, "limit": 100},
    "list_accounts": {"after": 1, "limit": 100},
}
NOT_HOT: dict[tuple[str, str], set[str]] = {
    (HUB, "cases"): {"next_message_numbers"},  # a sequence
    (HUB, "deferred"): {
        "deferred_astray",  # a part of the check
        "waiting_for_cases",  # for a figure: as much as waits
    },
    # Locks, and what an operator asks for.
    (HUB, "other_cases"): {"lock_persons", "exempt_pairs", "list_exempt_pairs", "end_exempt_pairs"},
    (HUB, "source_limits"): {"limits_of_people", "limits_set", "set_limit", "clear_limit"},  # people's, of a few sources
    (HUB, "take_over"): {"add_accepted", "add_decisions"},  # plain inserts
    (HUB, "orders"): set(),
    (HUB, "cancel"): {"add_cancellation", "cancellation_ready_again"},  # a plain insert, and a key
    (LEDGER, "ledger"): {"add_plans", "add_postings", "add_steps", "add_entries", "add_accounts"},  # plain inserts
    (LOG, "log"): {
        *(
            "make_partitions",
            "partitions_of_topics",
            "reserve_positions",
            "append",
            "relay_to_log",
            "ends_of_topic",
        ),  # the small table of partitions, and plain inserts
    },
    (HUB, "write"): {
        "add_messages",
        "add_idempotency_records",
        "add_orders",
        "add_lines",
        "add_payments",
        "add_receipts",
        "add_dead_letters",
        "add_deferred",
        "add_simulations",
        "add_order_checks",
        "add_triggers",
        "add_decisions",
        "add_outside_findings",
    },  # plain inserts
    (HUB, "simulations"): {"list_requests", "ask_again"},  # an operator's
    (KERNEL, "outbox"): {"add_outbox"},  # a plain insert
    (KERNEL, "requests"): set(),
    (KAFKA, "kafka"): {  # the small tables of leases and of topics
        *("give_up_leases", "stored_positions", "set_start_offsets", "note_topics", "renew_topics", "other_topics"),
    },
    (QUEUE, "table_queue"): {
        *("put", "open_gate", "close_gate"),  # a plain insert, and locks
        "prune",  # by an operator or once a day; as much as there is
    },
    (ENACTMENT, "statuses"): {"stopped_areas"},  # a few rows
    (SINGLE, "payments"): set(),
    (RAIL, "emulator"): {
        *("take_turns", "get_faults", "lock_faults", "set_faults"),  # locks, and a table of one row
        *("add_received", "add_cases", "add_entries", "put_hold_backs", "add_receipts", "add_conflicts"),  # plain inserts
        *("entries", "lines_accepted_twice", "conflicting_messages", "same_bytes", "received"),  # tests and demos read whole books
    },
}
STATEMENTS = [(*file, name) for file, statements in HOT.items() for name in statements]

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def filled(kvitt_server: UsingAgain) -> Iterator[Connection]:
    """A store in which twenty thousand cases have just been written, and nobody has counted them yet."""
    with kvitt_server.unused() as conninfo, connect(conninfo) as connection:
        for statement in (*FILL, *REPORTED):
            table = statement.split()[2]
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")  # so that only the test decides who has counted
            connection.execute(statement, {"rows": ROWS, "now": NOW})
        yield connection


@pytest.fixture(scope="module")
def analysed(kvitt_server: UsingAgain) -> Iterator[Connection]:
    """A store with the same in it, and with statistics."""
    with counted_store(kvitt_server) as connection:
        yield connection


@contextmanager
def counted_store(server: UsingAgain) -> Iterator[Connection]:
    """A store with all of these rows, and with statistics."""
    with server.unused() as conninfo, connect(conninfo) as connection:
        for statement in (*FILL, *REPORTED):
            connection.execute(statement, {"rows": ROWS, "now": NOW})
        connection.execute("VACUUM (ANALYZE)")
        yield connection


def plan_of(connection: Connection, package: str, file: str, name: str, given: Parameters) -> dict[str, Any]:
    """How the server would run the statement with these very arrays."""
    statement = getattr(load(file, package=package), name)
    row = connection.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}", given).fetchone()
    assert row is not None
    assert isinstance(row[0], list)
    return dict(row[0][0]["Plan"])


def scanned(node: dict[str, Any]) -> list[str]:
    """What a plan reads from end to end of that which grows: tables, and indexes unless they hold open work only."""
    found = [each for part in node.get("Plans", ()) for each in scanned(part)]
    kind, index = node["Node Type"], node.get("Index Name")
    if kind == "Seq Scan" and f"{node['Schema']}.{node['Relation Name']}".removeprefix("public.") in GROWING:
        found.append(node["Relation Name"])
    if index and "Index Cond" not in node and index not in OPEN_WORK:
        found.append(index)
    return found


@pytest.mark.parametrize(("package", "file", "name"), STATEMENTS)
def test_a_store_just_filled_is_read_by_index(filled: Connection, package: str, file: str, name: str) -> None:
    assert scanned(plan_of(filled, package, file, name, HOT[package, file][name])) == []


@pytest.mark.parametrize(("package", "file", "name"), STATEMENTS)
def test_a_store_with_statistics_is_read_by_index(analysed: Connection, package: str, file: str, name: str) -> None:
    assert scanned(plan_of(analysed, package, file, name, HOT[package, file][name])) == []


def test_every_statement_can_be_planned_on_an_empty_store(database: str) -> None:
    with connect(database) as connection:
        for package, file, name in STATEMENTS:
            assert plan_of(connection, package, file, name, HOT[package, file][name])["Node Type"]


def test_a_plan_made_while_the_store_was_empty_is_not_kept(database: str) -> None:
    with connect(database) as connection:
        connection.execute("PREPARE current (bigint[]) AS " + load("cases", "kvitt.disbursement").current_payments.replace("%b", "$1", 1))
        for _ in range(10):  # a generic plan is considered from the sixth run on
            connection.execute("EXECUTE current ('{1}')")
        for statement in (*FILL, *REPORTED):
            connection.execute(statement, {"rows": ROWS, "now": NOW})
        row = connection.execute("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE current ('{1}')").fetchone()
    assert row is not None
    assert scanned(row[0][0]["Plan"]) == []  # type: ignore[index]


@pytest.mark.parametrize(("package", "file"), list(HOT))
def test_every_statement_is_either_held_to_its_plan_or_said_not_to_need_it(package: str, file: str) -> None:
    assert set(dir(load(file, package=package))) == set(HOT[package, file]) | NOT_HOT[package, file]
