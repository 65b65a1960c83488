"""The commands as people use them: the real console script, a real data directory, a hub that really runs.

Each way to be a process is tried with the real script: to be fed by a pipe, to stay, to be stopped, to end with each status. What a
command does beyond that is asked of it within this process.
"""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kvitt.kernel.database import connect
from kvitt.testing.scratch import scratch_directory
from support.console_script import EXAMPLES, KVITT, PATIENCE_SECONDS, command, inside, kvitt, running, wait_for
from support.patience import until

Typed = Callable[..., subprocess.CompletedProcess[str]]
FIRST_DP = EXAMPLES / "dp" / "01-first-two-periods.json"


@pytest.fixture(scope="module")
def hub() -> Iterator[Path]:
    """A data directory on which `kvitt up` runs; at the end it is stopped by SIGTERM, as a service manager does."""
    with scratch_directory() as directory, running(directory / "data", "up", until="SIGTERM") as process:
        yield directory / "data"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def records(data: Path) -> dict[str, int]:
    """How many records each topic has."""
    listed = re.findall(r"^ *(\S+\.v1|\S+-v1) +\d+ +([\d,]+)", inside(data, "topic").stdout, re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in listed}


def await_status(data: Path, text: str) -> None:
    """Returns when a status is published that has this text."""
    until(lambda: text in inside(data, "topic", "helved.status.v1", "--from-start").stdout, what=f"no status has {text}", every=0.1)


def first_dp_of(case: bytes, person: bytes) -> bytes:
    """The first message, of another case and another person."""
    return FIRST_DP.read_bytes().replace(b"15083091", case).replace(b"14887298761", person)


def test_every_command_shows_help_with_an_example() -> None:
    commands = ["demo", "up", "submit", "case", "topic", "check", "dead", "receipt", "order", "alarm", "sending", "emulator", "db"]
    commands += ["dead list", "dead show", "dead replay", "db upgrade"]
    commands += [f"order {name}" for name in ("list", "release", "withdraw", "resend", "decide")]
    commands += ["receipt list", "receipt show", "alarm list"]
    commands += [f"sending {name}" for name in ("stop", "resume", "list")]
    commands += [f"simulation {name}" for name in ("list", "show", "again")]
    commands += [f"emulator {name}" for name in ("run", "faults", "schedule", "received")]
    for each in commands:
        assert "Examples:" in command(*each.split(), "--help").stdout, each
    assert "Try it:" in subprocess.run([str(KVITT), "--help"], capture_output=True, text=True, check=True).stdout


def test_a_message_is_submitted_followed_and_found(hub: Path) -> None:
    done = kvitt(hub, "submit", FIRST_DP, "--scheme", "dp")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(MOTTATT|HOS_OPPDRAG|OK)\b", done.stdout, re.MULTILINE) == ["MOTTATT", "HOS_OPPDRAG", "OK"]
    page = inside(hub, "case", "DAGPENGER", "15083091").stdout
    assert "order 1 to DP" in page
    assert re.search(r"2025-06-02 +553 +553 +553 +553 +553 +· +· +× 4 weeks", page)
    document = json.loads(inside(hub, "case", "dp", "15083091", "--json").stdout)
    assert [order["state"] for order in document["orders"]] == ["accepted"]
    assert "553" in inside(hub, "emulator", "schedule", "DP", "15083091").stdout


def test_the_same_file_has_the_same_key(hub: Path) -> None:
    valp = (EXAMPLES / "valp" / "03-nothing-after-all.json", "--scheme", "valp")
    keys = {re.findall(r"under key (\S+)", submitted(hub, "submit", *valp).stdout)[0] for submitted in (kvitt, inside)}
    assert len(keys) == 1


def test_a_refused_message_ends_with_status_1(hub: Path) -> None:
    done = kvitt(hub, "submit", EXAMPLES / "ts" / "04-overlapping-periods-are-refused.json", "--scheme", "ts", "--key", "mine")
    assert (done.returncode, "[400] Perioder kan ikke overlappe" in done.stdout) == (1, True)
    assert " mine [" in inside(hub, "topic", "helved.status.v1", "--last", "1").stdout


