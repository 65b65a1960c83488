"""Operations of one process, to be started and stopped with it: the pages for probes and scrapes, and the watch over late receipts."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from http import HTTPStatus

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kvitt.config import OpsSettings
from kvitt.errors import PortTaken
from kvitt.kernel.clock import Clock
from kvitt.kernel.loop import Step, run_loop
from kvitt.kernel.metrics import METRICS
from kvitt.ops.alarms import AlarmWatch, Patience
from kvitt.ops.figures import FigureReader, ReadLag
from kvitt.ops.http import Page, PageServer
from kvitt.ops.metrics import Metrics, registry_of
from kvitt.ops.readiness import encode, missing_migrations, readiness
from kvitt.ops.remembered import Remembered
from kvitt.ops.roles import RoleState
from kvitt.rules.opening_hours import OpeningHours

_log = structlog.get_logger(__name__)
USUAL_PORT = 9464
"""Taken when no port is set, if it is free."""
_KEPT_SECONDS, _BROKER_KEPT_SECONDS = 1.0, 5.0
_PATIENCE_SECONDS, _PROBE_PATIENCE_SECONDS = 8.0, 2.0
_TEXT = "text/plain; charset=utf-8"


class OpsServer:
    """What a process shows of itself. Start it before the roles, so that a probe sees them begin."""

    def __init__(
        self,
        conninfo: str,
        settings: OpsSettings,
        clock: Clock,
        roles: Callable[[], Sequence[RoleState]],
        *,
        broker_lag: ReadLag | None = None,
    ) -> None:
        """`roles` says how the roles are doing now. `broker_lag` None means that the log is the embedded one."""
        self._conninfo, self._settings, self._clock, self._roles = conninfo, settings, clock, roles
        self._figures = FigureReader(conninfo, clock, embedded_log=broker_lag is None)
        figures = Remembered(self._figures, seconds=_KEPT_SECONDS, patience_seconds=_PATIENCE_SECONDS)
        self._database = Remembered(lambda: missing_migrations(conninfo), seconds=_KEPT_SECONDS, patience_seconds=_PROBE_PATIENCE_SECONDS)
        self._lag = broker_lag and Remembered(broker_lag, seconds=_BROKER_KEPT_SECONDS, patience_seconds=_PROBE_PATIENCE_SECONDS)
        self._registry = registry_of(Metrics(METRICS, figures, roles, self._lag))
        self._stop = threading.Event()
        self._stopping = False

    def start(self) -> None:
        """Listens and watches; returns at once. Raises PortTaken when the port that is set can not be had."""
        self._pages = self._listen()
        patience = Patience(hours_of(self._settings), timedelta(minutes=self._settings.receipt_after_minutes))
        self._watch = AlarmWatch(self._conninfo, self._clock, patience)
        self._thread = threading.Thread(target=run_loop, args=("alarms", self._watch_steps, self._stop), name="alarms", daemon=True)
        self._thread.start()
        _log.info("health and metrics", url=self.url)

    @property
    def url(self) -> str:
        """Where the pages are."""
        host = self._settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._pages.port}"

    def stopping(self) -> None:
        """The process was told to stop: it is alive, but not ready any more."""
        self._stopping = True

    def stop(self) -> None:
        """Stops listening and watching."""
        self._stop.set()
        # A look that hangs ends with the process: it holds nothing that another could not do.
        self._thread.join(_PATIENCE_SECONDS)
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
        found = readiness(self._stopping, self._roles(), self._database, self._lag)
        return Page(HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE, "application/json", encode(found))

    def _metrics(self) -> Page:
        return Page(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self._registry))

    @contextmanager
    def _watch_steps(self) -> Iterator[Step]:
        with self._watch.steps() as step:
            yield lambda: step() or self._rest()

    def _rest(self) -> int:
        self._stop.wait(self._settings.look_seconds)
        return 0


def _alive() -> Page:
    return Page(HTTPStatus.OK, _TEXT, b"alive\n")


def hours_of(settings: OpsSettings) -> OpeningHours:
    """The rail's opening hours as they are set."""
    return OpeningHours(settings.rail_opens, settings.rail_closes, settings.rail_every_day)
