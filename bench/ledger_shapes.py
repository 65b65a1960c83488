"""The shapes of load that the ledger is measured under, each as accounts and transfers; a transfer is a hold and its commit."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from kvitt.kernel.money import Minor
from kvitt.ledger.calls import (
    Account,
    Call,
    LedgerCommand,
    LedgerResult,
    NewAccount,
)
from kvitt.ledger.rules import Batch, Operation, Posting

Execute = Callable[[Sequence[LedgerCommand]], list[LedgerResult | Exception]]

_CURRENCY, _AMOUNT = "RUB", 1000
_MADE_AT_ONCE = 1000


class Transfer(NamedTuple):
    """The two calls of one plan."""

    hold: Call
    commit: Call


def transfer(plan_id: str, *postings: Posting) -> Transfer:
    """A plan of one batch, held and committed."""
    batches = (Batch(1, postings),)
    return Transfer(Call(plan_id, Operation.HOLD, batches), Call(plan_id, Operation.COMMIT, batches))


def make_accounts(post: Execute, count: int) -> list[int]:
    """New accounts, by id."""
    made: list[int] = []
    while len(made) < count:
        results = post([NewAccount(_CURRENCY)] * min(_MADE_AT_ONCE, count - len(made)))
        made += [each.account_id for each in results if isinstance(each, Account)]
    return made


def circle(accounts: Sequence[int], count: int, name: str) -> list[Transfer]:
    """Each account gives to the next, round and round: over 3 accounts the hot-row test, over 40,000 the one for availability."""
    size = len(accounts)
    pairs = ((accounts[n % size], accounts[(n + 1) % size]) for n in range(count))
    return [transfer(f"{name}_{n}", _moved(*pair, _AMOUNT)) for n, pair in enumerate(pairs)]


def one_hot(accounts: Sequence[int], count: int, name: str) -> list[Transfer]:
    """Every transfer goes to the first account, from the others in turn."""
    hot, *others = accounts
    return [transfer(f"{name}_{n}", _moved(others[n % len(others)], hot, _AMOUNT)) for n in range(count)]


def distinct(accounts: Sequence[int], count: int, name: str) -> list[Transfer]:
    """Transfers between pairs of accounts of which none meets another one soon."""
    pairs = len(accounts) // 2
    return [transfer(f"{name}_{n}", _moved(accounts[2 * (n % pairs)], accounts[2 * (n % pairs) + 1], _AMOUNT)) for n in range(count)]


def close_to_real(accounts: Sequence[int], count: int, name: str, *, few: int = 10) -> list[Transfer]:
    """A provider, a system and a merchant, each picked at random: 100 to the system, 95 on to the merchant, 1 back."""
    return list(_close_to_real(accounts, count, name, few))


def _close_to_real(accounts: Sequence[int], count: int, name: str, few: int) -> Iterator[Transfer]:
    chance = Random(1)
    providers, systems, merchants = accounts[:few], accounts[few : 2 * few], accounts[2 * few :]
    for number in range(count):
        provider, system, merchant = chance.choice(providers), chance.choice(systems), chance.choice(merchants)
        yield transfer(f"{name}_{number}", _moved(provider, system, 100), _moved(system, merchant, 95), _moved(merchant, provider, 1))


def _moved(source: int, target: int, amount: int) -> Posting:
    return Posting(source, target, Minor(amount), _CURRENCY, "transfer")
