"""Reads the decisions of a case for people: their ids, the one that each follows, who called, what was done, and the orders."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from msgspec import Struct

from kvitt.disbursement.contract import Contract, Contracts
from kvitt.disbursement.decisions import DecisionKey, DecisionOutcome, DecisionState
from kvitt.disbursement.inbox import ParsedRecord, StoredRecord
from kvitt.disbursement.values import Refusal, Scheme
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import Part, fetch, fetch_one
from kvitt.kernel.money import Kroner
from kvitt.kernel.queries import load

_SQL = load("decision_listing", "kvitt.disbursement")


class OrderOfDecision(Struct, frozen=True):
    """An order that a decision led to."""

    order_id: str
    number: int
    area: str
    state: str


class CallFacts(Struct, frozen=True):
    """One call: whose it was, what was done at once (`outcome`), and how far a received decision has come (`state`)."""

    message_no: int
    scheme: Scheme
    case_id: str | None
    contract: str
    operation: str
    application: str
    caseworker: str | None
    by_approver: bool
    outcome: DecisionOutcome
    state: DecisionState | None
    refused_status: int | None
    refused_text: str | None
    received_at: datetime
    answered_at: datetime | None


class DecisionShown(Struct, frozen=True):
    """A decision with its ids and those of the one that it names as previous, as its contract reads them of what was posted.

    `under` is the key of the call: of one that has no ids of a decision, the payment's id.
    """

    facts: CallFacts
    under: str
    key: DecisionKey | None
    previous: DecisionKey | None
    body: bytes
    orders: Sequence[OrderOfDecision]


class CaseTerms(Struct, frozen=True):
    """The contract that a case belongs to, and its frame."""

    contract: str | None
    frame_start: date | None
    cap_kroner: Kroner | None


class _ListedRow(Struct, frozen=True):
    facts: CallFacts
    record: StoredRecord
    edition: int


class _OrderWithMessage(Struct, frozen=True):
    message_no: int
    order: OrderOfDecision


def decisions_of(
    connection: Connection, contracts: Contracts, scheme: Scheme, case_id: str, *, received: bool, limit: int
) -> list[DecisionShown]:
    """The newest decisions of a case, newest first; with `received` only those that its chain is made of."""
    return _read(
        connection, contracts, {"scheme": scheme.value, "case_id": case_id, "received": received, "message_no": None, "limit": limit}
    )


def decision_in(connection: Connection, contracts: Contracts, message_no: int) -> DecisionShown | None:
    """The decision in a message; None: the message was no call, or is not there."""
    asked = {"scheme": None, "case_id": None, "received": False, "message_no": message_no, "limit": 1}
    return next(iter(_read(connection, contracts, asked)), None)


def terms_of(connection: Connection, scheme: Scheme, case_id: str) -> CaseTerms | None:
    """Whose the case is; None: there is no such case."""
    return fetch_one(connection, CaseTerms, _SQL.terms_of_case, {"scheme": scheme.value, "case_id": case_id}, cap_kroner=_kroner)


def _kroner(amount: int | None) -> Kroner | None:
    return None if amount is None else Kroner(amount)


def _read(connection: Connection, contracts: Contracts, asked: Mapping[str, Any]) -> list[DecisionShown]:
    facts = Part(CallFacts, scheme=Scheme, outcome=DecisionOutcome, state=_state)
    rows = fetch(connection, _ListedRow, _SQL.list_decisions, asked, facts=facts, record=StoredRecord)
    orders: dict[int, list[OrderOfDecision]] = defaultdict(list)
    named = {"messages": [each.facts.message_no for each in rows]}
    for row in fetch(connection, _OrderWithMessage, _SQL.orders_of_decisions, named, order=OrderOfDecision):
        orders[row.message_no].append(row.order)
    return [_shown(each, contracts.of[each.record.source], orders[each.facts.message_no]) for each in rows]


def _state(name: str | None) -> DecisionState | None:
    return None if name is None else DecisionState(name)


def _shown(row: _ListedRow, contract: Contract, orders: Sequence[OrderOfDecision]) -> DecisionShown:
    parsed = contract.read(row.record.incoming(row.edition))
    key = previous = None
    if isinstance(parsed, ParsedRecord):
        key = parsed.identity.key if parsed.identity else None
        if contract.keeps_chain and not isinstance(parsed.content, Refusal):
            previous = contract.previous_decision(parsed.content)
    under = (row.record.key or b"").decode(errors="replace")
    return DecisionShown(row.facts, under, key, previous, row.record.body, orders)
