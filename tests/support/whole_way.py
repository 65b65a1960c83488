"""The whole way of a message: embedded log, intake, hub, queue, rail, outbox, relay, status topic."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from uuid import uuid4

import kvitt.testing
from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.outputs import decode_status
from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import input_partition_of
from kvitt.testing import Hub
from support.hub_messages import PLAIN, Json, text


class Way:
    """A hub, with questions that tests of the whole way have."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.connection = hub, hub.connection
        self._numbers = count()

    def case(self) -> str:
        """A case id that nobody has used."""
        return f"S-{next(self._numbers)}"

    def send(self, scheme: Scheme, *records: tuple[bytes | None, bytes | None], headers: bytes = b"[]") -> None:
        """Puts records on the scheme's topic."""
        for key, value in records:
            self.hub.put(helved_topics.primary_input(scheme), key, value, headers)

    def answers(self, key: bytes) -> list[Answer]:
        """What the status topic says under a key, after everything that was to be done."""
        self.hub.run()
        return [decode_status(each.value) for each in self.hub.published(helved_topics.STATUSES, key) if each.value is not None]

    def final(self, key: bytes) -> Answer:
        """The one OK or FEILET of a key."""
        (answer,) = [answer for answer in self.answers(key) if answer.status in (Status.OK, Status.FAILED)]
        return answer

    def good_behind(self, scheme: Scheme, *bad: tuple[bytes | None, bytes | None], headers: bytes = b"[]") -> None:
        """Puts records and right behind them, in the same partition, a good one, which is answered OK."""
        case = self.case()
        wanted = input_partition_of(bad[0][0]) if bad[0][0] else 0
        key = next(each for each in (f"{case}-{n}".encode() for n in count()) if input_partition_of(each) == wanted)
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
        return [(str(span.start), str(span.end), span.amount) for span in self.hub.rail.pays(area, case)]


@contextmanager
def whole_way() -> Iterator[Way]:
    """A hub on a database of its own, for as long as the block runs."""
    with kvitt.testing.hub() as hub:
        yield Way(hub)
