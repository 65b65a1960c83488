"""Reading a document field by field, noting every problem by its path instead of stopping at the first (design §12).

A reader returns a value of the right type also for a wrong field; the value counts only when no problem was noted. Texts are
Norwegian, for the sender, and never hold a value of the message: those may be personal.
"""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final, TypeVar

from msgspec import Struct

from kvitt.errors import Undecodable
from kvitt.formats.json_reading import refuse_unfit_text

_WHOLE_TEXT: Final = re.compile(r"\s*([+-]?[0-9]{1,30}(?:\.[0-9]{0,30})?(?:[eE][+-]?[0-9]{1,2})?)\s*", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NO_DAY: Final = date(1970, 1, 1)
_MISSING: Final = "mangler"

T = TypeVar("T")


class Fractional(Struct, frozen=True):
    """A JSON number with a fraction or an exponent, as it stands there: no digit of it goes through a float."""

    text: str


class Problems:
    """Collects what was wrong, in the order in which it was met."""

    def __init__(self) -> None:
        self._noted: list[str] = []

    def note(self, path: str, rule: str) -> None:
        self._noted.append(f"{path}: {rule}")

    def listed(self) -> tuple[str, ...]:
        return tuple(self._noted)


class Fields:
    """An object of the document, at a path; absent and null are the same everywhere (rapid §1.4)."""

    def __init__(self, members: Mapping[str, object], path: str, problems: Problems, *, numbers_as_text: bool = True) -> None:
        """`numbers_as_text`: a whole number may also be written as a text."""
        self._members, self._path, self._problems = members, path, problems
        self._numbers_as_text = numbers_as_text

    def refuse_others(self, known: Container[str]) -> None:
        """Notes that there is a member that nobody knows; its name is not repeated."""
        if any(name not in known for name in self._members):
            self._problems.note(self._path, "har et felt som ikke er kjent")

    def text(self, name: str, *, most: int) -> str:
        """A text of 1 to `most` characters, all of which XML can carry."""
        found = self._members.get(name)
        return "" if self._is_missing(name, found) else self._fit(name, found, most)

    def optional_text(self, name: str, *, most: int) -> str | None:
        """As `text`, blanks around it not counted, or None."""
        found = self._members.get(name)
        return None if found is None else self._fit(name, found, most, trim=True)

    def trimmed(self, name: str, *, most: int) -> str:
        """A text without the blanks around it, of 1 to `most` characters."""
        found = self._members.get(name)
        return "" if self._is_missing(name, found) else self._fit(name, found, most, trim=True).strip()

    def digits(self, name: str, lengths: Sequence[int]) -> str:
        """A text of as many digits as one of `lengths`: who somebody is."""
        found = self._members.get(name)
        if self._is_missing(name, found):
            return ""
        if isinstance(found, str) and len(found) in lengths and found.isascii() and found.isdigit():
            return found
        return self._wrong(name, f"må være en tekst med {' eller '.join(map(str, lengths))} siffer", "")

    def uuid(self, name: str) -> str:
        """A UUID, in lower case."""
        found = self._members.get(name)
        if self._is_missing(name, found):
            return ""
        if isinstance(found, str) and _UUID.fullmatch(found.lower()):
            return found.lower()
        return self._wrong(name, "må være en UUID", "")

    def word(self, name: str, allowed: Sequence[str]) -> str:
        """One of the allowed words; the first of them where there is a problem."""
        found = self._members.get(name)
        if self._is_missing(name, found):
            return allowed[0]
        if isinstance(found, str) and found in allowed:
            return found
        return self._wrong(name, f"må være {_any_of(allowed)}", allowed[0])

    def optional_word(self, name: str, allowed: Sequence[str]) -> bool:
        """Whether one of the allowed words stands there."""
        return self._members.get(name) is not None and bool(self.word(name, allowed))

    def day(self, name: str) -> date:
        """A date, strictly as yyyy-MM-dd."""
        found = self._members.get(name)
        return _NO_DAY if self._is_missing(name, found) else self._day(name, found)

    def optional_day(self, name: str) -> date | None:
        """As `day`, or None."""
        found = self._members.get(name)
        return None if found is None else self._day(name, found)

    def whole(self, name: str, least: int, greatest: int) -> int:
        """A whole number, also one written as text or with zeros behind the point; never 0 for want of anything better."""
        found = self._members.get(name)
        return least if self._is_missing(name, found) else self._whole(name, found, least, greatest)

    def optional_whole(self, name: str, least: int, greatest: int) -> int | None:
        """As `whole`, or None."""
        found = self._members.get(name)
        return None if found is None else self._whole(name, found, least, greatest)

    def section(self, name: str) -> "Fields":
        """The object of that name; an empty one, all of whose fields are missing, where there is none."""
        return self._object(self._members.get(name), self._at(name))

    def sections(self, name: str, *, most: int) -> Iterator["Fields"]:
        """The objects of a list of at most `most`; none of them where there are more."""
        found = self._members.get(name)
        if self._is_missing(name, found):
            return
        if not isinstance(found, list):
            self._note(name, "må være en liste")
        elif len(found) > most:
            self._note(name, f"kan ha høyst {most} linjer")
        else:
            for position, item in enumerate(found):
                yield self._object(item, f"{self._at(name)}[{position}]")

    def _object(self, found: object, path: str) -> "Fields":
        if isinstance(found, dict):
            return Fields(found, path, self._problems, numbers_as_text=self._numbers_as_text)
        self._problems.note(path, _MISSING if found is None else "må være et objekt")
        return Fields({}, path, Problems())

    def _is_missing(self, name: str, found: object) -> bool:
        if found is None:
            self._note(name, _MISSING)
        return found is None

    def _fit(self, name: str, found: object, most: int, *, trim: bool = False) -> str:
        if not isinstance(found, str):
            return self._wrong(name, "må være en tekst", "")
        if not 1 <= len(found.strip() if trim else found) <= most or not found.strip():
            return self._wrong(name, f"må ha fra 1 til {most} tegn", "")
        return found if _is_fit(found) else self._wrong(name, "har et tegn som XML ikke kan bære", "")

    def _day(self, name: str, found: object) -> date:
        if isinstance(found, str) and _DAY.fullmatch(found):
            try:
                return date.fromisoformat(found)
            except ValueError:
                pass  # the right form, but no such day: noted below
        return self._wrong(name, "må være en dato, åååå-MM-dd", _NO_DAY)

    def _whole(self, name: str, found: object, least: int, greatest: int) -> int:
        number = _integral(found) if self._numbers_as_text or not isinstance(found, str) else None
        if number is None:
            return self._wrong(name, "må være et heltall", least)
        return number if least <= number <= greatest else self._wrong(name, f"må være fra {least} til {greatest}", least)

    def _wrong(self, name: str, rule: str, instead: T) -> T:
        self._note(name, rule)
        return instead

    def _note(self, name: str, rule: str) -> None:
        self._problems.note(self._at(name), rule)

    def _at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name


def _integral(found: object) -> int | None:
    """The whole number that a JSON number or text stands for; None when it is none, or larger than anybody counts."""
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    match found:
        case Fractional(text) | str(text):
            written = _WHOLE_TEXT.fullmatch(text)
        case _:
            return None
    number = Decimal(written[1]) if written else None
    return int(number) if number is not None and number == number.to_integral_value() else None


def _is_fit(text: str) -> bool:
    try:
        refuse_unfit_text(text, "")
    except Undecodable:
        return False
    return True


def _any_of(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} eller {words[-1]}"
