"""Publishes that runs are good, as the contract of their orders has it (design §15)."""

from datetime import date, datetime
from typing import Any, Final, NamedTuple

import psycopg

from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.events import OutboxRecord, ReconciliationGood, TriggeringRecord
from kvitt.disbursement.unit_of_work import UnitOfWork, publish
from kvitt.disbursement.values import Area
from kvitt.kernel.fetch import Source, fetch_one
from kvitt.kernel.queries import load

_SQL: Final = load("triggers", "kvitt.disbursement")


class _ReportedRun(NamedTuple):
    run_id: str
    area: Area
    form: str
    first_key: str
    last_key: str
    last_day: date
    orders: int
    messages: int
    key: bytes | None
    body: bytes | None
    came_at: datetime | None

    @property
    def event(self) -> ReconciliationGood:
        asked = TriggeringRecord(self.key, self.body, self.came_at) if self.body is not None and self.came_at else None
        head = self.run_id, self.area, self.form, self.first_key, self.last_key
        return ReconciliationGood(*head, self.last_day, self.orders, self.messages, asked)


def announce_good(cursor: psycopg.Cursor[Any], contracts: Contracts, run_no: int, at: datetime) -> None:
    """Publishes that a run is good; to be called in the transaction in which it becomes so, with its `good_at`.

    Nothing is published of a run about lines, or about no order.
    """
    work = UnitOfWork()
    publish(work, announcements(cursor, contracts, run_no, at), None, at)
    work.write(cursor)


def announcements(source: Source, contracts: Contracts, run_no: int, at: datetime) -> tuple[OutboxRecord, ...]:
    """Returns what is published of a run that became good at a moment, made from its rows."""
    run = fetch_one(source, _ReportedRun, _SQL.reported_run, {"run_no": run_no})
    if run is None:
        return ()
    contract = contracts.of[contracts.input_of(AREAS[run.area].scheme)]
    return tuple(contract.announce(run.event, at))
