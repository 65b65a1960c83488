"""Consistency reconciliation of lines that a caller names, in one batch or in several (iverksetting §5.6).

A batch is taken whole or not at all; one that comes again changes nothing. The messages of a transaction leave when its last batch is here,
so that the rail never has a beginning without an end.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog
from msgspec import Struct
from msgspec.structs import replace
from psycopg_pool import ConnectionPool

from kvitt.disbursement.catalogue import AREAS, SCHEMES
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.reconcile.active_lines import LINE
from kvitt.disbursement.reconcile.consistency import LinesRun, read_lines_run, write_part
from kvitt.disbursement.reconcile.reconcile import ReconciledArea, areas_of
from kvitt.disbursement.reconcile.runs import Cause, RunState, Trigger, run_id_of_call
from kvitt.disbursement.reconciliation import ActiveCase, ActiveLine, ReconciliationKind
from kvitt.disbursement.values import Area
from kvitt.errors import BatchRefused
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("consistency", "kvitt.disbursement")
_RUNS: Final = load("reconcile", "kvitt.disbursement")
_OSLO: Final = ZoneInfo("Europe/Oslo")
_log = structlog.get_logger(__name__)
_case_no = attrgetter("case_no")


class Naming(Protocol):
    """The lines that a batch is about, as its caller names them."""

    def check(self) -> None:
        """Raises BatchRefused for what is wrong by itself."""

    def cases(self, connection: Connection, area: ReconciledArea, day: date) -> Sequence[ActiveCase]:
        """The cases to report, those without lines too. Raises BatchRefused."""


class ConsistencyBatch(Struct, frozen=True):
    """One call. `at` is Oslo's local time, `digest` of all that was said.

    `starts` and `ends`: whether it is the first and the last batch of its transaction.
    """

    scheme: str
    at: datetime
    digest: bytes
    naming: Naming
    starts: bool = True
    ends: bool = True
    transaction: UUID | None = None


class ConsistencyCalls:
    """Takes batches from callers, each in a transaction. Safe for use by several threads."""

    def __init__(self, pool: ConnectionPool[Any], ports: Ports, clock: Clock) -> None:
        self._pool, self._clock = pool, clock
        self._areas = {each.area: each for each in areas_of(ports.contracts, ports.rails)}

    def take(self, batch: ConsistencyBatch, by: str) -> None:
        """Makes the messages of a batch; those of a batch that was taken before are there already. Raises BatchRefused, psycopg errors."""
        if batch.transaction is None and not (batch.starts and batch.ends):
            raise BatchRefused("Er sendStartmelding eller sendAvsluttmelding satt til false må transaksjonsId være definert.")
        area = self._area(batch.scheme)
        batch.naming.check()
        with self._pool.connection() as connection, connection.transaction():
            row = {"rail": area.rail.name, "area": area.area, "kind": ReconciliationKind.CONSISTENCY.value}
            connection.execute(_RUNS.know_area, row)
            connection.execute(_RUNS.lock_area, row)
            run = self._run(connection, area, batch, by)
            if run is not None:
                _take(connection, area, run, batch, by, self._clock())

    def _area(self, name: str) -> ReconciledArea:
        """The area of that name, or the only one of the scheme of that name. Raises BatchRefused."""
        found = [each for area, each in self._areas.items() if name in (area, AREAS[area].scheme.value)]
        exact = [each for each in found if each.area == name]
        if len(exact or found) != 1:
            raise BatchRefused(f"fagsystem {name} er ikke ett av fagområdene {', '.join(self._areas)}")
        return (exact or found)[0]

    def _run(self, connection: Connection, area: ReconciledArea, batch: ConsistencyBatch, by: str) -> LinesRun | None:
        """The run that a batch belongs to, which its first batch begins; None where it has the batch already. Raises BatchRefused."""
        identity = str(batch.transaction) if batch.transaction else run_id_of_call(batch.digest)
        run_no = fetch_value(connection, _SQL.lines_run_of_id, {"run_id": identity})
        if run_no is not None and read_lines_run(connection, run_no).state is RunState.DROPPED:
            raise BatchRefused(
                f"Avstemmingen er avbrutt, og må begynnes på nytt med en annen transaksjonsId, for transaksjonsId= {identity}"
            )
        if run_no is not None and fetch_value(connection, _SQL.has_part, {"run_no": run_no, "digest": batch.digest}):
            return None
        if run_no is not None and batch.starts:
            raise BatchRefused(f"Skal sende startmelding men det er ikke første mottatte batch med transaskjonsId= {identity}")
        if run_no is None and not batch.starts:
            raise BatchRefused(f"Det er ikke mottatt en batch med startmelding med transaksjonsId= {identity}")
        if run_no is None:
            run_no = self._begin(connection, area, identity, batch, by)
        run = read_lines_run(connection, run_no)
        if run.state is not RunState.MAKING or run.area != area.area:
            raise BatchRefused(f"Avsluttmelding er mottatt, eller fagsystem er et annet, for transaksjonsId= {identity}")
        return run

    def _begin(self, connection: Connection, area: ReconciledArea, identity: str, batch: ConsistencyBatch, by: str) -> int:
        row = {
            "run_id": identity,
            "rail": area.rail.name,
            "area": area.area,
            "form": area.form.name,
            "day": batch.at.date(),
            "at": batch.at.replace(tzinfo=_OSLO),
            "made_at": self._clock(),
            **Cause(Trigger.CALL, by).row,
        }
        run_no: int = fetch_value(connection, _SQL.add_lines_run, row)
        return run_no


def _take(connection: Connection, area: ReconciledArea, run: LinesRun, batch: ConsistencyBatch, by: str, now: datetime) -> None:  # noqa: PLR0917
    cases = batch.naming.cases(connection, area, run.day)
    write_part(connection, area, run, cases, starts=batch.starts, ends=batch.ends, last_case=run.last_case)
    part = {
        "run_no": run.run_no,
        "digest": batch.digest,
        "cases": len(cases),
        "kroner": sum(line.amount for case in cases for line in case.lines),
        "made_by": by,
        "made_at": now,
    }
    connection.execute(_SQL.add_part, part)


class NamedDecision(Struct, frozen=True):
    """Lines of a decision by their numbers, as they stand behind the # of their ids; `recipient` None: the person."""

    decision_id: str
    numbers: frozenset[int]
    person: str | None
    recipient: str | None = None


