"""`kvitt dead`: what could not be read, for an operator to look at, mend and replay."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kvitt.cli.shell import example, located, opened, print_page

if TYPE_CHECKING:
    from kvitt.config import Settings


@click.group(epilog=example("kvitt dead list", "kvitt dead show 3", 'kvitt dead replay 3 --by ola --reason "the hub was too old"'))
def dead() -> None:
    """Look at dead letters, mend and replay them."""


@dead.command("list", epilog=example("kvitt dead list", "kvitt dead list --all"))
@click.option("--all", "everything", is_flag=True, help="Those that were replayed, too.")
@located
def list_letters(settings: "Settings", *, everything: bool) -> None:
    """List the dead letters that are open."""
    from rich import box
    from rich.table import Table

    from kvitt.app import utc_now
    from kvitt.hub.dead import OPEN, DeadLetters
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo, application="kvitt dead") as connection:
        letters = DeadLetters(connection, utc_now).listed(state=None if everything else OPEN)
    if not letters:
        click.echo("there are no dead letters" if everything else "there are no open dead letters")
        return
    table = Table("no", "came", "at", "bytes", "why", "state", box=box.SIMPLE_HEAD)
    for each in letters:
        state = each.state if each.closed_by is None else f"{each.state} by {each.closed_by}"
        place = f"{each.source} {each.partition}:{each.position}"
        table.add_row(str(each.number), f"{each.at:%Y-%m-%d %H:%M:%S}", place, str(each.size), each.reason, state)
    print_page(table)


@dead.command(epilog=example("kvitt dead show 3", "kvitt dead show 3 --raw > message.json"))
@click.argument("number", type=int)
@click.option("--raw", is_flag=True, help="Only the bytes as they came.")
@located
def show(settings: "Settings", *, number: int, raw: bool) -> None:
    """Show dead letter NUMBER with the bytes that could not be read."""
    from kvitt.app import utc_now
    from kvitt.hub.dead import DeadLetters
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo, application="kvitt dead") as connection:
        letter = DeadLetters(connection, utc_now).find(number)
    if raw:
        sys.stdout.buffer.write(letter.body)
        return
    click.echo(f"dead letter {letter.number}, {letter.state}: {letter.reason}")
    click.echo(f"came        {letter.at:%Y-%m-%d %H:%M:%S} on {letter.source} {letter.partition}:{letter.position}")
    click.echo(f"key         {'-' if letter.key is None else letter.key.decode(errors='replace')}")
    if letter.closed_by:
        click.echo(f"closed      {letter.closed_at:%Y-%m-%d %H:%M:%S} by {letter.closed_by}: {letter.note}")
    click.echo(f"\n{letter.body.decode(errors='backslashreplace')}")


@dead.command(
    epilog=example(
        "kvitt dead show 3 --raw > fixed.json",
        'kvitt dead replay 3 --by ola --reason "torn in transit" --body fixed.json --dry-run',
        'kvitt dead replay 3 --by ola --approved-by kari --reason "torn in transit" --body fixed.json',
    )
)
@click.argument("number", type=int)
@click.option("--by", required=True, metavar="NAME", help="Who does it; stands in the audit chain.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; stands in the audit chain.")
@click.option("--approved-by", metavar="NAME", help="The second person, who approves a mended body or another key.")
@click.option("--body", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The mended message; the old bytes otherwise.")
@click.option("--key", help="For a letter that came without a usable key.")
@click.option("--dry-run", is_flag=True, help="Show what would be ordered; change nothing.")
@located
def replay(
    settings: "Settings", *, number: int, by: str, reason: str, approved_by: str | None, body: Path | None, key: str | None, dry_run: bool
) -> None:
    """Send dead letter NUMBER through its scheme's topic again, under the old key, and close it. Works once.

    With another body or key it is no longer what its sender wrote, and needs --approved-by.
    """
    from kvitt.app import utc_now
    from kvitt.doors.embedded_log import NewRecord, append
    from kvitt.hub.dead import DeadLetters, Replayed
    from kvitt.hub.operate import Operator
    from kvitt.store.database import connect
    from kvitt.wire.topics import RAPID

    operator = Operator(by, reason, approved_by)
    content, new_key = body.read_bytes() if body else None, key.encode() if key else None
    with opened(settings) as conninfo, connect(conninfo, application="kvitt dead") as connection:

        def put(record: Replayed) -> None:
            fresh = [NewRecord(record.topic, record.key, record.body, record.headers)]
            if settings.kafka:
                from kvitt.doors import kafka_plain

                # Before the letter is closed: should closing fail, a second replay is the same message again, and changes nothing.
                kafka_plain.put(settings.kafka, fresh)
            else:
                append(connection, fresh, record.at)

        letters = DeadLetters(connection, utc_now, put)
        if dry_run:
            from kvitt.cli.preview_page import print_preview
            from kvitt.hub.preview import preview

            record = letters.as_replayed(number, body=content, key=new_key)
            if record.key is None or record.topic == RAPID:
                click.echo(f"dead letter {number} would be appended to {record.topic}; a need is forwarded as it is")
                return
            print_preview(preview(connection, letters.find(number).scheme, record.key, record.body, record.at))
            return
        record = letters.replay(number, operator, body=content, key=new_key)
    under = f"under key {record.key.decode()}" if record.key else "without a key"
    click.echo(f"dead letter {number} was appended to {record.topic} {under} and closed")
