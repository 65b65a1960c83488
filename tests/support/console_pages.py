"""Every page of a console on a store in which a hub has lived, with hostile text wherever others write."""

from collections.abc import Sequence
from urllib.parse import quote

from psycopg import sql

from kvitt.api.console.pages.order_acts import ACTS as ORDER_ACTS
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.operators import Signature, note
from support.lived import live
from support.payout_stage import payout_stage, wanted

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{7*7}}\u202e".ljust(4_000, "w")
"""Markup, quotes, a template's braces, a turn of the direction of reading, and a word that does not end."""
FILTERED = "<em>&area"
HOSTILE_ID = "<script>alert(1)</script>/~%?&="
"""The same as an id that others choose, short enough for a payout, with what means something in an address."""
_FIELDS = (
    """UPDATE messages SET key = %(bytes)s, headers = %(bytes)s, answer = %(bytes)s
       WHERE message_no = (SELECT min(message_no) FROM messages)""",
    "UPDATE receipts SET note = %(text)s, code = %(text)s WHERE receipt_no = (SELECT min(receipt_no) FROM receipts)",
    "UPDATE order_lines SET class_code = %(text)s, caseworker = %(text)s, decision_id = %(text)s",
    "UPDATE cases SET case_id = left(%(text)s, 30) WHERE case_id = 'A2'",
    "INSERT INTO stops (rail, area, reason, stopped_by, stopped_at) VALUES ('*', 'XX', %(text)s, %(text)s, now())",
    """INSERT INTO dead_letters (source, partition, position, key, body, headers, reason, at)
       VALUES (%(text)s, 0, 1, %(bytes)s, %(bytes)s, %(bytes)s, %(text)s, now())""",
    """INSERT INTO dead_letters (source, partition, position, key, body, reason, at)
       VALUES (%(text)s, 0, 2, %(bytes)s, '{"sakId": "<script>alert(1)</script>"}', %(text)s, now())""",
    """INSERT INTO jobs (name, timetable, catch_up, next_due, next_try, state, tries, outcome)
       VALUES (%(text)s, %(text)s, 'last', now(), now(), 'failed', 3, %(text)s)""",
    """INSERT INTO check_runs (began_at, ended_at, version, looked_at, by_kind, differences, found)
       VALUES (now(), now(), %(text)s, '{"cases": 2}', '{"case": 1}', 1, ARRAY[%(text)s])""",
    "INSERT INTO lease_owners (lease, fencing_token, owner, since) VALUES (%(text)s, 7, %(text)s, now())",
    """INSERT INTO approvals (act, arguments, subject, asked_by, reason, effect, basis, asked_at, lapses_at)
       VALUES (%(text)s, '{}', %(text)s, %(text)s, %(text)s, %(text)s, %(bytes)s, now(), now() + interval '1 day')""",
    """INSERT INTO reconciliation_runs (run_id, rail, area, kind, form, first_day, last_day, trigger, made_by, reason, made_at, state,
                                       messages)
       SELECT md5(kind)::uuid, 'oppdrag', 'AAP', kind, 'helved', '2026-06-28', '2026-06-28', 'operator', %(text)s, %(text)s, '2026-06-29',
              'good', 1
       FROM unnest(ARRAY['interface', 'consistency']) AS k (kind)""",
    """INSERT INTO reconciliation_messages (run_no, place, message_id, body, state)
       SELECT run_no, 1, run_id, %(bytes)s, 'unknown' FROM reconciliation_runs""",
    """INSERT INTO reconciled_orders (run_no, order_id, bucket, key_day)
       SELECT n.run_no, o.order_id, 'missing', o.day FROM orders AS o, reconciliation_runs AS n WHERE n.kind = 'interface'""",
    """INSERT INTO reconciliation_remarks (run_no, case_no, remark)
       SELECT n.run_no, c.case_no, 'taken over' FROM cases AS c, reconciliation_runs AS n WHERE n.kind = 'consistency'""",
    """INSERT INTO simulation_requests (name, asker, contract, message_no, caller, case_no, person, rail, state, requested_at, ended_at,
                                        reason)
       SELECT 'check 1', 'check', 'helved', o.message_no, %(text)s, o.case_no, o.person, 'oppdrag', 'answered', now(), now(), %(text)s
       FROM orders AS o ORDER BY o.order_id LIMIT 1""",
    """INSERT INTO simulation_questions (request_no, place, area, order_id, question, status, answer, reason, note)
       SELECT r.request_no, 0, 'AAP', o.order_id, %(bytes)s, 200, convert_to('<p>' || o.person || '</p>', 'UTF8'), %(text)s, %(text)s
       FROM simulation_requests AS r, (SELECT order_id, person FROM orders ORDER BY order_id LIMIT 1) AS o""",
    """INSERT INTO order_checks (order_id, case_no, message_no, made_at, mode, waits, question, times_asked, ended_at, finding, request_no,
                                 differences)
       SELECT q.order_id, r.case_no, r.message_no, now(), 'warn', false, q.question, 1, now(), 'differs', r.request_no,
              '[{"kind": "not_paid", "class_code": "<script>alert(1)</script>", "first_day": "2026-06-01", "last_day": "2026-06-12",
                 "expected_kroner": 500}]'
       FROM simulation_questions AS q JOIN simulation_requests AS r ON r.request_no = q.request_no""",
    """INSERT INTO cancellations (cancellation_id, order_id, number, rail, reason, message, asked_at, state)
       SELECT gen_random_uuid(), order_id, 1, rail, %(text)s, %(bytes)s, now(), 'unknown' FROM orders ORDER BY order_id LIMIT 1""",
    "INSERT INTO log_partitions (topic, partition, next_position) VALUES (%(text)s, 0, 1)",
    """INSERT INTO log_entries (topic, partition, position, at, key, value, headers)
       VALUES (%(text)s, 0, 0, now(), %(bytes)s, %(bytes)s, %(bytes)s)""",
    """INSERT INTO parties.parties (party_id, revision, loaded_at, document)
       VALUES (%(text)s, 1, now(), %(bytes)s)""",
    "INSERT INTO parties.house (currency, loaded_at, document) VALUES (left(%(text)s, 4), now(), %(bytes)s)",
    """INSERT INTO console.case_notes (case_no, written_at, issuer, person, name, text)
       SELECT case_no, now(), %(text)s, %(text)s, %(text)s, left(%(text)s, 1000) FROM cases""",
    """INSERT INTO decisions (message_no, case_no, contract, operation, application, person, by_approver, outcome, refused_status,
                              refused_text, refused_doc, refused_system)
       SELECT message_no, case_no, 'iverksetting', %(text)s, %(text)s, %(text)s, true, 'refused', 400, %(text)s, '', ''
       FROM messages ORDER BY message_no LIMIT 1""",
    """INSERT INTO rest.requests (subject, key, digest, first_at, busy_until, status, content_type, body)
       VALUES (%(text)s, %(text)s, 'x', now(), now(), 400, %(text)s, %(bytes)s)""",
    """INSERT INTO source_limits (source, kroner_per_hour, until, set_at, set_by, approved_by, reason)
       VALUES (left(%(text)s, 25), 7, now() + interval '1 day', now(), %(text)s, %(text)s, %(text)s)""",
    "INSERT INTO leases (lease, owner, fencing_token, until) VALUES (%(text)s, %(text)s, 1, 'infinity')",
)


