"""The acts that can be asked for, each with what it needs of this installation: one line per act (design §11)."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

from kvitt.app.ports import PORTS
from kvitt.contracts.helved.importing import Importing, ImportReport
from kvitt.contracts.helved.topics import CASES, PAYMENTS
from kvitt.disbursement.alone import acts_alone
from kvitt.disbursement.approvable import (
    ImportAsked,
    forget_act,
    order_acts,
    pairs_act,
)
from kvitt.disbursement.dead import Put, Replayed
from kvitt.disbursement.letter_acts import letter_act
from kvitt.errors import BadSettings, NotInThatState
from kvitt.kernel.approvals import ApprovableAct, Approvals, ShownEffect
from kvitt.kernel.clock import Clock, utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator
from kvitt.payouts.approvable import party_act, payout_acts, transfer_act
from kvitt.settings import Settings
from kvitt.transports.log.embedded_log import NewRecord, append


def acts_of(settings: Settings, clock: Clock = utc_now) -> Sequence[ApprovableAct[Any]]:
    """All acts that can be asked for."""
    return (
        *order_acts(clock, PORTS),
        pairs_act(clock, PORTS),
        *payout_acts(clock),
        letter_act(clock, PORTS, partial(put_of, settings)),
        forget_act(clock, PORTS),
        _import_act(settings, clock),
        party_act(clock, own_ledger=not settings.payouts.ledger_url),
        transfer_act(clock),
    )


def alone_of(settings: Settings, clock: Clock = utc_now) -> Mapping[str, ApprovableAct[Any]]:
    """All acts that one person does alone on a page, by name."""
    return {act.name: act for act in acts_alone(clock, PORTS, partial(put_of, settings))}


def approvals_of(settings: Settings, connection: Connection, clock: Clock = utc_now) -> Approvals:
    """The approvals of an installation."""
    return Approvals(connection, clock, acts_of(settings, clock))


def put_of(settings: Settings, connection: Connection) -> Put:
    """Returns what appends a dead letter's record to its topic."""

    def put(record: Replayed) -> None:
        fresh = [NewRecord(record.topic, record.key, record.body, record.headers)]
        if settings.kafka:
            from kvitt.transports.kafka import plain as kafka_plain

            # Before the letter is closed: should closing fail, a second replay is the same message again, and changes nothing.
            kafka_plain.put(settings.kafka, fresh)
        else:
            append(connection, fresh, record.at)

    return put


def _import_act(settings: Settings, clock: Clock) -> ApprovableAct[ImportAsked]:
    def imported(connection: Connection, asked: ImportAsked, operator: Operator | None) -> ImportReport:
        from kvitt.transports.kafka.plain import read_state

        if settings.kafka is None:
            raise BadSettings("[kafka] bootstrap: name the brokers in kvitt.toml")
        with _patient(connection):
            records = chain(read_state(settings.kafka, PAYMENTS), read_state(settings.kafka, CASES))
            return Importing(connection, clock).run(records, operator, dry_run=operator is None, leave_out=asked.leave_out)

    def preview(connection: Connection, asked: ImportAsked) -> ShownEffect:
        report = imported(connection, asked, None)
        if report.faults and not asked.leave_out:
            raise NotInThatState(f"{report.faults} faults keep cases out: mend the topics, or take over all other cases with --leave-out")
        lines = [f"{report.cases} cases with {report.payments} payments, {report.ceased} of them ceased, would be taken over"]
        lines += [f"{discrepancy.value}: {count}" for discrepancy, count in sorted(report.counts.items())]
        return ShownEffect.of("\n".join(lines))

    def run(connection: Connection, asked: ImportAsked, operator: Operator) -> str:
        report = imported(connection, asked, operator)
        return f"{report.cases} cases with {report.payments} payments were taken over"

    return ApprovableAct("import helved", ImportAsked, lambda _: "the state topics", preview, run)


@contextmanager
def _patient(connection: Connection) -> Iterator[None]:
    """The server waits while brokers are read."""
    connection.execute("SET LOCAL idle_in_transaction_session_timeout = '10min'")
    yield
