"""What must have one owner has one: whoever lost a lease can do nothing under it, and nothing that was read is left out (design §4)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

import psycopg
import pytest

from kvitt.app.hub import HubProcess
from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.send import Send, UnknownOrder
from kvitt.disbursement.values import Scheme
from kvitt.errors import LeaseLost
from kvitt.formats.topics import input_partition_of
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.leases import Lease, LeaseKeeper, release_every_lease
from kvitt.settings import Settings
from kvitt.transports.log.embedded_log import LogRelay, NewRecord, append
from support.hub_messages import dp, text
from support.hub_stage import Stage, staged
from support.patience import until

TOPIC = helved_topics.primary_input(Scheme.DAGPENGER)
LEASE = f"intake:{TOPIC}:0"


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


@pytest.fixture
def rival(database: str) -> Iterator[LeaseKeeper]:
    keeper = LeaseKeeper(database, seconds=600.0)
    yield keeper
    keeper.close()


def run_out(stage: Stage, lease: str) -> None:
    """As if the owner had not prolonged the lease in time."""
    stage.connection.execute("UPDATE leases SET until = now() - interval '1 second' WHERE lease = %s", (lease,))


def lease_of(stage: Stage, keeper: LeaseKeeper, name: str = LEASE) -> Lease:
    held = keeper.acquire(stage.connection, name)
    assert held
    return held.lease


def record(lease: Lease | None, position: int, follows: int | None = None, case: str = "") -> Incoming:
    body = text(dp(case or f"S{position}"))
    return Incoming(TOPIC, 0, position, f"k{position}".encode(), body, b"[]", lease, follows)


def test_a_lease_has_one_owner_until_it_runs_out(stage: Stage, rival: LeaseKeeper) -> None:
    lease = lease_of(stage, stage.keeper)
    assert rival.acquire(stage.connection, LEASE) is None
    assert lease_of(stage, stage.keeper) == lease
    run_out(stage, LEASE)
    assert lease_of(stage, rival) == Lease(LEASE, lease.token + 1)
    assert stage.keeper.acquire(stage.connection, LEASE) is None


def test_a_lease_given_up_is_free_at_once(stage: Stage, rival: LeaseKeeper) -> None:
    other = LeaseKeeper(stage.conninfo, seconds=600.0)
    lease_of(stage, other)
    other.close()
    assert lease_of(stage, rival).token == 2


def test_leases_of_owners_known_to_be_dead_are_free_at_once(stage: Stage, rival: LeaseKeeper) -> None:
    lease_of(stage, stage.keeper)
    release_every_lease(stage.connection)
    assert lease_of(stage, rival).token == 2


def test_a_lease_is_prolonged_for_as_long_as_its_owner_lives(stage: Stage, rival: LeaseKeeper) -> None:
    short = LeaseKeeper(stage.conninfo, seconds=0.4)
    lease_of(stage, short)
    first = stage.one("SELECT until FROM leases WHERE lease = %s", LEASE)
    until(lambda: stage.one("SELECT until > %s FROM leases WHERE lease = %s", first, LEASE))
    short.close()
    assert rival.acquire(stage.connection, LEASE)


OTHER = f"intake:{TOPIC}:1"
ROW = "SELECT 1 FROM leases WHERE lease = %s FOR UPDATE"


def test_a_lease_whose_row_is_locked_is_taken_later_and_the_others_at_once(stage: Stage, rival: LeaseKeeper) -> None:
    lease_of(stage, stage.keeper)
    lease_of(stage, stage.keeper, OTHER)
    run_out(stage, LEASE)
    run_out(stage, OTHER)
    with psycopg.connect(stage.conninfo) as stranger:
        stranger.execute(ROW, (LEASE,))
        assert rival.acquire(stage.connection, LEASE) is None
        assert lease_of(stage, rival, OTHER).token == 2
        stranger.rollback()
    assert lease_of(stage, rival).token == 2


def test_leases_are_taken_at_once_and_wait_for_no_row(stage: Stage, rival: LeaseKeeper) -> None:
    """Those that are there, run out or not, and that are not there; whoever owns some is not held up by somebody who asks for all."""
    names = [LEASE, OTHER, f"intake:{TOPIC}:2", f"intake:{TOPIC}:3"]
    lease_of(stage, stage.keeper, names[1])
    lease_of(stage, stage.keeper, names[2])
    lease_of(stage, rival, names[3])
    run_out(stage, names[1])
    with psycopg.connect(stage.conninfo) as stranger, stage.connection.transaction():
        stranger.execute(ROW, (OTHER,))
        assert {name: grant.lease.token for name, grant in rival.acquire_all(stage.connection, names).items()} == {names[0]: 1, names[3]: 1}
        stranger.execute("SELECT 1 FROM leases WHERE lease = %s FOR UPDATE NOWAIT", (names[2],))
        stranger.rollback()
    assert {name: grant.lease.token for name, grant in rival.acquire_all(stage.connection, names).items()} == {
        names[0]: 1,
        names[1]: 2,
        names[3]: 1,
    }


def test_the_other_leases_are_prolonged_and_given_up_while_one_is_locked(stage: Stage, rival: LeaseKeeper) -> None:
    short = LeaseKeeper(stage.conninfo, seconds=4.0)
    lease_of(stage, short)
    lease_of(stage, short, OTHER)
    later = "SELECT until > %s FROM leases WHERE lease = %s"
    with psycopg.connect(stage.conninfo) as stranger:
        stranger.execute(ROW, (LEASE,))
        for _ in range(3):
            before = stage.one("SELECT until FROM leases WHERE lease = %s", OTHER)
            until(lambda before=before: stage.one(later, before, OTHER))  # type: ignore[misc]
        short.close()
        assert lease_of(stage, rival, OTHER).token == 2
        assert rival.acquire(stage.connection, LEASE) is None
        stranger.rollback()


def test_a_lease_that_is_locked_for_a_while_is_prolonged_as_soon_as_it_is_free(stage: Stage) -> None:
    keeper = LeaseKeeper(stage.conninfo, seconds=600.0)
    lease_of(stage, keeper)
    before = stage.one("SELECT until FROM leases WHERE lease = %s", LEASE)
    with connect(stage.conninfo, lock_timeout_ms=100) as renewing:
        with psycopg.connect(stage.conninfo) as stranger:
            stranger.execute(ROW, (LEASE,))
            assert keeper._renew_all(renewing, set()) == {LEASE}
            stranger.rollback()
        assert keeper._renew_all(renewing, {LEASE}) == set()
    assert stage.one("SELECT until > %s FROM leases WHERE lease = %s", before, LEASE)
    keeper.close()


def test_partitions_are_read_on_while_the_lease_of_one_is_locked_and_that_one_once_it_is_free(database: str) -> None:
    hub = HubProcess(database, Settings(lanes=1, max_batch=8), ("intake",))
    keys = {input_partition_of(f"{n}".encode()): f"{n}".encode() for n in range(99)}
    with connect(database) as connection, psycopg.connect(database) as stranger:

        def come(part: int, count: int) -> None:
            append(
                connection,
                [NewRecord(TOPIC, keys[part], text(dp(f"S{part}-{_messages(connection)}-{n}"))) for n in range(count)],
                utc_now(),
            )

        hub.start()
        try:
            come(0, 20)
            come(1, 20)
            until(lambda: _messages(connection) == 40)
            stranger.execute(ROW, (LEASE,))
            come(0, 20)
            come(1, 20)
            until(lambda: _messages(connection) == 60)
            come(1, 20)
            until(lambda: _messages(connection) == 80)
            assert connection.execute("SELECT count(*) FROM messages WHERE partition = 0").fetchone() == (20,)
            stranger.rollback()
            until(lambda: _messages(connection) == 100)
        finally:
            hub.stop()
        rows = connection.execute(
            "SELECT partition, array_agg(position ORDER BY message_no) FROM messages GROUP BY 1 ORDER BY 1"
        ).fetchall()
        assert rows == [(0, [*range(40)]), (1, [*range(60)])]


def test_records_read_under_a_lost_lease_are_refused_and_leave_nothing(stage: Stage, rival: LeaseKeeper) -> None:
    lease = lease_of(stage, stage.keeper)
    stage.submit([record(lease, 0)])
    run_out(stage, LEASE)
    lease_of(stage, rival)
    with pytest.raises(LeaseLost):
        stage.submit([record(lease, 1)])
    assert stage.rows("SELECT position FROM messages") == [(0,)]
    assert stage.rows("SELECT case_id FROM cases") == [("S0",)]


def test_the_next_owner_goes_on_where_the_last_effect_was(stage: Stage, rival: LeaseKeeper) -> None:
    lease = lease_of(stage, stage.keeper)
    stage.submit([record(lease, 0), record(lease, 1), record(lease, 2)])
    run_out(stage, LEASE)
    held = rival.acquire(stage.connection, LEASE)
    assert held
    assert held.position == 3
    stage.submit([record(held.lease, 3)])


def test_a_record_that_was_handled_is_refused_the_second_time(stage: Stage) -> None:
    lease = lease_of(stage, stage.keeper)
    stage.submit([record(lease, 0), record(lease, 1)])
    with pytest.raises(LeaseLost):
        stage.submit([record(lease, 1), record(lease, 2)])
    assert stage.one("SELECT count(*) FROM messages") == 2


def test_records_behind_a_batch_that_failed_are_refused_until_it_is_handled(stage: Stage) -> None:
    lease = lease_of(stage, stage.keeper)
    with pytest.raises(LeaseLost):
        stage.submit([record(lease, 5), record(lease, 6)])
    stage.submit([record(lease, position) for position in range(5)])
    stage.submit([record(lease, 5), record(lease, 6)])
    assert stage.one("SELECT count(*) FROM messages") == 7


def test_positions_that_the_source_never_used_are_no_gap(stage: Stage) -> None:
    lease = lease_of(stage, stage.keeper)
    stage.submit([record(lease, 3, follows=0), record(lease, 7, follows=4)])
    stage.submit([record(lease, 9, follows=8)])
    assert stage.one("SELECT position FROM leases WHERE lease = %s", LEASE) == 10


def test_a_sender_that_lost_its_lease_can_neither_take_nor_note_orders(stage: Stage, rival: LeaseKeeper) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")), ("l", dp("T")))
    (order, _) = stage.sender.dequeue(10)
    run_out(stage, "sender")
    successor = Send(stage.connection, stage.clock, PORTS, lease_of(stage, rival, "sender"))
    for forbidden in (
        lambda: stage.sender.dequeue(1),
        lambda: stage.sender.sent([(order.order_id, order.message_no)]),
        stage.sender.mark_unknown,
        lambda: stage.sender.put_again([order.order_id]),
    ):
        with pytest.raises(LeaseLost):
            forbidden()
    assert stage.order_states("S") == ["sending"]
    assert len(successor.mark_unknown()) == 2
    assert stage.order_states("S") == ["unknown"]


def test_unknown_orders_are_sent_again_only_when_the_queue_never_got_them(stage: Stage, rival: LeaseKeeper) -> None:
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    (order,) = stage.sender.dequeue(10)
    run_out(stage, "sender")
    successor = Send(stage.connection, stage.clock, PORTS, lease_of(stage, rival, "sender"))
    successor.mark_unknown()
    assert successor.unknown(10) == [UnknownOrder(order.order_id, order.message_no, 0, order.order_id)]
    assert successor.put_again([order.order_id]) == [order]
    assert successor.put_again([order.order_id]) == []
    assert stage.order_states("S") == ["sending"]


def test_a_relay_that_lost_its_lease_tells_nothing(stage: Stage, rival: LeaseKeeper) -> None:
    HubProcess(stage.conninfo, Settings(), ())
    stage.hand_in(Scheme.DAGPENGER, ("k", dp("S")))
    relay = LogRelay(stage.connection, stage.clock, lease_of(stage, stage.keeper, "relay"))
    run_out(stage, "relay")
    lease_of(stage, rival, "relay")
    with pytest.raises(LeaseLost):
        relay.step()
    assert stage.one("SELECT count(*) FROM outbox_places WHERE relayed_at IS NOT NULL") == 0


def test_writers_that_lose_their_connections_lose_no_message(database: str) -> None:
    hub = HubProcess(database, Settings(lanes=1, max_batch=8), ("intake",))
    key = next(f"{n}".encode() for n in range(99) if input_partition_of(f"{n}".encode()) == 0)
    with connect(database) as connection:
        for part in range(10):
            append(connection, [NewRecord(TOPIC, key, text(dp(f"S{part}-{n}"))) for n in range(100)], datetime.now(UTC))
        hub.start()
        try:
            for goal in range(50, 1000, 50):
                until(partial(_has, connection, goal))
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kvitt submit'")
            until(lambda: _messages(connection) == 1000)
        finally:
            hub.stop()
        assert connection.execute("SELECT count(DISTINCT position), max(position) FROM messages").fetchone() == (1000, 999)


def _has(connection: psycopg.Connection[tuple[object, ...]], goal: int) -> bool:
    return _messages(connection) >= goal


def _messages(connection: psycopg.Connection[tuple[object, ...]]) -> int:
    ((found,),) = connection.execute("SELECT count(*) FROM messages").fetchall()
    return int(str(found))
