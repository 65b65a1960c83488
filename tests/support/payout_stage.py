"""Parts of payout tests: a ledger with money in it, a small PartyManagement with fixed terms, and what was published, read back."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any

import psycopg

from kvitt.errors import PayoutNotFound
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import decode_event
from kvitt.formats.topics import PAYOUT_EVENTS
from kvitt.kernel.database import connect
from kvitt.ledger.calls import Done
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import LedgerReader
from kvitt.ledger.rules import PlanState
from kvitt.payouts.model import Cash, NewPayout
from kvitt.payouts.ports import Party, Shop
from kvitt.payouts.repository import reserved_plans
from kvitt.payouts.rules import AccountType, CashFlowPosting
from kvitt.payouts.service import PayoutService
from support.ledger_stage import clock, commit, hold, made, moved

SETTLEMENT, PAYOUT, SYSTEM = AccountType.MERCHANT_SETTLEMENT, AccountType.MERCHANT_PAYOUT, AccountType.SYSTEM_SETTLEMENT
FEE, FIXED_FEE = 5, 20
_funds = count()


class FixedTerms:
    """PartyManagement in memory: party-1 with shops whose accounts are given; each payout costs a fee of 5 and a fixed one of 20."""

    def __init__(self, settlement: int, payout: int, system: int) -> None:
        self.cash_flows = 0
        self.use(settlement, payout, system)

    def use(self, settlement: int, payout: int, system: int) -> None:
        """Has money go over these accounts from now on."""
        self.settlement, self.payout, self.system = settlement, payout, system
        shops = {
            "shop-1": Shop("shop-1", "contract-1", "tool-1", settlement),
            "no-tool": Shop("no-tool", "contract-1", None, settlement),
            "no-account": Shop("no-account", "contract-1", "tool-1", None),
            "no-contract": Shop("no-contract", "contract-9", "tool-1", settlement),
        }
        self.known = Party("party-1", shops, {"contract-1": frozenset({"tool-1", "tool-2"})})

    def party(self, party_id: str, *, deadline: datetime | None = None) -> Party | None:  # noqa: ARG002 - as the port has it
        """party-1, or None."""
        return self.known if party_id == "party-1" else None

    def cash_flow(
        self,
        party_id: str,  # noqa: ARG002 - as the port has it
        shop_id: str,  # noqa: ARG002
        cash: Cash,
        created_at: datetime,  # noqa: ARG002
        payout_tool_id: str,  # noqa: ARG002
        *,
        deadline: datetime | None = None,  # noqa: ARG002
    ) -> tuple[CashFlowPosting, ...]:
        """The three movements of worked example 3: the amount, the fixed fee out of it, and the fee on top."""
        self.cash_flows += 1
        if cash.amount == 404:
            raise PayoutNotFound("ShopNotFound, partyId='party-1', payoutParams='…'")
        return (
            CashFlowPosting(SETTLEMENT, self.settlement, PAYOUT, self.payout, cash.amount, cash.currency),
            CashFlowPosting(PAYOUT, self.payout, SYSTEM, self.system, FIXED_FEE, cash.currency, "fixed"),
            CashFlowPosting(SETTLEMENT, self.settlement, SYSTEM, self.system, FEE, cash.currency, None),
        )


class PayoutStage:
    """Payouts on one database, with a shop that has `money`; `settlement`, `payout`, `system` are the accounts of its flow."""

    def __init__(self, conninfo: str, money: int) -> None:
        self.conninfo = conninfo
        self.connection: psycopg.Connection[Any] = connect(conninfo, application="kvitt payout stage")
        self.post = LedgerWriter(self.connection, clock, reserved_plans).execute
        self.settlement, self.payout, self.system, self.bank = made(self.post, 4)
        if money:
            self.fund(money)
        self.terms = FixedTerms(self.settlement, self.payout, self.system)
        self.payouts = PayoutService(conninfo, clock, self.terms)

    def close(self) -> None:
        """Ends all connections."""
        self.payouts.close()
        self.connection.close()

    def fund(self, money: int) -> None:
        """The shop earns this much."""
        posting, plan_id = moved(self.bank, self.settlement, money), f"earned-{self.settlement}-{next(_funds)}"
        assert all(isinstance(each, Done) for each in self.post([hold(plan_id, posting), commit(plan_id, posting)]))

    def totals(self) -> tuple[tuple[int, int, int], ...]:
        """posted, available min and max of the settlement, payout and system accounts."""
        states = LedgerReader(self.connection).states({self.settlement, self.payout, self.system})
        return tuple(tuple(states[each].totals) for each in (self.settlement, self.payout, self.system))  # type: ignore[misc]

    def plan(self, plan_id: str) -> PlanState | None:
        """The state of a plan; None when there is none."""
        row = self.connection.execute("SELECT state FROM ledger.plans WHERE plan_id = %s", (plan_id,)).fetchone()
        return None if row is None else PlanState(row[0])

    def published(self, payout_id: str) -> list[Any]:
        """The events of a payout as they will be published, in order."""
        return published_events(self.connection, payout_id)

    def bodies(self, payout_id: str) -> list[bytes]:
        """Their bytes."""
        return bodies(self.connection, payout_id)

    def count(self, table: str) -> int:
        """How many rows a table has."""
        row = self.connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def payout_stage(conninfo: str, money: int = 5000) -> Iterator[PayoutStage]:
    """A stage for as long as the block runs."""
    stage = PayoutStage(conninfo, money)
    try:
        yield stage
    finally:
        stage.close()


def wanted(payout_id: str | None = "p-1", amount: int = 1000, *, shop: str = "shop-1", tool: str | None = None) -> NewPayout:
    """A request of party-1 in RUB."""
    return NewPayout("party-1", shop, Cash(amount, "RUB"), payout_id, tool)


def bodies(connection: psycopg.Connection[Any], payout_id: str) -> list[bytes]:
    """The bytes of the events of a payout as they will be published, in order."""
    query = "SELECT value FROM outbox WHERE topic = %s AND key = %s ORDER BY outbox_no"
    return [bytes(row[0]) for row in connection.execute(query, (PAYOUT_EVENTS, payout_id.encode()))]


def published_events(connection: psycopg.Connection[Any], payout_id: str) -> list[Any]:
    """Those events."""
    return [decode_event(body, module("payouts").Event, "payouts") for body in bodies(connection, payout_id)]


def statuses(events: Sequence[Any]) -> list[tuple[int, str]]:
    """The sequence numbers of events with the status of their snapshots."""
    return [(each.sequence_id, _field(each.payout.status)) for each in events]


def _field(union: Any) -> str:
    (name,) = [spec[1] for spec in union.thrift_spec.values() if getattr(union, spec[1]) is not None]
    return str(name)
