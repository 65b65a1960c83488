"""`kvitt audit` and `kvitt ledger transfer` as they are typed, and what `kvitt case` and `kvitt payout show` tell of who acted."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.operators import Operator
from kvitt.ledger.calls import NewAccount
from kvitt.ledger.post import LedgerWriter
from support.hub_messages import ts, ts_payment
from support.hub_stage import Stage, staged
from support.payout_stage import payout_stage, wanted

pytestmark = pytest.mark.usefixtures("made_up_people")

KARI = Operator("kari", "two children, two grants", "ola")
TRANSFER = (
    "ledger",
    "transfer",
    "sales-1",
    "--from",
    "1",
    "--to",
    "2",
    "--amount",
    "248000",
    "--currency",
    "RUB",
    "--description",
    "sales",
)
TWO = ("--by", "kari", "--approved-by", "ola", "--reason", "the acquirer's file")


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


@pytest.fixture
def released(stage: Stage) -> str:
    for number in (1, 2):
        stage.hand_in(Scheme.TILLEGGSSTONADER, (f"k{number}", ts("S", ts_payment(f"00000000-0000-0000-0000-{number:012}"))))
        if number == 1:
            stage.finish()
    (row,) = stage.rows("SELECT order_id::text FROM orders WHERE held_for <> '[]'")
    Operate(stage.connection, stage.clock, PORTS).release(str(row[0]), KARI)
    return str(row[0])


def kvitt(conninfo: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--database", conninfo])


def objects(result: Result) -> list[dict[str, object]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_acts_are_listed_as_a_table_and_as_json(database: str, released: str) -> None:
    shown = kvitt(database, "audit", "list")
    assert shown.exit_code == 0
    assert all(each in shown.stdout for each in ("release", "kari", "ola", "two children, two grants", released, "operators:1"))
    (act,) = objects(kvitt(database, "audit", "list", "--order", released[:8], "--person", "OLA", "--json"))
    assert (act["act"], act["by"], act["approved_by"], act["subject"], act["entry"]) == ("release", "kari", "ola", released, "operators:1")
    assert len(objects(kvitt(database, "audit", "list", "--case", "ts", "S", "--json"))) == 4
    assert kvitt(database, "audit", "list", "--until", "2020-01-01").stdout == "there are no such acts\n"


def test_an_act_is_shown_and_its_chain_verified(database: str, released: str) -> None:
    (act,) = objects(kvitt(database, "audit", "show", "operators:1", "--json"))
    assert act["subject"] == released
    verified = kvitt(database, "audit", "verify", "--operators")
    assert verified.exit_code == 0
    assert f"last hash {act['hash']}" in verified.stdout
    assert kvitt(database, "audit", "verify").stdout.endswith("nothing was changed\n")
    assert objects(kvitt(database, "audit", "verify", "--case", "ts", "S", "--json"))[0]["breaks"] == []


def test_a_broken_chain_ends_with_status_1(stage: Stage, database: str, released: str) -> None:
    assert released
    stage.connection.execute("UPDATE audit SET note = replace(note, 'ola', 'eva') WHERE chain = 0")
    found = kvitt(database, "audit", "verify")
    assert found.exit_code == 1
    assert "of operators, entry 1" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "published"),
    [
        (("list", "--since", "yesterday"), "--since"),
        (("list", "--until", "2026-11-28T08:00:00"), "--until"),
        (("list", "--order", "5f2c", "--payout", "p-1"), "--order"),
        (("list", "--case", "xx", "S"), "--case"),
        (("list", "--limit", "0"), "--limit"),
        (("show", "operators:1e9"), "operators:1e9"),
        (("verify", "--operators", "--payout", "p-1"), "--operators"),
        (("verify", "--payout", "p-1"), "p-1"),
    ],
)
def test_what_can_not_be_asked_is_reported_in_one_sentence(database: str, arguments: tuple[str, ...], published: str) -> None:
    result = kvitt(database, "audit", *arguments)
    assert result.exit_code == 2
    assert published in result.stderr
    assert "Traceback" not in result.output


def test_a_case_tells_who_released_its_order_and_why(database: str, released: str) -> None:
    page = kvitt(database, "case", "ts", "S").stdout
    assert "release of order 2 by kari, approved by ola: two children, two grants" in page
    assert released in page


def test_a_payout_tells_who_confirmed_it_and_why(database: str) -> None:
    with payout_stage(database) as stage:
        stage.payouts.create(wanted("p-1"))
        stage.payouts.confirm("p-1", operator=Operator("kari", "the bank has paid", "ola"))
    page = kvitt(database, "payout", "show", "p-1").stdout
    assert all(each in page for each in ("payout confirm", "kari", "ola", "the bank has paid", "payout:p-1:1"))


def test_a_transfer_is_looked_at_and_then_done_by_two(stage: Stage, database: str) -> None:
    LedgerWriter(stage.connection, utc_now).execute([NewAccount("RUB"), NewAccount("RUB")])
    seen = kvitt(database, *TRANSFER, "--dry-run")
    assert seen.exit_code == 0
    assert "-2,480.00" in seen.stdout
    assert seen.stdout.endswith("nothing was done\n")
    assert kvitt(database, *TRANSFER, *TWO).stdout.endswith("2,480.00 RUB moved\n")
    paid, got = objects(kvitt(database, *TRANSFER, *TWO, "--json"))
    assert (paid["posted_after_minor"], got["posted_after_minor"], got["changed"]) == (-248_000, 248_000, False)


@pytest.mark.parametrize(
    ("more", "published"),
    [((), "--by"), (TWO[:2] + TWO[4:], "another person"), (("--amount", "1e3", *TWO), "--amount"), (("--to", "1", *TWO), "")],
)
def test_a_transfer_that_can_not_be_is_refused(stage: Stage, database: str, more: tuple[str, ...], published: str) -> None:
    LedgerWriter(stage.connection, utc_now).execute([NewAccount("RUB"), NewAccount("RUB")])
    result = kvitt(database, *TRANSFER, *more)
    assert result.exit_code == 2
    assert published in result.stderr
    assert stage.rows("SELECT count(*) FROM ledger.plans") == [(0,)]
