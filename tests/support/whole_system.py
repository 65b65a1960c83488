"""Histories of cases through the whole hub as they are drawn, how one is played on a stage, and what must hold at its end."""

import base64
import random
from collections.abc import Sequence
from uuid import UUID

import msgspec
from hypothesis import strategies as st
from msgspec import Struct

from kvitt.app.ports import PORTS
from kvitt.contracts.helved.messages import StreamMessage
from kvitt.disbursement.answers import Status
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.send import OrderToSend
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.kernel.operators import Operator
from kvitt.kernel.queue import Outgoing
from kvitt.rails.oppdrag.emulator import (
    Chance,
    DamageForm,
    Faults,
    duplicates,
    set_faults,
    spans,
)
from kvitt.rails.oppdrag.emulator.damage import damage
from kvitt.rails.oppdrag.emulator.order import EmulatedAnswer as RailAnswer
from kvitt.testing import START
from support.desired import Days, Paid, Wish, days_between, difference, is_whole_case, wishes_of
from support.hub_messages import body_of
from support.hub_stage import REPLIES, Stage, again
from support.strategies import messages_of

AREAS = {
    Scheme.DAGPENGER: ("DP",),
    Scheme.AAP: ("AAP",),
    Scheme.TILTAKSPENGER: ("TILTPENG",),
    Scheme.TILLEGGSSTONADER: ("TILLSTPB", "TILLSTLM", "TILLSTBO", "TILLST"),
    Scheme.HISTORISK: ("HELSREF",),
    Scheme.VALP: ("TILSOPP",),
}
GUARD = Operator("vakt", "prøvd", approved_by="sjef")


class Fate(Struct, frozen=True):
    """What happens to one order: how the sender fares, what the rail says, and how its receipt comes."""

    sender: str
    rail: str
    doubled: bool
    damage: DamageForm | None


class Told(Struct, frozen=True):
    """One message of a history: for which of two cases, whether it is a dry run, and whether all before it is settled first."""

    message: StreamMessage
    case: int
    dry_run: bool
    settled_first: bool


class History(Struct, frozen=True):
    """All that is drawn."""

    published: tuple[Told, ...]
    fates: tuple[Fate, ...]
    seed: int


fates = st.builds(
    Fate,
    sender=st.sampled_from(["well", "well", "dies before put", "dies after put"]),
    rail=st.sampled_from(["accepts", "accepts", "accepts", "warns", "08", "12"]),
    doubled=st.booleans(),
    damage=st.none() | st.sampled_from(DamageForm),
)


def histories(scheme: Scheme) -> st.SearchStrategy[History]:
    """Up to eight messages about two cases."""

    def published(messages: list[StreamMessage]) -> st.SearchStrategy[tuple[Told, ...]]:
        often_not = st.sampled_from([False, False, False, True])
        return st.tuples(*(st.builds(Told, st.just(each), st.integers(0, 1), often_not, st.booleans()) for each in messages))

    messages = messages_of(scheme, smallest=1, largest=8).flatmap(published)
    return st.builds(History, messages, st.lists(fates, min_size=1, max_size=8).map(tuple), st.integers(0, 2**16))


class Play:
    """One history on one stage."""

    def __init__(self, stage: Stage, history: History, scheme: Scheme, number: int) -> None:
        self.stage, self.history, self.scheme = stage, history, scheme
        self.cases = [f"P{number}-{case}" for case in range(2)]
        self._chance = random.Random(history.seed)
        self._fates = 0
        self._pool: list[RawReceipt] = []
        stage.clock.set(START)

    def key(self, index: int) -> str:
        return f"{self.cases[0]}/{index}"

    def run(self) -> None:
        """Hands everything in and settles until all is answered."""
        for index, published in enumerate(self.history.published):
            if published.settled_first:
                self._settle_all()
            message = msgspec.structs.replace(
                published.message, header=msgspec.structs.replace(published.message.header, dry_run=published.dry_run)
            )
            self.stage.hand_in(self.scheme, (self.key(index), body_of(message, self.cases[published.case])))
            if self._chance.random() < 0.5:
                self._send_all()
            if self._pool and self._chance.random() < 0.5:
                self._deliver(1)
        self._settle_all()

    def _settle_all(self) -> None:
        while self._send_all() or self._pool:
            self._deliver(self._chance.randint(1, 3))

    def _deliver(self, most: int) -> None:
        """Settles some of the receipts that are on their way, in any order."""
        self._chance.shuffle(self._pool)
        batch, self._pool = self._pool[:most], self._pool[most:]
        self.stage.settle(batch)

    def _send_all(self) -> int:
        operate = Operate(self.stage.connection, self.stage.clock, PORTS)
        for held in operate.orders([OrderState.READY], held_only=True):
            operate.release(held.order_id, GUARD)
        sent = 0
        while orders := self.stage.sender.dequeue(1):
            self._send(orders[0])
            sent += 1
        return sent

    def _send(self, order: OrderToSend) -> None:
        fate = self.history.fates[self._fates % len(self.history.fates)]
        self._fates += 1
        set_faults(self.stage.connection, _faults(fate))
        if fate.sender != "dies before put":
            self._put(order)
        if fate.sender == "well":
            self.stage.sender.sent([(order.order_id, order.message_no)])
        else:
            self._recover()
        (receipt,) = self.stage.rail()
        damaged = receipt if fate.damage is None else RawReceipt(receipt.message_id, damage(receipt.body, fate.damage))
        self._pool.append(damaged)
        if fate.damage is DamageForm.TRUNCATED:
            self._pool += again([receipt], "repaired")
        if fate.doubled:
            self._pool += again([damaged])

    def _put(self, order: OrderToSend) -> None:
        self.stage.requests.put([Outgoing(order.order_id, order.message, REPLIES, resend=order.resend)])

    def _recover(self) -> None:
        """What the next sender does about the orders that the dead one had begun to send."""
        stage = self.stage
        send = stage.new_sender()
        (unknown,) = send.mark_unknown()
        assert [each.order_id for each in send.unknown(10)] == [unknown]
        if not stage.requests.was_put([unknown])[unknown]:
            (order,) = send.put_again([unknown])
            self._put(order)
            send.sent([(order.order_id, order.message_no)])
            return
        send.sent([(each.order_id, each.message_no) for each in send.unknown(10)])


