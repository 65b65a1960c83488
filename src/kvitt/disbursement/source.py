"""Which log a database belongs to: stored positions mean something on one log only (design §1)."""

from kvitt.errors import OtherLog
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.queries import load

_SQL = load("source", "kvitt.disbursement")


def bind_database(connection: Connection, log: str) -> None:
    """Notes that the database belongs to this log; one that belonged to none does from now on. Raises OtherLog."""
    connection.execute(_SQL.bind_source, (log,))
    bound = fetch_value(connection, _SQL.source)
    if bound != log:
        raise OtherLog(f"this database belongs to the log '{bound or '?'}', and '{log}' is set")
