"""A kvitt that answers REST on a free port, with the example's parties and a shop that has earned something."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
from msgspec import Struct

from kvitt.api.http_server import HttpListener, ListenAddress
from kvitt.api.rest.app import make_app
from kvitt.api.rest.local_issuer import ISSUER, LocalIssuer
from kvitt.api.rest.tokens import (
    Caller,
    FetchKeys,
    Grants,
    Permission,
    Tokens,
)
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect, pool
from kvitt.ledger.calls import Call
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import LedgerReader
from kvitt.ledger.rules import Batch, Operation, Posting
from kvitt.ledger.service import LedgerService
from kvitt.payouts.directory import LocalParties, known, load_directory
from kvitt.payouts.directory_file import read_directory
from kvitt.payouts.repository import reserved_plans
from kvitt.payouts.service import PayoutService
from support.patience import PATIENCE_SECONDS

EXAMPLE = (Path(__file__).parents[2] / "examples/parties.toml").read_text("utf-8")
AUDIENCE = "kvitt"
FUNDS = 10_000_000
ALL = tuple(Permission)


class Site(Struct, frozen=True):
    """Where it answers, and who makes tokens for it."""

    url: str
    issuer: LocalIssuer
    conninfo: str

    def token(self, *permissions: Permission, application: str = "tests") -> str:
        """A token that is valid for an hour."""
        return self.issuer.token(application, permissions, AUDIENCE, timedelta(hours=1))

    def client(self, *permissions: Permission, application: str = "tests") -> httpx.Client:
        """A caller who may do so much; all, unless said."""
        token = self.token(*(permissions or ALL), application=application)
        return httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {token}"}, timeout=PATIENCE_SECONDS)

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
def rest_site(conninfo: str, data: Path, *, fetch: FetchKeys | None = None) -> Iterator[Site]:
    """A site on this database; its issuer's key is in `data`."""
    issuer = LocalIssuer(data)
    with ExitStack() as opened:
        parties = LocalParties(conninfo)
        opened.callback(parties.close)
        payouts = PayoutService(conninfo, utc_now, parties)
        opened.callback(payouts.close)
        ledger = LedgerService(conninfo, utc_now, reserved_plans)
        opened.callback(ledger.close)
        requests = opened.enter_context(pool(conninfo, application="kvitt rest", size=4))
        threads = opened.enter_context(ThreadPoolExecutor(16))
        tokens = Tokens(ISSUER, AUDIENCE, fetch or issuer.keys, Grants(by_scope=True))
        app = make_app(tokens, requests, utc_now, threads, payouts=payouts, ledger=ledger)
        door = HttpListener(ListenAddress("127.0.0.1", 0, 0), "rest")
        opened.callback(door.close)
        opened.enter_context(door.serving(app))
        yield Site(door.url, issuer, conninfo)
