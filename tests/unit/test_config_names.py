"""Nothing that was not said is taken for a choice: empty settings and misspelt names end the start with their name."""

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from kvitt.app.main import main
from kvitt.config import load_settings
from kvitt.environment import settings_in
from kvitt.errors import BadSettings
from kvitt.settings import Settings

ROOT = Path(__file__).parents[2]
EVERY_NAME = re.compile(r"\bKVITT_[A-Z][A-Z_]*[A-Z]\b")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KVITT_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KVITT_DATABASE_URL", ""),
        ("KVITT_DATABASE_URL", "  "),
        ("KVITT_DATA", ""),
        ("KVITT_LANES", ""),
        ("KVITT_CONFIG", ""),
        ("KVITT_KAFKA_BOOTSTRAP", ""),
        ("KVITT_PAYOUTS_LEDGER_URL", ""),
        ("KVITT_REST_CERTIFICATE_FILE", ""),
        ("KVITT_THRIFT_HOST", ""),
    ],
)
def test_an_empty_variable_ends_the_start_with_its_name(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings, match=rf"^{variable} in the environment is empty"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('database_url = ""', "database_url"),
        ('data = " "', "data"),
        ('request_queue = ""', "request_queue"),
        ('[kafka]\nbootstrap = ""', "[kafka] bootstrap"),
        ('[kafka]\nbootstrap = "a:1"\ngroup = ""', "[kafka] group"),
        ('[queue]\npassword_file = ""', "[queue] password_file"),
        ('[thrift]\nhost = ""', "[thrift] host"),
        ('[rest]\naudience = ""', "[rest] audience"),
    ],
)
def test_an_empty_value_of_the_file_is_none_where_the_default_is_not_empty(text: str, named: str) -> None:
    Path("kvitt.toml").write_text(text, "utf-8")
    with pytest.raises(BadSettings, match=rf"^kvitt\.toml: {re.escape(named)} is empty"):
        load_settings()


def test_what_is_empty_by_default_may_be_said_to_be_empty() -> None:
    Path("kvitt.toml").write_text('[queue]\nuser = ""\n[payouts]\nledger_url = ""\n', "utf-8")
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("options", "environment", "said"),
    [
        (["--database", ""], {}, "'--database': it is empty"),
        (["--database", "  "], {}, "'--database': it is empty"),
        (["--data", ""], {}, "'--data': it is empty"),
        (["--config", ""], {}, "'--config': it is empty"),
        ([], {"KVITT_DATABASE_URL": ""}, "KVITT_DATABASE_URL in the environment is empty"),
        (
            [],
            {"KVITT_DATABSE_URL": "postgresql:///a"},
            "KVITT_DATABSE_URL in the environment is no setting; did you mean KVITT_DATABASE_URL?",
        ),
    ],
)
def test_a_command_never_uses_the_embedded_database_because_a_name_was_empty_or_misspelt(
    options: list[str], environment: dict[str, str], said: str
) -> None:
    published = CliRunner().invoke(main, ["order", "list", *options], env=environment)
    assert (published.exit_code, said in published.output) == (2, True), published.output
    assert not Path(".kvitt").exists()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("KVITT_LANE", "KVITT_LANES"),
        ("KVITT_KAFKA_BOOTSTRAPS", "KVITT_KAFKA_BOOTSTRAP"),
        ("KVITT_OPS_PORTS", "KVITT_OPS_PORT"),
        ("KVITT_RAPIDS", "KVITT_RAPID_OURS"),
        ("KVITT_FOO", None),
    ],
)
def test_a_misspelt_variable_is_reported_with_the_nearest_one(monkeypatch: pytest.MonkeyPatch, name: str, nearest: str | None) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(BadSettings) as published:
        load_settings()
    assert published.value.args[0] == f"{name} in the environment is no setting" + (f"; did you mean {nearest}?" if nearest else "")


def test_a_misspelt_key_of_the_file_is_reported_with_the_nearest_one() -> None:
    Path("kvitt.toml").write_text("[kafka]\nbootstrap = 'a:1'\ngruop = 'g'\n", "utf-8")
    with pytest.raises(BadSettings, match=r"unknown field `gruop` - at `\$\.kafka`; did you mean group\?"):
        load_settings()


def test_what_kubernetes_says_of_a_service_called_kvitt_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "KVITT_SERVICE_HOST": "10.0.0.1",
        "KVITT_SERVICE_PORT": "8080",
        "KVITT_SERVICE_PORT_HTTP": "8080",
        "KVITT_PORT": "tcp://10.0.0.1:8080",
        "KVITT_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "KVITT_PORT_8080_TCP_ADDR": "10.0.0.1",
        "KVITT_REST_PORT": "tcp://10.0.0.1:8080",
        "KVITT_REST_PORT_8080_TCP_PROTO": "tcp",
        "KVITT_REST_SERVICE_HOST": "10.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == Settings()


def test_every_name_that_the_project_itself_uses_is_known() -> None:
    places = [ROOT / "Makefile", *(ROOT / ".ci").glob("*")]
    places += [file for room in ("src", "bench", "brokers", "docs", "examples") for file in (ROOT / room).rglob("*") if file.is_file()]
    places += [file for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__)]
    names = {name for file in places for name in EVERY_NAME.findall(file.read_text("utf-8", "ignore"))}
    known = {"KVITT_DATABASE_URL", "KVITT_KILLS", "KVITT_TEST_KAFKA"}
    assert known < names
    from kvitt.config import _variables

    settings_in({name: "tcp://10.0.0.1:8080" if name == "KVITT_PORT" else "1" for name in names}, dict(_variables()))


def test_the_version_and_the_scripts_for_shells_are_printed() -> None:
    version = CliRunner().invoke(main, ["--version"], prog_name="kvitt")
    assert re.fullmatch(r"kvitt \d+\.\d+\.\d+\n", version.output)
    for shell in ("bash", "zsh", "fish"):
        script = CliRunner().invoke(main, ["completion", shell])
        assert (script.exit_code, "_KVITT_COMPLETE" in script.output) == (0, True)
    typed = {"_KVITT_COMPLETE": "bash_complete", "COMP_WORDS": "kvitt alarm li", "COMP_CWORD": "2"}
    assert CliRunner().invoke(main, [], env=typed, prog_name="kvitt").output.split() == ["plain,list"]
