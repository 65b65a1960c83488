"""The hub over real Kafka and Artemis: rate to the final status, latency to MOTTATT, catching up, and the ratios to the embedded run."""

import statistics
import threading
import time
from contextlib import ExitStack
from itertools import count

from confluent_kafka import Message

from bench import end_to_end
from bench.brokers import FINAL, Neighbour, Site, site
from bench.place import Place
from bench.processes import hub_process, resident_mib
from bench.report import Figure, Target, rounded, tell
from bench.size import Size
from kvitt.store.database import connect

LEAST_PER_SECOND, MOST_P99_MS, MOST_GROWTH = 400, 250, 1.25
_ROLES = ("intake", "relay", "sender", "receiver")
_RECEIVED = b'"status":"MOTTATT"'
_BROKERS = "Kafka acks=all on one node, Artemis with a synced journal, PostgreSQL, hub and rail on the same cores"


class _Finals:
    """Counts the messages that have their final status."""

    def __init__(self) -> None:
        self.keys: set[bytes] = set()

    def __call__(self, message: Message) -> None:
        value, key = message.value() or b"", message.key() or b""
        if any(final in value for final in FINAL):
            self.keys.add(key)


def _rate(place: Place, at: Site, messages: int) -> float:
    """Messages per second from the first one sent to the last final status heard, once everything has warmed up."""
    settings, warming = at.settings(), max(messages // 10, 100)
    with place.database() as conninfo, hub_process(conninfo, ["emulator"], settings), hub_process(conninfo, _ROLES, settings):
        neighbour, finals = Neighbour(at), _Finals()
        for number in range(warming):
            neighbour.send(number)
        neighbour.flush()
        neighbour.hear(lambda: len(finals.keys) >= warming, finals)
        started = time.perf_counter()
        for number in range(warming, warming + messages):
            neighbour.send(number)
        neighbour.flush()
        neighbour.hear(lambda: len(finals.keys) >= warming + messages, finals)
        seconds = time.perf_counter() - started
        neighbour.close()
    return messages / seconds


def _latencies(place: Place, at: Site, rate: float, seconds: float) -> list[float]:
    """Milliseconds from when each message was due to when its MOTTATT was heard, at a fixed rate."""
    settings, warming, messages = at.settings(), 200, int(rate * seconds)
    with place.database() as conninfo, hub_process(conninfo, ["emulator"], settings), hub_process(conninfo, _ROLES, settings):
        neighbour, finals = Neighbour(at), _Finals()
        for number in range(warming):
            neighbour.send(number)
        neighbour.flush()
        neighbour.hear(lambda: len(finals.keys) >= warming, finals)
        due: dict[bytes, float] = {}
        taken: dict[bytes, float] = {}

        def send() -> None:
            began = time.perf_counter()
            for number in range(messages):
                at_time = began + number / rate
                if (left := at_time - time.perf_counter()) > 0:
                    time.sleep(left)
                due[f"{neighbour.run}/{warming + number}".encode()] = at_time
                neighbour.send(warming + number)
            neighbour.flush()

        def told(message: Message) -> None:
            key = message.key() or b""
            if _RECEIVED in (message.value() or b"") and key in due and key not in taken:
                taken[key] = 1000 * (time.perf_counter() - due[key])

        sender = threading.Thread(target=send)
        sender.start()
        neighbour.hear(lambda: len(taken) >= messages, told)
        sender.join()
        neighbour.close()
    return list(taken.values())


def _catch_up(place: Place, at: Site, waiting: int) -> tuple[float, list[float]]:
    """Messages per second that the intake takes in when so many wait, and the RAM of its process after each fifth of them."""
    settings = at.settings()
    neighbour = Neighbour(at)
    for number in range(waiting):
        neighbour.send(number)
    neighbour.flush()
    neighbour.close()
    resident: list[float] = []
    with ExitStack() as running:
        conninfo = running.enter_context(place.database())
        connection = running.enter_context(connect(conninfo, application="kvitt bench"))
        started = time.perf_counter()
        hub = running.enter_context(hub_process(conninfo, ["intake"], settings))
        for fifth in count(1):
            while _messages(connection, neighbour.run) < fifth * waiting // 5:
                time.sleep(0.1)
            resident.append(rounded(resident_mib(hub)))
            if fifth == 5:
                return waiting / (time.perf_counter() - started), resident
    raise AssertionError("counts to five")


def _messages(connection: object, run: str) -> int:
    row = connection.execute("SELECT count(*) FROM messages WHERE key LIKE %s", (f"{run}/%".encode(),)).fetchone()  # type: ignore[attr-defined]
    return int(row[0])


def run(place: Place, size: Size) -> None:
    """New cases of dagpenger with 14 days each; hub and rail in a process each; the best round counts."""
    durability = place.durability()
    embedded = end_to_end.per_second(place, size.end_to_end, apart=True)
    with site() as at:
        rates = [_rate(place, at, size.end_to_end) for _ in range(size.rounds)]
        tell(
            Figure(
                name="end to end over brokers",
                value=rounded(max(rates)),
                unit="messages/s",
                on=f"{size.end_to_end} messages of 14 days; {_BROKERS}",
                ratio=rounded(max(rates) / embedded),
                baseline=f"embedded log and queue in the same run, {rounded(embedded)} messages/s",
                samples=[rounded(rate) for rate in rates],
                target=Target(least=LEAST_PER_SECOND),
                durability=durability,
            )
        )
        rate = max(rates) / 2
        rounds = [statistics.quantiles(_latencies(place, at, rate, size.open_loop_seconds), n=100) for _ in range(size.rounds)]
        best = min(rounds, key=lambda each: each[98])
        on = f"{int(rate * size.open_loop_seconds)} messages at {rate:.0f}/s; {_BROKERS}"
        tell(Figure(name="MOTTATT over brokers p50", value=rounded(best[49]), unit="ms", on=on, durability=durability))
        p99s, target = [rounded(each[98]) for each in rounds], Target(most=MOST_P99_MS)
        tell(
            Figure(
                name="MOTTATT over brokers p99",
                value=rounded(best[98]),
                unit="ms",
                on=on,
                samples=p99s,
                target=target,
                durability=durability,
            )
        )
        per_second, resident = _catch_up(place, at, size.waiting)
        tell(
            Figure(
                name="catching up",
                value=rounded(per_second),
                unit="messages/s",
                on=f"{size.waiting} messages waiting in Kafka, intake alone",
                durability=durability,
            )
        )
        tell(
            Figure(
                name="memory while catching up",
                value=resident[-1],
                unit="MiB resident",
                on=f"{size.waiting} messages waiting in Kafka, intake alone",
                ratio=rounded(resident[-1] / resident[0]),
                baseline="the same after a fifth of the messages",
                samples=resident,
                target=Target(most=MOST_GROWTH * resident[0]),
                durability=durability,
            )
        )
