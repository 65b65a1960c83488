"""A transfer by two people: it moves money once under its name, stands in the audit chain, and a dry run leaves nothing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.acts import Acts, Wanted
from kvitt.disbursement.check import check
from kvitt.errors import NeedsSecondPerson, PlanRefused, ResultUnknown
from kvitt.kernel import commits
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from kvitt.ledger.calls import NewAccount
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import LedgerReader
from kvitt.ledger.transfer import Transfer, Transferred, transfer
from kvitt.payouts.repository import reserved_plans
from support.commit_proxy import Cut, proxied

TWO = Operator("kari", "the acquirer's file", "ola")


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with connect(database) as made:
        LedgerWriter(made, utc_now).execute([NewAccount("RUB", "provider"), NewAccount("RUB", "shop"), NewAccount("USD", "other")])
        yield made


def wanted(amount: int = 100, *, plan: str = "sales-1", target: int = 2, currency: str = "RUB") -> Transfer:
    return Transfer(plan, 1, target, amount, currency, "sales of a day")


def own(connection: psycopg.Connection[tuple[object, ...]]) -> list[int]:
    return [each.totals.posted for each in LedgerReader(connection).accounts()]


def test_money_moves_and_both_names_stand_with_it(database: str, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    done = transfer(connection, utc_now, wanted(), TWO)
    assert ([each.totals.posted for each in done.before], [each.totals.posted for each in done.after]) == ([0, 0], [-100, 100])
    assert done.changed
    assert own(connection) == [-100, 100, 0]
    (act,) = Acts(connection).listed(Wanted(person="ola"), 10)
    assert (act.act, act.subject, act.by, act.reason) == ("ledger transfer", "sales-1", "kari", "the acquirer's file")
    about = Acts(connection).listed(Wanted(plan_id="sales-1"), 10)
    assert [(act.act, act.by, act.approved_by) for act in about] == [
        ("ledger transfer", "kari", "ola"),
        ("plan commit", "kari", None),
        ("plan hold", "kari", None),
    ]
    assert Acts(connection).listed(Wanted(payout_id="sales-1"), 10) == [], "a payout of that name would be something else"
    assert check(database, PORTS).clean


def test_the_same_transfer_again_moves_nothing(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    transfer(connection, utc_now, wanted(), TWO)
    assert not transfer(connection, utc_now, wanted(), TWO).changed
    assert own(connection) == [-100, 100, 0]
    assert len(Acts(connection).listed(Wanted(person="ola"), 10)) == 1
    with pytest.raises(PlanRefused):
        transfer(connection, utc_now, wanted(200), TWO)
    assert own(connection) == [-100, 100, 0]


def test_many_who_do_the_same_at_once_move_the_money_once(database: str, connection: psycopg.Connection[tuple[object, ...]]) -> None:
    together = Barrier(6)

    def one(plan: str) -> Transferred:
        with connect(database) as own_connection:
            together.wait()
            return transfer(own_connection, utc_now, wanted(plan=plan), TWO)

    with ThreadPoolExecutor(6) as threads:
        # The first time the plan is not there, the second time all repeat what is done, and then each has its own.
        for plans, moved in ((["sales-1"] * 6, 1), (["sales-1"] * 6, 0), ([f"own-{each}" for each in range(6)], 6)):
            done = list(threads.map(one, plans))
            assert sum(each.changed for each in done) == moved
            steps = [
                after.totals.posted - before.totals.posted for each in done for before, after in zip(each.before, each.after, strict=True)
            ]
            assert sorted(set(steps)) == ([-100, 100] if moved == 6 else [-100, 0, 100] if moved else [0])
    assert own(connection) == [-700, 700, 0]
    assert check(database, PORTS).clean


@pytest.mark.parametrize("cut", Cut)
def test_a_transfer_whose_commit_was_cut_off_is_reported_as_it_is(
    database: str, connection: psycopg.Connection[tuple[object, ...]], cut: Cut
) -> None:
    with proxied(database) as (proxy, conninfo), connect(conninfo) as behind:
        proxy.cut(cut)
        if cut is Cut.AFTER:
            assert transfer(behind, utc_now, wanted(), TWO).changed
        else:
            with pytest.raises(psycopg.OperationalError):
                transfer(behind, utc_now, wanted(), TWO)
        assert proxy.cuts == 1
    assert own(connection) == ([-100, 100, 0] if cut is Cut.AFTER else [0, 0, 0])


def test_a_transfer_of_which_nothing_can_be_found_out_names_its_plan(
    database: str, connection: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "LOOK_SECONDS", 0.1)
    with proxied(database) as (proxy, conninfo), connect(conninfo) as behind:
        proxy.cut(Cut.AFTER, shut=True)
        with pytest.raises(ResultUnknown) as unknown:
            transfer(behind, utc_now, wanted(), TWO)
    assert (unknown.value.kind, unknown.value.identity) == ("plan", "sales-1")
    assert not transfer(connection, utc_now, wanted(), TWO).changed


def test_an_account_that_somebody_else_has_locked_is_reported_and_nothing_moves(
    database: str, connection: psycopg.Connection[tuple[object, ...]]
) -> None:
    with connect(database) as stranger, stranger.transaction(), connect(database, lock_timeout_ms=10) as hurried:
        stranger.execute("SELECT FROM ledger.accounts WHERE account_id = 2 FOR UPDATE")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            transfer(hurried, utc_now, wanted(), TWO)
    assert own(connection) == [0, 0, 0]


def test_a_dry_run_shows_what_would_be_and_leaves_nothing(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    seen = transfer(connection, utc_now, wanted(), None)
    assert [each.totals.posted for each in seen.after] == [-100, 100]
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
def test_what_the_ledger_refuses_is_reported_and_nothing_moves(
    connection: psycopg.Connection[tuple[object, ...]], refused: Transfer
) -> None:
    for operator in (None, TWO):
        with pytest.raises(PlanRefused):
            transfer(connection, utc_now, refused, operator)
    assert own(connection) == [0, 0, 0]
    assert Acts(connection).listed(Wanted(), 10) == []


def test_names_that_are_kept_for_payouts_are_no_transfers(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    for operator in (TWO, None):
        with pytest.raises(PlanRefused, match=r"Plan id \(revert_payout_p-1\) is kept for payouts"):
            transfer(connection, utc_now, wanted(plan="revert_payout_p-1"), operator, reserved_plans)
    assert own(connection) == [0, 0, 0]
