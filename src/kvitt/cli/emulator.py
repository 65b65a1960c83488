"""`kvitt emulator`: the payment rail as the emulator plays it."""

import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Final, TypeVar

import click
from msgspec import convert, to_builtins
from msgspec.structs import replace

from kvitt.cli.arguments import ANY_NUMBER, PROBABILITY, SECONDS, Whole
from kvitt.cli.calendar import draw
from kvitt.cli.listing import MOST, Column, Fit, json_option, print_json, print_list
from kvitt.cli.shell import connected, example, located, opened, print_page
from kvitt.cli.text import shown
from kvitt.disbursement.schedule import Beyond, Due
from kvitt.kernel.clock import oslo, utc_now
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.emulator import (
    USUAL_DEDUCTION,
    AnswerForm,
    CannotPay,
    Chance,
    Emulator,
    Faults,
    JudgedRun,
    Received,
    RunDifference,
    ServiceFault,
    ServiceFaults,
    ServiceHabits,
    Withholding,
    days_of,
    duplicates,
    get_faults,
    get_habits,
    get_service_faults,
    next_run,
    put_withholding,
    reconciliations,
    set_faults,
    set_habits,
    set_service_faults,
    spans,
    violations,
)
from kvitt.rails.oppdrag.emulator import pay as play_run
from kvitt.rails.oppdrag.emulator import received as all_received
from kvitt.rails.oppdrag.emulator import simulated as all_simulated
from kvitt.settings import Settings
from kvitt.transports.queue.table_queue import TableQueue

Switched = TypeVar("Switched", ServiceHabits, ServiceFaults)
_CHANCES = ("swallow", "delay", "double", "reorder", "damage", "refuse", "warn", "lose", "invent")


@click.group(epilog=example("kvitt emulator faults --refuse 0.01", "kvitt emulator schedule DP AZ111", "kvitt emulator received"))
def emulator() -> None:
    """Run the rail emulator, make it fail, and look into its books."""


@emulator.command(
    epilog=example("kvitt up --no-emulator", "kvitt emulator run", "kvitt emulator run --database postgresql://kvitt@db/kvitt")
)
@click.option("--seed", default=0, type=ANY_NUMBER, show_default=True, help="Decides which orders a probable fault strikes.")
@click.option(
    "--port", type=Whole(0, 65_535), help="Of its simulation, on the loopback address; 0 for any. As the settings say if left out."
)
@located
def run(settings: Settings, *, seed: int, port: int | None) -> None:
    """Play the rail alone, beside a hub that runs with --no-emulator, until Ctrl-C or SIGTERM."""

    # Imported here: the other commands need not wait for a server.
    from kvitt.api.emulator_http import emulator_listener, emulator_serving

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with opened(settings, must_run=True) as conninfo:
        played = Emulator(
            conninfo,
            TableQueue(conninfo, settings.request_queue),
            lambda name: TableQueue(conninfo, name),
            seed,
            reconciliation=TableQueue(conninfo, settings.reconciliation_queue),
        )
        with closing(emulator_listener(settings.emulator_port if port is None else port)) as listener:
            click.echo(f"the rail emulator takes orders from {settings.request_queue}, and simulates at {listener.url}")
            with emulator_serving(conninfo, listener, seed):
                played.run(stop)
    click.echo("the rail emulator has stopped", err=True)


@emulator.command(
    epilog=example("kvitt emulator faults", "kvitt emulator faults --swallow 0.1 --refuse 0.01", "kvitt emulator faults --clear")
)
@click.option("--swallow", type=PROBABILITY, metavar="P", help="No receipt, though the order takes effect.")
@click.option("--delay", type=PROBABILITY, metavar="P", help="The receipt comes late.")
@click.option("--delay-seconds", type=SECONDS, metavar="S", help="How late.")
@click.option("--double", type=PROBABILITY, metavar="P", help="The receipt comes twice.")
@click.option("--reorder", type=PROBABILITY, metavar="P", help="Receipts change places.")
@click.option("--damage", type=PROBABILITY, metavar="P", help="The receipt comes in one of the damaged forms seen.")
@click.option("--refuse", type=PROBABILITY, metavar="P", help="The order is rejected.")
@click.option("--warn", type=PROBABILITY, metavar="P", help="The order is accepted with a note (04).")
@click.option("--lose", type=PROBABILITY, metavar="P", help="The order is gone at the rail, as if it had never come.")
@click.option("--invent", type=PROBABILITY, metavar="P", help="The rail believes to have another order beside it.")
@click.option("--closed/--open", default=None, help="The rail reads nothing.")
@click.option("--clear", is_flag=True, help="Switch all of them off first.")
@located
def faults(settings: Settings, /, *, clear: bool, closed: bool | None, delay_seconds: float | None, **chances: float | None) -> None:
    """Show what goes wrong at the rail, and with options change it. Each P is a probability from 0 to 1."""

    changes: dict[str, object] = {name: Chance(chance) for name, chance in chances.items() if chance is not None}
    changes.update({name: value for name, value in (("closed", closed), ("delay_seconds", delay_seconds)) if value is not None})
    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection:
        if clear or changes:
            set_faults(connection, replace(Faults() if clear else get_faults(connection), **changes))
        _print_faults(get_faults(connection))


