"""What the demo shows at its end: a table of what happened, the story of one case, and what was proved."""

from collections.abc import Iterator, Sequence
from typing import Final

from kvitt.app.ports import PORTS
from kvitt.cli import case_page
from kvitt.cli.listing import Column, Kind, table
from kvitt.cli.schemes import SHORT
from kvitt.cli.shell import print_page
from kvitt.cli.text import shown
from kvitt.demo.cases import Life
from kvitt.demo.outcome import Proof, SchemeTotals, Summary
from kvitt.hub.history import history
from kvitt.rules.values import Scheme

_SHOWN: Final = 10
_TOLD_IN: Final = "dp"
"""The scheme whose case is shown: its schedule is easy on the eye."""


def print_outcome(conninfo: str, paid: Sequence[Life], totals: Sequence[SchemeTotals], proof: Proof, summary: Summary) -> None:
    """Prints the outcome of a run, with the story of one of the cases that are `paid` something in the end."""
    if life := most_told(paid):
        print_page("One of the cases:\n", case_page.page(history(conninfo, PORTS, Scheme(SHORT[life.scheme]), life.case_id)), "")
    print_page(_table(totals))
    print_page("\n".join(_proved(proof, summary)))


def most_told(paid: Sequence[Life]) -> Life | None:
    """The case in which the most different things happen."""
    told = [life for life in paid if life.scheme == _TOLD_IN]
    return max(told, key=lambda life: (len({step.shows for step in life.steps}), -len(life.steps)), default=None)


def _table(totals: Sequence[SchemeTotals]) -> Iterator[str]:
    counts = ("messages", "orders", "accepted", "rejected", "at_once", "waited")
    together = SchemeTotals("all", *(sum(getattr(each, name) for each in totals) for name in counts))
    yield from table(_TOTALS, [*totals, together])
    yield ""


_TOTALS: Final = (
    Column("scheme"),
    Column("messages", "received", Kind.NUMBER),
    Column("orders", "ordered", Kind.NUMBER),
    Column("accepted", kind=Kind.NUMBER),
    Column("rejected", kind=Kind.NUMBER),
    Column("at_once", "answered at once", Kind.NUMBER),
    Column("waited", "waited in a queue", Kind.NUMBER),
)


def _proved(proof: Proof, summary: Summary) -> list[str]:
    counts = proof.report.counts
    told = [f"differs: {each}" for each in proof.wrong[:_SHOWN]]
    told += [f"differs: {each.area} {each.case_id}: {each.text}" for each in proof.compared.differences[:_SHOWN]]
    told += [f"differs: {each.kind.value} {each.subject}: {each.text}" for each in proof.report.differences[:_SHOWN]]
    told.append(f"answered     {summary.messages - summary.unanswered:,} of {summary.messages:,} messages, {summary.doubled} of them twice")
    told.append(f"schedules    {proof.compared.payments:,} payments compared with the rail: {summary.schedule_differences} differences")
    replayed = f"{counts.messages:,} messages replayed, {counts.audit_entries:,} audit entries"
    told.append(f"check        {replayed}: {summary.check_differences} differences")
    told.append(f"seconds      {summary.seconds}")
    return [shown(each) for each in told]
