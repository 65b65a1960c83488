"""`kvitt check` promises: a figure that a page of the console shows is what the tables give, or it is found."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
import pytest
from psycopg import sql

import kvitt.api.console
from kvitt.app.ports import PORTS
from kvitt.contracts.helved import outputs
from kvitt.contracts.rapid.wire import simulation, solutions
from kvitt.contracts.rapid.wire.solutions import Solution, SolutionStatus
from kvitt.contracts.utbetalinger.answers import KeptStatus, PaymentStatus
from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.check import check
from kvitt.disbursement.check.report import Kind
from kvitt.disbursement.simulation import FailureReason, SimulationFailure
from kvitt.disbursement.values import Refusal
from kvitt.kernel.database import connect
from kvitt.kernel.queries import load
from kvitt.testing import TestServer
from support.console_pages import live_with_hostile_text

ROWS: Final = "as_many_rows"
PROOFS: Final = {
    view: (getattr(queries, view), getattr(queries, ROWS))
    for queries in (
        *(load("views_check", f"kvitt.{room}") for room in ("disbursement", "ledger", "payouts")),
        load("standing_check", "kvitt.disbursement"),
    )
    for view in dir(queries)
    if view != ROWS
}
"""The statements that prove a view."""
FIGURE_TYPES: Final = {
    "bigint": "coalesce({column}, 0) + 1",
    "integer": "coalesce({column}, 0) + 1",
    "boolean": "NOT coalesce({column}, false)",
    "date": "coalesce({column}, date '2000-01-01') + 1",
    "timestamp with time zone": "coalesce({column}, 'epoch') + interval '1 day'",
}
"""How a figure becomes another one."""
FIGURES_AS_TEXT: Final = frozenset({"state", "status", "outcome", "bucket", "order_state", "run_state"})
NO_FIGURES: Final = frozenset({"number", "partition", "position", "place", "version", "sequence", "batch_id", "account_id", "plan_id"})
"""Names and places of rows, whatever their type is."""
LEFT_ALONE: Final = {
    "orders": {"is_first_order"},
    "cases": {"frame_start"},
    "held_orders": {"made_at", "first_day", "last_day"},
    "order_lines": {"decided_on"},
    "receipts": {"received_at", "closed_at"},
    "reconciliations": {"first_day", "last_day", "made_at", "good_at", "replaced_by"},
    "reconciled_orders": {"key_day"},
    "ledger_accounts": {"created_at"},
    "ledger_postings": {"source", "target"},
    "order_check_differences": {"first_day", "last_day"},
}
"""What is shown as it is noted, and is no figure."""


class Figure(NamedTuple):
    view: str
    column: str
    type: str


@pytest.fixture(scope="module")
def lived(kvitt_server: TestServer) -> Iterator[psycopg.Connection[Any]]:
    """A store in which a hub has lived, with a row for every view."""
    with kvitt_server.database() as conninfo:
        live_with_hostile_text(conninfo)
        with connect(conninfo) as connection:
            connection.execute(
                """INSERT INTO payouts.saga_steps (payout_id, number, action, plan_id, content, state, made_at, next_try_at, busy_until)
                   SELECT payout_id, 9, 'create', plan_id, '', 'forward', now(), now(), now() FROM payouts.payouts LIMIT 1"""
            )
            connection.execute(
                "INSERT INTO deferred (scheme, case_id, body, came_at, message_id, rail) VALUES ('AAP', 'A1', '', now(), 'm', 'oppdrag')"
            )
            connection.execute(
                """INSERT INTO receipts (message_id, digest, body, received_at, outcome, rail)
                   VALUES ('stray', sha256('x'), 'x', now(), 'unmatched', 'oppdrag')"""
            )
            connection.execute("INSERT INTO source_hours (source, hour, kroner) VALUES ('dp-sak', date_trunc('hour', now()), 3000)")
            connection.execute(
                """INSERT INTO limited_orders (case_no, order_id, source, hour, kroner)
                   SELECT case_no, order_id, 'dp-sak', date_trunc('hour', now()), 1500 FROM orders ORDER BY order_id LIMIT 2"""
            )
            yield connection


def figures(connection: psycopg.Connection[Any], view: str) -> Sequence[Figure]:
    rows = connection.execute(
        "SELECT column_name::text, data_type::text FROM information_schema.columns WHERE table_schema = 'kvitt_views' AND table_name = %s",
        (view,),
    )
    named = {*NO_FIGURES, *LEFT_ALONE.get(view, ())}
    return [
        Figure(view, column, kind)
        for column, kind in rows
        if column not in named and not column.endswith("_no") and (kind in FIGURE_TYPES or column in FIGURES_AS_TEXT)
    ]


def found(connection: psycopg.Connection[Any], view: str) -> list[object]:
    return [row for statement in PROOFS[view] for row in connection.execute(statement.encode())]


def replace(connection: psycopg.Connection[Any], view: str, wanted: sql.Composable) -> None:
    """Has a view show something else; `wanted` is a query over what it shows, which it calls `v`."""
    (meant,) = connection.execute("SELECT pg_get_viewdef(%s::regclass)", (f"kvitt_views.{view}",)).fetchone() or ("",)
    connection.execute(
        sql.SQL("CREATE OR REPLACE VIEW kvitt_views.{} AS WITH v AS ({}) {}").format(
            sql.Identifier(view), sql.SQL(str(meant).rstrip(";")), wanted
        )
    )


def columns(connection: psycopg.Connection[Any], view: str) -> list[str]:
    rows = connection.execute(
        """SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'kvitt_views' AND table_name = %s
           ORDER BY ordinal_position""",
        (view,),
    )
    return [column for (column,) in rows]


def changed(connection: psycopg.Connection[Any], figure: Figure) -> sql.Composed:
    other = sql.SQL(FIGURE_TYPES.get(figure.type, "{column} || 'x'")).format(column=sql.Identifier(figure.column))
    shown = [
        sql.SQL("CAST({} AS {}) AS {}").format(other, sql.SQL(figure.type), sql.Identifier(each))
        if each == figure.column
        else sql.Identifier(each)
        for each in columns(connection, figure.view)
    ]
    return sql.SQL("SELECT {} FROM v").format(sql.SQL(", ").join(shown))


def test_views_as_they_are_show_what_the_tables_give(lived: psycopg.Connection[Any]) -> None:
    assert {view: rows for view in PROOFS if (rows := found(lived, view))} == {}


def test_failures_are_the_messages_that_their_contracts_say_have_failed(lived: psycopg.Connection[Any]) -> None:
    answered = lived.execute(
        "SELECT message_no, source, answer FROM messages WHERE state = 'answered' AND starts_with(answer::text, '\\x7b')"
    )
    failed = {number for number, source, answer in answered if PORTS.contracts.of[source].in_short(answer).status is Status.FAILED}
    failed |= {number for (number,) in lived.execute("SELECT message_no FROM decisions WHERE outcome = 'refused'")}
    assert failed
    assert {number for (number,) in lived.execute("SELECT message_no FROM kvitt_views.failure_texts")} == failed


NO: Final = Refusal(400, 'says "no"', "docs")
FAILURES: Final = {
    "a case stream": (outputs.encode_status(Answer(Status.FAILED, None, NO)), 'says \\"no\\"'),
    "a payment that the rail refused": (KeptStatus(PaymentStatus.FAILED, NO).encode(), 'says \\"no\\"'),
    "a need that the rail refused": (solutions.encode(Solution(SolutionStatus.REJECTED, "nei")), "nei"),
    "a need that failed": (solutions.encode(Solution(SolutionStatus.FAILED, "nei")), "nei"),
    "a simulation while the rail is closed": (
        simulation.solution(SimulationFailure(FailureReason.CLOSED, "closed")),
        "Oppdrag/UR er stengt",
    ),
}


@pytest.mark.parametrize(("answer", "text"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_has_its_text_in_whatever_form_its_contract_says_so(lived: psycopg.Connection[Any], answer: bytes, text: str) -> None:
    with lived.transaction(force_rollback=True):
        (number,) = lived.execute("SELECT max(message_no) FROM messages WHERE state = 'answered'").fetchone() or (0,)
        lived.execute("UPDATE messages SET answer = %s WHERE message_no = %s", [answer, number])
        assert lived.execute("SELECT text FROM kvitt_views.failure_texts WHERE message_no = %s", [number]).fetchall() == [(text,)]
        assert found(lived, "failure_texts") == []


@pytest.mark.parametrize("view", sorted(PROOFS))
def test_a_view_with_another_figure_is_found(lived: psycopg.Connection[Any], view: str) -> None:
    of_view = figures(lived, view)
    assert of_view
    assert lived.execute(sql.SQL("SELECT FROM kvitt_views.{}").format(sql.Identifier(view))).rowcount
    unseen = []
    for figure in of_view:
        with lived.transaction(force_rollback=True):
            replace(lived, view, changed(lived, figure))
            if not found(lived, view):
                unseen.append(figure.column)
    assert unseen == []


@pytest.mark.parametrize(
    "wanted", ["SELECT * FROM v WHERE false", "SELECT * FROM v UNION ALL SELECT * FROM v"], ids=["no row", "every row twice"]
)
@pytest.mark.parametrize("view", sorted(PROOFS))
def test_a_view_that_lacks_rows_or_has_them_twice_is_found(lived: psycopg.Connection[Any], view: str, wanted: str) -> None:
    with lived.transaction(force_rollback=True):
        replace(lived, view, sql.SQL(wanted))
        assert found(lived, view)


def test_what_needs_a_person_of_each_case_is_what_needs_one_at_all(lived: psycopg.Connection[Any]) -> None:
    columns = "case_no, what, area, order_id, message_no, since, sum_kroner, why, ends_by"
    of_all = lived.execute(f"SELECT {columns} FROM kvitt_views.attention WHERE order_id IS NOT NULL").fetchall()
    of_cases = lived.execute(f"SELECT {columns} FROM kvitt_views.case_attention WHERE what <> 'sending stopped'").fetchall()
    assert of_all
    assert sorted(of_cases, key=str) == sorted(of_all, key=str)


def test_the_check_itself_says_which_order_is_shown_otherwise(kvitt_server: TestServer) -> None:
    with kvitt_server.database() as conninfo:
        live_with_hostile_text(conninfo)
        with connect(conninfo) as connection:
            replace(connection, "orders", changed(connection, Figure("orders", "sum_kroner", "bigint")))
            order_ids = {str(each) for (each,) in connection.execute("SELECT order_id FROM orders")}
        report = check(conninfo, PORTS)
    of_views = [each for each in report.differences if each.kind is Kind.VIEW]
    assert {each.subject for each in of_views if each.text.endswith("the view of orders")} == order_ids


AS_THEY_ARE: Final = {
    "alarms": "a row for each alarm, as it was raised and cleared",
    "changes": "what the server counts by itself, to notice that something changed",
    "answer_texts": "bytes",
    "answered_callers": "names alone",
    "approvals": "what was asked and decided, which the check of approvals compares with the audit",
    "case_attention": "the same rows as in attention for one case, which are proved there but for orders behind a stop",
    **dict.fromkeys(
        ("attention_held", "attention_unknown", "attention_late", "attention_letters", "attention_else"),
        "parts of attention, which is proved",
    ),
    "audit_entries": "entries of chains, which are made again entry by entry",
    "calls": "who called, as it was noted",
    "case_timeline": "a row for each thing that happened, with its moment, and no sum",
    "dead_letter_texts": "bytes",
    "decisions": "calls, and how far each has come, which is derived again case by case",
    "deferred": "a row for each thing that came while a case was locked",
    "exempt_pairs": "what two people said of two cases, which the check compares with what was released",
    "house_accounts": "documents as they were loaded",
    "jobs": "rows as the scheduler wrote them last",
    "check_runs": "how checks ended, as noted; this very check writes the next one",
    "keeping_up": "what a job noted at each minute, of which nothing else is left",
    "lease_owners": "who has held what, as noted",
    "ledger_steps": "who asked for what, which the ledger's own proof compares with entries",
    "lines_by_id": "ids alone",
    "looks": "who looked at what",
    "message_texts": "bytes",
    "messages": "rows with their state, which is derived again case by case",
    "note_texts": "words of people",
    "operator_acts": "entries of the operators' chain",
    "order_checks": "what was found of an order, which is compared again case by case",
    "order_texts": "bytes",
    "parties": "documents as they were loaded",
    "payments_by_id": "ids alone",
    "payout_events": "bytes and hashes, which are made again",
    "persons": "whose a case is",
    "published": "a row for each record, and where it is",
    "published_texts": "bytes",
    "queue_messages": "what lies in a queue just now",
    "queues": "names alone",
    "rail_alarms": "a row for each alarm",
    "receipt_texts": "bytes",
    "reconciliation_alarms": "a row for each alarm",
    "reconciliation_remarks": "a row for each case, as it was noted",
    "reconciliation_texts": "bytes",
    "record_texts": "bytes",
    "roles": "how processes do, as they wrote it last",
    "simulation_texts": "bytes",
    "stops": "a row for each stop",
}
"""Views that show rows as they are, and no figure that is counted or added up."""


def test_every_view_that_a_page_reads_is_proved_or_shows_rows_as_they_are() -> None:
    of_console = Path(kvitt.api.console.__file__).parent
    read = {view for file in of_console.rglob("*.sql") for view in re.findall(r"kvitt_views\.(\w+)", file.read_text("utf-8"))}
    assert read - PROOFS.keys() - AS_THEY_ARE.keys() == set()
    assert PROOFS.keys() & AS_THEY_ARE.keys() == set()
    assert AS_THEY_ARE.keys() <= read


def test_the_page_of_views_says_which_are_proved() -> None:
    page = (Path(__file__).parents[3] / "docs/views.md").read_text("utf-8")
    assert re.findall(r"`(\w+)`", page.partition("\nProved: ")[2].partition("\n\n")[0]) == sorted(PROOFS)
