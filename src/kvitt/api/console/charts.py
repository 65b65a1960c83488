"""Charts: where each bar and step of a drawing stands, in whole units of it. The macros of `charts.html` print them, with a table behind.

A scale always holds zero, and its marks are round numbers. Nothing here knows a colour or a pixel.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup
from msgspec import Struct

from kvitt.api.console import showing

WIDTH: Final = 320
HEIGHT: Final = 120
LEFT: Final = 62
RIGHT: Final = 314
TOP: Final = 8
BOTTOM: Final = 102
_MOST_MARKS: Final = 4
_MOST_LABELS: Final = 8
_ROUND: Final = (1, 2, 5)
_OSLO: Final = ZoneInfo("Europe/Oslo")
WriteValue = Callable[[int], str]
"""Writes a value for people, as text."""


class ScaleMark(Struct, frozen=True):
    """A round number on the scale, and the height at which it stands."""

    y: int
    text: str


class Scale(Struct, frozen=True):
    """From which number to which a drawing goes, in steps of which size; higher numbers stand nearer to `top`."""

    lowest: int
    highest: int
    step: int
    top: int = TOP
    bottom: int = BOTTOM

    def y(self, value: int) -> int:
        """The height of a value."""
        return self.bottom - (value - self.lowest) * (self.bottom - self.top) // (self.highest - self.lowest)

    def marks(self, write: WriteValue) -> Sequence[ScaleMark]:
        """The round numbers, lowest first."""
        return [ScaleMark(self.y(each), write(each)) for each in range(self.lowest, self.highest + 1, self.step)]


class Bar(Struct, frozen=True):
    """A bar with its value, and what it is compared with; `usual_y` None: there is nothing to compare with."""

    label: str
    text: str
    x: int
    y: int
    width: int
    height: int
    is_labelled: bool
    usual_text: str
    usual_y: int | None


class BarChart(Struct, frozen=True):
    """Bars side by side."""

    bars: Sequence[Bar]
    marks: Sequence[ScaleMark]
    zero_y: int

    @property
    def is_compared(self) -> bool:
        """Whether any bar is compared with something."""
        return any(bar.usual_y is not None for bar in self.bars)


class ChartStep(Struct, frozen=True):
    """A value that stands from a time on."""

    label: Markup
    text: str


class StepChart(Struct, frozen=True):
    """A line of steps, as the `d` of a path; `begins` and `ends` are what stands below its two ends."""

    steps: Sequence[ChartStep]
    marks: Sequence[ScaleMark]
    zero_y: int
    path: str
    begins: str
    ends: str


class BarValue(Struct, frozen=True):
    """The value of a bar, and the usual one there; None: nothing is known to be usual."""

    label: str
    value: int
    usual: int | None = None


def scale_of(values: Sequence[int], top: int = TOP, bottom: int = BOTTOM) -> Scale:
    """The scale that holds all of these values and zero, with a few round marks."""
    least, most = min(0, *values, 0), max(0, *values, 0)
    step = _round_above(-(-(most - least) // _MOST_MARKS) or 1)
    lowest, highest = least // step * step, -(-most // step) * step
    return Scale(lowest, highest if highest > lowest else step, step, top, bottom)


def bar_chart(values: Sequence[BarValue], write: WriteValue = showing.grouped) -> BarChart:
    """A bar for each value, in their order."""
    scale = scale_of([number for each in values for number in (each.value, each.usual) if number is not None])
    every = -(-len(values) // _MOST_LABELS)
    width = (RIGHT - LEFT) / max(1, len(values))
    bars = [_bar(each, LEFT + place * width, width, scale, write, is_labelled=place % every == 0) for place, each in enumerate(values)]
    return BarChart(bars, scale.marks(write), scale.y(0))


def step_chart(steps: Sequence[tuple[datetime | date, int]], write: WriteValue = showing.grouped) -> StepChart | None:
    """A line that keeps each value until the next one's time, oldest first; None where there is no value."""
    if not steps:
        return None
    scale = scale_of([value for _, value in steps])
    path = _path(steps, scale)
    (first, _), (last, _) = steps[0], steps[-1]
    return StepChart(_steps(steps, write), scale.marks(write), scale.y(0), path, _short(first), _short(last))


def _round_above(least: int) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, … that is not below."""
    power: int = 10 ** (len(str(least)) - 1)
    return next(each * power for each in (*_ROUND, 10) if each * power >= least)


def _bar(value: BarValue, left: float, width: float, scale: Scale, write: WriteValue, *, is_labelled: bool) -> Bar:
    gap = min(4, width / 5)
    high, low = sorted((scale.y(value.value), scale.y(0)))
    usual = value.usual
    return Bar(
        label=value.label,
        text=write(value.value),
        x=round(left + gap),
        y=high,
        width=max(1, round(width - 2 * gap)),
        height=low - high,
        is_labelled=is_labelled,
        usual_text="" if usual is None else write(usual),
        usual_y=None if usual is None else scale.y(usual),
    )


def _path(steps: Sequence[tuple[datetime | date, int]], scale: Scale) -> str:
    """Goes right until the next value's time, and then up or down to it."""
    begins, lasts = _seconds(steps[0][0]), _seconds(steps[-1][0]) - _seconds(steps[0][0]) or 1
    points = [(LEFT + round((RIGHT - LEFT) * (_seconds(at) - begins) / lasts), scale.y(value)) for at, value in steps]
    (first, height), *others = points
    return f"M{first} {height}{''.join(f'H{x}V{y}' for x, y in others)}{'' if others else f'H{RIGHT}'}"


def _steps(steps: Sequence[tuple[datetime | date, int]], write: WriteValue) -> Sequence[ChartStep]:
    return [ChartStep(showing.moment(at) if isinstance(at, datetime) else showing.day(at), write(value)) for at, value in steps]


def _seconds(at: datetime | date) -> float:
    return at.timestamp() if isinstance(at, datetime) else at.toordinal() * 86_400.0


def _short(at: datetime | date) -> str:
    return f"{at.astimezone(_OSLO):%d.%m. %H:%M}" if isinstance(at, datetime) else f"{at:%d.%m.%Y}"
