"""The difference between a dead letter and what is put in its place, for people: of a long line what differs and what is around it."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import takewhile, zip_longest
from typing import Final

_AROUND: Final = 40
_LONG: Final = 3 * _AROUND
_BETWEEN: Final = re.compile(r"[{}\[\],:<>]")
"""What ends a word or a number, a person's too: a cut through one would leave a half that nothing masks."""


def difference(before: str, after: str) -> Iterator[str]:
    """Yields what is taken out and what is put in, line by line in their order."""
    was, now = before.splitlines(), after.splitlines()
    for kind, first, last, new_first, new_last in SequenceMatcher(None, was, now).get_opcodes():
        if kind != "equal":
            for out, put in zip_longest(was[first:last], now[new_first:new_last]):
                yield from _pair(out, put)


def _pair(out: str | None, put: str | None) -> Iterator[str]:
    start = end = 0
    if out is not None and put is not None:
        start = _alike(out, put)
        end = _alike(out[start:][::-1], put[start:][::-1])
    for said, line in (("taken out", out), ("put in", put)):
        if line is not None:
            yield f"{said}: {_narrowed(line, start, len(line) - end)}"


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _narrowed(line: str, start: int, end: int) -> str:
    """The line from before a place to behind another one; all of it where it is not long."""
    if len(line) <= _LONG:
        return line
    before, after = line[: max(start - _AROUND, 0)], line[end + _AROUND :]
    first = max((each.end() for each in _BETWEEN.finditer(before)), default=0)
    behind = _BETWEEN.search(after)
    last = len(line) - len(after) + behind.start() if behind else len(line)
    return f"{'… ' if first else ''}{line[first:last].strip()}{' …' if last < len(line) else ''}"
