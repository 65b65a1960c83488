"""Cases of an older system's tables as a hub takes them over, and what it does with them from then on."""

from collections.abc import Callable
from functools import partial

import httpx

from kvitt.contracts.iverksetting.importing import read_cases
from kvitt.contracts.utbetalinger.importing import read_payments
from kvitt.disbursement.check.check import check
from kvitt.disbursement.take_over import TakeOver, TakeOverReport
from kvitt.disbursement.values import Scheme
from kvitt.kernel.operators import Operator
from kvitt.kernel.source_tables import source_tables
from kvitt.testing import Hub
from support.iverksetting_stage import DecisionSite
from support.old_tables import OldSystem
from support.single_payments import Body, span

OPERATOR = Operator("kari", "kvitt takes over", "ola")
UID, OTHER = "5d0c2e9e-1111-4222-8333-444455556666", "5d0c2e9e-1111-4222-8333-444455557777"
LINE = "850a4857-fa4e-4d0d-934a-240f7c76c8a4"
DAYS = span("2025-02-10", "2025-02-21", 640)


def take_over(
    hub: Hub, old: OldSystem, *, dry_run: bool = False, leave_out: bool = False, progress: Callable[[TakeOverReport], None] = lambda _: None
) -> TakeOverReport:
    with source_tables(old.conninfo) as tables:
        reads = [partial(read_cases, tables), partial(read_payments, tables)]
        return TakeOver(hub.connection, hub.clock).run(reads, OPERATOR, dry_run=dry_run, leave_out=leave_out, progress=progress)


def differences(hub: Hub) -> list[str]:
    """What the check finds by itself, of a hub that does not know yet all that the rail has."""
    return [str(each) for each in check(hub.conninfo, hub.ports).differences]


def lines_of(hub: Hub) -> list[tuple[str, str, str, str, str, int, str]]:
    """The lines of the order that left last: id, day from which it is ceased, the line before, days, amount, class code."""
    return [
        (
            each.line_id,
            str(each.status_from) if each.status else "",
            each.ref_line,
            str(each.starts),
            str(each.ends),
            each.amount,
            each.class_code,
        )
        for each in hub.sent()[-1].lines
    ]


def call(site: DecisionSite, method: str, uid: str, body: Body | None = None, path: str = "") -> httpx.Response:
    """The answer to a call about a single payment of AAP."""
    return site.client.request(method, f"/utbetalinger/{uid}{path}", json=body, headers=site.headers(Scheme.AAP))
