"""The load: messages about a fixed set of cases, each wanting the whole case otherwise, fed through the log whatever happens to it.

What was fed is known exactly: after a lost connection the log itself is asked whether the records stand in it.
"""

import os
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Protocol

import psycopg
from msgspec import Struct

from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import EMBEDDED_INPUT_PARTITIONS, input_partition_of
from kvitt.kernel.database import connect
from kvitt.kernel.postgres import running_server
from kvitt.rails.oppdrag.emulator import Chance, DamageForm, Faults
from kvitt.transports.log.embedded_log import NewRecord, append
from support.hub_messages import aap, dp, payment_uid, text, ts, ts_payment
from support.kill_harness import Watch

CASES = 60
PER_APPEND = 10
MOST_UNANSWERED = 150
PAUSE_SECONDS = float(os.environ.get("KVITT_SOAK_PAUSE_SECONDS", "0.4"))
"""Between two batches: enough for work to be under way whenever something dies, and little enough for tests that run beside. 0: as much
as the hub can take.
"""
_LOOK_SECONDS = 0.05
_WEEKDAYS = (1, 2, 3, 4, 5, 8, 9, 10, 11, 12)
TROUBLE = Faults(
    delay=Chance(0.1),
    delay_seconds=0.2,
    double=Chance(0.1),
    reorder=Chance(0.2),
    damage=Chance(0.2),
    damage_forms=tuple(form for form in DamageForm if form is not DamageForm.TRUNCATED),
    refuse=Chance(0.05),
    warn=Chance(0.1),
)
"""A rail that behaves as badly as one may that answers every order in the end."""
Amounts = dict[date, int]
Connection = psycopg.Connection[tuple[object, ...]]
_SETTLED = """
SELECT (SELECT coalesce(sum(position), 0) FROM leases WHERE lease LIKE 'intake:%')
     - (SELECT count(*) FROM messages WHERE state IN ('received', 'queued', 'derived'))
"""


class Fed(Struct, frozen=True):
    """A message that stands in the log: `wanted` is what each day of June 2026 pays if it is accepted, by payment; None = unreadable."""

    key: str
    scheme: Scheme
    case: str
    wanted: tuple[Amounts, ...] | None
    body: bytes


def _june(first: int, last: int, amount: int) -> Amounts:
    return {date(2026, 6, first) + timedelta(days=offset): amount for offset in range(last - first + 1)}


class Script:
    """Makes the messages one after the other; all of one case go to one partition, so that they keep their order."""

    def __init__(self, seed: int) -> None:
        self._chance, self._numbers = Random(seed), count()

    def batch(self) -> list[Fed]:
        """The next messages."""
        return [self.next() for _ in range(PER_APPEND)]

    def next(self) -> Fed:
        """The next message."""
        number, case_number = next(self._numbers), self._chance.randrange(CASES)
        scheme = (Scheme.DAGPENGER, Scheme.DAGPENGER, Scheme.AAP, Scheme.TILLEGGSSTONADER)[case_number % 4]
        case = f"C{case_number}"
        key = next(
            key
            for key in (f"{case}/{number}/{salt}" for salt in count())
            if input_partition_of(key.encode()) == case_number % EMBEDDED_INPUT_PARTITIONS
        )
        if self._chance.random() < 0.03:
            return Fed(key, scheme, case, None, f"broken {key}".encode())
        wanted, body = self._message(scheme, case)
        return Fed(key, scheme, case, wanted, body)

    def _message(self, scheme: Scheme, case: str) -> tuple[tuple[Amounts, ...], bytes]:
        amount = self._chance.randint(100, 900)
        if scheme is Scheme.AAP:
            return (_june(1, 12, amount),), text(aap(case, amount))
        if scheme is Scheme.DAGPENGER:
            days = sorted(self._chance.sample(_WEEKDAYS, self._chance.randint(1, len(_WEEKDAYS))))
            return ({date(2026, 6, day): amount for day in days},), text(dp(case, amount, days=days))
        last = self._chance.randint(3, 12)
        # Two payments of one case never pay the same, or the second would be held for an operator.
        payments = [ts_payment(payment_uid(case, n), amount + 1000 * n, spans=[(1 + n, last)]) for n in range(2)]
        return tuple(_june(1 + n, last, amount + 1000 * n) for n in range(2)), text(ts(case, *payments))


