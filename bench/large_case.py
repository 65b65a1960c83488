"""A case with many payments: what one more message costs when nearly all of what it says, or of what is stored, is known already."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import psycopg

from bench.messages import DP_TOPIC, TS_TOPIC, Feed, dp, ts
from bench.place import Place
from bench.report import Durability, Figure, Target, report, rounded
from bench.size import Size
from kvitt.app.ports import PORTS
from kvitt.disbursement.rail import Observation, ReceiptOutcome, Severity
from kvitt.disbursement.settle import RawReceipt, Settle
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect

MOST_MS = 20
_CASE = "large-case"
_TIMES = 15
_GOOD = Observation(None, "", b"", "", Severity.OK, "00")
_SEND = "UPDATE orders SET state = 'sent', sent_at = now() WHERE state = 'ready' RETURNING order_id::text, message"


def receipts_of_ready(connection: psycopg.Connection[Any]) -> list[RawReceipt]:
    """Sends every ready order, and returns the rail's receipts: it took them all."""
    sent = connection.execute(_SEND, binary=True).fetchall()
    return [RawReceipt(order_id, PORTS.rails.default.with_acknowledgement(bytes(xml), _GOOD)) for order_id, xml in sent]


def accept_ready(connection: psycopg.Connection[Any]) -> float:
    """Lets the rail accept every ready order; returns the milliseconds that settling the receipts took."""
    receipts = receipts_of_ready(connection)
    started = time.perf_counter()
    outcomes = Settle(connection, utc_now, PORTS).execute(receipts)
    milliseconds = 1000 * (time.perf_counter() - started)
    assert set(outcomes) == {ReceiptOutcome.ACCEPTED}, "the rail took every order"
    return milliseconds


class _Case:
    """A case of one scheme that grows message by message."""

    def __init__(self, connection: psycopg.Connection[Any], feed: Feed, topic: str) -> None:
        self._connection, self._feed, self._topic = connection, feed, topic
        self._submit = Submit(connection, utc_now, PORTS).execute

    def take(self, body: bytes) -> tuple[float, float]:
        """Submits a message and settles its order; returns the milliseconds of either."""
        message = self._feed.incoming(self._topic, body)
        started = time.perf_counter()
        outcomes = self._submit([message])
        submitting = 1000 * (time.perf_counter() - started)
        assert outcomes == [Outcome.DERIVED], "each message changes something"
        return submitting, accept_ready(self._connection)


def _measure(case: _Case, body_of: Callable[[int], bytes]) -> tuple[list[float], list[float]]:
    case.take(body_of(0))
    taken = [case.take(body_of(time_of)) for time_of in range(1, _TIMES + 1)]
    return [submitting for submitting, _ in taken], [settling for _, settling in taken]


def _tell(name: str, on: str, milliseconds: list[float], durability: Durability) -> None:
    samples = [rounded(min(milliseconds)), rounded(max(milliseconds))]
    value, target = rounded(statistics.median(milliseconds)), Target(most=MOST_MS)
    report(Figure(name=name, value=value, unit="ms, median", on=on, samples=samples, target=target, durability=durability))


def run(place: Place, size: Size) -> None:
    """One more reporting period in a whole-case message of dagpenger, and one payment of many; samples: best and worst."""
    count, feed, durability = size.payments_of_case, Feed(), place.durability()
    with place.database() as conninfo, connect(conninfo, application="kvitt bench", keeps_plans=True) as connection:
        submitting, settling = _measure(_Case(connection, feed, DP_TOPIC), lambda time_of: dp(_CASE, count + time_of))
        on = f"{count} payments in the case and {count * 14} days in the message"
        _tell("large case, one new period: submit", on, submitting, durability)
        _tell("large case, one new period: settle", on, settling, durability)
        case = _Case(connection, feed, TS_TOPIC)
        case.take(ts(_CASE, range(count)))
        submitting, settling = _measure(case, lambda time_of: ts(_CASE, [count // 2], f"B{time_of + 2}", 1001 + time_of))
        _tell("large case, one payment of many: submit", f"{count} payments in the case", submitting, durability)
        _tell("large case, one payment of many: settle", f"{count} payments in the case", settling, durability)
