"""One run of the demo: makes cases, feeds them while the rail misbehaves a little, waits for every answer, and proves the outcome."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kvitt.cli.check_page import check_with_progress, compare_with_rail
from kvitt.cli.schemes import SHORT
from kvitt.cli.shell import connected, print_page
from kvitt.cli.watch import Client
from kvitt.config import Settings
from kvitt.demo.cases import Life, lives
from kvitt.demo.examples import examples
from kvitt.demo.feed import Feed, Letter, key_for
from kvitt.demo.forms import body_of
from kvitt.demo.oracle import Judged, differences, judge
from kvitt.demo.outcome import Proof, SchemeTotals, Summary
from kvitt.demo.page import print_outcome
from kvitt.demo.payout import page, pay_out
from kvitt.kernel.queries import load
from kvitt.rail.emulator import Chance, DamageForm, Faults, all_spans, duplicates, get_faults, set_faults
from kvitt.rules.values import Scheme
from kvitt.wire.topics import primary_input

_SQL = load("cli", "kvitt.store")
_QUIET_SECONDS: Final = 30.0
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
        story = pay_out(conninfo, connection, settings.payouts, run_id)
        proof = _prove(conninfo, connection, made, judged, feed, visible=not quiet and sys.stderr.isatty())
        proof = replace(proof, wrong=(*proof.wrong, *(story.wrong if story else ())))
    summary = _summary(totals, proof, feed.unanswered, len(feed.finals), round(time.perf_counter() - began, 1))
    if not quiet:
        if story:
            print_page(page(story))
        print_outcome(conninfo, [life for life, each in zip(made, judged, strict=True) if each.paid], totals, proof, summary)
    elif not summary.clean:
        _complain(proof)
    return summary


def _number(connection: psycopg.Connection[Any], statement: str, arguments: Sequence[object] = ()) -> int:
    row = connection.execute(statement, arguments).fetchone()
    assert row is not None, "an aggregate gives a row"
    return int(row[0])


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
    deadline = time.monotonic() + _QUIET_SECONDS
    while time.monotonic() < deadline:
        row = connection.execute(_SQL.unfinished).fetchone()
        if row and not row[0]:
            return
        time.sleep(_LOOK_SECONDS)


def _totals(connection: psycopg.Connection[Any], newest: int, keys: Sequence[bytes]) -> list[SchemeTotals]:
    rows = connection.execute(_SQL.totals, {"after": newest, "keys": keys}).fetchall()
    by_scheme = {row[0]: SchemeTotals(*row) for row in rows}
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
        seconds=seconds,
    )


def _complain(proof: Proof) -> None:
    """A few of the differences, on standard error: the closing line only counts them."""
    found = [*proof.wrong, *(each.text for each in proof.compared.differences), *(f"{each}" for each in proof.report.differences)]
    for each in found[:20]:
        print(f"differs: {each}", file=sys.stderr)
