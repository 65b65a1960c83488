"""Benchmarks of two trees are compared figure by figure, by what both of them have."""

import msgspec
from bench.against import OTHER, THIS, comparisons, read_figures
from bench.report import Figure


def figure(name: str, value: float, unit: str = "messages/s") -> Figure:
    return Figure(name=name, value=value, unit=unit, on="10 messages")


def test_the_medians_of_the_turns_are_compared() -> None:
    ours, theirs = [figure("submit", 110), figure("submit", 90)], [figure("submit", 60), figure("submit", 40)]
    (found,) = comparisons({THIS: ours, OTHER: theirs})
    assert (found.value, found.against, found.ratio) == (100, 50, 2)
    assert (found.samples, found.samples_against) == ([110, 90], [60, 40])


def test_what_only_one_tree_measures_is_left_out() -> None:
    found = comparisons({THIS: [figure("new", 1), figure("both", 3)], OTHER: [figure("old", 1), figure("both", 3)]})
    assert [each.name for each in found] == ["both"]


def test_what_the_hub_logs_is_no_figure() -> None:
    line = msgspec.json.encode(figure("submit", 5)).decode()
    assert [each.value for each in read_figures(f"2026-07-01 [info] hub starts\n{line}\n{{}}\n")] == [5]
