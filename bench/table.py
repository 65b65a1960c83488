"""The figures of a run as one table, to be kept beside the code and compared with those of another run."""

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.report import Figure, Target
from bench.spent import Spent

_HEAD: Final = (
    ("figure", "value", "unit", "asked", "ratio", "hub", "callers", "server", "log", "on"),
    ("---", "---:", "---", "---:", "---:", "---:", "---:", "---:", "---:", "---"),
)
_ABOUT: Final = """# What the benchmarks measured

By `python -m bench --table FILE` (`make bench` writes this one) on {machine}, {day}. The value is the best round's, the ratio that to the
baseline measured in the same run. `hub`, `callers` and `server` are CPU-seconds for 1,000 units, `log` bytes of the server's log for one,
all rounds together; where no callers are named, they are the hub's own process. Durability: {durability}.

"""


def table(figures: Sequence[Figure]) -> str:
    """Returns a page of Markdown with a row for each figure, in the order in which they were measured."""
    settings = {f"{name} {value}" for each in figures if (said := each.durability) for name, value in _fields(said)}
    machine = f"{os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}"
    about = _ABOUT.format(machine=machine, day=f"{datetime.now(UTC):%Y-%m-%d}", durability=", ".join(sorted(settings)) or "not asked")
    return about + "".join(f"| {' | '.join(row)} |\n" for row in [*_HEAD, *map(_row, figures)])


def _row(figure: Figure) -> Iterable[str]:
    target = _asked(figure.target) + ("" if figure.met is not False else ", missed") if figure.target else ""
    ratio = "" if figure.ratio is None else f"{figure.ratio:g}"
    return figure.name, f"{figure.value:g}", figure.unit, target, ratio, *_used(figure.spent), figure.on.replace("|", "/")


def _asked(target: Target) -> str:
    return f"≥ {target.least:g}" if target.least is not None else f"≤ {target.most:g}"


def _used(spent: Spent | None) -> Sequence[str]:
    if spent is None:
        return "", "", "", ""
    return f"{spent.hub:g}", f"{spent.callers:g}" if spent.callers else "", f"{spent.server:g}", f"{spent.log_bytes:g}"


def _fields(said: object) -> Iterator[tuple[str, object]]:
    yield from ((name, getattr(said, name)) for name in type(said).__struct_fields__)  # type: ignore[attr-defined]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
