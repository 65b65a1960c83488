"""Lists and tables, all of one make: which columns there are is said once, for the eye and for `--json`.

Ids and amounts are never cut. What does not fit the terminal's width yields from its line, long texts first, and stands below the row it
belongs to, under its own name. Into a file or a pipe a table is as wide as it likes.
"""

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final

import click
from msgspec import Struct, json

from kvitt.cli.arguments import Whole
from kvitt.cli.text import moment, shown, shown_json

MOST: Final = 100_000
READ_AHEAD: Final = 1000
"""A list reads so many more than it shows, to say how many it leaves out; beyond, it says `at least`."""
_GAP: Final = "  "
_BELOW: Final = "    "
_LEAST_TEXT: Final = 20


class Fit(Enum):
    """How a column behaves where there is not room for all."""

    WORD = auto()
    """Short, never broken: ids, states, moments."""
    NUMBER = auto()
    """As a word, grouped and on the right."""
    TEXT = auto()
    """Long; the first to yield, and broken between words."""
    HIDDEN = auto()
    """For `--json` only."""


class Column(Struct, frozen=True):
    """One field of a row: its name in JSON (the glossary's, with the unit of an amount), and how a person sees it.

    `of` returns the value, the row's attribute of that name otherwise; `show` returns its text, which is made of the value otherwise.
    `least` is a width in characters that the column has in any case.
    """

    name: str
    title: str = ""
    kind: Fit = Fit.WORD
    of: Callable[[Any], object] | None = None
    show: Callable[[Any], str] | None = None
    least: int = 0
    seen_only: bool = False

    def value(self, row: object) -> object:
        """Returns what JSON has."""
        return getattr(row, self.name) if self.of is None else self.of(row)

    def text(self, row: object) -> str:
        """Returns what a person sees, on one line."""
        if self.show is not None:
            return shown(self.show(row))
        value = self.value(row)
        if value is None:
            return ""
        if isinstance(value, datetime):
            return moment(value)
        return f"{value:,}" if self.kind is Fit.NUMBER and isinstance(value, int) else shown(value)

    @property
    def heading(self) -> str:
        """Returns what stands above it."""
        return self.title or self.name.replace("_", " ")


json_option = click.option("--json", "as_json", is_flag=True, help="JSON, one object per line.")
limit_option = click.option(
    "--limit", default=100, show_default=True, type=Whole(1, MOST), help="At most so many; what is left out is counted."
)


def print_list(columns: Sequence[Column], rows: Sequence[object], *, limit: int, as_json: bool, nothing: str) -> None:
    """Prints the first `limit` of the rows and how many are left out of those that were read: `limit + READ_AHEAD` at most.

    `nothing` is said where there are no rows.
    """
    if as_json:
        print_json(columns, rows[:limit])
    elif rows:
        print_table(columns, rows[:limit])
    else:
        click.echo(nothing)
    if (left := len(rows) - limit) > 0:
        click.echo(f"more: {'at least ' if left >= READ_AHEAD else ''}{left:,} left out by --limit {limit}", err=as_json)


def print_json(columns: Sequence[Column], rows: Iterable[object]) -> None:
    """One object per line."""
    fields = [column for column in columns if not column.seen_only]
    for row in rows:
        click.echo(shown_json(json.encode({column.name: column.value(row) for column in fields}).decode()))


def print_table(columns: Sequence[Column], rows: Iterable[object]) -> None:
    """A table that fits the terminal."""
    for line in table(columns, rows, terminal_width()):
        click.echo(line)


def print_described(columns: Sequence[Column], row: object) -> None:
    """One thing, a field to a line."""
    for line in described(columns, row, terminal_width()):
        click.echo(line)


def terminal_width() -> int | None:
    """How many characters a line may have; None where it goes into a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(columns: Sequence[Column], rows: Iterable[object], width: int | None = None, *, headed: bool = True) -> Iterator[str]:
    """The lines of a table, with its heading, none wider than `width` unless a single id or number is."""
    seen = [column for column in columns if column.kind is not Fit.HIDDEN]
    cells = [[column.text(row) for column in seen] for row in rows]
    widths = [
        max(column.least, cell_width(column.heading), *(cell_width(row[place]) for row in cells)) for place, column in enumerate(seen)
    ]
    beside = _beside(seen, widths, width)
    there, wide = [seen[place] for place in beside], [widths[place] for place in beside]
    if headed:
        yield _line([column.heading for column in there], there, wide)
        yield "─" * (sum(wide) + len(_GAP) * (len(wide) - 1))
    for row in cells:
        yield _line([row[place] for place in beside], there, wide)
        yield from _below([(seen[place], row[place]) for place in range(len(seen)) if place not in beside and row[place]], width or 0)


def described(columns: Sequence[Column], row: object, width: int | None = None) -> Iterator[str]:
    """One thing, a field to a line, what is empty left out; texts that are too long go on below themselves."""
    fields = [(column, cell) for column in columns if column.kind is not Fit.HIDDEN and (cell := column.text(row))]
    names = max((cell_width(column.heading) for column, _ in fields), default=0)
    for column, cell in fields:
        room = max(width - names - len(_GAP), _LEAST_TEXT) if width and column.kind is Fit.TEXT else cell_width(cell)
        for number, part in enumerate(folded(cell, room)):
            heading = "" if number else column.heading
            yield f"{heading}{' ' * (names - cell_width(heading))}{_GAP}{part}".rstrip()


def prose(text: str) -> Iterator[str]:
    """A sentence made fit for the terminal, over as many lines as it takes there."""
    width = terminal_width()
    yield from folded(shown(text), max(width, _LEAST_TEXT)) if width else [shown(text)]


def cell_width(text: str) -> int:
    """How many places the text takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def folded(text: str, width: int) -> Iterator[str]:
    """The text over lines of at most `width` places, broken between words; a word that is longer than that is broken too."""
    line = ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if cell_width(joined) <= width:
            line = joined
            continue
        if line:
            yield line
        line = word
        while cell_width(line) > width:
            taken = next(place for place in range(len(line), 0, -1) if cell_width(line[:place]) <= width or place == 1)
            yield line[:taken]
            line = line[taken:]
    yield line


def _beside(columns: Sequence[Column], widths: Sequence[int], width: int | None) -> list[int]:
    """The columns that stand beside each other: all that fit, the first in any case. Texts yield before words, the last of each first."""
    beside = list(range(len(columns)))
    yielding = sorted(beside[1:], key=lambda place: (columns[place].kind is not Fit.TEXT, -place))
    while width is not None and yielding and sum(widths[place] for place in beside) + len(_GAP) * (len(beside) - 1) > width:
        beside.remove(yielding.pop(0))
    return beside


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    padded = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        space = " " * (width - cell_width(cell))
        padded.append(space + cell if column.kind is Fit.NUMBER else cell + space)
    return _GAP.join(padded).rstrip()


def _below(fields: Sequence[tuple[Column, str]], width: int) -> Iterator[str]:
    """Returns what yielded from a row: words in a row as long as they fit, each text on lines of its own."""
    line = ""
    for column, cell in fields:
        if column.kind is Fit.TEXT:
            continue
        named = f"{column.heading} {cell}"
        if line and cell_width(_BELOW + line + _GAP + named) > width:
            yield _BELOW + line
            line = ""
        line = f"{line}{_GAP}{named}" if line else named
    if line:
        yield _BELOW + line
    for column, cell in fields:
        if column.kind is Fit.TEXT:
            for part in folded(f"{column.heading}: {cell}", max(width - len(_BELOW), _LEAST_TEXT)):
                yield _BELOW + part
