"""Decisions over HTTP: from the request to the order that is durable, as the answer says; many callers at once, and at a fixed rate."""

import asyncio
import gc
import itertools
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
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
from kvitt.api.rest.local_issuer import LocalIssuer
from kvitt.config import load_settings
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.settings import DecisionSettings, RestSettings, ThriftSettings

LEAST_PER_SECOND, MOST_P99_MS = 1_500, 60
_HUBS: Final = 2
"""Processes, as many as there are processors; each has its share of the callers, as from a balancer."""
_PATH: Final = "/api/iverksetting/v2"
_FIRST_CHECK: Final = (3, 7, 6, 1, 8, 9, 4, 5, 2)
_SECOND_CHECK: Final = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_OF_A_MONTH: Final = 100_000
_TAKEN: Final = b"202"


def run(place: Place, size: Size) -> None:
    """New cases of tilleggsstønader, each with one decision of a week; the best round counts. All share the same cores."""
    ports = [free_port() for _ in range(_HUBS)]
    with TemporaryDirectory() as data, place.database() as conninfo, ExitStack() as hubs:
        policy = {Scheme.TILLEGGSSTONADER.value: DecisionSettings(approver_opens=False)}
        rest = RestSettings(calls_per_second=100_000.0, burst=100_000)
        settings = replace(load_settings(), data=Path(data), thrift=ThriftSettings(port=0), decisions=policy)
        token = LocalIssuer(Path(data)).token("bench", [], rest.audience, timedelta(hours=1), [Scheme.TILLEGGSSTONADER])
        started = [
            hubs.enter_context(hub_process(conninfo, ["decisions"], replace(settings, rest=replace(rest, port=port)))) for port in ports
        ]
        uvloop.run(_all(place, size, ports, token, started))
        with connect(conninfo) as connection:
            found = connection.execute("SELECT count(*), count(DISTINCT case_no) FROM orders").fetchone()
    assert found, "counts have a row"
    assert found[0] == found[1], "each case has one order"


async def _all(place: Place, size: Size, ports: Sequence[int], token: str, hubs: Sequence[BaseProcess]) -> None:
    lines = await callers(ports, token)
    bodies = _Bodies()
    await each_as_it_can(lines, bodies.new(500), _decide)
    rates, meter = [], place.meter()
    for _ in range(size.rounds):
        posted = bodies.new(size.decisions)
        with meter.counting(*hubs):
            rates.append(await each_as_it_can(lines, posted, _decide))
    on, durability = f"{size.decisions} decisions of {CALLERS} callers, each of a new case", place.durability()
    samples, target = [rounded(each) for each in rates], Target(least=LEAST_PER_SECOND)
    name = "decisions over HTTP"
    spent = meter.spent(size.decisions * size.rounds)
    unit = "decisions/s"
    report(Figure(name=name, value=max(samples), unit=unit, on=on, samples=samples, target=target, durability=durability, spent=spent))
    rate = min(LEAST_PER_SECOND, max(rates)) / 2
    rounds = [await _at_a_rate(lines, bodies.new(int(rate * size.open_loop_seconds)), rate) for _ in range(size.rounds)]
    cuts = [statistics.quantiles(taken, n=100) for taken in rounds]
    best, p99s = min(cuts, key=lambda each: each[98]), [rounded(each[98]) for each in cuts]
    on = f"{int(rate * size.open_loop_seconds)} decisions at {rate:.0f}/s"
    report(Figure(name=f"{name} p50", value=rounded(best[49]), unit="ms", on=on, durability=durability))
    target = Target(most=MOST_P99_MS)
    report(Figure(name=f"{name} p99", value=rounded(best[98]), unit="ms", on=on, samples=p99s, target=target, durability=durability))


class _Bodies:
    """Decisions of cases that nobody has posted before, each of a person of its own."""

    def __init__(self) -> None:
        self._made, self._people = 0, _people()

    def new(self, count: int) -> Sequence[bytes]:
        first, self._made = self._made, self._made + count
        return [_decision(number, next(self._people)) for number in range(first, self._made)]


def _people() -> Iterator[str]:
    """Numbers of people with their check digits, whose months report that nobody has them."""
    for place in itertools.count():
        number = f"01{82 + place // _OF_A_MONTH}{place // 1000 % 100:02}{place % 1000:03}"
        first = -sum(weight * int(digit) for weight, digit in zip(_FIRST_CHECK, number, strict=True)) % 11
        second = -sum(weight * int(digit) for weight, digit in zip(_SECOND_CHECK, f"{number}{first}", strict=False)) % 11
        if max(first, second) < 10:
            yield f"{number}{first}{second}"


def _decision(number: int, person: str) -> bytes:
    benefit = {"stønadstype": "TILSYN_BARN_AAP", "brukersNavKontor": None}
    paid = [
        {"beløp": 600 + n, "satstype": "DAGLIG", "fraOgMedDato": day, "tilOgMedDato": day, "stønadsdata": benefit}
        for n, day in enumerate(f"2026-05-{day:02d}" for day in range(4, 9))
    ]
    decided = {"vedtakstidspunkt": "2026-05-04T09:00:00", "saksbehandlerId": "A100001", "beslutterId": "B200002", "utbetalinger": paid}
    body = {"sakId": f"S{number}", "behandlingId": "B1", "iverksettingId": None, "personident": person, "vedtak": decided}
    return json.dumps({**body, "forrigeIverksetting": None}, ensure_ascii=False).encode()


async def _decide(line: Line, body: bytes) -> None:
    """Posts a decision, which must be taken."""
    await line.post(_PATH, body, _TAKEN)


async def _at_a_rate(lines: Sequence[Line], bodies: Sequence[bytes], rate: float) -> list[float]:
    """Milliseconds from when each decision was due to its answer; a late start counts as waiting."""
    # The collector of the one who measures would stand still for 50 ms among some ten thousand calls and their bodies.
    gc.collect()
    gc.freeze()
    free: asyncio.Queue[Line] = asyncio.Queue()
    for line in lines:
        free.put_nowait(line)
    taken: list[float] = []

    async def work(body: bytes, due: float) -> None:
        line = await free.get()
        await _decide(line, body)
        taken.append(1000 * (time.perf_counter() - due))
        free.put_nowait(line)

    began, tasks = time.perf_counter(), []
    for number, body in enumerate(bodies):
        due = began + number / rate
        if (left := due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        tasks.append(asyncio.create_task(work(body, due)))
    await asyncio.gather(*tasks)
    return taken
