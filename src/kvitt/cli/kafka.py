"""`kvitt kafka`: where kvitt stands in the input topics, and where it shall begin."""

from typing import TYPE_CHECKING

import click

from kvitt.cli.shell import example, located, opened, print_page

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kvitt.config import KafkaSettings, Settings
    from kvitt.doors.kafka_positions import Position


@click.group(epilog=example("kvitt kafka lag", "kvitt kafka begin --topic tbd.rapid.v1 --group tbd-spenn-v1 --dry-run"))
def kafka() -> None:
    """Where kvitt stands in the input topics, and where it shall begin."""


@kafka.command(epilog=example("kvitt kafka lag", "kvitt kafka lag --topic aap.utbetaling.v1"))
@click.option("--topic", help="Only this topic.")
@located
def lag(settings: "Settings", *, topic: str | None) -> None:
    """Show each partition: where it begins and ends, how far it was taken in, how many records wait."""
    from kvitt.doors.kafka_positions import positions
    from kvitt.store.database import connect

    with opened(settings) as conninfo, connect(conninfo, application="kvitt kafka") as connection:
        print_page(_table(positions(connection, _kafka(settings), _topics(topic))))


@kafka.command(
    epilog=example(
        "kvitt kafka begin --topic tbd.rapid.v1 --group tbd-spenn-v1 --dry-run",
        'kvitt kafka begin --topic tbd.rapid.v1 --group tbd-spenn-v1 --by kari --reason "kvitt takes over"',
        'kvitt kafka begin --topic aap.utbetaling.v1 --end --by kari --reason "new installation"',
    )
)
@click.option("--topic", required=True, help="An input topic, by its name in the contract.")
@click.option("--group", metavar="GROUP", help="Where this group has committed: the old hub's.")
@click.option("--beginning", is_flag=True, help="At the first record that the topic holds.")
@click.option("--end", is_flag=True, help="Behind the last record: nothing that stands there now is read.")
@click.option("--over", is_flag=True, help="Give up what kvitt has stored itself.")
@click.option("--dry-run", is_flag=True, help="Show what would be skipped and what read; change nothing.")
@click.option("--by", metavar="NAME", help="Who does it; stands in the audit chain.")
@click.option("--reason", metavar="TEXT", help="Why; stands in the audit chain.")
@located
def begin(
    settings: "Settings",
    *,
    topic: str,
    group: str | None,
    beginning: bool,
    end: bool,
    over: bool,
    dry_run: bool,
    by: str | None,
    reason: str | None,
) -> None:
    """Say where kvitt begins to read a topic. All intakes must be stopped.

    A group without a committed offset on a partition counts from that partition's beginning.
    """
    from msgspec.structs import replace

    from kvitt.app import utc_now
    from kvitt.doors.kafka_positions import begin as begin_at
    from kvitt.doors.kafka_positions import positions
    from kvitt.hub.operate import Operator, note
    from kvitt.store.database import connect

    if sum(map(bool, (group, beginning, end))) != 1:
        raise click.UsageError("say one of --group, --beginning and --end")
    if not dry_run and not (by and reason):
        raise click.UsageError("this decides what is paid: say --by and --reason (or look first: --dry-run)")
    with opened(settings) as conninfo, connect(conninfo, application="kvitt kafka") as connection:
        found = positions(connection, _kafka(settings), _topics(topic), group)
        offsets = {each.partition: each.end if end else each.first if beginning else replace(each, stored=0).next for each in found}
        print_page(_table([replace(each, stored=0, committed=offsets[each.partition]) for each in found]))
        if dry_run:
            click.echo("nothing was changed")
            return
        with connection.transaction(), connection.cursor() as cursor:
            told = ", ".join(f"{each.partition}:{offsets[each.partition]}" for each in found)
            note(cursor, utc_now(), "kafka begin", Operator(by or "", reason or ""), f"{topic} at {told}")
            begin_at(connection, _kafka(settings), found, offsets, over=over)
    click.echo(f"kvitt begins there the next time that it reads {topic}")


def _kafka(settings: "Settings") -> "KafkaSettings":
    if settings.kafka is None:
        raise click.UsageError("no Kafka is set: say [kafka] bootstrap in kvitt.toml, or KVITT_KAFKA_BOOTSTRAP")
    return settings.kafka


def _topics(named: str | None) -> list[str]:
    from kvitt.wire.topics import SCHEME_OF_SOURCE

    if named is not None and named not in SCHEME_OF_SOURCE:
        raise click.UsageError(f"{named} is no input topic; there are {', '.join(SCHEME_OF_SOURCE)}")
    return [named] if named else list(SCHEME_OF_SOURCE)


def _table(found: "list[Position]") -> "RenderableType":
    from rich import box
    from rich.table import Table

    table = Table("topic", "partition", "first", "end", "next", "waiting", box=box.SIMPLE_HEAD)
    for each in found:
        table.add_row(each.topic, *map(str, (each.partition, each.first, each.end, each.next, each.lag)))
    return table
