"""The acts by which kvitt takes over from another hub: what it knows, and where to go on reading (design §11).

Brokers, or the older system's tables, are read anew when such an act is previewed and done; the server waits meanwhile.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved.importing import Importing, ImportReport
from kvitt.contracts.helved.topics import CASES, PAYMENTS
from kvitt.contracts.iverksetting.importing import read_cases
from kvitt.contracts.utbetalinger.importing import read_payments
from kvitt.disbursement.approvable import ImportAsked, StartAsked, TablesAsked
from kvitt.disbursement.take_over import TakeOver, TakeOverReport
from kvitt.errors import BadSettings, NotInThatState
from kvitt.kernel.approvals import ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator
from kvitt.kernel.source_tables import source_tables
from kvitt.settings import Settings

if TYPE_CHECKING:
    from kvitt.transports.kafka.positions import StartOffset


def takeover_acts(settings: Settings, clock: Clock) -> Sequence[ApprovableAct[Any]]:
    """All of them."""
    return _import_act(settings, clock), _tables_act(clock), _start_act(settings, clock)


def _import_act(settings: Settings, clock: Clock) -> ApprovableAct[ImportAsked]:
    def imported(connection: Connection, asked: ImportAsked, operator: Operator | None) -> ImportReport:
        from kvitt.transports.kafka.plain import read_state

        brokers = _brokers(settings)
        with _patient(connection):
            records = chain(read_state(brokers, PAYMENTS), read_state(brokers, CASES))
            return Importing(connection, clock).run(records, operator, dry_run=operator is None, leave_out=asked.leave_out)

    def preview(connection: Connection, asked: ImportAsked) -> ShownEffect:
        report = imported(connection, asked, None)
        _refuse_faults(report.faults, leave_out=asked.leave_out)
        lines = [f"{report.cases} cases with {report.payments} payments, {report.ceased} of them ceased, would be taken over"]
        lines += [f"{discrepancy.value}: {count}" for discrepancy, count in sorted(report.counts.items())]
        return ShownEffect.of("\n".join(lines))

    def run(connection: Connection, asked: ImportAsked, operator: Operator) -> str:
        report = imported(connection, asked, operator)
        return f"{report.cases} cases with {report.payments} payments were taken over"

    return ApprovableAct("import helved", ImportAsked, lambda _: "the state topics", preview, run)


def _tables_act(clock: Clock) -> ApprovableAct[TablesAsked]:
    def imported(connection: Connection, asked: TablesAsked, operator: Operator | None) -> TakeOverReport:
        with _patient(connection), source_tables(asked.source) as tables:
            reads = [partial(read_cases, tables), partial(read_payments, tables)]
            return TakeOver(connection, clock).run(reads, operator, dry_run=operator is None, leave_out=asked.leave_out)

    def preview(connection: Connection, asked: TablesAsked) -> ShownEffect:
        report = imported(connection, asked, None)
        _refuse_faults(report.faults, leave_out=asked.leave_out)
        decisions = f"{report.decisions} decisions and {report.payments} payments"
        lines = [f"{report.cases} cases with {decisions}, {report.ceased} of them ceased, would be taken over"]
        lines += [f"{rule.value}: {count}" for rule, count in sorted(report.counts.items())]
        return ShownEffect.of("\n".join(lines))

    def run(connection: Connection, asked: TablesAsked, operator: Operator) -> str:
        report = imported(connection, asked, operator)
        return f"{report.cases} cases with {report.payments} payments were taken over"

    return ApprovableAct("import iverksetting", TablesAsked, lambda _: "the tables of an older system", preview, run)


def _start_act(settings: Settings, clock: Clock) -> ApprovableAct[StartAsked]:
    def planned_starts(connection: Connection, asked: StartAsked) -> "Sequence[StartOffset]":
        from kvitt.transports.kafka.positions import StartFrom, planned, positions

        with _patient(connection):
            return planned(positions(connection, _brokers(settings), [asked.topic], asked.group), StartFrom(asked.start), over=asked.over)

    def preview(connection: Connection, asked: StartAsked) -> ShownEffect:
        starts = planned_starts(connection, asked)
        lines = [f"partition {each.position.partition}: begins at {each.offset}, {each.skipped} are never read" for each in starts]
        # Where the end of a topic is moves all the time, and is what was asked for.
        ends = ["end" if asked.start == "end" else each.offset for each in starts]
        return ShownEffect.of("\n".join(lines), *((each.position.stored, end) for each, end in zip(starts, ends, strict=True)))

    def run(connection: Connection, asked: StartAsked, operator: Operator) -> str:
        from kvitt.transports.kafka.positions import StartFrom, refuse_group_at_work, set_start_offset

        starts, brokers = planned_starts(connection, asked), _brokers(settings)
        if asked.group:
            refuse_group_at_work(brokers, asked.group)
        set_start_offset(connection, brokers, starts, StartFrom(asked.start), operator=operator, now=clock())
        return f"kvitt goes on there when it reads {asked.topic} the next time"

    return ApprovableAct("kafka set-start-offset", StartAsked, lambda asked: asked.topic, preview, run)


def _brokers(settings: Settings) -> KafkaSettings:
    if settings.kafka is None:
        raise BadSettings("[kafka] bootstrap: name the brokers in kvitt.toml")
    return settings.kafka


def _refuse_faults(faults: int, *, leave_out: bool) -> None:
    if faults and not leave_out:
        raise NotInThatState(f"{faults} faults keep cases out: mend what is read, or take over all other cases with --leave-out")


@contextmanager
def _patient(connection: Connection) -> Iterator[None]:
    """The server waits while others are read."""
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = '10min'")
    yield
