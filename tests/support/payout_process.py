"""The acts of a process that makes a payout, confirms it and takes it back, and goes on where one before it was killed."""

from contextlib import suppress

from kvitt.errors import PayoutAlreadyExists, PayoutInOtherState
from kvitt.payouts.service import PayoutService
from support.ledger_stage import clock
from support.payout_remote_stage import OtherLedger
from support.payout_stage import FixedTerms, wanted


def main(conninfo: str, settlement: str, payout: str, system: str, other: str | None = None) -> None:
    """The three acts, each of which may have been done before; `other` is the conninfo of another ledger."""
    terms = FixedTerms(int(settlement), int(payout), int(system))
    payouts = PayoutService(conninfo, clock, terms, OtherLedger(other) if other else None)
    with suppress(PayoutAlreadyExists):
        payouts.create(wanted())
    with suppress(PayoutInOtherState):
        payouts.confirm("p-1")
    payouts.cancel("p-1", "no")
    payouts.close()
