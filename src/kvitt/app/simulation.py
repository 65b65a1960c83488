"""Who asks the rail's simulation: the client at the address that is set, or at the emulator's; nobody, where there is none."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import structlog

from kvitt.disbursement.rail import Schedule
from kvitt.disbursement.simulation import ONCE, Again, AskedSimulation, FailureReason, SimulationFailure, Simulator
from kvitt.disbursement.simulation_role import QuestionPlaces
from kvitt.kernel.clock import Clock
from kvitt.settings import SimulationSettings

_log = structlog.get_logger(__name__)
_EMULATORS_USER: Final = "kvitt"
_EMULATORS_PATH: Final = "/simulerFpServiceWSBinding"
_OFF: Final = "simulation is turned off"
_NOWHERE: Final = "no address of a simulation is set"


class NoSimulator:
    """Answers all questions as outside the rail's hours: there is nobody to ask."""

    def __init__(self, why: str) -> None:
        self._why = why
        _log.warning("dry runs are answered as outside the rail's hours", why=why)

    def ask(self, question: bytes, *, seconds: float | None = None, again: Again = ONCE) -> "Future[AskedSimulation]":  # noqa: ARG002
        """The same answer to every question, at once."""
        future: Future[AskedSimulation] = Future()
        future.set_result(AskedSimulation(SimulationFailure(FailureReason.CLOSED, self._why)))
        return future

    def close(self) -> None:
        """Nothing is open."""


def simulator_of(settings: SimulationSettings, schedule: Schedule, clock: Clock, emulator_url: str | None) -> Callable[[], Simulator]:
    """Returns what opens the simulator that is set; `emulator_url` is where this process plays the rail, if it does.

    Opening raises OSError when a file of certificates can not be used.
    """
    if not settings.on:
        return lambda: NoSimulator(_OFF)
    if not settings.url and emulator_url is None:
        return lambda: NoSimulator(_NOWHERE)
    return lambda: _client(settings, schedule, clock, emulator_url or "")


def places_of(settings: SimulationSettings) -> QuestionPlaces:
    """How many questions are asked at a time."""
    return QuestionPlaces(settings.at_once, settings.hanging, settings.hangs_seconds)


def _client(settings: SimulationSettings, schedule: Schedule, clock: Clock, emulator_url: str) -> Simulator:
    # Imported here: a process that asks nothing need not wait for it.
    from kvitt.rails.oppdrag.simulation import SimulationAccess, SimulationClient
    from kvitt.rails.oppdrag.simulation_tokens import ProxyAccess, TokenService

    proxy = (
        ProxyAccess(settings.proxy_url, settings.proxy_client_id, settings.proxy_client_secret, settings.proxy_scope)
        if settings.proxy_url
        else None
    )
    tokens = TokenService(settings.token_url, settings.user, settings.password) if settings.token_url else None
    access = SimulationAccess(
        url=settings.url or emulator_url + _EMULATORS_PATH,
        token_service=tokens if settings.url else TokenService(emulator_url, _EMULATORS_USER, _EMULATORS_USER),
        proxy=proxy,
        ca_file=settings.ca_file,
        certificate_file=settings.certificate_file,
        key_file=settings.key_file,
        connect_seconds=settings.connect_seconds,
        seconds=settings.seconds,
        at_once=places_of(settings).most,
    )
    return SimulationClient(access, schedule, clock)
