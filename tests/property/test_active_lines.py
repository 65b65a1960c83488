"""The lines in force on a day are those that the rail's rule leaves, looked at day by day, whatever the history (design §12, active line).

The rule here shares nothing with the hub: a dictionary of days for each chain. A new line takes from its chain all days from its first one
on, a cessation those from its date on.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvitt.disbursement.reconcile.active_lines import ActiveBasis, all_active_cases
from kvitt.disbursement.values import Area
from kvitt.kernel.database import Connection, connect
from support.tried import tried
from support.used_again import UsingAgain

FIRST = date(2026, 5, 1)
AT = datetime(2026, 5, 10, 12, tzinfo=UTC)
DAYS = st.integers(0, 8).map(lambda number: FIRST + timedelta(days=number))
AREAS = ("TILLSTPB", "TILLSTLM", "SPREF")
SCHEMES = {"TILLSTPB": "TILLEGGSSTØNADER", "TILLSTLM": "TILLEGGSSTØNADER", "SPREF": "SYKEPENGER"}


class Line(NamedTuple):
    """A line as it is drawn: `joins` is which earlier line it refers to, `ceases` which one it ends, `again` which one it repeats."""

    start: date
    length: int
    amount: int
    joins: int | None
    ceases: int | None
    again: int | None


class Drawn(NamedTuple):
    """An order: of which case and area, and what became of it; `late`: it was accepted after the moment that counts."""

    case: int
    area: str
    state: str
    late: bool
    lines: tuple[Line, ...]


class Sent(NamedTuple):
    """A line with its names."""

    line_id: str
    refers_to: str | None
    start: date
    end: date
    amount: int
    ceased_from: date | None


place = st.none() | st.integers(0, 30)
lines = st.builds(
    Line, DAYS, st.integers(0, 4), st.integers(1, 9), st.integers(0, 30) | place, place, st.sampled_from([None, None, None, 1])
)
orders = st.builds(
    Drawn,
    st.integers(0, 1),
    st.sampled_from(AREAS),
    st.sampled_from(["accepted"] * 6 + ["rejected", "sent", "unknown", "withdrawn"]),
    st.sampled_from([False] * 6 + [True]),
    st.lists(lines, min_size=1, max_size=5).map(tuple),
)


def named(history: Sequence[Drawn]) -> Iterator[tuple[Drawn, int, Sequence[Sent]]]:
    """Each order with its number in its case, and with lines whose names point back to lines of its case and area."""
    known: dict[tuple[int, str], list[Sent]] = {}
    numbers: dict[int, int] = {}
    for drawn in history:
        made = known.setdefault((drawn.case, drawn.area), [Sent("case-0#900", None, FIRST, FIRST, 1, None)])
        sent = []
        for line in drawn.lines:
            end = line.start + timedelta(days=line.length)
            fresh = f"{drawn.area}-{drawn.case}#{len(made)}"
            if line.ceases is not None:
                was = made[line.ceases % len(made)]
                sent.append(was._replace(refers_to=None, ceased_from=line.start))
            elif line.again is not None and drawn.area == "SPREF":
                sent.append(made[line.again % len(made)])
            else:
                before = None if line.joins is None else made[line.joins % len(made)].line_id
                sent.append(Sent(fresh, before, line.start, end, line.amount, None))
                made.append(sent[-1])
        number = numbers[drawn.case] = numbers.get(drawn.case, 0) + 1
        yield drawn, number, sent


def counts(drawn: Drawn) -> bool:
    """Whether the rail has accepted it in time."""
    return drawn.state == "accepted" and not drawn.late


def in_force(sent: Sequence[Sent], day: date) -> set[str]:
    """Day by day: the lines of one case and area that hold on a day or behind it."""
    chains: dict[str, dict[date, str]] = {}
    chain_of: dict[str, str] = {}
    for line in sent:
        if line.ceased_from is None and line.line_id in chain_of:
            continue
        begins = line.line_id if line.ceased_from is not None else line.refers_to or line.line_id
        chain = chains.setdefault(chain_of.get(begins, begins), {})
        cut = line.ceased_from or line.start
        for each in [each for each in chain if each >= cut]:
            del chain[each]
        if line.ceased_from is None:
            chain_of[line.line_id] = chain_of.get(begins, begins)
            for number in range((line.end - line.start).days + 1):
                chain[line.start + timedelta(days=number)] = line.line_id
    return {holds for chain in chains.values() for each, holds in chain.items() if each >= day}


@pytest.fixture(scope="module")
def connection(kvitt_server: UsingAgain) -> Iterator[Connection]:
    with kvitt_server.unused() as conninfo, connect(conninfo) as opened:
        for table in ("orders", "order_lines", "cases"):
            # Lines that no hub would make are drawn as well.
            opened.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
        opened.execute("DROP INDEX order_lines_new, order_lines_numbered")
        yield opened


def store(connection: Connection, history: Sequence[tuple[Drawn, int, Sequence[Sent]]]) -> None:
    """Puts a history into the store as it is."""
    connection.execute("DELETE FROM order_lines")
    connection.execute("DELETE FROM orders")
    connection.execute("DELETE FROM cases")
    cases = {(drawn.case, SCHEMES[drawn.area]) for drawn, _, _ in history}
    numbers = {key: number for number, key in enumerate(sorted(cases), 1)}
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO cases (case_no, scheme, case_id, person, areas) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, '01020312345', %s)",
            [(number, scheme, f"S-{case}", [*AREAS]) for (case, scheme), number in numbers.items()],
        )
        for drawn, number, sent in history:
            order_id = UUID(int=drawn.case << 64 | number)
            settled = AT + timedelta(seconds=1 if drawn.late else -1)
            cursor.execute(
                """INSERT INTO orders (order_id, case_no, number, area, person, message_no, state, message, correlation_time,
                                       correlation_key, is_first_order, made_at, day, sum_kroner, settled_at)
                   VALUES (%s, %s, %s, %s, '01020312345', 1, %s, '', '', %s, false, %s, %s, 0, %s)""",
                (
                    *(order_id, numbers[drawn.case, SCHEMES[drawn.area]], number, drawn.area, drawn.state, order_id.bytes),
                    *(AT - timedelta(hours=1), AT.date(), settled if drawn.state in ("accepted", "rejected", "withdrawn") else None),
                ),
            )
            cursor.executemany(
                """INSERT INTO order_lines (order_id, position, line_id, refers_to, payment_id, class_code, start_on, end_on, amount,
                                            ceased_from, decision_id, forwarded, rate_type, caseworker, approver, recipient)
                   VALUES (%s, %s, %s, %s, %s, 'X', %s, %s, %s, %s, 'B', %s, 'day', 'k', 'k', '01020312345')""",
                [
                    (
                        *(order_id, position, line.line_id, line.refers_to, order_id, line.start, line.end, line.amount),
                        *(line.ceased_from, drawn.area == "SPREF"),
                    )
                    for position, line in enumerate(sent)
                ],
            )


def test_lines_in_force_are_those_that_a_look_at_every_day_finds(connection: Connection) -> None:
    @settings(tried(80))
    @given(st.lists(orders, min_size=1, max_size=9), DAYS)
    def holds(drawn: list[Drawn], day: date) -> None:
        history = [*named(drawn)]
        with connection.transaction():
            store(connection, history)
        for area in AREAS:
            found = [*all_active_cases(connection, ActiveBasis("oppdrag", Area(area), day, AT), at_once=1)]
            for case in (0, 1):
                mine = [sent for each, _, of in history if (each.case, each.area) == (case, area) and counts(each) for sent in of]
                reported = [line for each in found if each.case_id == f"S-{case}" for line in each.lines]
                assert len({line.line_id for line in reported}) == len(reported)
                assert {line.line_id for line in reported} == in_force(mine, day)
                as_sent = {(line.line_id, line.start, line.end, line.amount, line.refers_to) for line in reported}
                assert as_sent <= {(line.line_id, line.start, line.end, line.amount, line.refers_to) for line in mine}
                numbers = {(line.own_number, line.own_reference) for line in reported}
                assert all((number is None) is (area != "SPREF") for number, _ in numbers)
            assert all(each.lines for each in found), "a case without lines in force is not there"

    holds()