class _NumberedLine(NamedTuple):
    case_no: int
    case_id: str
    number: int | None
    line: ActiveLine


class ByDecisions(Struct, frozen=True):
    """Lines named by the decisions that made them. Of a decision that the rail has not accepted there are none."""

    decisions: Sequence[NamedDecision]

    def check(self) -> None:
        """No decision is named twice."""
        ids = [each.decision_id for each in self.decisions]
        if repeated := [each for each in dict.fromkeys(ids) if ids.count(each) > 1]:
            raise BatchRefused(f"Behandling finnes flere ganger i requesten: [{', '.join(repeated)}]")

    def cases(self, connection: Connection, area: ReconciledArea, day: date) -> Sequence[ActiveCase]:
        """Each case with its named lines that end on the day or behind it."""
        named = {each.decision_id: each for each in self.decisions}
        row = {"decisions": [*named], "rail": area.rail.name, "area": area.area}
        rows = fetch(connection, _NumberedLine, _SQL.lines_of_decisions, row, line=LINE)
        return [_named_case(area.area, named, [*lines], day) for _, lines in groupby(rows, _case_no)]


def _named_case(area: Area, named: Mapping[str, NamedDecision], rows: Sequence[_NumberedLine], day: date) -> ActiveCase:
    decisions = [*dict.fromkeys(each.line.decision_id for each in rows)]
    persons = {each: _person(named[each]) for each in decisions}
    wanted = frozenset[int]().union(*(named[each].numbers for each in decisions))
    newest = _newest(rows)
    base = newest[max(newest)]
    lines = [
        replace(line, recipient=named[line.decision_id].recipient or persons[line.decision_id], approver=base.caseworker)
        for number, line in sorted(newest.items())
        if number in wanted
    ]
    frequency = SCHEMES[AREAS[area].scheme].frequency
    return ActiveCase(rows[0].case_id, persons[decisions[-1]], frequency, base.caseworker, None, not_over(lines, day))


def _person(decision: NamedDecision) -> str:
    if decision.person is None:
        raise BatchRefused(f"Finnes ikke et aktivt fødselsnummer for behandlingId {decision.decision_id}")
    return decision.person


def _newest(rows: Iterable[_NumberedLine]) -> Mapping[int, ActiveLine]:
    """Each line by its number; of copies the one that was decided last, and the first of those of one day.

    A cessation repeats its line without what that refers to.
    """
    found: dict[int, ActiveLine] = {}
    for _, _, number, line in rows:
        if number is None:
            raise BatchRefused(f"Linjene i behandlingId {line.decision_id} har ingen periodeId")
        before = found.get(number)
        if before is None:
            found[number] = line
        elif (line.decided_on or date.min) > (before.decided_on or date.min):
            found[number] = replace(line, refers_to=before.refers_to, own_reference=before.own_reference)
    return found


def not_over(lines: Sequence[ActiveLine], day: date) -> tuple[ActiveLine, ...]:
    """The lines that end on the day or behind it; others are left out, and the log says how many."""
    left = tuple([line for line in lines if line.end >= day])
    if len(left) < len(lines):
        _log.error("lines that are over were named", lines=len(lines) - len(left))
    return left


class AsSent(Struct, frozen=True):
    """Lines that a caller gives itself, case by case."""

    given: Sequence[ActiveCase]

    def check(self) -> None:
        """Nothing is wrong with them by themselves."""

    def cases(self, _connection: Connection, _area: ReconciledArea, day: date) -> Sequence[ActiveCase]:
        """Each case with its lines that end on the day or behind it. Raises BatchRefused for a case that is there twice.

        The rail knows a case without the blanks at its ends.
        """
        seen = set[str]()
        for case in self.given:
            name = case.case_id.strip()
            if name in seen:
                raise BatchRefused(f"Har allerede lagt til {name} i listen over avstemminger")
            seen.add(name)
        return [replace(case, lines=not_over(case.lines, day)) for case in self.given]
