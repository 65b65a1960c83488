"""Payouts over a ledger that is not theirs: a second kvitt ledger in a database of its own, behind the port, with a bad line between."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from threading import RLock
from typing import Any

import psycopg

from kvitt.kernel.database import connect
from kvitt.ledger.calls import Call, Done
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import LedgerReader
from kvitt.ledger.rules import (
    Batch,
    InvalidPostings,
    InvalidRequest,
    Operation,
    PlanState,
)
from kvitt.payouts.ports import LedgerRefused, LedgerResultUnknown, LedgerUnavailable
from kvitt.payouts.service import PayoutService
from support.ledger_stage import clock, commit, hold, made, moved
from support.payout_stage import FixedTerms


class Fault(StrEnum):
    """What the line does with one call."""

    FINE = "fine"
    AWAY = "away"  # refused to connect: nothing was done
    LOST = "lost"  # the request is lost, and nobody can tell
    SILENT = "silent"  # it is done, and the answer is lost
    LATE = "late"  # nobody can tell, and it is done later, when the test says so


class OtherLedger:
    """A ledger behind the port `RemoteLedger`; `faults` are what happens to the next calls, the first one first.

    `after_next` is done once after the next call, before its caller hears of it.
    """

    def __init__(self, conninfo: str) -> None:
        self.connection: psycopg.Connection[Any] = connect(conninfo, application="kvitt other ledger")
        self.post = LedgerWriter(self.connection, clock).execute
        self.faults: list[Fault] = []
        self.after_next: Callable[[], object] | None = None
        self.calls: list[str] = []
        self.late: list[Call] = []
        self._lock = RLock()

    def currency(self, account_id: int, *, deadline: datetime | None = None) -> str | None:  # noqa: ARG002 - as the port has it
        """As the port says; the line is always fine."""
        with self._lock:
            state = LedgerReader(self.connection).states([account_id]).get(account_id)
        return state and state.account.currency

    def hold(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> Mapping[int, int]:  # noqa: ARG002 - as the port has it
        """As the port says."""
        done = self._do(Call(plan_id, Operation.HOLD, (batch,)))
        return {account: state.totals.available_min for account, state in done.affected.items()}

    def commit(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> None:  # noqa: ARG002 - as the port has it
        """As the port says."""
        self._do(Call(plan_id, Operation.COMMIT, (batch,)))

    def rollback(self, plan_id: str, batch: Batch, *, deadline: datetime | None = None) -> None:  # noqa: ARG002 - as the port has it
        """As the port says."""
        self._do(Call(plan_id, Operation.ROLLBACK, (batch,)))

    def _do(self, call: Call) -> Done:
        with self._lock:
            fault = self.faults.pop(0) if self.faults else Fault.FINE
            self.calls.append(f"{call.operation.value.lower()} {call.plan_id}")
            if fault is Fault.AWAY:
                raise LedgerUnavailable("connection refused")
            if fault is Fault.LATE:
                self.late.append(call)
            if fault in (Fault.LOST, Fault.LATE):
                raise LedgerResultUnknown("no answer in time")
            done = self._post(call)
            meanwhile, self.after_next = self.after_next, None
        if meanwhile:
            meanwhile()
        if fault is Fault.SILENT:
            raise LedgerResultUnknown("the answer was lost")
        return done

    def deliver_late(self) -> list[str]:
        """What was under way arrives; returns what became of each: done, or the refusal."""
        with self._lock:
            late, self.late = self.late, []
            return [self._told(call) for call in late]

    def _told(self, call: Call) -> str:
        try:
            self._post(call)
        except LedgerRefused as refused:
            return str(refused)
        return "done"

    def _post(self, call: Call) -> Done:
        answer = self.post([call])[0]
        if isinstance(answer, InvalidRequest):
            raise LedgerRefused(answer.error)
        if isinstance(answer, InvalidPostings):
            raise LedgerRefused("; ".join(text for _, text in answer.wrong))
        assert isinstance(answer, Done), answer
        return answer

    def plan(self, plan_id: str) -> PlanState | None:
        """The state of a plan; None when there is none."""
        row = self.connection.execute("SELECT state FROM ledger.plans WHERE plan_id = %s", (plan_id,)).fetchone()
        return None if row is None else PlanState(row[0])

    def held(self) -> list[str]:
        """The plans that are held."""
        return [row[0] for row in self.connection.execute("SELECT plan_id FROM ledger.plans WHERE state = 'held' ORDER BY plan_id")]


class RemoteStage:
    """Payouts on one database, their ledger on another.

    Waits between tries are noted in `waits` and not waited; `while_waiting` is done instead.
    """

    def __init__(self, conninfo: str, other: str, money: int) -> None:
        self.conninfo, self.ledger, self.waits = conninfo, OtherLedger(other), list[float]()
        self.connection: psycopg.Connection[Any] = connect(conninfo, application="kvitt remote stage")
        self.while_waiting: Callable[[], object] | None = None
        self.terms = FixedTerms(*self._earned(money))
        self.payouts = PayoutService(conninfo, clock, self.terms, self.ledger, busy_seconds=600.0, sleep=self._sleep)

    def begin(self, money: int) -> None:
        """As it was at first: a line that is fine, and accounts of which no payout knows, with so much earned."""
        self.ledger.faults, self.ledger.after_next, self.ledger.calls, self.ledger.late = [], None, [], []
        self.terms.use(*self._earned(money))

    def _earned(self, money: int) -> tuple[int, int, int]:
        self.settlement, self.payout, self.system, bank = made(self.ledger.post, 4)
        earned = moved(bank, self.settlement, money)
        plan_id = f"earned-{self.settlement}"
        assert all(isinstance(each, Done) for each in self.ledger.post([hold(plan_id, earned), commit(plan_id, earned)]))
        return self.settlement, self.payout, self.system

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.while_waiting:
            self.while_waiting()

    def close(self) -> None:
        """Ends all connections."""
        self.payouts.close()
        self.connection.close()
        self.ledger.connection.close()

    def owner_dies(self) -> None:
        """Whoever is at work on saga steps is not heard of any more, and every next try is due."""
        query = "UPDATE payouts.saga_steps SET busy_until = now(), next_try_at = now() WHERE state IN ('forward', 'compensating')"
        self.connection.execute(query)

    def sweep_once(self) -> int:
        """Whoever is at work is thought dead, and one saga step is carried on."""
        self.owner_dies()
        assert self.payouts.remote
        return self.payouts.remote.sweep()

    def sweep(self) -> int:
        """Sweeps what is open, once each; returns how many that were."""
        self.owner_dies()
        assert self.payouts.remote
        swept = 0
        while self.payouts.remote.sweep():
            swept += 1
        return swept

    def saga_steps(self) -> list[tuple[str, str]]:
        """What was begun, oldest first, and where it is."""
        return [tuple(row) for row in self.connection.execute("SELECT action, state FROM payouts.saga_steps ORDER BY made_at, number")]

    def totals(self) -> tuple[tuple[int, int, int], ...]:
        """posted, available min and max of the settlement, payout and system accounts."""
        states = LedgerReader(self.ledger.connection).states({self.settlement, self.payout, self.system})
        return tuple(tuple(states[each].totals) for each in (self.settlement, self.payout, self.system))  # type: ignore[misc]


@contextmanager
def remote_stage(conninfo: str, other: str, money: int = 5000) -> Iterator[RemoteStage]:
    """A stage for as long as the block runs."""
    stage = RemoteStage(conninfo, other, money)
    try:
        yield stage
    finally:
        stage.close()
