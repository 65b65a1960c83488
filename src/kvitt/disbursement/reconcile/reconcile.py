"""Makes runs of interface reconciliation: which orders of an area are reported as what, and the messages of it, in one transaction.

Nothing leaves here. What is made is sent by the role `reconciler`, as orders are (design §15).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from kvitt.disbursement.calendar import is_working_day, next_day, previous_working_day
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.rail import Rails, ReconcilingRail
from kvitt.disbursement.reconcile.runs import Cause, DayRange, Run, RunState, Trigger, add_messages, read, run_id
from kvitt.disbursement.reconciliation import Bucket, BucketTotal, KeyForm, ReconciliationForm, ReconciliationKind, ReportedOrder
from kvitt.disbursement.values import Area
from kvitt.errors import AlreadyReconciled, NotAWorkingDay, NotInThatState, NotReconciled
from kvitt.kernel.clock import Clock, oslo, oslo_midnight
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value, named
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator, note
from kvitt.kernel.queries import load

_SQL: Final = load("reconcile", "kvitt.disbursement")
_ROWS_AT_ONCE: Final = 2_000
_MESSAGES_AT_ONCE: Final = 100
_ONE_DAY: Final = timedelta(days=1)
_ORDERS_BEFORE_REST: Final = 5_000
_REST_SECONDS: Final = 0.21
"""Taking so many orders of a day is followed by so long a rest while messages come in: submit then keeps its rate beside a long run."""
_STORED_WITHIN: Final = timedelta(minutes=1)
"""No transaction takes longer (kernel/database.py)."""
RunProgress = Callable[[int], None]
"""Hears how many messages of a run are made."""
TakeBody = Callable[[bytes], object]
"""Gets a message of a run."""


class ReconciledArea(NamedTuple):
    """An area whose orders are reported, with the rail and the form in which that is done."""

    area: Area
    rail: ReconcilingRail
    form: ReconciliationForm

    @property
    def row(self) -> dict[str, Any]:
        """By which its row is found."""
        return {"rail": self.rail.name, "area": self.area, "kind": ReconciliationKind.INTERFACE.value}


def areas_of(contracts: Contracts, rails: Rails) -> Sequence[ReconciledArea]:
    """All areas whose orders are reported, in the order of the catalogue."""
    found = []
    for area, terms in AREAS.items():
        form, rail = contracts.reconciliation(terms.scheme), rails.reconciling(terms.scheme)
        if form is not None and rail is not None:
            found.append(ReconciledArea(area, rail, form))
    return found


class _CountedBucket(NamedTuple):
    bucket: Bucket
    orders: int
    kroner: Kroner


class _ReportedUntil(NamedTuple):
    whole_until: date | None
    first_day: date


class _RunSpan(NamedTuple):
    first_key: int | None
    last_key: int | None
    first: datetime | None
    last: datetime | None


def _silent(_messages: int) -> None:
    """Says nothing."""


def _drop(_body: bytes) -> None:
    """Keeps nothing."""


class Reconcile:
    """Makes runs on a connection, each in a transaction; in one that is open already, as a part of that."""

    def __init__(self, connection: Connection, ports: Ports, clock: Clock, *, first_day: date | None = None) -> None:
        """`first_day` is where areas begin that were never reconciled; None: as `first_left` says."""
        self._connection, self._clock, self._first_day = connection, clock, first_day
        self._areas = {each.area: each for each in areas_of(ports.contracts, ports.rails)}

    @property
    def areas(self) -> Sequence[Area]:
        """The areas whose orders are reported."""
        return [*self._areas]

    def next_range(self, area: str, *, early: bool = False) -> DayRange | None:
        """Returns what the next run of an area is about: from the end of the last one to yesterday in Oslo; None: nothing is left.

        `early`: to today. Raises NotReconciled.
        """
        first, end = self.first_left(area, self._today()), self._end(early=early)
        return DayRange(first, end) if first <= end else None

    def first_left(self, area: str, today: date) -> date:
        """The first day that the next run of an area is to report if it is made on a day.

        Of one that was never reconciled: `first_day` or, where that is not set, the day of its first order or the working day before
        `today`, whichever is earlier. Raises NotReconciled.
        """
        last = self.last_day(area)
        if last:
            return next_day(last)
        return self._first_day or min(self.first_order(area) or today, previous_working_day(today))

    def first_order(self, area: str) -> date | None:
        """The day of the first order of an area; None: it has none. Raises NotReconciled."""
        first: date | None = fetch_value(self._connection, _SQL.first_order, self._found(area).row)
        return first

    def make(
        self,
        area: str,
        days: DayRange,
        cause: Cause,
        *,
        progress: RunProgress = _silent,
        early: bool = False,
    ) -> Run:
        """Makes the run of an area over a range.

        `early`: it may end with today, though that is not over; what has not left by then leaves under the key of tomorrow.
        Raises NotReconciled; NotInThatState for days that are not over, or that would leave out others; AlreadyReconciled for such as
        were reported; NotAWorkingDay where the schedule or a caller comes on a day on which the rail does not compare.
        """
        found = self._found(area)
        if cause.trigger in (Trigger.SCHEDULE, Trigger.CALL) and not is_working_day(self._today()):
            raise NotAWorkingDay(f"{self._today()} is no working day")
        with self._connection.transaction():
            self._lock(found, days, early=early)
            run = self._make(found, days, cause, progress)
            if cause.operator:
                self._note("reconcile", cause.operator, run)
            return run

    def last_day(self, area: str) -> date | None:
        """The last day of an area that is reconciled; None: it never was. Raises NotReconciled."""
        last: date | None = fetch_value(self._connection, _SQL.last_day, self._found(area).row)
        return last

    def preview(self, area: str, days: DayRange, take: TakeBody = _drop, *, anew: bool = False, early: bool = False) -> Run:
        """The run that `make` would make; nothing is stored, and it has no number. Raises as `make`.

        `take` gets its messages, with the same bytes, one after the other, in a transaction that is open: it must not wait for anybody.
        `anew`: as if it were the first run over these days; then only days that are not over are refused. `early` as for `make`.
        """
        found = self._found(area)
        with self._connection.transaction(force_rollback=True):
            self._lock(found, days, anew=anew, early=early)
            run = self._begin(found, days, Cause(Trigger.OPERATOR))
            messages = 0
            for body in self._encoded(found, run):
                take(body)
                messages += 1
            return replace(run, run_no=0, messages=messages)

    def again(self, run_no: int, operator: Operator, *, progress: RunProgress = _silent) -> Run:
        """Reports the range of a run once more, under another id, in its place; what of it has not left does not leave any more.

        Raises NotFound; NotInThatState where it was replaced already, is no run over orders, or is just being sent.
        """
        with self._connection.transaction():
            before = read(self._connection, run_no)
            if before.what is not ReconciliationKind.INTERFACE:
                raise NotInThatState(f"reconciliation {run_no} is about lines, and is not made again here")
            found = self._found(before.area)
            self._lock_area(found)
            self._give_up(run_no)
            run = self._make(found, before.days, Cause(Trigger.OPERATOR, operator=operator), progress, replaces=run_no)
            self._note("reconcile again", operator, run)
            return run

    def _today(self) -> date:
        """The day in Oslo; just after midnight the one before, while an order of that may still be about to be stored."""
        return oslo(self._clock() - _STORED_WITHIN).date()

    def _end(self, *, early: bool) -> date:
        """The last day that may be reported."""
        return oslo(self._clock()).date() if early else self._today() - _ONE_DAY

    def _found(self, area: str) -> ReconciledArea:
        try:
            return self._areas[Area(area)]
        except KeyError:
            raise NotReconciled(f"orders of the area {area} are not reported; those of {', '.join(self._areas)} are") from None

    def _lock_area(self, found: ReconciledArea) -> date | None:
        self._connection.execute(_SQL.know_area, found.row)
        last: date | None = fetch_value(self._connection, _SQL.lock_area, found.row)
        return last

    def _lock(self, found: ReconciledArea, days: DayRange, *, anew: bool = False, early: bool = False) -> None:
        """Locks the area for a range that is to be reported."""
        if not days.first <= days.last <= self._end(early=early):
            raise NotInThatState(f"{days}: only days that are over are reconciled, from the first to the last one")
        last = self._lock_area(found)
        if anew:
            return
        if days.last >= self._today():
            # Nothing is made or sent until the area's new end can be seen by whoever sends.
            self._connection.execute(_SQL.lock_orders)
        if last is not None and days.first <= last:
            raise AlreadyReconciled(f"{found.area} is reconciled up to {last}; a run is made again by its number")
        if last is not None and days.first > next_day(last):
            raise NotInThatState(
                f"{found.area} is reconciled up to {last}: {days} would leave out {DayRange(next_day(last), days.first - _ONE_DAY)}"
            )

    def _give_up(self, run_no: int) -> None:
        state = fetch_value(self._connection, _SQL.lock_run, {"run_no": run_no})
        if state == RunState.REPLACED.value:
            raise NotInThatState(f"reconciliation {run_no} was made again already")
        if fetch_value(self._connection, _SQL.messages_under_way, {"run_no": run_no}):
            raise NotInThatState(f"reconciliation {run_no} is just being sent, or it is unknown how far it came")
        self._connection.execute(_SQL.drop_messages, {"run_no": run_no})

    def _make(self, found: ReconciledArea, days: DayRange, cause: Cause, progress: RunProgress, *, replaces: int | None = None) -> Run:
        run = self._begin(found, days, cause, replaces=replaces)
        self._write_messages(found, run, progress)
        return read(self._connection, run.run_no)

    def _begin(self, found: ReconciledArea, days: DayRange, cause: Cause, *, replaces: int | None = None) -> Run:
        """Stores a run with all that it reports, and without its messages."""
        now = self._clock()
        range_ = {"first_day": days.first, "last_day": days.last}
        times = fetch_value(self._connection, _SQL.runs_of_range, {**found.row, **range_})
        row = {
            **found.row,
            **range_,
            "run_id": run_id(ReconciliationKind.INTERFACE, found.rail.name, found.area, days, times),
            "form": found.form.name,
            **cause.row,
            "made_at": now,
        }
        run_no = fetch_value(self._connection, _SQL.add_run, row)
        if replaces is not None:
            self._connection.execute(_SQL.replace_run, {"run_no": replaces, "by": run_no})
        self._report(found, days, run_no, replaces=replaces)
        self._connection.execute(_SQL.move_area, {**found.row, "last_day": days.last})
        self._complete(found, days, run_no, now)
        return read(self._connection, run_no)

    def _report(self, found: ReconciledArea, days: DayRange, run_no: int, *, replaces: int | None) -> None:
        row = {**found.row, "run_no": run_no, "first_day": days.first, "last_day": days.last, "warned_by": list(found.rail.warned_by)}
        if found.form.key_form is KeyForm.NUMBER:
            self._report_by_number(found, days, {**row, "replaces": replaces})
            return
        # Where today is part of it nothing can be made or sent meanwhile, and everybody waits.
        rest = _REST_SECONDS if days.last < self._today() else 0.0
        self._connection.execute(_SQL.report_by_day, {**row, "rests_after": _ORDERS_BEFORE_REST, "rest_seconds": rest})

    def _report_by_number(self, found: ReconciledArea, days: DayRange, row: Mapping[str, Any]) -> None:
        """Looks at the days since the last run, and at what was left open of earlier ones, however many there were."""
        mark = fetch_one(self._connection, _ReportedUntil, _SQL.reported_until, found.row)
        assert mark is not None, "whoever reports has locked the area"
        if mark.whole_until is None:
            left_since = oslo_midnight(mark.first_day)
            self._connection.execute(_SQL.open_earlier, {**row, "first_day": mark.first_day, "left_since": left_since})
        after = mark.whole_until or mark.first_day - _ONE_DAY
        whole_until = max(after, min(days.last, self._today() - _ONE_DAY))
        self._connection.execute(_SQL.report_by_number, {**row, "after": after, "whole_until": whole_until})
        self._connection.execute(_SQL.move_mark, {**row, "whole_until": whole_until})

    def _complete(self, found: ReconciledArea, days: DayRange, run_no: int, now: datetime) -> None:
        """Counts what a run reports, and says between which keys it lies."""
        totals = {
            each.bucket: each for each in fetch(self._connection, _CountedBucket, _SQL.totals_of_run, {"run_no": run_no}, bucket=Bucket)
        }
        row: dict[str, Any] = {"run_no": run_no, "messages": 0}
        for bucket in Bucket:
            total = totals.get(bucket, BucketTotal())
            row |= {bucket.value: total.orders, f"{bucket.value}_kroner": total.kroner}
        span = self._span(found, days, run_no) if totals else _NOTHING
        state, good_at = (RunState.MADE, None) if totals else (RunState.EMPTY, now)
        self._connection.execute(_SQL.complete_run, {**row, **span, "state": state.value, "good_at": good_at})

    def _span(self, found: ReconciledArea, days: DayRange, run_no: int) -> Mapping[str, Any]:
        """Between which keys and times the orders lie: the days themselves or, where each order has a number, their own."""
        if found.form.key_form is KeyForm.DAY:
            keys = found.rail.day_key(days.first)[0], found.rail.day_key(days.last)[1]
            return {
                "first_key": keys[0],
                "last_key": keys[1],
                "first": datetime.combine(days.first, time.min),
                "last": datetime.combine(days.last, time.max),
            }
        span = fetch_one(self._connection, _RunSpan, _SQL.span_of_run, {"run_no": run_no})
        assert span is not None, "min and max give a row"
        return {"first_key": str(span.first_key), "last_key": str(span.last_key), "first": span.first, "last": span.last}

    def _write_messages(self, found: ReconciledArea, run: Run, progress: RunProgress) -> None:
        bodies, written = iter(self._encoded(found, run)), 0
        while batch := [*islice(bodies, _MESSAGES_AT_ONCE)]:
            written = add_messages(self._connection, run.run_no, run.run_id, written, batch)
            progress(written)
        self._connection.execute(_SQL.count_messages, {"run_no": run.run_no, "messages": written})

    def _encoded(self, found: ReconciledArea, run: Run) -> Iterable[bytes]:
        """The messages of a run as its rows give them; none of one that is empty."""
        if run.state is RunState.EMPTY:
            return ()
        return found.rail.encode_interface(run.reported(found.form), details_of(self._connection, run.run_no))

    def _note(self, what: str, operator: Operator, run: Run) -> None:
        with self._connection.cursor() as cursor:
            note(cursor, self._clock(), what, operator, f"{run.area} {run.days}")


_NOTHING: Final = {"first_key": None, "last_key": None, "first": None, "last": None}


def details_of(connection: Connection, run_no: int) -> Iterator[ReportedOrder]:
    """The orders of a run that are not simply accepted, read as they come, in a transaction that is open."""
    with connection.cursor(name="reconciled", row_factory=named(ReportedOrder, bucket=Bucket)) as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        cursor.execute(_SQL.details_of_run, {"run_no": run_no}, binary=True)
        yield from cursor
