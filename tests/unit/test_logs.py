"""Where log lines go: what may hold personal data goes to a file that only its owner may read, and nowhere else."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from kvitt import logs


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    before, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    yield
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers


def test_restricted_lines_go_to_their_file_only_whatever_the_level(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(tmp_path / "data", level="error")
    structlog.get_logger("kvitt.restricted").info("message failed", person="01810112345")
    file = tmp_path / "data" / logs.RESTRICTED_FILE
    assert json.loads(file.read_text("utf-8"))["person"] == "01810112345"
    assert file.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr() == ("", "")


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    file = tmp_path / logs.RESTRICTED_FILE
    file.write_text("before\n")
    file.chmod(0o644)
    logs.set_up(tmp_path)
    structlog.get_logger("kvitt.restricted").warning("after")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text("utf-8").startswith("before\n{")


def test_ordinary_lines_go_to_standard_error_from_their_level_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(tmp_path, level="warning", form=logs.LogForm.JSON)
    log = structlog.get_logger("kvitt.disbursement.submit")
    log.info("quiet")
    log.warning("loud", records=3)
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert {"event": "loud", "level": "warning", "records": 3}.items() <= json.loads(said.err).items()
    assert not (tmp_path / logs.RESTRICTED_FILE).exists()


def test_a_failure_is_reported_without_the_values_of_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(tmp_path, level="error")
    try:
        int(chr(65))
    except ValueError:
        structlog.get_logger("kvitt").exception("failed")
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "tmp_path" not in said


def test_what_libraries_say_is_a_line_like_ours_without_their_words_and_logged_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(tmp_path, level="info", form=logs.LogForm.JSON)
    logs.set_up(tmp_path, level="info", form=logs.LogForm.JSON)
    for number in range(100):
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received of %s, number %d", "01810112345", number)
    (line,) = capsys.readouterr().err.splitlines()
    published = json.loads(line)
    assert (published["event"], published["library"], published["level"]) == ("a library says", "uvicorn.error", "warning")
    (kept,) = (tmp_path / logs.RESTRICTED_FILE).read_text("utf-8").splitlines()
    assert json.loads(kept)["said"] == "Invalid HTTP request received of 01810112345, number 0"


def test_what_went_wrong_in_a_library_is_named_in_the_open_and_logged_whole_in_the_restricted_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(tmp_path, level="info", form=logs.LogForm.JSON)
    try:
        int("01810112345x")
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved")
    (line,) = capsys.readouterr().err.splitlines()
    assert (json.loads(line)["error"], "01810112345" in line) == ("ValueError", False)
    assert "invalid literal" in (tmp_path / logs.RESTRICTED_FILE).read_text("utf-8")
