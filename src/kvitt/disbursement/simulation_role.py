"""The simulator of one rail: takes requests, asks many of them at once, each about another case, and answers who asked (design §14).

Nothing waits for the rail but the request that is asked: no transaction is open meanwhile, and no other role looks here. One that hangs
gives its place to another.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.ports import Ports
from kvitt.disbursement.simulate import RAIL_SECONDS, CheckEnded, EndedRequest, RequestsToAsk, Simulate, nobody_checks
from kvitt.disbursement.simulation import ONCE, Again, AskedSimulation, FailureReason, SimulationFailure, Simulator
from kvitt.disbursement.simulation_requests import Asker, RequestWithQuestions
from kvitt.errors import LeaseLost
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import LOCK_MS, TRANSACTION_MS, connect
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import LoopStep, WakeUp
from kvitt.kernel.metrics import AT_THE_RAIL, METRICS

_LOOK_SECONDS: Final = 0.2
_OVERDUE_SECONDS: Final = 1.0
"""Between two looks for requests that have waited too long."""


class QuestionPlaces(Struct, frozen=True):
    """How many requests are asked at a time: `at_once`, and as many as `hanging` that have had no answer for `hangs_seconds`."""

    at_once: int
    hanging: int
    hangs_seconds: float

    @property
    def most(self) -> int:
        """How many may be under way in all."""
        return self.at_once + self.hanging

    def free(self, ages: Iterable[float], others: int = 0) -> int:
        """How many more may be asked beside those that have been asked for so many seconds, and `others`, which wait for nothing there."""
        since = [*ages]
        prompt = sum(age < self.hangs_seconds for age in since)
        return max(0, min(self.at_once - prompt, self.most - len(since) - others))


class SimulationRole:
    """One simulator of a rail at a time, by lease."""

    def __init__(
        self,
        conninfo: str,
        keeper: LeaseKeeper,
        open_simulator: Callable[[], Simulator],
        clock: Clock,
        ports: Ports,
        *,
        wake_up: WakeUp,
        after: Callable[[], None],
        rail: str,
        places: QuestionPlaces,
        wait_seconds: float,
        rail_seconds: float = RAIL_SECONDS,
        on_check: CheckEnded = nobody_checks,
    ) -> None:
        """Requests are asked as far as there are `places`; one that waits longer than `wait_seconds` for its turn is answered without it.

        The rail is done after `rail_seconds` with what it was at work on when nobody listened any more.
        `after` is called when some have ended. The simulator is opened for the first question.
        """
        self._conninfo, self._keeper, self._open_simulator, self._clock, self._ports = conninfo, keeper, open_simulator, clock, ports
        self._wake_up, self._after, self._rail, self._places = wake_up, after, rail, places
        self._wait_seconds, self._rail_seconds, self._on_check = wait_seconds, rail_seconds, on_check
        self._term, self._looks_at = 0, 0.0

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Takes the lease, asks again what a simulator before us left, and returns the step of the loop."""
        with connect(self._conninfo, application="kvitt simulator", transaction_ms=TRANSACTION_MS, lock_timeout_ms=LOCK_MS) as connection:
            self._term += 1
            grant = self._keeper.acquire(connection, simulator_lease(self._rail))
            if grant is None:
                raise LeaseLost(f"{simulator_lease(self._rail)} is held by another process")
            simulate = Simulate(
                connection,
                self._clock,
                self._ports,
                grant.lease,
                self._term,
                rail=self._rail,
                wait_seconds=self._wait_seconds,
                rail_seconds=self._rail_seconds,
                on_check=self._on_check,
            )
            asking = _Asking(self._open_simulator, self._ports, self._wake_up)
            try:
                asking.begin(simulate.take_over())
                yield lambda: self._step(simulate, asking)
            finally:
                asking.close()

    def _step(self, simulate: Simulate, asking: "_Asking") -> int:
        answered = asking.answered()
        asking.locked = simulate.end(answered)
        ended = len(answered) - len(asking.locked) + self._end_overdue(simulate)
        done = ended
        if free := asking.free(self._places):
            taken = simulate.take(free, asking.cases)
            asking.begin(taken)
            ended += taken.ended
            done = ended + len(taken.to_ask)
        if ended:
            self._after()
        if not done:
            self._wake_up.sleep(_LOOK_SECONDS)
        return done

    def _end_overdue(self, simulate: Simulate) -> int:
        """Answers who waits in vain: where no place becomes free, taking requests would not come to it."""
        if time.monotonic() < self._looks_at:
            return 0
        self._looks_at = time.monotonic() + _OVERDUE_SECONDS
        return simulate.end_overdue()


