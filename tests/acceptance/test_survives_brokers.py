"""The hub on Kafka, Artemis and PostgreSQL survives the loss of each of them, and of its own processes, under load.

KVITT_BROKER_KILLS says how often a process is killed (default 10), KVITT_BROKER_DOWN_SECONDS how long the queue broker is away (4),
KVITT_BROKER_BEHIND how many records wait for a hub that was away (150), KVITT_SOAK_SECONDS ends the killing after that time, KVITT_SEED
makes another sequence. All the time records come twice and late. After each test every record has its one final status, the rail got
every order once, and `kvitt check` is clean.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvitt.disbursement.answers import Status
from kvitt.kernel.clock import utc_now
from kvitt.rails.oppdrag.emulator import Faults
from support.broker_site import RAIL, running_site
from support.broker_trial import MOST_UNANSWERED, Killer, Trial
from support.kill_harness_load import TROUBLE

KILLS = int(os.environ.get("KVITT_BROKER_KILLS", "10"))
DOWN_SECONDS = float(os.environ.get("KVITT_BROKER_DOWN_SECONDS", "4"))
BEHIND = int(os.environ.get("KVITT_BROKER_BEHIND", "150"))
SOAK_SECONDS = float(os.environ.get("KVITT_SOAK_SECONDS", "inf"))
SEED = int(os.environ.get("KVITT_SEED", "1"))

pytestmark = pytest.mark.timeout(0 if KILLS > 1000 or BEHIND > 10_000 else 1800)


@pytest.fixture(scope="module")
def trial() -> Iterator[Trial]:
    """The site that all tests here share, each with its own trouble."""
    with running_site() as site:
        trial = Trial(site, SEED)
        site.start("a", "b", RAIL)
        trial.wait(lambda: site.owners == 2, "two hubs do not share the work")
        yield trial
        site.end()
        print(
            f"an operator sent {trial.duty.resent} orders again; {trial.script.doubled} records were doubled, {trial.script.delayed} late"
        )


@pytest.fixture(autouse=True)
def _all_is_proved(trial: Trial) -> Iterator[None]:
    """Whatever a test did: the rail answers everything in the end, and nothing was lost or doubled."""
    yield
    trial.set_faults(Faults())
    trial.prove()


def test_processes_die_at_every_hard_place_and_at_any_moment(trial: Trial) -> None:
    began, killer = time.monotonic(), Killer(trial, SEED)
    trial.set_faults(TROUBLE)
    with trial.load():
        while killer.kills < KILLS and time.monotonic() - began < SOAK_SECONDS:
            killer.kill_one()
        killer.spare()
    print(f"{killer.kills} processes died within {time.monotonic() - began:.0f} s")


def test_the_database_dies(trial: Trial) -> None:
    with trial.load():
        trial.site.kill_database()
        trial.tell("PostgreSQL died", trial.await_movement(trial.marks(), "PostgreSQL died"))


def test_the_log_broker_dies_and_comes_back(trial: Trial) -> None:
    with trial.load():
        trial.site.kafka.kill()
        before = trial.marks()
        trial.site.kafka.restart()
        trial.tell("Kafka died and was started again", trial.await_movement(before, "Kafka died"))


def test_the_queue_broker_dies_and_comes_back(trial: Trial) -> None:
    with trial.load():
        trial.site.artemis.kill()
        before = trial.marks()
        trial.site.artemis.restart()
        trial.tell("Artemis died and was started again", trial.await_movement(before, "Artemis died"))


def test_while_the_queue_broker_is_down_orders_wait_and_are_sent_by_themselves_when_it_is_back(trial: Trial) -> None:
    site = trial.site
    with trial.load() as feeder:
        site.artemis.kill()
        try:
            died_at, back_at = utc_now(), time.monotonic() + DOWN_SECONDS
            fed_before = len(feeder.fed)
            # Everything that may be unanswered may have been on its way to the queue just then.
            feeder.run_ahead(MOST_UNANSWERED)
            trial.wait(lambda: site.count(_READY) and time.monotonic() > back_at, "no order waits for the queue")
            unknown = site.count(_UNKNOWN_SINCE, died_at)
            before = trial.marks()
        finally:
            site.artemis.restart()
        trial.tell(f"Artemis was away for {DOWN_SECONDS:.0f} s", trial.await_movement(before, "Artemis came back"))
    assert unknown == 0, "what could not be put at all is not unknown"
    trial.await_answers()
    asked = [each for each in feeder.fed[fed_before:] if each.wanted is not None]
    assert {answer.status for each in asked for answer in trial.heard.published[each.key][-1:]} == {Status.OK}


_READY = "SELECT count(*) FROM orders WHERE state = 'ready'"
_UNKNOWN_SINCE = "SELECT count(*) FROM orders WHERE state = 'unknown' AND sending_at > %s"


def test_a_killed_and_a_paused_hub_hand_over_and_what_the_paused_one_writes_later_is_refused(trial: Trial) -> None:
    site = trial.site
    for name in site.hubs:
        assert site.processes[name].end() == 0
        site.start(name, static=False)
    with trial.load():
        site.processes["a"].kill()
        trial.tell("one of two hubs was killed", trial.await_movement(trial.marks(), "a hub was killed"))
        trial.wait(lambda: site.owners == 1, "the other hub has not taken all")
        site.start("a", static=False)
        trial.wait(lambda: site.owners == 2, "the new hub has taken nothing")
        with trial.paused("b"):
            trial.tell("one of two hubs was paused", trial.await_movement(trial.marks(), "a hub was paused"))
            trial.wait(lambda: site.owners == 1, "the other hub has not taken all")
            refused = refusals(site.log("b"))
        trial.wait(lambda: refusals(site.log("b")) > refused, "the paused hub was not told that it has lost what it had")
        trial.wait(lambda: site.owners == 2, "the paused hub is not back at work")
        trial.tell("the paused hub went on", trial.await_movement(trial.marks(), "the paused hub went on"))


def refusals(log: Path) -> int:
    """How often a hub heard that what it held has gone to another one."""
    return sum(
        "partitions lost" in line or ("LeaseLost" in line and "held by another" not in line) for line in log.read_text().splitlines()
    )


def test_hubs_that_were_away_work_off_what_waits_for_them(trial: Trial) -> None:
    for name in trial.site.hubs:
        assert trial.site.processes[name].end() == 0
    trial.feed(BEHIND)
    began = time.monotonic()
    trial.site.start(*trial.site.hubs)
    trial.await_answers()
    print(f"{BEHIND} records that waited were answered in {time.monotonic() - began:.1f} s")
