"""A transfer by two people: it moves money once under its name, stands in the audit chain, and a dry run leaves nothing."""

from collections.abc import Iterator

import psycopg
import pytest

from kvitt.app.clock import utc_now
from kvitt.errors import NeedsSecondPerson, PlanRefused
from kvitt.hub.acts import Acts, Wanted
from kvitt.hub.check import check
from kvitt.hub.ledger.calls import NewAccount
from kvitt.hub.ledger.post import Post
from kvitt.hub.ledger.read import Ledger
from kvitt.hub.ledger.transfer import Transfer, transfer
from kvitt.hub.operate import Operator
from kvitt.store.database import connect

TWO = Operator("kari", "the acquirer's file", "ola")


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with connect(database) as made:
        Post(made, utc_now)([NewAccount("RUB", "provider"), NewAccount("RUB", "shop"), NewAccount("USD", "other")])
        yield made


def wanted(amount: int = 100, *, plan: str = "sales-1", target: int = 2, currency: str = "RUB") -> Transfer:
    return Transfer(plan, 1, target, amount, currency, "sales of a day")


def own(connection: psycopg.Connection[tuple[object, ...]]) -> list[int]:
    return [each.totals.own for each in Ledger(connection).accounts()]


def test_money_moves_and_both_names_stand_with_it(database: str, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    done = transfer(connection, utc_now, wanted(), TWO)
    assert ([each.totals.own for each in done.before], [each.totals.own for each in done.after]) == ([0, 0], [-100, 100])
    assert done.changed
    assert own(connection) == [-100, 100, 0]
    (act,) = Acts(connection).listed(Wanted(person="ola"), 10)
    assert (act.act, act.subject, act.by, act.reason) == ("ledger transfer", "sales-1", "kari", "the acquirer's file")
    assert {step.by for step in Acts(connection).listed(Wanted(plan_id="sales-1"), 10)} == {"kari"}
    assert check(database).clean


def test_the_same_transfer_again_moves_nothing(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    transfer(connection, utc_now, wanted(), TWO)
    assert not transfer(connection, utc_now, wanted(), TWO).changed
    assert own(connection) == [-100, 100, 0]
    assert len(Acts(connection).listed(Wanted(person="ola"), 10)) == 1
    with pytest.raises(PlanRefused):
        transfer(connection, utc_now, wanted(200), TWO)
    assert own(connection) == [-100, 100, 0]


def test_a_dry_run_shows_what_would_be_and_leaves_nothing(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    seen = transfer(connection, utc_now, wanted(), None)
    assert [each.totals.own for each in seen.after] == [-100, 100]
    assert seen.changed
    assert own(connection) == [0, 0, 0]
    assert connection.execute("SELECT count(*) FROM ledger.plans").fetchone() == (0,)
    assert transfer(connection, utc_now, wanted(), TWO).after == seen.after


def test_one_person_alone_moves_nothing(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    for operator in (Operator("kari", "the acquirer's file"), Operator("kari", "the acquirer's file", "KARI")):
        with pytest.raises(NeedsSecondPerson):
            transfer(connection, utc_now, wanted(), operator)
    assert own(connection) == [0, 0, 0]


@pytest.mark.parametrize(
    "refused",
    [wanted(0), wanted(-1), wanted(2**63), wanted(target=3), wanted(target=1), wanted(target=99), wanted(currency="USD"), wanted(plan="")],
)
def test_what_the_ledger_refuses_is_told_and_nothing_moves(connection: psycopg.Connection[tuple[object, ...]], refused: Transfer) -> None:
    for operator in (None, TWO):
        with pytest.raises(PlanRefused):
            transfer(connection, utc_now, refused, operator)
    assert own(connection) == [0, 0, 0]
    assert Acts(connection).listed(Wanted(), 10) == []


def test_names_that_are_kept_for_payouts_are_no_transfers(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    for operator in (TWO, None):
        with pytest.raises(PlanRefused, match=r"Plan id \(revert_payout_p-1\) is kept for payouts"):
            transfer(connection, utc_now, wanted(plan="revert_payout_p-1"), operator)
    assert own(connection) == [0, 0, 0]
