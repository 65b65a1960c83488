"""`kvitt limits`: how much sources may have paid, and the limits that two people set before those of the settings."""

from datetime import datetime
from typing import Final

import click

from kvitt.cli.arguments import FROM_ZERO, Moment
from kvitt.cli.listing import MOST, Column, Fit, json_option, print_list
from kvitt.cli.operator import approved, is_left_to_another
from kvitt.cli.shell import connected, example, located, opened
from kvitt.cli.text import moment
from kvitt.cli.wiring import wiring
from kvitt.disbursement.limit_acts import LimitCleared, LimitSet, clear_limit, limits_shown, set_limit
from kvitt.kernel.clock import utc_now
from kvitt.kernel.identifiers import wrong_id
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings

LIMITS: Final = (
    Column("source"),
    Column("kroner_per_order", "for one order", Fit.NUMBER, of=lambda each: each.limit.kroner_per_order),
    Column("kroner_per_hour", "in an hour", Fit.NUMBER, of=lambda each: each.limit.kroner_per_hour),
    Column("used_kroner", "used in this", Fit.NUMBER, of=lambda each: each.used),
    Column("comes_from", "as set by"),
    Column("until", show=lambda each: moment(each.until)),
    Column("reason", "why", Fit.TEXT),
)


class SourceName(click.ParamType[str]):
    """A topic, or an application by what is behind its last colon."""

    name = "source"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as limits know it; fails for one that no source has."""
        source = str(value).rpartition(":")[2]
        if rule := wrong_id(source):
            self.fail(rule, param, ctx)
        return source


@click.group(
    epilog=example(
        "kvitt limits list",
        'kvitt limits set dp-sak --kroner-per-hour 90000000 --until 2026-12-21 --by kari --reason "payday, and the holidays" --ask',
        'kvitt limits clear dp-sak --by kari --approved-by ola --reason "payday is over"',
    )
)
def limits() -> None:
    """See how much sources may have paid, and set limits before those of the settings.

    A SOURCE is a topic, or an application by what is behind the last colon of its name. What is over a limit is held until two people
    release it.
    """


@limits.command("list", epilog=example("kvitt limits list", "kvitt limits list --json"))
@json_option
@located
def list_limits(settings: Settings, *, as_json: bool) -> None:
    """List the sources that have a limit: which one holds, whose it is and until when, and what was used of it in this hour."""
    with opened(settings) as conninfo, connected(conninfo, application="kvitt limits") as connection:
        found = limits_shown(connection, wiring().limits(settings), utc_now())
    print_list(LIMITS, found, limit=MOST, as_json=as_json, nothing="no source has a limit")


@limits.command(
    "set",
    epilog=example(
        'kvitt limits set dp-sak --kroner-per-hour 90000000 --until 2026-12-21 --by kari --reason "payday" --ask',
        'kvitt limits set helved.utbetalinger-dp.v1 --kroner-per-order 500000 --by kari --approved-by ola --reason "rates are new"',
    ),
)
@click.argument("source", type=SourceName())
@click.option("--kroner-per-order", type=FROM_ZERO, metavar="N", help="For one order; as the settings have it unless said.")
@click.option("--kroner-per-hour", type=FROM_ZERO, metavar="N", help="In an hour of the clock; as the settings have it unless said.")
@click.option("--until", type=Moment(), metavar="MOMENT", help="When it ends by itself (UTC); else when it is cleared.")
@approved
@located
def set_(
    settings: Settings,
    *,
    source: str,
    kroner_per_order: int | None,
    kroner_per_hour: int | None,
    until: datetime | None,
    by: str,
    reason: str,
    approved_by: str | None,
) -> None:
    """Limit what a SOURCE may have paid, from the next order on in every process."""
    asked, operator = LimitSet(source, _kroner(kroner_per_order), _kroner(kroner_per_hour), until), Operator(by, reason, approved_by)
    with opened(settings) as conninfo, connected(conninfo, application="kvitt limits") as connection:
        if is_left_to_another(settings, connection, "limits set", asked, operator):
            return
        set_limit(connection, utc_now(), asked, operator)
    click.echo(f"the limit of {source} is set")


@limits.command(epilog=example('kvitt limits clear dp-sak --by kari --approved-by ola --reason "payday is over"'))
@click.argument("source", type=SourceName())
@approved
@located
def clear(settings: Settings, *, source: str, by: str, reason: str, approved_by: str | None) -> None:
    """Let the settings say again what a SOURCE may have paid."""
    operator = Operator(by, reason, approved_by)
    with opened(settings) as conninfo, connected(conninfo, application="kvitt limits") as connection:
        if is_left_to_another(settings, connection, "limits clear", LimitCleared(source), operator):
            return
        clear_limit(connection, utc_now(), source, operator)
    click.echo(f"the limit of {source} is as the settings have it")


def _kroner(given: int | None) -> Kroner | None:
    return None if given is None else Kroner(given)
