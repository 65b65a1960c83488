"""What operators do to sending and to orders: every act has a reason and stands in the audit chain, and none bypasses the books."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from kvitt.app.ports import PORTS
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.holding import HoldKind
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.operate import EVERYWHERE, Operate, areas_of
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.send import Send
from kvitt.disbursement.settle import RawReceipt, Settle
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.submit import Submit
from kvitt.disbursement.values import Scheme
from kvitt.errors import NeedsSecondPerson, NotInThatState, OrderNotFound, ReceiptNotFound
from kvitt.kernel.database import connect
from kvitt.kernel.leases import Lease
from kvitt.kernel.operators import Operator
from kvitt.kernel.queries import load
from support.hub_messages import person_of

KARI = Operator("kari", "a test")
KARI_AND_OLA = Operator("kari", "a test", "ola")


def clock() -> datetime:
    return datetime.now(UTC)


class Bench:
    """A hub stepped by hand."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.submit, self.settle, self.operate = (
            Submit(connection, clock, PORTS).execute,
            Settle(connection, clock, PORTS).execute,
            Operate(connection, clock, PORTS),
        )
        held = connection.execute(
            load("leases", "kvitt.kernel").acquire_lease, {"lease": "sender", "owner": "me", "seconds": 600}
        ).fetchone()
        assert held is not None
        self.send = Send(connection, clock, PORTS, Lease("sender", int(held[1])))
        self.position = 0

    def pay(self, case_id: str, amount: int, *, payment_id: str | None = None, day: str = "2025-06-02") -> str:
        """Submits a one-off grant of tilleggsstønader; returns the payment id."""
        payment_id = payment_id or str(uuid4())
        span = {"fom": day, "tom": day, "beløp": amount}
        body = {
            "sakId": case_id,
            "behandlingId": "1",
            "personident": person_of(case_id),
            "vedtakstidspunkt": "2025-07-04T09:15:30",
            "periodetype": "EN_GANG",
            "utbetalinger": [{"id": payment_id, "stønad": "TILSYN_BARN_AAP", "perioder": [span]}],
        }
        topic = primary_input(Scheme.TILLEGGSSTONADER)
        self.submit([Incoming(topic, 0, self.position, str(uuid4()).encode(), json.dumps(body).encode())])
        self.position += 1
        return payment_id

    def send_all(self) -> list[str]:
        orders = self.send.dequeue(100)
        self.send.sent([(order.order_id, order.message_no) for order in orders])
        return [order.order_id for order in orders]

    def receipt(self, order_id: str, grade: str = "00") -> ReceiptOutcome:
        row = self.connection.execute("SELECT message FROM orders WHERE order_id = %s", (order_id,)).fetchone()
        assert row is not None
        mmel = f"<mmel><alvorlighetsgrad>{grade}</alvorlighetsgrad></mmel><oppdrag-110>".encode()
        return self.settle([RawReceipt(str(uuid4()), bytes(row[0]).replace(b"<oppdrag-110>", mmel, 1))])[0]

    def statuses(self) -> list[str]:
        rows = self.connection.execute("SELECT value FROM outbox WHERE topic = 'helved.status.v1' ORDER BY outbox_no")
        return [json.loads(bytes(row[0]))["status"] for row in rows]

    def state(self, order_id: str) -> str:
        row = self.connection.execute("SELECT state FROM orders WHERE order_id = %s", (order_id,)).fetchone()
        assert row is not None
        return str(row[0])

    def acts(self) -> list[str]:
        return [str(row[0]) for row in self.connection.execute("SELECT what FROM audit WHERE chain = 0 ORDER BY seq")]


@pytest.fixture
def bench(database: str) -> Iterator[Bench]:
    with connect(database) as connection:
        yield Bench(connection)


@pytest.mark.parametrize("areas", [["TILLSTPB"], areas_of(Scheme.TILLEGGSSTONADER), [EVERYWHERE]])
def test_a_stopped_area_is_not_sent_to_until_it_is_resumed(bench: Bench, areas: list[str]) -> None:
    bench.operate.stop(areas, KARI)
    bench.pay("A", 100)
    assert bench.send_all() == []
    assert [stop.reason for stop in bench.operate.stopped()] == ["a test"] * len(areas)
    assert sorted(bench.operate.resume(areas, KARI)) == sorted(areas)
    assert len(bench.send_all()) == 1
    assert bench.acts() == ["stop", "resume"]


def test_another_area_is_sent_to_while_one_is_stopped(bench: Bench) -> None:
    bench.operate.stop(["DP"], KARI)
    bench.pay("A", 100)
    assert len(bench.send_all()) == 1


