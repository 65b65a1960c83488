"""The rail's side of reconciliation: keeps what it is reported, and has each run judged when its last message has come (design §15).

There is no answer to a run. Where it differs from the rail's records is a list, as operators of the real rail see it on a page of theirs.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import chain
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from kvitt.kernel.database import TupleConnection
from kvitt.kernel.fetch import fetch, fetch_value, fetch_values
from kvitt.kernel.queries import load
from kvitt.kernel.queue import Delivery, Queue
from kvitt.rails.oppdrag.emulator.judge import RunDifference, RunDifferenceKind, add_differences, judge_run
from kvitt.rails.oppdrag.emulator.reported import StatedMessage, key_rank, read_reported

_BATCH: Final = 200
_SQL = load("reconciliation", package="kvitt.rails.oppdrag.emulator")
_Arrived = tuple[Delivery, StatedMessage]


class ReceivedRun(Struct, frozen=True):
    """A run as it came. The one with an empty id has what could not be read.

    `kind` is GRSN (interface) or KONS (consistency); `repeats` counts messages that the queue handed out again.
    """

    run_id: str
    kind: str
    area: str
    component: str
    first_key: str
    last_key: str
    began_at: datetime
    ended_at: datetime | None
    messages: int
    repeats: int


class JudgedRun(ReceivedRun, frozen=True):
    """A run with its differences, which are found when it ends."""

    differences: tuple[RunDifference, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether it has ended and says what the rail's records say."""
        return self.ended_at is not None and not self.differences


def take_reported(conn: TupleConnection, queue: Queue, now: datetime) -> int:
    """Takes the next messages from the queue, unless another emulator does; returns how many. Raises ConnectionError and psycopg errors."""
    if not fetch_value(conn, _SQL.try_turn):
        return 0
    try:
        deliveries = queue.receive(_BATCH, 0)
        if deliveries:
            keep_reported(conn, deliveries, now)
            queue.acknowledge()
        return len(deliveries)
    finally:
        if not conn.closed:
            conn.execute(_SQL.end_turn)


def keep_reported(conn: TupleConnection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """Keeps messages in their order, and judges the runs that end with one of them, all in one transaction."""
    once = {(delivery.message_id, delivery.body): delivery for delivery in deliveries}
    arrived = [(delivery, read_reported(delivery.body)) for delivery in once.values()]
    with conn.transaction():
        for part in _up_to_ends(arrived):
            _keep(conn, part, now)


def _up_to_ends(arrived: Sequence[_Arrived]) -> Iterator[Sequence[_Arrived]]:
    """The messages in parts, each of them up to one that ends a run."""
    part: list[_Arrived] = []
    for each in arrived:
        part.append(each)
        if each[1].action == "AVSL":
            yield part
            part = []
    if part:
        yield part


def _keep(conn: TupleConnection, arrived: Sequence[_Arrived], now: datetime) -> None:
    fresh_ids = set(fetch_values(conn, _SQL.add_messages, {**_message_arrays(arrived), "now": now}))
    fresh = [message for delivery, message in arrived if delivery.message_id in fresh_ids]
    ended = set(fetch_values(conn, _SQL.ended_runs, {"run_ids": [message.run_id for message in fresh]}))
    _add_runs(conn, fresh, now)
    _add_content(conn, [message for message in fresh if message.run_id not in ended])
    add_differences(
        conn,
        chain(
            (
                RunDifference(message.run_id, RunDifferenceKind.UNREADABLE, about=delivery.message_id, found=message.problem)
                for delivery, message in arrived
                if message.problem and delivery.message_id in fresh_ids
            ),
            (RunDifference(each.run_id, RunDifferenceKind.AFTER_END, about=each.action) for each in fresh if each.run_id in ended),
        ),
    )
    for message in fresh:
        if message.action == "AVSL" and message.run_id and message.run_id not in ended:
            judge_run(conn, message.run_id, now)


def _message_arrays(arrived: Sequence[_Arrived]) -> dict[str, list[object]]:
    messages = [message for _, message in arrived]
    return {
        "message_ids": [delivery.message_id for delivery, _ in arrived],
        "digests": [sha256(delivery.body).digest() for delivery, _ in arrived],
        "bodies": [delivery.body for delivery, _ in arrived],
        "run_ids": [message.run_id for message in messages],
        "actions": [message.action for message in messages],
        "fields": [msgspec.json.encode(message.fields).decode() for message in messages],
        "totals": [msgspec.json.encode(message.totals).decode() if message.totals else None for message in messages],
        "items": [message.items for message in messages],
        "problems": [message.problem for message in messages],
    }


def _add_runs(conn: TupleConnection, messages: Sequence[StatedMessage], now: datetime) -> None:
    keys = [_keys(message) for message in messages]
    arrays = {
        "run_ids": [message.run_id for message in messages],
        "kinds": [message.kind for message in messages],
        "areas": [message.fields.get("underkomponentKode", "") for message in messages],
        "components": [message.fields.get("avleverendeKomponentKode", "") for message in messages],
        "first_keys": [first for first, _ in keys],
        "last_keys": [last for _, last in keys],
        "first_ranks": [key_rank(first) for first, _ in keys],
        "last_ranks": [key_rank(last) for _, last in keys],
    }
    conn.execute(_SQL.add_runs, {**arrays, "now": now})


def _keys(message: StatedMessage) -> tuple[str, str]:
    """The range of keys that a run is over; of one about lines, the moment that it is at."""
    at = message.fields.get("tidspunktAvstemmingTom", "")
    return message.fields.get("nokkelFom", at), message.fields.get("nokkelTom", at)


def _add_content(conn: TupleConnection, messages: Sequence[StatedMessage]) -> None:
    details = [(message.run_id, detail) for message in messages for detail in message.details]
    if details:
        names = {
            "kinds": "kind",
            "persons": "person",
            "case_ids": "case_id",
            "codes": "code",
            "severities": "severity",
            "texts": "text",
            "made": "made",
        }
        arrays = {array: [getattr(detail, name) for _, detail in details] for array, name in names.items()}
        conn.execute(_SQL.add_details, {**arrays, "run_ids": [run_id for run_id, _ in details]})
    lines = [(message.run_id, line) for message in messages for line in message.lines]
    if lines:
        names = {
            "case_ids": "case_id",
            "line_ids": "line_id",
            "starts": "starts",
            "ends": "ends",
            "kroner": "kroner",
            "rate_codes": "rate_code",
        }
        arrays = {array: [getattr(line, name) for _, line in lines] for array, name in names.items()}
        conn.execute(_SQL.add_lines, {**arrays, "run_ids": [run_id for run_id, _ in lines]})


def reconciliations(conn: TupleConnection, run_id: str | None = None) -> tuple[JudgedRun, ...]:
    """All runs that came, or one, in the order in which they began, with where they differ."""
    found: dict[str, list[RunDifference]] = {}
    for each in fetch(conn, RunDifference, _SQL.differences, {"run_id": run_id}, what=RunDifferenceKind):
        found.setdefault(each.run_id, []).append(each)
    runs = fetch(conn, ReceivedRun, _SQL.runs, {"run_id": run_id})
    return tuple(JudgedRun(**asdict(run), differences=tuple(found.get(run.run_id, ()))) for run in runs)
