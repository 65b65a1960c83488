"""Makes what is published about a message of the case streams, and the answer that is kept (helved §1, §3.6).

One status topic; orders and payments on topics of their own. An answer is the StatusReply that the sender had last, or will have once the
last order of its message is settled.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.dry_run import answer as dry_run_answer
from kvitt.contracts.helved.dry_run import encode_no_change
from kvitt.contracts.helved.order_keys import further_key
from kvitt.contracts.helved.outputs import (
    carried,
    decode_status,
    details_of,
    encode_payment,
    encode_status,
    with_outcome,
    without_outcomes,
)
from kvitt.disbursement import payment_document
from kvitt.disbursement.answers import Answer, Details, Status
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.events import (
    CORRECTED,
    AllSettled,
    AreaOutcome,
    Corrected,
    Event,
    MessageInProgress,
    Ordered,
    OrderSettled,
    OrderUnclear,
    OrderWithdrawn,
    OutboxRecord,
    PaymentVersion,
    Queued,
    ReceiptRead,
    Refused,
    Reply,
    Settled,
    Simulated,
    SimulationEnded,
    Unchanged,
    WithRail,
    withdrawal_event,
)
from kvitt.disbursement.inbox import InboxMessage, ReplyTo
from kvitt.disbursement.rail import (
    Candidate,
    Observation,
    Rails,
    Reason,
    ReceiptOutcome,
    Severity,
)
from kvitt.disbursement.refusals import BASE, WITHDRAWN
from kvitt.disbursement.simulation import Simulation, of_case
from kvitt.disbursement.values import (
    Area,
    Order,
    OrderId,
    Refusal,
)
from kvitt.formats import topics
from kvitt.kernel.identifiers import event_id, named_uuid

EVENTS = UUID("0b9f3c56-51b5-5d55-8f0e-a6f6a4b6f0c3").bytes
_NONE = Details(None, ())
_ENDS = {Status.OK: "utført", Status.FAILED: "ikke utført", None: "uavklart"}
_SAID_BEFORE = re.compile(rf" \((?:{'|'.join(_ENDS.values())}): [^()]*\)$")
PAYMENT_MISSING_DOC = f"{BASE}/async/kom_i_gang/endre_utbetaling#utbetaling-finnes-ikke"
PAYMENT_EXISTS_DOC = f"{BASE}/async/kom_i_gang/opprett_utbetaling#utbetaling-finnes-allerede"
_RAIL = "OSUR"
_NO_WORDS = "Oppdragssystemet (OS) oppga ingen årsak"

_HTTP_STATUS = {Severity.WARNING: 200, Severity.REJECTED: 400, Severity.TECHNICAL: 500}
_KNOWN_REASONS = (
    (Reason.NOTHING_TO_CHANGE, Refusal(404, "Utbetalingen finnes ikke", PAYMENT_MISSING_DOC, _RAIL)),
    (Reason.ORDER_EXISTS, Refusal(409, "Utbetalingen finnes allerede", PAYMENT_EXISTS_DOC, _RAIL)),
)


def reply_to(event: Event, message: ReplyTo, rails: Rails) -> Reply:
    """The records of an event, and the answer to keep."""
    return _REPLIES[type(event)](event, message, rails)


class _Records:
    """Makes records about one message: its key, and the headers that go on with whatever it leads to."""

    def __init__(self, message: ReplyTo) -> None:
        assert message.key is not None, "records without a key are skipped"
        self.key, self._message = message.key, message
        senders = carried(topics.decode_headers(message.headers))
        self._carried: list[topics.Header] = [*senders, ("original-key", message.key.decode()), ("fagsystem", message.scheme.value)]
        self.plain = topics.encode_headers(self._carried)

    def event(self, kind: str) -> str:
        """The id of something published about the message itself."""
        message = self._message
        return named_uuid(EVENTS, f"{message.source}\0{message.partition}\0{message.position}\0{kind}")

    def headers(self, *more: topics.Header) -> bytes:
        """The headers with more behind them."""
        return topics.encode_headers([*self._carried, *more])

    def status(self, value: bytes, event: str, reason: str | None = None) -> OutboxRecord:
        """An answer under the sender's key; `reason` explains a refusal further, in a header."""
        headers = self.plain if reason is None else self.headers(("reason", reason))
        return OutboxRecord(helved_topics.STATUSES, self.key, value, headers, event)

    def order_with_receipt(self, settled: Settled, versions: Sequence[PaymentVersion], suffix: str, rails: Rails) -> OutboxRecord:
        """The order with its receipt under the key of the order.

        Whatever the receipt says, the record names the payments of the order as that of the order did.
        """
        order, receipt = settled.order, settled.receipt
        uids = ",".join(each.payment_id for each in versions)
        event = event_id(OrderId(order.order_id), f"receipt {receipt.raw_severity}{suffix}")
        value = rails.of[self._message.scheme].with_acknowledgement(order.message, receipt)
        return OutboxRecord(helved_topics.ORDERS, order.published_under or self.key, value, self.headers(("uids", uids)), event)

    def payment(self, order: Candidate, payment_id: str, version: PaymentVersion | None, again: str = "") -> OutboxRecord:
        """A payment as it holds now, None: not any more, as a tombstone. `again` distinguishes what was published of this order before."""
        event = event_id(OrderId(order.order_id), f"payment {payment_id}{again}")
        if version is None:
            return OutboxRecord(helved_topics.PAYMENTS, payment_id.encode(), None, self.plain, event)
        value = encode_payment(payment_document.decode(version.document))
        named = (order.case_no, payment_id, version.version)
        return OutboxRecord(helved_topics.PAYMENTS, payment_id.encode(), value, self.plain, event, payment=named)


