"""A large store: whether submit keeps its speed when very many payments are there already."""

from typing import Any

import psycopg

from bench.large_case import accept_ready
from bench.messages import DP_TOPIC, Feed, dp
from bench.place import Place
from bench.report import Figure, Target, rounded, tell
from bench.size import Size
from bench.submit import per_second, writers
from kvitt.app import utc_now
from kvitt.hub.submit import Submit
from kvitt.store.database import connect
from kvitt.store.queries import load

LEAST_RATIO = 0.8
_PAYMENTS_OF_CASE = 10
_TEMPLATE = "template"
_SQL = load("fill", package="bench")
_STEPS = (_SQL.copy_messages, _SQL.copy_orders, _SQL.copy_lines, _SQL.copy_payments, _SQL.copy_outbox, _SQL.copy_audit)


def fill(connection: psycopg.Connection[Any], feed: Feed, payments: int) -> None:
    """Stores so many accepted payments, ten to a case, with everything that a real message leaves behind, written set by set."""
    Submit(connection, utc_now)([feed.incoming(DP_TOPIC, dp(_TEMPLATE, _PAYMENTS_OF_CASE))])
    accept_ready(connection)
    row = connection.execute("SELECT case_no FROM cases WHERE case_id = %s", (_TEMPLATE,)).fetchone()
    assert row is not None, "the template was just submitted"
    arguments = {"template": row[0], "cases": payments // _PAYMENTS_OF_CASE - 1}
    with connection.transaction():
        connection.execute(_SQL.copy_cases, arguments)
        for statement in _STEPS:
            connection.execute(statement, arguments)
    connection.execute("VACUUM (ANALYZE)")
    connection.execute("CHECKPOINT")


def _rate(place: Place, size: Size, payments: int) -> float:
    feed = Feed()
    with place.database() as conninfo:
        with connect(conninfo, application="kvitt bench") as connection:
            fill(connection, feed, payments)
        with writers(conninfo) as group:
            per_second(group, feed.new_cases(300))
            return max(per_second(group, feed.new_cases(size.messages // 2)) for _ in range(2 * size.rounds))


def run(place: Place, size: Size) -> None:
    """Submit of new cases beside a million stored accepted payments, against the same beside a hundredth of them."""
    few = size.stored_payments // 100
    beside_few, beside_many = _rate(place, size, few), _rate(place, size, size.stored_payments)
    tell(
        Figure(
            name="submit beside many payments, ratio",
            value=rounded(beside_many / beside_few),
            unit="1",
            on=f"{size.stored_payments} stored payments",
            baseline=f"{few} stored payments",
            samples=[rounded(beside_few), rounded(beside_many)],
            target=Target(least=LEAST_RATIO),
            durability=place.durability(),
        )
    )
