"""What is stored of the needs and the lines of locked cases, read set by set for those that a batch asks about."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

from kvitt.hub.case import Case
from kvitt.hub.rapid.values import Identity, Standing
from kvitt.hub.taken import Reading
from kvitt.kernel.queries import load
from kvitt.rules.needs import Need
from kvitt.rules.states import MessageState
from kvitt.rules.values import LineAtRail, Scheme
from kvitt.wire.rapid.solutions import TEXTS, Solution, SolutionStatus, encode

_SQL = load("rapid", "kvitt.store")
UNTOLD = encode(Solution(SolutionStatus.RECEIVED, TEXTS[SolutionStatus.RECEIVED]))
"""What a repeat of a need hears of which nothing was stored as told."""


def identity_of(need: Need) -> Identity:
    """Under what a need is the same as another one of its case."""
    return need.person, need.payment_id


def find_standings(cursor: psycopg.Cursor[Any], cases: Mapping[tuple[Scheme, str], Case], readings: Sequence[Reading]) -> None:
    """Gives the cases of needs what is stored of these needs' identities, and the lines that are accepted. Asks nothing without needs."""
    asked = {
        (case.case_no, identity_of(each.claims)): case
        for each in readings
        if isinstance(each.claims, Need) and (case := _case(each, cases))
    }
    if not asked:
        return
    ordered = sorted(asked)
    columns = [
        list(range(len(ordered))),
        [case_no for case_no, _ in ordered],
        [person for _, (person, _) in ordered],
        [payment_id for _, (_, payment_id) in ordered],
    ]
    for ordinal, message_no, digest, state, told in cursor.execute(_SQL.standings, columns, binary=True):
        key = ordered[ordinal]
        asked[key].standings[key[1]] = Standing(message_no, bytes(digest), MessageState(state), bytes(told or UNTOLD))
    load_lines(cursor, {case.case_no: case for case in asked.values()}.values())


def load_lines(cursor: psycopg.Cursor[Any], cases: Iterable[Case]) -> None:
    """Loads the accepted lines of forwarded cases as they are now, in place of what was loaded before."""
    by_number = {case.case_no: case for case in cases}
    for case in by_number.values():
        case.forwarded.clear()
    for case_no, *line in cursor.execute(_SQL.accepted_lines, [list(by_number)], binary=True):
        by_number[case_no].forwarded.append(LineAtRail(*line))


def _case(reading: Reading, cases: Mapping[tuple[Scheme, str], Case]) -> Case | None:
    key = reading.case_key
    return cases.get(key) if key else None
