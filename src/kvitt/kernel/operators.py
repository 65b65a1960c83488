"""Who acts, why, and who approves it: the one rule of the second person, and the chain in which operators' acts stand (design §11).

Names are compared by their skeletons, so that neither case, blanks, marks, invisible characters nor letters of another alphabet that look
alike make a second person. Two names that are hard to distinguish for a reader of the audit chain are one name.
"""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from typing import Any, Final, NamedTuple

import psycopg
from msgspec import Struct, json
from msgspec.structs import force_setattr

from kvitt.errors import BadOperator, NeedsSecondPerson
from kvitt.kernel.audit import AuditRow, digest, link
from kvitt.kernel.fetch import fetch_one
from kvitt.kernel.identifiers import is_invisible
from kvitt.kernel.queries import load
from kvitt.kernel.rows import write

MIN_NAME: Final = 2
MAX_NAME: Final = 100
MIN_REASON: Final = 5
MAX_REASON: Final = 1000
_MIN_REASON_LETTERS: Final = 3
_BLANK = frozenset({"Cc", "Zs", "Zl", "Zp"})
_NO_CHARACTER = {"Cs": "must be valid UTF-8", "Co": "must have no private characters", "Cn": "must have no unassigned characters"}


def cleaned(field: str, text: str) -> str:
    """The text in NFC, without what is invisible, each run of blanks and control characters one blank, none at the ends.

    Raises BadOperator for what is no character.
    """
    shown = []
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if category in _NO_CHARACTER:
            raise BadOperator(field, _NO_CHARACTER[category])
        if not is_invisible(character):
            shown.append(" " if category in _BLANK else character)
    return " ".join("".join(shown).split())


def name_of(field: str, text: str) -> str:
    """A person's name as it is stored. Raises BadOperator."""
    name = cleaned(field, text)
    if not MIN_NAME <= len(name) <= MAX_NAME or not any(map(str.isalnum, name)):
        raise BadOperator(
            field, f"must name a person in {MIN_NAME} to {MAX_NAME} characters, blanks at the ends and what is invisible not counted"
        )
    return name


def reason_of(field: str, text: str) -> str:
    """A reason as it is stored. Raises BadOperator."""
    reason = cleaned(field, text)
    if not MIN_REASON <= len(reason) <= MAX_REASON or sum(map(str.isalnum, reason)) < _MIN_REASON_LETTERS:
        raise BadOperator(
            field, f"must say why in {MIN_REASON} to {MAX_REASON} characters, blanks at the ends and what is invisible not counted"
        )
    return reason


def same_person(one: str, other: str) -> bool:
    """Whether two names can be taken for one another, or differ in nothing that makes a person."""
    return not _skeletons(one).isdisjoint(_skeletons(other))


class PersonAtIssuer(Struct, frozen=True):
    """The word of an issuer about somebody who acts: the same name is another person at another issuer, and `called` is a label only."""

    issuer: str
    called: str


def known_at(issuer: str | None, called: str | None) -> PersonAtIssuer | None:
    """The word of an issuer as it is stored; None for who was on a command line where names are typed."""
    return None if issuer is None else PersonAtIssuer(issuer, called or "")


SaidPerson = tuple[str, PersonAtIssuer | None]
"""A person's name, and what their issuer says of them where they came by one."""


def is_one_person(one: SaidPerson, other: SaidPerson) -> bool:
    """Whether two are one person: by issuer and name where both are known, else by all names that look alike."""
    (name, known), (other_name, other_known) = one, other
    if known and other_known:
        return (known.issuer, name) == (other_known.issuer, other_name)
    return any(same_person(each, another) for each in _names(one) for another in _names(other))


def _names(named: SaidPerson) -> Sequence[str]:
    name, known = named
    return [name, known.called] if known and known.called else [name]


def _skeletons(name: str) -> frozenset[str]:
    """Returns what is left of a name for comparing: as it looks in the case in which it is written, and as it looks in small letters.

    Both are needed: a capital `I` looks like a small `l`, yet `KARI` is `kari`.
    """
    # Before NFKC as well: it makes some letters, such as the lunate sigma, into others that look otherwise.
    shown = unicodedata.normalize("NFKC", "".join(map(_look, name)))
    return frozenset(map(_looks, (shown.translate(_CAPITAL_I), shown.casefold())))


def _looks(text: str) -> str:
    plain = "".join(_look(character) for character in unicodedata.normalize("NFKD", text) if not unicodedata.combining(character))
    folded = "".join(filter(str.isalnum, plain.casefold()))
    return folded.replace("rn", "m").replace("vv", "w").replace("1", "l").replace("0", "o") or text


def _look(character: str) -> str:
    if is_invisible(character):
        return ""
    digit = unicodedata.decimal(character, None)
    return _LOOK_ALIKES.get(character, character) if digit is None else str(digit)


def _read_look_alikes() -> dict[str, str]:
    lines = (resources.files("kvitt.kernel") / "data" / "look_alikes.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {character: shown for shown, alike in rows for character in alike}


_LOOK_ALIKES = _read_look_alikes() | {"|": "l"}
_CAPITAL_I = {ord("I"): "l"}


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
            raise NeedsSecondPerson(f"{why}: another person has to approve it; ask for it (--ask)")
        if same_person(self.name, self.approved_by):
            raise NeedsSecondPerson(f"{why}: name another person who approves it; these two names are, or look like, one person's")


class _NoteOfAct(Struct, frozen=True):
    """The words of an entry; `approval` is only among them where there was one."""

    by: str
    approved_by: str | None
    reason: str
    subject: str


class _NoteOfApprovedAct(_NoteOfAct, frozen=True):
    approval: int


class _LastEntry(NamedTuple):
    audit_seq: int
    last_event_hash: bytes
    last_at: datetime


def note(cursor: psycopg.Cursor[Any], now: datetime, what: str, operator: Signature, subject: str) -> None:
    """Appends to the operators' audit chain, under its lock; not earlier than its last entry, whatever clock `now` is of."""
    last = fetch_one(cursor, _LastEntry, _SQL.end_of_operators) or _LastEntry(0, b"", now)
    words = operator.name, operator.approved_by, operator.reason, subject
    text = json.encode(_NoteOfAct(*words) if operator.approval_no is None else _NoteOfApprovedAct(*words, operator.approval_no)).decode()
    at = max(now, last.last_at)
    entry = link(last.last_event_hash, AuditRow(CHAIN, last.audit_seq + 1, at, what, None, None, None, digest(text.encode()), text, b""))
    write(cursor, [entry])
    cursor.execute(_SQL.step_operators, (entry.seq, entry.hash, entry.at))
