"""`kvitt topic`: what stands in the embedded log."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import click

from kvitt.cli.shell import example, located, opened, print_page
from kvitt.errors import TopicNotFound

if TYPE_CHECKING:
    import psycopg

    from kvitt.config import Settings

_AT_ONCE = 500
_LOOK_SECONDS = 1.0


@click.command(
    epilog=example("kvitt topic", "kvitt topic helved.status.v1 --last 5", "kvitt topic helved.oppdrag.v1 --from-start --follow"),
)
@click.argument("name", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on with what is appended, until Ctrl-C.")
@click.option("--from-start", is_flag=True, help="All records from the first on.")
@click.option("--last", type=click.IntRange(min=0), default=20, show_default=True, help="The newest N records.")
@located
def topic(settings: "Settings", *, name: str | None, follow: bool, from_start: bool, last: int) -> None:
    """Print a topic's records, one to a line: partition, position, time, key, headers, value. Without NAME, list the topics."""
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo, application="kvitt topic") as connection:
        if name is None:
            _list_topics(connection)
            return
        ends = _ends(connection, name)
        # Who follows ends it by Ctrl-C: nothing was broken off.
        with suppress(KeyboardInterrupt) if follow else nullcontext():
            if from_start:
                positions = _print_from(connection, name, dict.fromkeys(ends, 0))
            else:
                _print_last(connection, name, last)
                positions = ends
            if follow:
                _follow(connection, name, positions)


def _list_topics(connection: "psycopg.Connection[Any]") -> None:
    from rich import box
    from rich.table import Table

    from kvitt.store.queries import load

    table = Table("topic", box=box.SIMPLE_HEAD)
    for title in ("partitions", "records"):
        table.add_column(title, justify="right")
    table.add_column("last record")
    for name, partitions, records, at in connection.execute(load("cli").list_topics):
        table.add_row(name, str(partitions), f"{records:,}", f"{at:%Y-%m-%d %H:%M:%S}" if at else "")
    print_page(table)


def _ends(connection: "psycopg.Connection[Any]", name: str) -> dict[int, int]:
    from kvitt.store.queries import load

    ends = dict(connection.execute(load("cli").ends_of_topic, (name,)).fetchall())
    if not ends:
        raise TopicNotFound(f"there is no topic {name}; `kvitt topic` lists them")
    return ends


def _print_last(connection: "psycopg.Connection[Any]", name: str, last: int) -> None:
    from kvitt.store.queries import load

    rows = connection.execute(load("cli").last_records, {"topic": name, "limit": last}, binary=True).fetchall()
    for row in reversed(rows):
        click.echo(line_of(row[1:]))


def _print_from(connection: "psycopg.Connection[Any]", name: str, positions: dict[int, int]) -> dict[int, int]:
    """Prints what stands from these positions on; gives where it goes on."""
    following = dict(positions)
    while rows := list(_read(connection, name, following)):
        for row in rows:
            partition, position = row[:2]
            following[partition] = max(following[partition], position + 1)
            click.echo(line_of(row))
    return following


def _read(connection: "psycopg.Connection[Any]", name: str, positions: dict[int, int]) -> Iterator[Sequence[Any]]:
    from kvitt.store.queries import load

    arguments = {"partitions": list(positions), "positions": list(positions.values()), "topic": name, "limit": _AT_ONCE}
    yield from connection.execute(load("cli").records_from, arguments, binary=True).fetchall()


def _follow(connection: "psycopg.Connection[Any]", name: str, positions: dict[int, int]) -> None:
    from kvitt.doors.embedded_log import CHANNEL

    connection.execute(f"LISTEN {CHANNEL}")
    while True:
        positions = _print_from(connection, name, positions)
        for _ in connection.notifies(timeout=_LOOK_SECONDS, stop_after=1):
            pass


def line_of(row: Sequence[Any]) -> str:
    """A record on one line; line breaks inside XML and JSON are only there for the eye, and go."""
    from kvitt.wire.topics import decode_headers

    partition, position, at, key, value, headers = row
    told = " ".join(f"{name}={text}" for name, text in decode_headers(headers))
    return f"{partition}:{position} {at:%Y-%m-%dT%H:%M:%S.%f} {_text(key)} [{told}] {_text(value)}"


def _text(content: bytes | None) -> str:
    if content is None:
        return "-"
    return "".join(line.strip() for line in content.decode(errors="replace").splitlines())
