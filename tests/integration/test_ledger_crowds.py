"""Callers in several processes at once: one effect, one winner, no deadlock (payouts §4.6)."""

from collections.abc import Iterator
from random import Random

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.kernel.database import connect
from kvitt.ledger.calls import Call, Done
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.rules import InvalidRequest
from support.ledger_crowd import CALLERS, Crowd, crowd
from support.ledger_stage import clock, commit, hold, made, moved, rollback, sums_are_zero, totals

ROUNDS = 60
PLANS_EACH = 150


@pytest.fixture(scope="module")
def callers(ledger_database: str) -> Iterator[Crowd]:
    with crowd(ledger_database) as callers:
        yield callers


def new_accounts(conninfo: str, count: int) -> list[int]:
    with connect(conninfo) as connection:
        return made(LedgerWriter(connection, clock).execute, count)


def test_eight_identical_first_holds_at_once_have_one_effect_and_equal_answers(ledger_database: str, callers: Crowd) -> None:
    a, b = new_accounts(ledger_database, 2)
    script = [[hold(f"same.{number}", moved(a, b, 1))] for number in range(ROUNDS)]
    answers = callers.play([script] * CALLERS, in_step=True)
    for number in range(ROUNDS):
        published = [totals(answer[number][0]) for answer in answers]
        assert published == [{a: (0, -number - 1, 0), b: (0, 0, number + 1)}] * CALLERS


def test_of_commits_and_rollbacks_of_one_plan_one_side_wins_whole(ledger_database: str, callers: Crowd) -> None:
    a, b = new_accounts(ledger_database, 2)
    plans = [(f"side.{number}", moved(a, b, 1)) for number in range(ROUNDS)]
    with connect(ledger_database) as connection:
        assert all(isinstance(each, Done) for each in LedgerWriter(connection, clock).execute([hold(*plan) for plan in plans]))
    sides = [[[commit(*plan)] for plan in plans], [[rollback(*plan)] for plan in plans]]
    answers = callers.play([side for side in sides for _ in range(CALLERS // 2)], in_step=True)
    committed = 0
    for number, (plan, _) in enumerate(plans):
        published = [answer[number][0] for answer in answers]
        commits, rollbacks = published[: CALLERS // 2], published[CALLERS // 2 :]
        won = isinstance(commits[0], Done)
        committed += won
        winners, losers = (commits, rollbacks) if won else (rollbacks, commits)
        assert len({str(totals(winner)) for winner in winners}) == 1
        words = ("COMMIT", "ROLLBACK") if won else ("ROLLBACK", "COMMIT")
        refusal = InvalidRequest(f"Unable to change plan state: {plan} from: {words[0]} to {words[1]}")
        assert losers == [refusal] * len(losers)
    with connect(ledger_database) as connection:
        query = "SELECT posted, available_min, available_max FROM ledger.accounts WHERE account_id = %s"
        assert connection.execute(query, (b,)).fetchone() == (committed,) * 3


def random_plans(caller: int, accounts: list[int]) -> list[list[Call]]:
    """Plans of five postings, each held in one transaction and ended in the next."""
    chance = Random(caller)
    script: list[list[Call]] = []
    for number in range(PLANS_EACH):
        postings = [moved(*chance.sample(accounts, 2), chance.randrange(100)) for _ in range(5)]
        plan_id = f"random.{caller}.{number}"
        script += [[hold(plan_id, *postings)], [chance.choice([commit, rollback])(plan_id, *postings)]]
    return script


def test_1200_random_plans_over_50_accounts_never_deadlock(ledger_database: str, callers: Crowd) -> None:
    accounts = new_accounts(ledger_database, 50)
    answers = callers.play([random_plans(caller, accounts) for caller in range(CALLERS)], in_step=False)
    results = [result for answer in answers for batch in answer for result in batch]
    assert len(results) == 2 * CALLERS * PLANS_EACH
    assert [each for each in results if not isinstance(each, Done)] == []
    with connect(ledger_database) as connection:
        sums_are_zero(connection)
        query = "SELECT count(*) FROM ledger.accounts WHERE account_id = ANY (%s) AND (posted <> available_min OR posted <> available_max)"
        assert connection.execute(query, (accounts,)).fetchone() == (0,)
    assert check(ledger_database, PORTS).differences == ()
