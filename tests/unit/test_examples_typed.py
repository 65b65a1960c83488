"""Every command line that the help or a page shows can be typed: each is understood by the command that it names."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kvitt.app.main import main
from support.cli_values import commands, members

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))))
_BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PLACEHOLDER = re.compile(r"…|<[a-z ]+>")
_GIVEN = {"N": "1", "CASE_ID": "AZ111", "ORDER": "5f2c0d3a", "PAYOUT": "p-1", "ACCOUNT": "1"}


def of_help() -> Iterator[tuple[str, str]]:
    for path, command in commands():
        for line in example_lines(command.epilog or ""):
            yield path, line


def example_lines(epilog: str) -> Iterator[str]:
    joined = epilog.replace("\\\n", " ")
    for line in joined.splitlines():
        if line.startswith("  kvitt "):
            yield line.strip()


def of_pages() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in _BLOCK.findall((ROOT / page).read_text("utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                typed = line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
                if typed.startswith("kvitt ") and not _PLACEHOLDER.search(typed):
                    yield page, typed


def understood(line: str) -> None:
    """Parses the line as the shell and click do, up to but without doing it."""
    words = [_GIVEN.get(word, word) for word in shlex.split(line, comments=True)]
    words = words[: next((place for place, word in enumerate(words) if word in (">", "|", "&&")), len(words))]
    command: click.Command = main
    context = click.Context(main, info_name="kvitt")
    rest = words[1:]
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None, line
        command, context = found, click.Context(found, info_name=name, parent=context)
        if not rest and isinstance(command, click.Group):
            return
    command.make_context(command.name or "", rest, parent=context.parent)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that examples name besides those of the project."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name in ("fixed.json", "message.json", "kafka.properties", "token.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("where", "line"), [*of_help(), *of_pages()])
def test_an_example_is_understood(where: str, line: str) -> None:
    try:
        understood(line)
    except click.exceptions.Exit:
        pass
    except click.UsageError as error:
        pytest.fail(f"{where}: {line}: {error.format_message()}")


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_names_is_there(page: str) -> None:
    for line in re.findall(r"`kvitt ([a-z][^`]*)`", (ROOT / page).read_text("utf-8")):
        command: click.Command = main
        for word in line.split():
            if isinstance(command, click.Group) and not word.startswith("-"):
                found = command.get_command(click.Context(command), word.split("|")[0])
                assert found is not None, f"{page}: kvitt {line}"
                command = found
            elif word.startswith("--"):
                assert any(word.split("=")[0] in each.opts for each in command.params), f"{page}: kvitt {line}"


@pytest.mark.parametrize(("name", "command"), list(members(main)))
def test_the_list_of_commands_says_of_each_what_its_own_help_says_first(name: str, command: click.Command) -> None:
    context = click.Context(main, info_name="kvitt")
    listed = " ".join(main.get_help(context).partition("Commands:")[2].split())
    assert f"{name} {command.get_short_help_str(limit=1000).rstrip('.')}" in listed


def test_every_command_and_every_group_shows_an_example() -> None:
    groups = [main]
    while groups:
        group = groups.pop()
        for name, command in members(group):
            assert "Examples:" in (command.epilog or ""), name
            if isinstance(command, click.Group):
                groups.append(command)
