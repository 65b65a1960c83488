"""A large store: whether submit keeps its speed when very many payments are there already."""

from typing import Any

import psycopg

from bench.large_case import accept_ready
from bench.messages import DP_TOPIC, Feed, dp
from bench.place import Place
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.submit import per_second, writers
from kvitt.app.ports import PORTS
from kvitt.disbursement.submit import Submit
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.queries import load

LEAST_RATIO = 0.8
_PAYMENTS_OF_CASE = 10
_TEMPLATE = "template"
_TURNS, _WARMING = 3, 1_000
_SQL = load("fill", package="bench")
_STEPS = (_SQL.copy_messages, _SQL.copy_orders, _SQL.copy_lines, _SQL.copy_payments, _SQL.copy_outbox, _SQL.copy_audit)


def fill(connection: psycopg.Connection[Any], feed: Feed, payments: int, *, of_case: int = _PAYMENTS_OF_CASE) -> None:
    """Stores so many accepted payments, `of_case` to a case, with everything that a real message leaves behind, written set by set."""
    Submit(connection, utc_now, PORTS).execute([feed.incoming(DP_TOPIC, dp(_TEMPLATE, of_case))])
    accept_ready(connection)
    row = connection.execute("SELECT case_no FROM cases WHERE case_id = %s", (_TEMPLATE,)).fetchone()
    assert row is not None, "the template was just submitted"
    arguments = {"template": row[0], "cases": payments // of_case - 1}
    with connection.transaction():
        connection.execute(_SQL.copy_cases, arguments)
        for statement in _STEPS:
            connection.execute(statement, arguments)
    connection.execute("VACUUM (ANALYZE)")
    connection.execute("CHECKPOINT")


class _Store:
    """A filled database, and the rates measured in it."""

    def __init__(self, conninfo: str, payments: int) -> None:
        self._conninfo, self._feed = conninfo, Feed()
        self._rates: list[float] = []
        with connect(conninfo, application="kvitt bench") as connection:
            fill(connection, self._feed, payments)
        self.measure(_WARMING)
        self._rates.clear()

    def measure(self, messages: int) -> None:
        with writers(self._conninfo) as group:
            self._rates.append(per_second(group, self._feed.new_cases(messages)))

    @property
    def best(self) -> float:
        return max(self._rates)


def run(place: Place, size: Size) -> None:
    """Submit of new cases beside a million stored accepted payments, against a hundredth of them, in turn; the best of either."""
    few = size.stored_payments // 100
    with place.database() as one, place.database() as other:
        small, large = _Store(one, few), _Store(other, size.stored_payments)
        for _ in range(_TURNS * size.rounds):
            for store in (small, large):
                store.measure(size.messages // _TURNS)
    report(
        Figure(
            name="submit beside many payments, ratio",
            value=rounded(large.best / small.best),
            unit="1",
            on=f"{size.stored_payments} stored payments",
            baseline=f"{few} stored payments",
            samples=[rounded(small.best), rounded(large.best)],
            target=Target(least=LEAST_RATIO),
            durability=place.durability(),
        )
    )
