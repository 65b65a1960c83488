"""Whatever becomes of the orders of some days, the rail finds in each run what its own records have, and each order is in one run.

The rail is the emulator, which shares no code with what counts and writes the messages. An order that has not left when its day is reported
is all that may differ: the rail has never had it. On the rapid nothing may: there such an order comes in the run after it has left, and one
that is answered late in the run after the answer, though keys of these runs reach over those of earlier ones.
"""

from collections.abc import Iterator
from enum import Enum
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.contracts.helved import topics
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Cause, RunState, Trigger, read
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import RAPID
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.emulator.judge import RunDifferenceKind
from kvitt.testing import Hub, TestServer, hub
from support import rapid_messages
from support.hub_messages import aap, payment_uid, person_of
from support.tried import tried

BY_KARI = Cause(Trigger.OPERATOR, operator=Operator("kari", "the day is over"))
AREAS = ("AAP", "SPREF")
_numbers = count(1)


class Fate(Enum):
    """Ends of an order on the day on which it is made."""

    ACCEPTED = "accepted"
    WARNED = "warned"
    REFUSED = "refused"
    SILENT = "silent"
    LATE = "late"
    TWICE = "twice"
    UNSENT = "unsent"


ORDER = st.tuples(st.sampled_from(AREAS), st.sampled_from(Fate))
DAYS = st.lists(st.tuples(st.lists(ORDER, max_size=4), st.booleans()), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo) as made:
        yield made


def put(site: Hub, area: str, fate: Fate) -> None:
    """An order in a case of its own, and what becomes of it until the evening."""
    number = next(_numbers)
    case = f"D-{number}"
    if area == "AAP":
        site.put(topics.primary_input(Scheme.AAP), case, aap(case, 100 + number, uid=payment_uid(case)))
    else:
        names = {"fagsystemId": f"F{number:025}", "utbetalingId": payment_uid(case), "fødselsnummer": person_of(case)}
        site.put(RAPID, None, rapid_messages.need(**names))
    struck = {Fate.WARNED: "warn", Fate.REFUSED: "refuse", Fate.SILENT: "swallow", Fate.LATE: "delay", Fate.TWICE: "double"}.get(fate)
    site.rail.fault(delay_seconds=40 * 3600.0, **({struck: 1} if struck else {}))  # type: ignore[arg-type]
    if fate is Fate.UNSENT:
        site.run("intake")
    else:
        site.run()


def unsent(site: Hub) -> int:
    return site.connection.execute("SELECT count(*) FROM orders WHERE state = 'ready' AND area = 'AAP'").fetchall()[0][0]


def report(site: Hub) -> None:
    """Reports all days that are over, and lets the rail judge; what had not left is all that it may miss."""
    # What the rail sends by now is heard before the day is counted.
    site.run("emulator", "receiver")
    reconcile = Reconcile(site.connection, site.ports, site.clock)
    waiting, seen = unsent(site), len(site.rail.reconciliation())
    for area in AREAS:
        days = reconcile.next_range(area)
        if days is not None:
            made = reconcile.make(area, days, BY_KARI)
            site.run("reconciler", "emulator")
            assert read(site.connection, made.run_no).state in (RunState.GOOD, RunState.EMPTY)
    found = [each for run in site.rail.reconciliation()[seen:] for each in run.differences]
    assert {each.what for each in found} <= {RunDifferenceKind.NOT_RECEIVED, RunDifferenceKind.COUNT, RunDifferenceKind.SUM}
    assert sum(each.what is RunDifferenceKind.NOT_RECEIVED for each in found) == waiting
    assert waiting or not found


@tried(12, least=3)
@given(days=DAYS)
def test_the_rail_finds_each_day_as_it_was_reported(site: Hub, days: list[tuple[list[tuple[str, Fate]], bool]]) -> None:
    for orders, is_reported in days:
        for area, fate in orders:
            put(site, area, fate)
        site.clock.advance(days=1)
        if is_reported:
            report(site)
    site.rail.fault()
    site.run()
    site.clock.advance(days=2)
    site.run()
    report(site)
    site.check()
