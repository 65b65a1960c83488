"""The simulator of a test's hub as it runs in a process, many questions at once, stepped by the test; with a server in the rail's place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from kvitt.disbursement.simulation_role import QuestionPlaces, SimulationRole
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import WakeUp
from kvitt.rails.oppdrag.simulation import SimulationAccess, SimulationClient
from kvitt.testing import Hub
from support.patience import until
from support.simulation_client import OPEN
from support.simulation_server import Act, ScriptedServer

LEASE_SECONDS = 0.4
AT_ONCE = QuestionPlaces(at_once=4, hanging=0, hangs_seconds=5.0)


class Steps:
    """Steps a simulator that has its lease."""

    def __init__(self, step: Callable[[], int]) -> None:
        self.step = step

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Steps until it is so."""

        def looks() -> bool:
            self.step()
            return condition()

        until(looks, what=what)


@contextmanager
def simulating(
    site: Hub, server: ScriptedServer, *, seconds: float = 60.0, places: QuestionPlaces = AT_ONCE, wait_seconds: float = 300.0
) -> Iterator[Steps]:
    """A simulator that asks the server, under a lease that runs out soon where nobody prolongs it."""
    access = server.access(seconds=seconds, at_once=places.most)
    with simulating_at(site, access, places=places, wait_seconds=wait_seconds) as steps:
        yield steps


@contextmanager
def simulating_at(site: Hub, access: SimulationAccess, *, places: QuestionPlaces, wait_seconds: float = 300.0) -> Iterator[Steps]:
    """The same, at any address."""
    keeper = LeaseKeeper(site.conninfo, seconds=LEASE_SECONDS)
    role = SimulationRole(
        site.conninfo,
        keeper,
        lambda: SimulationClient(access, now=lambda: OPEN),
        site.clock,
        site.ports,
        wake_up=WakeUp(),
        after=lambda: None,
        rail=site.ports.rails.default.name,
        places=places,
        wait_seconds=wait_seconds,
    )
    try:
        with role.steps() as step:
            yield Steps(step)
    finally:
        keeper.close()


def by_case(acts: dict[str, Act], otherwise: Act) -> Act:
    """Does what is said for the case that a question is about."""

    def act(handler: BaseHTTPRequestHandler, server: ScriptedServer) -> None:
        body = server.bodies[handler]
        found = (each for case, each in acts.items() if f"<fagsystemId>{case}<".encode() in body)
        next(found, otherwise)(handler, server)

    return act
