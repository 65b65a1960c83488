"""Whether this process can do its work, and if not, why: what `/isready` answers.

A reason says what is wrong in a word for machines and in one for people. What is as it should be but worth knowing is a note.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import psycopg
from msgspec import Struct

from kvitt.kernel.migrate import pending
from kvitt.ops.figures import TopicLag
from kvitt.ops.roles import Condition, RoleState


class Reason(Struct, frozen=True):
    """Something about this process; `code` is stable, `since` is None where it is not known."""

    code: str
    said: str
    since: datetime | None = None


class Readiness(Struct, frozen=True):
    """Ready when there is no reason against it."""

    ready: bool
    reasons: Sequence[Reason]
    notes: Sequence[Reason]
    roles: Sequence[RoleState]


def readiness(
    stopping: bool, roles: Sequence[RoleState], check_database: Callable[[], list[str]], broker_lag: Callable[[], Sequence[TopicLag]] | None
) -> Readiness:
    """Looks at everything. `check_database` gives the migrations that are missing, or raises psycopg errors or TimeoutError."""
    reasons = [Reason("stopping", "this process was told to stop")] if stopping else []
    if not roles:
        reasons.append(Reason("no_roles", "no role runs in this process"))
    reasons += _database(check_database)
    if broker_lag is not None:
        reasons += _broker(broker_lag)
    reasons += [reason for state in roles if (reason := _fault_of(state))]
    notes = [_standing_by(state) for state in roles if state.condition is Condition.STANDS_BY]
    return Readiness(not reasons, reasons, notes, roles)


def missing_migrations(conninfo: str) -> list[str]:
    """The names of the migrations that the database has not had; raises psycopg.OperationalError when it can't be reached."""
    return pending(conninfo)


def encode(found: Readiness) -> bytes:
    """As JSON."""
    return msgspec.json.encode(found)


def _database(check: Callable[[], list[str]]) -> list[Reason]:
    try:
        missing = check()
    except TimeoutError:
        return [Reason("database_slow", "the database did not answer in time")]
    except psycopg.Error as error:
        # The type only: libpq's words name hosts and users.
        return [Reason("database_unreachable", f"the database can not be reached: {type(error).__name__}")]
    return [Reason("not_upgraded", f"the database lacks {', '.join(missing)}; run kvitt db upgrade")] if missing else []


def _broker(lag: Callable[[], Sequence[TopicLag]]) -> list[Reason]:
    try:
        lag()
    except Exception as error:  # noqa: BLE001 - whatever the client raises becomes the reason that is shown
        return [Reason("broker_unreachable", f"the log's brokers can not be asked: {type(error).__name__}")]
    return []


def _fault_of(state: RoleState) -> Reason | None:
    match state.condition:
        case Condition.BEGINS:
            return Reason("role_begins", f"role {state.role} has not done its first step yet", state.since)
        case Condition.SILENT:
            return Reason("role_silent", f"role {state.role} has not come back from its last step", state.since)
        case Condition.STARTS_ANEW:
            code = f"{state.at_fault}_unreachable" if state.at_fault in ("database", "broker") else "role_starts_anew"
            return Reason(code, f"role {state.role} starts anew: {state.fault}", state.since)
        case _:
            return None


def _standing_by(state: RoleState) -> Reason:
    return Reason("lease_held_by_another", f"role {state.role} stands by: another process has its lease", state.since)
