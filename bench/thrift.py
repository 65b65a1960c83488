"""The ledger over Thrift and HTTP: transfers (a hold and a commit) in the shapes of payouts §8."""

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from multiprocessing.process import BaseProcess
from uuid import uuid4

import uvloop
from msgspec.structs import replace

from bench.http_client import free_port
from bench.place import Place
from bench.processes import hub_process
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.spent import Spent
from bench.thrift_client import TYPES, Line, batch, lines, transfer
from kvitt.config import load_settings
from kvitt.settings import ThriftSettings

LEAST_PER_SECOND = 1_500
_CALLERS, _HOST = 128, "127.0.0.1"
_FEW = (1, 4)
"""So many callers at a time wait for most of each commit themselves."""
_PROVIDERS = _SYSTEMS = 10
Posting = tuple[int, int, int]
_START_SECONDS = 30.0


def run(place: Place, size: Size) -> None:
    """Three accounts (the best round counts), the real mix of 10 + 10 + many accounts, and a circle that must end at zero."""
    port = free_port()
    settings = replace(load_settings(), thrift=ThriftSettings(port=port))
    with place.database() as conninfo, hub_process(conninfo, ["ledger"], settings) as hub:
        uvloop.run(_all(place, port, size, hub))


async def _all(place: Place, port: int, size: Size, hub: BaseProcess) -> None:
    accounts = await _accounts(await _callers(port, 1), 3)
    for few in _FEW:
        await _three_accounts(place, hub, await _callers(port, few), accounts, size, count=size.transfers_few * few)
    callers = await _callers(port, _CALLERS)
    await _three_accounts(place, hub, callers, accounts, size, count=size.transfers, least=LEAST_PER_SECOND)
    merchants = await _accounts(callers, size.circle // 4)
    others = await _accounts(callers, _PROVIDERS + _SYSTEMS)
    mix = _mix(others[:_PROVIDERS], others[_PROVIDERS:], merchants)
    rate, taken = await _shape(callers, size.transfers, mix)
    _tell(place, f"thrift transfers, 10 + 10 + {len(merchants)} accounts, 3 postings each", size.transfers, [rate], taken)
    circle = await _accounts(callers, size.circle)
    steps = ([(source, target, 1000)] for source, target in zip(circle, [*circle[1:], circle[0]], strict=True))
    rate, taken = await _shape(callers, len(circle), steps)
    _tell(place, f"thrift transfers, circle of {len(circle)}", len(circle), [rate], taken)
    left = [state for state in await _states(callers, circle) if state != (0, 0, 0)]
    assert not left, f"{len(left)} accounts of the circle are not at zero"


async def _three_accounts(
    place: Place, hub: BaseProcess, callers: Sequence[Line], accounts: Sequence[int], size: Size, *, count: int, least: float | None = None
) -> None:
    """The rates of some rounds, and what they used up."""
    rates, meter = [], place.meter()
    with meter.counting(hub):
        for _ in range(size.rounds):
            rate, taken = await _shape(callers, count, ([step] for step in _round(accounts, 1000)))
            rates.append(rate)
    name = "thrift transfers, 3 accounts" + ("" if len(callers) == _CALLERS else f", {len(callers)} callers")
    _tell(place, name, count, rates, taken, callers=len(callers), target=least, spent=meter.spent(count * size.rounds))


async def _shape(callers: Sequence[Line], count: int, postings: Iterator[Sequence[Posting]]) -> tuple[float, list[float]]:
    """Transfers per second, and the milliseconds of each, when every caller takes the next as soon as it is done with one."""
    run_id, numbers, taken = uuid4().hex[:12], iter(range(count)), []

    async def work(line: Line) -> None:
        for number in numbers:
            began = time.perf_counter()
            await transfer(line, f"{run_id}.{number}", batch(*next(postings)))
            taken.append(1000 * (time.perf_counter() - began))

    began = time.perf_counter()
    await asyncio.gather(*map(work, callers))
    return count / (time.perf_counter() - began), taken


def _round(accounts: Sequence[int], amount: int) -> Iterator[Posting]:
    for place in itertools.count():
        yield accounts[place % len(accounts)], accounts[(place + 1) % len(accounts)], amount


def _mix(providers: Sequence[int], systems: Sequence[int], merchants: Sequence[int]) -> Iterator[Sequence[Posting]]:
    """provider → system 100, system → merchant 95, merchant → provider 1, each picked at random (payouts §8)."""
    chance = random.Random(7)
    while True:
        provider, system, merchant = chance.choice(providers), chance.choice(systems), chance.choice(merchants)
        yield (provider, system, 100), (system, merchant, 95), (merchant, provider, 1)


async def _accounts(callers: Sequence[Line], count: int) -> list[int]:
    made: list[int] = []
    numbers = iter(range(count))

    async def work(line: Line) -> None:
        for _ in numbers:
            account_id = await line.call("CreateAccount", TYPES.AccountPrototype(currency_sym_code="RUB"))
            made.append(account_id)

    await asyncio.gather(*map(work, callers))
    return sorted(made)


async def _states(callers: Sequence[Line], accounts: Sequence[int]) -> list[tuple[int, int, int]]:
    seen: list[tuple[int, int, int]] = []
    wanted = iter(accounts)

    async def work(line: Line) -> None:
        for account_id in wanted:
            state = await line.call("GetAccountByID", account_id)
            seen.append((state.own_amount, state.min_available_amount, state.max_available_amount))

    await asyncio.gather(*map(work, callers))
    return seen


async def _callers(port: int, count: int) -> Sequence[Line]:
    """Open connections, as soon as the hub listens; one that asks nothing is closed after some seconds."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return await lines(_HOST, port, count)
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


def _tell(
    place: Place,
    name: str,
    count: int,
    rates: Sequence[float],
    taken: Sequence[float],
    *,
    callers: int = _CALLERS,
    target: float | None = None,
    spent: Spent | None = None,
) -> None:
    on = f"{count} transfers of {callers} callers; hub, callers and PostgreSQL on the same cores"
    report(
        Figure(
            name=name,
            value=rounded(max(rates)),
            unit="transfers/s",
            on=on,
            samples=[rounded(each) for each in rates],
            target=None if target is None else Target(least=target),
            durability=place.durability(),
            spent=spent,
        )
    )
    cuts = statistics.quantiles(taken, n=100)
    for part, value in (("p50", cuts[49]), ("p99", cuts[98])):
        report(Figure(name=f"{name} {part}", value=rounded(value), unit="ms per transfer", on=on, durability=place.durability()))
