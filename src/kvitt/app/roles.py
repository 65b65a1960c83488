"""The roles that a hub has: which loops each needs, which there are by the settings, and how they are spread over workers."""

import os
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from math import ceil
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kvitt.console_settings import are_people_made_up
from kvitt.disbursement.rail import Rails
from kvitt.settings import Settings

APIS: Final = "apis"
CONSOLE: Final = "console"
APPROVALS: Final = "approvals"
RESUME: Final = "resume"
CANCELLER: Final = "canceller"
ROLES: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "intake": ("intake", RESUME),
        "rapid": ("rapid", RESUME),
        "relay": ("relay",),
        "sender": ("sender", CANCELLER),
        "receiver": ("receiver", RESUME),
        "simulator": ("simulator",),
        "reconciler": ("reconciler",),
        "scheduler": ("scheduler",),
        "emulator": ("emulator",),
        "payouts": (APIS,),
        "ledger": (APIS,),
        "simulations": (APIS,),
        "reconciliations": (APIS,),
        "decisions": (APIS, RESUME),
        APPROVALS: (APIS,),
        "console": (CONSOLE,),
    }
)
"""The roles that a process may play, and the loops that each needs, every loop in a thread of its own.

`resume` handles what came in while its case was locked: it runs wherever messages or receipts come in. Roles that answer calls share one.
Where orders leave, requests to cancel them do: each rail that can be asked has a `canceller`.
"""
_ON_RAILS: Final = ("sender", "receiver")
"""The loops that each rail has for itself."""
LISTENERS: Final = tuple(role for role, loops in ROLES.items() if APIS in loops)
"""The roles that answer calls."""
_TOGETHER: Final = (
    ("intake", "rapid"),
    ("relay", "sender", "simulator", "reconciler", "scheduler", "emulator", "console"),
    ("receiver",),
)
"""The other roles, in as many parts as they take of a processor: what comes in, what leaves, what is settled.

What leaves has one owner at a time, whoever plays it. The emulator is with the simulator, which asks it. The console takes little, and its
pages use memory: one worker has it.
"""
_REPEATED: Final = (_TOGETHER[0], _TOGETHER[2])
"""The parts that several workers share: partitions have one reader each, and a receipt is handed to one."""
MOST_WORKERS: Final = 4
"""No more are useful by default: for each of them PostgreSQL works as much, and has connections of its own."""
_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def roles_of(settings: Settings) -> tuple[str, ...]:
    """The roles of a hub by these settings: the rapid of a cluster only where that is said, those of people where they are known."""
    left_out = {
        "emulator": not settings.emulator,
        "rapid": settings.kafka is not None and not settings.rapid.ours,
        **dict.fromkeys(roles_without_people(settings), True),
    }
    return tuple(role for role in ROLES if not left_out.get(role))


def roles_without_people(settings: Settings) -> tuple[str, ...]:
    """The roles that nobody could use: the console where nobody logs in, approvals over REST where its tokens are of others."""
    return (*([] if has_console(settings) else [CONSOLE]), *([] if has_approvals(settings) else [APPROVALS]))


def has_approvals(settings: Settings) -> bool:
    """Whether callers of REST are people that the console knows: of one issuer, or made up with the same key."""
    return has_console(settings) and settings.rest.issuer == settings.console.issuer


def has_console(settings: Settings) -> bool:
    """Whether anybody could log in: at an issuer, or as one of the made-up people."""
    return bool(settings.console.issuer) or are_people_made_up(settings.console, settings.database_url)


def loops_of(roles: Sequence[str], rails: Rails) -> list[str]:
    """The loops that run for these roles, each in a thread of its own."""
    loops = dict.fromkeys(loop for role in roles for loop in ROLES[role])
    return list(dict.fromkeys(name for loop in loops for name in _names(loop, rails)))


def on_rail(loop: str, rail: str, rails: Rails) -> str:
    """Returns what the loop of a rail is called; that of the default rail by its role alone."""
    return loop if rail == rails.default.name else f"{loop} {rail}"


def _names(loop: str, rails: Rails) -> list[str]:
    if loop == CANCELLER:
        return [on_rail(loop, rail, rails) for rail in rails.cancelling]
    return [on_rail(loop, rail.name, rails) for rail in rails] if loop in _ON_RAILS else [loop]


def workers_of(settings: Settings, roles: Sequence[str]) -> int:
    """How many processes play these roles: as many as are set, by themselves one for each processor that has something to do."""
    if settings.workers != "auto":
        return settings.workers
    parts = _parts(roles)
    shared = any(role in roles for part in _REPEATED for role in part) or any(role in roles for role in LISTENERS)
    return min(processors(), MOST_WORKERS if shared else max(1, len(parts)))


def spread(roles: Sequence[str], workers: int) -> list[list[str]]:
    """The roles of each of at most so many workers. All of them answer calls; the others are shared out, and none is left out."""
    parts = _parts(roles)
    while len(parts) > workers:
        last = parts.pop()
        parts[-1] += last
    again = [part for part in ([role for role in each if role in roles] for each in _REPEATED) if part]
    parts += islice(cycle(again or [[]]), workers - len(parts))
    answering = [role for role in roles if role in LISTENERS]
    return [played for part in parts if (played := [*part, *answering])]


def _parts(roles: Sequence[str]) -> list[list[str]]:
    return [part for part in ([role for role in each if role in roles] for each in _TOGETHER) if part]


def processors(quota: Path = _QUOTA) -> int:
    """How many processors this process may use, as the system has it and, where that is less, as its container's quota has it."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        most, period = quota.read_text("ascii").split()
    except (OSError, ValueError):
        return allowed
    return allowed if most == "max" else max(1, min(allowed, ceil(int(most) / int(period))))
