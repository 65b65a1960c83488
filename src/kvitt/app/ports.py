"""What this hub is plugged together from: one line per rail, one line per contract."""

from typing import Final

from kvitt.config import OpsSettings, RapidSettings
from kvitt.hub.check import payouts as payout_check
from kvitt.hub.contract import Contracts
from kvitt.hub.helved import Helved
from kvitt.hub.ledger import check as ledger_check
from kvitt.hub.ports import Ports, SubjectCheck
from kvitt.hub.rapid.contract import Rapid
from kvitt.rail.oppdrag import Oppdrag
from kvitt.rules.opening_hours import OpeningHours
from kvitt.rules.rail_port import Rails


def ports_of(rapid: RapidSettings, ops: OpsSettings, *, hears_strays: bool = False) -> Ports:
    """The ports as they are set; `hears_strays`: this process has the rapid, which also hears of receipts that nobody can place."""
    rails = Rails(
        Oppdrag(OpeningHours(ops.rail_opens, ops.rail_closes, ops.rail_every_day)),
    )
    return Ports(
        contracts=Contracts(
            Helved(rails),
            Rapid(answer_invalid=rapid.answer_invalid_needs, hears_strays=hears_strays),
        ),
        rails=rails,
        checks=(SubjectCheck(ledger_check.STATEMENTS), SubjectCheck(payout_check.STATEMENTS, payout_check.check_payouts)),
    )


PORTS: Final = ports_of(RapidSettings(), OpsSettings())
"""As they are where nothing is set: for reading, checking, and an operator's acts."""
