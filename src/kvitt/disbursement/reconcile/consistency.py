"""Makes runs of consistency reconciliation: all lines of an area that are in force on a day, a message per case, part by part (design §15).

A part is a transaction of its own, so that a run of a million lines holds no lock for long, and goes on where it broke off. Which orders
count is fixed when a run begins. What is made leaves when all of it is, by the role `reconciler`.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.calendar import next_day
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.reconcile.active_lines import ActiveBasis, active_cases, all_active_cases, cases_after
from kvitt.disbursement.reconcile.reconcile import ReconciledArea, areas_of
from kvitt.disbursement.reconcile.runs import Cause, DayRange, RunState, Trigger, add_messages, run_id
from kvitt.disbursement.reconciliation import ActiveCase, ConsistencyRun, ConsistencyTotal, ReconciliationForm, ReconciliationKind
from kvitt.disbursement.values import Area
from kvitt.errors import AlreadyReconciled, NotFound, NotInThatState, NotReconciled
from kvitt.kernel.clock import Clock, oslo, oslo_midnight
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load

_SQL: Final = load("consistency", "kvitt.disbursement")
_RUNS: Final = load("reconcile", "kvitt.disbursement")
_KIND: Final = ReconciliationKind.CONSISTENCY
CASES_AT_ONCE: Final = 500
_MOST_REMARKS: Final = 10_000


class LinesRun(Struct, frozen=True):
    """A run about lines in force, as it stands.

    `at` is the moment up to which orders count, `last_case` the last one that was looked at.
    """

    run_no: int
    run_id: str
    rail: str
    area: Area
    form: str
    day: date
    at: datetime
    trigger: Trigger
    made_by: str | None
    reason: str | None
    made_at: datetime
    state: RunState
    good_at: datetime | None
    replaced_by: int | None
    cases: int
    lines: int
    kroner: Kroner
    messages: int
    last_case: int

    @property
    def total(self) -> ConsistencyTotal:
        """All that is reported so far."""
        return ConsistencyTotal(self.cases, self.kroner)

    @property
    def basis(self) -> ActiveBasis:
        """Which lines it reports."""
        return ActiveBasis(self.rail, self.area, self.day, self.at, self.run_no)

    def reported(self, form: ReconciliationForm) -> ConsistencyRun:
        """The run as its rail writes it."""
        return ConsistencyRun(self.run_id, self.area, form, oslo(self.at))


class Remark(NamedTuple):
    """A case of which the rail may have other lines in force than a run reports, and why."""

    scheme: str
    case_id: str
    remark: str


PartMade = Callable[[LinesRun], None]
"""Hears how far a run is made, after each part."""


def _silent(_run: LinesRun) -> None:
    """Says nothing."""


class Consistency:
    """Makes runs on a connection, each part in a transaction of its own."""

    def __init__(self, connection: Connection, ports: Ports, clock: Clock, *, at_once: int = CASES_AT_ONCE) -> None:
        """`at_once` is how many cases a part looks at."""
        self._connection, self._clock, self._at_once = connection, clock, at_once
        self._areas = {each.area: each for each in areas_of(ports.contracts, ports.rails)}

    def make(self, area: str, cause: Cause, *, day: date | None = None, made: PartMade = _silent) -> LinesRun:
        """Makes the run of an area over the lines in force on a day (today in Oslo if not said); goes on with one that broke off.

        Raises NotReconciled; AlreadyReconciled where the day has a run; NotInThatState for a day to come.
        """
        return self.go_on(self._begin(self._found(area), day or self._today(), cause), made=made)

    def preview(self, area: str, *, day: date | None = None) -> Iterator[bytes]:
        """The messages of the run that `make` would make; nothing is stored. Raises as `make`, but for AlreadyReconciled."""
        found, wanted = self._found(area), day or self._today()
        before = fetch_value(self._connection, _RUNS.runs_of_range, self._row(found, wanted))
        identity = run_id(_KIND, found.rail.name, found.area, DayRange(wanted, wanted), before)
        basis = ActiveBasis(found.rail.name, found.area, wanted, self._moment(wanted))
        run = ConsistencyRun(identity, found.area, found.form, oslo(basis.at))
        cases = all_active_cases(self._connection, basis, at_once=self._at_once)
        return found.rail.encode_consistency(run, cases, before=ConsistencyTotal())

    def again(self, run_no: int, operator: Operator, *, made: PartMade = _silent) -> LinesRun:
        """Reports the lines in force on the day of a run once more, under another id; what of it has not left does not leave any more.

        Where the run in its place broke off, that goes on. Raises NotFound; NotInThatState where it was replaced or given up, was named by
        a caller, or is just being sent.
        """
        with self._connection.transaction():
            found = self._found(read_lines_run(self._connection, run_no).area)
            self._lock_area(found)
            before = read_lines_run(self._connection, run_no)
            begun = before.replaced_by
            if begun is None or read_lines_run(self._connection, begun).state is not RunState.MAKING:
                self._give_up(before)
                begun = self._add(found, before.day, Cause(Trigger.OPERATOR, operator=operator), "reconcile lines again")
                self._connection.execute(_RUNS.replace_run, {"run_no": run_no, "by": begun})
        return self.go_on(begun, made=made)

    def drop(self, run_no: int, operator: Operator) -> LinesRun:
        """Gives up a run that is not made whole: nothing of it leaves, and no part of it is taken any more.

        Raises NotFound; NotInThatState where it is whole, or was given up already.
        """
        with self._connection.transaction():
            before = read_lines_run(self._connection, run_no)
            self._connection.execute(_RUNS.lock_area, {"rail": before.rail, "area": before.area, "kind": _KIND.value})
            state = fetch_value(self._connection, _RUNS.lock_run, {"run_no": run_no})
            if state != RunState.MAKING.value:
                raise NotInThatState(f"reconciliation {run_no} is {state}: only one that is not made whole is dropped")
            self._connection.execute(_SQL.drop_run, {"run_no": run_no})
            self._connection.execute(_RUNS.drop_messages, {"run_no": run_no})
            self._note("drop reconciliation of lines", operator, f"{before.area} {before.day}")
            return read_lines_run(self._connection, run_no)

    def go_on(self, run_no: int, *, made: PartMade = _silent) -> LinesRun:
        """Makes what is left of a run. Raises NotFound."""
        run = self._part(run_no)
        while run.state is RunState.MAKING:
            made(run)
            run = self._part(run_no)
        return run

    def _part(self, run_no: int) -> LinesRun:
        """Makes the next part of a run, if it is not whole; whoever else is at it is waited for."""
        with self._connection.transaction():
            run = read_lines_run(self._connection, run_no, lock=True)
            if run.state is not RunState.MAKING:
                return run
            cases = cases_after(self._connection, run.area, run.last_case, self._at_once)
            found = active_cases(self._connection, run.basis, cases)
            ends = len(cases) < self._at_once
            last_case = cases[-1] if cases else run.last_case
            write_part(self._connection, self._found(run.area), run, found, starts=run.messages == 0, ends=ends, last_case=last_case)
            return read_lines_run(self._connection, run_no)

    def _begin(self, found: ReconciledArea, day: date, cause: Cause) -> int:
        with self._connection.transaction():
            self._lock_area(found)
            known: int | None = fetch_value(self._connection, _SQL.lines_run_of_day, {**self._row(found, day), "day": day})
            if known is None:
                return self._add(found, day, cause, "reconcile lines")
            if read_lines_run(self._connection, known).state is RunState.MAKING:
                return known
        raise AlreadyReconciled(f"the lines of {found.area} in force on {day} are reported in run {known}; it is made again by its number")

    def _add(self, found: ReconciledArea, day: date, cause: Cause, act: str) -> int:
        """Begins a run: from now on it is certain which orders count."""
        row = self._row(found, day)
        before, at = fetch_value(self._connection, _RUNS.runs_of_range, row), self._moment(day)
        identity = run_id(_KIND, found.rail.name, found.area, DayRange(day, day), before)
        begun = {"run_id": identity, "form": found.form.name, "day": day, "at": at, "made_at": self._clock()}
        run_no: int = fetch_value(self._connection, _SQL.add_lines_run, {**row, **begun, **cause.row})
        self._connection.execute(_SQL.add_remarks, {**row, "run_no": run_no, "at": at, "scheme": AREAS[found.area].scheme.value})
        self._connection.execute(_RUNS.move_area, row)
        if cause.operator:
            self._note(act, cause.operator, f"{found.area} {day}")
        return run_no

    def _note(self, act: str, operator: Operator, about: str) -> None:
        with self._connection.cursor() as cursor:
            note(cursor, self._clock(), act, operator, about)

    def _give_up(self, run: LinesRun) -> None:
        state = fetch_value(self._connection, _RUNS.lock_run, {"run_no": run.run_no})
        if run.trigger is Trigger.CALL:
            raise NotInThatState(f"the lines of reconciliation {run.run_no} were named by a caller, who alone can name them again")
        if state == RunState.REPLACED.value:
            raise NotInThatState(f"reconciliation {run.run_no} was made again already")
        if state == RunState.DROPPED.value:
            raise NotInThatState(f"reconciliation {run.run_no} was given up: the lines of that day are reported by a run of their own")
        if fetch_value(self._connection, _RUNS.messages_under_way, {"run_no": run.run_no}):
            raise NotInThatState(f"reconciliation {run.run_no} is just being sent, or it is unknown how far it came")
        self._connection.execute(_RUNS.drop_messages, {"run_no": run.run_no})

    def _moment(self, day: date) -> datetime:
        """Up to when orders count: now or, for a day that is over, its end, so that the rail compares with what it had then."""
        if day > self._today():
            raise NotInThatState(f"{day} is still to come: lines are reported that are in force today or were on an earlier day")
        return min(self._clock(), oslo_midnight(next_day(day)) - timedelta(microseconds=1))

    def _today(self) -> date:
        return oslo(self._clock()).date()

    def _found(self, area: str) -> ReconciledArea:
        try:
            return self._areas[Area(area)]
        except KeyError:
            raise NotReconciled(f"lines of the area {area} are not reported; those of {', '.join(self._areas)} are") from None

    def _lock_area(self, found: ReconciledArea) -> None:
        row = {"rail": found.rail.name, "area": found.area, "kind": _KIND.value}
        self._connection.execute(_RUNS.know_area, row)
        self._connection.execute(_RUNS.lock_area, row)

    def _row(self, found: ReconciledArea, day: date) -> dict[str, object]:
        return {"rail": found.rail.name, "area": found.area, "kind": _KIND.value, "first_day": day, "last_day": day}


def write_part(
    connection: Connection, area: ReconciledArea, run: LinesRun, cases: Sequence[ActiveCase], *, starts: bool, ends: bool, last_case: int
) -> None:
    """Writes the messages of the next part of a locked run, and counts what they report."""
    lines = [line for case in cases for line in case.lines]
    bodies = [*area.rail.encode_consistency(run.reported(area.form), cases, starts=starts, ends=ends, before=run.total)]
    step = {
        "run_no": run.run_no,
        "cases": len(cases),
        "lines": len(lines),
        "kroner": sum(line.amount for line in lines),
        "messages": add_messages(connection, run.run_no, run.run_id, run.messages, bodies),
        "last_case": last_case,
        "ends": ends,
    }
    connection.execute(_SQL.step_lines_run, step)


def read_lines_run(connection: Connection, run_no: int, *, lock: bool = False) -> LinesRun:
    """A run about lines in force. Raises NotFound."""
    statement = _SQL.lock_lines_run if lock else _SQL.lines_run
    found = fetch_one(connection, LinesRun, statement, {"run_no": run_no}, trigger=Trigger, state=RunState)
    if found is None:
        raise NotFound(f"no reconciliation of lines has the number {run_no}")
    return found


def lines_made_again(connection: Connection, area: ReconciledArea, run: LinesRun) -> Iterator[bytes] | None:
    """The messages of a whole run as its rows give them now; None where these have changed since, or a caller named the lines."""
    wanted = {"rail": run.rail, "area": run.area, "at": run.at}
    if (
        run.state in (RunState.MAKING, RunState.DROPPED)
        or run.trigger is Trigger.CALL
        or fetch_value(connection, _SQL.adopted_since, wanted)
    ):
        return None
    cases = all_active_cases(connection, run.basis, at_once=CASES_AT_ONCE)
    return area.rail.encode_consistency(run.reported(area.form), cases, before=ConsistencyTotal())


def lines_runs(connection: Connection, *, limit: int, area: str | None = None) -> Sequence[LinesRun]:
    """Runs about lines in force, newest first."""
    return fetch(connection, LinesRun, _SQL.lines_runs, {"area": area, "limit": limit}, trigger=Trigger, state=RunState)


def remarks_of(connection: Connection, run_no: int, *, limit: int = _MOST_REMARKS) -> Sequence[Remark]:
    """The cases of which the rail may have other lines in force than a run reports."""
    return fetch(connection, Remark, _SQL.remarks_of_run, {"run_no": run_no, "limit": limit})
