"""Acts on reconciliation, with what each would report: a run is made, made again, resolved or dropped (design §15).

The totals are those of the moment: a receipt moves them, and makes no other effect. That is made by the area, the days and the run.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from msgspec import Struct

from kvitt.disbursement.ports import Ports
from kvitt.disbursement.reconcile.consistency import Consistency
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Cause, DayRange, Run, Trigger
from kvitt.disbursement.reconcile.send import resolve
from kvitt.formats.counts import counted
from kvitt.kernel.approvals import LOOKING, ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator


class RunNamed(Struct, frozen=True):
    """The run that an act is about."""

    run_no: int


class RunResolved(RunNamed, frozen=True):
    """A run, and whether its messages of which that is unknown came to the queue."""

    was_put: bool


class RangeReported(Struct, frozen=True):
    """Days of an area, from the first to the last one; `early`: that may be today."""

    area: str
    first: date
    last: date
    early: bool = False


ReconcileOn = Callable[[Connection], Reconcile]


def reconcile_acts(clock: Clock, ports: Ports, first_day: date | None) -> Sequence[ApprovableAct[Any]]:
    """All of them. `first_day` as for `Reconcile`."""

    def reconciling(connection: Connection) -> Reconcile:
        return Reconcile(connection, ports, clock, first_day=first_day)

    return _make_act(reconciling), _again_act(reconciling), _resolve_act(clock, ports), _drop_act(clock, ports)


def reported(run: Run) -> str:
    """The totals of a run in words."""
    totals = [f"{bucket.value}: {counted(total.orders, 'order')}, {total.kroner} kr" for bucket, total in run.totals.items()]
    return "\n".join([f"{run.area}, {run.days}: {counted(run.orders, 'order')}, in {counted(run.messages, 'message')}", *totals])


def _make_act(reconciling: ReconcileOn) -> ApprovableAct[RangeReported]:
    def preview(connection: Connection, asked: RangeReported) -> ShownEffect:
        days = DayRange(asked.first, asked.last)
        return ShownEffect.of(reported(reconciling(connection).preview(asked.area, days, early=asked.early)), asked)

    def run(connection: Connection, asked: RangeReported, operator: Operator) -> str:
        cause = Cause(Trigger.OPERATOR, operator=operator)
        made = reconciling(connection).make(asked.area, DayRange(asked.first, asked.last), cause, early=asked.early)
        return f"run {made.run_no} is made"

    return ApprovableAct("reconcile run", RangeReported, lambda asked: f"{asked.area} {asked.first} {asked.last}", preview, run)


def _again_act(reconciling: ReconcileOn) -> ApprovableAct[RunNamed]:
    def preview(connection: Connection, asked: RunNamed) -> ShownEffect:
        with connection.transaction(force_rollback=True):
            made = reconciling(connection).again(asked.run_no, LOOKING)
        return ShownEffect.of(f"in place of run {asked.run_no}, under an id of its own, would be reported\n{reported(made)}", asked)

    def run(connection: Connection, asked: RunNamed, operator: Operator) -> str:
        made = reconciling(connection).again(asked.run_no, operator)
        return f"run {made.run_no} is made in place of run {asked.run_no}"

    return ApprovableAct("reconcile again", RunNamed, lambda asked: str(asked.run_no), preview, run)


def _resolve_act(clock: Clock, ports: Ports) -> ApprovableAct[RunResolved]:
    def done(connection: Connection, asked: RunResolved, operator: Operator) -> int:
        return resolve(connection, clock, ports, asked.run_no, was_put=asked.was_put, operator=operator)

    def preview(connection: Connection, asked: RunResolved) -> ShownEffect:
        with connection.transaction(force_rollback=True):
            messages = done(connection, asked, LOOKING)
        would = "would count as put" if asked.was_put else "would be sent again"
        return ShownEffect.of(f"{counted(messages, 'message')} of run {asked.run_no} {would}, and the run goes on")

    def run(connection: Connection, asked: RunResolved, operator: Operator) -> str:
        return f"{done(connection, asked, operator)} messages {'were put' if asked.was_put else 'are sent again'}"

    return ApprovableAct("reconcile resolve", RunResolved, lambda asked: str(asked.run_no), preview, run)


def _drop_act(clock: Clock, ports: Ports) -> ApprovableAct[RunNamed]:
    def run(connection: Connection, asked: RunNamed, operator: Operator) -> str:
        dropped = Consistency(connection, ports, clock).drop(asked.run_no, operator)
        return f"run {dropped.run_no} is dropped"

    def preview(connection: Connection, asked: RunNamed) -> ShownEffect:
        with connection.transaction(force_rollback=True):
            dropped = Consistency(connection, ports, clock).drop(asked.run_no, LOOKING)
        what = f"run {dropped.run_no} of the lines of {dropped.area} in force on {dropped.day}"
        return ShownEffect.of(f"{what} would be given up: nothing of it leaves, and no part of it is taken any more")

    return ApprovableAct("reconcile drop", RunNamed, lambda asked: str(asked.run_no), preview, run)
