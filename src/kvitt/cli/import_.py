"""`kvitt import`: fills an empty kvitt with what another hub knows."""

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import click
from msgspec.structs import replace

from kvitt.cli.arguments import existing_file
from kvitt.cli.ids import SchemeName, case_of
from kvitt.cli.listing import READ_AHEAD, Column, Fit, json_option, limit_option, print_list, table, terminal_width
from kvitt.cli.operator import approved, ask, ask_option, is_asked_for, operating, operator_of
from kvitt.cli.shell import BAD_RESULT, connected, example, located, opened, print_page
from kvitt.config import read_client_file
from kvitt.contracts.helved.importing import Importing, ImportReport
from kvitt.contracts.helved.topics import CASES, PAYMENTS
from kvitt.disbursement.approvable import ImportAsked, PaymentForgotten
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.operators import Operator
from kvitt.settings import KafkaSettings, Settings


@click.group("import", epilog=example("kvitt import helved --kafka broker:9092 --dry-run"))
def import_() -> None:
    """Fill an empty kvitt with what another hub knows."""


@import_.command(
    epilog=example(
        "kvitt import helved --kafka broker:9092 --dry-run",
        'kvitt import helved --kafka broker:9092 --client kafka.properties --by kari --approved-by ola --reason "kvitt takes over"',
    )
)
@click.option("--kafka", metavar="HOST:PORT", help="The brokers, in place of those that are set. [KVITT_KAFKA_BOOTSTRAP]")
@click.option(
    "--client",
    type=existing_file(),
    metavar="FILE",
    help="More client settings, such as TLS and SASL, as name=value lines. [KVITT_KAFKA_CLIENT_FILE]",
)
@click.option("--dry-run", is_flag=True, help="Read and judge everything, write nothing.")
@click.option("--leave-out", is_flag=True, help="Take over all cases but those that something is wrong with.")
@click.option("--by", metavar="NAME", help="Who does it.")
@click.option("--reason", metavar="TEXT", help="Why; it stands in the audit chain.")
@click.option("--approved-by", metavar="NAME", help="The second person who approves it.")
@ask_option
@located
def helved(
    settings: Settings,
    *,
    kafka: str | None,
    client: Path | None,
    dry_run: bool,
    leave_out: bool,
    by: str | None,
    reason: str | None,
    approved_by: str | None,
) -> None:
    """Take over accepted payments, case lists and last line ids from the state topics. Exit status 1 when something is wrong with them.

    The other hub must be at rest: what it has sent and not got a receipt for is not in these topics.
    """

    from confluent_kafka import KafkaException

    from kvitt.transports.kafka.plain import read_state

    operator = None if dry_run else operator_of(by, reason, approved_by)
    if operator and is_asked_for():
        if kafka or client:
            raise click.UsageError("--ask reads the brokers that are set: leave --kafka and --client out")
        with opened(settings) as conninfo, connected(conninfo, application="kvitt import") as connection:
            ask(settings, connection, "import helved", ImportAsked(leave_out), operator)
        return
    if kafka is None and settings.kafka is None:
        raise click.UsageError("name the brokers: --kafka, or [kafka] bootstrap in kvitt.toml")
    brokers = settings.kafka if settings.kafka and kafka is None else KafkaSettings(bootstrap=kafka or "")
    try:
        brokers = replace(brokers, client={**brokers.client, **read_client_file(client)}) if client else brokers
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with opened(settings) as conninfo, connected(conninfo, application="kvitt import") as connection:
        records = chain(read_state(brokers, PAYMENTS), read_state(brokers, CASES))
        try:
            report = Importing(connection, utc_now).run(records, operator, dry_run=dry_run, leave_out=leave_out)
        except KafkaException as error:
            raise click.ClickException(f"the brokers can not be read: {error.args[0].str()}") from error
    print_page(_page(report, dry_run=dry_run))
    if report.faults:
        sys.exit(BAD_RESULT)


@import_.command("unknown", epilog=example("kvitt import unknown", "kvitt import unknown --json"))
@limit_option
@json_option
@located
def list_unknown(settings: Settings, *, limit: int, as_json: bool) -> None:
    """List the payments, and whole cases (*), that an import found and learnt nothing of: what would cease them is refused."""
    with operating(settings) as operate:
        unknown = operate.unknown(limit + READ_AHEAD)
    print_list(_UNKNOWN, unknown, limit=limit, as_json=as_json, nothing="everything that was imported is known")


@import_.command(
    epilog=example(
        'kvitt import forget aap 4NAAA1 0d0d0d0d-1111-4222-8333-444444444444 --by kari --approved-by ola --reason "the rail pays nothing"',
        "kvitt import forget dp AZ111 '*' --by kari --approved-by ola --reason \"the rail has no such case\"",
    )
)
@click.argument("scheme", type=SchemeName())
@click.argument("case_id", metavar="CASE_ID")
@click.argument("payment_id", metavar="PAYMENT")
@approved
@located
def forget(settings: Settings, *, scheme: Scheme, case_id: str, payment_id: str, by: str, reason: str, approved_by: str | None) -> None:
    """Say that the rail pays nothing of a PAYMENT (* for the whole case) that `kvitt import unknown` lists."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt import") as connection:
        named = case_of(connection, scheme, case_id)
        if is_asked_for():
            asked = PaymentForgotten(scheme, named, payment_id)
            ask(settings, connection, "import forget", asked, Operator(by, reason, approved_by))
            return
    with operating(settings) as operate:
        operate.forget(scheme, named, payment_id, Operator(by, reason, approved_by))
    click.echo(f"{payment_id} of case {named} is forgotten")


def _page(report: ImportReport, *, dry_run: bool) -> Iterator[str]:
    done = "taken over" if report.written else "would be taken over" if dry_run else "NOT taken over"
    yield f"{report.records} records read"
    yield f"{report.cases} cases with {report.payments} payments, {report.ceased} of them ceased, {done}"
    if report.left_out:
        yield f"{report.left_out} cases left out"
    if report.counts:
        yield from table(_DISCREPANCIES, [(discrepancy, count, report) for discrepancy, count in report.counts.items()], terminal_width())
    if report.faults and not report.written and not dry_run:
        yield "nothing was written; mend the topics, or take over all other cases with --leave-out"


def _such_as(discrepancy: object, report: ImportReport) -> str:
    return ", ".join(finding.subject for finding in report.findings if finding.discrepancy is discrepancy)


_UNKNOWN: Final = (Column("scheme"), Column("case_id", "case"), Column("payment_id", "payment"))
_DISCREPANCIES: Final = (
    Column("kind", " ", of=lambda each: "FAULT" if each[0].is_fault else "note"),
    Column("discrepancy", of=lambda each: each[0].value),
    Column("times", kind=Fit.NUMBER, of=lambda each: each[1]),
    Column("such_as", kind=Fit.TEXT, of=lambda each: _such_as(each[0], each[2])),
)
