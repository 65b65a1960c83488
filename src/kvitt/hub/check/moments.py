"""Moments grow along each account, plan, payout, chain and message: what of it only whole tables can tell (design §1, §9)."""

from kvitt.hub.check.report import Kind
from kvitt.kernel.queries import load

_SQL = load("moments_check", "kvitt.store")

OVER_ALL = (
    (Kind.LEDGER, _SQL.accounts_going_back),
    (Kind.LEDGER, _SQL.accounts_behind),
    (Kind.LEDGER, _SQL.entries_beside_steps),
    (Kind.LEDGER, _SQL.plans_going_back),
    (Kind.LEDGER, _SQL.plans_beside_steps),
    (Kind.PAYOUT, _SQL.payouts_going_back),
    (Kind.PAYOUT, _SQL.payouts_beside_events),
    (Kind.PAYOUT, _SQL.payouts_before_steps),
    (Kind.CHAIN, _SQL.chains_going_back),
    (Kind.CHAIN, _SQL.chains_behind),
    (Kind.TOLD, _SQL.told_going_back),
)
"""The statements, with the kind of difference that each one finds."""