def _faults(fate: Fate) -> Faults:
    if fate.rail in ("08", "12"):
        return Faults(refuse=Chance(next=1), refusal=RailAnswer(fate.rail, "Avvist for prøve", "X"))
    return Faults(warn=Chance(next=1)) if fate.rail == "warns" else Faults()


class Model:
    """What shall be paid after each message, given which of its orders the rail has accepted."""

    def __init__(self) -> None:
        self.payments: dict[str, Wish] = {}

    def wanted_by(self, message: StreamMessage, case: str) -> dict[str, Wish]:
        """All payments that a message speaks of, with what it wants of them."""
        named = wishes_of(message, case)
        omitted = {uid: Wish(stored.area, {}) for uid, stored in self.payments.items() if uid not in named}
        return {**named, **omitted} if is_whole_case(message) else named

    def changes(self, wishes: dict[str, Wish]) -> dict[str, Wish]:
        """Those that are not so yet."""
        return {uid: wish for uid, wish in wishes.items() if wish.days != (self.payments[uid].days if uid in self.payments else {})}


def judge(play: Play) -> None:
    """Everything that must hold at the end of a history."""
    for case_index, case in enumerate(play.cases):
        model = Model()
        for index, published in enumerate(play.history.published):
            if published.case == case_index:
                _judge_message(play, model, index, case)
        paid = _paid(play, case)
        for uid in model.payments.keys() | paid.keys():
            wanted = model.payments[uid].days if uid in model.payments else {}
            assert difference(wanted, paid.get(uid, {})) == {}, uid
    assert play.stage.rows("SELECT open_orders, queued FROM cases WHERE open_orders + queued > 0") == []
    assert play.stage.rows("SELECT state FROM messages WHERE state <> 'answered' AND NOT dry_run") == []
    assert duplicates(play.stage.connection).lines == ()


def _judge_message(play: Play, model: Model, index: int, case: str) -> None:
    published, key = play.history.published[index], play.key(index)
    wishes = model.wanted_by(published.message, case)
    orders = {str(area): str(state) for area, state in play.stage.rows(_ORDERS, key.encode())}
    finals = [answer for answer in play.stage.answers(key) if answer.status in (Status.OK, Status.FAILED)]
    if published.dry_run:
        assert orders == {}
        simulated = play.stage.one(
            "SELECT count(*) FROM simulation_requests AS r JOIN messages AS m USING (message_no) WHERE m.key = %s", key.encode()
        )
        assert len(finals) + bool(simulated) == 1
        assert all(answer.dry_run for answer in finals)
        return
    (final,) = finals
    assert set(orders.values()) <= {"accepted", "rejected"}
    assert final.status is (Status.FAILED if "rejected" in orders.values() else Status.OK) or not orders
    if not orders:
        _judge_without_order(model, wishes, final.error.status if final.error else 200)
        return
    assert {wish.area for wish in model.changes(wishes).values()} <= orders.keys()
    for uid, wish in wishes.items():
        if orders.get(wish.area) == "accepted":
            model.payments[uid] = wish


def _judge_without_order(model: Model, wishes: dict[str, Wish], code: int) -> None:
    """Nothing to do, nothing but an office changed, or a cessation of what never was: nothing else may be answered at once."""
    if code == 404:
        assert any(not wish.days and uid not in model.payments for uid, wish in wishes.items())
        return
    assert code in (200, 409)
    unlike = {uid: wish for uid, wish in model.changes(wishes).items() if uid in model.payments}
    assert unlike == {} or code == 409
    assert any(wish.days and uid in model.payments and model.payments[uid].days == wish.days for uid, wish in wishes.items()) or code == 200


_ORDERS = "SELECT o.area, o.state FROM orders AS o JOIN messages AS m USING (message_no) WHERE m.key = %s"


def _paid(play: Play, case: str) -> dict[str, Days]:
    """What the rail pays on each day, by payment; a chain belongs to the payment that its lines were made for."""
    made = play.stage.rows("SELECT line_id, payment_id::text FROM order_lines WHERE ceased_from IS NULL")
    owner = {str(line_id): str(payment_id) for line_id, payment_id in made}
    paid: dict[str, Days] = {}
    for area in AREAS[play.scheme]:
        for span in spans(play.stage.connection, area, case):
            days = paid.setdefault(owner[str(UUID(bytes=base64.b64decode(span.line_id)))], {})
            for day in days_between(span.start, span.end):
                assert day not in days, "one payment pays a day twice"
                days[day] = Paid(span.amount, span.decided_rate, span.class_code, span.rate_code)
    return paid


_OUT = "SELECT topic, key, value, headers, event_id FROM outbox WHERE message_no IN (SELECT message_no FROM messages WHERE key LIKE %s)"
_XML = "SELECT o.message FROM orders AS o JOIN cases AS c USING (case_no) WHERE c.case_id = ANY (%s) ORDER BY c.case_id, o.number"


def traces(play: Play) -> Sequence[object]:
    """Everything that leaves the hub in a history, to the byte."""
    out = play.stage.rows(_OUT + " ORDER BY outbox_no", f"{play.cases[0]}/%".encode())
    return [out, play.stage.rows(_XML, play.cases)]
