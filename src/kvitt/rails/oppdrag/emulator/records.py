"""What the rail remembers of the orders it received: each with digest, time and outcome, and what came more than once."""

from collections.abc import Iterator
from datetime import datetime

import psycopg
from msgspec import Struct

from kvitt.kernel.queries import load

_SQL = load("emulator", package="kvitt.rails.oppdrag.emulator")


class Received(Struct, frozen=True):
    """An order as it first came. `digest` is the SHA-256 of its bytes; `outcome` is accepted, warned, rejected (by the rules),
    refused (by a fault) or unreadable; `repeats` counts how often the same bytes came again under the same message id."""

    message_id: str
    digest: bytes
    received_at: datetime
    area: str
    case_id: str
    outcome: str
    severity: str
    note: str
    repeats: int


class Duplicates(Struct, frozen=True):
    """What came more than once: line ids accepted twice (area, case id, line id; must always be none), message ids that came with
    different bytes, and groups of message ids under which the same bytes came."""

    lines: tuple[tuple[str, str, str], ...]
    conflicting_messages: tuple[str, ...]
    same_bytes: tuple[tuple[str, ...], ...]


def received(conn: psycopg.Connection[tuple[object, ...]]) -> Iterator[Received]:
    """Every order received, by time, streamed."""
    with conn.transaction(), conn.cursor(name="received") as cursor:
        cursor.execute(_SQL.received)
        for row in cursor:
            yield Received(*row)  # type: ignore[arg-type]


def duplicates(conn: psycopg.Connection[tuple[object, ...]]) -> Duplicates:
    """What came or counts more than once."""
    lines = conn.execute(_SQL.lines_accepted_twice).fetchall()
    conflicts = conn.execute(_SQL.conflicting_messages).fetchall()
    groups = conn.execute(_SQL.same_bytes).fetchall()
    return Duplicates(
        tuple((str(area), str(case_id), str(line_id)) for area, case_id, line_id in lines),
        tuple(str(message_id) for (message_id,) in conflicts),
        tuple(tuple(group) for (group,) in groups if isinstance(group, list)),
    )
