"""Every statement that runs per batch finds its rows by index: in a store that has just been filled, and in one whose statistics are known.

A sequential scan of a table that grows is the one way in which a store gets slower with age. The arrays are as long as a batch, the
tables hold some twenty thousand rows, and the session is the one that `connect` gives.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from kvitt.kernel.database import connect
from kvitt.kernel.queries import load
from kvitt.testing import TestServer

ROWS, BATCH = 20_000, 128
NOW = datetime(2025, 7, 4, tzinfo=UTC)
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
        "log_records",
        "idempotency_records",
        "decisions",
        "imported_decisions",
    ),
    *("simulation_requests", "simulation_questions"),
    *("ledger.accounts", "ledger.plans", "ledger.postings", "ledger.steps", "ledger.entries"),
    *("reconciled_orders", "reconciliation_messages", "reconciliation_remarks"),
    *("payouts.payouts", "payouts.cash_flow", "payouts.events"),
    *("queue.message", "rail.received", "rail.known_case", "rail.entry", "rail.hold_back", "rail.receipt"),
}
OPEN_WORK = {
    "reconciliation_runs_open",
    *("orders_open", "payments_pending", "payments_pending_once", "outbox_unrelayed", "message_ready", "receipt_due"),
    *("simulation_requests_open", "simulation_requests_asked", "simulation_requests_at_work"),
    *("messages_unanswered", "messages_queued", "receipts_open", "deferred_open"),
    "audit_of_operators",
}
"""Indexes of what is not finished, and of what people did; they are short, however much is stored."""

FILL = (
    """INSERT INTO cases (scheme, case_id, person, areas, orders_made, ordered_for)
       SELECT 'DAGPENGER', 'case-' || n, '01020312345', '{DP}', 1, lpad(n::text, 11, '0') FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO messages (message_no, source, partition, position, key, digest, body, scheme, case_no, dry_run, state,
                             received_at, answer)
       SELECT n, 'topic', n %% 3, n / 3, 'key', sha256('x'), convert_to(repeat(md5(n::text), 50), 'UTF8'), 'DAGPENGER', n, false,
              CASE WHEN n %% 500 = 0 THEN 'queued' WHEN n > %(rows)s - 500 THEN 'derived' ELSE 'answered' END, %(now)s, '{}'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO orders (order_id, case_no, number, area, person, message_no, state, message, correlation_time, correlation_key,
                           is_first_order, made_at, sender, sent_at, day, sum_kroner)
       SELECT md5('order ' || n)::uuid, n, 1, 'DP', '01020312345', n,
              CASE WHEN n > %(rows)s - 200 THEN 'ready' WHEN n > %(rows)s - 300 THEN 'sending' WHEN n > %(rows)s - 500 THEN 'sent'
                   WHEN n %% 2000 = 0 THEN 'unknown' ELSE 'accepted' END,
              convert_to(repeat(md5(n::text), 60), 'UTF8'), '', sha256(convert_to(n::text, 'UTF8')), true, %(now)s, 'sender:1:1', %(now)s,
              current_date, 0
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO order_lines (order_id, position, line_id, payment_id, class_code, start_on, end_on, amount, decision_id,
                                rate_type, caseworker, approver, recipient)
       SELECT md5('order ' || n)::uuid, 0, md5('line ' || n)::uuid::text, md5('payment ' || n)::uuid, 'DAGPENGER', '2025-06-02',
              '2025-06-15', 553, 'B1', 'weekday', 'k', 'k', '01020312345'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payments (case_no, payment_id, version, order_id, area, action, state, client_chose, position_in_case, last_line,
                             document, currency)
       SELECT n, md5('payment ' || n)::uuid, 1, md5('order ' || n)::uuid, 'DP', 'CREATE',
              CASE WHEN n > %(rows)s - 500 THEN 'pending' ELSE 'accepted' END, n %% 2 = 0, 1, '',
              convert_to(repeat(md5(n::text), 15), 'UTF8'), 'NOK'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO receipts (message_id, digest, body, received_at, order_id, outcome)
       SELECT md5('receipt ' || n), sha256('x'), convert_to(repeat(md5(n::text), 60), 'UTF8'), %(now)s, md5('order ' || n)::uuid, 'accepted'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO outbox (topic, key, value, headers, event_id, message_no, made_at, relayed_at)
       SELECT 'status', 'key', convert_to(repeat(md5(n::text), 10), 'UTF8'), '[]', md5('event ' || n)::uuid, n, %(now)s,
              CASE WHEN n <= %(rows)s - 500 THEN %(now)s::timestamptz END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO decisions (message_no, case_no, contract, operation, application, by_approver, outcome)
       SELECT n, n, 'called', 'post', 'application', false, CASE WHEN n %% 2 = 0 THEN 'ordered' ELSE 'unchanged' END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO idempotency_records (message_no, case_no, subject, name, digest)
       SELECT n, n, '01020312345', md5('payment ' || n)::uuid::text, sha256('x') FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO imported_decisions (message_no, case_no, subject, name, state, digest, answer)
       SELECT n, n, '01020312345', md5('payment ' || n)::uuid::text, 'accepted', sha256('x'), '{}'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO audit (chain, seq, at, what, digest, hash)
       SELECT n, 1, %(now)s, 'ordered', sha256('x'), sha256('y') FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO deferred (scheme, case_id, source, partition, position, body, came_at, taken_at)
       SELECT 'DAGPENGER', 'case-' || n, 'topic', 0, n, 'x', %(now)s, CASE WHEN n > 100 THEN %(now)s::timestamptz END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO simulation_requests (name, asker, contract, message_no, case_no, person, rail, state, simulator,
                                        times_asked, requested_at, ended_at)
       SELECT 'message ' || n, 'message', 'helved', n, n, '01020312345', 'oppdrag',
              CASE WHEN n > %(rows)s - 100 THEN 'requested' WHEN n %% 500 = 0 THEN 'asked' ELSE 'answered' END,
              'simulator:1:1', 1, %(now)s,
              CASE WHEN n <= %(rows)s - 100 AND n %% 500 > 0 THEN %(now)s::timestamptz END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO simulation_questions (request_no, place, area, question, status, answer)
       SELECT n, 0, 'DP', convert_to(repeat(md5(n::text), 60), 'UTF8'), 200, convert_to(repeat(md5(n::text), 60), 'UTF8')
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO log_records (topic, partition, position, at, key, value)
       SELECT 'topic', n %% 3, n / 3, %(now)s, 'key', convert_to(repeat(md5(n::text), 50), 'UTF8')
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO queue.message (queue, message_id, body, reply_to, priority, consumed_at)
       SELECT 'requests', md5('order ' || n), CASE WHEN n > %(rows)s - 500 THEN convert_to(repeat(md5(n::text), 60), 'UTF8') END,
              'replies', 4,
              CASE WHEN n <= %(rows)s - 500 THEN %(now)s::timestamptz END
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rail.received (message_id, digest, received_at, area, case_id, outcome, severity, note)
       SELECT md5('order ' || n), sha256('x'), %(now)s, 'DP', 'case-' || n, 'accepted', '00', '' FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rail.known_case (area, case_id, person, opened_by)
       SELECT 'DP', 'case-' || n, '01020312345', md5('order ' || n) FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rail.entry (area, case_id, kind, chain, line_id, starts, ends, amount, rate_code, class_code, message_id)
       SELECT 'DP', 'case-' || n, 'line', '', 'line-' || n, '2025-06-02', '2025-06-15', 553, 'DAG7', 'DAGPENGER', md5('order ' || n)
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.accounts (account_id, currency, created_at, request_key, entries)
       SELECT n, 'RUB', %(now)s, 'account-' || n, 1 FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.plans (plan_id, state, held_at, changed_at)
       SELECT 'plan-' || n, CASE WHEN n %% 100 = 0 THEN 'held' ELSE 'committed' END, %(now)s, %(now)s
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.postings (plan_id, batch_id, position, source, target, amount, currency, description)
       SELECT 'plan-' || n, 1, 0, n, 1 + n %% %(rows)s, 100, 'RUB', 'x' FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.steps (plan_id, operation, batch_id, at, accounts, entries)
       SELECT 'plan-' || n, 'HOLD', 1, %(now)s, ARRAY[n], ARRAY[1] FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO ledger.entries (account_id, entry, at, plan_id, operation, batch_id, posted, available_min, available_max)
       SELECT n, 1, %(now)s, 'plan-' || n, 'HOLD', 1, 0, 0, 0 FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payouts.payouts (payout_id, sequence, created_at, party_id, shop_id, status, payout_tool_id, amount, fee, currency,
                                    ledger, plan_id, last_event_hash)
       SELECT 'q-' || n, 0, %(now)s::timestamptz + n * interval '1 ms', 'party-' || n %% 500, 'shop-1',
              CASE WHEN n %% 100 = 0 THEN 'unpaid' ELSE 'confirmed' END, 'tool-1', 100, 1, 'RUB', 'own', 'plan-' || n, 'x'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payouts.cash_flow (payout_id, position, source_type, source, target_type, target, amount, currency)
       SELECT 'q-' || n, 0, 'merchant_settlement', 1, 'merchant_payout', 2, 100, 'RUB' FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payouts.events (payout_id, sequence, at, status, body, hash)
       SELECT 'q-' || n, 0, %(now)s, 'unpaid', convert_to(repeat(md5(n::text), 10), 'UTF8'), 'x' FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO payouts.saga_steps (payout_id, number, action, plan_id, content, state, made_at, closed_at, busy_until, next_try_at)
       SELECT 'q-' || n, 1, 'create', 'plan-' || n, 'x', 'done', %(now)s, %(now)s, %(now)s, %(now)s
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rail.hold_back (area, case_id, starts, is_error)
       SELECT 'DP', 'case-' || n, '2025-06-02', false FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO rail.receipt (receipt_id, message_id, digest, reply_to, body, due_at, put_at)
       SELECT md5('receipt ' || n), md5('order ' || n), sha256('x'), 'replies', convert_to(repeat(md5(n::text), 60), 'UTF8'), %(now)s,
              CASE WHEN n <= %(rows)s - 500 THEN %(now)s::timestamptz END
       FROM generate_series(1, %(rows)s) AS n""",
)

REPORTED = (
    """INSERT INTO reconciliation_runs (run_id, rail, area, kind, form, first_day, last_day, trigger, made_at, state)
       SELECT md5('run ' || n)::uuid, 'oppdrag', 'DP', 'interface', 'helved', current_date - n, current_date - n, 'schedule', %(now)s,
              'good'
       FROM generate_series(1, 200) AS n""",
    """INSERT INTO reconciled_orders (run_no, order_id, bucket, key_day)
       SELECT 1 + n %% 200, md5('order ' || n)::uuid, 'accepted', current_date FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO reconciliation_messages (run_no, place, message_id, body, state)
       SELECT 1 + n %% 200, n, md5('message ' || n)::uuid, convert_to(repeat(md5(n::text), 50), 'UTF8'), 'sent'
       FROM generate_series(1, %(rows)s) AS n""",
    """INSERT INTO reconciliation_remarks (run_no, case_no, remark)
       SELECT 1 + n %% 200, n, 'taken over' FROM generate_series(1, %(rows)s) AS n""",
)
"""What was reported of it."""

NUMBERS = [1 + n * (ROWS // BATCH) for n in range(BATCH)]
ZEROS, AREAS, RAILS = [0] * BATCH, ["DP"] * BATCH, ["oppdrag"] * BATCH
SCHEMES, CASES = ["DAGPENGER"] * BATCH, [f"case-{number}" for number in NUMBERS]
NAMED_CASES = [SCHEMES, CASES]
IDS = [str(UUID(int=number << 64)) for number in NUMBERS]
DAYS = [NOW.date()] * BATCH
MOMENTS, TEXTS, BYTES = [NOW] * BATCH, [f"text-{number}" for number in NUMBERS], [b"%d" % number for number in NUMBERS]
THREE = [["topic"] * 3, [0, 1, 2], [5000] * 3]
RELAYED = {"now": NOW, "numbers": NUMBERS, "partitions": ZEROS, "positions": NUMBERS}
SENDING = {"order_ids": IDS, "sender": "sender:1:1", "now": NOW}
RAIL_CASES = {"areas": AREAS, "case_ids": CASES}

Parameters = Sequence[Any] | dict[str, Any]
KERNEL, HUB, LEDGER, LOG = "kvitt.kernel", "kvitt.disbursement", "kvitt.ledger", "kvitt.transports.log"
QUEUE, RAIL = "kvitt.transports.queue", "kvitt.rails.oppdrag.emulator"
CONSOLE = "kvitt.api.console.pages"
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
    (HUB, "source_limits"): {"lock_source_hours": [NOW, TEXTS]},
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
        "add_receipts": [RAILS, TEXTS, BYTES, ZEROS, BYTES, MOMENTS],
        "orders_by_id": [IDS],
        "said_of_orders": [IDS],
        "share_files": [IDS, IDS],
        "close_receipts": [NUMBERS, IDS, TEXTS, TEXTS, TEXTS, TEXTS],
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
        "unrelayed": [2000],
        "relay_to_log": RELAYED,
        "unrelayed_free": [2000],
    },
    (KERNEL, "outbox"): {"mark_relayed": RELAYED, "mark_relayed_free": RELAYED},
    (HUB, "write"): {
        "step_messages": [NUMBERS, ["answered"] * BATCH, MOMENTS, MOMENTS, BYTES, MOMENTS],
        "add_to_source_hours": [TEXTS, MOMENTS, NUMBERS],
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
        "count_delivery": {"queue": "requests", "limit": 200, "bytes": 16 << 20},
        "hold": {"sequences": NUMBERS},
        "consume": {"sequences": NUMBERS},
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
A_CASE = {"case_no": 7, "scheme": "DAGPENGER", "case_id": "case-7", "limit": 100, "events": 500}
BEHIND = {"message_no": ROWS // 2, "order_id": IDS[0], "looked_through": 1_000, "limit": 51}
FILTERS = {**BEHIND, "state": None, "held": False, "area": "DP", "scheme": None, "least": 100}
HOT[CONSOLE, "orders"] = {
    "orders": {**FILTERS, "state": "rejected"},
    "open_orders": {**FILTERS, "state": "sent"},
    "end_of_look": BEHIND,
    **{name: {"order_id": IDS[0], "limit": 100} for name in ("order", "lines", "reasons", "receipts", "order_text")},
}
OF_A_CASE = ("attention_of_case", "paid", "orders_of_case", "lines_of_case", "receipts_of_case", "messages_of_case", "events")
HOT[CONSOLE, "cases"] = dict.fromkeys(("case_by_no", *OF_A_CASE, "cases_of_person"), A_CASE)
HOT[CONSOLE, "records"] = {"message": {"message_no": 7}, "receipt": {"receipt_no": 7}}
HOT[CONSOLE, "audit"] = {"entries": {"chain": 7, "before": 1_000, "limit": 51}}
A_PAYOUT = {
    "at": NOW,
    "payout_id": "q-7",
    "party": None,
    "shop": None,
    "status": None,
    "currency": "RUB",
    "looked_through": 1_000,
    "limit": 52,
}
HOT[CONSOLE, "payouts"] = {
    "payouts": A_PAYOUT,
    "payouts_of_party": {**A_PAYOUT, "party": "party-7", "status": "paid"},
    "payouts_in_status": {**A_PAYOUT, "status": "unpaid"},
    **dict.fromkeys(("payout", "postings", "events", "steps", "acts"), A_PAYOUT),
}
AN_ACCOUNT = {"account_id": 7, "before": 1_000, "looked_through": 1_000, "limit": 51}
A_PLAN = {"plan_id": "plan-7", "payout_id": "q-7", "limit": 1_000}
HOT[CONSOLE, "ledger"] = {
    **dict.fromkeys(("accounts", "account", "entries", "open_plans"), AN_ACCOUNT),
    **dict.fromkeys(("plan", "steps", "postings", "payout_of_plan"), A_PLAN),
}
A_RUN = {"run_no": 7, "after": 1, "first": NOW.date(), "last": NOW.date(), "limit": 500}
HOT[CONSOLE, "reconciliation"] = dict.fromkeys(("run", "sums", "messages", "remarks", "since"), A_RUN)
A_SIMULATION = {
    "before": ROWS // 2,
    "state": "failed",
    "case_no": 7,
    "looked_through": 1_000,
    "limit": 52,
    "request_no": 7,
    "order_ids": IDS,
}
HOT[CONSOLE, "simulations"] = dict.fromkeys(("simulations", "simulations_of_case", "simulation", "questions", "differences"), A_SIMULATION)
A_RECORD = {"topic": "topic", "partition": 1, "position": 7, "before": 1_000, "limit": 51}
HOT[CONSOLE, "topics"] = dict.fromkeys(("records", "record"), A_RECORD)
HOT[CONSOLE, "search"] = {
    "search": {"text": "case-7", "beginning": "case-7%", "person": "01020312345", "low": IDS[0], "high": IDS[1], "number": 7, "limit": 51}
}
HOT[CONSOLE, "health"] = {"backlogs": {}}
HOT[CONSOLE, "overview"] = {"attention": {"limit": 201}}
NOT_HOT: dict[tuple[str, str], set[str]] = {
    **{(CONSOLE, name): set() for name in ("orders", "cases", "records", "audit", "search", "payouts", "ledger", "simulations")},
    (CONSOLE, "reconciliation"): {"newest_day", "runs", "alarms"},  # some rows for each area and day
    (CONSOLE, "topics"): {"partitions"},  # a few rows
    (CONSOLE, "health"): {"alarms"},  # as many as stand
    (CONSOLE, "overview"): {"stops"},  # a few rows
    (HUB, "cases"): {"next_message_numbers"},  # a sequence
    (HUB, "deferred"): {
        "deferred_astray",  # a part of the check
        "waiting_for_cases",  # for a figure: as much as waits
    },
    # Locks, and what an operator asks for.
    (HUB, "other_cases"): {"lock_persons", "exempt_pairs", "list_exempt_pairs", "end_exempt_pairs"},
    (HUB, "source_limits"): set(),
    (HUB, "take_over"): {"add_accepted", "add_decisions"},  # plain inserts
    (HUB, "orders"): set(),
    (LEDGER, "ledger"): {"add_plans", "add_postings", "add_steps", "add_entries", "add_accounts"},  # plain inserts
    (LOG, "log"): {
        *("make_partitions", "reserve_positions", "append", "ends_of_topic"),  # the small table of partitions, and a plain insert
    },
    (HUB, "write"): {
        "add_messages",
        "add_idempotency_records",
        "add_orders",
        "add_lines",
        "add_payments",
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
OF_THE_WORK = [each for each in STATEMENTS if each[0] != CONSOLE]
"""Those of batches. People look at pages when a store has long had its statistics."""

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def filled(kvitt_server: TestServer) -> Iterator[Connection]:
    """A store in which twenty thousand cases have just been written, and nobody has counted them yet."""
    with kvitt_server.database() as conninfo, connect(conninfo) as connection:
        for statement in (*FILL, *REPORTED):
            table = statement.split()[2]
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")  # so that only the test decides who has counted
            connection.execute(statement, {"rows": ROWS, "now": NOW})
        yield connection


@pytest.fixture(scope="module")
def analysed(kvitt_server: TestServer, filled: Connection) -> Iterator[Connection]:
    """The same store with statistics; a copy, so that the other keeps having none."""
    with kvitt_server.database() as conninfo, connect(conninfo) as connection:
        for statement in (*FILL, *REPORTED):
            connection.execute(statement, {"rows": ROWS, "now": NOW})
        connection.execute("VACUUM (ANALYZE)")
        yield connection


def plan_of(connection: Connection, package: str, file: str, name: str) -> dict[str, Any]:
    """How the server would run the statement with these very arrays."""
    statement = getattr(load(file, package=package), name)
    row = connection.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}", HOT[package, file][name]).fetchone()
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


@pytest.mark.parametrize(("package", "file", "name"), OF_THE_WORK)
def test_a_store_just_filled_is_read_by_index(filled: Connection, package: str, file: str, name: str) -> None:
    assert scanned(plan_of(filled, package, file, name)) == []


@pytest.mark.parametrize(("package", "file", "name"), STATEMENTS)
def test_a_store_with_statistics_is_read_by_index(analysed: Connection, package: str, file: str, name: str) -> None:
    assert scanned(plan_of(analysed, package, file, name)) == []


def test_every_statement_can_be_planned_on_an_empty_store(database: str) -> None:
    with connect(database) as connection:
        for package, file, name in STATEMENTS:
            assert plan_of(connection, package, file, name)["Node Type"]


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
