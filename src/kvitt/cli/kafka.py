"""`kvitt kafka`: where kvitt stands in the input topics, and where it shall begin."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from kvitt.broker_settings import KafkaSettings
from kvitt.cli.listing import MOST, Column, Fit, json_option, print_list, print_table
from kvitt.cli.operator import acting, ask, is_asked_for, operator_of
from kvitt.cli.shell import connected, example, located, opened
from kvitt.cli.wiring import wiring
from kvitt.disbursement.approvable import StartAsked
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.settings import Settings


@click.group(epilog=example("kvitt kafka lag", "kvitt kafka set-start-offset --topic tbd.rapid.v1 --group tbd-spenn-v1 --dry-run"))
def kafka() -> None:
    """Where kvitt stands in the input topics, and where it shall begin."""


@kafka.command(epilog=example("kvitt kafka lag", "kvitt kafka lag --topic aap.utbetaling.v1"))
@click.option("--topic", help="Only this topic.")
@json_option
@located
def lag(settings: Settings, *, topic: str | None, as_json: bool) -> None:
    """Show each partition: where it begins and ends, how far it was taken in, how many records wait."""
    from kvitt.transports.kafka.positions import positions

    brokers = _kafka(settings)
    with _asking(settings) as connection:
        found = positions(connection, brokers, _topics(brokers, topic))
    print_list(_POSITIONS, found, limit=MOST, as_json=as_json, nothing="there are no partitions")


@kafka.command(
    "set-start-offset",
    epilog=example(
        "kvitt kafka set-start-offset --topic tbd.rapid.v1 --group tbd-spenn-v1 --dry-run",
        'kvitt kafka set-start-offset --topic tbd.rapid.v1 --group tbd-spenn-v1 --by kari --reason "kvitt takes over"',
        'kvitt kafka set-start-offset --topic aap.utbetaling.v1 --end --by kari --reason "new installation"',
        'kvitt kafka set-start-offset --topic aap.utbetaling.v1 --beginning --over --by kari --approved-by ola --reason "made anew"',
    ),
)
@click.option("--topic", required=True, help="An input topic, by its name in the contract or on the cluster.")
@click.option("--group", metavar="GROUP", help="Where this group has committed: the old hub's, which must be stopped.")
@click.option("--beginning", is_flag=True, help="At the first record that the topic holds.")
@click.option("--end", is_flag=True, help="Behind the last record: nothing that stands there now is read.")
@click.option("--over", is_flag=True, help="Give up what kvitt has stored itself; two people do it.")
@click.option("--dry-run", is_flag=True, help="Show what would be skipped and what read; change nothing.")
@acting
@located
def start_offset(
    settings: Settings,
    *,
    topic: str,
    group: str | None,
    beginning: bool,
    end: bool,
    over: bool,
    dry_run: bool,
    by: str | None,
    reason: str | None,
    approved_by: str | None,
) -> None:
    """Say once where kvitt begins to read a topic, before its first run; the rapid is not read before that is said.

    Partitions that have begun are left as they are, unless --over. While a topic is read, nothing is changed.
    """
    from kvitt.transports.kafka.positions import (
        StartFrom,
        planned,
        positions,
        refuse_group_at_work,
        set_start_offset,
    )

    if sum(map(bool, (group, beginning, end))) != 1:
        raise click.UsageError("say one of --group, --beginning and --end")
    operator = None if dry_run else operator_of(by, reason, approved_by)
    start = StartFrom.GROUP if group else StartFrom.BEGINNING if beginning else StartFrom.END
    brokers = _kafka(settings)
    (source,) = _topics(brokers, topic)
    with _asking(settings) as connection:
        if operator and is_asked_for():
            ask(settings, connection, "kafka set-start-offset", StartAsked(source, start.value, group, over), operator)
            return
        starts = planned(positions(connection, brokers, [source], group), start, over=over)
        print_table(_STARTS, starts)
        if operator is None:
            click.echo("nothing was changed")
            return
        if group:
            refuse_group_at_work(brokers, group)
        set_start_offset(connection, brokers, starts, start, operator=operator, now=utc_now())
    click.echo(f"kvitt goes on there when it reads {topic} the next time")


@contextmanager
def _asking(settings: Settings) -> Iterator[Connection]:
    """The database that is there; ends the command with the reason when the brokers do not answer."""
    from confluent_kafka import KafkaException

    try:
        with opened(settings) as conninfo, connected(conninfo, application="kvitt kafka") as connection:
            yield connection
    except KafkaException as error:
        raise click.ClickException(f"the brokers do not answer: {error.args[0].str()}") from error
    except TimeoutError as error:
        raise click.ClickException("the brokers do not answer in time") from error


def _kafka(settings: Settings) -> KafkaSettings:
    if settings.kafka is None:
        raise click.UsageError("no Kafka is set: say [kafka] bootstrap in kvitt.toml, or KVITT_KAFKA_BOOTSTRAP")
    return settings.kafka


def _topics(brokers: KafkaSettings, named: str | None) -> list[str]:
    inputs = wiring().ports.contracts.inputs()
    if named is None:
        return list(inputs)
    source = next((ours for ours, theirs in brokers.shared_topics.items() if theirs == named), named)
    if source not in inputs:
        raise click.UsageError(f"{named} is no input topic; there are {', '.join(inputs)}")
    return [source]


_POSITIONS: Final = (
    Column("topic"),
    Column("partition"),
    Column("first", kind=Fit.NUMBER),
    Column("stored", kind=Fit.NUMBER, show=lambda at: "nothing" if at.stored is None else f"{at.stored:,}"),
    Column("end", kind=Fit.NUMBER),
    Column("lag", kind=Fit.NUMBER),
)
_STARTS: Final = (
    Column("topic", of=lambda each: each.position.topic),
    Column("partition", of=lambda each: each.position.partition),
    Column("first", kind=Fit.NUMBER, of=lambda each: each.position.first),
    Column("end", kind=Fit.NUMBER, of=lambda each: each.position.end),
    Column("begins_at", kind=Fit.NUMBER, of=lambda each: each.offset),
    Column("never_read", kind=Fit.NUMBER, of=lambda each: each.skipped),
    Column("will_be_read", kind=Fit.NUMBER, of=lambda each: each.read),
)
