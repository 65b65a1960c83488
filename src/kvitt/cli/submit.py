"""`kvitt submit`: one message by the usual way in, and what is published about it; with a client's view of the hub for that."""

import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
import psycopg
from msgspec import Struct

from kvitt.broker_settings import KafkaSettings
from kvitt.cli.arguments import SECONDS, content_of, existing_file
from kvitt.cli.calendar import print_preview
from kvitt.cli.ids import SchemeName
from kvitt.cli.shell import BAD_RESULT, connected, example, located, working
from kvitt.cli.simulation import simulate_orders
from kvitt.cli.text import shown
from kvitt.cli.wiring import wiring
from kvitt.contracts.helved.outputs import decode_status
from kvitt.contracts.helved.topics import STATUSES
from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.inbox import answer_of_edge
from kvitt.disbursement.preview import Preview, preview
from kvitt.disbursement.states import MessageState
from kvitt.disbursement.values import Scheme
from kvitt.errors import NoFinalStatus
from kvitt.formats.topics import TopicPartition, decode_headers
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import PATIENCE_MS, Connection, connect
from kvitt.settings import Settings
from kvitt.transports.log.embedded_log import (
    CHANNEL,
    NewRecord,
    Record,
    append,
    ends_of,
    read,
)

FINAL = frozenset({Status.OK, Status.FAILED})
_AT_ONCE = 2000
_KEYS: Final = uuid.UUID("8f1f6f0c-5d0e-5b53-8a26-2f7c9b0e4d11")


class PublishedStatus(Struct, frozen=True):
    """A status as it stands on the status topic; `reason` is its header of that name, which explains a refusal further."""

    key: bytes
    answer: Answer
    reason: str | None = None


class Client:
    """Appends records and reads what is published since it was made, on the log that is set. Not for sharing between threads."""

    def __init__(self, conninfo: str, settings: Settings) -> None:
        self._connection: psycopg.Connection[Any] = connect(conninfo, application="kvitt client", lock_timeout_ms=PATIENCE_MS)
        self._log: _EmbeddedLog | _KafkaLog = _KafkaLog(settings.kafka) if settings.kafka else _EmbeddedLog(self._connection)

    def close(self) -> None:
        """Ends the connections."""
        self._log.close()
        self._connection.close()

    def send(self, records: Sequence[NewRecord]) -> list[tuple[int, int]]:
        """Appends records in order; returns where each one stands."""
        return self._log.send(records)

    def hear(self, seconds: float) -> list[PublishedStatus]:
        """Returns what has been published since the last look; waits up to `seconds` when that is nothing."""
        return [
            PublishedStatus(record.key, decode_status(record.value), dict(decode_headers(record.headers)).get("reason"))
            for record in self._log.read(seconds)
            if record.key is not None and record.value is not None
        ]

    def answered_silently(self, topic: str, place: tuple[int, int]) -> bool:
        """Whether the message that came in at a place is answered for good without a status, as a dry run that asks for a simulation is."""
        found = answer_of_edge(self._connection, topic, place)
        return found is not None and found.state == MessageState.ANSWERED and found.answer is None


class _EmbeddedLog:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._connection.execute(f"LISTEN {CHANNEL}")
        self._positions = self._ends()

    def _ends(self) -> dict[TopicPartition, int]:
        """Where the status topic goes on."""
        return {TopicPartition(STATUSES, partition): position for partition, position in ends_of(self._connection, STATUSES).items()}

    def close(self) -> None:
        """The connection is its owner's to end."""

    def send(self, records: Sequence[NewRecord]) -> list[tuple[int, int]]:
        return append(self._connection, records, utc_now())

    def read(self, seconds: float) -> list[Record]:
        if not (found := self._read()):
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass
            found = self._read()
        return found

    def _read(self) -> list[Record]:
        found = read(self._connection, self._positions, _AT_ONCE)
        for record in found:
            place = TopicPartition(record.topic, record.partition)
            self._positions[place] = max(self._positions[place], record.position + 1)
        return found


class _KafkaLog:
    def __init__(self, settings: KafkaSettings) -> None:
        from kvitt.transports.kafka.clients import new_plain_producer
        from kvitt.transports.kafka.plain import TopicReader

        self._settings, self._producer, self._reader = settings, new_plain_producer(settings), TopicReader(settings, STATUSES)
        self._heard: set[str] = set()

    def close(self) -> None:
        self._reader.close()

    def send(self, records: Sequence[NewRecord]) -> list[tuple[int, int]]:
        from kvitt.transports.kafka.plain import put

        return put(self._settings, records, self._producer)

    def read(self, seconds: float) -> list[Record]:
        """A relay that was killed publishes its last batch again: repeats are known by their event id."""
        found = []
        for record in self._reader.read(seconds):
            event = dict(decode_headers(record.headers)).get("event-id", "")
            if event not in self._heard:
                self._heard.add(event)
                found.append(record)
        return found


