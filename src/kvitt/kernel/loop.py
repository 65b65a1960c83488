"""Loops: how a role runs for ever. It is made, stepped until something fails, and made anew after a growing wait."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from socket import MSG_DONTWAIT, socket

import psycopg
import structlog

from kvitt.errors import KvittError, LeaseLost
from kvitt.kernel.state_log import StateLog

_log = structlog.get_logger(__name__)
_private = structlog.get_logger("kvitt.restricted")
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.05, 1.0

LoopStep = Callable[[], int]
"""Does what there is to do and returns how much that was; waits a little by itself when there is nothing."""
MakeStep = Callable[[], AbstractContextManager[LoopStep]]
"""Opens what a role needs (connections, leases) and closes it again."""


class WakeUp:
    """Wakes a loop of the same process when there is work; a loop that hears nothing looks by itself now and then."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def notify(self) -> None:
        """There is work."""
        self._event.set()

    def sleep(self, seconds: float) -> None:
        """Waits until notified, or until `seconds` have passed."""
        self._event.wait(seconds)
        self._event.clear()


class WakeLine:
    """Joins the processes of one hub: who notifies a wake-up of the line wakes the loops behind it in all of them.

    A wake-up is known by its number, so every process makes the same ones in the same order. Nothing here is a fact: what is not heard
    is found by the next look.
    """

    def __init__(self, hears: socket | None = None, says: Sequence[socket] = ()) -> None:
        """Datagrams of one byte come in by `hears`, and go out by `says`, one socket for each other process. None: there are no others."""
        self._hears, self._says = hears, says
        self._wake_ups: list[_LineWakeUp] = []

    def wake_up(self) -> WakeUp:
        """The next wake-up of the line."""
        made = _LineWakeUp(bytes([len(self._wake_ups)]), self._says)
        self._wake_ups.append(made)
        return made

    def listen(self) -> None:
        """From now on what others say is heard, by a thread that lives as long as the process, or until an empty word comes in."""
        if self._hears is not None:
            threading.Thread(target=self._hear, args=(self._hears,), name="wake-ups", daemon=True).start()

    def _hear(self, hears: socket) -> None:
        while word := hears.recv(1):
            self._wake_ups[word[0]].wake()


class _LineWakeUp(WakeUp):
    """One wake-up of a line."""

    def __init__(self, word: bytes, says: Sequence[socket]) -> None:
        super().__init__()
        self._word, self._says = word, says

    def notify(self) -> None:
        self.wake()
        for each in self._says:
            # Whoever has not heard so many words yet will look anyway.
            with suppress(OSError):
                each.send(self._word, MSG_DONTWAIT)

    def wake(self) -> None:
        """There is work; who said so has said it to all."""
        super().notify()


def run_loop(role: str, make_step: MakeStep, stop: threading.Event, states: StateLog | None = None) -> None:
    """Runs a role until stopped. Nothing that a step raises ends the role: it starts anew, and its log says what has changed.

    `states` None: a log of its own.
    """
    states = states or StateLog(_log)
    wait_seconds = _FIRST_WAIT_SECONDS
    while not stop.is_set():
        try:
            with make_step() as step:
                while not stop.is_set():
                    if step():
                        wait_seconds = _FIRST_WAIT_SECONDS
                    _works(role, states)
        except Exception as error:  # noqa: BLE001 - a role outlives every failure and starts anew; the log says what has changed
            _log_failure(role, error, states)
            stop.wait(wait_seconds)
            wait_seconds = min(wait_seconds * 2, _LONGEST_WAIT_SECONDS)


def _works(role: str, states: StateLog) -> None:
    if (state := states.state_of(role)) is not None:
        states.leaves(role, "role takes over" if state is LeaseLost else "role works again", role=role)


def _log_failure(role: str, error: Exception, states: StateLog) -> None:
    """Logs what a role is in now; the words of an error only where they are known to quote nothing of a message."""
    reason = str(error).partition("\n")[0][:200]
    if isinstance(error, LeaseLost):
        states.enters(role, LeaseLost, "info", "role stands by", role=role, reason=reason)
        return
    name = type(error).__name__
    quoted = reason if _quotes_nothing(error) else "see the restricted log"
    if states.enters(role, (name, reason), "warning", "role starts anew", role=role, error=name, reason=quoted) and quoted is not reason:
        _private.warning("role starts anew", role=role, error=name, reason=reason)


def _quotes_nothing(error: Exception) -> bool:
    """Faults of connections and servers, and our own that are no sender's doing. Kafka's client is not loaded where it is not used."""
    if isinstance(error, KvittError):
        return error.who != "caller"
    return isinstance(error, OSError | psycopg.OperationalError) or type(error).__name__ == "KafkaException"
