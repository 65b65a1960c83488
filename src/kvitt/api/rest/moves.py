"""Moves chains of a case from decisions to single payments, for the routes of the contract that it leaves (iverksetting §8.1)."""

from collections.abc import Sequence
from typing import Final

import msgspec

from kvitt.contracts.helved.read import derived_payment_id
from kvitt.contracts.iverksetting.answers import EnactmentStatus
from kvitt.contracts.iverksetting.contract import Iverksetting
from kvitt.contracts.iverksetting.decision import Generation
from kvitt.contracts.iverksetting.lookup import status_of
from kvitt.contracts.iverksetting.moving import DECISION_OPEN, DECISION_UNKNOWN, NO_CHAIN, RESULT_UNKNOWN, AskedMove
from kvitt.contracts.iverksetting.texts import Wording
from kvitt.contracts.utbetalinger.shapes import encode_payment_shape
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.migrate_case import NOT_THERE, OPEN_ORDER, MigrateCase, Move, MovedChains
from kvitt.disbursement.values import CaseId, Payment, PaymentId, Refusal, Scheme
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection

_ENDED_WELL: Final = frozenset({EnactmentStatus.OK, EnactmentStatus.OK_WITHOUT_PAYMENT})
SINGLE_PAYMENTS: Final = "utbetalinger"
"""The contract to which cases are moved."""
_REASON: Final = "asked for by the application that owns the case"
_IN_OUR_WORDS: Final = {NOT_THERE: NO_CHAIN, OPEN_ORDER: DECISION_OPEN}


def move(
    connection: Connection, clock: Clock, asked: AskedMove, scheme: Scheme, by: Authority, *, generation: Generation, dry_run: bool
) -> MovedChains | Refusal:
    """Moves the chains that are meant; refused where the decision is not known, or has not ended well."""
    status = status_of(connection, scheme, asked.case_id, asked.key.decision_id, asked.key.enactment_id)
    if status not in _ENDED_WELL:
        return asked.refusal(_refused_for(status), scheme, generation)

    def choose(payments: Sequence[Payment]) -> Sequence[Move] | Refusal:
        return [_move(each, asked, scheme) for each in payments if asked.means(each, scheme)]

    contracts = Iverksetting.name, SINGLE_PAYMENTS
    found = MigrateCase(connection, clock).run(
        (scheme, asked.case_id), contracts, choose, by=by.person or by.application, reason=_REASON, dry_run=dry_run
    )
    if isinstance(found, Refusal) and found in _IN_OUR_WORDS:
        return asked.refusal(_IN_OUR_WORDS[found], scheme, generation)
    return found


def payments_body(found: MovedChains) -> bytes:
    """The payments as their new contract shows them."""
    return msgspec.json.encode([msgspec.Raw(encode_payment_shape(each)) for each in found.payments])


def _refused_for(status: EnactmentStatus | None) -> Wording:
    if status is None:
        return DECISION_UNKNOWN
    return RESULT_UNKNOWN if status is EnactmentStatus.NOT_BEGUN else DECISION_OPEN


def _move(payment: Payment, asked: AskedMove, scheme: Scheme) -> Move:
    """A chain goes on under the id of the pair, or under the one that is derived of its reporting card (helved §2.3)."""
    to = asked.payment_id or _derived(payment, asked, scheme)
    return Move(payment.payment_id, to, asked.key.enactment_id or asked.key.decision_id)


def _derived(payment: Payment, asked: AskedMove, scheme: Scheme) -> PaymentId:
    assert asked.reporting_card is not None, "one of the two is given"
    return derived_payment_id(scheme, CaseId(asked.case_id), asked.reporting_card, BENEFITS[payment.benefit].class_code)