def test_a_withdrawn_order_answers_its_message_and_lets_the_next_one_in(bench: Bench) -> None:
    payment_id = bench.pay("A", 100)
    bench.pay("A", 200, payment_id=payment_id)
    [first] = bench.operate.orders([OrderState.READY])
    bench.operate.withdraw(first.order_id, KARI)
    assert bench.state(first.order_id) == "withdrawn"
    assert bench.statuses() == ["MOTTATT", "MOTTATT", "FEILET", "MOTTATT"]
    [second] = bench.send_all()
    assert bench.receipt(second) is ReceiptOutcome.ACCEPTED
    assert bench.statuses()[-1] == "OK"
    with pytest.raises(NotInThatState):
        bench.operate.withdraw(first.order_id, KARI)
    assert bench.acts() == ["withdraw"]


def test_an_order_that_has_left_can_not_be_withdrawn(bench: Bench) -> None:
    bench.pay("A", 100)
    [order_id] = bench.send_all()
    with pytest.raises(NotInThatState):
        bench.operate.withdraw(order_id, KARI)
    assert bench.acts() == []


def test_an_equal_line_under_a_new_id_is_held_until_two_people_release_it(bench: Bench) -> None:
    bench.pay("A", 100)
    assert bench.receipt(bench.send_all()[0]) is ReceiptOutcome.ACCEPTED
    bench.pay("A", 100)
    assert bench.send_all() == []
    [held] = bench.operate.orders([OrderState.READY], held_only=True)
    assert [reason.kind for reason in held.held_for] == [HoldKind.PAID_TWICE]
    for alone in (KARI, Operator("kari", "a test", "kari"), Operator("kari", "a test", "\u200bKаri ")):
        with pytest.raises(NeedsSecondPerson):
            bench.operate.release(held.order_id, alone)
    bench.operate.release(held.order_id, KARI_AND_OLA)
    assert bench.send_all() == [held.order_id]
    with pytest.raises(NotInThatState):
        bench.operate.release(held.order_id, KARI_AND_OLA)


@pytest.mark.parametrize(("amount", "day"), [(101, "2025-06-02"), (100, "2025-06-03")])
def test_a_line_that_differs_is_not_held(bench: Bench, amount: int, day: str) -> None:
    bench.pay("A", 100)
    bench.receipt(bench.send_all()[0])
    bench.pay("A", amount, day=day)
    assert len(bench.send_all()) == 1


@pytest.mark.parametrize(("accepted", "status"), [(True, "OK"), (False, "FEILET")])
def test_an_order_without_a_receipt_is_settled_by_an_operators_word(bench: Bench, accepted: bool, status: str) -> None:
    bench.pay("A", 100)
    [order_id] = bench.send_all()
    with pytest.raises(NeedsSecondPerson):
        bench.operate.decide(order_id, accepted=accepted, operator=KARI)
    bench.operate.decide(order_id, accepted=accepted, operator=KARI_AND_OLA)
    assert bench.state(order_id) == ("accepted" if accepted else "rejected")
    assert bench.statuses()[-1] == status


@pytest.mark.parametrize("accepted", [True, False])
def test_it_is_kept_that_an_operator_decided_an_order_and_not_the_rail(bench: Bench, accepted: bool) -> None:
    bench.pay("A", 100)
    bench.pay("B", 100)
    by_hand, by_the_rail = bench.send_all()
    bench.operate.decide(by_hand, accepted=accepted, operator=KARI_AND_OLA)
    bench.receipt(by_the_rail, "00" if accepted else "08")
    rows = bench.connection.execute("SELECT order_id::text, decided_by_hand FROM orders").fetchall()
    assert dict(rows) == {by_hand: True, by_the_rail: False}


def test_an_unknown_order_is_sent_again_by_two_people_as_the_same_bytes(bench: Bench) -> None:
    bench.pay("A", 100)
    [sent] = bench.send.dequeue(10)
    bench.connection.execute("UPDATE orders SET state = 'unknown'")
    bench.operate.resend(sent.order_id, KARI_AND_OLA)
    [again] = bench.send.dequeue(10)
    assert (again.order_id, again.message) == (sent.order_id, sent.message)
    with pytest.raises(OrderNotFound):
        bench.operate.resend(str(uuid4()), KARI_AND_OLA)


def test_a_receipt_that_changed_nothing_is_there_for_a_person(bench: Bench) -> None:
    bench.pay("A", 100)
    [order_id] = bench.send_all()
    assert bench.receipt(order_id, "08") is ReceiptOutcome.REJECTED
    assert bench.receipt(order_id) is ReceiptOutcome.CONTRADICTS
    bench.settle([RawReceipt("r", b"garbage")])
    garbage, contradiction = bench.operate.odd_receipts()
    assert (garbage.outcome, garbage.size, garbage.order_id) == ("unreadable", 7, None)
    assert (contradiction.outcome, contradiction.severity, contradiction.order_id) == ("contradicts", "00", order_id)
    assert bench.operate.receipt_body(garbage.receipt_no) == b"garbage"
    with pytest.raises(ReceiptNotFound):
        bench.operate.receipt_body(10**6)
