"""The rail's chain rule against a model that keeps a dictionary of days, for arbitrary histories."""

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from kvitt.rails.oppdrag.emulator.decide import KnownCases, decide
from kvitt.rails.oppdrag.emulator.order import (
    CaseAtRail,
    ChangeCode,
    LineEntry,
    ReceivedLine,
    ReceivedOrder,
)
from kvitt.rails.oppdrag.emulator.schedule import ONE_DAY, pieces

CASE = CaseAtRail("AAP", "SAK-1")
FIRST = date(2026, 1, 1)
DAYS = st.integers(0, 30).map(lambda offset: FIRST + timedelta(days=offset))


class Step(Struct, frozen=True):
    """A new line (joining the chain of an earlier one, or a chain of its own), or the cessation of an earlier line's chain."""

    starts: date
    length: int
    amount: int
    joins: int | None
    ceases: int | None


STEPS = st.builds(
    Step,
    starts=DAYS,
    length=st.integers(0, 12),
    amount=st.integers(1, 5),
    joins=st.none() | st.integers(0, 20),
    ceases=st.none() | st.integers(0, 20),
)


def as_lines(steps: list[Step]) -> list[ReceivedLine]:
    """The steps as lines of an order; a step that points back takes one of the new lines before it."""
    lines: list[ReceivedLine] = []
    for place, step in enumerate(steps):
        new = [line for line in lines if line.change is ChangeCode.NEW]
        if step.ceases is not None and new:
            named = new[step.ceases % len(new)]
            lines.append(cessation(named, step.starts))
        else:
            ref = new[step.joins % len(new)].line_id if step.joins is not None and new else ""
            lines.append(new_line(f"L{place}", step, ref))
    return lines


def new_line(line_id: str, step: Step, ref: str) -> ReceivedLine:
    ends = step.starts + timedelta(days=step.length)
    ref_case = CASE.case_id if ref else ""
    return ReceivedLine(
        change=ChangeCode.NEW,
        status="",
        status_from=None,
        line_id=line_id,
        class_code="AAPOR",
        class_from=step.starts,
        starts=step.starts,
        ends=ends,
        amount=step.amount,
        rate_code="DAG7",
        decided_rate=None,
        ref_case=ref_case,
        ref_line=ref,
    )


def cessation(of: ReceivedLine, day: date) -> ReceivedLine:
    return replace(
        of, change=ChangeCode.CHANGE, status="OPPH", status_from=day, class_from=None, decided_rate=None, ref_case="", ref_line=""
    )


def by_dictionary(lines: list[ReceivedLine]) -> dict[tuple[str, date], str]:
    """The naive model: which line pays on each day of each chain."""
    valid: dict[tuple[str, date], str] = {}
    chain_of: dict[str, str] = {}
    for line in lines:
        if line.change is ChangeCode.NEW:
            chain_of[line.line_id] = chain_of.get(line.ref_line, line.line_id)
        chain = chain_of[line.line_id]
        first = line.starts if line.status_from is None else line.status_from
        valid = {(other, day): pays for (other, day), pays in valid.items() if other != chain or day < first}
        if line.change is ChangeCode.NEW:
            assert line.ends is not None
            day = line.starts
            while day <= line.ends:
                valid[chain, day] = line.line_id
                day += ONE_DAY
    return valid


def by_emulator(lines: list[ReceivedLine], cuts: list[int]) -> dict[tuple[str, date], str]:
    """The emulator's answer when the lines come in several orders, split at `cuts`."""
    known = KnownCases([], [], [])
    entries: list[LineEntry] = []
    edges = sorted({0, len(lines), *(cut % (len(lines) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        order = ReceivedOrder(CASE, "1", ChangeCode.CHANGE if start else ChangeCode.NEW, "01020312345", (), tuple(lines[start:end]))
        decision = decide(order, known, FIRST)
        assert decision.answer.severity == "00", decision.answer
        known.add(order, decision)
        entries += decision.entries
    found: dict[tuple[str, date], str] = {}
    for span in pieces(entries):
        for offset in range((span.end - span.start).days + 1):
            key = (span.chain_first_line_id, span.start + timedelta(days=offset))
            assert key not in found, "two lines pay on one day of a chain"
            found[key] = span.line_id
    return found


@given(st.lists(STEPS, min_size=1, max_size=15), st.lists(st.integers(0, 20), max_size=4))
def test_on_each_day_of_a_chain_the_same_line_pays_as_in_a_dictionary_of_days(steps: list[Step], cuts: list[int]) -> None:
    lines = as_lines(steps)
    assert by_emulator(lines, cuts) == by_dictionary(lines)


def test_the_edges_of_the_calendar_do_no_harm() -> None:
    lines = [
        new_line("L0", Step(date.min, 0, 1, None, None), ""),
        new_line("L1", Step(date.max, 0, 1, None, None), "L0"),
    ]
    assert by_emulator(lines, []) == {("L0", date.min): "L0", ("L0", date.max): "L1"}
    assert by_emulator([*lines, cessation(lines[0], date.min)], []) == {}
