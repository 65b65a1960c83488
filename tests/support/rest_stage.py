"""A kvitt that answers REST on a free port, with the example's parties and a shop that has earned something."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from msgspec import Struct

import kvitt.testing
from kvitt.api.rest.callers import Caller, Permission
from kvitt.api.rest.local_issuer import LocalIssuer
from kvitt.api.rest.tokens import Tokens
from kvitt.console_settings import ConsoleSettings
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.ledger.calls import Call
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import LedgerReader
from kvitt.ledger.rules import Batch, Operation, Posting
from kvitt.payouts.directory import known, load_directory
from kvitt.payouts.directory_file import read_directory
from kvitt.settings import DecisionSettings, RestSettings, Settings, SimulationSettings
from kvitt.testing import Hub
from support.patience import PATIENCE_SECONDS

EXAMPLE = (Path(__file__).parents[2] / "examples/parties.toml").read_text("utf-8")
AUDIENCE = "kvitt"
FUNDS = 10_000_000
ALL = tuple(Permission)


class Site(Struct, frozen=True):
    """The REST API of a hub, and the shop that has earned something."""

    hub: Hub

    @property
    def url(self) -> str:
        return self.hub.rest.url

    @property
    def issuer(self) -> LocalIssuer:
        return self.hub.rest.issuer

    @property
    def conninfo(self) -> str:
        return self.hub.conninfo

    def token(self, *permissions: Permission, application: str = "tests") -> str:
        """A token that is valid for an hour."""
        return self.hub.rest.token(*permissions, application=application)

    def client(self, *permissions: Permission, application: str = "tests") -> httpx.Client:
        """A caller who may do so much; all, unless said."""
        return self.hub.rest.client(*permissions, application=application)

    @property
    def settlement(self) -> int:
        """The account of the shop that has earned something."""
        with connect(self.conninfo) as connection:
            account_id = known(connection, "party-1").entry.shops[0].accounts.settlement
        assert account_id is not None
        return account_id


def caller_of(tokens: Tokens, token: str) -> Caller:
    """Who shows this token, after the keys that are awaited have come."""
    if fetch := tokens.awaited(token):
        fetch.result(PATIENCE_SECONDS)
    return tokens.caller(token)


def earn(conninfo: str, plan_id: str = "sales") -> None:
    """Loads the example's parties, and lets the first shop earn."""
    with connect(conninfo) as connection:
        load_directory(connection, utc_now, read_directory(EXAMPLE))
        settlement = known(connection, "party-1").entry.shops[0].accounts.settlement
        accounts = {each.account.description: each.account.account_id for each in LedgerReader(connection).accounts()}
        assert settlement is not None
        batches = (Batch(1, (Posting(accounts["house/RUB/provider_settlement"], settlement, FUNDS, "RUB", "sales"),)),)
        LedgerWriter(connection, utc_now).execute([Call(plan_id, Operation.HOLD, batches), Call(plan_id, Operation.COMMIT, batches)])


@contextmanager
def rest_site(
    conninfo: str,
    data: Path,
    *,
    settings: RestSettings | None = None,
    call_seconds: float = 9.0,
    decisions: Mapping[str, DecisionSettings] | None = None,
) -> Iterator[Site]:
    """A site on this database; its issuer's key is in `data`. Calls for simulations wait so long: nobody asks the rail."""
    of_hub = Settings(
        data=data,
        rest=settings or RestSettings(),
        console=ConsoleSettings(local_people=settings is None or not settings.issuer),
        simulation=SimulationSettings(call_seconds=call_seconds, dry_run_seconds=call_seconds),
        decisions=decisions or {},  # type: ignore[arg-type]
    )
    with kvitt.testing.hub(conninfo=conninfo, settings=of_hub, start=utc_now()) as hub:
        yield Site(hub)
