"""One run of the demo: makes cases, feeds them while the rail misbehaves a little, waits for every answer, and proves the outcome."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click
import msgspec
import psycopg
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kvitt.cli.arguments import ANY_NUMBER, Whole
from kvitt.cli.case import case_lines
from kvitt.cli.check import check_with_progress, compare_with_rail
from kvitt.cli.ids import SHORT
from kvitt.cli.listing import Column, Fit, table
from kvitt.cli.shell import BAD_RESULT, connected, example, located, print_page, working
from kvitt.cli.submit import Client
from kvitt.cli.text import shown
from kvitt.cli.wiring import wiring
from kvitt.contracts.helved.topics import primary_input
from kvitt.demo.cases import Life, lives
from kvitt.demo.decisions import decide_five_times
from kvitt.demo.feed import PATIENCE_SECONDS, Feed, Letter, examples, key_for
from kvitt.demo.forms import body_of
from kvitt.demo.oracle import Judged, differences, judge
from kvitt.demo.payout import page, pay_out
from kvitt.demo.reconciliation import ReconciledDay, reconcile_day
from kvitt.demo.simulation import DryRunStory, ask_for_more
from kvitt.disbursement.check import Report
from kvitt.disbursement.history import history
from kvitt.disbursement.values import Scheme
from kvitt.kernel.fetch import fetch, fetch_value
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.comparison import Compared
from kvitt.rails.oppdrag.emulator import (
    Chance,
    DamageForm,
    Duplicates,
    Faults,
    all_spans,
    duplicates,
    get_faults,
    set_faults,
)
from kvitt.settings import Settings

_SQL = load("cli", "kvitt.cli")
_LOOK_SECONDS: Final = 0.05
MISBEHAVIOUR: Final = Faults(
    refuse=Chance(0.01),
    double=Chance(0.02),
    delay=Chance(0.02),
    delay_seconds=0.2,
    reorder=Chance(0.05),
    damage=Chance(0.05),
    # A receipt that is cut off says nothing certain: it stays for an operator, and a demo has none.
    damage_forms=tuple(form for form in DamageForm if form is not DamageForm.TRUNCATED),
    warn=Chance(0.01),
)
_SHOWN: Final = 10
_SHOWN_SCHEME: Final = "dp"
"""The scheme whose case is shown: its schedule is easy on the eye."""


class Summary(Struct, frozen=True):
    """The outcome of a run; the fields are the closing JSON line."""

    messages: int
    orders: int
    accepted: int
    rejected: int
    unanswered: int
    doubled: int
    schedule_differences: int
    check_differences: int
    reconciliation_differences: int
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether everything was answered once and nothing differs."""
        differences = self.schedule_differences or self.check_differences or self.reconciliation_differences
        return not (self.unanswered or self.doubled or differences)

    def line(self) -> str:
        """The closing line."""
        return msgspec.json.encode(self).decode()


class SchemeTotals(Struct, frozen=True):
    """Counts what became of a scheme's messages in this run."""

    scheme: str
    messages: int
    orders: int
    accepted: int
    rejected: int
    at_once: int
    waited: int


class Proof(Struct, frozen=True):
    """Everything that was compared after a run. `wrong` is what the demo's own judge found."""

    wrong: tuple[str, ...]
    compared: Compared
    report: Report
    doubled: Duplicates
    surplus: int
    day: ReconciledDay = ReconciledDay("", ())

    @property
    def doubles(self) -> int:
        """Whatever came or was published more than once."""
        return self.surplus + len(self.doubled.lines) + len(self.doubled.conflicting_messages) + len(self.doubled.same_bytes)


@click.command(epilog=example("kvitt demo", "kvitt demo --cases 200 --seed 7", "kvitt demo --json | tail -1"))
@click.option("--json", "as_json", is_flag=True, help="End with exactly one line of JSON.")
@click.option("--cases", default=2000, show_default=True, type=Whole(0, 1_000_000), help="How many cases to make up.")
@click.option("--seed", default=1, type=ANY_NUMBER, show_default=True, help="Another seed, other cases.")
@located
def demo(settings: Settings, *, as_json: bool, cases: int, seed: int) -> None:
    """Run everything on the examples and on made-up cases, then prove the outcome. Exit status 1 when anything is wrong.

    When a kvitt owns the data directory already, the cases are fed to that one. May be run again and again on the same data.
    """
    with working(settings) as conninfo:
        summary = run(conninfo, settings, cases=cases, seed=seed, quiet=as_json)
    if as_json:
        click.echo(summary.line())
    if not summary.clean:
        sys.exit(BAD_RESULT)