def _answered(records: _Records, answer: Answer, event: str | None = None, reason: str | None = None) -> Reply:
    """One status, which is the answer to keep."""
    value = encode_status(answer)
    return Reply((records.status(value, event or records.event(answer.status.value), reason),), value)


def _queued(_: Queued, message: ReplyTo, __: Rails) -> Reply:
    """MOTTATT, except for dry runs."""
    assert isinstance(message, InboxMessage), "what waits was read"
    return Reply() if message.dry_run else _answered(_Records(message), Answer(Status.RECEIVED), reason="waiting")


def _refused(event: Refused, message: ReplyTo, _: Rails) -> Reply:
    """FEILET for good."""
    assert isinstance(message, InboxMessage), "what is refused was read"
    return _answered(_Records(message), Answer(Status.FAILED, None, event.refusal, message.dry_run), reason=event.reason)


def _unchanged(event: Unchanged, message: ReplyTo, _: Rails) -> Reply:
    """OK; a dry run also hears on its scheme's topic, if there is one, that the simulation succeeded without postings."""
    records = _Records(message)
    reply = _answered(records, Answer(Status.OK, dry_run=event.dry_run))
    topic = helved_topics.DRY_RUNS.get(message.scheme) if event.dry_run else None
    if topic is None:
        return reply
    value = encode_no_change(message.scheme)
    return replace(reply, records=(*reply.records, OutboxRecord(topic, records.key, value, records.plain, records.event("info"))))


def _keys(records: _Records, orders: Sequence[Order]) -> Mapping[str, bytes]:
    """The keys of orders that are not published under their sender's, which the first one has."""
    return {order.order_id: further_key(records.key, order.area) for order in orders[1:]}


def _simulated(event: Simulated, message: ReplyTo, _: Rails) -> Reply:
    """Nothing: the answer comes with the rail's. Once the questions were published, one per order, for others to ask."""
    if not event.published:
        return Reply()
    records = _Records(message)
    keys = _keys(records, event.orders)
    return Reply(
        [
            OutboxRecord(
                helved_topics.SIMULATIONS,
                keys.get(order.order_id, records.key),
                question,
                records.plain,
                records.event(f"simulation {order.area}"),
            )
            for order, question in zip(event.orders, event.published, strict=True)
        ]
    )


def _simulation_ended(event: SimulationEnded, message: ReplyTo, _: Rails) -> Reply:
    """The simulation on the scheme's topic for dry runs, or FEILET with the reason; where a scheme has no such topic, OK (helved §2.10)."""
    records, outcome = _Records(message), event.outcome
    own = of_case(outcome, message.scheme, event.case_id)[0] if isinstance(outcome, Simulation) else outcome
    said = dry_run_answer(message.scheme, own, event.day)
    if isinstance(said, Refusal):
        return _answered(records, Answer(Status.FAILED, None, said, dry_run=True))
    topic = helved_topics.DRY_RUNS.get(message.scheme)
    if topic is None:
        return _answered(records, Answer(Status.OK, dry_run=True))
    return Reply((OutboxRecord(topic, records.key, said, records.plain, records.event("simulation")),))


