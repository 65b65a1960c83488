"""A site under load, watched: what was fed to it, what was heard from it, the operator on duty, and the proof when all is over."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from random import Random

import pytest

from kvitt.kernel.database import connect
from kvitt.kernel.fault_points import FAULT_POINTS
from kvitt.rails.oppdrag.emulator import Faults, set_faults
from support.broker_duty import Duty
from support.broker_load import Heard, KafkaLog, Unruly
from support.broker_site import RAIL, Marks, Site
from support.kill_harness import Watch
from support.kill_harness_load import PAUSE_SECONDS, Fed, Feeder
from support.kill_harness_proof import prove
from support.patience import PATIENCE_SECONDS, stretched, until

_STUCK_SECONDS, _STUCK_WHILE_PAUSED_SECONDS = 12.0, 45.0
"""After how long without any movement the queue broker is suspected; it waits half a minute for a consumer that is paused."""

_LOOK_SECONDS = 0.1
"""Each look counts rows of all tables, and takes from the hubs what it costs."""
_RECORDS_PER_SECOND = 20
MOST_UNANSWERED = 80
_PAUSE_SECONDS = 2 * PAUSE_SECONDS
"""Members of a consumer group are missed only after seconds, in which the load goes on: half as much is still under way at any death."""
_MOST_DEATHS_AT_ONCE = 5
_STEPS_BETWEEN_KILLS = 75
_ANY_MOMENT = "any moment"
_OPEN_ENDS = """
SELECT %s - (SELECT count(*) FROM messages WHERE state = 'answered') + (SELECT count(*) FROM unpublished)
"""
_TOLD = "SELECT count(*) FROM outbox WHERE topic = 'helved.status.v1'"
_WITHOUT_RECEIPT = "SELECT count(*) FROM orders WHERE state = 'sent'"


class Trial:
    """One site for many tests; each feeds more to it and proves all of it."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site, self.duty, self.heard, self.script = site, Duty(site), Heard(site.kafka.address), Unruly(seed)
        self.fed: list[Fed] = []
        self._stuck_seconds = _STUCK_SECONDS

    def set_faults(self, faults: Faults) -> None:
        """Tells the rail how to behave from now on."""
        with connect(self.site.server.conninfo) as connection:
            set_faults(connection, faults)

    def feed(self, records: int) -> None:
        """Feeds so many records at once, whether anybody reads them or not."""
        log, goal = self._log(), len(self.fed) + records
        while len(self.fed) < goal:
            batch = self.script.batch()
            until(lambda batch=batch: log.append(batch), what="the brokers take nothing")  # type: ignore[misc]
            self.fed += batch
        log.close()

    def _log(self) -> KafkaLog:
        return KafkaLog(self.site.kafka.address, Watch(self.site.data), len(self.fed))

    @contextmanager
    def load(self) -> Iterator[Feeder]:
        """Feeds for as long as the block runs, which is entered when all parts are at work."""
        feeder = Feeder(self._log(), self.script.batch, most_unanswered=MOST_UNANSWERED, pause_seconds=_PAUSE_SECONDS)
        feeder.start()
        try:
            self.await_movement(self.marks(), "the load began")
            yield feeder
            feeder.stop()
        finally:
            feeder.abandon()
            self.fed += feeder.fed

    def marks(self) -> Marks:
        """How far everything has got, as soon as the database can tell."""
        found: dict[str, int] = {}

        def published() -> bool:
            found.update(self.site.marks() or {})
            return bool(found)

        self.wait(published, "nobody could tell how far the hub is")
        return found

    def await_movement(self, before: Marks, after: str, look: Callable[[], object] = lambda: None) -> float:
        """Waits until every part has got further than before; returns the seconds. `look` is called again and again meanwhile."""
        began = time.monotonic()
        self.wait(lambda: look() or self.site.has_passed(before), f"work did not go on after {after}")
        return time.monotonic() - began

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """A process stands still for as long as the block runs."""
        self._stuck_seconds = _STUCK_WHILE_PAUSED_SECONDS
        self.site.processes[name].signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.site.processes[name].signal(signal.SIGCONT)
            self._stuck_seconds = _STUCK_SECONDS

    def wait(self, holds: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits for a condition, while the operator is on duty; fails with what the processes said last."""
        try:
            until(lambda: holds() or self._look_after(), seconds=seconds, every=_LOOK_SECONDS)
        except AssertionError:
            pytest.fail(f"{what}\n{self.site.last_words()}")

    def _look_after(self) -> None:
        """What operators do; what a broker gave to a consumer that died may be stuck in it until it starts anew (docs/queues.md)."""
        self.duty.look()
        if self.duty.still_seconds > stretched(self._stuck_seconds) and self.site.count(_WITHOUT_RECEIPT):
            print(f"the queue broker is started anew, because it keeps {self.site.count(_WITHOUT_RECEIPT)} messages to itself")
            self.site.artemis.restart()
            self.duty.begin_anew()

    def tell(self, what: str, seconds: float) -> None:
        """Prints how soon work went on, and how often statuses were published once more on the way."""
        print(f"{what}: works again after {seconds:.1f} s, {self.heard.listen()} statuses repeated")

    def prove(self) -> None:
        """Waits until everything is answered; fails when anything was lost, doubled, left unknown, or is paid otherwise than accepted."""
        self.await_answers()
        prove(self.site.server.conninfo, self.fed, self.heard.published)

    def await_answers(self) -> None:
        """Waits until everything that was fed is answered, and every answer is heard."""
        began = time.monotonic()
        self.wait(self._all_is_answered, "not everything was answered", PATIENCE_SECONDS + len(self.fed) / _RECORDS_PER_SECOND)
        # A transaction that is committed is seen a moment later, when the brokers have marked its partitions.
        self.wait(self._all_is_heard, "not every status stands on Kafka")
        print(f"{len(self.fed)} records so far, all answered {time.monotonic() - began:.1f} s after the last")

    def _all_is_heard(self) -> bool:
        self.heard.listen()
        return self.heard.events == self.site.count(_TOLD)

    def _all_is_answered(self) -> bool:
        return self.site.watch.rows(_OPEN_ENDS, len(self.fed)) == [(0,)]


class Killer:
    """Lets the processes of a site die under load, the hubs at named places or after a while, and revives them."""

    def __init__(self, trial: Trial, seed: int) -> None:
        self.kills = 0
        self._trial, self._site, self._chance = trial, trial.site, Random(seed)
        self._places = (f"{place}:{visit}" for visit in cycle((1, 2, 5)) for place in FAULT_POINTS)
        self._doomed: dict[str, str] = {}
        self._died: list[str] = []

    def kill_one(self) -> None:
        """Returns when at least one process has died and all parts are at work again."""
        goal = self._trial.marks()["relay"] + _STEPS_BETWEEN_KILLS
        self._trial.wait(lambda: self._revive() or (self._site.marks() or {"relay": 0})["relay"] >= goal, "no progress under load")
        if not self._died:
            self._site.processes[self._chance.choice(list(self._site.processes))].kill()
            self._revive()
        seconds = self._trial.await_movement(self._trial.marks(), ", ".join(self._died), self._revive_quietly)
        self._trial.tell(f"{' and '.join(self._died)} died", seconds)
        self._died = []

    def spare(self) -> None:
        """Hubs that are not to die any more take the places of those that are."""
        for name in self._site.hubs:
            self._site.processes[name].kill()
            self._site.start(name)

    def _revive(self) -> Sequence[str]:
        for name, process in list(self._site.processes.items()):
            if process.is_dead:
                process.await_death()
                self._died.append(f"{name} ({self._doomed.get(name, _ANY_MOMENT)})")
                self.kills += 1
                spared = name == RAIL or len(self._died) > _MOST_DEATHS_AT_ONCE
                self._doomed[name] = _ANY_MOMENT if spared else next(self._places)
                self._site.start(name, die_at="" if spared else self._doomed[name])
        return self._died

    def _revive_quietly(self) -> None:
        self._revive()