def live_with_hostile_text(conninfo: str) -> None:
    """A hub's life, and hostile text in all fields that others fill."""
    live(conninfo)
    pay_out(conninfo)
    with connect(conninfo) as connection:
        for each in _FIELDS:
            connection.execute(each.encode(), {"text": HOSTILE, "bytes": HOSTILE.encode()})
        with connection.transaction(), connection.cursor() as cursor:
            note(cursor, utc_now(), HOSTILE, Signature(HOSTILE, HOSTILE, HOSTILE, None), HOSTILE)


def pay_out(conninfo: str) -> None:
    """Payouts of a shop: one that is held, with a hostile id, one that is confirmed and one that is cancelled after that."""
    with payout_stage(conninfo) as stage:
        for payout_id in (HOSTILE_ID, "p-1", "p-2"):
            stage.payouts.create(wanted(payout_id))
        for payout_id in ("p-1", "p-2"):
            stage.payouts.confirm(payout_id)
        stage.payouts.cancel("p-2", HOSTILE)


def paths(connection: Connection) -> Sequence[str]:
    """The addresses of all pages, and of one of each kind that is about one thing."""
    return [
        *("/", "/search", "/orders", "/orders?state=accepted&least=1", "/orders?held=yes", f"/orders?area={quote(FILTERED, safe='')}"),
        *("/dead-letters", "/dead-letters?state=all", "/jobs", "/audit", "/looks", "/health"),
        *("/receipts", "/receipts?open=yes", "/receipts?outcome=unclear&code=zz"),
        *("/approvals", "/approvals/mine", *(f"/approvals/{each}" for each in _some(connection, "approvals", "approval_no", 1))),
        *(f"/cases/{each}" for each in _some(connection, "cases", "case_no", 9)),
        *(f"/cases/{each}/person" for each in _some(connection, "cases", "case_no", 1)),
        *(
            f"/cases/{each}{page}"
            for each in _some(connection, "cases", "case_no", 3)[1:]
            for page in ("?month=2026-06", "/days", "/audit")
        ),
        *(f"/cases/{each}/timeline{kind}" for each in _some(connection, "cases", "case_no", 2)[1:] for kind in ("", "?kind=act")),
        *(f"/cases/{case_no}/days?order={order_id}" for case_no, order_id in _orders(connection, 2)),
        *(f"/orders/{each}" for each in _some(connection, "orders", "order_id", 3)),
        *(f"/orders/{each}/{act}" for each in _some(connection, "orders", "order_id", 1) for act in ORDER_ACTS),
        *(f"/orders/{each}/{page}" for each in _some(connection, "orders", "order_id", 2) for page in ("twins", "whereabouts")),
        *("/orders/released", "/orders?held=twice"),
        *(
            "/requests",
            "/requests?outcome=refused&application=a",
            "/requests?case=1",
            "/requests/answers",
            "/failures",
            "/waiting",
            "/limits/used",
            "/limits/set",
        ),
        *(
            f"/limits/{act}?source={quote(str(each), safe='')}"
            for each in _some(connection, "source_limits", "source", 1)
            for act in ("set", "clear")
        ),
        *(f"/requests/answers?caller={quote(str(each), safe='')}" for each in _some(connection, "rest.requests", "subject", 1)),
        *(
            "/orders/exempt",
            "/orders/resend-many",
            "/orders/resend-many?area=AAP",
            "/orders/resend-many?area=AAP&state=unknown&since=2026-01-01+00:00",
        ),
        "/ledger/transfer?source=1&currency=RUB",
        *("/sending", "/sending/all", "/sending/stop", "/sending/resume?rail=*&area=XX"),
        *(f"/messages/{each}" for each in _some(connection, "messages", "message_no", 3)),
        *(f"/receipts/{each}" for each in _some(connection, "receipts", "receipt_no", 3)),
        *(f"/dead-letters/{each}{act}" for each in _some(connection, "dead_letters", "dead_no", 1) for act in ("", "/replay")),
        *(f"/dead-letters/{each}/mend" for each in _some(connection, "dead_letters", "dead_no", 2)[1:]),
        *("/payouts", "/payouts?status=unpaid&currency=RUB", f"/payouts?party={quote(FILTERED, safe='')}&shop=s", "/ledger"),
        *(f"/payouts/one?id={quote(str(each), safe='')}" for each in _some(connection, "payouts.payouts", "payout_id", 9)),
        *(f"/ledger/accounts/{each}" for each in _some(connection, "ledger.accounts", "account_id", 4)),
        *(f"/ledger/plans/one?id={quote(str(each), safe='')}" for each in _some(connection, "ledger.plans", "plan_id", 9)),
        *("/parties", "/parties/load", "/topics"),
        *(
            f"/payouts/{act}?id={quote(str(each), safe='')}"
            for each in _some(connection, "payouts.payouts", "payout_id", 1)
            for act in ("confirm", "paid", "cancel", "republish")
        ),
        *(f"/receipts/{each}/close" for each in _some(connection, "receipts", "receipt_no", 1)),
        *(f"/dead-letters/{each}/close" for each in _some(connection, "dead_letters", "dead_no", 1)),
        *(f"/simulations/{each}/again" for each in _some(connection, "simulation_requests", "request_no", 1)),
        *("/reconciliation/report", "/reconciliation/report?area=AAP", "/reconciliation/dry-run"),
        "/reconciliation/dry-run?area=AAP&first=2026-06-01&last=2026-06-02",
        *(
            f"/reconciliation/{each}/{act}"
            for each in _some(connection, "reconciliation_runs", "run_no", 1)
            for act in ("again", "drop", "was-put", "was-not-put")
        ),
        *(f"/parties/one?id={quote(str(each), safe='')}" for each in _some(connection, "parties.parties", "party_id", 9)),
        *(f"/topics/{page}?topic={quote(HOSTILE, safe='')}&partition=0" for page in ("records", "record")[: _has_log(connection) + 1]),
        *("/simulations", "/simulations?state=failed"),
        *(f"/simulations?case={each}" for each in _some(connection, "simulation_requests", "case_no", 1)),
        *(f"/simulations/{each}" for each in _some(connection, "simulation_requests", "request_no", 9)),
        *("/reconciliation", "/reconciliation?month=2026-06"),
        *(f"/reconciliation/{each}" for each in _some(connection, "reconciliation_runs", "run_no", 9)),
        *(f"/reconciliation/{each}/since" for each in _some(connection, "reconciliation_runs", "run_no", 9)),
    ]


def _orders(connection: Connection, most: int) -> list[tuple[int, str]]:
    rows = connection.execute("SELECT case_no, order_id::text FROM orders ORDER BY order_id LIMIT %s", [most])
    return [(case_no, order_id) for case_no, order_id in rows]


def _has_log(connection: Connection) -> bool:
    return connection.execute("SELECT FROM log_records LIMIT 1").fetchone() is not None


def _some(connection: Connection, table: str, key: str, most: int) -> list[object]:
    query = sql.SQL("SELECT {key} FROM {table} ORDER BY {key} LIMIT {most}")
    rows = connection.execute(query.format(key=sql.Identifier(key), table=sql.Identifier(*table.split(".")), most=sql.Literal(most)))
    return [each for (each,) in rows]
