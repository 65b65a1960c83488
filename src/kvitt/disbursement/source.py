"""Which log a database belongs to: stored positions mean something on one log only (design §1)."""

from kvitt.errors import OtherLog
from kvitt.kernel.database import Connection
from kvitt.kernel.queries import load

_SQL = load("source", "kvitt.disbursement")


def claim_database(connection: Connection, log: str) -> None:
    """Notes that the database belongs to this log; one that belonged to none does from now on. Raises OtherLog."""
    connection.execute(_SQL.claim_source, (log,))
    row = connection.execute(_SQL.source).fetchone()
    if row is None or row[0] != log:
        raise OtherLog(f"this database belongs to the log '{row[0] if row else '?'}', and '{log}' is set")
