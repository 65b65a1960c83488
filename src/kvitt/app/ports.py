"""Plugs this hub together: one line per rail, one line per contract."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from kvitt.broker_settings import RapidSettings
from kvitt.contracts.helved.contract import Helved
from kvitt.contracts.helved.dry_run_calls import HelvedCalls
from kvitt.contracts.iverksetting.contract import Iverksetting
from kvitt.contracts.iverksetting.simulated import SimulatedDecisions
from kvitt.contracts.rapid.contract import Rapid
from kvitt.contracts.utbetalinger.contract import Utbetalinger
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.ports import Ports, SubjectCheck
from kvitt.disbursement.rail import Rail, Rails
from kvitt.disbursement.simulation_check import CheckMode, CheckPolicy
from kvitt.disbursement.source_limits import SourceLimit
from kvitt.disbursement.values import Scheme
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.opening_hours import OpeningHours
from kvitt.rails.oppdrag.rail import Oppdrag
from kvitt.settings import LimitsSettings, OpsSettings, Settings, SimulationSettings


def ports_of(
    rapid: RapidSettings,
    ops: OpsSettings,
    *,
    hears_strays: bool = False,
    publishes_statuses: bool = False,
    further: Sequence[Rail] = (),
    of_scheme: Mapping[Scheme, str] | None = None,
    checks: Mapping[Scheme, CheckPolicy] | None = None,
    limits: Mapping[str, SourceLimit] | None = None,
) -> Ports:
    """The ports as they are set; `hears_strays`: this process has the rapid, which also hears of receipts that nobody can place.

    `publishes_statuses`: there is a topic for the statuses of decisions.
    `further` rails are plugged in beside those that come with kvitt; `of_scheme` names the rail of schemes that leave on another one;
    `checks` says of which schemes orders are simulated before they leave, `limits` how much sources may have paid.
    """
    rails = Rails(
        Oppdrag(OpeningHours(ops.rail_opens, ops.rail_closes, ops.rail_every_day)),
        *further,
        of_scheme=of_scheme,
        checks=checks,
    )
    streams = Helved(rails)
    contracts = Contracts(
        streams,
        Rapid(answer_invalid=rapid.answer_invalid_needs, hears_strays=hears_strays),
        Utbetalinger(),
        HelvedCalls(streams),
        Iverksetting(publishes=publishes_statuses),
        SimulatedDecisions(),
    )
    return Ports(
        contracts=contracts,
        rails=rails,
        checks=partial(_checks, contracts, rails),
        limits=limits or {},
    )


def ports_as_set(settings: Settings, roles: Sequence[str]) -> Ports:
    """The ports of a hub with these settings, of which a process plays these roles."""
    return ports_of(
        settings.rapid,
        settings.ops,
        hears_strays=settings.rapid.ours or "rapid" in roles,
        publishes_statuses=publishes_statuses(settings),
        checks=checks_of(settings.simulation),
        limits=limits_of(settings.limits),
    )


def _checks(contracts: Contracts, rails: Rails) -> Sequence[SubjectCheck]:
    # Imported here: a process that proves nothing need not hold it in memory.
    from kvitt.disbursement.cancel.check import cancellation_check
    from kvitt.disbursement.reconcile.check import reconciliation_check
    from kvitt.ledger import check as ledger_check
    from kvitt.payouts import check as payout_check

    return (
        reconciliation_check(contracts, rails),
        cancellation_check(rails),
        SubjectCheck(ledger_check.ANYTHING, ledger_check.STATEMENTS),
        SubjectCheck(payout_check.ANYTHING, payout_check.STATEMENTS, payout_check.check_payouts),
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


def publishes_statuses(settings: Settings) -> bool:
    """Whether the statuses of some scheme's decisions are published."""
    return any(each.status_topic for each in settings.decisions.values())


def limits_of(limits: LimitsSettings) -> Mapping[str, SourceLimit]:
    """How much applications and topics may have paid, where that is limited."""
    return {
        source: SourceLimit(
            None if each.kroner_per_hour is None else Kroner(each.kroner_per_hour),
            None if each.kroner_per_order is None else Kroner(each.kroner_per_order),
        )
        for source, each in limits.sources.items()
    }


def limits_of_nobody(settings: Settings, contracts: Contracts) -> Sequence[str]:
    """The limited sources that are neither a topic nor an application with a scheme: most likely misspelt, and so without a limit.

    Without an issuer there may be applications of any name. None of them has a dot, which every topic has.
    """
    return [source for source in settings.limits.sources if not is_known_source(settings, contracts, source)]


def is_known_source(settings: Settings, contracts: Contracts, source: str) -> bool:
    """Whether a source is a topic or an application with a scheme, or may be an application."""
    applications = {name.rpartition(":")[2] for name in settings.rest.schemes}
    return source in contracts.of or source in applications or not (settings.rest.issuer or "." in source)


PORTS: Final = ports_of(RapidSettings(), OpsSettings())
"""As they are where nothing is set: for reading and checking."""
