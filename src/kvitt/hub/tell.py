"""What is told about one message: the records of the outbox with their keys, headers and event ids (helved §1, §3.6)."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kvitt.hub.case import Case
from kvitt.hub.ruling import PaymentVersion
from kvitt.hub.taken import Address
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.rules.answers import Answer, Details, Status
from kvitt.rules.ids import event_id, named_uuid
from kvitt.rules.rail_port import Candidate, Observation, Rail
from kvitt.rules.values import CaseId, Order, OrderId, PaymentId
from kvitt.store import payment_document
from kvitt.store.rows import OutboxRow
from kvitt.wire import cases, dry_run, payment, status, topics
from kvitt.wire.order_keys import further_key

_EVENTS = UUID("0b9f3c56-51b5-5d55-8f0e-a6f6a4b6f0c3").bytes


class Teller:
    """Writes what is told about one message: the records of the outbox, with the headers that belong to them."""

    def __init__(self, facts: UnitOfWork, message: Address, now: datetime) -> None:
        assert message.key is not None, "only the rapid has messages without a key"
        self._facts, self._message, self._key, self._now = facts, message, message.key, now
        senders = topics.carried(topics.decode_headers(message.headers))
        self._carried: list[topics.Header] = [*senders, ("original-key", message.key.decode()), ("fagsystem", message.scheme.value)]
        self._plain = topics.encode_headers(self._carried)

    def _event(self, kind: str) -> str:
        message = self._message
        return named_uuid(_EVENTS, f"{message.source}\0{message.partition}\0{message.position}\0{kind}")

    def status(self, answer: Answer, event: str | None = None, reason: str | None = None) -> bytes:
        """The answer under the sender's key; gives its bytes. `reason` explains a refusal further, in a header."""
        value = status.encode(answer)
        headers = self._plain if reason is None else topics.encode_headers([*self._carried, ("reason", reason)])
        self._tell(topics.STATUSES, self._key, value, headers, event or self._event(answer.status.value))
        return value

    def no_change(self) -> None:
        """For a dry run: that the simulation succeeded without postings, on the scheme's topic if it has one."""
        topic = topics.DRY_RUNS.get(self._message.scheme)
        if topic:
            self._tell(topic, self._key, dry_run.encode_no_change(self._message.scheme), self._plain, self._event("info"))

    def own_key(self, orders: Sequence[Order], order: Order) -> bytes | None:
        """The key under which an order of a message is told; None: the sender's, which the first one has."""
        return None if order is orders[0] else further_key(self._key, order.area)

    def simulation(self, order: Order, value: bytes, own_key: bytes | None) -> bytes:
        """The request to simulate an order; gives its bytes."""
        self._tell(topics.SIMULATIONS, own_key or self._key, value, self._plain, self._event(f"simulation {order.area}"))
        return value

    def order(self, order: Order, xml: bytes, case: Case, own_key: bytes | None) -> None:
        """The pending payments, and the order by reference to the row that holds its bytes."""
        pending = topics.encode_headers([*self._carried, ("hash_key", hashlib.sha256(xml).hexdigest())])
        uids = ",".join(each.payment_id for each in order.payments)
        message_no, now = self._message.message_no, self._now
        for each in order.payments:
            event = event_id(order.order_id, f"pending {each.payment_id}")
            key = each.payment_id.encode()
            self._facts.outbox.append(
                OutboxRow(
                    topics.PENDING_PAYMENTS,
                    key,
                    payment.encode(each),
                    pending,
                    event,
                    message_no,
                    None,
                    now,
                    case.case_no,
                    each.payment_id,
                    order.number,
                )
            )
        headers = topics.encode_headers([*self._carried, ("uids", uids)])
        event = event_id(order.order_id, "order")
        self._facts.outbox.append(OutboxRow(topics.ORDERS, own_key or self._key, None, headers, event, message_no, order.order_id, now))

    def _tell(self, topic: str, key: bytes, value: bytes, headers: bytes, event: str) -> None:
        self._facts.outbox.append(OutboxRow(topic, key, value, headers, event, self._message.message_no, None, self._now))

    def with_rail(self, details: Details) -> None:
        """That all orders of the message are with the rail."""
        self.status(Answer(Status.WITH_RAIL, details), self._event("with rail"))

    def receipt(
        self,
        order: Candidate,
        receipt: Observation,
        versions: Sequence[PaymentVersion],
        mark: str = "",
        *,
        rail: Rail,
        accepted: bool,
        again: str = "",
    ) -> None:
        """The order with its receipt under the key of the order, then the payments, if it made them true.

        `versions` are those of the order, as they stand in it: whatever the receipt says, its record names them as the order's does.
        `again` tells the events of payments apart that were told of this order before.
        """
        uids = ",".join(each.payment_id for each in versions)
        headers = topics.encode_headers([*self._carried, ("uids", uids)])
        event = event_id(OrderId(order.order_id), f"receipt {receipt.raw_severity}{mark}")
        self._tell(topics.ORDERS, order.told_under or self._key, rail.with_acknowledgement(order.message, receipt), headers, event)
        for each in versions if accepted else ():
            self._payment(order, each.payment_id, each, again)

    def fallen(self, order: Candidate, payments: Sequence[tuple[str, PaymentVersion | None]], again: str) -> None:
        """The payments of an order that is true no more: the version that holds in its place, or nothing, as a tombstone."""
        for payment_id, version in payments:
            self._payment(order, payment_id, version, again)

    def _payment(self, order: Candidate, payment_id: str, version: PaymentVersion | None, again: str) -> None:
        event = event_id(OrderId(order.order_id), f"payment {payment_id}{again}")
        value = None if version is None else payment.encode(payment_document.decode(version.document))
        whose = (None, None, None) if version is None else (order.case_no, payment_id, version.version)
        message_no, key = self._message.message_no, payment_id.encode()
        self._facts.outbox.append(OutboxRow(topics.PAYMENTS, key, value, self._plain, event, message_no, None, self._now, *whose))


def tell_case_list(facts: UnitOfWork, case: Case, payment_ids: Sequence[str], message_no: int, now: datetime, *, by: str) -> None:
    """The ids of a case's living payments, under the case's own key (helved §1.2); `by` names what was settled, and how often."""
    key = cases.encode_key(CaseId(case.case_id), case.scheme)
    value = cases.encode_payments([PaymentId(payment_id) for payment_id in payment_ids])
    event = named_uuid(_EVENTS, f"{case.scheme}\0{case.case_id}\0list\0{message_no}\0{','.join(payment_ids)}\0{by}")
    headers = topics.encode_headers([("fagsystem", case.scheme.value)])
    facts.outbox.append(OutboxRow(topics.CASES, key, value, headers, event, message_no, None, now))
