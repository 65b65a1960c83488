"""The rapid on a stage of the hub: needs are handed in as records, and what was published on the rapid is read back as JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kvitt.app.ports import ports_of
from kvitt.broker_settings import RapidSettings
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.submit import Outcome
from kvitt.formats.topics import RAPID
from kvitt.settings import OpsSettings
from support.hub_stage import Stage
from support.rapid_messages import PERSON, line, need

Message = dict[str, Any]


class Rapid(Stage):
    """A stage whose hub owns the rapid. Records published are kept in the outbox, in the order in which they are published."""

    def __init__(self, conninfo: str, *, answer_invalid_needs: bool = True) -> None:
        super().__init__(conninfo, ports_of(RapidSettings(answer_invalid_needs=answer_invalid_needs), OpsSettings(), hears_strays=True))
        self._offset = 0
        self._read = 0

    def record(self, value: Message | bytes | None, key: bytes | None = PERSON.encode()) -> Incoming:
        """The next record of the rapid."""
        self._offset += 1
        body = json.dumps(value, ensure_ascii=False).encode() if isinstance(value, dict) else value
        return Incoming(RAPID, 0, self._offset, key, body, b"[]")

    def ask(self, *messages: Message | bytes | None, key: bytes | None = PERSON.encode()) -> list[Outcome]:
        """Hands in records as one batch."""
        return self.submit([self.record(each, key) for each in messages])

    def published(self) -> list[tuple[bytes | None, Message]]:
        """What was published since the last look, as (key, message)."""
        query = "SELECT outbox_no, key, value FROM outbox WHERE topic = %s AND outbox_no > %s ORDER BY outbox_no"
        rows = self.rows(query, RAPID, self._read)
        self._read = max([self._read, *(int(str(row[0])) for row in rows)])
        return [(key if isinstance(key, bytes) else None, json.loads(value)) for _, key, value in rows if isinstance(value, bytes)]

    def heard(self) -> list[str]:
        """What was published since the last look, in few words: the event, and the status that it carries."""
        return [in_short(message) for _, message in self.published()]

    def solution(self, kind: str = "Utbetaling") -> Message:
        """The last answer since the last look."""
        answers = [message["@løsning"][kind] for _, message in self.published() if "@løsning" in message]
        return dict(answers[-1])

    def others(self) -> list[str]:
        """Topics other than the rapid on which anything was published."""
        return [str(topic) for (topic,) in self.rows("SELECT DISTINCT topic FROM outbox WHERE topic <> %s", RAPID)]


def in_short(message: Message) -> str:
    """A message of the rapid in a word or two."""
    if "@løsning" in message:
        return str(next(iter(message["@løsning"].values()))["status"])
    if message["@event_name"] == "oppdrag_utbetaling":
        return "ordered" if "kvittering" not in message else f"queued {message['kvittering']['status']}"
    if message["@event_name"] == "transaksjon_status":
        return f"rail {message['status']}"
    return "raw receipt" if message["@event_name"] == "oppdrag_kvittering" else str(message["@event_name"])


def other_case(number: int, **changes: Any) -> Message:
    """A need about a case and a payment of its own, of another person."""
    names = {"fagsystemId": f"SAK{number}", "utbetalingId": f"6f6bd6a7-0ab4-4d1e-9d69-{number:012d}", "fødselsnummer": f"24{number:09d}"}
    return need(**names | changes)


def following_need(number: int) -> Message:
    """Another need of the case of that number, of a payment of its own, which goes on where the first one ends."""
    longer = line(delytelseId=2, refDelytelseId=1, refFagsystemId=f"SAK{number}", fom="2024-03-23", tom="2024-03-29")
    return other_case(number, utbetalingId=f"00000000-0000-4000-8000-{number:012d}", endringskode="ENDR", linjer=[longer])


@contextmanager
def rapid_on(conninfo: str, *, answer_invalid_needs: bool = True) -> Iterator[Rapid]:
    """A stage for as long as the block runs."""
    stage = Rapid(conninfo, answer_invalid_needs=answer_invalid_needs)
    try:
        yield stage
    finally:
        stage.close()
