"""Says in words what of kvitt does not answer, or does not do its work, by what its processes have written of their roles."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from kvitt.api.console.showing import clock_time


class RoleSeen(NamedTuple):
    """A role that some process plays, as it was when it was seen last; `answers`: the process has been seen just now."""

    role: str
    condition: str
    since: datetime
    at_fault: str | None
    seen_at: datetime
    answers: bool


def faults_of(roles: Sequence[RoleSeen]) -> Sequence[str]:
    """Brokers that do not answer, and roles that nobody plays as they should be, each with since when; `roles` are newest first."""
    played = {each.role for each in roles if each.answers}
    gone = {each.role: each for each in reversed(roles) if not each.answers and each.role not in played}
    fails = [each for each in roles if each.answers and each.condition in ("starts anew", "silent")]
    broker = [each for each in fails if each.at_fault == "broker"]
    # Of a database that it can not reach the console knows by itself.
    others = [each for each in fails if each.at_fault not in ("broker", "database")]
    said = [f"the broker does not answer since {_since(each.since for each in broker)} ({_names(broker)})"] if broker else []
    if gone:
        said.append(f"kvitt does not answer since {_since(each.seen_at for each in gone.values())} ({_names(gone.values())})")
    return [*said, *(f"{each.role} of kvitt {each.condition} since {clock_time(each.since)}" for each in others)]


def _since(moments: Iterable[datetime]) -> str:
    return clock_time(min(moments))


def _names(roles: Iterable[RoleSeen]) -> str:
    return ", ".join(sorted({each.role for each in roles}))
