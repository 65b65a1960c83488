"""The case list: SakKey JSON and the array of payment ids under it (helved §1.2, §2.2)."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct, field
from msgspec.json import Decoder, Encoder

from kvitt.disbursement.catalogue import AREA_OF_NAME, AREAS
from kvitt.disbursement.values import CaseId, PaymentId, Scheme
from kvitt.errors import Undecodable
from kvitt.formats.json_reading import read


class _KeyShape(Struct):
    case_id: str = field(name="sakId")
    scheme: str = field(name="fagsystem")


_key_decoder = Decoder(_KeyShape)
_ids_decoder = Decoder(list[UUID])
_encoder = Encoder()


def encode_key(case_id: CaseId, scheme: Scheme) -> bytes:
    """The key of a case; all areas of a scheme share it."""
    return _encoder.encode(_KeyShape(case_id, scheme))


def decode_key(body: bytes) -> tuple[CaseId, Scheme]:
    """Case and scheme of a key; the name of any area reads as its scheme. Raises Undecodable."""
    shape = read(_key_decoder, body)
    area = AREA_OF_NAME.get(shape.scheme)
    if area is None:
        raise Undecodable("fagsystem", "is not a known word")
    return CaseId(shape.case_id), AREAS[area].scheme


def encode_payments(payment_ids: Sequence[PaymentId]) -> bytes:
    """The payments of a case in the given order; an emptied case is `[]`."""
    return _encoder.encode(payment_ids)


def decode_payments(body: bytes) -> tuple[PaymentId, ...]:
    """The payments of a case; raises Undecodable."""
    return tuple([PaymentId(str(payment_id)) for payment_id in read(_ids_decoder, body)])
