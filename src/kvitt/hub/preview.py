"""Preview: what a message would do now, by the very desk that would do it, in a transaction that writes nothing (design §7)."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from kvitt.hub.case import Case, find_elsewhere, load_payments
from kvitt.hub.contract import Contract
from kvitt.hub.ports import Ports
from kvitt.hub.taken import Aside, Incoming, Reading, failure, look, numbered
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.kernel.clock import oslo
from kvitt.kernel.database import Connection
from kvitt.kernel.queries import load
from kvitt.rules.answers import Answer, Status
from kvitt.rules.claims import Claims
from kvitt.rules.derive import derive
from kvitt.rules.holds import HoldReason, decode_all
from kvitt.rules.values import Order, Payment, PaymentId, Refusal, Scheme
from kvitt.wire import status, topics

_SQL = load("preview", "kvitt.store")


class Preview(Struct, frozen=True):
    """What a message would lead to: its `answer`, and orders (none: nothing differs, or it is refused) with what would hold each of them.

    `reason` explains a refusal further, as the header of the real answer does. `waits`: the case has an order without a receipt, so the
    message would wait, and be compared with what is accepted by then. It also waits while the case is `contradicted`: a receipt of the
    rail says otherwise than what stands. `after` are the payments that would hold once the rail has accepted all.
    """

    scheme: Scheme
    case_id: str
    answer: Answer
    reason: str | None
    orders: tuple[Order, ...]
    held: tuple[tuple[HoldReason, ...], ...]
    before: tuple[Payment, ...]
    after: tuple[Payment, ...]
    waits: bool
    contradicted: bool

    @property
    def refusal(self) -> Refusal | None:
        """Why it would be answered FEILET, or None."""
        return self.answer.error if self.answer.status is Status.FAILED else None


def preview(connection: Connection, ports: Ports, scheme: Scheme, key: bytes, body: bytes, *, now: datetime) -> Preview:
    """What this message would do at `now`, against what is accepted at this moment; stores nothing.

    A message marked as a dry run is previewed as if it were not. Raises ValueError when no sender could be answered under this key.
    """
    reading = look(Incoming(topics.primary_input(scheme), 0, 0, key, body))
    if isinstance(reading, Aside):
        raise ValueError(reading.reason)  # noqa: TRY004 - the bytes are wrong, not their type
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        case, waits = _load(connection, reading)
    before = tuple(case.payments.values()) if case else ()
    orders = _orders(reading, case, now)
    facts = _decided(reading, case, now, ports.contracts.of(reading.incoming.source))
    (told,) = [row for row in facts.outbox if row.topic == topics.STATUSES]
    assert told.value is not None, "statuses hold their own bytes"
    return Preview(
        scheme=scheme,
        case_id=case.case_id if case else "",
        answer=status.decode(told.value),
        reason=dict(topics.decode_headers(told.headers)).get("reason"),
        orders=orders if facts.orders else (),
        held=tuple(decode_all(row.held_for) for row in facts.orders),
        before=before,
        after=_after(before, orders) if facts.orders else before,
        waits=waits,
        contradicted=bool(case and case.contradictions),
    )


def _decided(reading: Reading, case: Case | None, now: datetime, contract: Contract) -> UnitOfWork:
    """What the desk would store and tell, were the case free; a failure of ours is answered as the real one is."""
    message, facts = replace(numbered(reading, 0), dry_run=False), UnitOfWork()
    try:
        desk = contract.desk(facts, now)
        if isinstance(reading.claims, Refusal):
            desk.refuse(None, message, None, reading.claims, reading.dead)
        else:
            desk.handle(case, message, None)
    except Exception as error:  # noqa: BLE001 - the failure is what the sender would be told
        facts = UnitOfWork()
        contract.desk(facts, now).refuse(case, message, None, failure(reading.incoming, error))
    return facts


def _orders(reading: Reading, case: Case | None, now: datetime) -> tuple[Order, ...]:
    """The orders as the desk derives them, as values."""
    if case is None or not isinstance(reading.claims, Claims):
        return ()
    try:
        derived = derive(reading.claims, case.state(), oslo(now))
    except Exception:  # noqa: BLE001 - the desk meets it too, and answers it
        return ()
    return () if isinstance(derived, Refusal) else derived


def _load(connection: Connection, reading: Reading) -> tuple[Case | None, bool]:
    """The case as it stands, not locked, for this transaction decides nothing; and whether a message would wait.

    One that is not known yet is as new as the message would find it; there is none for a message that can not be read.
    """
    if reading.case_key is None:
        return None, False
    scheme, case_id = reading.case_key
    with connection.cursor() as cursor:
        row = cursor.execute(_SQL.find_case, (scheme.value, case_id), binary=True).fetchone()
        case = Case(row) if row else Case.new(0, scheme, case_id)
        load_payments(cursor, [case])
        find_elsewhere(cursor, {reading.case_key: case}, [reading])
    return case, case.busy or bool(row and row[-1])


def _after(before: Sequence[Payment], orders: Sequence[Order]) -> tuple[Payment, ...]:
    after: dict[PaymentId, Payment] = {each.payment_id: each for each in before}
    for order in orders:
        after.update({each.payment_id: each for each in order.payments})
    return tuple(after.values())