def statuses_of(client: Client, key: bytes, seconds: float, silent: Callable[[], bool]) -> Iterator[PublishedStatus]:
    """The statuses published under a key until the final one; ends early when `silent` says that none will come, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not silent():
        for heard in client.hear(0.2):
            if heard.key == key:
                yield heard
                if heard.answer.status in FINAL:
                    return


def key_of(body: bytes) -> str:
    """The key of a message that has none of its own: the same bytes always get the same one."""
    return str(uuid.uuid5(_KEYS, body.hex()))


@click.command(
    epilog=example(
        "kvitt submit examples/dp/01-first-two-periods.json --scheme dp",
        "kvitt submit examples/dp/02-raise-the-second-period.json --scheme dp --dry-run",
        "kvitt submit examples/dp/02-raise-the-second-period.json --scheme dp --dry-run --simulate",
        "cat message.json | kvitt submit - --scheme ts --key 3f0c",
    )
)
@click.argument("file", metavar="FILE", type=existing_file(or_dash=True))
@click.option("--scheme", required=True, type=SchemeName(), help="dp, aap, ts, tp, historisk or valp.")
@click.option("--key", help="The sender's key, under which the answer comes. [a UUID made of the message's bytes]")
@click.option("--dry-run", is_flag=True, help="Show what would be ordered; store nothing.")
@click.option("--simulate", is_flag=True, help="With --dry-run: ask the rail as well what it would lead to; only the question is stored.")
@click.option("--wait", default=60.0, type=SECONDS, show_default=True, metavar="SECONDS", help="How long to wait for the final status.")
@located
def submit(settings: Settings, *, file: Path, scheme: Scheme, key: str | None, dry_run: bool, simulate: bool, wait: float) -> None:
    """Append FILE (- = standard input) to the scheme's topic and wait for its final status. Exit status 0 for OK, 1 for FEILET.

    When no kvitt runs on the data directory, one is started for the while.
    """
    if simulate and not dry_run:
        raise click.UsageError("--simulate belongs to --dry-run: a message that is sent is not simulated")
    body = content_of(file, "FILE")
    key = key or key_of(body)
    if simulate:
        accepted = _simulate(settings, scheme, key, body, wait)
    else:
        accepted = _preview(settings, scheme, key, body) if dry_run else _send(settings, scheme, key, body, wait)
    if not accepted:
        sys.exit(BAD_RESULT)


def _preview(settings: Settings, scheme: Scheme, key: str, body: bytes) -> bool:

    with (
        wiring().database(settings, own=False, upgrade_it=False) as conninfo,
        connected(conninfo, application="kvitt preview") as connection,
    ):
        found = _previewed(settings, connection, scheme, key, body)
    print_preview(found)
    return found.refusal is None


def _previewed(settings: Settings, connection: Connection, scheme: Scheme, key: str, body: bytes) -> Preview:
    try:
        return preview(connection, wiring().acting(settings), scheme, key.encode(), body, now=utc_now())
    except ValueError as error:
        raise click.UsageError(f"the message would be a dead letter: {shown(error)}") from None


def _simulate(settings: Settings, scheme: Scheme, key: str, body: bytes, seconds: float) -> bool:
    """The preview, and what the rail says of its orders. Whether it says what would be paid, or has nothing to say."""
    with working(settings) as conninfo, connected(conninfo, application="kvitt preview") as connection:
        found = _previewed(settings, connection, scheme, key, body)
        print_preview(found, "nothing was sent; the rail is asked")
        if found.refusal or not found.orders:
            return found.refusal is None
        contracts = wiring().ports.contracts
        contract = contracts.of[contracts.input_of(scheme)].name
        return simulate_orders(connection, (scheme, found.case_id), contract, found.orders, seconds)


def _send(settings: Settings, scheme: Scheme, key: str, body: bytes, wait: float) -> bool:

    topic = wiring().ports.contracts.input_of(scheme)
    last = None
    with working(settings) as conninfo:
        client = Client(conninfo, settings)
        try:
            place = client.send([NewRecord(topic, key.encode(), body)])[0]
            click.echo(f"appended    {topic} {place[0]}:{place[1]} under key {shown(key)}")
            for status in statuses_of(client, key.encode(), wait, lambda: client.answered_silently(topic, place)):
                click.echo(line_of(status))
                last = status.answer
            silent = client.answered_silently(topic, place)
        finally:
            client.close()
    if last is not None and last.status in FINAL:
        return last.status is Status.OK
    if silent:
        click.echo("a dry run: its simulation was asked for, and no status is published of it")
        return True
    raise NoFinalStatus(f"no final status within {wait:g} s; the message is kept and will be answered under its key")


def line_of(status: PublishedStatus) -> str:
    """A status as one line for a person."""
    answer = status.answer
    said = f"{answer.status.value:<12}"
    if answer.details:
        lines, days = answer.details.lines, [line.start for line in answer.details.lines] + [line.end for line in answer.details.lines]
        said += f"{len(lines)} line{'s' if len(lines) != 1 else ''}, {min(days)} to {max(days)}" if lines else ""
    if answer.error:
        said += f" [{answer.error.status}] {answer.error.text}"
    if status.reason:
        said += f" ({status.reason})"
    return shown(said.rstrip())
