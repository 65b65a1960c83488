"""The outbox: what shall be published is a row first, written in the transaction of its cause (design §1). A relay notes where it went."""

from datetime import datetime

from kvitt.kernel.queries import load
from kvitt.kernel.rows import Row

_SQL = load("outbox", "kvitt.kernel")


class OutboxRow(Row, frozen=True):
    """Something to publish. `value` None: the bytes of the order, or nothing, a tombstone. The last three name its payment, if any."""

    statement = _SQL.add_outbox
    joins = True
    topic: str
    key: bytes | None
    value: bytes | None
    headers: bytes
    event_id: str
    message_no: int | None
    order_id: str | None
    made_at: datetime
    case_no: int | None = None
    payment_id: str | None = None
    version: int | None = None
