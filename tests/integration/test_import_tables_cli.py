"""`kvitt import iverksetting` says what it does, writes nothing on a dry run, and names the row of what it leaves out."""

import json
from collections.abc import Iterator

import pytest

from kvitt.kernel.database import connect
from kvitt.testing import TestServer
from support.console_script import command
from support.old_tables import OldSystem, entry
from support.single_payments import span

pytestmark = pytest.mark.usefixtures("made_up_people")

UID = "5d0c2e9e-1111-4222-8333-444455556666"
BY = ["--by", "kari", "--approved-by", "ola", "--reason", "kvitt takes over"]


@pytest.fixture
def old(kvitt_server: TestServer) -> Iterator[OldSystem]:
    with kvitt_server.new_database() as conninfo:
        system = OldSystem(conninfo)
        yield system
        system.close()


def test_the_report_is_a_page_or_an_object_and_a_second_run_passes_by_what_is_there(database: str, old: OldSystem) -> None:
    old.decide("S1", "B1", entry("2025-02-10", "2025-02-21", 640))
    old.decide("S2", "B1", entry("2025-02-10", "2025-02-21", 640), state="LAGT_PÅ_KØ")
    old.pay(UID, "A1", span("2025-02-10", "2025-02-21", 640))
    importing = ["import", "iverksetting", "--from", old.conninfo, "--database", database]
    looked = command(*importing, "--dry-run")
    assert looked.returncode == 1
    assert looked.stdout.splitlines() == [
        "5 rows read",
        "2 cases with 1 decisions and 2 payments, 0 of them ceased, would be taken over",
        "0 cases there already",
        "1 cases left out",
        "       rule  times  says",
        "─────────────────────────────────────────────────────────────────────",
        "FAULT  open      1  a decision or payment waits for the rail's answer",
        "rule  case                 row                      detail",
        "──────────────────────────────────────────────────────────",
        "open  TILLEGGSSTØNADER S2  iverksettingsresultat 4",
    ]
    refused = command(*importing, *BY)
    assert (refused.returncode, "NOT taken over" in refused.stdout, "--leave-out" in refused.stdout) == (1, True, True)
    taken = command(*importing, *BY, "--leave-out", "--json")
    assert taken.returncode == 1
    said = json.loads(taken.stdout)
    assert {name: value for name, value in said.items() if name not in ("rules", "findings")} == {
        "rows": 5,
        "cases": 2,
        "decisions": 1,
        "payments": 2,
        "ceased": 0,
        "already_there": 0,
        "left_out": 1,
        "faults": 1,
        "written": True,
    }
    assert said["findings"] == [{"rule": "open", "case": "TILLEGGSSTØNADER S2", "row": "iverksettingsresultat 4", "detail": ""}]
    assert [each["rule"] for each in said["rules"]] == ["open"]
    old.connection.execute("DELETE FROM iverksettingsresultat WHERE sakId = 'S2'")
    old.connection.execute("DELETE FROM iverksetting WHERE id = 3")
    again = command(*importing, *BY)
    assert again.returncode == 0
    assert again.stdout.splitlines()[1:4] == [
        "0 cases with 0 decisions and 0 payments, 0 of them ceased, taken over",
        "2 cases there already",
        "0 cases left out",
    ]


def test_what_one_asks_for_another_confirms_and_no_password_is_kept(database: str, old: OldSystem) -> None:
    old.decide("S1", "B1", entry("2025-02-10", "2025-02-21", 640))
    importing = ["import", "iverksetting", "--database", database, "--by", "kari", "--reason", "kvitt takes over", "--ask"]
    for source in ("postgresql://reader:hush@old-host/utsjekk", "host=old-host password=hush"):
        refused = command(*importing, "--from", source)
        assert (refused.returncode, "no password in it" in refused.stderr, "hush" in refused.stderr) == (2, True, False)
    asked = command(*importing, "--from", old.conninfo)
    assert (asked.returncode, "1 cases with 1 decisions" in asked.stdout) == (0, True)
    confirmed = command("approve", "yes", "1", "--by", "ola", "--database", database)
    assert "1 cases with 1 payments were taken over" in confirmed.stdout
    with connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM cases").fetchone() == (1,)


def test_what_it_can_not_read_from_is_named(database: str, old: OldSystem) -> None:
    def said(source: str, *more: str) -> tuple[int, str]:
        done = command("import", "iverksetting", "--from", source, "--database", database, *more)
        return done.returncode, done.stderr

    assert said("postgresql://", "--dry-run", "--leave-out")[0] != 0
    status, words = said("no address at all", "--dry-run")
    assert (status, "this is no address of a PostgreSQL" in words) == (2, True)
    status, words = said(old.conninfo)
    assert (status, "--by NAME --reason TEXT" in words) == (2, True)
    status, words = said(old.conninfo, "--by", "kari", "--reason", "kvitt takes over")
    assert "needs_second_person" in words
    old.connection.execute("DROP TABLE iverksetting")
    status, words = said(old.conninfo, "--dry-run")
    assert (status, "(source_unreadable, see docs/errors.md#source-unreadable)" in words) == (2, True)
    old.connection.execute("DROP TABLE iverksettingsresultat, utbetaling")
    status, words = said(old.conninfo, "--dry-run")
    assert (status, "none of the tables iverksetting, iverksettingsresultat, utbetaling" in words) == (2, True)
