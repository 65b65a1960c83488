"""Editions of the rules by which messages are read: each is read by those of the day on which it came, however often it is read.

So what was answered once is derived again from the same bytes, and a rule that becomes stricter binds what comes in from then on.
"""

from enum import IntEnum
from typing import Final


class Edition(IntEnum):
    """Kept with every message."""

    FIRST = 1
    ONE_OF_EACH = 2
    """No object has a member twice."""
    PLAIN_IDS = 3
    """Ids show what they are, and are in normal form C."""
    EVERY_NEED = 4
    """A need that names several of those that kvitt answers hears of each."""
    OPENED_FOR = 5
    """Until something of a case is accepted, only an approver has it pay another person than it was opened for."""


CURRENT: Final = max(Edition)
