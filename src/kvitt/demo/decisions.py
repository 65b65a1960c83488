"""The demo's chain of decisions: a frame by an approver, then what a calculating application pays within it (iverksetting §1.1).

Each is the whole of what the case pays; what leaves is the difference, in lines that go on from those before.
"""

import json
import time
from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.cli.listing import Column, Fit, table
from kvitt.cli.wiring import wiring
from kvitt.contracts.iverksetting.answers import EnactmentStatus
from kvitt.contracts.iverksetting.call import SOURCE_OF, EnactmentCall
from kvitt.contracts.iverksetting.decision import DecisionForm, DecisionKind, EnactmentKey
from kvitt.contracts.iverksetting.lookup import call_key, status_of
from kvitt.contracts.iverksetting.read import ReadingTerms
from kvitt.demo.feed import PATIENCE_SECONDS
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.decide import DecisionService
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.identifiers import OURS, named_uuid
from kvitt.kernel.queries import load

_SQL: Final = load("cli", "kvitt.cli")
_SCHEME: Final = Scheme.DAGPENGER
_LOOK_SECONDS: Final = 0.02
APPROVER: Final = Authority(application="decisions", person="B200002", approver=True, opens=True, frames=True, two_people=True)
CALCULATOR: Final = Authority(application="calculations", cap_kroner=5000)
_FINAL: Final = frozenset({EnactmentStatus.OK, EnactmentStatus.OK_WITHOUT_PAYMENT})
PaidDays = tuple[int, int, int]
"""First and last day of a month, and kroner a day."""


class ChainStep(Struct, frozen=True):
    """One decision of the chain: its kind, who sends it, what it pays, and how many lines it must become."""

    kind: DecisionKind
    by: Authority
    paid: tuple[PaidDays, ...]
    lines: int


_FIRST: Final = ((1, 5, 1510), (6, 10, 1510))
_CORRECTED: Final = ((1, 4, 1510), (5, 5, 1180), (6, 10, 1510), (11, 15, 1510), (16, 20, 1510))
_EXTENDED: Final = (*_CORRECTED, (21, 25, 1540), (26, 26, 950), (27, 28, 1540), (29, 30, 1090))
STEPS: Final = (
    ChainStep(DecisionKind.FRAME, APPROVER, (), 0),
    ChainStep(DecisionKind.PAYMENT, CALCULATOR, _FIRST, 2),
    ChainStep(DecisionKind.PAYMENT, CALCULATOR, _CORRECTED, 4),
    ChainStep(DecisionKind.FRAME, APPROVER, _CORRECTED, 0),
    ChainStep(DecisionKind.PAYMENT, CALCULATOR, _EXTENDED, 4),
)


class ChainRow(Struct, frozen=True):
    """A decision and what became of it, as it is shown."""

    number: int
    kind: str
    sender: str
    pays: str
    lines: str
    status: str


class ChainStory(Struct, frozen=True):
    """The chain as rows, and what is wrong with it."""

    case_id: str
    rows: tuple[ChainRow, ...]
    wrong: tuple[str, ...]

    def page(self) -> str:
        """The chain as a table."""
        return "\n".join([f"A chain of decisions, case {self.case_id}:\n", *table(_COLUMNS, self.rows), ""])


_COLUMNS: Final = (
    Column("number", "#"),
    Column("kind", "decision"),
    Column("sender", "sent by"),
    Column("pays", "pays in all", Fit.TEXT),
    Column("lines", "lines to the rail", Fit.TEXT),
    Column("status"),
)


class _SentLine(NamedTuple):
    line_id: str
    start: date
    end: date
    amount: int