class _UnderWay(NamedTuple):
    """A request that is being asked, the answers to its first questions, and when the one after them was asked."""

    found: RequestWithQuestions
    answers: tuple[AskedSimulation, ...]
    since: float


class _Asking:
    """Keeps what is being asked. The client's thread puts answers in a queue; all else is done by the role's own."""

    def __init__(self, open_simulator: Callable[[], Simulator], ports: Ports, wake_up: WakeUp) -> None:
        self._open, self._ports, self._wake_up = open_simulator, ports, wake_up
        self._simulator: Simulator | None = None
        self._came: SimpleQueue[tuple[int, AskedSimulation]] = SimpleQueue()
        self._requests: dict[int, _UnderWay] = {}
        self.locked: list[EndedRequest] = []
        """Answered by the rail, and not published yet: somebody else has locked their cases."""

    def free(self, places: QuestionPlaces) -> int:
        """How many more may be asked; one that waits to be published takes the place of one that hangs."""
        now = time.monotonic()
        return places.free((now - each.since for each in self._requests.values()), len(self.locked))

    @property
    def cases(self) -> list[int]:
        """The cases that are asked about, or of which something waits to be published."""
        asked = (each.found for each in self._requests.values())
        return [each.request.case_no for each in (*asked, *(ended.found for ended in self.locked))]

    def begin(self, taken: RequestsToAsk) -> None:
        """Asks the first question of each; those that have ended and could not be published wait for that."""
        self.locked += taken.left
        for each in taken.to_ask:
            self._ask(each, ())

    def answered(self) -> list[EndedRequest]:
        """Those that have all their answers, or one that makes further questions useless; the next questions of others are asked."""
        ended = self.locked
        while True:
            try:
                number, asked = self._came.get_nowait()
            except Empty:
                return ended
            found, before, _ = self._requests.pop(number)
            answers = (*before, asked)
            if len(answers) < len(found.questions) and not isinstance(asked.outcome, SimulationFailure):
                self._ask(found, answers)
            else:
                ended.append(EndedRequest.by(found, answers))

    def close(self) -> None:
        """Takes back what is under way."""
        if self._simulator:
            self._simulator.close()

    def _ask(self, found: RequestWithQuestions, answers: tuple[AskedSimulation, ...]) -> None:
        """Asks the question after those that are answered."""
        number = found.request.request_no
        self._simulator = self._simulator or self._open()
        begun = time.monotonic()
        self._requests[number] = _UnderWay(found, answers, begun)
        future = self._simulator.ask(found.questions[len(answers)].question, again=self._again(found))
        future.add_done_callback(lambda done: self._take_in(number, done, begun))

    def _again(self, found: RequestWithQuestions) -> Again:
        if found.request.asker is not Asker.MESSAGE:
            return ONCE
        return next(each.asks_again for each in self._ports.contracts if each.name == found.request.contract)

    def _take_in(self, number: int, done: "Future[AskedSimulation]", begun: float) -> None:
        METRICS.took(AT_THE_RAIL, time.monotonic() - begun)
        try:
            asked = done.result()
        except CancelledError:
            return  # the client is being closed
        except Exception as error:  # noqa: BLE001 - whatever happened to it is its outcome
            asked = AskedSimulation(SimulationFailure(FailureReason.OUR_FAULT, type(error).__name__), at_work=True)
        self._came.put((number, asked))
        self._wake_up.notify()


def simulator_lease(rail: str) -> str:
    """The lease under which a rail is asked."""
    return f"simulator:{rail}"
