"""A hub whose parts are stepped by hand: what real objects do, one after the other.

hand in → send → rail → receipts (kept here, so that a test may double, reorder or damage them) → settle
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import msgspec

from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.outputs import decode_status
from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.send import Send
from kvitt.disbursement.settle import RawReceipt, Settle
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.disbursement.values import Scheme
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.queue import Outgoing, Queue
from kvitt.settings import Settings
from kvitt.testing import Hub
from kvitt.transports.queue.table_queue import TableQueue
from support.hub_messages import Json, text

REQUESTS, REPLIES = Settings().request_queue, Settings().reply_queue
Row = tuple[object, ...]


class Stage:
    """A hub of `kvitt.testing`, and its parts by themselves; `key` of a message is also how its answers are found."""

    def __init__(self, conninfo: str, ports: Ports = PORTS) -> None:
        self.hub, self.ports = Hub(conninfo, Settings(), ports=ports), ports
        self.conninfo, self.clock, self.connection = conninfo, self.hub.clock, self.hub.connection
        self.submit = Submit(self.connection, self.clock, ports).execute
        self.settle = Settle(self.connection, self.clock, ports).execute
        self.keeper = LeaseKeeper(conninfo, seconds=600.0)
        held = self.keeper.acquire(self.connection, "sender")
        assert held
        self.lease, self._terms = held.lease, count(1)
        self.sender = self.new_sender()
        self.requests: Queue = TableQueue(conninfo, REQUESTS)
        self.replies: Queue = TableQueue(conninfo, REPLIES)
        self._position = 0

    def close(self) -> None:
        """Ends all connections."""
        for queue in (self.requests, self.replies):
            queue.close()
        self.keeper.close()
        self.hub.close()

    def new_sender(self) -> Send:
        """A sender that takes over from the one before, in whose hands orders may be unknown now."""
        self.sender = Send(self.connection, self.clock, self.ports, self.lease, next(self._terms))
        return self.sender

    def incoming(self, scheme: Scheme, key: str, body: Json | bytes) -> Incoming:
        """A record as the intake hands it in, at the next position of the scheme's topic."""
        self._position += 1
        value = body if isinstance(body, bytes) else text(body)
        return Incoming(helved_topics.primary_input(scheme), 0, self._position, key.encode(), value, b"[]")

    def hand_in(self, scheme: Scheme, *messages: tuple[str, Json | bytes]) -> list[Outcome]:
        """Submits messages (key, body) as one batch."""
        return self.submit([self.incoming(scheme, key, body) for key, body in messages])

    def put(self) -> int:
        """Puts what is ready on the queue and notes that it is sent; returns how many orders."""
        orders = self.sender.dequeue(1000)
        self.requests.put([Outgoing(order.order_id, order.message, REPLIES, order.priority, order.resend) for order in orders])
        self.sender.sent([(order.order_id, order.message_no) for order in orders])
        return len(orders)

    def rail(self) -> list[RawReceipt]:
        """Lets the rail answer what it has, and returns the receipts in its order."""
        self.hub.run("emulator")
        deliveries = self.replies.receive(1000, 0.0)
        self.replies.acknowledge()
        return [RawReceipt(delivery.message_id, delivery.body) for delivery in deliveries]

    def exchange(self) -> list[RawReceipt]:
        """Sends what is ready and returns the rail's receipts, not settled yet."""
        self.put()
        return self.rail()

    def finish(self) -> list[ReceiptOutcome]:
        """Sends and settles until nothing is left to send."""
        outcomes: list[ReceiptOutcome] = []
        while receipts := self.exchange():
            outcomes += self.settle(receipts)
        return outcomes

    def answers(self, key: str) -> list[Answer]:
        """What the sender of `key` has heard, in order."""
        query = "SELECT value FROM outbox WHERE topic = %s AND key = %s ORDER BY outbox_no"
        return [decode_status(value) for value in self.bytes(query, helved_topics.STATUSES, key.encode())]

    def said(self, key: str) -> list[str]:
        """The statuses of `key`, in order."""
        return [answer.status.value for answer in self.answers(key)]

    def final(self, key: str) -> Answer:
        """The one OK or FEILET of `key`."""
        (answer,) = [each for each in self.answers(key) if each.status in (Status.OK, Status.FAILED)]
        return answer

    def rows(self, query: str, *arguments: object) -> list[Row]:
        """The rows of a query."""
        return self.connection.execute(query.encode(), arguments).fetchall()

    def bytes(self, query: str, *arguments: object) -> list[bytes]:
        """The values of a query for bytes."""
        return [value for (value,) in self.rows(query, *arguments) if isinstance(value, bytes)]

    def one(self, query: str, *arguments: object) -> object:
        """The one value of a query."""
        ((value,),) = self.rows(query, *arguments)
        return value

    def order_states(self, case: str) -> list[str]:
        """The states of a case's orders, oldest first."""
        query = "SELECT o.state FROM orders AS o JOIN cases AS c USING (case_no) WHERE c.case_id = %s ORDER BY o.number"
        return [str(state) for (state,) in self.rows(query, case)]


@contextmanager
def staged(conninfo: str) -> Iterator[Stage]:
    """A stage for as long as the block runs."""
    stage = Stage(conninfo)
    try:
        yield stage
    finally:
        stage.close()


def receipt_with(receipt: RawReceipt, severity: str, words: str = "", *, message_id: str = "") -> RawReceipt:
    """The receipt with another severity and other words, as a message of its own."""
    head, found, rest = receipt.body.partition(b"<mmel>")
    assert found, "the receipt has an answer"
    tail = rest.partition(b"</mmel>")[2]
    grade = f"<alvorlighetsgrad>{severity}</alvorlighetsgrad>" if severity else ""
    said = f"<beskrMelding>{words}</beskrMelding>" if words else ""
    return RawReceipt(message_id or f"{receipt.message_id} {severity}", head + f"<mmel>{grade}{said}</mmel>".encode() + tail)


def again(receipts: Sequence[RawReceipt], suffix: str = "again") -> list[RawReceipt]:
    """The same bytes as messages of their own, as a rail that answers twice sends them."""
    return [msgspec.structs.replace(each, message_id=f"{each.message_id} {suffix}") for each in receipts]
