"""Every command of the console script with a value for each thing it takes, and values that nobody should hand in."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from kvitt.app.main import main
from kvitt.cli.who import ByOption
from support.console_script import EXAMPLES

UNUSABLE: Final = {
    "empty": "",
    "blank": "  ",
    "NUL": "a\0b",
    "no UTF-8": "a\udcffb",
}
"""Never a value of anything."""
NO_NUMBER: Final = {
    "exponent": "1e20",
    "beyond bigint": "99999999999999999999",
    "far below": "-99999999999999999999",
    "not a number": "nan",
    "other digits": "٣",
    "underscore": "1_0",
    "words": "one",
}
ODD: Final = {
    "negative": "-1",
    "endless": "inf",
    "escape sequence": "\x1b[2J\x1b]0;mine\x07",
    "turned round": "pay \u202e001",
    "lines": "one\ntwo",
    "very long": "x" * 5000,
    "ellipsis": "5f2c…",
    "dots": "...",
    "percent": "%s %(a)s",
    "quote": "'; --",
    "path": "../../../",
    "no day": "2026-13-45",
    "last moment": "9999-12-31T23:59:59Z",
    "astral": "\U0010ffff",
}
COMMON: Final = frozenset({"config", "data", "database", "log_level"})
"""Taken by every command in one way; tried on one of them."""
LONG_RUNNING: Final = frozenset({"up", "demo", "emulator run", "simulation again"})
"""They are given a database that is not there: what they take is read before that."""
ALSO: Final = {"run": ["--show-config"], "sending stop": ["--all"], "sending resume": ["--all"]}
"""What makes a command line whole beyond what it must have, or makes it end."""


def commands() -> Iterator[tuple[str, click.Command]]:
    """The commands that do something, by what is typed."""
    yield from _leaves(main, ())


def members(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """The commands of a group, by name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield name, command


def _leaves(group: click.Group, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    for name, command in members(group):
        if isinstance(command, click.Group):
            yield from _leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def usual(parameter: click.Parameter, known: Mapping[str, str]) -> str:
    """A value that is one, for a parameter that has to be given."""
    assert parameter.name is not None
    kind = parameter.type
    if parameter.name in known:
        return known[parameter.name]
    if isinstance(kind, click.Choice):
        return str(kind.choices[0])
    if isinstance(kind, click.Path):
        return str(EXAMPLES / "dp" / "01-first-two-periods.json")
    return "1" if is_number(parameter) else f"some-{parameter.name}"


def is_number(parameter: click.Parameter) -> bool:
    """Whether it takes a number."""
    return isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType)


def valued(command: click.Command) -> list[click.Parameter]:
    """What takes a value."""
    return [
        each for each in command.params if not (isinstance(each, click.Option) and (each.is_flag or each.count)) and each.name not in COMMON
    ]


def typed(path: str, command: click.Command, known: Mapping[str, str], other: Mapping[str, str], where: Sequence[str]) -> list[str]:
    """A command line: everything that has to be given, `other` in place of what is usual, and `where` the data is."""
    line, behind = path.split(), []
    for parameter in command.params:
        assert parameter.name is not None
        flag = isinstance(parameter, click.Option) and parameter.is_flag
        needed = parameter.required or (isinstance(parameter, ByOption) and parameter.needed)
        if parameter.name == "dry_run" or (parameter.required and flag):
            line.append(parameter.opts[0])
        elif parameter.name in other or (needed and not flag):
            given: Any = other.get(parameter.name, usual(parameter, known))
            values = [given] * max(parameter.nargs, 1)
            if isinstance(parameter, click.Option):
                line += [parameter.opts[0], *values] if parameter.nargs > 1 else [f"{parameter.opts[0]}={given}"]
            else:
                behind += values
    line += ALSO.get(path, [])
    located = any(each.name == "data" for each in command.params)
    return [*line, *(where if located else []), *(["--", *behind] if behind else [])]
