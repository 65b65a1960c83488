"""`kvitt payout` as people use it: its commands on a database with a loaded party whose shop has money."""

import json
import re
from collections.abc import Iterator

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.kernel.database import connect
from kvitt.ledger.post import LedgerWriter
from kvitt.testing import TestServer
from support.console_script import EXAMPLES, command
from support.ledger_stage import clock, commit, hold, made, moved

pytestmark = pytest.mark.usefixtures("made_up_people")

NEW = ("create", "--party", "party-1", "--shop", "shop-1", "--currency", "RUB")
BY = ("--by", "kari", "--approved-by", "ola", "--reason", "as agreed")


@pytest.fixture(scope="module")
def shop(kvitt_server: TestServer) -> Iterator[str]:
    """A database in which the example's party is loaded, and its shop has earned 10,000.00."""
    with kvitt_server.database() as conninfo:
        kvitt(conninfo, "party", "load", str(EXAMPLES / "parties.toml"), "--by", "kari", "--reason", "new terms", "--approved-by", "ola")
        with connect(conninfo) as connection:
            row = connection.execute(
                "SELECT account_id FROM ledger.accounts WHERE request_key LIKE 'party/party-1/shop-1/settlement%'"
            ).fetchone()
            assert row is not None
            post = LedgerWriter(connection, clock).execute
            (bank,) = made(post, 1)
            earned = moved(bank, int(str(row[0])), 1_000_000)
            post([hold("earned", earned), commit("earned", earned)])
        yield conninfo


def kvitt(conninfo: str, *arguments: str, fails: int = 0) -> str:
    """What a command says, on standard output, or on the other one if it ends with status 2."""
    done = command(*arguments, "--database", conninfo)
    assert done.returncode == fails, done.stderr
    return done.stderr if fails == 2 else done.stdout


def payout(conninfo: str, *arguments: str, fails: int = 0) -> str:
    return kvitt(conninfo, "payout", *arguments, fails=fails)


def test_every_command_shows_help_with_an_example() -> None:
    for name in ("", "create", "show", "confirm", "cancel", "paid", "republish", "list"):
        assert "Examples:" in command("payout", *name.split(), "--help").stdout, name


def test_who_asked_for_a_payout_stands_with_it(shop: str) -> None:
    for payout_id, by, stands in (("cli-by", ("--by", " kari\u200b "), "kari"), ("cli-nobody", (), "unnamed")):
        payout(shop, *NEW, "--amount", "10000", "--id", payout_id, *by)
        (act,) = map(json.loads, kvitt(shop, "audit", "list", "--payout", payout_id, "--json").splitlines())
        assert (act["act"], act["by"], act["channel"]) == ("payout created", stands, "cli")
        payout(shop, "cancel", payout_id, "--details", "not wanted", *BY)
    assert "by must name a person" in payout(shop, *NEW, "--amount", "10000", "--by", "k", fails=2)


def test_a_payout_from_its_making_to_its_reversal(shop: str) -> None:
    before = payout(shop, "list")
    shown = payout(shop, *NEW, "--amount", "250000", "--id", "cli-1", "--dry-run")
    assert "would be unpaid" in shown
    assert "2,480.00 RUB to tool" in shown
    assert "fee 32.50 RUB" in shown
    assert re.search(r"10,000\.00 +10,000\.00 +10,000\.00 +10,000\.00 +7,\d{3}\.\d\d +10,000\.00", shown)
    assert payout(shop, "list") == before
    assert "payout cli-1 is unpaid" in payout(shop, *NEW, "--amount", "250000", "--id", "cli-1")
    assert "payout cli-1 is paid" in payout(shop, "paid", "cli-1", *BY)
    assert "would be confirmed" in payout(shop, "confirm", "cli-1", "--dry-run")
    assert json.loads(payout(shop, "confirm", "cli-1", *BY, "--json"))["status"] == "confirmed"
    assert "is confirmed already; nothing would be done" in payout(shop, "confirm", "cli-1", "--dry-run")
    moved_back = payout(shop, "cancel", "cli-1", "--details", "sent back", "--dry-run")
    assert re.search(r"7,\d{3}\.\d\d +7,\d{3}\.\d\d +7,\d{3}\.\d\d +10,000\.00 +10,000\.00 +10,000\.00", moved_back)
    assert "payout cli-1 is cancelled" in payout(shop, "cancel", "cli-1", "--details", "sent back", *BY)
    page = payout(shop, "show", "cli-1")
    assert re.findall(r"^ *(\d) +\S+ \S+ +(\w+)", page, re.MULTILINE) == [
        ("0", "unpaid"),
        ("1", "paid"),
        ("2", "confirmed"),
        ("3", "cancelled"),
    ]
    assert "is cancelled: sent back" in page
    assert "4 events of payout cli-1 will be published again" in payout(
        shop, "republish", "cli-1", "--by", "kari", "--reason", "topic lost"
    )
    assert check(shop, PORTS).differences == ()


def test_a_payout_shown_as_json_tells_its_events_and_who_acted(shop: str) -> None:
    payout(shop, *NEW, "--id", "cli-acts", "--amount", "100000")
    payout(shop, "confirm", "cli-acts", *BY)
    found = json.loads(payout(shop, "show", "cli-acts", "--json"))
    assert (found["payout_id"], [each["status"] for each in found["events"]]) == ("cli-acts", ["unpaid", "confirmed"])
    assert ("payout confirm", "kari", "ola") in [(each["act"], each["by"], each["approved_by"]) for each in found["acts"]]


def test_payouts_are_listed_as_a_table_and_as_json(shop: str) -> None:
    made_now = [json.loads(payout(shop, *NEW, "--amount", "100000", "--json"))["payout_id"] for _ in range(2)]
    listed = [json.loads(line)["payout_id"] for line in payout(shop, "list", "--status", "unpaid", "--json").splitlines()]
    assert listed[:2] == made_now[::-1]
    assert made_now[0] in payout(shop, "list", "--party", "party-1", "--shop", "shop-1")
    assert "there are no such payouts" in payout(shop, "list", "--party", "party-9")
    for payout_id in made_now:
        payout(shop, "cancel", payout_id, "--details", "a test", *BY)


@pytest.mark.parametrize(
    ("arguments", "fails", "said"),
    [
        ((*NEW, "--amount", "99999999", "--dry-run"), 1, "it would be refused: the shop has not that much"),
        ((*NEW, "--amount", "99999999"), 2, "insufficient_funds, see docs/errors.md#insufficient-funds"),
        ((*NEW, "--amount", "0"), 2, "insufficient_funds"),
        ((*NEW, "--amount", "1000", "--id", "x" * 58), 2, "must have 1 to 57 characters (invalid_payout"),
        (("show", "p-404"), 2, "payoutId='p-404' (payout_not_found"),
        (("confirm", "p-404", "--by", "kari", "--reason", "as agreed"), 2, "needs_second_person"),
        (("confirm", "p-404"), 2, "name who does it and why"),
        (("paid", "p-404", *BY), 2, "payout_not_found"),
    ],
)
def test_what_can_not_be_done_is_reported_in_one_line(shop: str, arguments: tuple[str, ...], fails: int, said: str) -> None:
    assert said in payout(shop, *arguments, fails=fails)
