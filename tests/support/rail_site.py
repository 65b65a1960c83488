"""A hub whose orders leave on the rail of a kit, stepped by hand: what the promises of rails are tried on."""

from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.cancel.ask import cancel
from kvitt.disbursement.cancel.send import cancellation_sender
from kvitt.disbursement.check import check
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.receiver import Receiver
from kvitt.disbursement.sender import Sender
from kvitt.disbursement.settle import RawReceipt, Settle
from kvitt.disbursement.submit import Submit
from kvitt.kernel.database import connect
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import LoopStep
from kvitt.kernel.operators import Operator
from kvitt.testing.clock import HandClock
from kvitt.transports.queue.table_queue import TableQueue
from support.hub_messages import aap, text
from support.rail_kits import SCHEME, OppdragKit, ToyKit

REQUESTS, REPLIES = "conformance.requests", "conformance.replies"
TWO = Operator("Kari Nordmann", "the rail said so by phone", "Ola Hansen")
Kits = OppdragKit | ToyKit


class Awake:
    """A wake-up that nobody sleeps by."""

    def sleep(self, seconds: float) -> None:
        """Returns at once."""

    def notify(self) -> None:
        """Nobody sleeps."""


class Site:
    """A hub whose orders of AAP leave on the rail of a kit, by the real sender and receiver, stepped by hand."""

    def __init__(self, conninfo: str, kit: Kits) -> None:
        self.conninfo, self.kit, self.clock = conninfo, kit, HandClock()
        self.connection = connect(conninfo, application="kvitt conformance")
        self.submit = Submit(self.connection, self.clock, kit.ports).execute
        self.settle = Settle(self.connection, self.clock, kit.ports, kit.rail.name).execute
        self.operate = Operate(self.connection, self.clock, kit.ports)
        self.keeper = LeaseKeeper(conninfo, seconds=600.0)
        self._position, self._queue = 0, TableQueue
        self._sender = Sender(
            conninfo,
            self.keeper,
            lambda: self._queue(conninfo, REQUESTS),
            self.clock,
            kit.ports,
            wake_up=Awake(),  # type: ignore[arg-type]
            reply_to=REPLIES,
            rail=kit.rail.name,
        )
        self._canceller = cancellation_sender(
            conninfo,
            self.keeper,
            lambda: self._queue(conninfo, REQUESTS),
            self.clock,
            rail=kit.rail.name,
            reply_to=REPLIES,
            wake_up=Awake(),  # type: ignore[arg-type]
        )

    def close(self) -> None:
        self.kit.close()
        self.keeper.close()
        self.connection.close()

    def ask(self, *cases: str, amount: int = 500) -> None:
        """Messages about cases, one batch."""
        records = []
        for case in cases:
            self._position += 1
            body = text(aap(case, amount))
            records.append(Incoming(helved_topics.primary_input(SCHEME), 0, self._position, f"key {case}".encode(), body, b"[]"))
        self.submit(records)

    def send(self, queue: type[TableQueue] = TableQueue) -> None:
        """Sends what is ready; as a sender that begins, and clears up what it has left when it failed."""
        self._queue = queue
        with self._sender.steps() as step:
            until_idle(step)

    def cancel(self, order_id: str, operator: Operator = TWO) -> None:
        """Has the rail asked to cancel an order."""
        cancel(self.connection, self.clock, self.kit.ports, order_id, operator)

    def send_requests(self, queue: type[TableQueue] = TableQueue) -> None:
        """Sends requests to cancel; as a sender that begins."""
        self._queue = queue
        with self._canceller.steps() as step:
            until_idle(step)

    def requests(self) -> list[tuple[int, str]]:
        """The requests to cancel, oldest first, and how each stands."""
        return self.connection.execute("SELECT number, state FROM cancellations ORDER BY asked_at, number").fetchall()

    def receive(self) -> None:
        """Lets the other end answer, and settles."""
        self.kit.step()
        replies = lambda: TableQueue(self.conninfo, REPLIES)  # noqa: E731 - a queue is opened by whoever reads it
        receiver = Receiver(
            self.conninfo,
            replies,
            self.clock,
            self.kit.ports,
            Awake(),  # type: ignore[arg-type]
            rail=self.kit.rail.name,
            look_seconds=0.0,
        )
        with receiver.steps() as step:
            until_idle(step)

    def answers(self) -> list[RawReceipt]:
        """What the other end answers, kept from the receiver, one for each thing that it says."""
        self.kit.step()
        queue = TableQueue(self.conninfo, REPLIES)
        deliveries = queue.receive(100, 0.0)
        queue.acknowledge()
        queue.close()
        return [
            RawReceipt(f"{delivery.message_id} {place}", part)
            for delivery in deliveries
            for place, part in enumerate(self.parts(delivery.body))
        ]

    def parts(self, answer: bytes) -> list[bytes]:
        """An answer for each order that it is about."""
        return answer.split(b"\n") if self.kit.rail.name == "toy" else [answer]

    def orders(self) -> list[str]:
        """The ids of the orders, oldest first."""
        return [str(each) for (each,) in self.connection.execute("SELECT order_id::text FROM orders ORDER BY message_no, number")]

    def states(self) -> list[str]:
        return [str(state) for (state,) in self.connection.execute("SELECT state FROM orders ORDER BY message_no, number")]

    def outcomes(self) -> list[str]:
        return [str(outcome) for (outcome,) in self.connection.execute("SELECT outcome FROM receipts ORDER BY receipt_no")]

    def said(self, case: str) -> list[str]:
        """The statuses that the sender of a case heard."""
        query = "SELECT convert_from(value, 'UTF8')::json ->> 'status' FROM outbox WHERE topic = %s AND key = %s ORDER BY outbox_no"
        return [str(status) for (status,) in self.connection.execute(query, (helved_topics.STATUSES, f"key {case}".encode()))]

    def assert_clean(self) -> None:
        assert [repr(each) for each in check(self.conninfo, self.kit.ports).differences] == []


def until_idle(step: LoopStep) -> None:
    while step():
        continue
