"""Bounds what a caller may take of this process before anybody knows who it is: connections, bytes and time (design §11)."""

from collections import Counter
from ipaddress import IPv6Address, ip_address
from typing import Final

from msgspec import Struct


class Limits(Struct, frozen=True):
    """Limits of one listener. `connections_per_address` of the `connections` may be one caller's.

    A request has `header_seconds` from its first byte, or from the connection, until its head is whole, `body_seconds` more for its body,
    and its answer may be `answer_seconds` on its way. `body_memory_bytes` are bodies that are held at once, of all connections.
    """

    connections: int = 2048
    connections_per_address: int = 1024
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 75.0
    answer_seconds: float = 60.0
    request_line_bytes: int = 8_192
    headers: int = 100
    header_bytes: int = 32_768
    body_memory_bytes: int = 67_108_864


class Seats:
    """Counts the connections to a listener by caller. Used by one thread only."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most, self._most_per_address = most, most_per_address
        self._taken = 0
        self._by_address: Counter[str] = Counter()

    def take(self, address: str) -> "Seat | str":
        """A seat for a connection from there, or why there is none: FULL or FULL_FOR_ADDRESS."""
        if self._taken >= self._most:
            return FULL
        network = network_of(address)
        if self._by_address[network] >= self._most_per_address:
            return FULL_FOR_ADDRESS
        self._taken += 1
        self._by_address[network] += 1
        return Seat(self, network)

    def give_back(self, network: str) -> None:
        """A connection has ended."""
        self._taken -= 1
        self._by_address[network] -= 1
        if not self._by_address[network]:
            del self._by_address[network]


FULL: Final = "full"
FULL_FOR_ADDRESS: Final = "full for the address"


class Seat:
    """A connection's place; free once it is left, however often that is said."""

    def __init__(self, seats: Seats, network: str) -> None:
        self._seats: Seats | None = seats
        self._network = network

    def leave(self) -> None:
        """The connection has ended."""
        if self._seats is not None:
            self._seats.give_back(self._network)
            self._seats = None


def network_of(address: str) -> str:
    """The network that counts as one caller: an IPv4 address, or 64 bits of an IPv6 address, for whoever has one has them all."""
    if ":" not in address:
        return address
    found = ip_address(address.partition("%")[0])
    if not isinstance(found, IPv6Address):
        return str(found)
    return str(found.ipv4_mapped) if found.ipv4_mapped else f"{int(found) >> 64:x}/64"
