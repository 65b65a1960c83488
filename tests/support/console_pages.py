"""Every page of a console on a store in which a hub has lived, with hostile text wherever others write."""

from collections.abc import Sequence
from urllib.parse import quote

from psycopg import sql

from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.operators import Signature, note
from support.lived import live

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'`{{7*7}}\u202e"
"""Markup, quotes, a template's braces, and a turn of the direction of reading."""
FILTERED = "<em>&area"
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
    """INSERT INTO approvals (act, arguments, subject, asked_by, reason, effect, basis, asked_at, lapses_at)
       VALUES (%(text)s, '{}', %(text)s, %(text)s, %(text)s, %(text)s, %(bytes)s, now(), now() + interval '1 day')""",
    "INSERT INTO leases (lease, owner, fencing_token, until) VALUES (%(text)s, %(text)s, 1, 'infinity')",
)


def live_with_hostile_text(conninfo: str) -> None:
    """A hub's life, and hostile text in all fields that others fill."""
    live(conninfo)
    with connect(conninfo) as connection:
        for each in _FIELDS:
            connection.execute(each.encode(), {"text": HOSTILE, "bytes": HOSTILE.encode()})
        with connection.transaction(), connection.cursor() as cursor:
            note(cursor, utc_now(), HOSTILE, Signature(HOSTILE, HOSTILE, HOSTILE, None), HOSTILE)


def paths(connection: Connection) -> Sequence[str]:
    """The addresses of all pages, and of one of each kind that is about one thing."""
    return [
        *("/", "/search", "/orders", "/orders?state=accepted&least=1", "/orders?held=yes", f"/orders?area={quote(FILTERED, safe='')}"),
        *("/dead-letters", "/dead-letters?state=all", "/jobs", "/audit", "/looks", "/health"),
        *("/approvals", "/approvals/mine", *(f"/approvals/{each}" for each in _some(connection, "approvals", "approval_no", 1))),
        *(f"/cases/{each}" for each in _some(connection, "cases", "case_no", 9)),
        *(f"/cases/{each}/person" for each in _some(connection, "cases", "case_no", 1)),
        *(f"/orders/{each}" for each in _some(connection, "orders", "order_id", 3)),
        *(f"/orders/{each}/{act}" for each in _some(connection, "orders", "order_id", 1) for act in ("release", "resend", "withdraw")),
        *("/sending", "/sending/stop", "/sending/resume?rail=*&area=XX"),
        *(f"/messages/{each}" for each in _some(connection, "messages", "message_no", 3)),
        *(f"/receipts/{each}" for each in _some(connection, "receipts", "receipt_no", 3)),
        *(f"/dead-letters/{each}{act}" for each in _some(connection, "dead_letters", "dead_no", 1) for act in ("", "/replay")),
        *(f"/dead-letters/{each}/mend" for each in _some(connection, "dead_letters", "dead_no", 2)[1:]),
    ]


def _some(connection: Connection, table: str, key: str, most: int) -> list[object]:
    query = sql.SQL("SELECT {key} FROM {table} ORDER BY {key} LIMIT {most}")
    rows = connection.execute(query.format(key=sql.Identifier(key), table=sql.Identifier(table), most=sql.Literal(most)))
    return [each for (each,) in rows]
