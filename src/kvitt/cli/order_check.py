"""Shows how an order is checked before it leaves: what was decided beside what the rail would do."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import to_builtins

from kvitt.cli.listing import Column, Fit, described, table
from kvitt.disbursement.order_page import CheckShown

CHECK: Final = (
    Column("mode", "policy"),
    Column("most_recovered_kroner", "may recover", of=lambda check: check.most_recovered),
    Column("finding", show=lambda check: check.finding or "waits for the rail"),
    Column("waits_for", "because", Fit.TEXT, of=lambda check: check.waits_for or check.note),
    Column("refusal", "refused", Fit.TEXT),
    Column("times_asked", "asked", show=lambda check: f"{check.times_asked} times"),
    Column("due_at", "asked again"),
    Column("ended_at", "ended"),
    Column("leaves_before", "leaves before"),
    Column("request_no", "simulation"),
    Column("recovered_kroner", "recovers", of=lambda check: check.recovered),
    Column("differences", kind=Fit.HIDDEN, of=lambda check: to_builtins(check.differences)),
    Column("picture", kind=Fit.HIDDEN, of=lambda check: to_builtins(check.picture)),
)
_PICTURE: Final = (
    Column("class_code", "class"),
    Column("first_day", "from"),
    Column("last_day", "to"),
    Column("stands_kroner", "stands", Fit.NUMBER),
    Column("expected_kroner", "decided", Fit.NUMBER),
    Column("simulated_kroner", "the rail pays", Fit.NUMBER),
    Column("recovered_kroner", "recovers", Fit.NUMBER),
)


def check_lines(checks: Sequence[CheckShown], width: int | None) -> Iterator[str]:
    """The part of an order's page about its check, if there is one."""
    for check in checks:
        yield "\nsimulated before it leaves"
        yield from described(CHECK, check, width)
        if check.picture:
            yield "\nwhat was decided, and what the rail would do"
            yield from table(_PICTURE, check.picture, width)