def _print_faults(switched: Faults) -> None:
    lines = []
    for name in _CHANCES:
        chance = getattr(switched, name)
        if chance.probability or chance.next:
            lines.append(f"{name} {chance.probability:g}" + (f", the next {chance.next} for certain" if chance.next else ""))
    if switched.delay.probability or switched.delay.next:
        lines.append(f"delay-seconds {switched.delay_seconds:g}")
    if switched.closed:
        lines.append("closed")
    click.echo("\n".join(lines) or "the rail has no faults")


@emulator.command(
    epilog=example("kvitt emulator service", "kvitt emulator service --keeps-hours", "kvitt emulator service --clear --closed")
)
@click.option("--keeps-hours/--any-hour", default=None, help="Closed outside 06–21 on bank days.")
@click.option("--posts-next-day/--posts-at-once", default=None, help="An accepted order counts from the bank day after.")
@click.option("--others/--no-others", "tells_others", default=None, help="Other cases of the person come along.")
@click.option("--padding/--no-padding", "pads", default=None, help="Texts are padded with blanks.")
@click.option("--wants-proxy-token/--no-proxy-token", default=None, help="Calls need X-Proxy-Authorization.")
@click.option("--closed/--open", default=None, help="The proxy answers 502.")
@click.option("--slow", type=PROBABILITY, metavar="P", help="The answer comes late.")
@click.option("--slow-seconds", type=SECONDS, metavar="S", help="How late.")
@click.option("--gateway", type=PROBABILITY, metavar="P", help="The proxy answers 502 to this one.")
@click.option("--fault", type=PROBABILITY, metavar="P", help="The answer is a fault.")
@click.option("--answers-with", type=click.Choice([each.value for each in ServiceFault]), help="Which.")
@click.option("--cut", type=PROBABILITY, metavar="P", help="The envelope breaks off.")
@click.option("--dropped", type=PROBABILITY, metavar="P", help="The connection ends in the middle of the answer.")
@click.option("--other-form", type=PROBABILITY, metavar="P", help="The answer comes in another form.")
@click.option("--form", "forms", multiple=True, type=click.Choice([each.value for each in AnswerForm]), help="Which; may be repeated.")
@click.option("--large", type=PROBABILITY, metavar="P", help="The answer is long.")
@click.option("--large-bytes", type=Whole(0, 1_000_000_000), metavar="N", help="How long at least.")
@click.option("--refuse-tokens", "token", type=PROBABILITY, metavar="P", help="The token service refuses.")
@click.option("--expire-tokens", "tokens_expire", type=PROBABILITY, metavar="P", help="An assertion is not taken any more.")
@click.option("--clear", is_flag=True, help="Make all of it as it was at first.")
@located
def service(settings: Settings, /, *, clear: bool, **options: object) -> None:
    """Show how the rail's simulation behaves, and with options change it. Each P is a probability from 0 to 1."""

    given = {name: value for name, value in options.items() if value is not None and value != ()}
    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection, connection.transaction():
        habits, wrong = (ServiceHabits(), ServiceFaults()) if clear else (get_habits(connection), get_service_faults(connection))
        set_habits(connection, _changed(habits, given))
        set_service_faults(connection, _changed(wrong, given))
        plain = {**to_builtins(get_habits(connection)), **to_builtins(get_service_faults(connection))}
    click.echo(
        "\n".join(f"{name.replace('_', '-')} {_said(value)}" for name, value in plain.items()) or "the simulation is as it was at first"
    )


