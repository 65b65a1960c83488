"""Messages of reconciliation leave once and in the order of their run, whatever ends in between; a run is good when the last one is put."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from kvitt.contracts.helved import topics
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Cause, Run, RunState, Trigger, listing, message_states, messages, read
from kvitt.disbursement.reconcile.send import resolve, run_sender
from kvitt.disbursement.values import Scheme
from kvitt.errors import AlreadyReconciled, LeaseLost, NotInThatState
from kvitt.formats.topics import RAPID
from kvitt.kernel.clock import oslo, utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.fault_points import OF_RECONCILIATION
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import WakeUp
from kvitt.kernel.operators import Operator
from kvitt.kernel.queue import Queue
from kvitt.settings import Settings
from kvitt.testing import Hub, TestServer, hub
from kvitt.transports.queue.table_queue import TableQueue
from support.hub_messages import aap, payment_uid, tp
from support.patience import PATIENCE_SECONDS, until
from support.rapid_messages import manual_event
from support.reconciled import put_need
from support.weak_queue import Weak

KVITT = "from kvitt.app.main import main; main()"
KARI = Operator("kari", "the broker's log has it")
MONDAY = datetime(2026, 6, 29, 8, tzinfo=UTC)
OTHERS = ("intake", "sender", "emulator", "receiver", "relay")
"""All roles that work beside the one that sends runs."""
_numbers = count(1)


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, start=MONDAY) as made:
        yield made
        made.check()


@pytest.fixture
def run(site: Hub) -> Run:
    return made_run(site)


def made_run(site: Hub) -> Run:
    """A run of three messages that waits to be sent; nothing else does."""
    case = f"Q-{next(_numbers)}"
    site.put(topics.primary_input(Scheme.AAP), case, aap(case, uid=payment_uid(case)))
    site.run(*OTHERS)
    site.clock.advance(days=1)
    reconcile = Reconcile(site.connection, site.ports, site.clock)
    days = reconcile.next_range("AAP")
    assert days is not None
    made = reconcile.make("AAP", days, Cause(Trigger.OPERATOR, operator=KARI))
    assert (made.messages, message_states(site.connection, made.run_no)) == (3, {"ready": 3})
    return made


def ids(site: Hub, made: Run) -> list[str]:
    query = b"SELECT message_id::text FROM reconciliation_messages WHERE run_no = %s ORDER BY place"
    return [name for (name,) in site.connection.execute(query, (made.run_no,))]


def send(site: Hub, queue: Queue, attempts: int = 1) -> None:
    """What the role does: one attempt after the other, each from its beginning."""
    site.connection.execute("UPDATE leases SET until = '-infinity' WHERE lease LIKE 'reconciler:%'")
    keeper = LeaseKeeper(site.conninfo, seconds=600.0)
    sender = run_sender(site.conninfo, keeper, lambda: queue, site.clock, site.ports, rail="oppdrag", wake_up=_Awake())
    for _ in range(attempts):
        try:
            with sender.steps() as step:
                while step():
                    continue
        except ConnectionError:
            continue
    keeper.close()


class _Awake(WakeUp):
    def sleep(self, seconds: float) -> None:
        """Nobody waits."""


def now(site: Hub, made: Run) -> tuple[RunState, dict[str, int]]:
    return read(site.connection, made.run_no).state, {**message_states(site.connection, made.run_no)}


def test_while_the_queue_is_down_all_of_it_stays_ready_and_leaves_later(site: Hub, run: Run) -> None:
    send(site, Weak(["down"] * 5), 5)
    assert now(site, run) == (RunState.MADE, {"ready": 3})
    queue = Weak(["before", "before", "down"])
    send(site, queue, 4)
    assert (now(site, run), queue.had) == ((RunState.GOOD, {"sent": 3}), ids(site, run))


@pytest.mark.parametrize("fate", ["after", "in between"])
def test_what_may_have_been_put_is_put_again_where_repeats_are_dropped(site: Hub, run: Run, fate: str) -> None:
    queue = Weak([fate, fate, "down"])
    send(site, queue, 4)
    assert (now(site, run), queue.had) == ((RunState.GOOD, {"sent": 3}), ids(site, run))


@pytest.mark.parametrize(("fate", "was_put"), [("after", True), ("in between", False)])
def test_where_nobody_can_tell_an_operator_says_whether_it_was_put(site: Hub, run: Run, fate: str, *, was_put: bool) -> None:
    queue = Weak([fate], drops_repeats=False)
    send(site, queue, 3)
    assert now(site, run) == (RunState.MADE, {"unknown": 3})
    with pytest.raises(NotInThatState, match="just being sent, or it is unknown"):
        Reconcile(site.connection, site.ports, site.clock).again(run.run_no, KARI)
    assert resolve(site.connection, site.clock, site.ports, run.run_no, was_put=was_put, operator=KARI) == 3
    send(site, queue)
    assert (now(site, run), queue.had) == ((RunState.GOOD, {"sent": 3}), ids(site, run))
    with pytest.raises(NotInThatState, match="no message of which it is unknown"):
        resolve(site.connection, site.clock, site.ports, run.run_no, was_put=True, operator=KARI)


def test_a_run_that_somebody_has_locked_holds_up_no_other(site: Hub, run: Run) -> None:
    reconcile = Reconcile(site.connection, site.ports, site.clock)
    queue = Weak([])
    with connect(site.conninfo) as stranger, stranger.transaction():
        stranger.execute("SELECT FROM reconciliation_runs WHERE run_no = %s FOR UPDATE", (run.run_no,))
        case = f"Q-{next(_numbers)}"
        site.put(topics.primary_input(Scheme.TILTAKSPENGER), case, tp(case))
        site.run(*OTHERS)
        site.clock.advance(days=1)
        days = reconcile.next_range("TILTPENG")
        assert days is not None
        other = reconcile.make("TILTPENG", days, Cause(Trigger.OPERATOR, operator=KARI))
        send(site, queue)
        assert (now(site, run)[0], now(site, other)[0]) == (RunState.MADE, RunState.GOOD)
    send(site, queue)
    assert now(site, run)[0] is RunState.GOOD


def test_two_schedulers_that_come_at_once_report_a_range_once(site: Hub) -> None:
    case = f"Q-{next(_numbers)}"
    site.put(topics.primary_input(Scheme.AAP), case, aap(case, uid=payment_uid(case)))
    site.run(*OTHERS)
    site.clock.advance(days=1)
    days = Reconcile(site.connection, site.ports, site.clock).next_range("AAP")
    assert days is not None
    outcomes: list[str] = []

    def make() -> None:
        with connect(site.conninfo) as connection:
            try:
                made = Reconcile(connection, site.ports, site.clock).make("AAP", days, Cause(Trigger.OPERATOR, operator=KARI))
                outcomes.append(made.state.value)
            except AlreadyReconciled:
                outcomes.append("already")

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sorted(outcomes) == ["already", "already", "already", "made"]
    assert len(listing(site.connection, area="AAP", day=days.first, limit=10)) == 1


@pytest.mark.parametrize("place", [*OF_RECONCILIATION, "send.after_put"])
def test_a_process_that_dies_anywhere_leaves_each_message_once_and_in_order(database: str, tmp_path: Path, place: str) -> None:
    with hub(conninfo=database, start=MONDAY) as site:
        for case in ("Q-1", "Q-2"):
            site.put(topics.primary_input(Scheme.AAP), case, aap(case, uid=payment_uid(case)))
        site.run(*OTHERS)
        site.clock.advance(days=1)
        reconcile = Reconcile(site.connection, site.ports, site.clock)
        days = reconcile.next_range("AAP")
        assert days is not None
        made = reconcile.make("AAP", days, Cause(Trigger.OPERATOR, operator=KARI))
        dies(site, tmp_path, place)
        until(lambda: takes_over(site) and read(site.connection, made.run_no).state is RunState.GOOD, what="nobody took over")
        assert queued(site) == [*messages(site.connection, made.run_no)]
        site.check()


def test_two_live_processes_report_each_day_once(database: str, tmp_path: Path) -> None:
    """Each makes runs that were asked for, and sends them; they know of each other by the database alone."""
    start = utc_now() - timedelta(days=6)
    with hub(conninfo=database, start=start) as site:
        asked = [oslo(start + timedelta(days=number)).date() for number in range(4)]
        for _ in asked:
            put_need(site)
            site.run(*OTHERS)
            site.clock.advance(days=1)
        for day in (*asked, *asked):
            site.put(RAPID, None, manual_event(str(day)))
        site.run(*OTHERS)
        processes = [live(site, tmp_path / name) for name in ("one", "other")]
        try:
            until(lambda: is_reported(site, asked[-1]) or ended(processes), what="not every day was reported")
            assert not ended(processes)
        finally:
            for process in processes:
                process.terminate()
        assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0]
        runs = [run for run in listing(site.connection, limit=100, area="SPREF") if run.orders]
        assert sorted(run.last_day for run in runs) == asked
        assert {(run.orders, run.state) for run in runs} == {(1, RunState.GOOD)}
        assert queued(site) == [body for run in reversed(runs) for body in messages(site.connection, run.run_no)]
        site.run("emulator", "relay")
        assert [run.differences for run in site.rail.reconciliation()] == [()] * len(asked)
        assert [each.json["@id"] for each in site.published(RAPID) if each.json["@event_name"] == "avstemming"] == [
            run.run_id for run in reversed(runs)
        ]
        site.check()


def live(site: Hub, directory: Path) -> subprocess.Popen[bytes]:
    """A process that makes runs when they are asked for, and sends them."""
    directory.mkdir()
    return started(site, directory, roles="scheduler,reconciler")


def ended(processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    return any(process.poll() is not None for process in processes)


def is_reported(site: Hub, last: date) -> bool:
    """Whether all that was asked for is done, and has left."""
    open_work = """SELECT (SELECT count(*) FROM reconciliation_triggers WHERE done_at IS NULL)
                          + (SELECT count(*) FROM reconciliation_runs WHERE state = 'made')"""
    days = Reconcile(site.connection, site.ports, site.clock).last_day("SPREF")
    return days == last and site.connection.execute(open_work.encode()).fetchall() == [(0,)]


def takes_over(site: Hub) -> bool:
    """Whether the lease of the one that died has run out, and all has been sent."""
    try:
        site.run("reconciler")
    except LeaseLost:
        return False
    return True


def dies(site: Hub, directory: Path, place: str) -> None:
    """Runs the role in a process of its own until it kills itself at that place."""
    process = started(site, directory, roles="reconciler", place=place)
    try:
        until(lambda: process.poll() is not None, what=f"{place} was not reached")
    finally:
        if process.poll() is None:
            process.kill()
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL, (directory / "log").read_text()


def started(site: Hub, directory: Path, *, roles: str, place: str = "") -> subprocess.Popen[bytes]:
    """Roles in a process of their own, which kills itself at a place if one is named."""
    config = directory / "kvitt.toml"
    config.write_text(
        f"database_url = {json.dumps(site.conninfo)}\ndata = {json.dumps(str(directory))}\nlease_seconds = 0.4\n[ops]\nport = 0\n"
    )
    command = [sys.executable, "-c", KVITT, "run", "--roles", roles, "--config", str(config)]
    environment = {**os.environ, **({"KVITT_DIE_AT": place} if place else {})}
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def queued(site: Hub) -> Sequence[bytes]:
    """The messages on the queue of reconciliation, in their order."""
    queue = TableQueue(site.conninfo, Settings().reconciliation_queue)
    try:
        found = [bytes(each.body) for each in queue.receive(100, 0.0)]
        queue.release()
    finally:
        queue.close()
    return found
