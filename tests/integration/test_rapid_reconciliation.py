"""Reconciliation that the rapid asks for: each record once, up to its day, in every area of its contract; and what is published of it."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.reconcile.jobs import Triggers, trigger_job
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import DayRange, Run
from kvitt.disbursement.submit import Outcome
from kvitt.formats.topics import RAPID
from kvitt.kernel.jobs import Scheduler, list_jobs
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import WakeUp
from kvitt.testing import Hub
from support.hub_stage import Row
from support.rapid_messages import clock_event, manual_event
from support.rapid_stage import Rapid, other_case

WEDNESDAY, THURSDAY, FRIDAY = "2026-07-01", "2026-07-02", "2026-07-03"


def at(day: str, hour: int = 7) -> datetime:
    return datetime.fromisoformat(f"{day}T{hour:02}:00:00").replace(tzinfo=UTC)


def do_due(rapid: Rapid, *, on: bool = True) -> int:
    """Does what records asked for, as the job does."""
    with rapid.connection.transaction():
        return Triggers(rapid.connection, rapid.ports, rapid.clock, on=on).do_due()


def triggers(rapid: Rapid) -> list[Row]:
    return rapid.rows("SELECT up_to::text, done_at IS NOT NULL, outcome FROM reconciliation_triggers ORDER BY trigger_no")


def runs(rapid: Rapid) -> list[Row]:
    columns = "area, first_day::text, last_day::text, orders, trigger, made_by, trigger_no IS NOT NULL"
    return rapid.rows(f"SELECT {columns} FROM reconciliation_runs ORDER BY run_no")


def good(rapid: Rapid) -> None:
    """All messages of all runs are put."""
    rapid.hub.run("reconciler")
    assert rapid.one("SELECT count(*) FROM reconciliation_runs WHERE state = 'made'") == 0


def person_need(number: int) -> dict[str, Any]:
    """A need that pays the person, and not the employer."""
    return other_case(number, fagområde="SP", mottaker="24068715888")


def test_a_record_is_taken_once_with_its_batch_and_a_broken_one_holds_up_nothing(rapid: Rapid) -> None:
    record = rapid.record(clock_event(THURSDAY))
    broken = [rapid.record(clock_event(day)) for day in (None, "torsdag")]
    assert rapid.submit([record, rapid.record(other_case(1)), *broken, rapid.record(clock_event(THURSDAY, time=10))]) == [
        Outcome.TRIGGERED,
        Outcome.DERIVED,
        Outcome.DEAD,
        Outcome.DEAD,
        Outcome.SKIPPED,
    ]
    rapid.submit([record, rapid.record(manual_event(THURSDAY))])
    assert [up_to for up_to, *_ in triggers(rapid)] == [WEDNESDAY, THURSDAY]
    assert [reason for (reason,) in rapid.rows("SELECT reason FROM dead_letters ORDER BY dead_no")] == [
        "dagen is missing",
        "dagen must be a day as yyyy-MM-dd",
    ]
    assert rapid.one("SELECT count(*) FROM messages") == 1


def test_a_record_that_can_not_be_stored_is_kept_and_sinks_none_of_its_neighbours(rapid: Rapid) -> None:
    rapid.connection.execute(b"ALTER TABLE reconciliation_triggers ADD CHECK (up_to <> '2026-07-01')")
    assert rapid.ask(other_case(1), clock_event(THURSDAY), manual_event(THURSDAY)) == [Outcome.DERIVED, Outcome.DEAD, Outcome.TRIGGERED]
    assert str(rapid.one("SELECT reason FROM dead_letters")).startswith("CheckViolation")
    assert [up_to for up_to, *_ in triggers(rapid)] == [THURSDAY]


def test_nine_oclock_reconciles_every_area_of_the_contract_up_to_the_day_before(rapid: Rapid) -> None:
    rapid.ask(other_case(1), other_case(2), person_need(3))
    rapid.finish()
    rapid.clock.set(at(THURSDAY))
    rapid.ask(clock_event(THURSDAY), other_case(4))
    rapid.finish()
    assert do_due(rapid) == 1
    assert do_due(rapid) == 0
    head = (WEDNESDAY, WEDNESDAY)
    by = ("event", "tbd.rapid.v1/0/4", True)
    assert sorted(runs(rapid)) == sorted([("SPREF", *head, 2, *by), ("SP", *head, 1, *by)])
    ((_, done, outcome),) = triggers(rapid)
    assert done
    assert "SPREF 2026-07-01: run" in str(outcome)
    rapid.ask(clock_event(THURSDAY))
    do_due(rapid)
    assert len(runs(rapid)) == 2
    assert "SP all days up to that one are reconciled" in str(triggers(rapid)[1][2])


def test_a_manual_record_is_taken_on_a_sunday_and_a_day_that_is_not_over_comes_later(rapid: Rapid) -> None:
    rapid.clock.set(at(FRIDAY))
    rapid.ask(other_case(1))
    rapid.finish()
    rapid.clock.set(at("2026-07-05"))
    rapid.ask(other_case(2), manual_event("2026-07-05"), manual_event("2026-07-09"))
    rapid.finish()
    do_due(rapid)
    assert [run[:4] for run in runs(rapid)] == [("SPREF", FRIDAY, "2026-07-04", 1), ("SP", FRIDAY, "2026-07-04", 0)]
    rapid.clock.set(at("2026-07-06"))
    rapid.ask(clock_event("2026-07-06"))
    do_due(rapid)
    assert [run[:4] for run in runs(rapid)[2:]] == [("SPREF", "2026-07-05", "2026-07-05", 1), ("SP", "2026-07-05", "2026-07-05", 0)]


def test_an_area_that_fails_is_tried_later_and_the_others_are_made(rapid: Rapid, monkeypatch: pytest.MonkeyPatch) -> None:
    rapid.ask(other_case(1), person_need(2))
    rapid.finish()
    rapid.clock.set(at(THURSDAY))
    rapid.ask(clock_event(THURSDAY))
    make = Reconcile.make

    def fails(self: Reconcile, area: str, days: DayRange, *rest: Any, **named: Any) -> Run:
        run = make(self, area, days, *rest, **named)
        if area == "SPREF":
            raise RuntimeError("in the middle of it")
        return run

    with monkeypatch.context() as patched:
        patched.setattr(Reconcile, "make", fails)
        assert do_due(rapid) == 1
    assert [run[0] for run in runs(rapid)] == ["SP"]
    ((_, done, outcome),) = triggers(rapid)
    assert (done, "SPREF failed: RuntimeError" in str(outcome)) == (False, True)
    assert do_due(rapid) == 0
    rapid.clock.advance(seconds=6)
    assert do_due(rapid) == 1
    assert [run[0] for run in runs(rapid)] == ["SP", "SPREF"]
    assert triggers(rapid)[0][1]


def test_a_good_run_is_published_under_its_own_id_and_names_its_cause(rapid: Rapid) -> None:
    rapid.ask(other_case(1), other_case(2))
    rapid.finish()
    rapid.clock.set(at(THURSDAY))
    asked = clock_event(THURSDAY)
    rapid.ask(asked, key=b"klokka")
    do_due(rapid)
    rapid.published()
    good(rapid)
    ((key, event),) = rapid.published()
    run_id, first, last = rapid.rows(
        "SELECT run_id::text, first_key::bigint, last_key::bigint FROM reconciliation_runs WHERE area = 'SPREF'"
    )[0]
    assert key == b"klokka"
    assert [event[name] for name in ("@event_name", "@id", "dagen", "fagområde", "antall_oppdrag")] == [
        "avstemming",
        run_id,
        WEDNESDAY,
        "SPREF",
        2,
    ]
    assert event["detaljer"] == {"nøkkel_fom": first, "nøkkel_tom": last, "antall_oppdrag": 2, "antall_avstemmingsmeldinger": 3}
    assert event["@forårsaket_av"] == {"id": asked["@id"], "opprettet": asked["@opprettet"], "event_name": "hel_time"}
    assert rapid.ask(event) == [Outcome.SKIPPED]


def test_where_others_reconcile_a_record_is_noted_and_nothing_is_made(rapid: Rapid) -> None:
    rapid.ask(other_case(1))
    rapid.clock.set(at(THURSDAY))
    rapid.ask(clock_event(THURSDAY))
    assert do_due(rapid, on=False) == 1
    assert (runs(rapid), triggers(rapid)[0][1]) == ([], True)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE reconciliation_triggers SET up_to = up_to - 1",
        "UPDATE reconciliation_triggers SET body = body || ' '::bytea || '7'::bytea",
        "UPDATE reconciliation_runs SET trigger_no = NULL",
        "UPDATE outbox SET value = value || ' '::bytea WHERE event_id IN (SELECT run_id FROM reconciliation_runs)",
        "UPDATE outbox SET event_id = gen_random_uuid() WHERE event_id IN (SELECT run_id FROM reconciliation_runs)",
    ],
)
def test_the_check_finds_what_was_not_asked_for_and_not_published_so(database: str, change: str) -> None:
    rapid = Rapid(database)
    try:
        rapid.ask(other_case(1))
        rapid.finish()
        rapid.clock.set(at(THURSDAY))
        rapid.ask(clock_event(THURSDAY))
        do_due(rapid)
        good(rapid)
        assert check(database, PORTS).clean
        rapid.connection.execute(change.encode())
        assert not check(database, PORTS).clean
    finally:
        rapid.close()


def test_from_the_topic_to_the_queue_and_back_to_the_topic(kvitt_hub: Hub) -> None:
    """Through the real reader, scheduler, sender and relay."""
    hub, jobs = kvitt_hub, [trigger_job(kvitt_hub.ports, kvitt_hub.clock)]
    hub.put(RAPID, "24068715888", other_case(1))
    hub.run()
    hub.clock.set(at(THURSDAY))
    hub.put(RAPID, None, clock_event(THURSDAY))
    hub.put(RAPID, None, clock_event(None))
    hub.run()
    with closing(LeaseKeeper(hub.conninfo, seconds=600.0)) as keeper:
        scheduler = Scheduler(hub.conninfo, keeper, jobs, hub.clock, WakeUp())
        scheduler.define(hub.connection)
        hub.clock.advance(seconds=5)
        assert scheduler.run_due(hub.connection) == 1
    assert list_jobs(hub.connection)[0].outcome == "records that asked for reconciliation: 1"
    hub.run()
    assert [run.differences for run in hub.rail.reconciliation()] == [()]
    assert all(run.agrees for run in hub.rail.reconciliation())
    (event,) = [each for each in hub.published(RAPID) if each.json["@event_name"] == "avstemming"]
    assert (event.key, event.json["fagområde"], event.json["antall_oppdrag"]) == (None, "SPREF", 1)
    hub.check()