def _changed(settings: Switched, given: Mapping[str, object]) -> Switched:
    """Those of the options that are fields of these settings, put into them."""
    plain = to_builtins(settings)
    for name in {*settings.__struct_fields__} & {*given}:
        value = given[name]
        plain[name] = {"probability": value} if isinstance(getattr(settings, name), Chance) else value
    return convert(plain, type(settings), str_keys=True)


def _said(value: object) -> str:
    match value:
        case {"probability": probability, "next": count}:
            return f"{probability:g}" + (f", the next {count} for certain" if count else "")
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return " ".join(map(str, value))
        case _:
            return str(value)


@emulator.command(epilog=example("kvitt emulator pay", "kvitt emulator pay --day 2026-06-16"))
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="A bank day, not before the newest run; the next one if left out.")
@located
def pay(settings: Settings, *, day: datetime | None) -> None:
    """Play the payment run of a day: all that is due up to the end of its month is paid, and what was paid too much recovered."""

    now = utc_now()
    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection:
        try:
            run = play_run(connection, day.date() if day else next_run(connection, oslo(now).date()), now)
        except CannotPay as refused:
            raise click.ClickException(str(refused)) from None
    click.echo(f"{run.day}: {run.cases} cases, {run.paid_kroner} kr paid, {run.recovered_kroner} kr under recovery")


@emulator.command(epilog=example("kvitt emulator withhold 01020312345 --tax 30", "kvitt emulator withhold 01020312345 --deduct 500"))
@click.argument("person", metavar="PERSON")
@click.option("--tax", default=0, type=Whole(0, 100), show_default=True, help="Per cent of what is paid out.")
@click.option("--deduct", default=0, type=Whole(0, 1_000_000), show_default=True, help="Kroner of each run, of what is left after tax.")
@click.option("--class", "class_code", default=USUAL_DEDUCTION, show_default=True, help="The class code of the deduction.")
@located
def withhold(settings: Settings, *, person: str, tax: int, deduct: int, class_code: str) -> None:
    """Set what the rail holds back from PERSON's money before it leaves; without options nothing."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection:
        put_withholding(connection, Withholding(person, tax, class_code, deduct))
    click.echo(shown(f"{person}: {tax} % tax, {deduct} kr {class_code} of each run"))


@emulator.command(epilog=example("kvitt emulator simulated", "kvitt emulator simulated --last 5 --json"))
@click.option("--last", type=Whole(1, MOST), default=20, show_default=True, help="The newest N simulations.")
@json_option
@located
def simulated(settings: Settings, *, last: int, as_json: bool) -> None:
    """List the simulations that the rail was asked for; exit status 1 when one met an order of its case there."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection:
        asked, met = all_simulated(connection), violations(connection)
    print_list(_SIMULATED, asked[-last:], limit=last, as_json=as_json, nothing="the rail was asked for no simulation")
    for each in met:
        click.echo(f"{each.noticed_at:%Y-%m-%d %H:%M:%S} {each.area} {each.case_id}: {each.how.value}", err=True)
    if met:
        sys.exit(1)


