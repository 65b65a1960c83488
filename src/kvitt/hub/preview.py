"""Preview: what a message would do now, by the very functions that would do it, in a transaction that writes nothing (design §7)."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from kvitt.hub.case import Case, find_elsewhere, load_payments
from kvitt.hub.clock import oslo
from kvitt.hub.submit import Connection
from kvitt.hub.taken import Incoming, Reading, read, unaddressed
from kvitt.rules.claims import Claims
from kvitt.rules.derive import NEW_CASE, derive
from kvitt.rules.values import Order, Payment, PaymentId, Refusal, Scheme
from kvitt.store.queries import load
from kvitt.wire import order_xml, topics

_SQL = load("preview")


class Preview(Struct, frozen=True):
    """What a message would lead to: a refusal, or orders (none: nothing differs) and the payments that would then hold.

    `waits`: the case has an order without a receipt, so the message would wait, and be compared with what is accepted by then. It also
    waits while the case is `contradicted`: a receipt of the rail says otherwise than what stands.
    """

    scheme: Scheme
    case_id: str
    refusal: Refusal | None
    orders: tuple[Order, ...]
    before: tuple[Payment, ...]
    after: tuple[Payment, ...]
    waits: bool
    contradicted: bool = False


def preview(connection: Connection, scheme: Scheme, key: bytes, body: bytes, now: datetime) -> Preview:
    """What this message would do at `now`, against what is accepted at this moment; stores nothing.

    A message marked as a dry run is previewed as if it were not. Raises ValueError when no sender could be answered under this key.
    """
    incoming = Incoming(topics.primary_input(scheme), 0, 0, key, body)
    if problem := unaddressed(incoming):
        raise ValueError(str(problem))
    reading = read(incoming)
    if not isinstance(reading.claims, Claims):
        assert isinstance(reading.claims, Refusal), "needs have no preview: their lines are their sender's"
        return Preview(scheme, "", reading.claims, (), (), (), False)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        case = _load(connection, reading)
    before = tuple(case.payments.values()) if case else ()
    derived = derive(reading.claims, case.state() if case else NEW_CASE, oslo(now))
    case_id = reading.claims.decision.case_id
    waits, contradicted = bool(case and case.busy), bool(case and case.contradictions)
    if isinstance(derived, Refusal):
        return Preview(scheme, case_id, derived, (), before, before, waits, contradicted)
    for order in derived:
        order_xml.validate(order_xml.encode(order))
    return Preview(scheme, case_id, None, derived, before, _after(before, derived), waits, contradicted)


def _load(connection: Connection, reading: Reading) -> Case | None:
    """The case as it stands, not locked: this transaction decides nothing."""
    assert reading.case_key is not None, "only messages that can be read have a case"
    scheme, case_id = reading.case_key
    with connection.cursor() as cursor:
        row = cursor.execute(_SQL.find_case, (scheme.value, case_id), binary=True).fetchone()
        if row is None:
            return None
        case = Case(row)
        load_payments(cursor, [case])
        find_elsewhere(cursor, {(scheme, case_id): case}, [reading])
    return case


def _after(before: Sequence[Payment], orders: Sequence[Order]) -> tuple[Payment, ...]:
    after: dict[PaymentId, Payment] = {each.payment_id: each for each in before}
    for order in orders:
        after.update({each.payment_id: each for each in order.payments})
    return tuple(after.values())
