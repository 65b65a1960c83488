"""The proof of reconciliation: each order of a reconciled day is in one run, each message is what its run's rows give (design §15)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import zip_longest
from typing import Final, NamedTuple

from kvitt.disbursement.check.report import Findings, Kind
from kvitt.disbursement.check.stored import Reader
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.handle import parse
from kvitt.disbursement.inbox import ReconciliationTrigger, StoredRecord
from kvitt.disbursement.ports import SubjectCheck
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.reconcile.announce import announcements
from kvitt.disbursement.reconcile.consistency import lines_made_again, read_lines_run
from kvitt.disbursement.reconcile.reconcile import ReconciledArea, areas_of, details_of
from kvitt.disbursement.reconcile.runs import Run, read
from kvitt.disbursement.reconciliation import ReconciliationKind
from kvitt.disbursement.values import Area
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_values, named
from kvitt.kernel.queries import load

_SQL, _TRIGGERS = load("reconcile_check", "kvitt.disbursement"), load("triggers", "kvitt.disbursement")
_SPAN: Final = 100
ANYTHING: Final = _SQL.anything_reconciled
STATEMENTS: Final = (
    (Kind.RECONCILIATION, _SQL.orders_of_two_runs),
    (Kind.RECONCILIATION, _SQL.orders_of_no_run),
    (Kind.RECONCILIATION, _SQL.earlier_of_no_run),
    (Kind.RECONCILIATION, _SQL.numbered_of_no_run),
    (Kind.RECONCILIATION, _SQL.late_of_no_run),
    (Kind.RECONCILIATION, _SQL.runs_not_as_orders),
    (Kind.RECONCILIATION, _SQL.runs_not_as_messages),
    (Kind.RECONCILIATION, _SQL.ranges_over_each_other),
    (Kind.RECONCILIATION, _TRIGGERS.runs_not_as_triggered),
    (Kind.ORPHAN, _SQL.reported_of_no_order),
)
"""Kinds of differences that only all rows together can show, with their statements."""


class _StoredTrigger(NamedTuple):
    trigger_no: int
    record: StoredRecord
    edition: int
    up_to: date


class _StoredBody(NamedTuple):
    place: int
    body: bytes


def reconciliation_check(contracts: Contracts, rails: Rails) -> SubjectCheck:
    """Returns the proof, with the forms and rails by which messages are made again."""
    areas = {each.area: each for each in areas_of(contracts, rails)}
    return SubjectCheck(ANYTHING, STATEMENTS, partial(_walk, areas, contracts))


def _walk(areas: Mapping[Area, ReconciledArea], contracts: Contracts, reader: Reader, found: Findings) -> None:
    _walk_runs(areas, reader, found)
    _walk_triggers(contracts, reader, found)
    _walk_published(contracts, reader, found)


def _walk_runs(areas: Mapping[Area, ReconciledArea], reader: Reader, found: Findings) -> None:
    connection, after = reader.cursor.connection, 0
    while numbers := fetch_values(connection, _SQL.runs_after, {"after": after, "limit": _SPAN}):
        found.looked_at("reconciliations", len(numbers))
        for run_no in numbers:
            for text in _wrong(connection, areas, read(connection, run_no)):
                found.differs(Kind.RECONCILIATION, None, str(run_no), text)
        after = numbers[-1]


def _walk_triggers(contracts: Contracts, reader: Reader, found: Findings) -> None:
    """Reads again every record that asked for reconciliation."""
    after = 0
    while stored := fetch(reader.cursor, _StoredTrigger, _TRIGGERS.triggers_after, {"after": after, "limit": _SPAN}, record=StoredRecord):
        found.looked_at("reconciliation_triggers", len(stored))
        for each in stored:
            again = parse(contracts, each.record.incoming(each.edition))
            if not isinstance(again, ReconciliationTrigger) or again.up_to != each.up_to:
                found.differs(Kind.RECONCILIATION, None, f"record {each.trigger_no}", f"does not ask for reconciliation up to {each.up_to}")
        after = stored[-1].trigger_no


def _walk_published(contracts: Contracts, reader: Reader, found: Findings) -> None:
    """Makes again what was published of every run all of whose messages were put."""
    for run_no, good_at, topic, *stored in reader.walk(_TRIGGERS.published_of_runs):
        found.looked_at("records_published", topic is not None)
        try:
            records = announcements(reader.cursor, contracts, run_no, good_at)
            same = [(each.topic, each.key, each.value, each.headers, good_at) for each in records] == ([(topic, *stored)] if topic else [])
        except Exception:  # noqa: BLE001 - what can not even be made again is a difference, and the check goes on
            same = False
        if not same:
            found.differs(Kind.PUBLISHED, None, f"run {run_no}", "is published otherwise than its rows give")


def _wrong(connection: Connection, areas: Mapping[Area, ReconciledArea], run: Run) -> Sequence[str]:
    area = areas.get(run.area)
    if area is None or area.form.name != run.form:
        return [f"is of the area {run.area} in the form {run.form}, in which nothing is reported here"]
    if run.what is ReconciliationKind.INTERFACE and not run.orders:
        return []
    try:
        made = _made_again(connection, area, run)
        return (
            [f"message {place} is not what its orders give" for place in _differing(made, _bodies(connection, run.run_no))] if made else []
        )
    except Exception as error:  # noqa: BLE001 - what can not even be made again is a difference, and the check goes on
        return [f"can not be made again: {type(error).__name__}"]


def _made_again(connection: Connection, area: ReconciledArea, run: Run) -> Iterator[bytes] | None:
    """The messages of a run; None where its rows say no more what they did."""
    if run.what is ReconciliationKind.CONSISTENCY:
        return lines_made_again(connection, area, read_lines_run(connection, run.run_no))
    return area.rail.encode_interface(run.reported(area.form), details_of(connection, run.run_no))


def _differing(made: Iterator[bytes], stored: Iterator[_StoredBody]) -> Iterator[int]:
    for place, (body, kept) in enumerate(zip_longest(made, stored), 1):
        if kept is None or kept.place != place or kept.body != body:
            yield place


def _bodies(connection: Connection, run_no: int) -> Iterator[_StoredBody]:
    with connection.cursor(name="reported", row_factory=named(_StoredBody, body=bytes)) as cursor:
        cursor.execute(_SQL.bodies_of_run, {"run_no": run_no}, binary=True)
        yield from cursor
