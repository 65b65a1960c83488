"""Asks for a case to be moved out of this contract: which of its chains are meant, and the texts of refusals (iverksetting §8.1)."""

from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct, field

from kvitt.contracts.iverksetting.benefits import SCHEME_OF_BENEFIT
from kvitt.contracts.iverksetting.decision import EnactmentKey, Generation
from kvitt.contracts.iverksetting.texts import NOT_READ, Wording, unreadable
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.derive.chained import ChainKey, chain_payment_id
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import CaseId, Payment, PaymentId, Refusal, Scheme
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.formats.json_reading import read

NEITHER: Final = Wording("mangler en av: 'meldeperiode' eller 'uidToStønad'")
NOT_MOVED: Final = Wording("kan ikke migrere {scheme} enda", status=501)
DECISION_UNKNOWN: Final = Wording("iverksetting for (sak={case} fagsystem={scheme})", status=404)
RESULT_UNKNOWN: Final = Wording("iverksettingsresultat for (sak={case} fagsystem={scheme})", status=404)
DECISION_OPEN: Final = Wording("iverksetting for (sak={case} fagsystem={scheme})", status=423)
NO_CHAIN: Final = Wording("Fant ikke siste andeler for (sak={case} fagsystem={scheme})")
_BY_CARD, _BY_BENEFIT = Scheme.TILTAKSPENGER, Scheme.TILLEGGSSTONADER


class PairShape(Struct):
    """`uidToStønad`: a pair, written as an object."""

    payment_id: UUID = field(name="first")
    benefit: str = field(name="second")


class MoveShape(Struct):
    """The body that asks for a move."""

    case_id: str = field(name="sakId")
    decision_id: str = field(name="behandlingId")
    enactment_id: str | None = field(name="iverksettingId", default=None)
    reporting_card: str | None = field(name="meldeperiode", default=None)
    pair: PairShape | None = field(name="uidToStønad", default=None)


class AskedMove(Struct, frozen=True):
    """A move that is asked for: of the chains of a reporting card, or of that of a benefit, which becomes the payment of an id.

    Chains are known by their keys, under which they were payments while the case was this contract's.
    """

    case_id: str
    key: EnactmentKey
    reporting_card: str | None = None
    payment_id: PaymentId | None = None
    class_code: str | None = None

    def means(self, payment: Payment, scheme: Scheme) -> bool:
        """Whether a chain of the case is one of those that are meant."""
        code = BENEFITS[payment.benefit].class_code
        if self.class_code is not None and self.class_code != code:
            return False
        return payment.payment_id == chain_payment_id(scheme, CaseId(self.case_id), ChainKey(code, self.reporting_card))

    def refusal(self, wording: Wording, scheme: Scheme, generation: Generation) -> Refusal:
        """A refusal that names the case."""
        return wording.refusal(generation, case=self.case_id, scheme=scheme.value)


_decoder = msgspec.json.Decoder(MoveShape)


def read_move(body: bytes, scheme: Scheme, generation: Generation) -> AskedMove | Refusal:
    """The move that a body asks for, or why there is none."""
    try:
        shape = read(_decoder, body)
        refuse_repeated(body)
    except Undecodable as broken:
        return unreadable(broken, generation)
    if shape.reporting_card is not None and shape.pair is not None:
        return Refusal(400, NOT_READ, BASE)
    if shape.reporting_card is None and shape.pair is None:
        return NEITHER.refusal(generation)
    if scheme not in (_BY_CARD, _BY_BENEFIT):
        return NOT_MOVED.refusal(generation, scheme=scheme.value)
    return _asked(shape, scheme, generation)


def _asked(shape: MoveShape, scheme: Scheme, generation: Generation) -> AskedMove | Refusal:
    """The one of the two that a scheme has: tiltakspenger are moved by reporting card, tilleggsstønader by benefit."""
    key = EnactmentKey(shape.decision_id, shape.enactment_id)
    if scheme is _BY_CARD and shape.reporting_card is not None:
        return AskedMove(shape.case_id, key, reporting_card=shape.reporting_card)
    if scheme is _BY_BENEFIT and shape.pair is not None and SCHEME_OF_BENEFIT.get(shape.pair.benefit) is scheme:
        payment_id, class_code = PaymentId(str(shape.pair.payment_id)), BENEFITS[shape.pair.benefit].class_code
        return AskedMove(shape.case_id, key, payment_id=payment_id, class_code=class_code)
    return unreadable(Undecodable("uidToStønad" if scheme is _BY_BENEFIT else "meldeperiode", "is missing"), generation)
