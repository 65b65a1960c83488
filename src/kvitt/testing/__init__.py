"""A hub for other people's tests: the real one, on a real PostgreSQL, with the payment rail played by the emulator.

    import kvitt.testing

    with kvitt.testing.hub() as hub:
        hub.put("aap.utbetaling.v1", "key-1", {"sakId": "S-1", ...})
        hub.run()
        assert [each.json["status"] for each in hub.published("helved.status.v1")][-1] == "OK"
        hub.check()

Needs nothing but kvitt: no PostgreSQL, no broker, no pytest. The first hub of a process starts a server, which ends with the process;
each hub has a database of its own. Docs: docs/testing.md.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime

from kvitt.disbursement.ports import Ports
from kvitt.rails.oppdrag.emulator import DamageForm
from kvitt.settings import Settings
from kvitt.testing.clock import START, HandClock
from kvitt.testing.hub import Differs, Hub, NotDone, PublishedRecord, PutRecord
from kvitt.testing.rail import EmulatedRail, SentOrder
from kvitt.testing.server import TestServer, server, shared_server

__all__ = [
    "START",
    "DamageForm",
    "Differs",
    "EmulatedRail",
    "HandClock",
    "Hub",
    "NotDone",
    "PublishedRecord",
    "PutRecord",
    "SentOrder",
    "TestServer",
    "hub",
    "server",
    "shared_server",
]


@contextmanager
def hub(
    *, settings: Settings | None = None, start: datetime = START, conninfo: str | None = None, ports: Ports | None = None
) -> Iterator[Hub]:
    """A hub for the block, on a database of its own that is dropped afterwards; `conninfo` names a migrated one to use instead.

    `settings` are as for `kvitt run`, where they apply: log and queue are tables of the database, the rail is the emulator. The clock
    begins at `start`. `ports` are the contracts that the hub keeps, if not all that come with kvitt.
    """
    with ExitStack() as opened:
        where = conninfo or opened.enter_context(shared_server().database())
        made = Hub(where, settings or Settings(), start, ports)
        opened.callback(made.close)
        yield made
