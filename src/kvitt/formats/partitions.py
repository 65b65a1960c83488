"""Where a record goes among the partitions of its topic: as Java's Kafka client places it (helved §1)."""

from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from kvitt.formats.topics import PARTITIONS

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
    length = len(data)
    hashed = _SEED ^ length
    whole = length - length % 4
    for index in range(0, whole, 4):
        word = int.from_bytes(data[index : index + 4], "little") * _MULTIPLIER & _MASK
        word = (word ^ (word >> 24)) * _MULTIPLIER & _MASK
        hashed = (hashed * _MULTIPLIER & _MASK) ^ word
    if length > whole:
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    hashed = (hashed ^ (hashed >> 13)) * _MULTIPLIER & _MASK
    return hashed ^ (hashed >> 15)


@lru_cache(maxsize=16_384)
def partition_of(key: bytes, partitions: int = PARTITIONS) -> int:
    """The partition of a key: its murmur2 without the sign bit, modulo the number of partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
