"""The rail emulator: plays the payment mainframe from its own rules, independently of the hub's (design §8)."""

from kvitt.rails.oppdrag.emulator.damage import DamageForm
from kvitt.rails.oppdrag.emulator.emulator import Emulator
from kvitt.rails.oppdrag.emulator.faults import (
    Chance,
    Faults,
    get_faults,
    set_faults,
)
from kvitt.rails.oppdrag.emulator.schedule import (
    Day,
    DaySpan,
    all_spans,
    days_of,
    schedule,
    spans,
)
from kvitt.rails.oppdrag.emulator.store import (
    Duplicates,
    Received,
    duplicates,
    received,
)

__all__ = [
    "Chance",
    "DamageForm",
    "Day",
    "DaySpan",
    "Duplicates",
    "Emulator",
    "Faults",
    "Received",
    "all_spans",
    "days_of",
    "duplicates",
    "get_faults",
    "received",
    "schedule",
    "set_faults",
    "spans",
]
