"""What every topic has, whatever its contract: terms, partitions, and the headers of its records (helved §1, rapid §1)."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct

PARTITIONS = 3
RAPID = "tbd.rapid.v1"
"""The topic that is shared with everybody, whatever its configured name outside (rapid §1)."""
PAYOUT_EVENTS = "pm-events-payout"
"""What happens to payouts, keyed by payout id (payouts §5)."""


class Keeping(StrEnum):
    """What becomes of old records of a topic."""

    COMPACT = "compact"
    COMPACT_AND_DELETE = "compact,delete"
    OWNERS = ""
    """The topic is another team's: theirs to decide."""


class TopicTerms(Struct, frozen=True):
    """A topic and how it is kept; other teams' topics may have any number of partitions."""

    name: str
    keeping: Keeping = Keeping.COMPACT_AND_DELETE


OF_PAYOUTS = (TopicTerms(PAYOUT_EVENTS, Keeping.OWNERS),)
"""Payout events may be on the topic of the service before kvitt."""

Header = tuple[str, str]
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[Header, ...])


def encode_headers(headers: Iterable[Header]) -> bytes:
    """Headers as the store and the embedded log keep them: a JSON list of pairs, doubles allowed, the last value counts."""
    return _encoder.encode(list(headers))


def decode_headers(stored: bytes | None) -> Sequence[Header]:
    """The pairs of `encode_headers`; none for nothing, or for anything else that a writer of the log may have put there."""
    try:
        return _decoder.decode(stored) if stored else ()
    except (msgspec.DecodeError, RecursionError):
        return ()
