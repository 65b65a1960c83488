"""The whole way of a message with everything running: embedded log, intake, hub, queue, rail, outbox, relay, status topic."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import psycopg

from kvitt.app.hub import HubProcess
from kvitt.config import Settings
from kvitt.contracts.helved import status
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.values import Scheme
from kvitt.formats.partitions import partition_of
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.emulator import spans
from kvitt.testing import TestServer
from kvitt.transports.log.embedded_log import NewRecord, append
from kvitt.transports.queue.table_queue import TableQueue
from support.hub_messages import PLAIN, Json, text
from support.patience import until

SETTINGS = Settings(lease_seconds=2.0)
Row = tuple[object, ...]


class Way:
    """The whole way of a message, with everything running."""

    def __init__(self, conninfo: str) -> None:
        self.connection: psycopg.Connection[Row] = connect(conninfo)
        self.receipts = TableQueue(conninfo, SETTINGS.reply_queue)
        self._numbers = count()

    def case(self) -> str:
        """A case id that nobody has used."""
        return f"S-{next(self._numbers)}"

    def send(self, scheme: Scheme, *records: tuple[bytes | None, bytes | None], headers: bytes = b"[]") -> None:
        """Appends records to the scheme's topic."""
        topic = helved_topics.primary_input(scheme)
        append(self.connection, [NewRecord(topic, key, value, headers) for key, value in records], datetime.now(UTC))

    def answers(self, key: bytes) -> list[Answer]:
        """What the status topic says under a key."""
        query = "SELECT value FROM log_records WHERE topic = %s AND key = %s ORDER BY partition, position"
        return [
            status.decode(bytes(value))
            for (value,) in self.connection.execute(query, (helved_topics.STATUSES, key))
            if isinstance(value, bytes)
        ]

    def final(self, key: bytes) -> Answer:
        """The OK or FEILET of a key, as soon as it is there."""

        def finals() -> list[Answer]:
            return [answer for answer in self.answers(key) if answer.status in (Status.OK, Status.FAILED)]

        until(finals, what=f"{key!r} was not answered")
        (answer,) = finals()
        return answer

    def good_behind(self, scheme: Scheme, *bad: tuple[bytes | None, bytes | None], headers: bytes = b"[]") -> None:
        """Puts records and right behind them, in the same partition, a good one; returns when that is answered OK."""
        case = self.case()
        wanted = partition_of(bad[0][0]) if bad[0][0] else 0
        key = next(each for each in (f"{case}-{n}".encode() for n in count()) if partition_of(each) == wanted)
        self.send(scheme, *bad, (key, text(PLAIN[scheme](case))), headers=headers)
        assert self.final(key).status is Status.OK

    def refused(self, scheme: Scheme, body: Json | bytes) -> Answer:
        """The refusal of a message, after the good one behind it was answered OK."""
        key = str(uuid4()).encode()
        self.good_behind(scheme, (key, body if isinstance(body, bytes) else text(body)))
        (answer,) = self.answers(key)
        assert answer.status is Status.FAILED
        return answer

    def accepted(self, scheme: Scheme, body: Json) -> None:
        """A message that is paid."""
        key = str(uuid4()).encode()
        self.send(scheme, (key, text(body)))
        assert self.final(key).status is Status.OK

    def dead(self, body: bytes) -> str:
        """Why a body was kept as a dead letter."""
        query = "SELECT reason FROM dead_letters WHERE body = %s AND state = 'open'"
        ((reason,),) = self.connection.execute(query, (body,)).fetchall()
        return str(reason)

    def orders(self, case: str) -> int:
        """How many orders a case has had."""
        query = "SELECT count(*) FROM orders JOIN cases USING (case_no) WHERE case_id = %s"
        ((found,),) = self.connection.execute(query, (case,)).fetchall()
        return int(str(found))

    def days(self, area: str, case: str) -> list[tuple[str, str, int]]:
        """What the rail pays."""
        return [(str(span.start), str(span.end), span.amount) for span in spans(self.connection, area, case)]


@contextmanager
def whole_way(kvitt_server: TestServer) -> Iterator[Way]:
    """A hub with all its roles on a database of its own, for as long as the block runs."""
    with kvitt_server.database() as conninfo:
        hub = HubProcess(conninfo, SETTINGS)
        hub.start()
        way = Way(conninfo)
        try:
            yield way
        finally:
            way.connection.close()
            way.receipts.close()
            hub.stop()
