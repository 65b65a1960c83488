"""Which orders the rail accepts: its own rules over its own books, in memory, for a batch of orders in the order of arrival.

Source: helved §0.5 and §4.5, iverksetting §1.11 and §2.1. Shares nothing with the hub's rules.
"""

from collections.abc import Iterable
from datetime import date

from msgspec import Struct
from msgspec.structs import replace

from kvitt.rails.oppdrag.emulator import answers
from kvitt.rails.oppdrag.emulator.order import (
    CaseAtRail,
    ChangeCode,
    EmulatedAnswer,
    LineEntry,
    ReceivedHoldBack,
    ReceivedLine,
    ReceivedOrder,
)


class OrderDecision(Struct, frozen=True):
    """The answer to an order and what it adds to the books; a rejected order adds nothing."""

    answer: EmulatedAnswer
    entries: tuple[LineEntry, ...] = ()
    hold_backs: tuple[ReceivedHoldBack, ...] = ()
    opens_case: bool = False


class KnownCases:
    """Knows what the books say of the cases that a batch touches, kept up with the batch's own accepted orders."""

    def __init__(
        self,
        persons: Iterable[tuple[CaseAtRail, str]],
        lines: Iterable[LineEntry],
        hold_backs: Iterable[tuple[CaseAtRail, ReceivedHoldBack]],
    ) -> None:
        self._persons = dict(persons)
        self._lines = {(line.case, line.line_id): line for line in lines}
        self._hold_backs: dict[CaseAtRail, list[ReceivedHoldBack]] = {}
        for case, hold_back in hold_backs:
            self._hold_backs.setdefault(case, []).append(hold_back)

    def person_of(self, case: CaseAtRail) -> str | None:
        """The person the case is registered on; None when there is no such case."""
        return self._persons.get(case)

    def line(self, case: CaseAtRail, line_id: str) -> LineEntry | None:
        """The accepted new line with this id in this case."""
        return self._lines.get((case, line_id))

    def hold_backs(self, case: CaseAtRail) -> tuple[ReceivedHoldBack, ...]:
        return tuple(self._hold_backs.get(case, ()))

    def add(self, order: ReceivedOrder, decision: OrderDecision) -> None:
        """Makes an accepted order part of what later orders of the batch are judged by."""
        if decision.opens_case:
            self._persons[order.case] = order.person
        for entry in decision.entries:
            if entry.ceased_from is None:
                self._lines[order.case, entry.line_id] = entry
        if decision.hold_backs:
            kept = _after(self.hold_backs(order.case), decision.hold_backs)
            self._hold_backs[order.case] = list(kept)


def decide(order: ReceivedOrder, known: KnownCases, today: date) -> OrderDecision:
    """Accepts or rejects the order; the first broken rule is the answer. All of it or nothing."""
    refusal = _case_problem(order, known) or _hold_back_problem(order, known, today)
    if refusal is not None:
        return OrderDecision(refusal)
    entries: list[LineEntry] = []
    fresh: dict[str, LineEntry] = {}
    for line in order.lines:
        judged = _judge(line, order.case, known, fresh)
        if isinstance(judged, EmulatedAnswer):
            return OrderDecision(judged)
        if judged is not None:
            entries.append(judged)
            if judged.ceased_from is None:
                fresh[judged.line_id] = judged
    return OrderDecision(answers.ACCEPTED, tuple(entries), order.hold_backs, order.change is ChangeCode.NEW)


def _case_problem(order: ReceivedOrder, known: KnownCases) -> EmulatedAnswer | None:
    if order.action != "1":
        return answers.ACTION_UNKNOWN
    if not order.case.case_id:
        return answers.CASE_ID_MISSING
    person = known.person_of(order.case)
    if order.change is ChangeCode.NEW:
        return answers.CASE_EXISTS if person is not None else None
    if person is None:
        return answers.CASE_UNKNOWN
    return answers.PERSON_DIFFERS if person != order.person else None


