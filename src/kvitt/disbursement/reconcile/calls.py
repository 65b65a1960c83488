"""Reconciliation that callers ask for: one range for all areas of some schemes, each area a run of its own (design §15)."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

import structlog
from psycopg.errors import LockNotAvailable
from psycopg_pool import ConnectionPool

from kvitt.disbursement.calendar import next_day
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Cause, DayRange, Trigger
from kvitt.disbursement.values import Area, Scheme
from kvitt.errors import AlreadyReconciled, NotAWorkingDay, ReconciliationFailed
from kvitt.kernel.clock import Clock, oslo
from kvitt.kernel.database import is_connection_lost

_log = structlog.get_logger(__name__)
_ONE_DAY: Final = timedelta(days=1)


class ReconciliationCalls:
    """Ranges and runs for callers, over the areas of `schemes`. Safe for use by several threads."""

    def __init__(
        self, pool: ConnectionPool[Any], ports: Ports, clock: Clock, schemes: Collection[Scheme], first_day: date | None = None
    ) -> None:
        """`first_day` is where areas begin that were never reconciled; None: as `Reconcile.first_left` says."""
        self._pool, self._ports, self._clock, self._first_day = pool, ports, clock, first_day
        self.schemes = schemes

    @property
    def today(self) -> date:
        """Today in Oslo."""
        return oslo(self._clock()).date()

    def next_range(self, day: date) -> DayRange:
        """Returns what is to be reported on a day: from where the area ended that is furthest behind, to the day before.

        Where nothing is left it begins on the day itself. Raises psycopg errors.
        """
        with self._reconcile() as reconcile:
            firsts = [reconcile.first_left(area, day) for area in self._areas(reconcile)]
        return DayRange(min([day, *firsts]), day - _ONE_DAY)

    def is_reconciled(self, day: date) -> bool:
        """Whether all areas are reconciled up to a day, or begin behind it. Raises psycopg errors."""
        with self._reconcile() as reconcile:
            return all((first := self._begins(reconcile, area)) is not None and first > day for area in self._areas(reconcile))

    def left_out(self, days: DayRange) -> DayRange | None:
        """The days that a range would leave out in an area, which is to go on before it begins; None: none. Raises psycopg errors."""
        with self._reconcile() as reconcile:
            firsts = [first for area in self._areas(reconcile) if (first := self._begins(reconcile, area) or reconcile.first_order(area))]
        first = min(firsts, default=days.first)
        return DayRange(first, days.first - _ONE_DAY) if first < days.first else None

    def preview(self, days: DayRange, take: Callable[[Area, bytes], object]) -> None:
        """Gives the messages about a range as they would be now, reported or not, area by area; nothing is stored.

        `take` gets them as `Reconcile.preview` says. Raises NotInThatState for days that are not over, and psycopg errors.
        """
        with self._reconcile() as reconcile:
            for area in self._areas(reconcile):
                reconcile.preview(area, days, partial(take, area), anew=True)

    def make(self, days: DayRange, by: str) -> None:
        """Makes the run of each area over what of a range it has not reported yet, and is to report.

        Raises NotAWorkingDay; AlreadyReconciled where nothing is left in any area; ReconciliationFailed naming areas, after the others are
        made; psycopg errors when the connection is lost.
        """
        with self._reconcile() as reconcile:
            wanted = [(area, rest) for area in self._areas(reconcile) if (rest := _rest(days, self._begins(reconcile, area)))]
            self._make(reconcile, wanted, by)

    def catch_up(self, scheme: Scheme, by: str) -> None:
        """Makes the run of each area of a scheme from where it ended up to yesterday. Raises as `make`."""
        with self._reconcile() as reconcile:
            areas = [area for area in self._areas(reconcile) if AREAS[area].scheme is scheme]
            self._make(reconcile, [(area, days) for area in areas if (days := reconcile.next_range(area))], by)

    @contextmanager
    def _reconcile(self) -> Iterator[Reconcile]:
        with self._pool.connection() as connection:
            yield Reconcile(connection, self._ports, self._clock, first_day=self._first_day)

    def _areas(self, reconcile: Reconcile) -> Sequence[Area]:
        return [area for area in reconcile.areas if AREAS[area].scheme in self.schemes]

    def _begins(self, reconcile: Reconcile, area: Area) -> date | None:
        """The day on which an area goes on; None where nothing says so: any may be the first one."""
        last = reconcile.last_day(area)
        return next_day(last) if last else self._first_day

    def _make(self, reconcile: Reconcile, wanted: Sequence[tuple[Area, DayRange]], by: str) -> None:
        made, failed = 0, []
        for area, days in wanted:
            try:
                reconcile.make(area, days, Cause(Trigger.CALL, by))
                made += 1
            except NotAWorkingDay:
                raise
            except (AlreadyReconciled, LockNotAvailable):
                _log.info("somebody else reconciles", area=area)
            except Exception as error:
                if is_connection_lost(error):
                    raise
                failed.append(area)
                _log.error("reconciliation failed", area=area, error=type(error).__name__)
        if failed:
            raise ReconciliationFailed(f"{', '.join(failed)} could not be reconciled; the same call reconciles what is left")
        if not made:
            raise AlreadyReconciled("there is nothing left to report, or somebody is just doing it")


def _rest(days: DayRange, begins: date | None) -> DayRange | None:
    """Returns the part of a range that is from `begins` on; all of it for None."""
    if begins is None:
        return days
    return DayRange(max(days.first, begins), days.last) if begins <= days.last else None
