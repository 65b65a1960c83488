"""Which database, which jobs, and what is behind payouts: a given server or the embedded one, parties, and whose ledger."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from kvitt.disbursement.order_checks import ask_due_checks
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.reconcile.jobs import ReconciliationTimetable, reconciliation_jobs, scheduled_areas, trigger_job
from kvitt.errors import NotUpgraded
from kvitt.kernel.approvals import Approvals
from kvitt.kernel.clock import Clock, utc_now
from kvitt.kernel.database import PATIENCE_MS, Connection, connect
from kvitt.kernel.jobs import Every, Job
from kvitt.kernel.leases import release_every_lease
from kvitt.kernel.migrate import pending, upgrade
from kvitt.ops.alarms import ReceiptDeadline, ReconciliationDeadline, SimulationDeadline, alarm_job
from kvitt.ops.figure_jobs import keeping_up_job, rates_job, records_behind
from kvitt.settings import PayoutsSettings, Settings
from kvitt.tracing_settings import TracingSettings

if TYPE_CHECKING:
    from kvitt.api.thrift.client import ThriftClient
    from kvitt.formats.thrift.messages import Service
    from kvitt.payouts.ports import Parties, RemoteLedger
    from kvitt.payouts.service import PayoutService


@contextmanager
def database(settings: Settings, *, own: bool, upgrade_it: bool = True) -> Iterator[str]:
    """A migrated database as conninfo: the external one, a running kvitt's (unless `own`), or the embedded one, started for the while.

    Raises DataDirectoryInUse when `own` and another process has the data directory; NotUpgraded when the external one would have to be
    migrated and not `upgrade_it`.
    """
    if settings.database_url:
        if upgrade_it:
            upgrade(settings.database_url)
        elif pending(settings.database_url):
            raise NotUpgraded("this is no database of kvitt, or an older one; run kvitt db upgrade")
        yield settings.database_url
        return
    # Imported here: a scheduler whose server is another's starts none.
    from kvitt.kernel.postgres import EmbeddedServer, running_server

    if not own and (running := running_server(settings.data)):
        yield running
        return
    server = EmbeddedServer(settings.data)
    conninfo = server.start()
    try:
        upgrade(conninfo)
        with connect(conninfo, lock_timeout_ms=PATIENCE_MS) as connection:
            release_every_lease(connection)
        yield conninfo
    finally:
        server.stop()


@contextmanager
def payouts_of(conninfo: str, settings: PayoutsSettings, clock: Clock = utc_now) -> Iterator["PayoutService"]:
    """Payouts on this database, until the block ends."""
    # Imported here: a hub of cases has none.
    from kvitt.payouts.service import PayoutService

    with ExitStack() as opened:
        payouts = PayoutService(conninfo, clock, _parties(conninfo, settings, opened), _ledger(settings, opened))
        opened.callback(payouts.close)
        yield payouts


def _parties(conninfo: str, settings: PayoutsSettings, opened: ExitStack) -> "Parties":
    if not settings.parties_url:
        from kvitt.payouts.local_parties import LocalParties

        parties = LocalParties(conninfo)
        opened.callback(parties.close)
        return parties
    from kvitt.api.thrift.services import PARTY_MANAGEMENT, PartyManagementAdapter

    return PartyManagementAdapter(_client(settings.parties_url, PARTY_MANAGEMENT, settings, opened))


def _ledger(settings: PayoutsSettings, opened: ExitStack) -> "RemoteLedger | None":
    if not settings.ledger_url:
        return None
    from kvitt.api.thrift.services import ACCOUNTER, RemoteLedgerAdapter

    return RemoteLedgerAdapter(_client(settings.ledger_url, ACCOUNTER, settings, opened))


def _client(url: str, service: "Service", settings: PayoutsSettings, opened: ExitStack) -> "ThriftClient":
    from kvitt.api.thrift.client import ThriftClient

    client = ThriftClient(url, service, seconds=settings.seconds, verify=settings.ca_file or True)
    opened.callback(client.close)
    return client


_LAPSES_EVERY: Final = timedelta(minutes=1)
_CHECKS_EVERY: Final = timedelta(seconds=10)
_CLEARS_EVERY: Final = timedelta(hours=1)
_DAYS_OF_A_YEAR: Final = 365.25


def jobs_of(settings: Settings, ports: Ports) -> Sequence[Job]:
    """All jobs."""
    schedules = {rail.name: rail.schedule for rail in ports.rails}
    receipts = ReceiptDeadline(schedules, timedelta(minutes=settings.ops.receipt_after_minutes))
    simulations = SimulationDeadline(
        {rail.name: rail.schedule for rail in ports.rails if rail.capabilities.simulates},
        timedelta(minutes=settings.ops.simulation_after_minutes),
    )
    timetable = ReconciliationTimetable(
        None if not settings.reconciliation.on else settings.reconciliation.at,
        settings.reconciliation.areas,
        settings.reconciliation.off,
        settings.reconciliation.first_day,
    )
    reconciled = ReconciliationDeadline(scheduled_areas(ports, timetable), timedelta(minutes=settings.ops.reconciliation_after_minutes))
    return (
        alarm_job(utc_now, receipts, simulations, reconciled, timedelta(seconds=settings.ops.look_seconds)),
        rates_job(),
        keeping_up_job(partial(_behind, settings, ports)),
        Job("approvals", Every(_LAPSES_EVERY), _lapse),
        Job("console rows", Every(_CLEARS_EVERY), partial(_clear, timedelta(days=settings.console.looks_years * _DAYS_OF_A_YEAR))),
        Job("order checks", Every(_CHECKS_EVERY), partial(_ask, ports)),
        *reconciliation_jobs(ports, utc_now, timetable),
        trigger_job(ports, utc_now, settings.reconciliation.first_day, on=settings.reconciliation.on_events),
        *_traces(settings.tracing),
    )


def _behind(settings: Settings, ports: Ports, connection: Connection) -> int | None:
    if settings.kafka is None:
        return records_behind(connection, list(ports.contracts.inputs()))
    # Imported here: whoever has the embedded log needs no client of brokers.
    from kvitt.app.transports import records_behind_at_brokers

    return records_behind_at_brokers(connection, settings.kafka, ports)


def _traces(settings: TracingSettings) -> Sequence[Job]:
    """The job that sends traces, where they are set. Raises BadSettings where nothing can send them."""
    if not settings.url:
        return ()
    # Imported here: whoever sends no traces need not have what sends them.
    from kvitt.ops.otlp import sending
    from kvitt.ops.trace_job import trace_job

    return (trace_job(utc_now, sending(settings.url, settings.service), settings.ratio),)


def _ask(ports: Ports, connection: Connection, _due: datetime) -> str:
    return f"the rails are asked about {ask_due_checks(connection, ports, utc_now())} orders"


def _lapse(connection: Connection, _due: datetime) -> str:
    return f"{Approvals(connection, utc_now).lapse()} approvals have lapsed"


def _clear(kept: timedelta, connection: Connection, _due: datetime) -> str:
    # Imported here: a process that schedules nothing need not hold it in memory.
    from kvitt.api.console.clearing import clear

    return f"{clear(connection, utc_now(), kept)} rows of the console are cleared away"
