"""Kinds of arguments of commands: numbers with a bound, files that are read up to a bound, and texts that store and terminal can hold.

What can not be used ends the command with one sentence that names the argument and the rule, and status 2.
"""

import os
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from kvitt.cli.text import shown

BIGGEST: Final = 2**63 - 1
MOST_BYTES: Final = 32 * 1024 * 1024
"""No message, list of settings or file of parties is longer; a device or a pipe without end is refused after so many bytes."""
_EMPTY: Final = "it is empty: leave it out, or give it a value"
_NUL: Final = "it holds NUL"
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?", re.ASCII)
_DIGITS: Final = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)


class Whole(click.IntRange):
    """A whole number in a range, in ASCII digits and nothing else."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; fails with the range."""
        if isinstance(value, str) and not _DIGITS.fullmatch(value.strip()):
            bound = "" if self.max is None else f" of at most {self.max}"
            self.fail(f"{value[:40]!r} is no whole number{bound}", param, ctx)
        return int(super().convert(value, param, ctx))

    def _describe_range(self) -> str:
        """The range as help and errors say it; a bound of 64 bits by its name."""
        return super()._describe_range().replace(str(-BIGGEST - 1), "-2^63").replace(str(BIGGEST), "2^63-1")


NUMBER: Final = Whole(1, BIGGEST)
FROM_ZERO: Final = Whole(0, BIGGEST)
ANY_NUMBER: Final = Whole(-BIGGEST - 1, BIGGEST)


class UpTo(click.FloatRange):
    """A number from nothing to a most; what is not a number is none."""

    name = "number"

    def __init__(self, most: float) -> None:
        super().__init__(0, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number; fails with the range."""
        if isinstance(value, str) and not _DECIMAL.fullmatch(value.strip()):
            self.fail(f"{value[:40]!r} is no number", param, ctx)
        return float(super().convert(value, param, ctx))


SECONDS: Final = UpTo(7 * 24 * 3600)
PROBABILITY: Final = UpTo(1)


class Moment(click.ParamType[datetime]):
    """A moment as RFC 3339 with its zone, or a day, which begins at midnight UTC."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment in UTC; fails for what is none."""
        if isinstance(value, datetime):
            return value
        text = str(value)
        try:
            at = datetime.fromisoformat(text)
            moment = at.replace(tzinfo=UTC) if _is_day(text) else at.astimezone(UTC) if at.tzinfo else None
        except (ValueError, OverflowError):
            moment = None
        if moment is None:
            self.fail(f"{shown(text)[:40]!r} is no moment: write 2026-11-28, or 2026-11-28T08:00:00Z", param, ctx)
        return moment


def _is_day(text: str) -> bool:
    return len(text) == len("2026-11-28")


class Named(click.Path):
    """A path that is said, and has no NUL: an empty one would be the working directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; fails for one that names nothing."""
        given = os.fsdecode(value)
        if not given.strip():
            self.fail(_EMPTY, param, ctx)
        if "\0" in given:
            self.fail(_NUL, param, ctx)
        try:
            return super().convert(value, param, ctx)
        except OSError as error:
            self.fail(f"{shown(given)[:80]!r}: {error.strerror}", param, ctx)


def existing_file(*, or_dash: bool = False) -> Named:
    """A file that is there, to be read by `content_of`; - stands for standard input where `or_dash` says so."""
    return Named(exists=True, dir_okay=False, allow_dash=or_dash, path_type=Path)


def content_of(path: Path, argument: str) -> bytes:
    """The bytes of a file, or of standard input for -, without the byte order mark that editors put in front.

    Ends the command when they can not be read, or are too many.
    """
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise click.BadParameter(f"{shown(path)} can not be read: {error.strerror}", param_hint=argument) from None
    if len(content) > MOST_BYTES:
        raise click.BadParameter(f"{shown(path)} is longer than {MOST_BYTES:,} bytes", param_hint=argument)
    return content.removeprefix(BOM_UTF8)


def refuse_unusable(context: click.Context) -> None:
    """Ends the command when one of its texts is empty, holds NUL, or was typed as bytes that are no UTF-8."""
    for parameter, text in _texts(context):
        if problem := _problem(text):
            raise click.BadParameter(problem, ctx=context, param=parameter)


def _texts(context: click.Context) -> Iterator[tuple[click.Parameter, str]]:
    for parameter in context.command.params:
        given = context.params.get(parameter.name or "")
        for value in given if isinstance(given, tuple | list) else (given,):
            if isinstance(value, str):
                yield parameter, value


def _problem(text: str) -> str | None:
    if not text.strip():
        return _EMPTY
    if "\0" in text:
        return _NUL
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "it holds bytes that are no UTF-8"
    return None