def _judge(line: ReceivedLine, case: CaseAtRail, known: KnownCases, fresh: dict[str, LineEntry]) -> LineEntry | EmulatedAnswer | None:
    """Returns what the line adds to the books, None when it adds nothing, or why it is refused."""
    if not line.line_id:
        return answers.LINE_ID_MISSING
    if line.ends is None or line.ends < line.starts:
        return answers.LINE_DATES
    named = fresh.get(line.line_id) or known.line(case, line.line_id)
    if line.change is ChangeCode.NEW:
        return answers.LINE_EXISTS if named is not None else _new_line(line, line.ends, case, known, fresh)
    return answers.LINE_UNKNOWN if named is None else _changed_line(line, named)


def _new_line(
    line: ReceivedLine, ends: date, case: CaseAtRail, known: KnownCases, fresh: dict[str, LineEntry]
) -> LineEntry | EmulatedAnswer:
    """A line without a reference begins a chain; one with a reference joins that line's chain, wherever in it the line stands."""
    if line.status:
        return answers.STATUS_ON_NEW_LINE
    if bool(line.ref_line) != bool(line.ref_case):
        return answers.REFERENCE_HALF
    chain = line.line_id
    if line.ref_line:
        before = fresh.get(line.ref_line) or known.line(case, line.ref_line)
        if before is None or line.ref_case != case.case_id:
            return answers.REFERENCE_UNKNOWN
        if before.class_code != line.class_code and line.class_from is None:
            return answers.CLASS_DATE_MISSING
        chain = before.chain
    return LineEntry(
        case=case,
        chain=chain,
        line_id=line.line_id,
        starts=line.starts,
        ends=ends,
        amount=line.amount,
        rate_code=line.rate_code,
        class_code=line.class_code,
        decided_rate=line.decided_rate,
        ceased_from=None,
    )


def _changed_line(line: ReceivedLine, named: LineEntry) -> LineEntry | EmulatedAnswer | None:
    """A change repeats the line that it names; the only effect it can have is to end the chain.

    A line that says it is unchanged may repeat its reference too, but nothing can come of it.
    """
    if line.change is ChangeCode.CHANGE and (line.ref_line or line.ref_case):
        return answers.REFERENCE_ON_CHANGE
    said = (line.starts, line.ends, line.amount, line.rate_code, line.class_code)
    if said != (named.starts, named.ends, named.amount, named.rate_code, named.class_code):
        return answers.LINE_DIFFERS
    if not line.status or line.change is ChangeCode.NONE:
        return None
    if line.status != "OPPH":
        return answers.STATUS_UNSUPPORTED
    if line.status_from is None:
        return answers.STATUS_DATE_MISSING
    return replace(named, ceased_from=line.status_from)


def _hold_back_problem(order: ReceivedOrder, known: KnownCases, today: date) -> EmulatedAnswer | None:
    """Two hold-backs of a case may not be in force for the same day, unless one replaces the other by having the same first day."""
    found = known.hold_backs(order.case)
    for wanted in order.hold_backs:
        if not _is_dated(wanted):
            return answers.HOLD_BACK_DATES
        if not wanted.is_error and any(_in_force(other, today) and _overlap(other, wanted) for other in found):
            return answers.HOLD_BACKS_OVERLAP
        found = _after(found, (wanted,))
    return None


def _is_dated(hold_back: ReceivedHoldBack) -> bool:
    if hold_back.starts is None:
        return False
    return hold_back.is_error or (hold_back.ends is not None and hold_back.ends >= hold_back.starts)


def _in_force(hold_back: ReceivedHoldBack, today: date) -> bool:
    """Not registered as an error, and its money not transferred yet."""
    return not hold_back.is_error and (hold_back.transfers_on is None or hold_back.transfers_on > today)


def _overlap(one: ReceivedHoldBack, other: ReceivedHoldBack) -> bool:
    if one.starts == other.starts or one.starts is None or other.starts is None or one.ends is None or other.ends is None:
        return False
    return one.starts <= other.ends and other.starts <= one.ends


def _after(found: tuple[ReceivedHoldBack, ...], added: tuple[ReceivedHoldBack, ...]) -> tuple[ReceivedHoldBack, ...]:
    """The hold-backs of a case when later ones have replaced those with the same first day."""
    by_start = {hold_back.starts: hold_back for hold_back in (*found, *added)}
    return tuple(by_start.values())
