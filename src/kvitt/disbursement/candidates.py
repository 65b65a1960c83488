"""The orders that observations may be about, as they are stored; with what was said of them before, where a rail answers by parts."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
from msgspec.structs import replace

from kvitt.disbursement.rail import Candidate, Observation, Rail
from kvitt.disbursement.receipts import read_answer
from kvitt.disbursement.states import OrderState
from kvitt.kernel.fetch import Part, fetch
from kvitt.kernel.queries import load

_SQL = load("orders", "kvitt.disbursement")


class _Found(NamedTuple):
    ordinal: int
    candidate: Candidate


class _SaidBefore(NamedTuple):
    """A receipt of an order: the answer that it stands in, and its place there."""

    order_id: str
    body: bytes
    place: int


def find_candidates(cursor: psycopg.Cursor[Any], observations: Mapping[int, tuple[Rail, Observation]]) -> Mapping[int, Sequence[Candidate]]:
    """The orders that each observation may be about, by its number, oldest first. One that names no case has none."""
    asked = [
        (index, said.case[0].value, said.case[1], rail.name, said.area, said.correlation_key)
        for index, (rail, said) in observations.items()
        if said.case
    ]
    found: dict[int, list[Candidate]] = {}
    if asked:
        columns = [list(column) for column in zip(*asked, strict=True)]
        for each in fetch(cursor, _Found, _SQL.orders_for_receipts, columns, candidate=Part(Candidate, state=OrderState, said=tuple)):
            found.setdefault(each.ordinal, []).append(each.candidate)
    by_parts = [index for index in found if observations[index][0].capabilities.answers_parts]
    said = _said_before(cursor, {each.order_id: observations[index][0] for index in by_parts for each in found[index]})
    return found | {index: [replace(each, said=said.get(each.order_id, ())) for each in found[index]] for index in by_parts}


def _said_before(cursor: psycopg.Cursor[Any], orders: Mapping[str, Rail]) -> Mapping[str, tuple[Observation, ...]]:
    said: dict[str, tuple[Observation, ...]] = {}
    for before in fetch(cursor, _SaidBefore, _SQL.said_of_orders, [list(orders)]) if orders else ():
        observation = read_answer(orders[before.order_id], before.body)[before.place]
        said[before.order_id] = (*said.get(before.order_id, ()), observation)
    return said
