"""Several intakes share the embedded log: each record is handled once, in its partition's order, whoever comes or goes."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from random import Random

import psycopg
import pytest

from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import Scheme
from kvitt.errors import LeaseLost
from kvitt.formats.topics import EMBEDDED_INPUT_PARTITIONS
from kvitt.kernel.database import connect
from kvitt.kernel.leases import LeaseKeeper, advance, release_leases
from kvitt.kernel.loop import LoopStep
from kvitt.transports.log import intake as intake_module
from kvitt.transports.log.embedded_log import NewRecord, append, make_topics
from kvitt.transports.log.intake import Intake

TOPICS = {primary_input(scheme): scheme for scheme in (Scheme.DAGPENGER, Scheme.AAP)}
Connection = psycopg.Connection[tuple[object, ...]]


class Reader:
    """One intake, whose records are handled at once by moving the position of their partition on."""

    def __init__(self, database: str, handled: list[Incoming]) -> None:
        self.keeper = LeaseKeeper(database, seconds=600.0)
        self.handled, self._opened = handled, ExitStack()
        self.mine: list[Incoming] = []
        self._connection: Connection = self._opened.enter_context(connect(database))
        intake = Intake(database, self.keeper, self._hand, topics=TOPICS, limit=2, look_seconds=0.0)
        self.step: LoopStep = self._opened.enter_context(intake.steps())

    def _hand(self, incoming: Incoming, _lane: int) -> "Future[Outcome]":
        future: Future[Outcome] = Future()
        assert incoming.lease
        assert incoming.follows is not None
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                advance(cursor, [(incoming.lease, incoming.follows, incoming.position)])
        except LeaseLost as error:
            future.set_exception(error)
        else:
            self.handled.append(incoming)
            self.mine.append(incoming)
            future.set_result(Outcome.DERIVED)
        return future

    def leave(self) -> None:
        """In order."""
        self._opened.close()
        self.keeper.close()

    def die(self, connection: Connection) -> None:
        """Killed, and known to be dead by whoever began it."""
        release_leases(connection, self.keeper.owner)
        self.leave()


@pytest.fixture
def log(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    monkeypatch.setattr(intake_module, "_RETAKE_SECONDS", 0.0)
    with connect(database) as connection:
        make_topics(connection, list(TOPICS), EMBEDDED_INPUT_PARTITIONS)
        yield connection


def feed(log: Connection, numbers: range) -> None:
    for number in numbers:
        append(log, [NewRecord(topic, f"{number}".encode(), f"{number}".encode()) for topic in TOPICS], datetime.now(UTC))


@contextmanager
def readers(database: str, count: int) -> Iterator[list[Reader]]:
    handled: list[Incoming] = []
    made = [Reader(database, handled) for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            each.leave()


def assert_once_and_in_order(handled: list[Incoming], records: int) -> None:
    assert set(Counter((each.source, each.partition, each.position) for each in handled).values()) == {1}
    assert len(handled) == records
    places: dict[tuple[str, int], list[int]] = {}
    for each in handled:
        places.setdefault((each.source, each.partition), []).append(each.position)
    assert all(positions == sorted(positions) for positions in places.values())


def test_one_intake_alone_reads_all(database: str, log: Connection) -> None:
    feed(log, range(20))
    with readers(database, 1) as (reader,):
        while reader.step():
            pass
    assert_once_and_in_order(reader.handled, 40)


@pytest.mark.parametrize("count", [2, 3])
def test_each_of_several_intakes_reads_a_fair_part_of_every_topic(database: str, log: Connection, count: int) -> None:
    with readers(database, count) as intakes:
        for each in intakes * 2:
            each.step()
        feed(log, range(200))
        for _ in range(100):
            for each in intakes:
                each.step()
        assert_once_and_in_order(intakes[0].handled, 400)
        for each in intakes:
            parts = {(one.source, one.partition) for one in each.mine}
            assert len(parts) == len(TOPICS) * EMBEDDED_INPUT_PARTITIONS // count, "each has as many partitions as the others"
            assert {one.source for one in each.mine} == set(TOPICS)


@pytest.mark.parametrize("seed", range(5))
def test_whoever_comes_and_goes_each_record_is_handled_once_and_in_its_order(database: str, log: Connection, seed: int) -> None:
    chance, handled, living, fed = Random(seed), list[Incoming](), list[Reader](), 0
    for _ in range(120):
        match chance.randrange(10):
            case 0 if len(living) < 4:
                living.append(Reader(database, handled))
            case 1 if living:
                living.pop(chance.randrange(len(living))).leave()
            case 2 if living:
                living.pop(chance.randrange(len(living))).die(log)
            case 3 | 4:
                feed(log, range(fed, fed + 5))
                fed += 5
            case _ if living:
                chance.choice(living).step()
    living = living or [Reader(database, handled)]
    for _ in range(fed * 2 + 10):
        for each in living:
            each.step()
    for each in living:
        each.leave()
    assert_once_and_in_order(handled, fed * len(TOPICS))
