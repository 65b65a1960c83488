"""Publish: what contracts make of events goes to the outbox, in the transaction of its cause (design §1)."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from kvitt.disbursement.contract import Contract, Contracts
from kvitt.disbursement.events import (
    Announcement,
    Event,
    MessageInProgress,
    OutboxRecord,
)
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.kernel.outbox import OutboxRow


def publish(work: UnitOfWork, records: Iterable[OutboxRecord], message_no: int | None, at: datetime) -> None:
    """Adds records about a message, or about none, to what the transaction writes."""
    for each in records:
        case_no, payment_id, version = each.payment or (None, None, None)
        work.outbox.append(
            OutboxRow(
                topic=each.topic,
                key=each.key,
                value=each.value,
                headers=each.headers,
                event_id=each.event_id,
                message_no=message_no,
                order_id=each.order_id,
                made_at=at,
                case_no=case_no,
                payment_id=payment_id,
                version=version,
            )
        )


class OutboxWriter:
    """Publishes what happens to messages whose orders are under way."""

    def __init__(self, contracts: Contracts, work: UnitOfWork) -> None:
        self._contracts, self._work = contracts, work

    def publish(self, event: Event, message: MessageInProgress, at: datetime) -> bytes | None:
        """Publishes what the message's contract makes of an event; returns the answer to keep from now on, None when it stays."""
        reply = self._contracts.of(message.source).reply(event, message, at)
        publish(self._work, reply.records, message.message_no, at)
        return reply.answer

    def announce(self, contract: Contract, event: Announcement, message_no: int | None, at: datetime) -> None:
        """Publishes what a contract makes of what happens to no message alone."""
        publish(self._work, contract.announce(event, at), message_no, at)


def copy_event(message_id: str, digest: bytes) -> str:
    """The id of publishing a receipt as it came; made so that the database can make it too (`kvitt check` joins by it)."""
    return str(UUID(hex=hashlib.md5(f"{message_id} {digest.hex()}".encode(), usedforsecurity=False).hexdigest()))
