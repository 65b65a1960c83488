"""Contradictions: what the rail says against what stands of an order makes its case wait until two people have resolved it (design §12).

As long as one is open nothing of the case is derived or sent: it would be compared with a state that may be wrong, and the rail might pay
twice.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg

from kvitt.disbursement.case import Case
from kvitt.disbursement.holds import IN_CONTRADICTION
from kvitt.disbursement.rail import Observation
from kvitt.disbursement.receipt_decision import Contradicted
from kvitt.disbursement.states import What
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.kernel.audit import digest
from kvitt.kernel.queries import load

_SQL = load("contradictions", "kvitt.disbursement")


def open_contradictions(
    cursor: psycopg.Cursor[Any], work: UnitOfWork, cases: Mapping[int, Case], found: Sequence[Contradicted], now: datetime
) -> None:
    """Opens a contradiction for each order that a receipt contradicts, and holds the open orders of their locked cases.

    `now` was read under their locks.
    """
    if not found:
        return
    columns = [
        [each.order.case_no for each in found],
        [each.order.order_id for each in found],
        [each.receipt_no for each in found],
        [each.ours.value for each in found],
        [each.rails.value for each in found],
        [cases[each.order.case_no].moment(now) for each in found],
    ]
    cursor.execute(_SQL.open_contradictions, columns, binary=True)
    for each in found:
        case, order = cases[each.order.case_no], each.order
        content = said_of(order.message, each.receipt)
        case.contradictions += 1
        at, message_no = case.moment(now), order.message_no
        case.note(work, at, What.CONTRADICTED, content, message_no=message_no, order_id=order.order_id, receipt_no=each.receipt_no)
    cursor.execute(_SQL.hold_orders, [[each.order.case_no for each in found], IN_CONTRADICTION.encode()], binary=True)


def said_of(message: bytes, receipt: Observation) -> bytes:
    """The digest of an order and of what a receipt says of it, as entries of a case's chain have it."""
    return digest(message, receipt.raw_severity.encode(), receipt.text.encode())
