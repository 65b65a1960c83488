"""The proof of requests to cancel: each is what its rail makes of its order and its reason, and ends by what its receipt says."""

from collections.abc import Iterator
from datetime import date, datetime
from functools import partial
from typing import Final, NamedTuple

from kvitt.disbursement.cancel.answer import answered_state
from kvitt.disbursement.cancel.request import CancellationRequest
from kvitt.disbursement.check.report import Findings, Kind
from kvitt.disbursement.check.stored import Reader
from kvitt.disbursement.ports import SubjectCheck
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.receipts import read_answer
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load

_SQL: Final = load("cancel_check", "kvitt.disbursement")
_SPAN: Final = 200
_FIRST: Final = "00000000-0000-0000-0000-000000000000"


class _StoredCancellation(NamedTuple):
    cancellation_id: str
    order_id: str
    number: int
    rail: str
    key_day: date | None
    reason: str
    asked_at: datetime
    message: bytes
    state: str
    order_message: bytes
    case_no: int
    order_rail: str
    receipt_no: int | None
    place: int | None
    answers_order: bool | None
    answer: bytes | None


def cancellation_check(rails: Rails) -> SubjectCheck:
    """Returns the proof, with the rails that make the requests again."""
    return SubjectCheck(_SQL.any_cancellation, (), partial(_walk, rails))


def _walk(rails: Rails, reader: Reader, found: Findings) -> None:
    after = _FIRST
    while stored := fetch(reader.cursor, _StoredCancellation, _SQL.cancellations_after, {"after": after, "limit": _SPAN}):
        found.looked_at("cancellations", len(stored))
        for each in stored:
            for text in _wrong(rails, each):
                found.differs(Kind.CANCELLATION, each.case_no, each.cancellation_id, text)
        after = stored[-1].cancellation_id


def _wrong(rails: Rails, stored: _StoredCancellation) -> Iterator[str]:
    if stored.rail != stored.order_rail:
        yield f"went to {stored.rail}, and its order to {stored.order_rail}"
        return
    try:
        message = rails.leaving(stored.rail, stored.order_message, stored.key_day)
        request = CancellationRequest(stored.order_id, stored.number, message, stored.reason, stored.asked_at)
        if (request.cancellation_id, rails.cancelling[stored.rail].encode_cancellation(request)) != (
            stored.cancellation_id,
            stored.message,
        ):
            yield "is not what its order and its reason give"
        if stored.receipt_no is not None and not _is_answered_so(rails, stored):
            yield f"is {stored.state}, which receipt {stored.receipt_no} does not say"
    except Exception as error:  # noqa: BLE001 - what can not even be made again is a difference, and the check goes on
        yield f"can not be made again: {type(error).__name__}"


def _is_answered_so(rails: Rails, stored: _StoredCancellation) -> bool:
    said = read_answer(rails.named(stored.rail), stored.answer or b"")[stored.place or 0]
    return bool(stored.answers_order) and answered_state(said) == stored.state
