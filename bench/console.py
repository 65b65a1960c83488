"""Pages of the console beside very many orders: how long they take while messages come in, and what they cost those who send these."""

import random
import signal
import statistics
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from bench.console_reader import Page, Reading, reading
from bench.large_store import fill
from bench.latency import arrive
from bench.messages import Feed
from bench.place import Place
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.submit import Writers, per_second, writers
from kvitt import logs
from kvitt.app.console import Console
from kvitt.console_settings import ConsoleSettings
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch_values
from kvitt.kernel.queries import load
from kvitt.settings import Settings

MOST_P99_MS, LEAST_RATIO = 150, 0.95
_SQL: Final = load("fill", package="bench")
_PAGES_PER_SECOND: Final = 5.0
"""How often pages are read where their time is measured: as ten people do who each open one in two seconds."""
_PEOPLE_PER_SECOND: Final = 2.0
"""How often while submit is measured: as ten people do who each open one in five seconds."""
_WARMING, _READ = 1_000, 50
_OPEN: Final = (
    ("unknown", "[]", 0.0002),
    ("ready", '[{"kind": "over_limit", "text": "over the limit"}]', 0.01),
    ("ready", "[]", 0.05),
    ("sent", "[]", 0.05),
)
"""Which parts of the orders are open, in which state and held for what: as on a night before a payday."""
_TIMES_OPEN_LOOP: Final = 8
_AT_ONCE: Final = (Page("overview", "/"), Page("sending", "/sending"))


def _serve(conninfo: str, directory: Path, answer: Connection) -> None:
    logs.set_up(directory, level="warning")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = Settings(data=directory, database_url=conninfo, console=ConsoleSettings(port=0, local_people=True))
    console = Console(conninfo, settings, stop)
    with console.steps():
        answer.send(console.url)
        stop.wait()
    console.close()


@contextmanager
def _console(conninfo: str, directory: Path) -> Iterator[str]:
    """The address of a console in a process of its own."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(conninfo, directory, there), daemon=True)
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def _pages(conninfo: str, orders: int) -> Sequence[Page]:
    """The overview, Sending, some cases, and searches for these; many orders are open, so that there is something to show."""
    with connect(conninfo, application="kvitt bench") as connection:
        for state, held_for, part in _OPEN:
            connection.execute(_SQL.open_orders, {"state": state, "held_for": held_for, "orders": int(part * orders)})
        connection.execute("VACUUM (ANALYZE) orders")
        cases = fetch_values(connection, "SELECT max(case_no) FROM cases")[0]
    some = random.Random(1).sample(range(2, cases), _READ)
    return [
        page
        for case_no in some
        for page in (*_AT_ONCE, Page("case", f"/cases/{case_no}"), Page("search", "/search", f"filled-{case_no - 1}"))
    ]


def _p99s(group: Writers, feed: Feed, reader: Reading, size: Size) -> tuple[dict[str, list[float]], float]:
    """The times of pages while messages arrive at half of what submit gives now, and that rate."""
    rate = per_second(group, feed.new_cases(size.messages)) / 2
    messages = feed.new_cases(int(rate * size.open_loop_seconds * _TIMES_OPEN_LOOP))
    with reader.going_on():
        arrive(group, messages, rate)
    return reader.taken, rate


def _ratios(group: Writers, feed: Feed, reader: Reading, size: Size) -> list[float]:
    """Submit's rate while pages are read, over that of the turns before and after."""
    alone = per_second(group, feed.new_cases(size.messages))
    ratios = []
    for _ in range(2 * size.rounds - 1):
        with reader.going_on():
            read = per_second(group, feed.new_cases(size.messages))
        before, alone = alone, per_second(group, feed.new_cases(size.messages))
        ratios.append(2 * read / (before + alone))
    return ratios


def run(place: Place, size: Size) -> None:
    """A store of so many orders, a console in a process of its own, people who are logged in; the middle one of some ratios counts."""
    feed, durability = Feed(), place.durability()
    on = f"{size.console_orders} orders"
    with place.database() as conninfo, writers(conninfo) as group:
        with connect(conninfo, application="kvitt bench") as connection:
            fill(connection, feed, size.console_orders, of_case=1)
        per_second(group, feed.new_cases(_WARMING))
        pages = _pages(conninfo, size.console_orders)
        with _console(conninfo, place.directory) as url:
            with reading(url, pages, _PEOPLE_PER_SECOND) as reader:
                ratios = _ratios(group, feed, reader, size)
            with reading(url, pages, _PAGES_PER_SECOND) as reader:
                taken, rate = _p99s(group, feed, reader, size)
    for name, milliseconds in taken.items():
        quantiles = statistics.quantiles(milliseconds, n=100)
        report(
            Figure(
                name=f"console, {name} p99",
                value=rounded(quantiles[98]),
                unit="ms",
                on=f"{on}, {len(milliseconds)} times beside {rate:.0f} messages/s",
                samples=[rounded(quantiles[49]), rounded(quantiles[94]), rounded(max(milliseconds))],
                target=Target(most=MOST_P99_MS),
                durability=durability,
            )
        )
    report(
        Figure(
            name="submit beside pages, ratio",
            value=rounded(statistics.median(ratios)),
            unit="1",
            on=f"{on}, {_PEOPLE_PER_SECOND:g} pages/s",
            baseline="submit without pages",
            samples=[rounded(each) for each in ratios],
            target=Target(least=LEAST_RATIO),
            durability=durability,
        )
    )
