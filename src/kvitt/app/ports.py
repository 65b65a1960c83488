"""Plugs this hub together: one line per rail, one line per contract."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from kvitt.contracts.helved.contract import Helved
from kvitt.contracts.rapid.contract import Rapid
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.ports import Ports, SubjectCheck
from kvitt.disbursement.rail import Rail, Rails
from kvitt.disbursement.simulation_check import CheckMode, CheckPolicy
from kvitt.disbursement.values import Scheme
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.opening_hours import OpeningHours
from kvitt.rails.oppdrag.rail import Oppdrag
from kvitt.settings import OpsSettings, RapidSettings, SimulationSettings


def ports_of(
    rapid: RapidSettings,
    ops: OpsSettings,
    *,
    hears_strays: bool = False,
    further: Sequence[Rail] = (),
    of_scheme: Mapping[Scheme, str] | None = None,
    checks: Mapping[Scheme, CheckPolicy] | None = None,
) -> Ports:
    """The ports as they are set; `hears_strays`: this process has the rapid, which also hears of receipts that nobody can place.

    `further` rails are plugged in beside those that come with kvitt; `of_scheme` names the rail of schemes that leave on another one;
    `checks` says of which schemes orders are simulated before they leave.
    """
    rails = Rails(
        Oppdrag(OpeningHours(ops.rail_opens, ops.rail_closes, ops.rail_every_day)),
        *further,
        of_scheme=of_scheme,
        checks=checks,
    )
    contracts = Contracts(
        Helved(rails),
        Rapid(answer_invalid=rapid.answer_invalid_needs, hears_strays=hears_strays),
    )
    return Ports(
        contracts=contracts,
        rails=rails,
        checks=partial(_checks, contracts, rails),
    )


def _checks(contracts: Contracts, rails: Rails) -> Sequence[SubjectCheck]:
    # Imported here: a process that proves nothing need not hold it in memory.
    from kvitt.disbursement.reconcile.check import reconciliation_check
    from kvitt.ledger import check as ledger_check
    from kvitt.payouts import check as payout_check

    return (
        reconciliation_check(contracts, rails),
        SubjectCheck(ledger_check.STATEMENTS),
        SubjectCheck(payout_check.STATEMENTS, payout_check.check_payouts),
    )


def checks_of(simulation: SimulationSettings) -> Mapping[Scheme, CheckPolicy]:
    """The schemes whose orders are simulated before they leave, and how."""
    return {
        Scheme(scheme): CheckPolicy(
            CheckMode(each.policy),
            None if each.most_recovered_kroner is None else Kroner(each.most_recovered_kroner),
            waits=each.when_silent == "wait",
        )
        for scheme, each in simulation.checks.items()
        if each.policy != "off"
    }


PORTS: Final = ports_of(RapidSettings(), OpsSettings())
"""As they are where nothing is set: for reading, checking, and an operator's acts."""
