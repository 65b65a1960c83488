"""Names what every topic has, whatever its contract: terms, the headers of its records, and the partition of each (helved §1, rapid §1)."""

import struct
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import msgspec
from msgspec import Struct

PARTITIONS = 3
EMBEDDED_INPUT_PARTITIONS = 12
"""Of a topic that comes in on the embedded log: enough to share out evenly among workers. A multiple, so that what shares one of these
shares one on the brokers."""
RAPID = "tbd.rapid.v1"
"""The topic that is shared with everybody, whatever its configured name outside (rapid §1)."""
PAYOUT_EVENTS = "pm-events-payout"
"""What happens to payouts, keyed by payout id (payouts §5)."""


class Keeping(StrEnum):
    """Ways of keeping old records of a topic."""

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


_SEED, _MULTIPLIER, _MASK = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF


class TopicPartition(NamedTuple):
    """A partition of a topic, by the hub's name of the topic."""

    topic: str
    partition: int


class StateRecord(Struct, frozen=True):
    """A record of a compacted topic, as it stands there now."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 of Kafka's default partitioner, unsigned."""
    multiplier, mask = _MULTIPLIER, _MASK
    length = len(data)
    words, hashed = length // 4, _SEED ^ length
    for each in struct.unpack_from(f"<{words}I", data):
        word = each * multiplier & mask
        hashed = (hashed * multiplier & mask) ^ ((word ^ (word >> 24)) * multiplier & mask)
    if length % 4:
        hashed = (hashed ^ int.from_bytes(data[4 * words :], "little")) * multiplier & mask
    hashed = (hashed ^ (hashed >> 13)) * multiplier & mask
    return hashed ^ (hashed >> 15)


@lru_cache(maxsize=8_192)
def partition_of(key: bytes, partitions: int = PARTITIONS) -> int:
    """The partition of a key: its murmur2 without the sign bit, modulo the number of partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def input_partition_of(key: bytes) -> int:
    """The partition of a key in an input topic of the embedded log; keys that share one there share one on brokers."""
    return partition_of(key, EMBEDDED_INPUT_PARTITIONS)
