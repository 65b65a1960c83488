"""Looks payments up as callers see them: what stands or is under way, and how far its last change has come (iverksetting §3.8)."""

from collections.abc import Collection
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from kvitt.contracts.utbetalinger.answers import KeptStatus, PaymentStatus, decode_kept
from kvitt.disbursement import payment_document
from kvitt.disbursement.derive.chained import is_chain
from kvitt.disbursement.states import PaymentState
from kvitt.disbursement.values import Action, Payment, PaymentId, Scheme
from kvitt.kernel.fetch import Source, fetch, fetch_values
from kvitt.kernel.queries import load

_SQL = load("payments", "kvitt.contracts.utbetalinger")


class _FoundVersion(NamedTuple):
    scheme: Scheme
    case_id: str
    state: PaymentState
    document: bytes
    message_no: int | None
    answer: bytes | None


class PaymentSeen(Struct, frozen=True):
    """A payment as its caller sees it: `shown` is None where it never was, is no more, or is about to cease."""

    scheme: Scheme
    case_id: str
    shown: Payment | None
    status: PaymentStatus


def look_up(source: Source, contract: str, payment_id: PaymentId, schemes: Collection[Scheme]) -> PaymentSeen | None:
    """The payment of that id, if it is one of these schemes; None: none ever was. A chain of decisions that has not moved is none.

    One whose case went on in another contract is shown no more, and has the status that it had here.
    """
    if found := _found(source, _SQL.versions, contract, payment_id, schemes):
        return PaymentSeen(found[0].scheme, found[0].case_id, _shown(found), _status(found[0]))
    if found := _found(source, _SQL.version_before_move, contract, payment_id, schemes):
        return PaymentSeen(found[0].scheme, found[0].case_id, None, _status(found[0]))
    return None


def _found(source: Source, statement: str, contract: str, payment_id: PaymentId, schemes: Collection[Scheme]) -> list[_FoundVersion]:
    arguments = {"payment_id": payment_id, "contract": contract}
    rows = fetch(source, _FoundVersion, statement, arguments, scheme=Scheme, state=PaymentState)
    return [each for each in rows if each.scheme in schemes and not is_chain(payment_document.decode(each.document))]


def correction_status(source: Source, contract: str, payment_id: PaymentId, schemes: Collection[Scheme]) -> PaymentSeen | None:
    """The payment of that id, if it is one of these schemes, with how far the last correction of a hold-back is; None: there was none."""
    found = look_up(source, contract, payment_id, schemes)
    if found is None:
        return None
    named = {"scheme": found.scheme.value, "case_id": found.case_id, "contract": contract, "key": payment_id.encode()}
    answers = fetch_values(source, _SQL.newest_correction, named)
    return replace(found, status=_status_in(answers[0])) if answers else None


def _shown(found: list[_FoundVersion]) -> Payment | None:
    """The version that is pending, else the one that stands; a rejected one changes nothing."""
    holds = next((each for each in found if each.state is not PaymentState.DROPPED), None)
    payment = payment_document.decode(holds.document) if holds else None
    return None if payment is None or payment.action is Action.DELETE else payment


def _status(newest: _FoundVersion) -> PaymentStatus:
    """One that was moved here had ended well before."""
    if newest.message_no is None:
        return PaymentStatus.OK
    return _status_in(newest.answer)


def _status_in(answer: bytes | None) -> PaymentStatus:
    """A call that waited, and was refused when its turn came, has failed."""
    kept = decode_kept(answer) if answer else KeptStatus()
    return kept.status or (PaymentStatus.FAILED if kept.error else PaymentStatus.NOT_BEGUN)
