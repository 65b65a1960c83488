"""Ids by their beginning: what an operator's half of an id may mean. Nothing here decides which; see `kvitt.cli.ids`."""

from typing import Final

from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_value, fetch_values
from kvitt.kernel.queries import load

_SQL = load("lookup", "kvitt.disbursement")
CANDIDATES: Final = 6
"""As many as are looked for; more than one is no answer, and a person reads only a few."""
_HEX_DIGITS: Final = 32


def orders_beginning(connection: Connection, digits: str) -> list[str]:
    """The first few ids of orders that begin with these hexadecimal digits (at most 32, no dashes), in order."""
    first, last = digits.ljust(_HEX_DIGITS, "0"), digits.ljust(_HEX_DIGITS, "f")
    return fetch_values(connection, _SQL.orders_between, {"first": first, "last": last, "limit": CANDIDATES})


def payouts_beginning(connection: Connection, prefix: str) -> list[str]:
    """The first few ids of payouts that begin so."""
    return fetch_values(connection, _SQL.payouts_beginning, {"prefix": prefix, "limit": CANDIDATES})


def payout_exists(connection: Connection, payout_id: str) -> bool:
    """Whether a payout has exactly this id."""
    return fetch_value(connection, _SQL.payout_called, {"named": payout_id}) is not None


def cases_beginning(connection: Connection, scheme: str, prefix: str) -> list[str]:
    """The first few ids of a scheme's cases that begin so."""
    arguments = {"scheme": scheme, "prefix": prefix, "limit": CANDIDATES}
    return fetch_values(connection, _SQL.cases_beginning, arguments)


def plans_beginning(connection: Connection, prefix: str) -> list[str]:
    """The first few ids of the ledger's plans that begin so."""
    return fetch_values(connection, _SQL.plans_beginning, {"prefix": prefix, "limit": CANDIDATES})
