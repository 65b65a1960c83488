"""The job that sends traces: of each message once its final status is out, or is there where nothing is published about it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final, NamedTuple, TypeVar

from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.jobs import Every, Job
from kvitt.kernel.queries import load
from kvitt.ops.traces import MessageTrace, TracedMessage, TracedOrder, TracedRecord, TraceSpan

_SQL: Final = load("traces", "kvitt.ops")
_EVERY: Final = timedelta(seconds=5)
SETTLED: Final = timedelta(seconds=45)
"""Longer than a transaction may last: what was published earlier is all there, in its order."""
_AT_ONCE, _ROUNDS = 1_000, 20
_PUBLISHED: Final = "published"
SendSpans = Callable[[Sequence[TraceSpan]], None]
Row = TypeVar("Row", TracedOrder, TracedRecord)


class _OnTrail(NamedTuple):
    """Something that happened to a message, in the order in which such things do; `is_over` unless it is still to come true."""

    place: int
    message_no: int | None
    is_over: bool


class _MadeUntil(NamedTuple):
    trail: str
    until: int


class _Last(NamedTuple):
    message_no: int
    outbox_no: int


def trace_job(clock: Clock, send: SendSpans, ratio: float) -> Job:
    """The job, of so many of the messages whose sender has not decided it."""

    def run(connection: Connection, _due: datetime) -> str:
        return f"traces of {send_traces(connection, clock(), send, ratio)} messages are sent"

    return Job("traces", Every(_EVERY), run)


def send_traces(connection: Connection, now: datetime, send: SendSpans, ratio: float) -> int:
    """Sends what is there, in the caller's transaction, and returns of how many messages. Raises what sending raises.

    A message is met on three trails: by its last record of the outbox, or, where nothing is published about it, by the receipt of its
    order, or by itself where it has none.
    """
    connection.execute(_SQL.begin)
    return sum(_along(connection, made, now - SETTLED, send, ratio) for made in fetch(connection, _MadeUntil, _SQL.made_until))


def _along(connection: Connection, made: _MadeUntil, before: datetime, send: SendSpans, ratio: float) -> int:
    until, sent = made.until, 0
    for _ in range(_ROUNDS):
        asked = {"after": until, "before": before, "limit": _AT_ONCE}
        met = list(takewhile(lambda each: each.is_over, fetch(connection, _OnTrail, getattr(_SQL, made.trail), asked)))
        if not met:
            break
        wanted = [each for each in _traces(connection, made.trail, met) if each.is_wanted(ratio)]
        if wanted:
            send([span for trace in wanted for span in trace.spans()])
        until, sent = met[-1].place, sent + len(wanted)
    connection.execute(_SQL.move_on, {"trail": made.trail, "until": until})
    return sent


def _traces(connection: Connection, trail: str, met: Sequence[_OnTrail]) -> list[MessageTrace]:
    """The traces of those messages whose last happening is among these."""
    numbers = {each.message_no for each in met if each.message_no is not None}
    last = {each.message_no: each.outbox_no for each in fetch(connection, _Last, _SQL.last_of, {"message_nos": list(numbers)})}
    if trail == _PUBLISHED:
        places = {each.place for each in met}
        ended = {"message_nos": [number for number, place in last.items() if place in places]}
    else:
        ended = {"message_nos": list(numbers - last.keys())}
    orders = _by_message(fetch(connection, TracedOrder, _SQL.orders, ended))
    records = _by_message(fetch(connection, TracedRecord, _SQL.records, ended))
    messages = fetch(connection, TracedMessage, _SQL.answered, ended)
    return [MessageTrace(each, orders[each.message_no], records[each.message_no]) for each in messages]


def _by_message(rows: Sequence[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.message_no].append(row)
    return found
