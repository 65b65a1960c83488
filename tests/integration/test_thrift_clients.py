"""Clients of other makers work against the ledger over HTTP: thriftpy2, and Apache Thrift's library with compiled definitions."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kvitt.formats.thrift.interface import module
from support.thrift_stage import apache_client, ledger_api, thriftpy_client


@pytest.fixture(scope="module")
def url(ledger_database: str) -> Iterator[str]:
    with ledger_api(ledger_database) as address:
        yield address


def posting(types: Any, source: int, target: int, amount: int = 100, description: str = "sale") -> Any:
    return types.Posting(from_id=source, to_id=target, amount=amount, currency_sym_code="RUB", description=description)


def scenario(types: Any, client: Any, name: str) -> list[tuple[int, int, int]]:
    """A plan of two batches held and committed, and one rolled back; returns the totals of the first account after each step."""
    first, second = (client.CreateAccount(types.AccountPrototype(currency_sym_code="RUB", description=each)) for each in ("a", "b"))
    batches = [
        types.PostingBatch(id=1, postings=[posting(types, first, second)]),
        types.PostingBatch(id=2, postings=[posting(types, second, first, 30)]),
    ]
    seen = []

    def look(log: Any) -> None:
        state = log.affected_accounts[first]
        seen.append((state.own_amount, state.min_available_amount, state.max_available_amount))

    for batch in batches:
        look(client.Hold(types.PostingPlanChange(id=name, batch=batch)))
    look(client.CommitPlan(types.PostingPlan(id=name, batch_list=batches)))
    other = types.PostingBatch(id=1, postings=[posting(types, second, first, 7)])
    look(client.Hold(types.PostingPlanChange(id=f"{name}.2", batch=other)))
    look(client.RollbackPlan(types.PostingPlan(id=f"{name}.2", batch_list=[other])))
    held = client.GetPlan(name)
    assert [[each.amount for each in batch.postings] for batch in held.batch_list] == [[100], [30]]
    account = client.GetAccountByID(first)
    assert (account.own_amount, account.currency_sym_code, account.description, account.creation_time[-1]) == (-70, "RUB", "a", "Z")
    return seen


EXPECTED = [(0, -100, 0), (0, -70, 0), (-70, -70, -70), (-70, -70, -63), (-70, -70, -70)]


def test_thriftpy2_holds_commits_and_rolls_back(url: str) -> None:
    with thriftpy_client(f"{url}/accounter", "accounter", "Accounter") as client:
        assert scenario(module("accounter"), client, "thriftpy2") == EXPECTED


def test_thriftpy2_is_thrown_what_is_declared(url: str) -> None:
    types = module("accounter")
    with thriftpy_client(f"{url}/accounter", "accounter", "Accounter") as client:
        with pytest.raises(types.AccountNotFound) as unknown:
            client.GetAccountByID(2**62)
        assert unknown.value.account_id == 2**62
        with pytest.raises(types.PlanNotFound):
            client.GetPlan("nothing")
        wrong = posting(types, 1, 1)
        with pytest.raises(types.InvalidPostingParams) as invalid:
            client.Hold(types.PostingPlanChange(id="wrong", batch=types.PostingBatch(id=1, postings=[wrong])))
        assert invalid.value.wrong_postings == {wrong: "Source and target accounts cannot be the same"}
        with pytest.raises(module("refusals").InvalidRequest) as refused:
            client.CommitPlan(types.PostingPlan(id="never", batch_list=[types.PostingBatch(id=1, postings=[posting(types, 1, 2)])]))
        assert refused.value.errors == ["Posting plan not found: never"]


def test_the_ledger_with_clocks_is_the_same_ledger(url: str) -> None:
    types = module("shumpune")
    with thriftpy_client(f"{url}/shumpune", "shumpune", "Accounter") as client:
        first, second = (client.CreateAccount(types.AccountPrototype(currency_sym_code="RUB")) for _ in range(2))
        batch = types.PostingBatch(id=1, postings=[posting(types, first, second)])
        clock = client.Hold(types.PostingPlanChange(id="clocks", batch=batch))
        assert clock.latest is not None
        balance = client.GetBalanceByID(first, clock)
        assert (balance.own_amount, balance.min_available_amount, balance.max_available_amount) == (0, -100, 0)
        assert balance.clock.latest is not None
        assert client.CommitPlan(types.PostingPlan(id="clocks", batch_list=[batch])).latest is not None
        assert client.GetPlan("clocks").batch_list == [batch]
        vector = types.Clock(vector=types.VectorClock(state=b"\xff\0"))
        assert client.GetBalanceByID(second, vector).own_amount == 100
        with pytest.raises(types.AccountNotFound):
            client.GetBalanceByID(2**62, clock)
        with pytest.raises(types.InvalidPostingParams):
            client.Hold(types.PostingPlanChange(id="x", batch=types.PostingBatch(id=1, postings=[posting(types, first, first)])))
    with thriftpy_client(f"{url}/accounter", "accounter", "Accounter") as client:
        assert client.GetAccountByID(second).own_amount == 100


def test_balances_of_the_past(url: str) -> None:
    types = module("accounter")
    with thriftpy_client(f"{url}/accounter", "accounter", "Accounter") as client:
        first, second = (client.CreateAccount(types.AccountPrototype(currency_sym_code="RUB")) for _ in range(2))
        batch = types.PostingBatch(id=1, postings=[posting(types, first, second)])
        client.Hold(types.PostingPlanChange(id="past", batch=batch))
        client.CommitPlan(types.PostingPlan(id="past", batch_list=[batch]))
        assert client.GetAccountBalance(second, "2020-01-01T00:00:00Z") == 0
        assert client.GetAccountBalance(second, "2999-01-01T00:00:00.123456789Z") == 100
        assert client.GetAccountBalanceDiff(first, "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z") == -100


def test_apache_thrift_works_on_both_services(url: str, thrift_generated: None) -> None:
    types, service = importlib.import_module("plans.ttypes"), importlib.import_module("accounter.Accounter")
    with apache_client(f"{url}/accounter", service.Client) as client:
        assert scenario(types, client, "apache") == EXPECTED
        with pytest.raises(types.AccountNotFound):
            client.GetAccountByID(2**62)
        with pytest.raises(types.InvalidPostingParams) as invalid:
            client.Hold(types.PostingPlanChange(id="wrong", batch=types.PostingBatch(id=1, postings=[posting(types, 1, 1)])))
        assert list(invalid.value.wrong_postings.values()) == ["Source and target accounts cannot be the same"]
    service = importlib.import_module("shumpune.Accounter")
    with apache_client(f"{url}/shumpune", service.Client) as client:
        first, second = (client.CreateAccount(types.AccountPrototype(currency_sym_code="RUB")) for _ in range(2))
        batch = types.PostingBatch(id=1, postings=[posting(types, first, second)])
        clock = client.Hold(types.PostingPlanChange(id="apache clocks", batch=batch))
        assert client.GetBalanceByID(first, clock).min_available_amount == -100


@pytest.mark.parametrize("amount", [2**63 - 1])
def test_amounts_at_the_end_of_64_bits_are_taken_once_and_then_refused(url: str, amount: int) -> None:
    types = module("accounter")
    with thriftpy_client(f"{url}/accounter", "accounter", "Accounter") as client:
        first, second = (client.CreateAccount(types.AccountPrototype(currency_sym_code="RUB")) for _ in range(2))
        big = types.PostingBatch(id=1, postings=[posting(types, first, second, amount)])
        state = client.Hold(types.PostingPlanChange(id="big", batch=big)).affected_accounts[first]
        assert state.min_available_amount == -amount
        more = types.PostingBatch(id=1, postings=[posting(types, first, second, amount)])
        with pytest.raises(module("refusals").InvalidRequest, match="would move account"):
            client.Hold(types.PostingPlanChange(id="bigger", batch=more))
        assert client.GetAccountByID(first).min_available_amount == -amount


def test_definitions_are_where_a_wheel_would_have_them() -> None:
    assert Path(str(module("accounter").__thrift_file__)).name == "accounter.thrift"
