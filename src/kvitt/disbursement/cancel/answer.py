"""Answers to requests to cancel: the first thing that a rail says of an order that it was asked to cancel ends the request."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg

from kvitt.disbursement.rail import Observation, Reason
from kvitt.kernel.queries import load

_SQL: Final = load("cancel", "kvitt.disbursement")


class CancellationAnswer(NamedTuple):
    """A receipt that answers a request to cancel an order; `state` is what the request is from then on."""

    order_id: str
    state: str
    receipt_no: int


def answered_state(receipt: Observation) -> str | None:
    """Returns how a request ends by what a rail says; None: it says nothing of a request."""
    if Reason.CANCELLED in receipt.reasons:
        return "agreed"
    return "refused" if Reason.NOT_CANCELLED in receipt.reasons else None


def answer_requests(cursor: psycopg.Cursor[Any], answers: Iterable[CancellationAnswer], now: datetime) -> None:
    """Ends the requests that receipts answer, each by the first of them. Part of a transaction that holds their cases."""
    first = {each.order_id: each for each in reversed([*answers])}
    columns = {
        "order_ids": [*first],
        "states": [each.state for each in first.values()],
        "receipts": [each.receipt_no for each in first.values()],
        "moments": [now] * len(first),
    }
    cursor.execute(_SQL.answer_cancellations, columns)
