"""Rails to try the port on: each with its other end, and with what its answers look like when something is wrong with them."""

from collections.abc import Sequence
from uuid import NAMESPACE_URL, uuid5

from kvitt.app.ports import ports_of
from kvitt.broker_settings import RapidSettings
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.values import Scheme
from kvitt.kernel.queue import Delivery, Outgoing, Queue
from kvitt.rails.oppdrag.emulator import Emulator
from kvitt.settings import OpsSettings
from kvitt.transports.queue.table_queue import TableQueue
from support.toy_rail import ToyBank, ToyRail

SCHEME = Scheme.AAP


class OppdragKit:
    """The state rail with its emulator."""

    damaged = b"<oppdrag><mmel><alvorlighetsgrad>00</alvorlighetsgrad></mmel><oppdrag-110><kodeFag"
    accepted, rejected, unknown = "00", "08", "16"

    def __init__(self, conninfo: str, requests: str) -> None:
        self.ports = ports_of(RapidSettings(), OpsSettings())
        self.rail = self.ports.rails.named("oppdrag")
        self._emulator = Emulator(conninfo, TableQueue(conninfo, requests), lambda name: TableQueue(conninfo, name), wait_seconds=0.0)

    def step(self) -> None:
        """Books what came, and puts receipts."""
        while self._emulator.step():
            continue

    def with_severity(self, answer: bytes, severity: str, words: str) -> bytes:
        """Another `mmel`."""
        head, found, rest = answer.partition(b"<mmel>")
        assert found, "receipts have an answer"
        leaves = f"<alvorlighetsgrad>{severity}</alvorlighetsgrad><beskrMelding>{words}</beskrMelding>"
        return head + f"<mmel>{leaves}</mmel>".encode() + rest.partition(b"</mmel>")[2]

    def together(self, answers: Sequence[bytes]) -> list[bytes]:
        """One receipt for each order."""
        return list(answers)

    def close(self) -> None:
        """Ends its connections."""
        self._emulator.close()


class ToyKit:
    """The toy rail with its bank."""

    damaged = b"answer me"
    accepted, rejected, unknown = "TAKEN", "NO", "PERHAPS"
    cancelled, kept = "CANCELLED", "KEPT"

    @staticmethod
    def ports_of_hub() -> Ports:
        """A hub with the toy rail plugged in beside the state rail: one line."""
        return ports_of(RapidSettings(), OpsSettings(), further=[ToyRail()], of_scheme={SCHEME: "toy"})

    @staticmethod
    def rails() -> Rails:
        """The toy rail beside the state rail."""
        return ToyKit.ports_of_hub().rails

    def __init__(self, conninfo: str, requests: str) -> None:
        self.ports = self.ports_of_hub()
        self.rail = self.ports.rails.named("toy")
        self.bank = ToyBank()
        self._conninfo, self._requests = conninfo, TableQueue(conninfo, requests)

    def step(self) -> None:
        """Answers each file on the queue that it names."""
        while deliveries := self._requests.receive(100, 0.0):
            for delivery in deliveries:
                self._put(delivery)
            self._requests.acknowledge()

    def keeps(self, order_id: str) -> None:
        """The bank will cancel an order no more."""
        self.bank.paid.add(order_id)

    def _put(self, delivery: Delivery) -> None:
        replies: Queue = TableQueue(self._conninfo, delivery.reply_to)
        replies.put([Outgoing(str(uuid5(NAMESPACE_URL, delivery.message_id)), self.bank.answer(delivery.body))])
        replies.close()

    def with_severity(self, answer: bytes, severity: str, words: str) -> bytes:
        """Another code and other words."""
        head, order_id, time, *_ = answer.split(b" ", 4)
        return b" ".join([head, order_id, time, severity.encode(), words.encode()])

    def together(self, answers: Sequence[bytes]) -> list[bytes]:
        """All in one message."""
        return [b"\n".join(answers)]

    def close(self) -> None:
        """Ends its connections."""
        self._requests.close()
