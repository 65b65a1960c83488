"""How the order of a need is told of: solutions on the need, and the events of the rapid (rapid §2.5, §2.6, §3.3)."""

from datetime import datetime

from msgspec.structs import replace

from kvitt.hub.rapid.tell import NeedTeller
from kvitt.hub.ruling import Settled
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.hub.voice import CORRECTED, Asked, Correction, Versions, named_withdrawal
from kvitt.rules.ids import event_id
from kvitt.rules.needs import Need
from kvitt.rules.rail_port import ReceiptOutcome, Severity
from kvitt.rules.refusals import WITHDRAWN
from kvitt.rules.values import Area, OrderId
from kvitt.wire.rapid import need as needs
from kvitt.wire.rapid import packet, solutions
from kvitt.wire.rapid.packet import Trace
from kvitt.wire.rapid.solutions import TEXTS, Solution, SolutionStatus


class NeedVoice:
    """Speaks about one need that has an order."""

    def __init__(self, facts: UnitOfWork, asked: Asked, now: datetime) -> None:
        assert asked.order is not None, "a need that is told of has an order"
        order = asked.order
        self._teller = NeedTeller(facts, asked.address, asked.body, asked.received_at, now)
        found = needs.read(asked.body)
        assert isinstance(found, Need), "only needs that can be read have orders"
        self._need, self._order, self._order_id = found, order, OrderId(order.order_id)
        self._cause: Trace | None = None

    def with_rail(self) -> bytes | None:
        """The order with its bytes as on the queue, then OVERFØRT."""
        order = self._order
        cause = self._teller.transferred(self._need, order.key, order.message, self._order_id, order.made_at)
        solution = Solution(
            SolutionStatus.TRANSFERRED,
            TEXTS[SolutionStatus.TRANSFERRED],
            sent_at=packet.default_text(self._teller.at),
            key=order.key,
        )
        told = solutions.encode(solution)
        self._teller.answer(told, event_id(self._order_id, "with rail"), cause)
        return told

    def receipt(self, settled: Settled, versions: Versions) -> None:
        """What the rail said of the order, as an event of its own. Forwarded orders have no payments."""
        assert not versions, "forwarded orders have no payments"
        self._cause = self._teller.transaction_status(
            self._need, self._order.key, settled.receipt, settled.body, order_id=self._order_id, mark=settled.mark
        )

    def settled(self, settled: Settled, so_far: bytes) -> bytes:  # noqa: ARG002 - a need has one order, so there is nothing to weigh
        """The solution by the receipt's severity."""
        accepted_before = settled.outcome is ReceiptOutcome.ACCEPTED and settled.receipt.severity not in (Severity.OK, Severity.WARNING)
        assert not accepted_before, "what the rail refuses of a sender's own lines proves nothing"
        return solutions.encode(solutions.of_receipt(settled.receipt, self._order.key, self._teller.at))

    def unclear(self, settled: Settled) -> bytes | None:
        """FEIL with the rail's raw words; a later receipt may settle the order after all."""
        solution = solutions.of_receipt(settled.receipt, self._order.key, self._teller.at)
        if settled.receipt.severity is not Severity.UNKNOWN:
            # A rejection that may be about a second copy is no rejection of the need.
            solution = replace(solution, status=SolutionStatus.FAILED, text=f"{TEXTS[SolutionStatus.FAILED]}. {solution.text}")
        told = solutions.encode(solution)
        self._teller.answer(told, event_id(self._order_id, f"unclear{settled.mark}"), self._cause)
        return told

    def final(self, answer: bytes, order_id: str) -> None:
        """The solution that the receipt gave."""
        self._teller.answer(answer, event_id(OrderId(order_id), "answer"), self._cause)

    def withdrawn(self, order_id: str, area: Area, *, last: bool) -> bytes:  # noqa: ARG002 - a need has one order, in one area
        """FEIL, with the reason that nothing was sent."""
        assert last, "a need has one order"
        told = solutions.encode(Solution(SolutionStatus.FAILED, WITHDRAWN.text, key=self._order.key))
        self._teller.answer(told, named_withdrawal(order_id))
        return told

    def corrected(self, correction: Correction) -> bytes:
        """What the rail said, as an event, then its solution, with the reason behind its text. Forwarded orders have no payments."""
        assert not correction.versions, "forwarded orders have no payments"
        assert not correction.fallen, "forwarded orders have no payments"
        settled, mark = correction.settled, correction.mark
        cause = self._teller.transaction_status(
            self._need, self._order.key, settled.receipt, settled.body, order_id=self._order_id, mark=mark
        )
        solution = solutions.of_receipt(settled.receipt, self._order.key, self._teller.at)
        told = solutions.encode(replace(solution, text=f"{solution.text} ({CORRECTED})"))
        self._teller.answer(told, event_id(self._order_id, f"answer{mark}"), cause)
        return told