@emulator.command(epilog=example("kvitt emulator schedule DP AZ111", "kvitt emulator schedule TILLSTPB 300000123 --json"))
@click.argument("area", metavar="AREA")
@click.argument("case_id", metavar="CASE")
@json_option
@located
def schedule(settings: Settings, *, area: str, case_id: str, as_json: bool) -> None:
    """Draw what the rail will pay for CASE in AREA, by its own books. With --json, the pieces of its chains that are in force."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection:
        pieces = spans(connection, area.upper(), case_id)
    if as_json:
        print_json(_PIECES, pieces)
        return
    days, beyond = days_of(pieces)
    dues = [Due(day.date, Kroner(day.amount), day.class_code) for day in days]
    print_page(draw(dues, f"{area.upper()} {case_id} at the rail", Beyond(*beyond) if beyond else None))


@emulator.command(epilog=example("kvitt emulator received", "kvitt emulator received --last 5"))
@click.option("--last", type=Whole(1, MOST), default=20, show_default=True, help="The newest N orders.")
@json_option
@located
def received(settings: Settings, *, last: int, as_json: bool) -> None:
    """List the orders that the rail received, and what came more than once; exit status 1 when a line was accepted twice."""

    outcomes: Counter[str] = Counter()
    newest: deque[Received] = deque(maxlen=last)
    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection:
        for each in all_received(connection):
            outcomes[each.outcome] += 1
            newest.append(each)
        doubled = duplicates(connection)
    print_list(_RECEIVED, list(newest), limit=last, as_json=as_json, nothing="the rail has received nothing")
    summary = f"{outcomes.total()} orders: " + (", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()) or "none")
    click.echo(summary, err=as_json)
    click.echo(
        f"accepted twice: {len(doubled.lines)} lines; one message id with other bytes: {len(doubled.conflicting_messages)}; "
        f"same bytes under several ids: {len(doubled.same_bytes)}",
        err=as_json,
    )
    if doubled.lines:
        sys.exit(1)


@emulator.command(
    epilog=example(
        "kvitt emulator reconciliation",
        "kvitt emulator reconciliation --run b2vWpwq0TR6daVo_YrbhwQ",
        "kvitt emulator reconciliation --json",
    )
)
@click.option("--run", "run_id", metavar="ID", help="This run alone, with all of its differences.")
@click.option("--last", type=Whole(1, MOST), default=20, show_default=True, help="The newest N runs.")
@json_option
@located
def reconciliation(settings: Settings, *, run_id: str | None, last: int, as_json: bool) -> None:
    """List the runs of reconciliation that the rail received, and where they differ from its own records; exit status 1 when one does."""

    with opened(settings) as conninfo, connected(conninfo, application="kvitt emulator") as connection:
        runs = reconciliations(connection, run_id)
    if run_id and not runs:
        raise click.ClickException(f"the rail has heard of no run {shown(run_id)}")
    print_list(_RUNS, runs[-last:], limit=last, as_json=as_json, nothing="nothing was reported to the rail")
    differing = [run for run in runs if run.differences]
    if not as_json:
        for run in differing:
            click.echo(f"\n{shown(_named(run))} differs:")
            _print_differences(run.differences, every=run_id is not None)
    if differing:
        sys.exit(1)


def _named(run: JudgedRun) -> str:
    return f"{run.area} {run.run_id}" if run.run_id else "what could not be read"


def _print_differences(differences: Sequence[RunDifference], *, every: bool) -> None:
    """Those of a kind together, with how many they are."""
    for what, count in Counter(each.what for each in differences).items():
        of_kind = [each for each in differences if each.what is what]
        click.echo(f"  {what.value}: {count}")
        for each in of_kind if every else of_kind[:_FEW]:
            between = f"expected {each.expected or 'nothing'}, found {each.found or 'nothing'}"
            click.echo(shown(f"    {' '.join(part for part in (each.case_id, each.about, between) if part)}"))
        if not every and count > _FEW:
            click.echo(f"    {count - _FEW} more with --run {shown(of_kind[0].run_id)}")


_FEW: Final = 10
_RUNS: Final = (
    Column("began_at", "began"),
    Column("run_id", "run"),
    Column("kind"),
    Column("area"),
    Column("first_key", "from"),
    Column("last_key", "to"),
    Column("messages", kind=Fit.NUMBER),
    Column("outcome", of=lambda run: "agrees" if run.agrees else f"{len(run.differences)} differences" if run.differences else "open"),
    Column("component", kind=Fit.HIDDEN),
    Column("ended_at", kind=Fit.HIDDEN),
    Column("differences", kind=Fit.HIDDEN),
)
_RECEIVED: Final = (
    Column("received_at", "received"),
    Column("case_id", "case"),
    Column("area"),
    Column("outcome"),
    Column("repeats", show=lambda order: str(order.repeats or "")),
    Column("note", kind=Fit.TEXT),
)
_SIMULATED: Final = (
    Column("asked_at", "asked"),
    Column("case_id", "case"),
    Column("area"),
    Column("outcome"),
    Column("note", kind=Fit.TEXT),
)
_PIECES: Final = (
    Column("chain_first_line_id"),
    Column("line_id"),
    Column("chain_last_line_id"),
    Column("start"),
    Column("end"),
    Column("amount_kroner", of=lambda piece: piece.amount),
    Column("rate_code"),
    Column("class_code"),
    Column("decided_rate_kroner", of=lambda piece: piece.decided_rate),
)
