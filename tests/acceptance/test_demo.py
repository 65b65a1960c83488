"""The demo proves what it claims, can be run again on what it left, and the check notices when the rail would pay something else."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kvitt.demo.cases import lives
from kvitt.demo.feed import examples
from kvitt.kernel.database import connect
from kvitt.kernel.postgres import EmbeddedServer
from kvitt.testing.scratch import scratch_directory
from support.console_script import inside, kvitt

KEYS = ["messages", "orders", "accepted", "rejected", "unanswered", "doubled", "schedule_differences", "check_differences"]
KEYS += ["reconciliation_differences", "seconds"]


CASES = 24
"""Four of each scheme."""


def summary(data: Path, *arguments: object, typed: Callable[..., subprocess.CompletedProcess[str]] = inside) -> dict[str, float]:
    """The closing line of a demo that ends well."""
    done = typed(data, "demo", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    published: dict[str, float] = json.loads(done.stdout)
    assert list(published) == KEYS
    return published


class Played(NamedTuple):
    """A data directory, and what the first demo on it came to."""

    data: Path
    published: dict[str, float]


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    """The directory of the demos here, each on what those before it left."""
    with scratch_directory() as data:
        yield Played(data, summary(data, "--cases", CASES, "--seed", 1, typed=kvitt))


def test_every_message_is_answered_once_and_nothing_differs_again_and_again(played: Played) -> None:
    for published in (played.published, summary(played.data, "--cases", CASES, "--seed", 1)):
        assert published["messages"] > CASES * 4
        assert published["orders"] == published["accepted"] + published["rejected"]
        assert [published[key] for key in KEYS[4:9]] == [0, 0, 0, 0, 0]
    assert inside(played.data, "emulator", "faults").stdout == "the rail has no faults\n"


def test_the_pages_tell_of_one_case_and_of_every_scheme(played: Played) -> None:
    done = inside(played.data, "demo", "--cases", CASES)
    assert done.returncode == 0, done.stderr
    for published in (
        "One of the cases",
        "accepted, day by day",
        "waited in a queue",
        "TILTAKSPENGER",
        "check        ",
        "One payout, demo-",
        "a payout of 2,500.00 is held",
        "One dry run",
    ):
        assert published in done.stdout


def test_a_rail_that_would_pay_otherwise_is_noticed_with_status_1(played: Played) -> None:
    with EmbeddedServer(played.data) as server, connect(server.conninfo) as connection:
        query = "UPDATE rail.entry SET amount = amount + 1 WHERE area = 'TILLSTBO' AND case_id = '200001907'"
        changed = connection.execute(query).rowcount
    done = kvitt(played.data, "check")
    assert (done.returncode, changed) == (1, 1)
    assert "of case 200001907 in TILLSTBO: the rail pays 4954 from 2025-08-01 to 2025-12-31, the store has 4953" in done.stdout
    again = inside(played.data, "demo", "--json", "--cases", 0)
    assert (again.returncode, json.loads(again.stdout)["schedule_differences"]) == (1, 1)


def test_the_examples_are_of_all_six_forms() -> None:
    found = examples()
    assert {each.scheme for each in found} == {"dp", "aap", "ts", "tp", "historisk", "valp"}
    assert len(found) >= 12


def test_the_same_seed_and_run_make_the_same_cases_and_another_run_others() -> None:
    assert list(lives(30, "a", 1)) == list(lives(30, "a", 1))
    assert not {each.case_id for each in lives(30, "a", 1)} & {each.case_id for each in lives(30, "b", 1)}


def test_a_given_database_is_used_and_no_data_directory_is_made(database: str, tmp_path: Path) -> None:
    published = summary(tmp_path / "data", "--cases", 6, "--database", database)
    assert published["unanswered"] == 0
    assert not (tmp_path / "data" / "postgres").exists()
