"""Holds what `app/` plugs into the hub: its contracts and its rails (design §3)."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.source_limits import SourceLimit

if TYPE_CHECKING:
    from kvitt.disbursement.check.report import Findings
    from kvitt.disbursement.check.stored import Reader


def _nothing(_reader: "Reader", _found: "Findings") -> None:
    """Walks through nothing."""


class SubjectCheck(Struct, frozen=True):
    """Proves, for `kvitt check`, a part of a subject beside cases: `walk` goes through its rows, `statements` look at all of them at once.

    `anything` says whether there is a row of the subject at all: where there is none the rest has nothing to prove and is passed by.
    Each statement has the kind of difference that it finds, and returns the number of a case or null, an id, and what is wrong.
    """

    anything: str
    statements: Sequence[tuple[str, str]]
    walk: "Callable[[Reader, Findings], None]" = _nothing


class Ports(Struct, frozen=True):
    """Everything that the core reaches through a port, and what is checked with it."""

    contracts: Contracts
    rails: Rails
    checks: Callable[[], Sequence[SubjectCheck]] = tuple
    """Returns what is proved beside cases; asked by whoever checks, so that nobody else loads it."""
    limits: Mapping[str, SourceLimit] = {}
    """The most that applications and topics may have paid."""
