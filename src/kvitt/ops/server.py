"""Operations of one process, to be started and stopped with it: the pages for probes and scrapes, and the watch over late receipts."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Generic, TypeVar

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kvitt.errors import PortTaken
from kvitt.kernel.clock import Clock
from kvitt.kernel.metrics import METRICS, Counters
from kvitt.ops.certificates import CertificateFigures
from kvitt.ops.figures import FigureReader, ReadLag
from kvitt.ops.http import Page, PageServer
from kvitt.ops.metrics import Metrics, registry_of
from kvitt.ops.readiness import RoleState, database_state, encode, readiness
from kvitt.settings import OpsSettings

_log = structlog.get_logger(__name__)
USUAL_PORT = 9464
"""Taken when no port is set, if it is free."""
_KEPT_SECONDS, _BROKER_KEPT_SECONDS = 1.0, 5.0
_WAIT_SECONDS, _PROBE_WAIT_SECONDS = 8.0, 2.0
_TEXT = "text/plain; charset=utf-8"
Value = TypeVar("Value")
_KEPT_TIMES = 9
"""A value is kept nine times as long as it took to make, so that making it takes a tenth of the time at most; a failure is not."""


class Remembered(Generic[Value]):
    """Returns what `make` returned last, made anew when that is older than `seconds`; a failure is given for `seconds` too.

    `make` runs in a thread of its own, never twice at once; who asks meanwhile waits for the one that runs.
    """

    def __init__(self, make: Callable[[], Value], *, seconds: float, wait_seconds: float) -> None:
        self._make, self._seconds, self._wait_seconds = make, seconds, wait_seconds
        self._lock = threading.Lock()
        self._made: Future[Value] | None = None
        self._until = 0.0

    def __call__(self) -> Value:
        """The value. Raises what `make` raised, TimeoutError when it has not come after `wait_seconds`."""
        with self._lock:
            made = self._made
            if made is None or (made.done() and time.monotonic() >= self._until):
                made = self._made = Future()
                threading.Thread(target=self._run, args=(made,), name="remembered", daemon=True).start()
        return made.result(self._wait_seconds)

    def _run(self, made: "Future[Value]") -> None:
        begun = time.monotonic()
        try:
            value, failure = self._make(), None
        except Exception as error:  # noqa: BLE001 - everyone who asks gets an answer
            value, failure = None, error
        ended = time.monotonic()
        if failure is not None:
            self._until = ended + self._seconds
            made.set_exception(failure)
            return
        self._until = ended + max(self._seconds, (ended - begun) * _KEPT_TIMES)
        made.set_result(value)  # type: ignore[arg-type]


class OpsServer:
    """Serves what a process shows of itself. Start it before the roles, so that a probe sees them begin."""

    def __init__(
        self,
        conninfo: str,
        settings: OpsSettings,
        clock: Clock,
        roles: Callable[[], Sequence[RoleState]],
        *,
        broker_lag: ReadLag | None = None,
        log_topics: Sequence[str] = (),
        counted: Callable[[], Counters] = lambda: METRICS,
        workers: Callable[[], Sequence[int]] | None = None,
        certificates: Mapping[str, Path] = {},
    ) -> None:
        """`roles` says how the roles are doing now, `counted` what was done, `workers` which processes belong to this one, where
        there are any; `certificates` are the files that it shows to others, by whose they are.

        `broker_lag` None means that the log is the embedded one, of which `log_topics` are read.
        """
        self._conninfo, self._settings, self._clock, self._roles = conninfo, settings, clock, roles
        self._figures = FigureReader(conninfo, clock, log_topics)
        figures = Remembered(self._figures, seconds=_KEPT_SECONDS, wait_seconds=_WAIT_SECONDS)
        self._database = Remembered(lambda: database_state(conninfo), seconds=_KEPT_SECONDS, wait_seconds=_PROBE_WAIT_SECONDS)
        self._lag = broker_lag and Remembered(broker_lag, seconds=_BROKER_KEPT_SECONDS, wait_seconds=_PROBE_WAIT_SECONDS)
        self._registry = registry_of(Metrics(counted, figures, roles, self._lag), workers)
        if certificates:
            self._registry.register(CertificateFigures(certificates, clock))
        self._stopping = False

    def start(self) -> None:
        """Listens; returns at once. Raises PortTaken when the port that is set can not be had."""
        self._pages = self._listen()
        _log.info("health and metrics", url=self.url)

    @property
    def url(self) -> str:
        """Where the pages are."""
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._pages.port}"

    def stopping(self) -> None:
        """The process has been asked to stop: it is alive, but not ready any more."""
        self._stopping = True

    def stop(self) -> None:
        """Stops listening."""
        self._pages.close()
        self._figures.close()

    def _listen(self) -> PageServer:
        pages = {"/isalive": _alive, "/isready": self._ready, "/metrics": self._metrics}
        port = self._settings.port
        if port is None:
            # Several processes on one machine need no settings to get along.
            with suppress(OSError):
                return PageServer(self._settings.host, USUAL_PORT, pages)
        try:
            return PageServer(self._settings.host, port or 0, pages)
        except OSError as error:
            raise PortTaken(self._settings.host, port or 0, error.strerror or type(error).__name__) from error

    def _ready(self) -> Page:
        found = readiness(self._stopping, self._roles(), self._database, self._lag, self._clock())
        return Page(HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE, "application/json", encode(found))

    def _metrics(self) -> Page:
        return Page(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._registry))


def _alive() -> Page:
    return Page(HTTPStatus.OK, _TEXT, b"alive\n")
