"""Preview: what a message would do now, by the very code that would do it, in a transaction that writes nothing (design §7)."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.case import Case, CaseRow, find_ids_in_use, load_payments, persons_asked_about
from kvitt.disbursement.handle import Handler, find_other_cases, numbered, parse
from kvitt.disbursement.holding import HoldReason, decode_all
from kvitt.disbursement.inbox import InboxMessage, Incoming, ParsedRecord, Skipped, failure
from kvitt.disbursement.outside import LookedUp
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import (
    Order,
    Payment,
    PaymentId,
    Refusal,
    Scheme,
)
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_one, look_up
from kvitt.kernel.queries import load

_SQL = load("preview", "kvitt.disbursement")


class Preview(Struct, frozen=True):
    """The outcome of a message: its `answer`, and orders (none: nothing differs, or it is refused) with what would hold each of them.

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
    """Returns what this message would do at `now`, against what is accepted at this moment; stores nothing.

    A message marked as a dry run is previewed as if it were not. Raises ValueError when no sender could be answered under this key.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return foresee(connection, ports, scheme, key, body, now=now)


def foresee(connection: Connection, ports: Ports, scheme: Scheme, key: bytes, body: bytes, *, now: datetime) -> Preview:
    """Returns the same, against what the transaction sees in which it is called. Raises ValueError."""
    parsed = parse(ports.contracts, Incoming(ports.contracts.input_of(scheme), 0, 0, key, body))
    if not isinstance(parsed, ParsedRecord):
        reason = parsed.reason if isinstance(parsed, Skipped) else "it asks for reconciliation, and for no payment"
        raise ValueError(reason)  # noqa: TRY004 - the bytes are wrong, not their type
    message = replace(numbered(parsed, 0, now), dry_run=False)
    case, waits = _load(connection, parsed)
    _look_at_other_cases(connection, ports, case, parsed)
    before = tuple(case.payments.values()) if case else ()
    orders = _orders(ports, message, case, now)
    outside = LookedUp(ports, now)
    outside.foresee(connection, [parsed])
    work = _decided(ports, message, case, now, parsed, outside=outside)
    answer = work.steps[0].answer
    return Preview(
        scheme=scheme,
        case_id=case.case_id if case else "",
        answer=Answer(Status.OK) if answer is None else ports.contracts.of[message.source].in_short(answer),
        reason=parsed.dead,
        orders=orders if work.orders else (),
        held=tuple(decode_all(row.held_for) for row in work.orders),
        before=before,
        after=_after(before, orders) if work.orders else before,
        waits=waits,
        contradicted=bool(case and case.contradictions),
    )


def _decided(
    ports: Ports, message: InboxMessage, case: Case | None, now: datetime, parsed: ParsedRecord, *, outside: LookedUp
) -> UnitOfWork:
    """Returns what handling would store and publish, were the case free; a failure of ours is answered as the real one is."""
    contract, work = ports.contracts.of[message.source], UnitOfWork()
    try:
        handler = Handler(contract, ports.rails, work, now, outside=outside)
        if isinstance(message.content, Refusal):
            handler.refuse(None, message, None, message.content, parsed.dead)
        else:
            handler.handle(case, message, None)
    except Exception as error:  # noqa: BLE001 - the failure is what the sender would hear
        work = UnitOfWork()
        Handler(contract, ports.rails, work, now).refuse(case, message, None, failure(parsed.incoming, error))
    return work


def _orders(ports: Ports, message: InboxMessage, case: Case | None, now: datetime) -> tuple[Order, ...]:
    """The orders as they are derived, as values."""
    if case is None or isinstance(message.content, Refusal):
        return ()
    try:
        derived = ports.contracts.of[message.source].derive(message, case.state(), now)
    except Exception:  # noqa: BLE001 - handling meets it too, and answers it
        return ()
    return () if isinstance(derived, Refusal) else tuple(derived)


def _load(connection: Connection, parsed: ParsedRecord) -> tuple[Case | None, bool]:
    """The case as it stands, not locked, for this transaction decides nothing; and whether a message would wait.

    One that is not known yet is as new as the message would find it; there is none for a message that can not be read.
    """
    if parsed.case_key is None:
        return None, False
    scheme, case_id = parsed.case_key
    with connection.cursor() as cursor:
        row = fetch_one(cursor, CaseRow, _SQL.find_case, (scheme.value, case_id))
        case = Case(row) if row else Case.new(0, scheme, case_id)
        look_up(cursor, load_payments(cursor, [case]), find_ids_in_use(cursor, {parsed.case_key: case}, [parsed]))
    return case, case.must_queue or case.deferred


def _look_at_other_cases(connection: Connection, ports: Ports, case: Case | None, parsed: ParsedRecord) -> None:
    """Looks up what other cases pay its person at this moment."""
    if case:
        with connection.cursor() as cursor:
            asking = persons_asked_about({case.key: case}, [replace(parsed, dry_run=False)])
            look_up(cursor, find_other_cases(cursor, asking, ports.contracts.forwarding))


def _after(before: Sequence[Payment], orders: Sequence[Order]) -> tuple[Payment, ...]:
    after: dict[PaymentId, Payment] = {each.payment_id: each for each in before}
    for order in orders:
        after.update({each.payment_id: each for each in order.payments})
    return tuple(after.values())
