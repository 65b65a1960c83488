"""A ledger behind the payouts' port, called over HTTP: a second kvitt."""

from collections.abc import Iterator

import pytest

from kvitt.api.thrift.client import ThriftClient
from kvitt.api.thrift.services import ACCOUNTER, RemoteLedgerAdapter
from kvitt.formats.thrift.interface import module
from kvitt.ledger.rules import Batch, Posting
from kvitt.payouts.ports import LedgerRefused, LedgerResultUnknown, LedgerUnavailable
from support.patience import PATIENCE_SECONDS
from support.thrift_stage import ledger_api


@pytest.fixture(scope="module")
def client(ledger_database: str) -> Iterator[ThriftClient]:
    with ledger_api(ledger_database) as url:
        made = ThriftClient(f"{url}/accounter", ACCOUNTER, seconds=PATIENCE_SECONDS)
        yield made
        made.close()


def a_batch(client: ThriftClient, amount: int = 100) -> Batch:
    wanted = module("accounter").AccountPrototype(currency_sym_code="RUB")
    source, target = (client.call("CreateAccount", wanted) for _ in range(2))
    return Batch(1, (Posting(source, target, amount, "RUB", "payout"),))


def test_a_plan_is_held_and_committed_and_repeats_change_nothing(client: ThriftClient) -> None:
    ledger, batch = RemoteLedgerAdapter(client), a_batch(client)
    source, target = batch.postings[0][:2]
    for _ in range(2):
        assert ledger.hold("remote 1", batch) == {source: -100, target: 0}
    for _ in range(2):
        ledger.commit("remote 1", batch)
    assert client.call("GetAccountByID", target).own_amount == 100


def test_a_plan_that_is_rolled_back_refuses_a_late_hold(client: ThriftClient) -> None:
    ledger, batch = RemoteLedgerAdapter(client), a_batch(client)
    ledger.hold("remote 2", batch)
    ledger.rollback("remote 2", batch)
    with pytest.raises(LedgerRefused, match="from: ROLLBACK to HOLD"):
        ledger.hold("remote 2", batch)


def test_a_refusal_says_why_without_the_postings(client: ThriftClient) -> None:
    ledger = RemoteLedgerAdapter(client)
    with pytest.raises(LedgerRefused, match=r"^Source account not found by id: 4611686018427387904 in batch: 1$"):
        ledger.hold("remote 3", Batch(1, (Posting(2**62, a_batch(client).postings[0].target, 1, "RUB", "secret"),)))


def test_a_ledger_that_is_not_there_is_unavailable() -> None:
    away = ThriftClient("http://127.0.0.1:9/accounter", ACCOUNTER)
    with pytest.raises(LedgerUnavailable):
        RemoteLedgerAdapter(away).hold("x", Batch(1, (Posting(1, 2, 1, "RUB", ""),)))
    away.close()


def test_a_service_that_answers_nonsense_leaves_the_result_unknown(client: ThriftClient, ledger_database: str) -> None:
    with ledger_api(ledger_database) as url:
        lost = ThriftClient(f"{url}/elsewhere", ACCOUNTER)
        with pytest.raises(LedgerResultUnknown):
            RemoteLedgerAdapter(lost).commit("x", Batch(1, (Posting(1, 2, 1, "RUB", ""),)))
        lost.close()