def run(conninfo: str, settings: Settings, *, cases: int, seed: int, quiet: bool) -> Summary:
    """Runs the demo against the hub at work on this database, and prints what happened unless `quiet`."""
    began = time.perf_counter()
    with connected(conninfo, application="kvitt demo") as connection:
        newest = _number(connection, _SQL.newest_message)
        run_id = _base36(newest)
        made = list(lives(cases, run_id, seed))
        letters = [*_example_letters(run_id), *(_letters(life) for life in made)]
        feed = _fed(Client(conninfo, settings), connection, letters, visible=not quiet and sys.stderr.isatty())
        totals = _totals(connection, newest, list(feed.finals))
        answers = [[next(iter(feed.finals[letter.key]), None) for letter in each] for each in letters[len(letters) - len(made) :]]
        judged = [judge(life, given) for life, given in zip(made, answers, strict=True)]
        shown_life = most_eventful([life for life, each in zip(made, judged, strict=True) if each.paid])
        asked = ask_for_more(conninfo, connection, settings, shown_life) if shown_life else DryRunStory((), ())
        story = pay_out(conninfo, connection, settings.payouts, run_id)
        chain = decide_five_times(conninfo, connection, run_id)
        day = reconcile_day(connection, settings)
        proof = _prove(conninfo, connection, made, judged, feed, visible=not quiet and sys.stderr.isatty())
        proof = replace(proof, day=day, wrong=(*proof.wrong, *asked.wrong, *chain.wrong, *(story.wrong if story else ())))
    summary = _summary(totals, proof, feed.unanswered, len(feed.finals), round(time.perf_counter() - began, 1))
    if not quiet:
        if story:
            print_page(page(story))
        print_page("\n".join(asked.lines))
        print_page(chain.page())
        print_outcome(conninfo, shown_life, totals, proof, summary)
    elif not summary.clean:
        _complain(proof)
    return summary


def _number(connection: psycopg.Connection[Any], statement: str, arguments: Sequence[object] = ()) -> int:
    return int(fetch_value(connection, statement, arguments))


def _base36(number: int) -> str:
    digits = ""
    while number or not digits:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


def _letters(life: Life) -> list[Letter]:
    topic = primary_input(Scheme(SHORT[life.scheme]))
    case = f"{life.scheme}/{life.case_id}"
    letters: list[Letter] = []
    for number, step in enumerate(life.steps):
        key = key_for(case, number, letters[-1].key if step.rushed and letters else None)
        letters.append(Letter(topic, key, body_of(life, number), step.rushed))
    return letters


def _example_letters(run_id: str) -> list[list[Letter]]:
    """The examples of a scheme are one sender's messages, one after the other."""
    by_scheme: dict[str, list[Letter]] = {}
    for each in examples():
        sent = by_scheme.setdefault(each.scheme, [])
        key = key_for(f"examples/{run_id}/{each.scheme}", len(sent))
        sent.append(Letter(primary_input(Scheme(SHORT[each.scheme])), key, each.body, rushed=False))
    return list(by_scheme.values())


