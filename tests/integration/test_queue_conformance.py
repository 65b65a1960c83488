"""What every queue adapter promises, tried on each of them: the same promises, the same tests (design §8)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import cast

import psycopg
import pytest

from integration.test_reconciliation_sending import MONDAY, made_run, now, send
from integration.test_reconciliation_sending import ids as message_ids
from kvitt.disbursement.reconcile.runs import RunState
from kvitt.kernel.database import connect
from kvitt.kernel.queue import (
    Delivery,
    Outgoing,
    Queue,
    queue_id,
)
from kvitt.testing import TestServer, hub
from kvitt.transports.queue.table_queue import TableQueue
from support.patience import until
from support.queue_kits import KITS, LONG, NONE, EndsAfter, Kit, acquire_all, collect, ids, messages


@pytest.fixture(params=list(KITS))
def kit(request: pytest.FixtureRequest) -> Iterator[Kit]:
    fresh = KITS[request.param](request)
    yield fresh
    fresh.close()


def test_a_message_arrives_with_exactly_its_bytes_id_reply_queue_and_priority(kit: Kit) -> None:
    body = bytes(range(256)) + "blåbærsyltetøy\r\n".encode()
    kit.open("orders").put([Outgoing("a", body, "queue:///answers", 7)])
    (got,) = kit.open("orders").receive(10, LONG)
    assert (got.message_id, got.body, got.reply_to, got.priority, got.redeliveries) == ("a", body, "queue:///answers", 7, 0)


def test_an_empty_body_and_no_reply_queue_arrive_as_such(kit: Kit) -> None:
    kit.open("orders").put([Outgoing("a", b"")])
    (got,) = kit.open("orders").receive(1, LONG)
    assert (got.body, got.reply_to, got.priority) == (b"", "", 4)


def test_messages_come_in_the_order_of_their_put(kit: Kit) -> None:
    producer = kit.open("orders")
    names = [f"m{n:03}" for n in range(50)]
    producer.put(messages(*names[:20]))
    producer.put(messages(*names[20:]))
    assert acquire_all(kit.open("orders"), 7) == names


def test_higher_priority_comes_first_and_equals_keep_their_order(kit: Kit) -> None:
    producer = kit.open("orders")
    producer.put(messages("slow1", "slow2", priority=3))
    producer.put(messages("fast1", "fast2", priority=4))
    assert acquire_all(kit.open("orders"), 10) == ["fast1", "fast2", "slow1", "slow2"]


def test_no_more_than_asked_for_is_handed_out(kit: Kit) -> None:
    consumer = kit.open("orders")
    consumer.put(messages("a", "b", "c"))
    assert ids(consumer.receive(2, LONG)) == ["a", "b"]


def test_an_empty_queue_answers_with_nothing(kit: Kit) -> None:
    assert list(kit.open("orders").receive(5, NONE)) == []
    assert list(kit.open("orders").receive(5, 0.05)) == []


def test_a_waiting_consumer_is_given_what_is_put_later(kit: Kit) -> None:
    consumer, producer = kit.open("orders"), kit.open("orders")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(consumer.receive, 1, LONG)
        producer.put(messages("late"))
        assert ids(waiting.result()) == ["late"]


def test_queues_do_not_see_each_other(kit: Kit) -> None:
    kit.open("orders").put(messages("a"))
    assert list(kit.open("answers").receive(1, NONE)) == []


def test_acknowledged_messages_do_not_come_back(kit: Kit) -> None:
    consumer = kit.open("orders")
    consumer.put(messages("a", "b"))
    consumer.receive(1, LONG)
    consumer.acknowledge()
    consumer.close()
    assert acquire_all(kit.open("orders"), 5) == ["b"]


def test_released_messages_come_back_counted_and_in_order(kit: Kit) -> None:
    consumer = kit.open("orders")
    consumer.put(messages("a", "b", "c"))
    assert [got.redeliveries for got in consumer.receive(2, LONG)] == [0, 0]
    consumer.release()
    again = collect(consumer, 3)
    assert [(got.message_id, got.redeliveries) for got in again] == [("a", 1), ("b", 1), ("c", 0)]


def test_a_connection_that_ends_before_the_acknowledgement_gives_its_messages_back_counted(kit: Kit) -> None:
    consumer, other = kit.open("orders"), kit.open("orders")
    consumer.put(messages("a", "b"))
    consumer.receive(2, LONG)
    kit.break_connection(consumer)
    again = collect(other, 2)
    assert ids(again) == ["a", "b"]
    assert [got.redeliveries for got in again] == [1, 1 if kit.counts_for_all else 0]


def test_acknowledging_over_a_broken_connection_says_so_and_the_queue_then_works_again(kit: Kit) -> None:
    consumer = kit.open("orders")
    consumer.put(messages("a"))
    consumer.receive(1, LONG)
    kit.break_connection(consumer)
    with pytest.raises(ConnectionError):
        consumer.acknowledge()
    assert ids(consumer.receive(1, LONG)) == ["a"]
    consumer.acknowledge()
    assert acquire_all(consumer, 1) == []


def test_a_closed_consumer_gives_its_messages_back(kit: Kit) -> None:
    consumer = kit.open("orders")
    consumer.put(messages("a"))
    consumer.receive(1, LONG)
    consumer.close()
    assert ids(kit.open("orders").receive(1, LONG)) == ["a"]


@pytest.mark.parametrize("give_up", ["release", "crash"])
def test_a_message_that_comes_back_too_often_goes_to_the_dead_letter_queue_alone(kit: Kit, give_up: str) -> None:
    consumer = kit.open("orders", max_redeliveries=2)
    consumer.put(messages("poison", body=b"\x00bad"))
    counts = []
    for _ in range(3):
        # What a crash lets go of is free once the server has seen it.
        (got,) = consumer.receive(1, LONG)
        counts.append(got.redeliveries)
        if give_up == "release":
            consumer.release()
        else:
            consumer.close()
    consumer.put(messages("good"))
    assert counts == [0, 1, 2]
    assert ids(consumer.receive(1, LONG)) == ["good"]
    consumer.acknowledge()
    dead_letters, found = kit.open("orders.dlq"), list[Delivery]()

    def is_dead() -> bool:
        assert not consumer.receive(1, NONE), "it is handed out no more"
        found.extend(dead_letters.receive(5, NONE))
        return bool(found)

    until(is_dead, what="what came back too often is no dead letter")
    (dead,) = found
    assert (dead.message_id, dead.body, dead.reply_to) == ("poison", b"\x00bad", "answers")


def test_what_has_come_back_too_often_hides_nothing_behind_it(database: str) -> None:
    with closing(TableQueue(database, "orders", 0)) as consumer:
        consumer.put(messages("bad", "worse"))
        assert ids(consumer.receive(2, LONG)) == ["bad", "worse"]
        consumer.close()
        consumer.put(messages("good"))
        assert ids(consumer.receive(1, NONE)) == ["good"]


def test_what_is_given_back_while_another_consumer_looks_is_counted(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(TableQueue(database, "orders")) as first, closing(TableQueue(database, "orders")) as second:
        first.put(messages("a"))
        first.receive(1, LONG)
        picks = second._pick

        def pick_what_comes_back_meanwhile(conn: psycopg.Connection, limit: int) -> list[int]:
            first.release()
            return picks(conn, limit)

        monkeypatch.setattr(second, "_pick", pick_what_comes_back_meanwhile)
        (got,) = second.receive(1, LONG)
        assert got.redeliveries == 1


def test_who_could_not_put_a_dead_letter_in_its_place_holds_up_no_other_consumer(database: str) -> None:
    with closing(TableQueue(database, "orders", 0)) as first, closing(TableQueue(database, "orders", 0)) as second:
        first.put(messages("a"))
        first.receive(1, LONG)
        first.release()
        with connect(database) as connection:
            connection.execute("DELETE FROM queue.message WHERE queue = 'orders'")
            first.put(messages("a", "b"))
            connection.execute("UPDATE queue.message SET deliveries = 1 WHERE (queue, message_id) = ('orders', 'a')")
        with closing(TableQueue(database, "orders.dlq")) as looking:
            looking.receive(1, LONG)
            assert not first.receive(1, NONE)
        assert ids(second.receive(1, NONE)) == ["b"]


def test_no_more_is_handed_out_once_it_is_as_large_as_one_transaction_may_be(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kvitt.transports.queue.table_queue.HANDED_OUT_BYTES", 100)
    with closing(TableQueue(database, "orders")) as consumer:
        consumer.put([Outgoing(name, body=b"x" * size) for name, size in [("a", 60), ("b", 60), ("c", 1), ("huge", 1000), ("d", 1)]])
        handed_out = []
        while deliveries := consumer.receive(10, NONE):
            handed_out.append([(each.message_id, each.redeliveries) for each in deliveries])
            consumer.acknowledge()
    assert handed_out == [[("a", 0), ("b", 0)], [("c", 0), ("huge", 0)], [("d", 0)]], "no other was counted as handed out"


def test_a_dead_letter_can_be_looked_at_as_often_as_wanted(kit: Kit) -> None:
    dead = kit.open("orders.dlq", max_redeliveries=1)
    dead.put(messages("poison"))
    for _ in range(5):
        assert ids(dead.receive(1, LONG)) == ["poison"]
        dead.release()


def test_the_same_id_put_twice_comes_once(kit: Kit) -> None:
    producer = kit.open("orders")
    producer.put([*messages("a", body=b"first"), *messages("a", body=b"second")])
    producer.put(messages("a", body=b"third"))
    consumer = kit.open("orders")
    assert [got.body for got in consumer.receive(5, LONG)] == [b"first"]


def test_an_id_put_again_after_it_was_consumed_has_no_effect(kit: Kit) -> None:
    queue = kit.open("orders")
    queue.put(messages("a"))
    assert acquire_all(queue, 5) == ["a"]
    queue.put(messages("a"))
    assert acquire_all(queue, 5) == []


def test_the_queue_tells_what_was_put_consumed_or_not_if_it_tells_at_all(kit: Kit) -> None:
    queue = kit.open("orders")
    queue.put(messages("done"))
    acquire_all(queue, 5)
    queue.put(messages("waiting"))
    published = queue.was_put(["waiting", "never", "done"])
    assert published == ({"waiting": True, "never": False, "done": True} if kit.tells_what_was_put else None)


def test_a_deliberate_resend_arrives_whether_the_first_copy_was_consumed_or_still_waits(kit: Kit) -> None:
    producer, consumer = kit.open("orders"), kit.open("orders")
    producer.put(messages("a"))
    assert acquire_all(consumer, 5) == ["a"]
    producer.put(messages("a", resend=1))
    producer.put(messages("a", resend=2))
    # Which copy comes first is the broker's to say: their receipts are told apart by what they answer, not by when they come.
    got = sorted((each.message_id, each.body, each.reply_to) for each in collect(consumer, 2))
    assert got == [("a/1", b"<x/>", "answers"), ("a/2", b"<x/>", "answers")]


def test_a_resend_that_may_have_been_put_and_is_put_again_comes_once(kit: Kit) -> None:
    producer = kit.open("orders")
    producer.put(messages("a"))
    for _ in range(3):
        producer.put([*messages("a", resend=1), *messages("b")])
    assert acquire_all(kit.open("orders"), 10) == ["a", "a/1", "b"]


def test_the_queue_tells_the_copies_of_a_message_apart_if_it_tells_at_all(kit: Kit) -> None:
    queue = kit.open("orders")
    queue.put(messages("a"))
    queue.put(messages("a", resend=1))
    published = queue.was_put([queue_id("a", resend) for resend in range(3)])
    assert published == ({"a": True, "a/1": True, "a/2": False} if kit.tells_what_was_put else None)


def test_what_is_new_is_put_though_others_of_the_batch_were_put_before(kit: Kit) -> None:
    producer = kit.open("orders")
    producer.put(messages("a", "b"))
    producer.put(messages("b", "c", "a", "d"))
    assert acquire_all(kit.open("orders"), 10) == ["a", "b", "c", "d"]


def test_a_run_of_reconciliation_is_put_once_and_in_order_though_it_was_unknown_how_far_it_came(kit: Kit, kvitt_server: TestServer) -> None:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, start=MONDAY) as site:
        run = made_run(site)
        send(site, cast("Queue", EndsAfter(kit.open("reconciliation"))), 2)
        assert now(site, run) == (RunState.GOOD, {"sent": 3})
        assert acquire_all(kit.open("reconciliation"), 10) == message_ids(site, run)


def test_putting_nothing_does_nothing(kit: Kit) -> None:
    kit.open("orders").put([])
    assert acquire_all(kit.open("orders"), 1) == []


def test_a_body_of_ten_megabytes_arrives_whole(kit: Kit) -> None:
    body = bytes(range(251)) * (10_000_000 // 251)
    kit.open("orders").put([Outgoing("big", body)])
    consumer = kit.open("orders")
    (got,) = consumer.receive(1, LONG)
    assert got.body == body
    consumer.acknowledge()


def test_consumers_at_work_together_never_get_the_same_message(kit: Kit) -> None:
    names = [f"m{n:03}" for n in range(300)]
    kit.open("orders").put(messages(*names))
    with ThreadPoolExecutor(4) as pool:
        shares = list(pool.map(lambda _: acquire_all(kit.open("orders"), 7), range(4)))
    taken = [name for share in shares for name in share]
    assert sorted(taken) == names


def test_what_one_consumer_holds_is_not_counted_against_by_another(kit: Kit) -> None:
    holder, other = kit.open("orders"), kit.open("orders")
    holder.put(messages("a"))
    holder.receive(1, LONG)
    for _ in range(3):
        assert list(other.receive(1, NONE)) == []
    holder.release()
    assert [got.redeliveries for got in other.receive(1, LONG)] == [1]


def test_messages_put_while_others_are_held_are_handed_out_at_once(kit: Kit) -> None:
    holder, other = kit.open("orders"), kit.open("orders")
    holder.put(messages("a"))
    holder.receive(1, LONG)
    holder.put(messages("b"))
    assert ids(other.receive(5, LONG)) == ["b"]


def test_receiving_while_messages_are_still_held_is_an_error(kit: Kit) -> None:
    queue = kit.open("orders")
    queue.put(messages("a", "b"))
    queue.receive(1, LONG)
    with pytest.raises(RuntimeError):
        queue.receive(1, NONE)
