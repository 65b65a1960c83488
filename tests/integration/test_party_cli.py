"""`kvitt party` as people use it: its commands on a database."""

import json
from pathlib import Path

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.kernel.database import connect
from support.console_script import EXAMPLES, command

pytestmark = pytest.mark.usefixtures("made_up_people")

FILE = EXAMPLES / "parties.toml"


WHO = ("--by", "kari", "--reason", "new terms", "--approved-by", "ola")


def party(database: str, *arguments: object, fails: int = 0) -> str:
    """What a command says, on standard output, or on the other one if it ends with status 2."""
    done = command("party", *arguments, "--database", database)
    assert done.returncode == fails, done.stderr
    return done.stderr if fails == 2 else done.stdout


def test_every_command_shows_help_with_an_example() -> None:
    for name in ("", "load", "show", "list"):
        assert "Examples:" in command("party", *name.split(), "--help").stdout, name


def test_a_file_is_looked_at_loaded_once_and_shown(database: str) -> None:
    assert "no parties are loaded" in party(database, "list")
    assert "party-1: would be revision 1\n" in party(database, "load", FILE, "--dry-run")
    assert "no parties are loaded" in party(database, "list")
    loaded = party(database, "load", FILE, *WHO)
    assert "party-1: revision 1\n" in loaded
    assert "in RUB: were set\n" in loaded
    assert "14 accounts that the file does not name were made in the ledger\n" in loaded
    assert party(database, "load", FILE, *WHO) == "party-1: as before\n"
    shown = json.loads(party(database, "show", "party-1"))
    assert (shown["revision"], [shop["id"] for shop in shown["entry"]["shops"]]) == (1, ["shop-1", "shop-2"])
    listed = party(database, "list")
    assert "shop-1" in listed
    assert str(shown["entry"]["shops"][1]["accounts"]["settlement"]) in listed


def test_what_can_not_be_done_is_reported_in_one_line_with_its_place(database: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(FILE.read_text("utf-8").replace("whole = 200", "whole = 0"), "utf-8")
    said = party(database, "load", wrong, fails=2)
    assert "parties[0].contracts[0].terms[0].cash_flow[2].volume: is a share p/q" in said
    assert "(bad_directory, see docs/errors.md#bad-directory)" in said
    wrong.write_bytes(b"\xff")
    assert "is not UTF-8" in party(database, "load", wrong, fails=2)
    assert "party_not_found" in party(database, "show", "party-1", fails=2)


def test_who_decides_where_fees_go_is_named_with_a_second_person_and_stands_in_the_audit_chain(database: str) -> None:
    assert "say who loads it and why" in party(database, "load", FILE, fails=2)
    assert "name another person" in party(
        database, "load", FILE, "--by", "kari", "--reason", "new terms", "--approved-by", "Kari ", fails=2
    )
    party(database, "load", FILE, *WHO)
    party(database, "load", FILE, *WHO)
    with connect(database) as connection:
        published = [
            str(note) for (note,) in connection.execute("SELECT note FROM audit WHERE chain = 0 AND what = 'party load' ORDER BY seq")
        ]
    assert len(published) == 3
    assert all('"by":"kari","approved_by":"ola","reason":"new terms"' in each for each in published)
    assert '"subject":"party-1 ' in published[0]
    assert check(database, PORTS).differences == ()
