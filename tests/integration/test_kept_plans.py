"""Plans that are kept (`connect(keeps_plans=True)`) are made once, maybe while the store is empty: they must do for a full one as well."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from tests.integration import test_payout_plans as payouts
from tests.integration import test_plans as plans
from tests.integration.test_plans import HUB, KERNEL, LEDGER, Connection, scanned

from kvitt.kernel.database import connect
from kvitt.kernel.queries import load
from kvitt.kernel.rows import Row, joined
from support import full_store
from support.used_again import UsingAgain

ROWS = full_store.ROWS
MOST_IN_VAIN = 10 * plans.BATCH
"""So many rows, of all that a batch looks for, may be looked at and passed by."""
WRITERS = [
    (KERNEL, "requests"),
    (HUB, "cases"),
    (HUB, "deferred"),
    (HUB, "other_cases"),
    (HUB, "source_limits"),
    (HUB, "write"),
    (LEDGER, "ledger"),
]
"""The statements of those who write batches on such connections; of the payouts all but the lists, which others ask for."""
HOT: dict[tuple[str, str, str], plans.Parameters] = {
    **{(*file, name): given for file in WRITERS for name, given in plans.HOT[file].items()},
    **{("kvitt.payouts", *name): given[0] for name, given in payouts.HOT.items() if name != ("payouts", "page")},
    (HUB, "simulations", "open_since"): plans.HOT[HUB, "simulations"]["open_since"],
}
ALL = "all that joins"
STATEMENTS = [*HOT, (HUB, "write", ALL), (LEDGER, "ledger", ALL)]
FILL = [*full_store.FILL, *payouts.FILL]


def arguments(package: str, file: str, name: str) -> list[Any]:
    if name == ALL:
        return [each for kind in joining(file) for each in plans.HOT[kind[:2]][kind[2]]]
    given = HOT[package, file, name]
    return [given[each] for each in names(text(package, file, name))] if isinstance(given, dict) else list(given)


def text(package: str, file: str, name: str) -> str:
    if name == ALL:
        return joined(tuple(text(*kind) for kind in joining(file)))
    return str(getattr(load(file, package=package), name))


def joining(file: str) -> list[tuple[str, str, str]]:
    """The statements of a file that are written as one."""
    wanted = {each.statement for each in Row.__subclasses__() if each.joins}
    return [kind for kind in HOT if kind[1] == file and text(*kind) in wanted]


def names(statement: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"%\((\w+)\)", statement)))


def numbered(statement: str) -> str:
    """The statement with the server's own marks for what is given."""
    order, count = names(statement), itertools.count(1)
    named = re.sub(r"%\((\w+)\)[sbt]", lambda found: f"${order.index(found[1]) + 1}", statement)
    return re.sub(r"%[sbt]", lambda _: f"${next(count)}", named).replace("%%", "%")


def execute(connection: Connection, place: int, *options: str) -> dict[str, Any]:
    """The plan of the statement of this number, with these very arguments, as it is kept."""
    given = arguments(*STATEMENTS[place])
    literals = psycopg.ClientCursor(connection).mogrify(", ".join(["%s"] * len(given)), given)
    with connection.transaction(force_rollback=True):
        execution = f"EXECUTE kept_{place} ({literals})" if given else f"EXECUTE kept_{place}"
        row = connection.execute(f"EXPLAIN ({', '.join(['VERBOSE', 'FORMAT JSON', *options])}) {execution}").fetchone()
    assert row is not None
    return dict(row[0][0]["Plan"])


@pytest.fixture(scope="module")
def kept(kvitt_server: UsingAgain) -> Iterator[Connection]:
    """A store in which twenty thousand cases were written after all statements had been planned, and nobody has counted them."""
    with kvitt_server.unused() as conninfo, connect(conninfo, keeps_plans=True) as connection:
        for statement in FILL:
            connection.execute(f"ALTER TABLE {statement.split()[2]} SET (autovacuum_enabled = off)")
        for place, statement in enumerate(STATEMENTS):
            connection.execute(f"PREPARE kept_{place} AS {numbered(text(*statement))}")
            execute(connection, place)
        with connect(conninfo) as other:
            for statement in FILL:
                other.execute(statement, {"rows": ROWS, "now": plans.NOW})
        yield connection


def removed(node: dict[str, Any]) -> int:
    own = (
        node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Join Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    ) * node.get("Actual Loops", 1)
    return int(own) + sum(removed(part) for part in node.get("Plans", ()))


@pytest.mark.parametrize("place", range(len(STATEMENTS)), ids=lambda place: " ".join(STATEMENTS[place]))
def test_a_plan_that_was_made_on_an_empty_store_does_for_a_full_one(kept: Connection, place: int) -> None:
    plan = execute(kept, place, "ANALYZE")
    assert scanned(plan) == []
    assert removed(plan) <= MOST_IN_VAIN, plan
