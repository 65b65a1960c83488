"""Fills in what a migration leaves to be filled in behind it: batch by batch, each committed together with how far it came.

No batch holds its locks for long, a process that is killed loses one batch at most, and the next one goes on where it stopped.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from msgspec import Struct

from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.queries import load

_SQL = load("migrate", "kvitt.kernel")
BATCH: Final = 1_000
"""How many rows a batch looks at."""


class Step(Struct, frozen=True):
    """Holds what one batch did: the place up to which all is filled in, and how many rows it changed."""

    after: str
    rows: int


class Backfill(Struct, frozen=True):
    """Something to be filled in behind a migration; `step` fills in a batch after a place ('' at first), and returns None at the end."""

    name: str
    step: Callable[[psycopg.Cursor[Any], str], Step | None]


class Filled(Struct, frozen=True):
    """How far a back-fill has come: the rows changed so far, and whether that is all."""

    name: str
    rows: int
    done: bool


class _DoneBatch(NamedTuple):
    after: str | None
    rows: int


class _Unfilled(NamedTuple):
    name: str
    migration: str


def plan(connection: psycopg.Connection[Any], migration: str, fills: Sequence[Backfill]) -> None:
    """Notes, within a migration, what is left to be filled in behind it, in this order."""
    for fill in fills:
        connection.execute(_SQL.plan_backfill, (f"{migration} {fill.name}", migration))


def unfilled(connection: psycopg.Connection[Any]) -> list[str]:
    """The names of the back-fills that are not done, in order."""
    if fetch_value(connection, _SQL.find_backfills) is None:
        return []
    return [each.name for each in fetch(connection, _Unfilled, _SQL.unfilled)]


def fill_in(connection: psycopg.Connection[Any], fills: Mapping[str, Sequence[Backfill]]) -> Iterator[Filled]:
    """Does all that is left to be filled in, as `fills` has it by migration, and reports after every batch how far it has come."""
    if not unfilled(connection):
        return
    for name, migration in fetch(connection, _Unfilled, _SQL.unfilled):
        fill = next(each for each in fills[migration] if name == f"{migration} {each.name}")
        done = False
        while not done:
            filled = _batch(connection, name, fill)
            done = filled.done
            yield filled


def _batch(connection: psycopg.Connection[Any], name: str, fill: Backfill) -> Filled:
    with connection.transaction(), connection.cursor() as cursor:
        before = fetch_one(cursor, Step, _SQL.filled_up_to, (name,))
        assert before is not None, "back-fills are never forgotten"
        step = fill.step(cursor, before.after)
        if step is None:
            cursor.execute(_SQL.end_backfill, (name,))
            return Filled(name, before.rows, done=True)
        cursor.execute(_SQL.move_backfill, (step.after, step.rows, name))
        return Filled(name, before.rows + step.rows, done=False)


def by_statement(statement: str) -> Callable[[psycopg.Cursor[Any], str], Step | None]:
    """A batch that one statement does: after `%(after)s` it looks at `%(batch)s` rows, and returns the last place and what it changed."""

    def step(cursor: psycopg.Cursor[Any], after: str) -> Step | None:
        done = fetch_one(cursor, _DoneBatch, statement, {"after": after or None, "batch": BATCH})
        return None if done is None or done.after is None else Step(done.after, done.rows)

    return step
