"""Connections to PostgreSQL with the session settings that all of kvitt's SQL is written for."""

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool

Connection = psycopg.Connection[Any]
"""A connection whose rows are read by whoever asked for them."""
TupleConnection = psycopg.Connection[tuple[object, ...]]
"""A connection as it is opened: its rows come as tuples."""

CONNECT_SECONDS: Final = 10
"""How long one attempt to connect may take, so that a dead host is an error and not a standstill."""

RETRY_SECONDS: Final = 0.02
"""The pause between two looks at a server that is starting."""

PAUSED_MS: Final = 10_000
"""How long a transaction may wait for its own process. One that is paused in the middle would hold its locks until it is resumed."""

LOCK_MS: Final = 1_000
"""How long the hub waits for a row that somebody else has locked, on every version of PostgreSQL. Its own transactions hold theirs for
milliseconds: who holds one longer is a stranger, or hangs."""

PATIENCE_MS: Final = 5_000
"""How long a person's command waits for what somebody else has locked; then it says so, and nothing was done."""

TRANSACTION_MS: Final = 20_000
"""How long a transaction that holds locks of cases and leases may take, far beyond any that is alive."""

NETWORK: Final[Mapping[str, str]] = {
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
"""For how long a TCP connection may be silent before it counts as lost: 25 s, with an answer under way or a statement. Where packets
vanish and nobody says so, a wait for the answer to COMMIT would otherwise last for hours. libpq leaves Unix sockets alone."""

MADE_PLANS: Final[Mapping[str, str]] = {"plan_cache_mode": "force_custom_plan"}
"""Settings of a session that plans a statement each time it runs."""

KEPT_PLANS: Final[Mapping[str, str]] = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Settings of a session that plans a statement once, until a table of it gets new statistics. What is best for an empty table must not
be what is kept for a full one: row by row, by an index."""

_HAS_TRANSACTION_TIMEOUT: Final = 170_000

ENDED_BY_SERVER: Final = frozenset({"57P01", "57P02", "57P03", "57P05"})
"""SQLSTATE of: shut down by the administrator, shut down by a crash, not accepting connections now, idle too long."""

PASSING_CLASSES: Final = ("40", "53", "55P03", "57", "58")
"""SQLSTATE classes of: transaction rolled back, insufficient resources, lock not available, operator intervention, system error."""

CONNECTION_CLASS: Final = "08"
"""The first two characters of every SQLSTATE that is about the connection itself."""


def connect(
    conninfo: str,
    *,
    application: str = "kvitt",
    autocommit: bool = True,
    statement_timeout_ms: int = 0,
    paused_ms: int = PAUSED_MS,
    transaction_ms: int = 0,
    lock_timeout_ms: int = 0,
    keeps_plans: bool = False,
) -> TupleConnection:
    """A new connection in autocommit mode, so that each transaction is written out as `with connection.transaction()`.

    Plans are made for the arguments at hand: a plan that is kept, made while a table was fresh and empty, may scan it whole for ever after.
    With `keeps_plans` they are kept all the same, and may find rows by index only (KEPT_PLANS): for writers of batches, whose statements
    look up by key and take longer to plan than to run.
    Pages in any order cost what pages in a row do, as on every disk without an arm: a batch reads its rows by index, not whole tables.
    `statement_timeout_ms` bounds each statement, `paused_ms` the time between the statements of a transaction (0 = no bound).
    `lock_timeout_ms` bounds each wait for a lock: who waits longer gets LockNotAvailable.
    `transaction_ms` bounds whole transactions, on PostgreSQL 17 and later: to the server a process that is paused in the middle of a
    pipeline is not idle. A network that has gone silent ends the connection (NETWORK), unless `conninfo` says otherwise.
    Raises psycopg.OperationalError when there is no server.
    """
    options = _session(statement_timeout_ms, paused_ms, lock_timeout_ms, KEPT_PLANS if keeps_plans else MADE_PLANS)
    connection = psycopg.connect(
        watched(conninfo), autocommit=autocommit, application_name=application, connect_timeout=CONNECT_SECONDS, options=options
    )
    if transaction_ms and connection.info.server_version >= _HAS_TRANSACTION_TIMEOUT:
        connection.execute(f"SET transaction_timeout = {transaction_ms:d}")
    return connection


def pool(conninfo: str, *, application: str, size: int, seconds: float = 5.0, lock_timeout_ms: int = 0) -> ConnectionPool[TupleConnection]:
    """At most `size` connections as `connect` makes them, for threads that look something up; opened when first needed.

    Who waits longer than `seconds` for one gets psycopg_pool.PoolTimeout, which is a psycopg.OperationalError.
    """
    options = _session(0, PAUSED_MS, lock_timeout_ms, MADE_PLANS)
    kwargs = {"autocommit": True, "application_name": application, "connect_timeout": CONNECT_SECONDS, "options": options}
    return ConnectionPool(
        watched(conninfo),
        min_size=0,
        max_size=size,
        open=True,
        timeout=seconds,
        kwargs=kwargs,
        name=application,
        check=ConnectionPool.check_connection,
    )


@lru_cache(maxsize=64)
def watched(conninfo: str) -> str:
    """The same connection, with what of NETWORK it does not say itself."""
    said = conninfo_to_dict(conninfo)
    return make_conninfo(conninfo, **{name: value for name, value in NETWORK.items() if name not in said})


def _session(statement_timeout_ms: int, paused_ms: int, lock_timeout_ms: int, plans: Mapping[str, str]) -> str:
    """Returns what every session of ours is set to, as libpq takes it."""
    settings = {
        **plans,
        "random_page_cost": "1.1",
        "statement_timeout": str(statement_timeout_ms),
        "idle_in_transaction_session_timeout": str(paused_ms),
        "timezone": "UTC",
        "jit": "off",
        "lock_timeout": str(lock_timeout_ms),
    }
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def wait_until_ready(conninfo: str, seconds: float) -> None:
    """Return when the server answers a query; raise the last psycopg.OperationalError when it has not within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with connect(conninfo) as connection:
                connection.execute("SELECT 1")
                return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)


def is_connection_lost(error: BaseException) -> bool:
    """Whether the connection is gone, so that the whole transaction may be tried again on a new one.

    What had sent COMMIT may have been committed all the same: so only work that recognises its own repeat may run in a plain transaction
    and be retried. All other work runs in `commits.transaction`, whose psycopg errors always mean that nothing was done.
    """
    if isinstance(error, psycopg.errors.IdleInTransactionSessionTimeout | psycopg.errors.TransactionTimeout):
        return True
    if not isinstance(error, psycopg.OperationalError) or isinstance(error, psycopg.errors.PipelineAborted):
        return False
    # A torn or refused socket is reported by libpq itself, without an SQLSTATE.
    return error.sqlstate is None or error.sqlstate in ENDED_BY_SERVER or error.sqlstate.startswith(CONNECTION_CLASS)


def may_pass(error: BaseException) -> bool:
    """Whether the fault lies with the server's present state (deadlock, lock, memory, disk, cancelled), not with what was asked of it.

    The same work may succeed later as it is, so nobody is to hear that it failed.
    """
    if is_connection_lost(error):
        return True
    return isinstance(error, psycopg.Error) and error.sqlstate is not None and error.sqlstate.startswith(PASSING_CLASSES)
