"""Payouts as they are stored, read many at once; who locks them may change them until the transaction ends."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import psycopg
from msgspec import Struct

from kvitt.hub.payouts.values import PayoutEvent
from kvitt.kernel.queries import load as load_queries
from kvitt.rules.payouts import AccountType, CashFlowPosting, Payout, PayoutStatus

_SQL = load_queries("payouts")


class Keeper(StrEnum):
    """Whose ledger has the plans of a payout."""

    OWN = "own"
    REMOTE = "remote"


class Standing(Struct, frozen=True):
    """A payout with what only kvitt knows of it: its plans, how often it was told again, and the hash and the moment of its last event."""

    payout: Payout
    keeper: Keeper
    plan_id: str
    reversal_plan_id: str | None
    republished: int
    head: bytes
    last_at: datetime


def lock(cursor: psycopg.Cursor[Any], payout_ids: Collection[str]) -> None:
    """Waits until nobody else makes or changes payouts under these ids, whether they exist or not, and keeps everybody out."""
    cursor.execute(_SQL.lock_payouts, [sorted({_lock_key(each) for each in payout_ids})], binary=True)


def _lock_key(payout_id: str) -> int:
    """Sixty-four bits of a hash: two ids with the same one only wait for each other."""
    return int.from_bytes(hashlib.blake2b(payout_id.encode(), digest_size=8, person=b"payout").digest(), "big", signed=True)


def load(cursor: psycopg.Cursor[Any], payout_ids: Collection[str]) -> dict[str, Standing]:
    """Those of the payouts that exist, by id."""
    wanted = list(dict.fromkeys(payout_ids))
    rows = cursor.execute(_SQL.payouts, [wanted], binary=True).fetchall()
    flows: dict[str, list[CashFlowPosting]] = {row[0]: [] for row in rows}
    if rows:
        for row in cursor.execute(_SQL.cash_flows, [list(flows)], binary=True):
            flows[row[0]].append(CashFlowPosting(AccountType(row[1]), row[2], AccountType(row[3]), *row[4:]))
    return {row[0]: _standing(row, tuple(flows[row[0]])) for row in rows}


def _standing(row: Sequence[Any], cash_flow: tuple[CashFlowPosting, ...]) -> Standing:
    payout_id, sequence, created_at, party_id, shop_id, status, details, tool, amount, fee, currency, keeper, *rest = row
    stands = PayoutStatus(status)
    payout = Payout(payout_id, sequence, created_at, party_id, shop_id, stands, details, cash_flow, tool, amount, fee, currency)
    return Standing(payout, Keeper(keeper), *rest)


def events(cursor: psycopg.Cursor[Any], payout_ids: Collection[str]) -> dict[str, list[PayoutEvent]]:
    """What was told of payouts, by id, each payout's in order."""
    told: dict[str, list[PayoutEvent]] = {payout_id: [] for payout_id in payout_ids}
    for payout_id, sequence, at, status, body in cursor.execute(_SQL.events, [list(told)], binary=True):
        told[payout_id].append(PayoutEvent(sequence, at, PayoutStatus(status), bytes(body)))
    return told
