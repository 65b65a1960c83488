"""Decisions over HTTP: from the request to the order that is durable, as the answer says; many callers at once, and at a fixed rate."""

import asyncio
import gc
import itertools
import json
import socket
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import uvloop
from msgspec.structs import replace

from bench.place import Place
from bench.processes import hub_process
from bench.report import Figure, Target, rounded, tell
from bench.size import Size
from kvitt.api.rest.local_issuer import LocalIssuer
from kvitt.config import load_settings
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.settings import DecisionSettings, RestSettings, ThriftSettings

LEAST_PER_SECOND, MOST_P99_MS = 1_500, 60
_CALLERS, _HOST, _START_SECONDS = 128, "127.0.0.1", 60.0
_HUBS: Final = 2
"""Processes, as many as there are processors; each has its share of the callers, as from a balancer."""
_PATH: Final = "/api/iverksetting/v2"
_FIRST_CHECK: Final = (3, 7, 6, 1, 8, 9, 4, 5, 2)
_SECOND_CHECK: Final = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_OF_A_MONTH: Final = 100_000
_TAKEN: Final = b"202"


def run(place: Place, size: Size) -> None:
    """New cases of tilleggsstønader, each with one decision of a week; the best round counts. All share the same cores."""
    ports = [_free_port() for _ in range(_HUBS)]
    with TemporaryDirectory() as data, place.database() as conninfo, ExitStack() as hubs:
        policy = {Scheme.TILLEGGSSTONADER.value: DecisionSettings(approver_opens=False)}
        rest = RestSettings(calls_per_second=100_000.0, burst=100_000)
        settings = replace(load_settings(), data=Path(data), thrift=ThriftSettings(port=0), decisions=policy)
        token = LocalIssuer(Path(data)).token("bench", [], rest.audience, timedelta(hours=1), [Scheme.TILLEGGSSTONADER])
        for port in ports:
            hubs.enter_context(hub_process(conninfo, ["decisions"], replace(settings, rest=replace(rest, port=port))))
        uvloop.run(_all(place, size, ports, token))
        with connect(conninfo) as connection:
            found = connection.execute("SELECT count(*), count(DISTINCT case_no) FROM orders").fetchone()
    assert found, "counts have a row"
    assert found[0] == found[1], "each case has one order"


async def _all(place: Place, size: Size, ports: Sequence[int], token: str) -> None:
    callers = await _callers(ports, token)
    bodies = _Bodies()
    await _as_they_can(callers, bodies.new(500))
    rates = [await _as_they_can(callers, bodies.new(size.decisions)) for _ in range(size.rounds)]
    on, durability = f"{size.decisions} decisions of {_CALLERS} callers, each of a new case", place.durability()
    samples, target = [rounded(each) for each in rates], Target(least=LEAST_PER_SECOND)
    name = "decisions over HTTP"
    tell(Figure(name=name, value=max(samples), unit="decisions/s", on=on, samples=samples, target=target, durability=durability))
    rate = min(LEAST_PER_SECOND, max(rates)) / 2
    rounds = [await _at_a_rate(callers, bodies.new(int(rate * size.open_loop_seconds)), rate) for _ in range(size.rounds)]
    cuts = [statistics.quantiles(taken, n=100) for taken in rounds]
    best, p99s = min(cuts, key=lambda each: each[98]), [rounded(each[98]) for each in cuts]
    on = f"{int(rate * size.open_loop_seconds)} decisions at {rate:.0f}/s"
    tell(Figure(name=f"{name} p50", value=rounded(best[49]), unit="ms", on=on, durability=durability))
    target = Target(most=MOST_P99_MS)
    tell(Figure(name=f"{name} p99", value=rounded(best[98]), unit="ms", on=on, samples=p99s, target=target, durability=durability))


class _Bodies:
    """Decisions of cases that nobody has posted before, each of a person of its own."""

    def __init__(self) -> None:
        self._made, self._people = 0, _people()

    def new(self, count: int) -> Sequence[bytes]:
        first, self._made = self._made, self._made + count
        return [_decision(number, next(self._people)) for number in range(first, self._made)]


def _people() -> Iterator[str]:
    """Numbers of people with their check digits, whose months tell that nobody has them."""
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


class _Line(asyncio.Protocol):
    """One connection that stays open, with one call at a time on it."""

    def __init__(self, token: str) -> None:
        self._head = (
            f"POST {_PATH} HTTP/1.1\r\nhost: kvitt\r\ncontent-type: application/json\r\nauthorization: Bearer {token}\r\ncontent-length: "
        ).encode()
        self._heard = b""
        self._answer: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if self._answer is None or b"\r\n\r\n" not in self._heard:
            return
        heard, self._heard = self._heard, b""
        if heard[9:12] == _TAKEN:
            self._answer.set_result(None)
        else:
            self._answer.set_exception(RuntimeError(heard.decode(errors="replace")))

    async def call(self, body: bytes) -> None:
        """Posts a decision, which must be taken."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        await self._answer


async def _as_they_can(callers: Sequence[_Line], bodies: Iterable[bytes]) -> float:
    """Decisions per second when every caller takes the next as soon as it has an answer."""
    waiting, done = iter(bodies), 0

    async def work(line: _Line) -> None:
        nonlocal done
        for body in waiting:
            await line.call(body)
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*map(work, callers))
    return done / (time.perf_counter() - began)


async def _at_a_rate(callers: Sequence[_Line], bodies: Sequence[bytes], rate: float) -> list[float]:
    """Milliseconds from when each decision was due to its answer; a late start counts as waiting."""
    # The collector of the one who measures would stand still for 50 ms among some ten thousand calls and their bodies.
    gc.collect()
    gc.freeze()
    free: asyncio.Queue[_Line] = asyncio.Queue()
    for line in callers:
        free.put_nowait(line)
    taken: list[float] = []

    async def work(body: bytes, due: float) -> None:
        line = await free.get()
        await line.call(body)
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


async def _callers(ports: Sequence[int], token: str) -> Sequence[_Line]:
    """Open connections, as soon as all hubs listen; those to one hub lie between those to the others."""
    loop, deadline = asyncio.get_running_loop(), time.monotonic() + _START_SECONDS
    taken_in_turn = list(itertools.islice(itertools.cycle(ports), _CALLERS))
    while True:
        try:
            return [(await loop.create_connection(lambda: _Line(token), _HOST, port))[1] for port in taken_in_turn]
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