def _ordered(event: Ordered, message: ReplyTo, _: Rails) -> Reply:
    """MOTTATT with the lines; then, order by order, its pending payments, and the order by reference to its bytes."""
    records = _Records(message)
    keys = _keys(records, event.orders)
    reply = _answered(records, Answer(Status.RECEIVED, details_of(event.orders)), event_id(event.orders[0].order_id, "received"))
    published = list(reply.records)
    for order, xml in zip(event.orders, event.messages, strict=True):
        pending = records.headers(("hash_key", hashlib.sha256(xml).hexdigest()))
        for each in order.payments:
            made = event_id(order.order_id, f"pending {each.payment_id}")
            named = (event.case_no, each.payment_id, order.number)
            published.append(
                OutboxRecord(helved_topics.PENDING_PAYMENTS, each.payment_id.encode(), encode_payment(each), pending, made, payment=named)
            )
        headers = records.headers(("uids", ",".join(each.payment_id for each in order.payments)))
        key, made = keys.get(order.order_id, records.key), event_id(order.order_id, "order")
        published.append(OutboxRecord(helved_topics.ORDERS, key, None, headers, made, order_id=order.order_id))
    return Reply(published, reply.answer, keys)


def _so_far(message: ReplyTo) -> Answer:
    assert isinstance(message, MessageInProgress), "this happens to messages with orders"
    assert message.answer is not None, "messages with orders have an answer"
    return decode_status(message.answer)


def _with_rail(_: WithRail, message: ReplyTo, __: Rails) -> Reply:
    """HOS_OPPDRAG; the answer to keep stays as it is."""
    records = _Records(message)
    answer = Answer(Status.WITH_RAIL, without_outcomes(_so_far(message).details or _NONE))
    return Reply((records.status(encode_status(answer), records.event("with rail")),))


def _receipt_read(event: ReceiptRead, message: ReplyTo, rails: Rails) -> Reply:
    """The order with its receipt, and the payments that it made true."""
    records, settled = _Records(message), event.settled
    order = records.order_with_receipt(settled, event.versions, settled.event_suffix, rails)
    true = event.versions if settled.outcome is ReceiptOutcome.ACCEPTED else ()
    return Reply([order, *(records.payment(settled.order, each.payment_id, each) for each in true)])


def _settled(event: OrderSettled, message: ReplyTo, _: Rails) -> Reply:
    """The worse one of both answers; of several areas it says which are paid. Nothing is published yet."""
    so_far = _so_far(message)
    settled = event.settled
    answer = answer_for(settled.outcome is ReceiptOutcome.ACCEPTED, settled.receipt, so_far.details or _NONE)
    return Reply((), encode_status(_weighed(so_far, answer, Area(settled.order.area))))


def _weighed(so_far: Answer, answer: Answer, area: Area) -> Answer:
    """The answer so far, made worse or not by what became of the order of an area."""
    details = with_outcome(so_far.details or _NONE, area, answer.status)
    return with_areas_named(replace(worse(so_far, answer), details=details))


def _unclear(event: OrderUnclear, message: ReplyTo, _: Rails) -> Reply:
    """FEILET; the answer to keep stays as it is, for a later receipt may settle the order."""
    settled, details = event.settled, _so_far(message).details or _NONE
    answer = answer_for(settled.outcome is ReceiptOutcome.ACCEPTED, settled.receipt, details)
    answer = with_areas_named(replace(answer, details=with_outcome(details, Area(settled.order.area), None)))
    made = event_id(OrderId(settled.order.order_id), f"unclear{settled.event_suffix}")
    return Reply((_Records(message).status(encode_status(answer), made),))


def _all_settled(event: AllSettled, message: ReplyTo, _: Rails) -> Reply:
    """OK or FEILET, as it is kept."""
    assert isinstance(message, MessageInProgress), "this happens to messages with orders"
    assert message.answer is not None, "messages with orders have an answer"
    made = event_id(OrderId(event.settled.order.order_id), "answer")
    return Reply((_Records(message).status(message.answer, made),))


def _withdrawn(event: OrderWithdrawn, message: ReplyTo, _: Rails) -> Reply:
    """FEILET, with the reason that nothing was sent; of several areas it says which are paid. Published with the last one."""
    value = encode_status(_weighed(_so_far(message), Answer(Status.FAILED, None, event.refusal or WITHDRAWN), event.area))
    return Reply((_Records(message).status(value, withdrawal_event(event.order_id)),) if event.last else (), value)


