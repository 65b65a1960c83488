"""A process with some Kafka roles of a hub, for tests that kill and pause it: CONNINFO BOOTSTRAP GROUP LEASE_SECONDS ROLE..."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kvitt.app.hub import lane_writer
from kvitt.app.ports import PORTS
from kvitt.broker_settings import KafkaSettings
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.submit import Outcome
from kvitt.errors import LeaseLost
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import LoopStep, MakeStep, run_loop
from kvitt.transports.kafka.intake import KafkaIntake
from kvitt.transports.kafka.relay import KafkaRelay


def relay_steps(conninfo: str, keeper: LeaseKeeper, settings: KafkaSettings, stop: threading.Event) -> MakeStep:
    """The relay as a role."""

    @contextmanager
    def steps() -> Iterator[LoopStep]:
        with connect(conninfo) as connection:
            held = keeper.acquire(connection, "relay")
            if held is None:
                raise LeaseLost("held by another process")
            relay = KafkaRelay(connection, utc_now, held.lease, settings)
            try:
                yield lambda: relay.step() or int(stop.wait(0.02))
            finally:
                relay.close()

    return steps


class Roles:
    """The roles, each in a thread, until `close`."""

    def __init__(self, conninfo: str, settings: KafkaSettings, roles: list[str], lease_seconds: float = 5.0) -> None:
        self.stop = threading.Event()
        self.keeper = LeaseKeeper(conninfo, seconds=lease_seconds)
        self.writers: GroupCommit[Incoming, Outcome] = GroupCommit(
            lambda _: lane_writer(conninfo, PORTS, lambda: None), lanes=2, max_batch=32
        )
        makers = {
            "intake": KafkaIntake(
                conninfo, self.keeper, self.writers.submit, settings, topics=list(PORTS.contracts.inputs("intake"))
            ).steps,
            "relay": relay_steps(conninfo, self.keeper, settings, self.stop),
        }
        self.threads = [threading.Thread(target=run_loop, args=(role, makers[role], self.stop)) for role in roles]
        for thread in self.threads:
            thread.start()

    def close(self) -> None:
        """Ends the roles in order."""
        self.stop.set()
        for thread in self.threads:
            thread.join()
        self.writers.close()
        self.keeper.close()


def main(conninfo: str, bootstrap: str, group: str, lease_seconds: str, *roles: str) -> None:
    """Runs until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    working = Roles(conninfo, KafkaSettings(bootstrap=bootstrap, group=group), list(roles), float(lease_seconds))
    signal.sigwait({signal.SIGTERM})
    working.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
