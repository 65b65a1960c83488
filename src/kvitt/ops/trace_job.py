"""The job that sends traces: of each message once its final status is out, in the order in which these were published."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final, NamedTuple, TypeVar

from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.jobs import Every, Job
from kvitt.kernel.queries import load
from kvitt.ops.traces import MessageTrace, TracedMessage, TracedOrder, TracedRecord, TraceSpan

_SQL: Final = load("traces", "kvitt.ops")
_EVERY: Final = timedelta(seconds=5)
SETTLED: Final = timedelta(seconds=45)
"""Longer than a transaction may last: what was published earlier is all there, in its order."""
_AT_ONCE, _ROUNDS = 1_000, 20
SendSpans = Callable[[Sequence[TraceSpan]], None]
Row = TypeVar("Row", TracedOrder, TracedRecord)


class _OutboxPlace(NamedTuple):
    outbox_no: int
    message_no: int | None
    relayed_at: datetime | None


class _Last(NamedTuple):
    message_no: int
    outbox_no: int


def trace_job(clock: Clock, send: SendSpans, ratio: float) -> Job:
    """The job, of so many of the messages whose sender has not decided it."""

    def run(connection: Connection, _due: datetime) -> str:
        return f"traces of {send_traces(connection, clock(), send, ratio)} messages are sent"

    return Job("traces", Every(_EVERY), run)


def send_traces(connection: Connection, now: datetime, send: SendSpans, ratio: float) -> int:
    """Sends what is there, in the caller's transaction, and returns of how many messages. Raises what sending raises."""
    connection.execute(_SQL.begin)
    after, sent = int(fetch_value(connection, _SQL.made_until)), 0
    for _ in range(_ROUNDS):
        asked = {"after": after, "before": now - SETTLED, "limit": _AT_ONCE}
        out = list(takewhile(lambda each: each.relayed_at is not None, fetch(connection, _OutboxPlace, _SQL.published, asked)))
        if not out:
            break
        wanted = [each for each in _traces(connection, out) if each.is_wanted(ratio)]
        if wanted:
            send([span for trace in wanted for span in trace.spans()])
        after, sent = out[-1].outbox_no, sent + len(wanted)
    connection.execute(_SQL.move_on, {"outbox_no": after})
    return sent


def _traces(connection: Connection, out: Sequence[_OutboxPlace]) -> list[MessageTrace]:
    """The traces of those messages of which the last record is among these."""
    named = {"message_nos": list({each.message_no for each in out if each.message_no is not None})}
    here = {each.outbox_no for each in out}
    ended = {"message_nos": [each.message_no for each in fetch(connection, _Last, _SQL.last_of, named) if each.outbox_no in here]}
    orders = _by_message(fetch(connection, TracedOrder, _SQL.orders, ended))
    records = _by_message(fetch(connection, TracedRecord, _SQL.records, ended))
    messages = fetch(connection, TracedMessage, _SQL.answered, ended)
    return [MessageTrace(each, orders[each.message_no], records[each.message_no]) for each in messages]


def _by_message(rows: Sequence[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.message_no].append(row)
    return found