def test_a_dry_run_shows_lines_and_schedule_and_stores_nothing(hub: Path) -> None:
    before = records(hub)
    done = inside(hub, "submit", EXAMPLES / "tp" / "01-work-training-with-two-children.json", "--scheme", "tp", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "TPTPATT" in done.stdout
    assert "TPBTATTILT" in done.stdout
    assert re.search(r"2025-06-02 +408 +408 +408 +408 +408", done.stdout)
    assert records(hub) == before
    assert inside(hub, "case", "tp", "202506021001").returncode == 2


def test_a_dry_run_of_a_refused_message_says_why(hub: Path) -> None:
    done = inside(hub, "submit", "-", "--scheme", "historisk", "--dry-run", given=b"{}")
    assert (done.returncode, "would be answered FEILET [400]" in done.stdout) == (1, True)


def test_a_topic_is_followed(hub: Path) -> None:
    with running(hub, "topic", "helved.status.v1", "--from-start", "--follow", until="MOTTATT") as follower:
        body = first_dp_of(b"15083092", b"14887298762")
        assert kvitt(hub, "submit", "-", "--scheme", "dp", "--key", "followed", given=body).returncode == 0
        wait_for(follower, " followed [")
        os.killpg(follower.pid, signal.SIGTERM)
        assert follower.wait(PATIENCE_SECONDS) == 143


def test_a_topic_is_followed_until_ctrl_c(hub: Path) -> None:
    assert inside(hub, "submit", FIRST_DP, "--scheme", "dp").returncode == 0
    with running(hub, "topic", "helved.status.v1", "--from-start", "--follow", until="MOTTATT") as follower:
        os.killpg(follower.pid, signal.SIGINT)
        _, said = follower.communicate(timeout=PATIENCE_SECONDS)
        assert (follower.returncode, said) == (0, b"")


def test_a_dead_letter_is_mended_and_replayed_once(hub: Path, tmp_path: Path) -> None:
    whole = (EXAMPLES / "historisk" / "01-an-orthosis-once.json").read_bytes()
    torn = inside(hub, "submit", "-", "--scheme", "historisk", "--key", "torn", given=whole[:-40])
    assert (torn.returncode, "Feil ved deserialisering" in torn.stdout, "(message is not JSON)" in torn.stdout) == (1, True, True)
    listed = inside(hub, "dead", "list").stdout
    number = re.findall(r"^ *(\d+) .*historisk.utbetaling.v1", listed, re.MULTILINE)[0]
    assert kvitt(hub, "dead", "show", number, "--raw").stdout.encode() == whole[:-40]
    mended = tmp_path / "mended.json"
    mended.write_bytes(whole)
    replay = ("dead", "replay", number, "--by", "ola", "--reason", "torn in transit", "--body", mended)
    assert "HTOHHÅ" in inside(hub, *replay, "--dry-run").stdout
    for alone in ((), ("--approved-by", "Ola "), ("--approved-by", "оla")):
        refused = inside(hub, *replay, *alone)
        assert (refused.returncode, "needs_second_person" in refused.stderr) == (2, True)
    replay = (*replay, "--approved-by", "kari")
    assert inside(hub, *replay).returncode == 0
    await_status(hub, '{"status":"OK","detaljer":{"ytelse":"HISTORISK"')
    again = inside(hub, *replay)
    assert (again.returncode, again.stderr.count("\n"), "not_in_that_state" in again.stderr) == (2, 1, True)
    assert "no open dead letters" in inside(hub, "dead", "list").stdout
    assert "replayed by ola" in inside(hub, "dead", "list", "--all").stdout
    assert inside(hub, "dead", "show", "999").returncode == 2


def test_faults_are_switched_and_cleared(hub: Path) -> None:
    assert "refuse 1" in inside(hub, "emulator", "faults", "--refuse", "1").stdout
    body = first_dp_of(b"15083093", b"14887298763")
    done = inside(hub, "submit", "-", "--scheme", "dp", given=body)
    assert (done.returncode, "Teknisk feil" in done.stdout) == (1, True)
    assert "no faults" in inside(hub, "emulator", "faults", "--clear").stdout
    assert "1 refused" in inside(hub, "emulator", "received").stdout
    assert inside(hub, "emulator", "faults", "--refuse", "2").returncode == 2


def test_a_second_owner_hears_who_the_first_is(hub: Path) -> None:
    done = kvitt(hub, "up")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"kvitt: \S+ is in use by process \d+ \(data_directory_in_use, see docs/errors.md#data-directory-in-use\)\n", done.stderr
    )


def test_the_demo_feeds_a_hub_that_runs_already(hub: Path) -> None:
    done = inside(hub, "demo", "--json", "--cases", "6")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["unanswered"] == 0


def test_the_database_is_upgraded_while_it_is_used(hub: Path) -> None:
    assert inside(hub, "db", "upgrade").stdout == "the database is up to date\n"


