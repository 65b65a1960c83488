"""The replayed of one message in a replay: how it reads, and what should have become of it so far."""

from datetime import datetime

from kvitt.disbursement.contract import Contract, Contracts, parse_again
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.events import MessageInProgress, OrderOfMessage
from kvitt.disbursement.handle import numbered
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.rows import MessageRow, MessageStep
from kvitt.disbursement.states import MessageState
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import Refusal


class MessageReplay:
    """A stored message, read again, and the row that its handling makes. `trusted` ends when its handling could not be repeated."""

    def __init__(self, stored: MessageRow, contracts: Contracts) -> None:
        self.stored = stored
        self.contract: Contract = contracts.of[stored.source]
        self.parsed = parse_again(
            contracts,
            Incoming(
                stored.source, stored.partition, stored.position, stored.key, stored.body, stored.headers, edition=Edition(stored.edition)
            ),
        )
        self.message = numbered(self.parsed, stored.message_no, stored.received_at)
        self.state = MessageState.RECEIVED
        self.derived_at: datetime | None = None
        self.answered_at: datetime | None = None
        self.answer: bytes | None = None
        self.open_orders: set[str] = set()
        self.order_ids: list[str] = []
        self.trusted = True

    def step(self, step: MessageStep) -> None:
        """Takes a step as the store does: what the step leaves out stays."""
        self.state = MessageState(step.state)
        self.derived_at = step.derived_at or self.derived_at
        self.answered_at = step.answered_at or self.answered_at
        self.answer = step.answer or self.answer

    def failure(self) -> Refusal | None:
        """The stored answer, if it says that kvitt itself failed on the message: such an answer can not be derived again."""
        return None if self.stored.answer is None else self.contract.failure_in(self.stored.answer)

    def in_progress(self, orders: tuple[OrderOfMessage, ...]) -> MessageInProgress:
        """The message as its replies are made from it, with the answer so far."""
        message = self.message
        return MessageInProgress(
            message_no=message.message_no,
            source=message.source,
            partition=message.partition,
            position=message.position,
            key=message.key,
            headers=message.headers,
            scheme=message.scheme,
            body=message.body,
            received_at=message.received_at,
            edition=message.edition,
            answer=self.answer,
            last_at=message.received_at,
            orders=orders,
        )


def step_of(work: UnitOfWork) -> MessageStep:
    """Returns what handling did to the message, whether it was stored before or came in with it."""
    if work.steps:
        return work.steps[0]
    kept = work.messages[0]
    return MessageStep(kept.message_no, kept.state, kept.derived_at, kept.answered_at, kept.answer)
