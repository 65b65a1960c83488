"""`kvitt import`: takes over what another hub, or an older system, knows."""

import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

import click
from msgspec.json import encode
from msgspec.structs import replace
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from kvitt.broker_settings import KafkaSettings
from kvitt.cli.arguments import existing_file
from kvitt.cli.ids import SchemeName, case_of
from kvitt.cli.listing import READ_AHEAD, Column, Fit, json_option, limit_option, print_list, table, terminal_width
from kvitt.cli.operator import acting, approved, ask, is_asked_for, operating, operator_of
from kvitt.cli.shell import BAD_RESULT, connected, example, located, opened, print_page
from kvitt.cli.text import shown_json
from kvitt.config import read_client_file
from kvitt.contracts.helved.importing import Importing, ImportReport
from kvitt.contracts.helved.topics import CASES, PAYMENTS
from kvitt.contracts.iverksetting.importing import read_cases
from kvitt.contracts.utbetalinger.importing import read_payments
from kvitt.disbursement.approvable import ImportAsked, PaymentForgotten, TablesAsked
from kvitt.disbursement.take_over import TakeOver, TakeOverReport
from kvitt.disbursement.values import Scheme
from kvitt.errors import SourceUnreadable
from kvitt.kernel.clock import utc_now
from kvitt.kernel.operators import Operator
from kvitt.kernel.source_tables import source_tables
from kvitt.settings import Settings


@click.group(
    "import",
    epilog=example(
        "kvitt import helved --kafka broker:9092 --dry-run",
        "kvitt import iverksetting --from postgresql://reader@old-host/utsjekk --dry-run",
    ),
)
def import_() -> None:
    """Take over what another hub, or an older system, knows."""


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
@acting
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


@import_.command(
    epilog=example(
        "kvitt import iverksetting --from postgresql://reader@old-host/utsjekk --dry-run",
        "kvitt import iverksetting --from postgresql://reader@old-host/utsjekk --dry-run --json",
        "kvitt import iverksetting --from postgresql://reader@old-host/utsjekk --leave-out \\",
        '    --by kari --approved-by ola --reason "kvitt takes over decisions"',
    )
)
@click.option("--from", "source", required=True, metavar="URL", help="The older system's PostgreSQL; a password file of libpq is read.")
@click.option("--dry-run", is_flag=True, help="Read and judge everything, write nothing.")
@click.option("--leave-out", is_flag=True, help="Take over all cases but those that something is wrong with.")
@json_option
@acting
@located
def iverksetting(
    settings: Settings,
    *,
    source: str,
    dry_run: bool,
    leave_out: bool,
    as_json: bool,
    by: str | None,
    reason: str | None,
    approved_by: str | None,
) -> None:
    """Take over decisions and single payments from the tables iverksetting, iverksettingsresultat and utbetaling of an older system.

    They are read in one snapshot and not changed. Cases are written some hundred at a time: after a kill the same command goes on, and
    passes by what is there. Exit status 1 when something is wrong with cases.
    """
    operator = None if dry_run else operator_of(by, reason, approved_by)
    if operator and is_asked_for():
        _refuse_password(source)
        with opened(settings) as conninfo, connected(conninfo, application="kvitt import") as connection:
            ask(settings, connection, "import iverksetting", TablesAsked(source, leave_out), operator)
        return
    with opened(settings) as conninfo, connected(conninfo, application="kvitt import") as connection, source_tables(source) as tables:
        if not any(map(tables.has, _TABLES)):
            raise SourceUnreadable(f"there are none of the tables {', '.join(_TABLES)} on its search path")
        reads = [partial(read_cases, tables), partial(read_payments, tables)]
        take_over = TakeOver(connection, utc_now)
        report = take_over.run(reads, operator, dry_run=dry_run, leave_out=leave_out, progress=_SaidNowAndThen())
    if as_json:
        click.echo(shown_json(encode(_members(report)).decode()))
    else:
        print_page(_rows_page(report, dry_run=dry_run))
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


def _refuse_password(source: str) -> None:
    """Ends the command where the address holds what must not be kept with what is asked for."""
    try:
        named = conninfo_to_dict(source)
    except ProgrammingError:
        raise click.UsageError("--from: this is no address of a PostgreSQL: postgresql://user@host/name") from None
    if any("password" in name for name in named):
        raise click.UsageError("--from: what is asked for is kept, so it has no password in it; a password file of libpq is read")


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


class _SaidNowAndThen:
    """Says on standard error how far it has come, every few seconds; a short run says nothing."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _EVERY_SECONDS

    def __call__(self, report: TakeOverReport) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_SECONDS
        doing = "taken over" if report.written else "judged"
        there = f", {report.already_there:,} there already" if report.already_there else ""
        click.echo(f"{report.rows:,} rows read, {report.cases:,} cases {doing}{there}, {report.left_out:,} left out", err=True)


def _rows_page(report: TakeOverReport, *, dry_run: bool) -> Iterator[str]:
    done = "taken over" if report.written else "would be taken over" if dry_run else "NOT taken over"
    yield f"{report.rows:,} rows read"
    decisions = f"{report.decisions:,} decisions and {report.payments:,} payments"
    yield f"{report.cases:,} cases with {decisions}, {report.ceased:,} of them ceased, {done}"
    yield f"{report.already_there:,} cases there already"
    yield f"{report.left_out:,} cases left out"
    if report.counts:
        yield from table(_RULES, [(rule, count) for rule, count in report.counts.items()], terminal_width())
        yield from table(_ROWS, report.findings, terminal_width())
    if report.faults and not report.written and not dry_run:
        yield "nothing was written; mend the rows, or take over all other cases with --leave-out"


def _members(report: TakeOverReport) -> dict[str, object]:
    """The report as an object: all counts, and the first findings of each rule."""
    counts = ("rows", "cases", "decisions", "payments", "ceased", "already_there", "left_out", "faults", "written")
    rules = [
        {"fault": rule.is_fault, "rule": rule.name.lower(), "says": rule.value, "times": times} for rule, times in report.counts.items()
    ]
    findings = [{column.name: column.value(each) for column in _ROWS} for each in report.findings]
    return {**{name: getattr(report, name) for name in counts}, "rules": rules, "findings": findings}


def _such_as(discrepancy: object, report: ImportReport) -> str:
    return ", ".join(finding.subject for finding in report.findings if finding.discrepancy is discrepancy)


_EVERY_SECONDS: Final = 5.0
_TABLES: Final = ("iverksetting", "iverksettingsresultat", "utbetaling")
_RULES: Final = (
    Column("kind", " ", of=lambda each: "FAULT" if each[0].is_fault else "note"),
    Column("rule", of=lambda each: each[0].name.lower()),
    Column("times", kind=Fit.NUMBER, of=lambda each: each[1]),
    Column("says", kind=Fit.TEXT, of=lambda each: each[0].value),
)
_ROWS: Final = (
    Column("rule", of=lambda each: each.rule.name.lower()),
    Column("case"),
    Column("row"),
    Column("detail", kind=Fit.TEXT),
)
_UNKNOWN: Final = (Column("scheme"), Column("case_id", "case"), Column("payment_id", "payment"))
_DISCREPANCIES: Final = (
    Column("kind", " ", of=lambda each: "FAULT" if each[0].is_fault else "note"),
    Column("discrepancy", of=lambda each: each[0].value),
    Column("times", kind=Fit.NUMBER, of=lambda each: each[1]),
    Column("such_as", kind=Fit.TEXT, of=lambda each: _such_as(each[0], each[2])),
)