def test_sending_is_stopped_and_an_order_withdrawn(hub: Path) -> None:
    by = ("--by", "kari", "--reason", "a test")
    assert "stopped: AAP" in inside(hub, "sending", "stop", "--scheme", "aap", *by).stdout
    assert "kari" in inside(hub, "sending", "list").stdout
    with running(hub, "submit", str(EXAMPLES / "aap/01-two-cards-one-held-back.json"), "--scheme", "aap", until="MOTTATT") as submitted:
        listed = inside(hub, "order", "list", "--state", "ready").stdout
        [order_id] = [line.split()[0] for line in listed.splitlines() if " AAP " in line]
        refused = inside(hub, "order", "release", order_id, *by)
        assert (refused.returncode, "needs_second_person" in refused.stderr) == (2, True)
        assert inside(hub, "order", "withdraw", order_id, *by, "--approved-by", "ola").returncode == 0
        assert "trukket tilbake" in wait_for(submitted, "FEILET")
    assert "resumed: AAP" in inside(hub, "sending", "resume", "--scheme", "aap", *by, "--approved-by", "ola").stdout
    assert "no order waits for a person" in inside(hub, "order", "list").stdout


def test_what_all_this_has_stored_is_proved(hub: Path) -> None:
    done = kvitt(hub, "check")
    assert (done.returncode, "nothing differs" in done.stdout) == (0, True), done.stdout


def test_the_emulator_runs_beside_a_hub_of_its_own_process(data_dir: Path) -> None:
    with running(data_dir, "up", "--no-emulator", until="SIGTERM") as up:
        waiting = inside(data_dir, "submit", FIRST_DP, "--scheme", "dp", "--wait", "0.5")
        assert (waiting.returncode, "no_final_status" in waiting.stderr) == (2, True)
        with running(data_dir, "emulator", "run", until="takes orders") as rail:
            await_status(data_dir, '{"status":"OK"')
            os.killpg(rail.pid, signal.SIGINT)
            assert rail.wait(PATIENCE_SECONDS) == 0
        os.killpg(up.pid, signal.SIGINT)
        assert up.wait(PATIENCE_SECONDS) == 0


def test_submit_starts_a_hub_for_the_while(data_dir: Path) -> None:
    for submitted in (kvitt, inside):
        done = submitted(data_dir, "submit", FIRST_DP, "--scheme", "dp")
        assert done.returncode == 0, done.stderr
    assert inside(data_dir, "case", "dp", "15083091").stdout.count("OK to message") == 2


@pytest.mark.parametrize(
    ("typed", "arguments", "code"),
    [
        (inside, ("case", "dp", "X"), "no_data_directory"),
        (kvitt, ("check",), "no_data_directory"),
        (inside, ("emulator", "run"), "nothing_runs"),
        (inside, ("topic", "--database", "host=/nowhere dbname=x"), "database_unreachable"),
        (inside, ("check", "--database", "nonsense"), "database_unreachable"),
        (inside, ("up", "--database", "nonsense=1"), "database_unreachable"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(tmp_path: Path, typed: Typed, arguments: tuple[str, ...], code: str) -> None:
    done = typed(tmp_path / "nothing", *arguments)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
    assert f"({code}, see docs/errors.md#" in done.stderr
    assert not (tmp_path / "nothing").exists()


def test_a_data_directory_that_can_be_none_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = inside(tmp_path / "file" / "data", "check")
    assert (done.returncode, done.stderr.count("\n"), "data_directory_unreachable" in done.stderr) == (2, 1, True)


def test_an_empty_key_is_refused(tmp_path: Path) -> None:
    done = inside(tmp_path / "nothing", "submit", FIRST_DP, "--scheme", "dp", "--key", "")
    assert (done.returncode, "Usage:" in done.stderr, "--key" in done.stderr) == (2, True, True)


def test_looking_at_a_database_of_somebody_else_makes_no_tables(tmp_path: Path, empty_database: str) -> None:
    dry_run = ("submit", FIRST_DP, "--scheme", "dp", "--dry-run")
    for each in (("check",), ("topic",), ("case", "dp", "X"), ("dead", "list"), dry_run):
        done = inside(tmp_path, *each, "--database", empty_database)
        assert (done.returncode, done.stderr.count("\n"), "(not_upgraded, see " in done.stderr) == (2, 1, True), done.stderr
    with connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'").fetchone() == (0,)
    assert inside(tmp_path, "db", "upgrade", "--database", empty_database).returncode == 0
    assert "nothing differs" in inside(tmp_path, "check", "--database", empty_database).stdout
