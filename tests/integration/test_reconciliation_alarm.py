"""An area that is not reconciled in time is an alarm until nothing of it is left to report; metrics say what has not left, and how long."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from kvitt.contracts.helved import topics
from kvitt.disbursement.reconcile.consistency import Consistency
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Cause, Run, RunState, Trigger
from kvitt.disbursement.values import Area, Scheme
from kvitt.kernel.operators import Operator
from kvitt.ops.alarms import ReconciliationDeadline, list_alarms, watch_reconciliation
from kvitt.ops.figures import read_figures
from kvitt.ops.metrics import figures_of
from kvitt.testing import Hub, TestServer, hub
from support.hub_messages import aap, payment_uid

MONDAY = datetime(2026, 6, 29, 8, tzinfo=UTC)
TUESDAY_AT_HALF_PAST_SIX = datetime(2026, 6, 30, 4, 30, tzinfo=UTC)
DEADLINE = ReconciliationDeadline({Area("AAP"): "reconcile AAP", Area("DP"): "reconcile DP"}, timedelta(hours=1))


@pytest.fixture
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    """A hub with an order of AAP on a Monday, whose area is due on Tuesday morning."""
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, start=MONDAY) as made:
        made.put(topics.primary_input(Scheme.AAP), "A-1", aap("A-1", uid=payment_uid("A-1")))
        made.run()
        due(made, TUESDAY_AT_HALF_PAST_SIX)
        yield made


def due(site: Hub, moment: datetime) -> None:
    """The schedule has the area next at this moment."""
    site.connection.execute("DELETE FROM jobs WHERE name = 'reconcile AAP'")
    site.connection.execute(
        "INSERT INTO jobs (name, timetable, catch_up, next_due, next_try) VALUES ('reconcile AAP', '', 'last', %(at)s, %(at)s)",
        {"at": moment},
    )


def look(site: Hub) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    raised, cleared = watch_reconciliation(site.connection, site.clock(), DEADLINE)
    return [(each.area, each.kind) for each in raised], [(each.area, each.kind) for each in cleared]


def make(site: Hub) -> Run:
    """What the job does: makes the run, and is next due on the day after."""
    reconcile = Reconcile(site.connection, site.ports, site.clock)
    days = reconcile.next_range("AAP")
    assert days is not None
    made = reconcile.make("AAP", days, Cause(Trigger.SCHEDULE))
    due(site, TUESDAY_AT_HALF_PAST_SIX + timedelta(days=1))
    return made


def metrics(site: Hub) -> Mapping[str, int]:
    """Figures as a scrape shows them, whole, by the first letters of their labels, those that are not 0."""
    families = [each for each in figures_of(read_figures(site.connection, site.clock())) if each.name.startswith("kvitt_reconciliation")]
    found = {" ".join((each.name, *each.labels.values())): int(each.value) for family in families for each in family.samples}
    return {name.removeprefix("kvitt_reconciliation_"): value for name, value in found.items() if value}


def test_a_run_that_is_due_and_not_made_is_reported_once_and_again_when_it_has_left(site: Hub) -> None:
    site.clock.set(TUESDAY_AT_HALF_PAST_SIX + timedelta(minutes=59))
    assert look(site) == ([], [])
    site.clock.advance(minutes=2)
    assert look(site) == ([("AAP", "interface")], [])
    assert look(site) == ([], [])
    (alarm,) = list_alarms(site.connection, cleared=False, limit=10)
    assert (alarm.kind, alarm.area, alarm.order_id, alarm.cleared_at) == ("no reconciliation", "AAP", None, None)
    assert metrics(site) == {"late_seconds AAP": 61 * 60}
    make(site)
    assert look(site) == ([], [])
    site.run("reconciler")
    assert look(site) == ([], [("AAP", "interface")])
    assert list_alarms(site.connection, cleared=False, limit=10) == []
    assert metrics(site) == {}
    assert [each.kind for each in list_alarms(site.connection, cleared=True, limit=10)] == ["no reconciliation"]


def test_a_run_that_is_made_and_does_not_leave_is_late_as_well(site: Hub) -> None:
    site.clock.set(TUESDAY_AT_HALF_PAST_SIX)
    make(site)
    site.clock.advance(minutes=59)
    assert look(site) == ([], [])
    site.clock.advance(minutes=2)
    assert metrics(site) == {"messages ready": 3, "oldest_seconds": 61 * 60}
    assert look(site) == ([("AAP", "interface")], [])
    site.run("reconciler")
    assert look(site) == ([], [("AAP", "interface")])


def begin_to_name(site: Hub) -> int:
    """A caller's run of which the end never comes; returns its number."""
    begun = {"day": MONDAY.date(), "now": site.clock()}
    rows = site.connection.execute(
        """INSERT INTO reconciliation_runs (run_id, rail, area, kind, form, first_day, last_day, last_at, trigger, made_by, made_at, state)
           VALUES (gen_random_uuid(), 'oppdrag', 'AAP', 'consistency', 'helved', %(day)s, %(day)s, %(now)s, 'call', 'x', %(now)s,
                   'making')
           RETURNING run_no""",
        begun,
    )
    return int(rows.fetchall()[0][0])


def test_lines_that_a_caller_began_to_name_are_late_until_an_operator_drops_them(site: Hub) -> None:
    run_no = begin_to_name(site)
    site.clock.advance(hours=2)
    assert look(site) == ([("AAP", "consistency")], [])
    Consistency(site.connection, site.ports, site.clock).drop(run_no, Operator("kari", "its caller is gone"))
    assert (look(site), metrics(site)) == (([], [("AAP", "consistency")]), {})


def test_lines_that_a_caller_began_to_name_are_late_until_a_later_run_has_left(site: Hub) -> None:
    begin_to_name(site)
    site.clock.advance(hours=2)
    assert look(site) == ([("AAP", "consistency")], [])
    later = Consistency(site.connection, site.ports, site.clock).make("AAP", Cause(Trigger.CALL, "x"))
    assert (later.state, look(site)) == (RunState.MADE, ([], []))
    site.run("reconciler")
    assert (look(site), metrics(site)) == (([], [("AAP", "consistency")]), {})
    assert look(site) == ([], [])


def test_an_area_that_is_not_reconciled_here_raises_none(site: Hub) -> None:
    site.connection.execute("UPDATE jobs SET name = 'reconcile SPREF'")
    site.clock.advance(days=30)
    assert look(site) == ([], [])


def test_a_run_of_which_nobody_knows_how_far_it_came_waits_for_a_person(site: Hub) -> None:
    site.clock.set(TUESDAY_AT_HALF_PAST_SIX)
    run = make(site)
    site.connection.execute("UPDATE reconciliation_messages SET state = 'unknown' WHERE place = 1")
    assert metrics(site) == {"messages ready": 2, "messages unknown": 1}
    stuck = site.connection.execute("SELECT area, why, ends_by FROM kvitt_views.stuck WHERE what = 'reconciliation unknown'").fetchall()
    assert stuck == [("AAP", f"nobody knows whether 1 messages of run {run.run_no} reached the queue", "kvitt reconcile resolve")]


def test_a_receipt_of_no_order_is_an_alarm_until_it_is_closed(site: Hub) -> None:
    site.connection.execute(
        "INSERT INTO receipts (rail, message_id, digest, place, body, received_at, outcome)"
        " VALUES ('oppdrag', 'x', sha256('x'), 0, 'x', %s, 'unmatched')",
        (site.clock(),),
    )
    assert [(each.kind, each.rail) for each in list_alarms(site.connection, cleared=False, limit=10)] == [
        ("receipt of no order", "oppdrag")
    ]
