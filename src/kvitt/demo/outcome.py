"""What a run of the demo came to, as values."""

import msgspec
from msgspec import Struct

from kvitt.hub.check import Report
from kvitt.rail.comparison import Compared
from kvitt.rail.emulator import Duplicates


class Summary(Struct, frozen=True):
    """What a run came to; the fields are the closing JSON line."""

    messages: int
    orders: int
    accepted: int
    rejected: int
    unanswered: int
    doubled: int
    schedule_differences: int
    check_differences: int
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether everything was answered once and nothing differs."""
        return not (self.unanswered or self.doubled or self.schedule_differences or self.check_differences)

    def line(self) -> str:
        """The closing line."""
        return msgspec.json.encode(self).decode()


class SchemeTotals(Struct, frozen=True):
    """What became of a scheme's messages in this run."""

    scheme: str
    messages: int
    orders: int
    accepted: int
    rejected: int
    at_once: int
    waited: int


class Proof(Struct, frozen=True):
    """Everything that was compared after a run. `wrong` is what the demo's own judge found."""

    wrong: tuple[str, ...]
    compared: Compared
    report: Report
    doubled: Duplicates
    surplus: int

    @property
    def doubles(self) -> int:
        """Whatever came or was told more than once."""
        return self.surplus + len(self.doubled.lines) + len(self.doubled.conflicting_messages) + len(self.doubled.same_bytes)