class Log(Protocol):
    """Where the load goes, whatever happens to it meanwhile."""

    def append(self, batch: Sequence[Fed]) -> bool:
        """Whether the batch stands in the log now; asked with the same batch until it does."""

    def settled(self) -> int | None:
        """How many records need no more work; None while nobody can tell."""

    def close(self) -> None:
        """Ends the connections."""


class Feeder:
    """Feeds from a thread of its own, never more ahead of the answers than a bound."""

    def __init__(
        self,
        log: Log,
        batches: Callable[[], Sequence[Fed]],
        *,
        most_unanswered: int = MOST_UNANSWERED,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self.fed: list[Fed] = []
        self.failure: BaseException | None = None
        self._log, self._batches, self._most_unanswered = log, batches, most_unanswered
        self._pause_seconds = pause_seconds
        self._stop, self._abandon = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder")

    def start(self) -> None:
        self._thread.start()

    def run_ahead(self, records: int) -> None:
        """Allows so many more records to be unanswered: while nothing is answered, new ones still come in."""
        self._most_unanswered += records

    def abandon(self) -> None:
        """Ends feeding though there may be no log to feed any more; what was fed last is not known then."""
        self._abandon.set()
        self.stop()

    def stop(self) -> None:
        """Ends feeding; everything in `fed` stands in the log then. A hub must be running, or come."""
        self._stop.set()
        if self._thread.ident:
            self._thread.join()
        self._log.close()
        if self.failure:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                settled = self._log.settled()
                if settled is None or len(self.fed) - settled > self._most_unanswered:
                    self._stop.wait(_LOOK_SECONDS)
                    continue
                batch = self._batches()
                while not self._log.append(batch):
                    if self._abandon.wait(0.02):
                        return
                self.fed += batch
                self._stop.wait(self._pause_seconds)
        except BaseException as error:  # noqa: BLE001 - raised by `stop`
            self.failure = error


def settled(watch: Watch) -> int | None:
    """How many records are taken in and wait for nothing more; None while nobody can tell."""
    rows = watch.rows(_SETTLED)
    return None if rows is None else int(str(rows[0][0]))


class EmbeddedLog:
    """The embedded log of a hub, over connections that come and go."""

    def __init__(self, data: Path) -> None:
        self._data, self._watch = data, Watch(data)
        self._connection: Connection | None = None
        self._unknown = False

    def settled(self) -> int | None:
        """How many records need no more work."""
        return settled(self._watch)

    def close(self) -> None:
        """Ends the connections."""
        self._watch.forget()
        if self._connection:
            self._connection.close()

    def append(self, batch: Sequence[Fed]) -> bool:
        """Whether the batch stands in the log now. A commit whose answer was lost is looked for before it is tried again."""
        try:
            if self._connection is None or self._connection.closed:
                conninfo = running_server(self._data)
                if conninfo is None:
                    return False
                self._connection = connect(conninfo, application="kvitt feeder")
            if not self._unknown or not self._stands(self._connection, batch):
                append(
                    self._connection,
                    [NewRecord(primary_input(each.scheme), each.key.encode(), each.body) for each in batch],
                    datetime.now(UTC),
                )
            self._unknown = False
            return True
        except psycopg.OperationalError:
            self._unknown = True
            if self._connection is not None:
                self._connection.close()
            return False

    def _stands(self, connection: Connection, batch: Sequence[Fed]) -> bool:
        query = "SELECT FROM log_records WHERE topic = %s AND key = %s"
        return connection.execute(query, (primary_input(batch[0].scheme), batch[0].key.encode())).fetchone() is not None
