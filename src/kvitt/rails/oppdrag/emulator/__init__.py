"""The rail emulator: plays the payment mainframe from its own rules, independently of the hub's (design §8)."""

from kvitt.rails.oppdrag.emulator.damage import DamageForm
from kvitt.rails.oppdrag.emulator.emulator import Emulator
from kvitt.rails.oppdrag.emulator.faults import (
    Chance,
    Faults,
    get_faults,
    set_faults,
)
from kvitt.rails.oppdrag.emulator.habits import (
    AnswerForm,
    ServiceFault,
    ServiceFaults,
    ServiceHabits,
    get_habits,
    get_service_faults,
    set_habits,
    set_service_faults,
)
from kvitt.rails.oppdrag.emulator.judge import RunDifference, RunDifferenceKind
from kvitt.rails.oppdrag.emulator.payments import CannotPay, PlayedRun, PostedRow, next_run, pay, posted_rows
from kvitt.rails.oppdrag.emulator.reconciliation import JudgedRun, reconciliations
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
from kvitt.rails.oppdrag.emulator.watch import SimulatedRequest, Violation, ViolationKind, simulated, violations
from kvitt.rails.oppdrag.emulator.withholding import USUAL_DEDUCTION, Withholding, put_withholding

__all__ = [
    "USUAL_DEDUCTION",
    "AnswerForm",
    "CannotPay",
    "Chance",
    "DamageForm",
    "Day",
    "DaySpan",
    "Duplicates",
    "Emulator",
    "Faults",
    "JudgedRun",
    "PlayedRun",
    "PostedRow",
    "Received",
    "RunDifference",
    "RunDifferenceKind",
    "ServiceFault",
    "ServiceFaults",
    "ServiceHabits",
    "SimulatedRequest",
    "Violation",
    "ViolationKind",
    "Withholding",
    "all_spans",
    "days_of",
    "duplicates",
    "get_faults",
    "get_habits",
    "get_service_faults",
    "next_run",
    "pay",
    "posted_rows",
    "put_withholding",
    "received",
    "reconciliations",
    "schedule",
    "set_faults",
    "set_habits",
    "set_service_faults",
    "simulated",
    "spans",
    "violations",
]
