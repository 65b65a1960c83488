"""The simulator of a test's hub as it runs in a process, many questions at once, stepped by the test; with a server in the rail's place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from kvitt.disbursement.simulation_role import SimulationRole
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import WakeUp
from kvitt.rails.oppdrag.simulation import SimulationClient
from kvitt.testing import Hub
from support.patience import until
from support.simulation_client import OPEN
from support.simulation_server import Act, ScriptedServer

LEASE_SECONDS = 0.4


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
    site: Hub, server: ScriptedServer, *, seconds: float = 60.0, at_once: int = 4, wait_seconds: float = 300.0
) -> Iterator[Steps]:
    """A simulator with a client of its own, under a lease that runs out soon where nobody prolongs it."""
    keeper = LeaseKeeper(site.conninfo, seconds=LEASE_SECONDS)
    role = SimulationRole(
        site.conninfo,
        keeper,
        lambda: SimulationClient(server.access(seconds=seconds, at_once=at_once), now=lambda: OPEN),
        site.clock,
        site.ports,
        wake_up=WakeUp(),
        after=lambda: None,
        rail=site.ports.rails.default.name,
        at_once=at_once,
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
