"""Lines that their sender made, and which of them pay again what the case already pays (design §7, §8; spenn §2.1)."""

from collections.abc import Iterable, Sequence
from datetime import date

from msgspec import Struct

from kvitt.rules.needs import Change, Need


class ForwardedLine(Struct, frozen=True):
    """A line of an accepted order, as its sender made it; `ceased_from` says that it cuts its chain from that day."""

    line_id: str
    refers_to: str | None
    class_code: str
    start: date
    end: date
    amount: int
    ceased_from: date | None


def line_name(case_id: str, line_id: int) -> str:
    """The name of a forwarded line over all cases: senders count their lines anew in each case."""
    return f"{case_id}#{line_id}"


def repeated_lines(need: Need, accepted: Sequence[ForwardedLine]) -> tuple[int, ...]:
    """The lines of a need that begin a chain of their own and equal a line which is accepted and not ceased.

    A line that refers to another overwrites its chain, so it pays nothing twice, whatever it equals.
    """
    paid = {(line.class_code, line.start, line.end, line.amount) for line in _standing(accepted)}
    fresh = (line for line in need.lines if line.change is Change.NEW and line.ref_line is None and not line.ceased)
    return tuple(line.line_id for line in fresh if (line.class_code, line.start, line.end, line.amount) in paid)


def _standing(accepted: Sequence[ForwardedLine]) -> Iterable[ForwardedLine]:
    """The lines that no later cessation has taken away altogether."""
    standing: dict[str, ForwardedLine] = {}
    for line in accepted:
        if line.ceased_from is None:
            standing[line.line_id] = line
            continue
        name: str | None = line.line_id
        seen: set[str] = set()
        # A sender may write references that go round in a circle.
        while name is not None and name not in seen and (cut := standing.get(name)):
            seen.add(name)
            if line.ceased_from <= cut.start:
                del standing[name]
            name = cut.refers_to
    return standing.values()
