"""The form in which the store keeps a version of a payment: JSON of our own, with the names of `Payment`, whatever contract it came by.

Amounts are whole kroner by their names, the currency is named, dates and times are ISO's, ids stand as they are. What is published about it
in the form of a contract is made from this by that contract.
"""

from msgspec.json import Decoder, Encoder

from kvitt.disbursement.values import Payment

_encoder, _decoder = Encoder(), Decoder(Payment)


def encode(payment: Payment) -> bytes:
    """The document of a payment; the same payment has the same bytes."""
    return _encoder.encode(payment)


def decode(document: bytes) -> Payment:
    """The payment in a document that `encode` made."""
    return _decoder.decode(document)
