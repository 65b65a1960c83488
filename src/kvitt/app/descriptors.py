"""Descriptors of this process: as many as the system allows, shared out so that callers never get those that the work needs."""

import resource
from contextlib import suppress
from typing import Final

from kvitt.config import HttpSettings
from kvitt.doors.http_limits import Limits

_RESERVED: Final = 256
"""For PostgreSQL, brokers, queues, health and logs; half of all where there are few."""
_ENOUGH: Final = 1_048_576
_USUAL_CONNECTIONS: Final = 2048


def raise_limit() -> int:
    """Raises the soft limit of descriptors to the hard one, where that is allowed; gives how many there may be now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def limits_of(settings: HttpSettings, descriptors: int, doors: int) -> Limits:
    """The limits of each of so many doors: what is set, but never more connections than descriptors are left for them."""
    free = descriptors - min(_RESERVED, descriptors // 2)
    connections = max(1, min(settings.connections or _USUAL_CONNECTIONS, free // doors))
    return Limits(
        connections=connections,
        connections_per_address=min(connections, settings.connections_per_address or max(1, connections // 2)),
        header_seconds=settings.header_seconds,
        body_seconds=settings.body_seconds,
        idle_seconds=settings.idle_seconds,
        answer_seconds=settings.answer_seconds,
        request_line_bytes=settings.request_line_bytes,
        headers=settings.headers,
        header_bytes=settings.header_bytes,
        body_memory_bytes=settings.body_memory_bytes,
    )
