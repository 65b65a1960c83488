"""The only place that wires concrete parts together: which database, which log, which queue, which rail (design §3, §10)."""

from kvitt.app.clock import utc_now
from kvitt.app.databases import database
from kvitt.app.hub import LISTENERS, ROLES, Hub, operations

__all__ = ["LISTENERS", "ROLES", "Hub", "database", "operations", "utc_now"]
