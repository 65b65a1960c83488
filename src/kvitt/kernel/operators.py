"""Who acts, why, and who approves it: the one rule of the second person, and the chain in which operators' acts stand (design §11)."""

from datetime import datetime
from typing import Any, Final

import psycopg
from msgspec import Struct, json
from msgspec.structs import force_setattr

from kvitt.errors import NeedsSecondPerson
from kvitt.kernel.audit import AuditRow, digest, link
from kvitt.kernel.people import name_of, reason_of, same_person
from kvitt.kernel.queries import load
from kvitt.kernel.rows import write

_SQL: Final = load("audit", "kvitt.kernel")
CHAIN: Final = 0
"""The operators' chain."""


class Signature(Struct, frozen=True):
    """Who acted, why, and who had approved it, as it is stored; what was signed once stays readable whatever is asked of names later."""

    name: str
    reason: str
    approved_by: str | None = None
    approval_no: int | None = None
    """The approval by which it was done, where the second person confirmed what the first had asked for."""


class Operator(Signature, frozen=True):
    """Who acts, why, and who has approved it, cleaned; acts that move money need an approver who is somebody else.

    Can not be made with a name or a reason that is none: raises BadOperator.
    """

    def __post_init__(self) -> None:
        """Cleans and judges what was given."""
        force_setattr(self, "name", name_of("by", self.name))
        force_setattr(self, "reason", reason_of("reason", self.reason))
        if self.approved_by is not None:
            force_setattr(self, "approved_by", name_of("approved_by", self.approved_by))

    def need_second_person(self, why: str = "this moves money") -> None:
        """Raises NeedsSecondPerson unless somebody else than the one who acts has approved it."""
        if self.approved_by is None:
            raise NeedsSecondPerson(f"{why}: name another person who approves it")
        if same_person(self.name, self.approved_by):
            raise NeedsSecondPerson(f"{why}: name another person who approves it; these two names are, or look like, one person's")


class _Told(Struct, frozen=True):
    """The words of an entry; `approval` is only among them where there was one."""

    by: str
    approved_by: str | None
    reason: str
    subject: str


class _ToldOfApproval(_Told, frozen=True):
    approval: int


def note(cursor: psycopg.Cursor[Any], now: datetime, what: str, operator: Signature, subject: str) -> None:
    """Appends to the operators' audit chain, under its lock; not earlier than its last entry, whatever clock `now` is of."""
    seq, head, last_at = cursor.execute(_SQL.head_of_operators).fetchone() or (0, b"", now)
    words = operator.name, operator.approved_by, operator.reason, subject
    told = json.encode(_Told(*words) if operator.approval_no is None else _ToldOfApproval(*words, operator.approval_no)).decode()
    entry = link(bytes(head), AuditRow(CHAIN, seq + 1, max(now, last_at), what, None, None, None, digest(told.encode()), told, b""))
    write(cursor, [entry])
    cursor.execute(_SQL.step_operators, (entry.seq, entry.hash, entry.at))
