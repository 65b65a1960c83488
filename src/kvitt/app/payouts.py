"""Payouts with what is behind them: PartyManagement or the local directory, another's ledger or our own, as the settings say."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from kvitt.config import PayoutsSettings
from kvitt.kernel.clock import Clock, utc_now
from kvitt.payouts.directory import LocalParties
from kvitt.payouts.ports import Parties, RemoteLedger
from kvitt.payouts.service import PayoutService

if TYPE_CHECKING:
    from kvitt.api.thrift.client import ThriftClient
    from kvitt.formats.thrift.messages import Service


@contextmanager
def payouts_of(conninfo: str, settings: PayoutsSettings, clock: Clock = utc_now) -> Iterator[PayoutService]:
    """Payouts on this database, until the block ends."""
    with ExitStack() as opened:
        payouts = PayoutService(conninfo, clock, _parties(conninfo, settings, opened), _ledger(settings, opened))
        opened.callback(payouts.close)
        yield payouts


def _parties(conninfo: str, settings: PayoutsSettings, opened: ExitStack) -> Parties:
    if not settings.parties_url:
        parties = LocalParties(conninfo)
        opened.callback(parties.close)
        return parties
    from kvitt.api.thrift.services import PARTY_MANAGEMENT, PartyManagementAdapter

    return PartyManagementAdapter(_client(settings.parties_url, PARTY_MANAGEMENT, settings, opened))


def _ledger(settings: PayoutsSettings, opened: ExitStack) -> RemoteLedger | None:
    if not settings.ledger_url:
        return None
    from kvitt.api.thrift.services import ACCOUNTER, RemoteLedgerAdapter

    return RemoteLedgerAdapter(_client(settings.ledger_url, ACCOUNTER, settings, opened))


def _client(url: str, service: "Service", settings: PayoutsSettings, opened: ExitStack) -> "ThriftClient":
    from kvitt.api.thrift.client import ThriftClient

    client = ThriftClient(url, service, seconds=settings.seconds, verify=settings.ca_file or True)
    opened.callback(client.close)
    return client
