"""Catching up: what the intake does with a great many messages that waited in Kafka, and what it keeps in RAM meanwhile."""

import time
from typing import Any

import psycopg

from bench.brokers import Neighbour, Site, begin_here, site
from bench.place import Place
from bench.processes import hub_process, resident_mib
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from bench.spent import Meter
from kvitt.kernel.database import connect

MOST_GROWTH = 1.25
_LOOKS, _LOOK_SECONDS, _LONGEST_SECONDS = 5, 0.2, 900.0


def _caught_up(place: Place, at: Site, waiting: int, meter: Meter) -> tuple[float, list[float]]:
    """Messages per second that the intake takes in, and the RAM of its process after each fifth of them."""
    settings, neighbour = at.settings(), Neighbour(at)
    begin_here(settings)
    for number in range(waiting):
        neighbour.send(number)
    neighbour.flush()
    neighbour.close()
    resident = []
    with place.database() as conninfo, connect(conninfo, application="kvitt bench") as connection:
        started = time.perf_counter()
        with hub_process(conninfo, ["intake"], settings) as hub, meter.counting(hub):
            for look in range(1, _LOOKS + 1):
                _wait_for(connection, neighbour.keys, look * waiting // _LOOKS)
                resident.append(rounded(resident_mib(hub)))
            return waiting / (time.perf_counter() - started), resident


def _wait_for(connection: psycopg.Connection[Any], keys: bytes, messages: int) -> None:
    """Until so many have come in. Raises TimeoutError."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < deadline:
        row = connection.execute("SELECT count(*) FROM messages WHERE key LIKE %s", (keys,)).fetchone()
        if row and row[0] >= messages:
            return
        time.sleep(_LOOK_SECONDS)
    raise TimeoutError(f"the intake did not take in {messages} messages within {_LONGEST_SECONDS:.0f} s")


def run(place: Place, size: Size) -> None:
    """New cases of dagpenger with 14 days each, all sent before the process with the intake starts; its start counts."""
    with site() as at:
        meter = place.meter()
        rate, resident = _caught_up(place, at, size.waiting, meter)
        on = f"{size.waiting} messages waiting in Kafka, the intake alone in its process"
        durability, spent = place.durability(), meter.spent(size.waiting)
        name, unit = "catching up", "messages/s"
        report(Figure(name=name, value=rounded(rate), unit=unit, on=on, durability=durability, brokers=at.durability, spent=spent))
        report(
            Figure(
                name="memory while catching up",
                value=resident[-1],
                unit="MiB resident",
                on=on,
                ratio=rounded(resident[-1] / resident[0]),
                baseline="the same after a fifth of the messages",
                samples=resident,
                target=Target(most=rounded(MOST_GROWTH * resident[0])),
                durability=durability,
                brokers=at.durability,
            )
        )