def _corrected(event: Corrected, message: ReplyTo, rails: Rails) -> Reply:
    """The order with its receipt, its payments as they hold now, and OK or FEILET with the reason in a header."""
    records, settled, suffix = _Records(message), event.settled, event.event_suffix
    published = [records.order_with_receipt(settled, event.versions, suffix, rails)]
    true = event.versions if settled.outcome is ReceiptOutcome.ACCEPTED else ()
    published += [records.payment(settled.order, each.payment_id, each, suffix) for each in true]
    published += [records.payment(settled.order, payment_id, version, suffix) for payment_id, version in event.fallen]
    so_far = _so_far(message).details or _NONE
    answers = [(each.area, _of_area(each, so_far)) for each in event.outcomes]
    details = reduce(lambda details, one: with_outcome(details, one[0], one[1].status), answers, so_far)
    value = encode_status(with_areas_named(replace(reduce(worse, [each for _, each in answers]), details=details)))
    made = event_id(OrderId(settled.order.order_id), f"answer{suffix}")
    return Reply([*published, records.status(value, made, CORRECTED)], value)


def _of_area(outcome: AreaOutcome, details: Details) -> Answer:
    if outcome.receipt is None:
        return Answer(Status.FAILED, details, WITHDRAWN)
    return answer_for(outcome.accepted, outcome.receipt, details)


_REPLIES: Mapping[type, Callable[[Any, ReplyTo, Rails], Reply]] = {
    Queued: _queued,
    Refused: _refused,
    Unchanged: _unchanged,
    Simulated: _simulated,
    SimulationEnded: _simulation_ended,
    Ordered: _ordered,
    WithRail: _with_rail,
    ReceiptRead: _receipt_read,
    OrderSettled: _settled,
    OrderUnclear: _unclear,
    AllSettled: _all_settled,
    OrderWithdrawn: _withdrawn,
    Corrected: _corrected,
}


def answer_for(accepted: bool, receipt: Observation, details: Details) -> Answer:
    """The answer to the sender by a receipt. A line that exists already was accepted the first time: that is an OK."""
    if accepted and receipt.severity not in (Severity.OK, Severity.WARNING):
        return Answer(Status.OK, details)
    return answer_to(receipt, details)


def worse(one: Answer, other: Answer) -> Answer:
    """Of the answers to the orders of one message: a failure counts more than a note, a note more than none."""
    if one.status is Status.FAILED or (one.error is not None and other.status is not Status.FAILED):
        return one
    return other


def with_areas_named(answer: Answer) -> Answer:
    """A failure of some areas of a message, with the areas behind its text: which are paid, which are not, which are open.

    For readers that know the members of the contract only; said anew whenever one of the areas comes to another end.
    """
    lines = answer.details.lines if answer.details else ()
    ends = {line.area: line.status for line in lines if line.area}
    if answer.error is None or answer.status is not Status.FAILED or not ends:
        return answer
    groups = ((word, [AREAS[area].name for area in ends if ends[area] is end]) for end, word in _ENDS.items())
    said = "; ".join(f"{word}: {', '.join(names)}" for word, names in groups if names)
    text = _SAID_BEFORE.sub("", answer.error.text)
    alike = set(ends.values()) == {Status.FAILED}
    return replace(answer, error=replace(answer.error, text=text if alike else f"{text} ({said})"))


def answer_to(receipt: Observation, details: Details) -> Answer:
    """The answer that a receipt gives about an order with these details.

    00 and 04 are accepted, 04 with the rail's note as error; anything unheard of fails with its raw severity and text, so that
    an operator sees what came.
    """
    if receipt.severity is Severity.OK:
        return Answer(Status.OK, details)
    if receipt.severity is Severity.UNKNOWN:
        return Answer(Status.FAILED, details, Refusal(500, _unknown(receipt), BASE))
    status = Status.OK if receipt.severity is Severity.WARNING else Status.FAILED
    return Answer(status, details, _said(receipt, _HTTP_STATUS[receipt.severity]))


def _said(receipt: Observation, http_status: int) -> Refusal:
    for reason, refusal in _KNOWN_REASONS:
        if reason in receipt.reasons:
            return refusal
    return Refusal(http_status, receipt.text or _NO_WORDS, BASE, _RAIL)


def _unknown(receipt: Observation) -> str:
    severity = f"ukjent alvorlighetsgrad '{receipt.raw_severity}'" if receipt.raw_severity else "ingen alvorlighetsgrad"
    return f"Kvittering fra oppdragssystemet (OS) har {severity}: {receipt.text or _NO_WORDS}"
