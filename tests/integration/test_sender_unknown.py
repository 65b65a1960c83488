"""A queue broker that goes away: what it can not have stays ready, what it may have is put again where repeats are dropped (design §6)."""

from collections.abc import Iterator

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.sender import Sender
from kvitt.disbursement.values import Scheme
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import WakeUp
from support.hub_messages import aap
from support.hub_stage import Stage, staged
from support.weak_queue import Weak


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as stage:
        stage.hand_in(Scheme.AAP, *((f"k{number}", aap(f"S{number}")) for number in range(3)))
        yield stage


def send_once(stage: Stage, queue: Weak, attempts: int) -> None:
    """What the role does: one attempt after the other, each from its beginning."""
    keeper = LeaseKeeper(stage.conninfo, seconds=600.0)
    stage.connection.execute("UPDATE leases SET until = '-infinity' WHERE lease = 'sender'")
    sender = Sender(stage.conninfo, keeper, lambda: queue, stage.clock, PORTS, wake_up=WakeUp(), reply_to="replies")
    for _ in range(attempts):
        try:
            with sender.steps() as step:
                while step():
                    continue
        except ConnectionError:
            continue
    keeper.close()


def states(stage: Stage) -> list[str]:
    return [str(state) for (state,) in stage.rows("SELECT state FROM orders ORDER BY message_no")]


def test_while_the_broker_is_down_orders_stay_ready_and_nobody_hears_of_it(stage: Stage) -> None:
    send_once(stage, Weak(["down"] * 5), 5)
    assert states(stage) == ["ready"] * 3
    assert stage.said("k0") == ["MOTTATT"]


def test_what_was_not_put_for_certain_is_ready_again_and_sent_by_itself(stage: Stage) -> None:
    queue = Weak(["before", "down", "before"])
    send_once(stage, queue, 3)
    assert (states(stage), queue.had) == (["ready"] * 3, [])
    send_once(stage, queue, 1)
    assert (states(stage), len(queue.had)) == (["sent"] * 3, 3)


@pytest.mark.parametrize("fate", ["after", "in between"])
def test_what_may_have_been_put_is_put_again_where_repeats_are_dropped(stage: Stage, fate: str) -> None:
    queue = Weak([fate, fate, "down"])
    send_once(stage, queue, 4)
    assert (states(stage), len(queue.had)) == (["sent"] * 3, 3)
    assert stage.said("k0") == ["MOTTATT", "HOS_OPPDRAG"]


def test_what_may_have_been_put_stays_unknown_where_a_repeat_would_be_stored(stage: Stage) -> None:
    queue = Weak(["after"], drops_repeats=False)
    send_once(stage, queue, 3)
    assert (states(stage), len(queue.had)) == (["unknown"] * 3, 3)


def test_what_is_put_again_on_another_day_is_what_was_put_before_and_what_is_sent_again_has_the_key_of_its_day(stage: Stage) -> None:
    queue = Weak(["in between", "well"])
    stage.clock.advance(days=1)
    send_once(stage, queue, 1)
    stage.clock.advance(days=1)
    send_once(stage, queue, 1)
    first, again = queue.given[:3], queue.given[3:]
    assert (states(stage), first) == (["sent"] * 3, again)
    assert all(b"<nokkelAvstemming>2026-07-02-10.10.00.000000<" in each for each in first)
    stage.connection.execute("UPDATE orders SET state = 'ready', resends = 1")
    send_once(stage, queue, 1)
    assert all(b"<nokkelAvstemming>2026-07-03-10.10.00.000000<" in each for each in queue.given[6:])