def _fed(client: Client, connection: psycopg.Connection[Any], letters: Sequence[Sequence[Letter]], *, visible: bool) -> Feed:
    """Everything sent and answered, and nothing on its way any more."""
    columns = (TextColumn("answered"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True, disable=not visible) as bar, _misbehaving(connection):
            task = bar.add_task("answered", total=sum(map(len, letters)))
            feed = Feed(client, letters, lambda answered: bar.advance(task, answered))
            feed.run()
            _wait_until_quiet(connection)
            feed.listen()
    finally:
        client.close()
    return feed


@contextmanager
def _misbehaving(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """The rail has faults for the while; those that it had before come back."""
    before = get_faults(connection)
    set_faults(connection, MISBEHAVIOUR)
    try:
        yield
    finally:
        # A demo that was killed could not put back what it found.
        set_faults(connection, Faults() if before == MISBEHAVIOUR else before)


def _wait_until_quiet(connection: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if not fetch_value(connection, _SQL.unfinished):
            return
        time.sleep(_LOOK_SECONDS)


def _totals(connection: psycopg.Connection[Any], newest: int, keys: Sequence[bytes]) -> list[SchemeTotals]:
    by_scheme = {each.scheme: each for each in fetch(connection, SchemeTotals, _SQL.totals, {"after": newest, "keys": keys})}
    return [by_scheme[wire] for wire in SHORT.values() if wire in by_scheme]


def _prove(
    conninfo: str, connection: psycopg.Connection[Any], made: Sequence[Life], judged: Sequence[Judged], feed: Feed, *, visible: bool
) -> Proof:
    wrong = [complaint for each in judged for complaint in each.wrong]
    wrong += differences(made, judged, all_spans(connection))
    report = check_with_progress(conninfo, visible=visible)
    return Proof(tuple(wrong), compare_with_rail(conninfo), report, duplicates(connection), feed.surplus)


def _summary(totals: Sequence[SchemeTotals], proof: Proof, unanswered: int, messages: int, seconds: float) -> Summary:
    return Summary(
        messages=messages,
        orders=sum(each.orders for each in totals),
        accepted=sum(each.accepted for each in totals),
        rejected=sum(each.rejected for each in totals),
        unanswered=unanswered,
        doubled=proof.doubles,
        schedule_differences=len(proof.wrong) + proof.compared.count,
        check_differences=sum(proof.report.by_kind.values()),
        reconciliation_differences=len(proof.day.wrong),
        seconds=seconds,
    )


def _complain(proof: Proof) -> None:
    """A few of the differences, on standard error: the closing line only counts them."""
    found = [
        *proof.wrong,
        *(each.text for each in proof.compared.differences),
        *(f"{each}" for each in proof.report.differences),
        *proof.day.wrong,
    ]
    for each in found[:20]:
        print(f"differs: {each}", file=sys.stderr)


def print_outcome(conninfo: str, life: Life | None, totals: Sequence[SchemeTotals], proof: Proof, summary: Summary) -> None:
    """Prints the outcome of a run, with the story of one case."""
    if life:
        print_page("One of the cases:\n", case_lines(history(conninfo, wiring().ports, Scheme(SHORT[life.scheme]), life.case_id)), "")
    print_page(_table(totals))
    print_page("\n".join(_proved(proof, summary)))


def most_eventful(paid: Sequence[Life]) -> Life | None:
    """The case in which the most different things happen."""
    candidates = [life for life in paid if life.scheme == _SHOWN_SCHEME]
    return max(candidates, key=lambda life: (len({step.shows for step in life.steps}), -len(life.steps)), default=None)


def _table(totals: Sequence[SchemeTotals]) -> Iterator[str]:
    counts = ("messages", "orders", "accepted", "rejected", "at_once", "waited")
    together = SchemeTotals("all", *(sum(getattr(each, name) for each in totals) for name in counts))
    yield from table(_TOTALS, [*totals, together])
    yield ""


_TOTALS: Final = (
    Column("scheme"),
    Column("messages", "received", Fit.NUMBER),
    Column("orders", "ordered", Fit.NUMBER),
    Column("accepted", kind=Fit.NUMBER),
    Column("rejected", kind=Fit.NUMBER),
    Column("at_once", "answered at once", Fit.NUMBER),
    Column("waited", "waited in a queue", Fit.NUMBER),
)


def _proved(proof: Proof, summary: Summary) -> list[str]:
    counts = proof.report.counts
    lines = [f"differs: {each}" for each in proof.wrong[:_SHOWN]]
    lines += [f"differs: {each.area} {each.case_id}: {each.text}" for each in proof.compared.differences[:_SHOWN]]
    lines += [f"differs: {each.kind.value} {each.subject}: {each.text}" for each in proof.report.differences[:_SHOWN]]
    lines.append(
        f"answered     {summary.messages - summary.unanswered:,} of {summary.messages:,} messages, {summary.doubled} of them twice"
    )
    lines.append(f"schedules    {proof.compared.payments:,} payments compared with the rail: {summary.schedule_differences} differences")
    replayed = f"{counts.messages:,} messages replayed, {counts.audit_entries:,} audit entries"
    lines.append(f"check        {replayed}: {summary.check_differences} differences")
    lines += [f"differs: {each}" for each in proof.day.wrong[:_SHOWN]]
    lines.append(f"reconciled   {proof.day.line}")
    lines.append(f"seconds      {summary.seconds}")
    return [shown(each) for each in lines]
