"""Who answers for an act, and why: how a name and a reason must be written, and when two names are one person's (design §11).

Names are compared by their skeletons, so that neither case, blanks, marks, invisible characters nor letters of another alphabet that look
alike make a second person. Two names that are hard to tell apart for a reader of the audit chain are one name.
"""

import unicodedata
from importlib import resources
from typing import Final

from kvitt.errors import BadOperator
from kvitt.kernel.identifiers import is_invisible

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


def _skeletons(name: str) -> frozenset[str]:
    """What is left of a name for comparing: as it looks in the case in which it is written, and as it looks in small letters.

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
