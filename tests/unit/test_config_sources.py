"""Who said a wrong setting, and where secrets hide in the address of a database."""

import os
from pathlib import Path

import pytest

from kvitt.config import load_settings
from kvitt.errors import BadSettings
from kvitt.settings import Settings, shown


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("KVITT_")]:
        monkeypatch.delenv(name)


def test_a_section_may_be_completed_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("kvitt.toml").write_text('[kafka]\ngroup = "g"\n')
    monkeypatch.setenv("KVITT_KAFKA_BOOTSTRAP", "b:1")
    settings = load_settings()
    assert settings.kafka
    assert (settings.kafka.bootstrap, settings.kafka.group) == ("b:1", "g")


def test_a_wrong_variable_is_named_and_not_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("kvitt.toml").write_text("lanes = 2\n")
    monkeypatch.setenv("KVITT_KAFKA_BOOTSTRAP", "b:1")
    monkeypatch.setenv("KVITT_KAFKA_SESSION_SECONDS", "soon")
    with pytest.raises(BadSettings, match=r"^KVITT_KAFKA_SESSION_SECONDS: .*session_seconds"):
        load_settings()


def test_a_wrong_value_of_the_file_names_the_file_though_the_environment_says_other_things(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("kvitt.toml").write_text("data = 5\n")
    monkeypatch.setenv("KVITT_LANES", "2")
    with pytest.raises(BadSettings, match=r"^kvitt\.toml: Expected `str` - at `\$\.data`"):
        load_settings()


def test_names_of_the_environment_that_were_there_before_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"REQUEST_QUEUE": "ask", "REPLY_QUEUE": "hear", "EMULATOR": "false", "LOG_LEVEL": "debug"}.items():
        monkeypatch.setenv(f"KVITT_{name}", value)
    settings = load_settings()
    assert (settings.request_queue, settings.reply_queue, settings.emulator, settings.log_level) == ("ask", "hear", False, "debug")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://kvitt:s3cret@db/kvitt",
        "postgresql://kvitt@db/kvitt?password=s3cret",
        "postgresql://kvitt@db/kvitt?sslmode=require&sslpassword=s3cret",
        "postgresql://kvitt:s3cret@db/kvitt?options=a@b",
        "postgresql://db/kvitt?user=kvitt&pass%77ord=s3cret",
        "host=db user=kvitt password='s3cret with @ and blanks'",
        "host=db user=a@b password=s3cret",
    ],
)
def test_no_secret_of_an_address_is_shown(url: str) -> None:
    settings = Settings(database_url=url)
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(shown(settings))
