"""What the deployment guide and its examples say of topics, settings, rights and commands is what the code does."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from kvitt.app.main import main
from kvitt.broker_settings import KafkaSettings, QueueSettings, RapidSettings
from kvitt.config import load_settings
from kvitt.console_settings import ConsoleSettings
from kvitt.contracts.helved.topics import EXTERNAL_INPUTS, INTERNAL_INPUTS, OUTPUTS
from kvitt.formats.topics import PARTITIONS, PAYOUT_EVENTS, RAPID, Keeping, TopicTerms
from kvitt.settings import DecisionSettings, HttpSettings, OpsSettings, ReconciliationSettings, RestSettings, Settings, SimulationSettings
from support.cli_values import members
from support.topics import TOPIC_TERMS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/deploy.md").read_text("utf-8")
EXAMPLE = ROOT / "examples/kvitt.toml"
ACLS = (ROOT / "examples/deploy/kafka-acls.sh").read_text("utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs/decisions").glob("*.md"))]


@pytest.mark.parametrize("terms", TOPIC_TERMS, ids=lambda terms: terms.name)
def test_the_guide_tells_each_topic_with_its_terms(terms: TopicTerms) -> None:
    (row,) = [line for line in GUIDE.splitlines() if re.match(rf"\| `{re.escape(terms.name)}`", line)]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    kept = {Keeping.OWNERS: "–", Keeping.COMPACT: "for ever", Keeping.COMPACT_AND_DELETE: "336 h"}[terms.keeping]
    owners = terms.keeping is Keeping.OWNERS
    assert cells[1:4] == ["its owner's" if owners else str(PARTITIONS), "its owner's" if owners else terms.keeping.value, kept]


@pytest.mark.parametrize(
    ("name", "topics"),
    [("EXTERNAL", EXTERNAL_INPUTS.values()), ("INTERNAL", INTERNAL_INPUTS.values()), ("OUTPUTS", [*OUTPUTS, PAYOUT_EVENTS])],
)
def test_every_topic_gets_its_rights(name: str, topics: list[str]) -> None:
    (listed,) = re.findall(rf'(?m)^{name}="([^"]*)"', ACLS)
    assert sorted(listed.split()) == sorted(topics)
    assert f"RAPID=${{5:-{RAPID}}}" in ACLS


def test_the_example_is_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KVITT_WORKERS", raising=False)
    assert load_settings(EXAMPLE) == Settings()


@pytest.mark.parametrize(
    "kind",
    [
        Settings,
        KafkaSettings,
        QueueSettings,
        RapidSettings,
        OpsSettings,
        HttpSettings,
        SimulationSettings,
        ReconciliationSettings,
        RestSettings,
        DecisionSettings,
        ConsoleSettings,
    ],
)
def test_the_example_names_every_setting(kind: type[msgspec.Struct]) -> None:
    published = EXAMPLE.read_text("utf-8")
    hidden = {"password", "proxy_client_secret", "client_secret"}
    for field in msgspec.structs.fields(kind):
        assert field.name in hidden or re.search(
            rf"(?m)^(# )?(\[)?((kafka|simulation|reconciliation|rest|console)\.)?{field.name}\b|, {field.name}\b|with {field.name}\b",
            published,
        ), field.name


@pytest.mark.parametrize("settings", re.findall(r"(?s)```toml\n(.*?)```", GUIDE))
def test_the_settings_of_the_guide_are_settings(settings: str, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("client_file", "password_file")}
    for name, file in files.items():
        settings = re.sub(rf'(?m)^{name} = "[^"]*"', f'{name} = "{file}"', settings)
        file.write_text("sasl.password=secret\n", "utf-8")
    file = tmp_path / "kvitt.toml"
    file.write_text(settings, "utf-8")
    assert load_settings(file) != Settings()
    assert tomllib.loads(settings)


def commands_of(page: Path) -> Iterator[str]:
    """Every `kvitt …` of a page, in running text and in blocks."""
    text = page.read_text("utf-8")
    for block in re.findall(r"(?s)```\w*\n(.*?)```", text):
        yield from re.findall(r"(?m)^(?:\.venv/bin/)?kvitt ([^#\n]+)", block)
    yield from (" ".join(said.split()) for said in re.findall(r"`kvitt ([a-z][^`]*)`", re.sub(r"(?s)```.*?```", "", text)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists_with_its_options(page: Path) -> None:
    for said in commands_of(page):
        command: click.Command = main
        words = said.split()
        while words and isinstance(command, click.Group) and words[0] in (there := dict(members(command))):
            command = there[words.pop(0)]
        assert command is not main, f"there is no kvitt {said}"
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        unknown = {word for word in words if re.fullmatch(r"--[a-z-]+", word)} - known - {"--help"}
        assert not unknown, f"kvitt {said} does not know {unknown}"
