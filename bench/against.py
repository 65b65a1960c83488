"""This tree's benchmarks beside another revision's, in turns on one machine, so that what the machine does meanwhile meets both alike."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.report import Figure, rounded

ROOT: Final = Path(__file__).resolve().parent.parent
OTHER, THIS = "other", "this"
TURNS: Final = (OTHER, THIS, THIS, OTHER)
"""Who runs when. What grows or wears off while they run adds as much to one as to the other."""


class Comparison(Struct, frozen=True):
    """A figure of both trees: the medians of their turns, and how the first compares to the second.

    `ratio` is above one where this tree's value is larger: better for what counts per second, worse for time and memory.
    """

    name: str
    value: float
    unit: str
    against: float
    ratio: float
    samples: Sequence[float]
    samples_against: Sequence[float]


def compare(revision: str, names: Sequence[str], options: Sequence[str]) -> None:
    """Runs each benchmark four times, in the order of TURNS, and prints a line of JSON for each figure that both trees give.

    The other tree runs with the libraries of this one. Raises CalledProcessError where git knows no such revision. What fails in one tree
    is said on standard error and left out.
    """
    with _tree_of(revision) as other:
        places = {OTHER: other, THIS: ROOT}
        for name in names:
            found: dict[str, list[Figure]] = defaultdict(list)
            for turn in TURNS:
                found[turn] += _figures_of(places[turn], name, options)
            for each in comparisons(found):
                print(msgspec.json.encode(each).decode(), flush=True)


def comparisons(found: Mapping[str, Iterable[Figure]]) -> Iterator[Comparison]:
    """The figures that both have, in the order of this tree's."""
    values: dict[str, dict[str, list[float]]] = {turn: defaultdict(list) for turn in (OTHER, THIS)}
    units: dict[str, str] = {}
    for turn, figures in found.items():
        for each in figures:
            values[turn][each.name].append(each.value)
            units[each.name] = each.unit
    for name, ours in values[THIS].items():
        if (theirs := values[OTHER].get(name)) and (base := statistics.median(theirs)):
            value = statistics.median(ours)
            yield Comparison(name, rounded(value), units[name], rounded(base), rounded(value / base), ours, theirs)


@contextmanager
def _tree_of(revision: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kvitt-bench-") as scratch:
        tree = Path(scratch) / "tree"
        subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(tree)], check=True)


def _figures_of(tree: Path, name: str, options: Sequence[str]) -> list[Figure]:
    """The figures of one run in a tree, whose modules come before the ones that are installed."""
    paths = os.pathsep.join([str(tree / "src"), str(tree)])
    command = [sys.executable, "-m", "bench", "--only", name, *options]
    done = subprocess.run(command, cwd=tree, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"{name} failed in {tree}: {last}", file=sys.stderr, flush=True)
    return [*read_figures(done.stdout)]


def read_figures(output: str) -> Iterator[Figure]:
    """The figures among the lines of a run; other lines are what the hub logs."""
    for line in output.splitlines():
        try:
            yield msgspec.json.decode(line, type=Figure, strict=False)
        except msgspec.MsgspecError:
            continue
