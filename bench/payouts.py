"""Payouts over REST: each is created, which holds its funds, and confirmed, which moves them; two calls, each durable before its answer."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from itertools import count
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import uvloop
from msgspec.structs import replace

from bench.http_client import CALLERS, Line, callers, each_as_it_can, free_port
from bench.place import Place
from bench.processes import hub_process
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from kvitt.api.rest.callers import Permission
from kvitt.api.rest.local_issuer import LocalIssuer
from kvitt.config import load_settings
from kvitt.demo.feed import parties_example
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.money import Minor
from kvitt.ledger.calls import Account, Call, Done, NewAccount
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.rules import Batch, Operation, Posting
from kvitt.payouts.directory import known, load_directory
from kvitt.payouts.directory_file import read_directory
from kvitt.settings import RestSettings, ThriftSettings

LEAST_PER_SECOND: Final = 1_200
_HUBS: Final = 2
"""Processes, as many as there are processors; each has its share of the callers, as from a balancer."""
_WARMING: Final = 300
_PARTY, _SHOP, _CURRENCY, _AMOUNT, _SALES = "party-1", "shop-1", "RUB", 100_000, Minor(10**13)
_RIGHTS: Final = (Permission.PAYOUTS_READ, Permission.PAYOUTS_WRITE)


def run(place: Place, size: Size) -> None:
    """Payouts of one shop, so that all meet on its accounts; the best round counts. All share the same cores."""
    ports = [free_port() for _ in range(_HUBS)]
    with TemporaryDirectory() as data, place.database() as conninfo, ExitStack() as hubs:
        _earn(conninfo)
        rest = RestSettings(calls_per_second=100_000.0, burst=100_000)
        settings = replace(load_settings(), data=Path(data), thrift=ThriftSettings(port=0))
        token = LocalIssuer(Path(data)).token("bench", _RIGHTS, rest.audience, timedelta(hours=1))
        started = [
            hubs.enter_context(hub_process(conninfo, ["payouts"], replace(settings, rest=replace(rest, port=port)))) for port in ports
        ]
        uvloop.run(_all(place, size, ports, token, started))
        with connect(conninfo) as connection:
            left = connection.execute("SELECT count(*) FROM payouts.payouts WHERE status <> 'confirmed'").fetchone()
    assert left == (0,), "each payout is confirmed"


async def _all(place: Place, size: Size, ports: Sequence[int], token: str, hubs: Sequence[BaseProcess]) -> None:
    lines, names = await callers(ports, token), _names()
    await each_as_it_can(lines, [next(names) for _ in range(_WARMING)], _pay)
    for what, pay, least in (("payouts over REST", _pay, LEAST_PER_SECOND), ("payouts over REST, with keys", _pay_once, None)):
        rates, meter = [], place.meter()
        for _ in range(size.rounds):
            wanted = [next(names) for _ in range(size.payouts)]
            with meter.counting(*hubs):
                rates.append(await each_as_it_can(lines, wanted, pay))
        report(
            Figure(
                name=what,
                value=rounded(max(rates)),
                unit="payouts/s",
                on=f"{size.payouts} payouts of {CALLERS} callers, each created and confirmed",
                samples=[rounded(each) for each in rates],
                target=Target(least=least) if least else None,
                durability=place.durability(),
                spent=meter.spent(size.payouts * size.rounds),
            )
        )


async def _pay(line: Line, name: str, keys: tuple[str, str] = ("", "")) -> None:
    create, confirm = keys
    body = {"party_id": _PARTY, "shop_id": _SHOP, "cash": {"amount": _AMOUNT, "currency": _CURRENCY}, "payout_id": name}
    await line.post("/payouts", json.dumps(body).encode(), b"201", create)
    await line.post(f"/payouts/{name}/confirm", b"", b"200", confirm)


async def _pay_once(line: Line, name: str) -> None:
    """As `_pay`, each call under a key of its own, by which a repeat would be recognised."""
    await _pay(line, name, (f"create {name}", f"confirm {name}"))


def _names() -> Iterator[str]:
    return (f"bench-{number}" for number in count())


def _earn(conninfo: str) -> None:
    """Loads the parties of the example, and has the shop earn more than it is paid out."""
    with connect(conninfo, application="kvitt bench") as connection:
        load_directory(connection, utc_now, read_directory(parties_example()))
        (settlement,) = [shop.accounts.settlement for shop in known(connection, _PARTY).entry.shops if shop.id == _SHOP]
        post = LedgerWriter(connection, utc_now).execute
        (provider,) = post([NewAccount(_CURRENCY, "bench/provider", None, "bench/provider")])
        assert isinstance(provider, Account), provider
        assert settlement is not None, "loading fills in every account"
        batches = (Batch(1, (Posting(provider.account_id, settlement, _SALES, _CURRENCY, "sales of the benchmark"),)),)
        answers = post([Call("bench_sales", Operation.HOLD, batches), Call("bench_sales", Operation.COMMIT, batches)])
        assert all(isinstance(answer, Done) for answer in answers), answers
