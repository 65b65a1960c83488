"""The order of the first process of a hub to a worker that it has begun: a line of JSON on a socket, secrets too, so never an argument."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from kvitt import logs
from kvitt.settings import Settings

STOP_SECONDS: Final = 30.0
"""How long a stop may take; what hangs then is left to others."""


class WorkOrder(Struct, frozen=True):
    """All that a worker has to know. `owner` takes its leases; sockets by the numbers of their descriptors."""

    worker: int
    owner: str
    conninfo: str
    settings: Settings
    roles: Sequence[str]
    log: logs.LogTerms
    hears: int
    says: Sequence[int]


def encoded(order: WorkOrder) -> bytes:
    """The line that carries it."""
    return msgspec.json.encode(order, enc_hook=str) + b"\n"


def decoded(line: bytes) -> WorkOrder:
    """The order that a line carries."""
    return msgspec.json.decode(line, type=WorkOrder, dec_hook=_decode)


def _decode(kind: type, value: Any) -> Any:
    assert kind is Path, "of what settings hold, only paths have no form in JSON"
    return Path(value)
