"""`kvitt topic`: what stands in the embedded log."""

import signal
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import click
import psycopg
from msgspec import Struct

from kvitt.cli.arguments import Whole
from kvitt.cli.listing import MOST, Column, Fit, json_option, print_json, print_list
from kvitt.cli.shell import connected, example, located, opened
from kvitt.cli.text import shown
from kvitt.errors import TopicNotFound
from kvitt.formats.topics import decode_headers
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load
from kvitt.settings import Settings
from kvitt.transports.log.embedded_log import CHANNEL, ends_of

_AT_ONCE = 500
_LOOK_SECONDS = 1.0


class ShownRecord(Struct, frozen=True):
    """A record of the log as it is shown."""

    partition: int
    position: int
    at: datetime
    key: bytes | None
    value: bytes | None
    headers: bytes


class _ListedTopic(Struct, frozen=True):
    topic: str
    partitions: int
    records: int
    last_record_at: datetime | None


@click.command(
    epilog=example("kvitt topic", "kvitt topic helved.status.v1 --last 5", "kvitt topic helved.oppdrag.v1 --from-start --follow"),
)
@click.argument("name", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on with what is appended, until Ctrl-C.")
@click.option("--from-start", is_flag=True, help="All records from the first on.")
@click.option("--last", type=Whole(0, MOST), default=20, show_default=True, help="The newest N records.")
@json_option
@located
def topic(settings: Settings, *, name: str | None, follow: bool, from_start: bool, last: int, as_json: bool) -> None:
    """Print a topic's records, one to a line: partition, position, time, key, headers, value. Without NAME, list the topics.

    Control characters are shown as escapes, line breaks left out; --json has each record as it is.
    """

    with opened(settings) as conninfo, connected(conninfo, application="kvitt topic") as connection:
        if name is None:
            _list_topics(connection, as_json=as_json)
            return
        ends = _ends(connection, name)
        stop = threading.Event()
        if follow:
            # Who follows ends it by Ctrl-C: nothing is broken off, wherever that comes.
            signal.signal(signal.SIGINT, lambda *_: stop.set())
        if from_start:
            positions = _print_from(connection, name, dict.fromkeys(ends, 0), stop, as_json=as_json)
        else:
            _print_last(connection, name, last, as_json=as_json)
            positions = ends
        if follow:
            _follow(connection, name, positions, stop, as_json=as_json)


def _list_topics(connection: psycopg.Connection[Any], *, as_json: bool) -> None:

    rows = fetch(connection, _ListedTopic, load("cli", "kvitt.cli").list_topics)
    print_list(_TOPICS, rows, limit=MOST, as_json=as_json, nothing="there are no topics")


def _ends(connection: psycopg.Connection[Any], name: str) -> dict[int, int]:

    ends = ends_of(connection, name)
    if not ends:
        raise TopicNotFound(f"there is no topic {name}; `kvitt topic` lists them")
    return ends


def _print_last(connection: psycopg.Connection[Any], name: str, last: int, *, as_json: bool) -> None:

    records = fetch(connection, ShownRecord, load("cli", "kvitt.cli").last_records, {"topic": name, "limit": last})
    _print_records(records[::-1], as_json=as_json)


def _print_from(
    connection: psycopg.Connection[Any], name: str, positions: dict[int, int], stop: threading.Event, *, as_json: bool
) -> dict[int, int]:
    """Prints what stands from these positions on, until asked to stop; returns where it goes on."""
    following = dict(positions)
    while not stop.is_set() and (records := _read(connection, name, following)):
        for each in records:
            following[each.partition] = max(following[each.partition], each.position + 1)
        _print_records(records, as_json=as_json)
    return following


def _read(connection: psycopg.Connection[Any], name: str, positions: dict[int, int]) -> list[ShownRecord]:

    arguments = {"partitions": list(positions), "positions": list(positions.values()), "topic": name, "limit": _AT_ONCE}
    return fetch(connection, ShownRecord, load("cli", "kvitt.cli").records_from, arguments)


def _follow(connection: psycopg.Connection[Any], name: str, positions: dict[int, int], stop: threading.Event, *, as_json: bool) -> None:

    connection.execute(f"LISTEN {CHANNEL}")
    while not stop.is_set():
        positions = _print_from(connection, name, positions, stop, as_json=as_json)
        for _ in connection.notifies(timeout=_LOOK_SECONDS, stop_after=1):
            pass


def _print_records(records: Sequence[ShownRecord], *, as_json: bool) -> None:
    if as_json:
        print_json(_RECORD, records)
        return
    for each in records:
        click.echo(line_of(each))


def line_of(record: ShownRecord) -> str:
    """A record on one line; line breaks inside XML and JSON are only there for the eye, and go."""

    pairs = shown(" ".join(f"{name}={text}" for name, text in decode_headers(record.headers)))
    place = f"{record.partition}:{record.position} {record.at:%Y-%m-%dT%H:%M:%S.%f}"
    return f"{place} {_text(record.key)} [{pairs}] {_text(record.value)}"


def _text(content: bytes | None) -> str:
    if content is None:
        return "-"
    return shown("".join(line.strip() for line in content.decode(errors="backslashreplace").splitlines()))


def _whole(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="backslashreplace")


def _headers(headers: bytes) -> list[tuple[str, str]]:

    return list(decode_headers(headers))


_RECORD: Final = (
    Column("partition"),
    Column("position"),
    Column("at"),
    Column("key", of=lambda record: _whole(record.key)),
    Column("headers", of=lambda record: _headers(record.headers)),
    Column("value", of=lambda record: _whole(record.value)),
)
_TOPICS: Final = (
    Column("topic"),
    Column("partitions", kind=Fit.NUMBER),
    Column("records", kind=Fit.NUMBER),
    Column("last_record_at", "last record"),
)