def decide_five_times(conninfo: str, connection: Connection, run_id: str) -> ChainStory:
    """Sends the five decisions of the chain, each when the rail has answered the one before, to the hub at work on this database."""
    case_id = f"demo-{run_id}"
    service = DecisionService(conninfo, utc_now, wiring().ports, writers=1)
    try:
        chain = _ChainSender(service, connection, case_id)
        for number, step in enumerate(STEPS, 1):
            if not chain.take(number, step):
                break
    finally:
        service.close()
    return ChainStory(case_id, tuple(chain.rows), tuple(chain.wrong))


class _ChainSender:
    def __init__(self, service: DecisionService, connection: Connection, case_id: str) -> None:
        self._service, self._connection, self._case_id = service, connection, case_id
        self._before: ChainStep | None = None
        self.rows: list[ChainRow] = []
        self.wrong: list[str] = []

    def take(self, number: int, step: ChainStep) -> bool:
        """Sends a decision and waits for the rail; returns whether it went as it should."""
        key = self._key(number)
        call = EnactmentCall(ReadingTerms(DecisionForm.FIRST), step.by)
        decided = self._service.decide(SOURCE_OF[_SCHEME], call_key(key), self._body(number, step), call.headers).result(PATIENCE_SECONDS)
        if decided.refusal is not None:
            self.wrong.append(f"decision {number} of {self._case_id} is refused: {decided.refusal.text}")
            return False
        status = self._awaited(key)
        lines = self._lines(decided.message_no)
        self.rows.append(_row(number, step, lines, status))
        if status not in _FINAL or len(lines) != step.lines:
            self.wrong.append(f"decision {number} of {self._case_id} has {len(lines)} lines and the status {status}")
            return False
        self._before = step
        return True

    def _key(self, number: int) -> EnactmentKey:
        return EnactmentKey(named_uuid(OURS, f"{self._case_id} {number}"))

    def _body(self, number: int, step: ChainStep) -> bytes:
        previous = self._before and {
            "behandlingId": self._key(number - 1).decision_id,
            "utbetalinger": _entries(self._before.paid),
        }
        document = {
            "saksreferanse": self._case_id,
            "behandlingId": self._key(number).decision_id,
            "personIdent": f"41{int(self._key(0).decision_id[:8], 16) % 10**9:09}",
            "vedtak": {
                "vedtakstype": step.kind.value,
                "vedtakstidspunkt": "2026-06-01T09:00:00",
                "resultat": "INNVILGET",
                "saksbehandlerId": "A100001",
                "beslutterId": "B200002",
                "utbetalinger": _entries(step.paid),
            },
            "forrigeIverksetting": previous,
        }
        return json.dumps(document, ensure_ascii=False).encode()

    def _awaited(self, key: EnactmentKey) -> EnactmentStatus | None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            status = status_of(self._connection, _SCHEME, self._case_id, key.decision_id, None)
            if status is not EnactmentStatus.SENT or time.monotonic() > deadline:
                return status
            time.sleep(_LOOK_SECONDS)

    def _lines(self, message_no: int) -> Sequence[_SentLine]:
        return fetch(self._connection, _SentLine, _SQL.lines_of_message, {"message_no": message_no})


def _entries(paid: Sequence[PaidDays]) -> list[dict[str, object]]:
    return [
        {"belopPerDag": amount, "fraOgMedDato": f"2026-06-{first:02}", "tilOgMedDato": f"2026-06-{last:02}"} for first, last, amount in paid
    ]


def _row(number: int, step: ChainStep, lines: Sequence[_SentLine], status: EnactmentStatus | None) -> ChainRow:
    return ChainRow(
        number=number,
        kind=step.kind.value,
        sender=step.by.person or step.by.application,
        pays=", ".join(_span(*each) for each in step.paid) or "nothing",
        lines=", ".join(f"#{each.line_id.rpartition('#')[2]} {_span(each.start.day, each.end.day, each.amount)}" for each in lines)
        or "none",
        status=status.value if status else "unknown",
    )


def _span(first: int, last: int, amount: int) -> str:
    return f"{first}-{last} at {amount}" if first != last else f"{first} at {amount}"
