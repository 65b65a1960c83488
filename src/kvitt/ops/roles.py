"""How the roles of this process are doing: each one's loop is watched from outside, step by step (hub/loop)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from kvitt.errors import LeaseLost
from kvitt.kernel.clock import Clock
from kvitt.kernel.loop import MakeStep, Step
from kvitt.kernel.metrics import METRICS, Counted

SILENT_AFTER = timedelta(seconds=60)
"""A step waits for a moment when there is nothing to do. One that has not come back for this long hangs."""


class Condition(StrEnum):
    """What a role is doing; only the first two are as they should be."""

    WORKS = "works"
    STANDS_BY = "stands by"
    BEGINS = "begins"
    STARTS_ANEW = "starts anew"
    SILENT = "silent"


class RoleState(Struct, frozen=True):
    """A role's condition and since when; `fault` is the type of what stopped it last, until a step has succeeded again.

    A role stands by while another process holds its lease.
    """

    role: str
    condition: Condition
    since: datetime
    stepped_at: datetime
    fault: str | None = None
    at_fault: str | None = None


class RoleBoard:
    """The states of the roles of one process. Each is written by its own thread, as one value, and may be read by any."""

    def __init__(self, clock: Clock, roles: Sequence[str] = ()) -> None:
        """`roles` are those that will begin: until they have, they are seen as beginning."""
        self._clock = clock
        now = clock()
        self._states: dict[str, RoleState] = {role: RoleState(role, Condition.BEGINS, now, now) for role in roles}

    def watched(self, role: str, make_step: MakeStep) -> MakeStep:
        """The same role, seen: what its steps do is counted, what fails is noted and raised on."""
        now = self._clock()
        self._states[role] = RoleState(role, Condition.BEGINS, now, now)

        @contextmanager
        def steps() -> Iterator[Step]:
            try:
                with make_step() as step:
                    yield lambda: self._step(role, step)
            except Exception as error:
                self._failed(role, error)
                raise

        return steps

    def states(self) -> Sequence[RoleState]:
        """How every role is doing now."""
        now = self._clock()
        return [_silent(state) if _hangs(state, now) else state for state in list(self._states.values())]

    def _step(self, role: str, step: Callable[[], int]) -> int:
        done = step()
        now, state = self._clock(), self._states[role]
        if state.condition is Condition.WORKS:
            self._states[role] = replace(state, stepped_at=now)
        else:
            self._states[role] = RoleState(role, Condition.WORKS, now, now)
        if done and role not in _COUNTED_BY_THE_HUB:
            METRICS.batch(role, done)
            if role == "relay":
                METRICS.add(Counted.RELAYED, times=done)
        return done

    def _failed(self, role: str, error: Exception) -> None:
        now, state = self._clock(), self._states[role]
        condition = Condition.STANDS_BY if isinstance(error, LeaseLost) else Condition.STARTS_ANEW
        since = state.since if state.condition is condition else now
        self._states[role] = RoleState(role, condition, since, now, type(error).__name__, _blamed(error))
        if condition is Condition.STARTS_ANEW:
            METRICS.add(Counted.RESTARTS, role)


_COUNTED_BY_THE_HUB = frozenset({"intake", "rapid", "emulator"})
"""What an intake hands in is not yet a batch: the writers make those."""


def _hangs(state: RoleState, now: datetime) -> bool:
    return state.condition in (Condition.WORKS, Condition.BEGINS) and now - state.stepped_at > SILENT_AFTER


def _silent(state: RoleState) -> RoleState:
    return replace(state, condition=Condition.SILENT, since=state.stepped_at)


def _blamed(error: Exception) -> str:
    """What outside of kvitt is at fault, as far as the error tells."""
    if isinstance(error, psycopg.Error):
        return "database"
    # Kafka's client is not loaded where it is not used, so its errors are known by name.
    if isinstance(error, ConnectionError | TimeoutError) or type(error).__name__ == "KafkaException":
        return "broker"
    return "kvitt"
