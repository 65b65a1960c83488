"""The demo's own judge: replays each case with the answers it got, and compares what shall be paid with the rail's books, day by day.

It knows what each message means from the making of it (`demo.cases`) and uses nothing of the derivation to tell what is right.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from kvitt.demo.cases import WHOLE_CASE, Life, MadeMessage, Pay
from kvitt.disbursement.answers import Answer, Status
from kvitt.rails.oppdrag.comparison import Stretch, stretches
from kvitt.rails.oppdrag.emulator import DaySpan

_RAIL: Final = "OSUR"
_BROKEN_DOWN: Final = 500

Series = tuple[str, str, tuple[Stretch, ...]]
"""Class code, rate, and what is due: the fewest stretches of days that pay the same, or each one-off with its first and last day."""


class Judged(Struct, frozen=True):
    """Judges what the answers of a case leave to be paid, and what of the answers themselves can't be right."""

    paid: tuple[Pay, ...]
    wrong: tuple[str, ...]


def judge(life: Life, answers: Sequence[Answer | None]) -> Judged:
    """Replays a case: what was answered OK holds, what was answered FEILET changes nothing. None: no answer, so nothing changes either."""
    state: dict[str, Pay] = {}
    ever: set[str] = set()
    wrong: list[str] = []
    for number, (step, answer) in enumerate(zip(life.steps, answers, strict=True), start=1):
        if answer is None:
            continue
        if complaint := _complaint(step, answer, ever):
            wrong.append(f"{life.scheme} {life.case_id} message {number} ({step.spoilt or step.shows}): {complaint}")
        if answer.status is Status.OK and not step.spoilt:
            named = {pay.label: pay for pay in step.named}
            state = named if life.scheme in WHOLE_CASE else {**state, **named}
            ever.update(label for label, pay in named.items() if pay.days)
    return Judged(tuple(pay for pay in state.values() if pay.days), tuple(wrong))


def _complaint(step: MadeMessage, answer: Answer, ever: set[str]) -> str:
    """Why this can't be the answer; empty when it can."""
    if step.spoilt:
        return "a mistake was accepted" if answer.status is Status.OK else ""
    if answer.status is Status.OK:
        return ""
    error = answer.error
    if error and error.system == _RAIL and error.status == _BROKEN_DOWN:
        return ""
    if any(not pay.days and pay.label not in ever for pay in step.named):
        return ""
    return f"was refused: {error.text if error else 'without a reason'}"


def differences(lives: Iterable[Life], judged: Iterable[Judged], on_rail: Iterator[tuple[str, str, tuple[DaySpan, ...]]]) -> list[str]:
    """Where the rail's books (area, case id, pieces in force) pay something else than the replayed cases leave to be paid."""
    expected: dict[tuple[str, str], Counter[Series]] = {}
    ours = set()
    for life, outcome in zip(lives, judged, strict=True):
        ours.add(life.case_id)
        for pay in outcome.paid:
            if series := wanted(pay):
                expected.setdefault((pay.area, life.case_id), Counter())[series] += 1
    found = []
    for area, case_id, spans in on_rail:
        if case_id not in ours:
            continue
        paid, due = booked(spans), expected.pop((area, case_id), Counter())
        if paid != due:
            found.append(f"{area} {case_id}: the rail pays {_described(paid - due)} and should pay {_described(due - paid)}")
    found += [f"{area} {case_id}: the rail pays nothing and should pay {_described(due)}" for (area, case_id), due in expected.items()]
    return found


def wanted(pay: Pay) -> Series | None:
    """Returns what shall be due for a payment."""
    dues = stretches(pay.rate, (Stretch(pay.day(days.first), pay.day(days.last), days.amount) for days in pay.days))
    return (pay.class_code, pay.rate, dues) if dues else None


def booked(spans: Sequence[DaySpan]) -> Counter[Series]:
    """Returns what is due by the rail's books, chain by chain; a chain that pays nothing is none."""
    chains: dict[tuple[str, str, str], list[Stretch]] = {}
    for span in spans:
        chains.setdefault((span.chain_first_line_id, span.class_code, span.rate_code), []).append(
            Stretch(span.start, span.end, span.amount)
        )
    joined = [(class_code, rate, stretches(rate, pieces)) for (_, class_code, rate), pieces in chains.items()]
    return Counter(each for each in joined if each[2])


def _described(series: Counter[Series]) -> str:
    return "; ".join(f"{code} {len(dues)} × from {dues[0].start} to {dues[-1].end}" for code, _, dues in series) or "nothing else"
