"""A minute of a real ledger, made up: 1000 posting rows of 235 plans over 85 accounts, with the counts that were seen (payouts §8).

A plan's rows of one operation are one batch. Some plans were held before the minute began, so their ends are of plans not known.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from msgspec import Struct

from kvitt.ledger.calls import Call
from kvitt.ledger.rules import Batch, Operation, Posting

CURRENCIES: Final = ("RUB",) * 72 + ("USD",) * 8 + ("EUR",) * 5
"""Of the 85 accounts; the first two take part in most rows."""

HELD, HELD_COMMITTED, HELD_ROLLED_BACK, COMMITTED, ROLLED_BACK = 84, 49, 10, 75, 17
MOST_MOVED = 10_190_000
_ZEROS = 16
_HOLD, _COMMIT, _ROLLBACK = Operation.HOLD, Operation.COMMIT, Operation.ROLLBACK
_Kind = tuple[tuple[Operation, ...], str, int, int]
_PLANS: Final[tuple[_Kind, ...]] = (
    # operations, currency, postings, how many plans are like this
    ((_HOLD,), "RUB", 1, 8),
    ((_HOLD,), "RUB", 3, 26),
    ((_HOLD,), "RUB", 4, 33),
    ((_HOLD,), "USD", 3, 7),
    ((_HOLD,), "USD", 4, 7),
    ((_HOLD,), "EUR", 3, 2),
    ((_HOLD,), "EUR", 4, 1),
    ((_HOLD, _COMMIT), "RUB", 3, 29),
    ((_HOLD, _COMMIT), "RUB", 4, 20),
    ((_HOLD, _ROLLBACK), "RUB", 3, 5),
    ((_HOLD, _ROLLBACK), "RUB", 4, 5),
    ((_COMMIT,), "RUB", 3, 52),
    ((_COMMIT,), "RUB", 4, 17),
    ((_COMMIT,), "RUB", 5, 3),
    ((_COMMIT,), "RUB", 7, 3),
    ((_ROLLBACK,), "RUB", 3, 9),
    ((_ROLLBACK,), "RUB", 4, 8),
)


class SamplePlan(Struct, frozen=True):
    """A plan, what was done to it in the minute, and its only batch."""

    plan_id: str
    operations: tuple[Operation, ...]
    batch: Batch


def sample(accounts: Sequence[int], seed: int = 1) -> list[SamplePlan]:
    """The plans in the order in which they came; `accounts` are ids, of the currencies of CURRENCIES."""
    chance = Random(seed)
    kinds = [kind[:3] for kind in _PLANS for _ in range(kind[3])]
    chance.shuffle(kinds)
    zeros = _ZEROS
    plans: list[SamplePlan] = []
    for number, (operations, currency, size) in enumerate(kinds):
        postings: list[Posting] = []
        for source, target in _pairs(chance, accounts, currency, size):
            # Zeros stand in plans of one operation only, so that as many rows have them.
            is_zero = zeros > 0 and len(operations) == 1
            zeros -= is_zero
            amount = 0 if is_zero else min(MOST_MOVED, round(chance.lognormvariate(7.6, 2.65)) + 1)
            postings.append(Posting(source, target, amount, currency, f"PAYMENT-{number}"))
        plans.append(SamplePlan(f"1CLqe3X431c.{number}", operations, Batch(1, tuple(postings))))
    return plans


def _pairs(chance: Random, accounts: Sequence[int], currency: str, size: int) -> Iterator[tuple[int, int]]:
    own = [account for account, each in zip(accounts, CURRENCIES, strict=True) if each == currency]
    hot, warm, *others = own
    for _ in range(size):
        drawn = chance.random()
        pair = [hot, chance.choice(others)] if drawn < 0.45 else [warm, chance.choice(others)] if drawn < 0.87 else chance.sample(others, 2)
        chance.shuffle(pair)
        yield pair[0], pair[1]


def calls(plans: Sequence[SamplePlan], operation: Operation) -> list[Call]:
    """One operation of all plans that saw it."""
    return [Call(plan.plan_id, operation, (plan.batch,)) for plan in plans if operation in plan.operations]
