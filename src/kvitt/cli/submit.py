"""`kvitt submit`: one message through the front door, and what is told about it."""

import sys
import uuid
from pathlib import Path
from typing import Final

import click

from kvitt.cli.arguments import SECONDS, content_of, existing_file
from kvitt.cli.calendar import print_preview
from kvitt.cli.ids import SchemeName
from kvitt.cli.shell import BAD_RESULT, connected, example, located, working
from kvitt.cli.text import shown
from kvitt.cli.watch import FINAL, Client, PublishedStatus, statuses_of
from kvitt.cli.wiring import wiring
from kvitt.config import Settings
from kvitt.disbursement.answers import Status
from kvitt.disbursement.preview import preview
from kvitt.disbursement.values import Scheme
from kvitt.errors import NoFinalStatus
from kvitt.kernel.clock import utc_now
from kvitt.transports.log.embedded_log import NewRecord

_KEYS: Final = uuid.UUID("8f1f6f0c-5d0e-5b53-8a26-2f7c9b0e4d11")


def key_of(body: bytes) -> str:
    """The key of a message that has none of its own: the same bytes always get the same one."""
    return str(uuid.uuid5(_KEYS, body.hex()))


@click.command(
    epilog=example(
        "kvitt submit examples/dp/01-first-two-periods.json --scheme dp",
        "kvitt submit examples/dp/02-raise-the-second-period.json --scheme dp --dry-run",
        "cat message.json | kvitt submit - --scheme ts --key 3f0c",
    )
)
@click.argument("file", metavar="FILE", type=existing_file(or_dash=True))
@click.option("--scheme", required=True, type=SchemeName(), help="dp, aap, ts, tp, historisk or valp.")
@click.option("--key", help="The sender's key, under which the answer comes. [a UUID made of the message's bytes]")
@click.option("--dry-run", is_flag=True, help="Show what would be ordered; store nothing.")
@click.option("--wait", default=60.0, type=SECONDS, show_default=True, metavar="SECONDS", help="How long to wait for the final status.")
@located
def submit(settings: Settings, *, file: Path, scheme: Scheme, key: str | None, dry_run: bool, wait: float) -> None:
    """Append FILE (- = standard input) to the scheme's topic and wait for its final status. Exit status 0 for OK, 1 for FEILET.

    When no kvitt runs on the data directory, one is started for the while.
    """
    body = content_of(file, "FILE")
    key = key or key_of(body)
    accepted = _preview(settings, scheme, key, body) if dry_run else _send(settings, scheme, key, body, wait)
    if not accepted:
        sys.exit(BAD_RESULT)


def _preview(settings: Settings, scheme: Scheme, key: str, body: bytes) -> bool:

    with (
        wiring().database(settings, own=False, upgrade_it=False) as conninfo,
        connected(conninfo, application="kvitt preview") as connection,
    ):
        try:
            found = preview(connection, wiring().ports, scheme, key.encode(), body, now=utc_now())
        except ValueError as error:
            raise click.UsageError(f"the message would be a dead letter: {shown(error)}") from None
    print_preview(found)
    return found.refusal is None


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
