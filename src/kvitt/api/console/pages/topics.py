"""Topics: the records of the embedded log or at the brokers as they are, by partition and position, with key, headers and value.

A name of a topic is an installation's: it stands in the query of an address.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kvitt.api.console.frame import ConsolePage, Values, Visit
from kvitt.api.console.keyset import AFTER, ListedRows, listed, place_in, place_text, text_asked
from kvitt.errors import BadRequest, NotFound
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.queries import load

if TYPE_CHECKING:
    from kvitt.transports.kafka.browse import BrowsedRecord

_SQL: Final = load("topics", "kvitt.api.console.pages")
_MOST_PARTITIONS: Final = 1_000
_LAST: Final = 9_223_372_036_854_775_807
_DIGITS: Final = 18
_CHANGES: Final = "records messages published"
"""At brokers a topic changes at the latest when we take something in or publish something."""


class PartitionOnPage(NamedTuple):
    """A partition, and how far it goes."""

    topic: str
    partition: int
    next_position: int


class RecordInList(NamedTuple):
    """A record without its value; `size` None: a tombstone."""

    topic: str
    partition: int
    position: int
    at: datetime
    key: bytes | None
    size: int | None


class RecordOnPage(NamedTuple):
    """A record with its bytes."""

    topic: str
    partition: int
    position: int
    at: datetime
    key: bytes | None
    headers: bytes
    value: bytes | None


def read_topics(visit: Visit) -> Values:
    """All topics with their partitions. Raises NotAvailable where brokers do not answer."""
    if browser := visit.browser:
        return {"partitions": browser.partitions(), "where": "at the brokers"}
    found = fetch(visit.connection, PartitionOnPage, _SQL.partitions, {"limit": _MOST_PARTITIONS})
    return {"partitions": found, "where": "of the embedded log"}


def read_records(visit: Visit) -> Values:
    """A page of the records of a partition, newest first. Raises BadRequest, and at brokers NotFound and NotAvailable."""
    topic, partition, after = text_asked(visit.query, "topic") or "", _number(visit, "partition"), place_in(visit.query.get(AFTER), int)
    before = after[0] if after else None
    records: ListedRows[Any]
    if browser := visit.browser:
        found = browser.before(topic, partition, before, visit.page_rows)
        records = ListedRows(found.records, None if found.older is None else place_text((found.older,)), after is None)
    else:
        asked = {"topic": topic, "partition": partition, "before": _LAST if before is None else before, "limit": visit.page_rows + 1}
        records = listed(fetch(visit.connection, RecordInList, _SQL.records, asked), lambda each: (each.position,), after, visit.page_rows)
    if records.rows:
        visit.look(f"records of {topic}/{partition}")
    return {
        "topic": topic,
        "partition": partition,
        "records": records,
        "follows": visit.query.get("follow") == "yes",
    }


def version(visit: Visit) -> str:
    """That of the records of a partition: the position of its next one. Raises BadRequest."""
    asked: dict[str, Any] = {"topic": text_asked(visit.query, "topic") or "", "partition": _number(visit, "partition")}
    if browser := visit.browser:
        return str(browser.ends(**asked)[1])
    return str(fetch_value(visit.connection, _SQL.next_position, asked) or "")


def read_one(visit: Visit) -> Values:
    """One record. Raises BadRequest, NotFound."""
    asked: dict[str, Any] = {name: _number(visit, name) for name in ("partition", "position")}
    asked["topic"] = text_asked(visit.query, "topic") or ""
    record: BrowsedRecord | RecordOnPage | None
    record = browser.one(**asked) if (browser := visit.browser) else fetch_one(visit.connection, RecordOnPage, _SQL.record, asked)
    if record is None:
        raise NotFound("there is no such record, or none any more")
    visit.look(f"record {record.topic}/{record.partition}/{record.position}")
    return {"record": record}


def _number(visit: Visit, name: str) -> int:
    text = visit.query.get(name, "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise BadRequest((name, "is a whole number"))
    return int(text)


PAGES: Final = (
    ConsolePage("/topics", "Topics", "topics.html", read_topics, nav="Topics", key="t", live=_CHANGES),
    ConsolePage("/topics/records", "Records", "records.html", read_records, live=_CHANGES, version=version),
    ConsolePage("/topics/record", "Record", "record.html", read_one),
)
