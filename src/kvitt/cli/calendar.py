"""A schedule drawn for the eye: a week to a row, what is due on each day, weeks that look alike folded into one row."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Final

from msgspec import Struct
from rich import box
from rich.table import Table
from rich.text import Text

ONE_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=7)
_FOLD_FROM: Final = 3
_STYLES: Final = ("green", "cyan", "magenta", "yellow", "blue")
_MOST_DAYS: Final = 366 * 20
"""A schedule is drawn for so many days; a line without end would be drawn for ever."""


class Due(Struct, frozen=True):
    """Whole kroner due on a day for something that has a name."""

    day: date
    amount: int
    name: str


def due_days(rate: str, start: date, end: date) -> Iterable[date]:
    """The days on which a rate of the rail falls due: each (DAG7), each weekday (DAG), the first of each month (MND), once (ENG)."""
    if rate not in ("DAG", "DAG7", "MND"):
        yield start
        return
    for offset in range(min((end - start).days + 1, _MOST_DAYS)):
        day = start + offset * ONE_DAY
        if rate == "DAG7" or (rate == "DAG" and day.isoweekday() <= 5) or (rate == "MND" and (offset == 0 or day.day == 1)):
            yield day


def draw(dues: Sequence[Due], title: str = "") -> Table:
    """The calendar of these days; each name has a colour, amounts of one day are added up. Empty weeks between others are folded too."""
    table = Table(box=box.SIMPLE, title=title or None, title_justify="left", pad_edge=False)
    table.add_column("week of", style="dim")
    for name in ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"):
        table.add_column(name, justify="right", min_width=4)
    table.add_column("", style="dim")
    if not dues:
        table.add_row("nothing is due", *[""] * 8)
        return table
    styles = {name: _STYLES[place % len(_STYLES)] for place, name in enumerate(sorted({due.name for due in dues}))}
    for cells, group in groupby(_weeks(dues, styles), key=lambda week: week[1]):
        weeks = list(group)
        if len(weeks) < _FOLD_FROM:
            for monday, _ in weeks:
                table.add_row(f"{monday:%Y-%m-%d}", *_texts(cells), "")
        else:
            table.add_row(f"{weeks[0][0]:%Y-%m-%d}", *_texts(cells), f"× {len(weeks)} weeks")
    if len(styles) > 1:
        table.caption = Text("  ").join(Text(name, style) for name, style in styles.items())
        table.caption_justify = "left"
    return table


_Cell = tuple[int, str]


def _weeks(dues: Sequence[Due], styles: dict[str, str]) -> Iterable[tuple[date, tuple[_Cell, ...]]]:
    by_day: dict[date, _Cell] = {}
    for due in dues:
        amount, _ = by_day.get(due.day, (0, ""))
        by_day[due.day] = (amount + due.amount, styles[due.name])
    monday = min(by_day) - min(by_day).weekday() * ONE_DAY
    while monday <= max(by_day):
        yield monday, tuple(by_day.get(monday + place * ONE_DAY, (0, "dim")) for place in range(7))
        monday += _WEEK


def _texts(cells: Sequence[_Cell]) -> list[Text]:
    return [Text(str(amount) if amount else "·", style) for amount, style in cells]
