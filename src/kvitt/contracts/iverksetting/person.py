"""Numbers of people and organisations, by their check digits (iverksetting §1.3)."""

import re
from collections.abc import Sequence
from typing import Final

_PERSON: Final = re.compile(r"[0-9]{11}")
_ORGANISATION: Final = re.compile(r"[0-9]{9}")
_FIRST_CHECK: Final = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)
_SECOND_CHECK: Final = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
_ORGANISATION_CHECK: Final = (3, 2, 7, 6, 5, 4, 3, 2, 1)
_MODULUS: Final = 11


def is_person(text: str) -> bool:
    """Whether a text is the number of a person; those with 40 added to the day, or 40 or 80 to the month, pass as well."""
    return bool(_PERSON.fullmatch(text)) and _checks(text, _FIRST_CHECK) and _checks(text, _SECOND_CHECK)


def is_organisation(text: str) -> bool:
    """Whether a text is the number of an organisation."""
    return bool(_ORGANISATION.fullmatch(text)) and _checks(text, _ORGANISATION_CHECK)


def _checks(text: str, weights: Sequence[int]) -> bool:
    """The last weight is that of the check digit itself, which makes the sum divisible."""
    return sum(weight * int(digit) for weight, digit in zip(weights, text, strict=False)) % _MODULUS == 0
