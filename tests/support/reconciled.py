"""A hub whose orders are reported to the rail, for tests of reconciliation."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

from lxml import etree

from kvitt.contracts.helved import topics
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Cause, Run, Trigger
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import RAPID
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings
from kvitt.testing import Hub, TestServer, hub
from kvitt.transports.queue.table_queue import TableQueue
from support import rapid_messages
from support.hub_messages import aap, payment_uid

KARI = Operator("kari", "the rail has nothing of it")
SCHEDULED = Cause(Trigger.SCHEDULE)
BY_KARI = Cause(Trigger.OPERATOR, operator=KARI)
MONDAY = datetime(2026, 6, 29, 8, tzinfo=UTC)
_numbers = count(1)


@contextmanager
def reconciled_site(server: TestServer) -> Iterator[Hub]:
    """A hub with a database of its own, on a Monday; in the end all is made again from what is stored."""
    with server.database() as conninfo, hub(conninfo=conninfo, start=MONDAY) as made:
        yield made
        made.check()


def new_case() -> str:
    """The id of a case that no other test has."""
    return f"R-{next(_numbers)}"


def put(site: Hub, amount: int = 700) -> str:
    """An order of a case of its own; returns the case's id."""
    case = new_case()
    site.put(topics.primary_input(Scheme.AAP), case, aap(case, amount, uid=payment_uid(case)))
    return case


def put_need(site: Hub, *amounts: int) -> None:
    """A need of the rapid, of a case of its own; with lines of these amounts, or with the example's."""
    number = next(_numbers)
    names: dict[str, Any] = {"fagsystemId": f"F{number:025}", "utbetalingId": payment_uid(str(number)), "fødselsnummer": f"{number:011}"}
    lines = [rapid_messages.line(sats=amount, delytelseId=place) for place, amount in enumerate(amounts, 1)]
    site.put(RAPID, None, rapid_messages.need(**names, **({"linjer": lines} if lines else {})))


def reconcile(site: Hub) -> Reconcile:
    """What makes runs of this hub."""
    return Reconcile(site.connection, site.ports, site.clock)


def make(site: Hub, area: str = "AAP", cause: Cause = SCHEDULED) -> Run:
    """The next run of an area."""
    days = reconcile(site).next_range(area)
    assert days is not None
    return reconcile(site).make(area, days, cause)


def counts(run: Run) -> Mapping[str, int]:
    """How many orders a run has in each bucket that has any."""
    return {name: found for name in ("accepted", "warned", "rejected", "missing") if (found := getattr(run, name))}


def queued(site: Hub) -> list[bytes]:
    """The messages of reconciliation that have left, in their order, whether the rail has read them yet or not."""
    at_rail = site.connection.execute("SELECT body FROM rail.reconciliation_message ORDER BY sequence").fetchall()
    queue = TableQueue(site.conninfo, Settings().reconciliation_queue)
    try:
        found = [bytes(each.body) for each in queue.receive(1000, 0.0)]
        queue.release()
    finally:
        queue.close()
    return [*(bytes(body) for (body,) in at_rail), *found]


def texts(bodies: Sequence[bytes], path: str) -> list[str | None]:
    """The texts at a path, of all messages in their order."""
    return [each.text for body in bodies for each in etree.fromstring(body).iterfind(path)]
