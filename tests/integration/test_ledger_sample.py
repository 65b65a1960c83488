"""A minute of a real ledger runs as it did: all holds at once, then all commits, then all rollbacks (payouts §8)."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.kernel.database import connect
from kvitt.ledger.calls import (
    Account,
    Call,
    Done,
    NewAccount,
)
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.rules import InvalidRequest, Operation
from kvitt.ledger.service import LedgerService
from support.ledger_model import Model
from support.ledger_sample import (
    COMMITTED,
    CURRENCIES,
    HELD,
    HELD_COMMITTED,
    HELD_ROLLED_BACK,
    MOST_MOVED,
    ROLLED_BACK,
    SamplePlan,
    calls,
    sample,
)
from support.ledger_stage import clock, sums_are_zero

THREADS = 8
Way = Callable[[Sequence[Call]], list[object]]


@contextmanager
def sharing(conninfo: str) -> Iterator[Way]:
    """Calls from many threads that share transactions."""
    service = LedgerService(conninfo, clock)
    with ThreadPoolExecutor(THREADS) as pool:
        yield lambda batch: list(pool.map(lambda call: service.submit(call).result(), batch))
    service.close()


@contextmanager
def alone(conninfo: str) -> Iterator[Way]:
    """Calls from many connections, each call in a transaction of its own."""
    posts = [LedgerWriter(connect(conninfo), clock).execute for _ in range(THREADS)]

    def run(number: int, batch: Sequence[Call]) -> list[object]:
        return [posts[number]([call])[0] for call in batch]

    with ThreadPoolExecutor(THREADS) as pool:
        yield lambda batch: [
            each for part in pool.map(run, range(THREADS), [batch[number::THREADS] for number in range(THREADS)]) for each in part
        ]


def outcomes(results: Sequence[object]) -> Counter[str]:
    """How many calls went through, and how many met a plan that is not there; anything else under its own words."""
    return Counter(
        "ok" if isinstance(each, Done) else each.error.split(":")[0] if isinstance(each, InvalidRequest) else repr(each) for each in results
    )


def test_the_sample_has_the_shape_that_was_seen() -> None:
    plans = sample(range(1, 86))
    rows = [(operation, posting) for plan in plans for operation in plan.operations for posting in plan.batch.postings]
    assert (len(plans), len(rows)) == (235, 1000)
    assert Counter(operation.value for operation, _ in rows) == {"HOLD": 479, "COMMIT": 427, "ROLLBACK": 94}
    assert Counter(posting.currency for _, posting in rows) == {"RUB": 941, "USD": 49, "EUR": 10}
    assert Counter(len(plan.batch.postings) for plan in plans for _ in plan.operations) == {3: 164, 4: 116, 1: 8, 5: 3, 7: 3}
    assert sum(posting.amount == 0 for _, posting in rows) == 16
    assert max(posting.amount for _, posting in rows) <= MOST_MOVED
    for hot in (1, 2):
        assert 0.35 < sum(hot in posting[:2] for _, posting in rows) / len(rows) < 0.48


@pytest.mark.parametrize("way", [sharing, alone])
def test_the_sample_ends_as_its_rules_say(database: str, way: Callable[[str], AbstractContextManager[Way]]) -> None:
    with connect(database) as connection:
        made = LedgerWriter(connection, clock).execute([NewAccount(currency) for currency in CURRENCIES])
        accounts = [each.account_id for each in made if isinstance(each, Account)]
        plans = sample(accounts)
        with way(database) as call:
            assert outcomes(call(calls(plans, Operation.HOLD))) == {"ok": HELD + HELD_COMMITTED + HELD_ROLLED_BACK}
            unknown = "Posting plan not found"
            assert outcomes(call(calls(plans, Operation.COMMIT))) == {"ok": HELD_COMMITTED, unknown: COMMITTED}
            assert outcomes(call(calls(plans, Operation.ROLLBACK))) == {"ok": HELD_ROLLED_BACK, unknown: ROLLED_BACK}
        sums_are_zero(connection)
        stored = {
            row[0]: row[1:] for row in connection.execute("SELECT account_id, posted, available_min, available_max FROM ledger.accounts")
        }
    assert stored == expected(plans, dict(zip(accounts, CURRENCIES, strict=True)))
    assert check(database, PORTS).differences == ()


def expected(plans: Sequence[SamplePlan], currencies: dict[int, str]) -> dict[int, tuple[int, int, int]]:
    """What the plain model counts, for which the order of plans makes no difference."""
    model = Model(currencies)
    for plan in plans:
        for operation in plan.operations:
            model.call(plan.plan_id, operation, (plan.batch,))
    return {account: model.totals(account) for account in currencies}
