"""`kvitt topic`: what stands in the embedded log."""

import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click
import psycopg

from kvitt.cli.arguments import Whole
from kvitt.cli.listing import MOST, Column, Fit, json_option, print_json, print_list
from kvitt.cli.shell import connected, example, located, opened
from kvitt.cli.text import shown
from kvitt.config import Settings
from kvitt.errors import TopicNotFound
from kvitt.formats.topics import decode_headers
from kvitt.kernel.queries import load
from kvitt.transports.log.embedded_log import CHANNEL

_AT_ONCE = 500
_LOOK_SECONDS = 1.0


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

    rows = connection.execute(load("cli", "kvitt.cli").list_topics).fetchall()
    print_list(_TOPICS, rows, limit=MOST, as_json=as_json, nothing="there are no topics")


def _ends(connection: psycopg.Connection[Any], name: str) -> dict[int, int]:

    ends = dict(connection.execute(load("cli", "kvitt.cli").ends_of_topic, (name,)).fetchall())
    if not ends:
        raise TopicNotFound(f"there is no topic {name}; `kvitt topic` lists them")
    return ends


def _print_last(connection: psycopg.Connection[Any], name: str, last: int, *, as_json: bool) -> None:

    rows = connection.execute(load("cli", "kvitt.cli").last_records, {"topic": name, "limit": last}, binary=True).fetchall()
    _print_records([row[1:] for row in reversed(rows)], as_json=as_json)


def _print_from(
    connection: psycopg.Connection[Any], name: str, positions: dict[int, int], stop: threading.Event, *, as_json: bool
) -> dict[int, int]:
    """Prints what stands from these positions on, until asked to stop; returns where it goes on."""
    following = dict(positions)
    while not stop.is_set() and (rows := list(_read(connection, name, following))):
        for row in rows:
            partition, position = row[:2]
            following[partition] = max(following[partition], position + 1)
        _print_records(rows, as_json=as_json)
    return following


def _read(connection: psycopg.Connection[Any], name: str, positions: dict[int, int]) -> Iterator[Sequence[Any]]:

    arguments = {"partitions": list(positions), "positions": list(positions.values()), "topic": name, "limit": _AT_ONCE}
    yield from connection.execute(load("cli", "kvitt.cli").records_from, arguments, binary=True).fetchall()


def _follow(connection: psycopg.Connection[Any], name: str, positions: dict[int, int], stop: threading.Event, *, as_json: bool) -> None:

    connection.execute(f"LISTEN {CHANNEL}")
    while not stop.is_set():
        positions = _print_from(connection, name, positions, stop, as_json=as_json)
        for _ in connection.notifies(timeout=_LOOK_SECONDS, stop_after=1):
            pass


def _print_records(rows: Sequence[Sequence[Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(_RECORD, rows)
        return
    for row in rows:
        click.echo(line_of(row))


def line_of(row: Sequence[Any]) -> str:
    """A record on one line; line breaks inside XML and JSON are only there for the eye, and go."""

    partition, position, at, key, value, headers = row
    pairs = shown(" ".join(f"{name}={text}" for name, text in decode_headers(headers)))
    return f"{partition}:{position} {at:%Y-%m-%dT%H:%M:%S.%f} {_text(key)} [{pairs}] {_text(value)}"


def _text(content: bytes | None) -> str:
    if content is None:
        return "-"
    return shown("".join(line.strip() for line in content.decode(errors="backslashreplace").splitlines()))


def _whole(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="backslashreplace")


def _headers(headers: bytes) -> list[tuple[str, str]]:

    return list(decode_headers(headers))


_RECORD: Final = (
    Column("partition", of=lambda row: row[0]),
    Column("position", of=lambda row: row[1]),
    Column("at", of=lambda row: row[2]),
    Column("key", of=lambda row: _whole(row[3])),
    Column("headers", of=lambda row: _headers(row[5])),
    Column("value", of=lambda row: _whole(row[4])),
)
_TOPICS: Final = (
    Column("topic", of=lambda row: row[0]),
    Column("partitions", kind=Fit.NUMBER, of=lambda row: row[1]),
    Column("records", kind=Fit.NUMBER, of=lambda row: row[2]),
    Column("last_record_at", "last record", of=lambda row: row[3]),
)
