"""Amounts are compared, added and moved in one currency: where anything of a payout is in another one, it is refused, and found."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Kind, check
from kvitt.errors import BadDirectory, InvalidPayout, PayoutNotFound
from kvitt.kernel.database import connect
from kvitt.ledger.calls import Call, Done
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.rules import (
    Batch,
    InvalidRequest,
    Operation,
    Posting,
)
from kvitt.payouts.directory import load_directory
from kvitt.payouts.directory_file import read_directory
from kvitt.payouts.local_parties import LocalParties
from kvitt.payouts.model import Cash, NewPayout
from kvitt.payouts.ports import Party, Shop
from kvitt.payouts.rules import CashFlowPosting
from kvitt.payouts.service import PayoutService
from kvitt.testing import TestServer
from support.ledger_stage import clock, made
from support.payout_remote_stage import OtherLedger
from support.payout_stage import PAYOUT, SETTLEMENT, SYSTEM, payout_stage, wanted
from support.rest_stage import EXAMPLE
from support.tried import tried

CURRENCIES = ("RUB", "USD", "NOK")
_ids = count()


class AnyTerms:
    """PartyManagement that computes in whatever currencies it was set to."""

    def __init__(self) -> None:
        self.flow: tuple[CashFlowPosting, ...] = ()
        self.settlement = 0
        self.currency: str | None = None

    def party(self, party_id: str, *, deadline: datetime | None = None) -> Party:  # noqa: ARG002 - as the port has it
        """One shop."""
        shop = Shop("shop-1", "contract-1", "tool-1", self.settlement, self.currency)
        return Party(party_id, {"shop-1": shop}, {"contract-1": frozenset({"tool-1"})})

    def cash_flow(self, *_: object, deadline: datetime | None = None) -> tuple[CashFlowPosting, ...]:  # noqa: ARG002 - as the port has it
        """What the test says."""
        return self.flow


Making = tuple[PayoutService, AnyTerms, dict[str, list[int]]]


@contextmanager
def accounts_in(conninfo: str) -> Iterator[dict[str, list[int]]]:
    """Four accounts in each currency; the first of each has money."""
    with connect(conninfo) as connection:
        post, accounts = LedgerWriter(connection, clock).execute, {}
        for currency in CURRENCIES:
            accounts[currency] = made(post, 4, currency)
            rich, bank, *_ = accounts[currency]
            batches = (Batch(1, (Posting(bank, rich, 10**9, currency, "x"),)),)
            ends = (Operation.HOLD, Operation.COMMIT)
            assert all(isinstance(each, Done) for each in post([Call(f"rich-{currency}", end, batches) for end in ends]))
        yield accounts


@pytest.fixture(scope="module", params=["our own ledger", "another's ledger"])
def making(request: pytest.FixtureRequest, kvitt_server: TestServer) -> Iterator[Making]:
    terms = AnyTerms()
    with kvitt_server.database() as ours, kvitt_server.database() as theirs:
        remote = OtherLedger(theirs) if request.param == "another's ledger" else None
        payouts = PayoutService(ours, clock, terms, remote)
        with accounts_in(theirs if remote else ours) as accounts:
            yield payouts, terms, accounts
        payouts.close()
        assert check(ours, PORTS).differences == ()
        if remote:
            remote.connection.close()


any_currency = st.sampled_from(("RUB", *CURRENCIES, "RUB"))


@given(
    asked=any_currency,
    flow=st.tuples(any_currency, any_currency),
    held=st.tuples(any_currency, any_currency, any_currency),
    solvent=any_currency,
    shop=st.one_of(st.none(), any_currency),
)
@tried(60)
def test_a_payout_of_which_anything_is_in_another_currency_is_refused_and_names_both(
    making: Making, *, asked: str, flow: tuple[str, str], held: tuple[str, str, str], solvent: str, shop: str | None
) -> None:
    payouts, terms, accounts = making
    source, target, system = (accounts[currency][place] for place, currency in enumerate(held))
    terms.settlement, terms.currency = accounts[solvent][0], shop
    terms.flow = (
        CashFlowPosting(SETTLEMENT, source, PAYOUT, target, 100, flow[0]),
        CashFlowPosting(SETTLEMENT, source, SYSTEM, system, 5, flow[1]),
    )
    new = NewPayout("party-1", "shop-1", Cash(100, asked), f"c-{next(_ids)}")
    others = {*flow, *held, solvent, shop or asked} - {asked}
    if not others:
        assert payouts.create(new).currency == asked
        return
    with pytest.raises(InvalidPayout) as refused:
        payouts.create(new)
    assert all(each.startswith(f"cash.currency is {asked}, and ") for each in refused.value.errors)
    assert {each[-3:] for each in refused.value.errors} & others
    with pytest.raises(PayoutNotFound):
        payouts.get(new.payout_id or "")
    if payouts.remote is None:
        with pytest.raises(InvalidPayout):
            payouts.preview_create(new)


def test_what_must_stay_solvent_is_compared_in_its_own_currency(ledger_database: str) -> None:
    with connect(ledger_database) as connection:
        post = LedgerWriter(connection, clock).execute
        (a, b), (dollars,) = made(post, 2), made(post, 1, "USD")
        call = Call(f"s-{a}", Operation.HOLD, (Batch(1, (Posting(a, b, 5, "RUB", "x"),)),), solvent=dollars)
        assert post([call]) == [InvalidRequest(f"Account ({dollars}) currency code is not equal: expected: USD, actual: RUB")]


TAMPERED = {
    "a payout": (Kind.PAYOUT, "UPDATE payouts.payouts SET currency = 'USD'"),
    "a movement": (Kind.PAYOUT, "UPDATE payouts.cash_flow SET currency = 'USD' WHERE position = 0"),
    "an account of a movement": (Kind.PAYOUT, "UPDATE ledger.accounts SET currency = 'USD' WHERE account_id = 1"),
    "an account": (Kind.LEDGER, "UPDATE ledger.accounts SET currency = 'USD'"),
    "a posting": (Kind.LEDGER, "UPDATE ledger.postings SET currency = 'USD' WHERE plan_id = 'payout_p-1' AND position = 0"),
    "a plan": (Kind.PAYOUT, "UPDATE ledger.postings SET currency = 'USD' WHERE plan_id = 'payout_p-1' AND position = 0"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_is_in_another_currency_is_found(database: str, what: str) -> None:
    with payout_stage(database) as stage:
        stage.payouts.create(wanted())
        for table in ("payouts.cash_flow", "ledger.postings"):
            stage.connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only".encode())
        kind, statement = TAMPERED[what]
        stage.connection.execute(statement.encode())
    found = [each for each in check(database, PORTS).differences if each.kind is kind]
    assert any("USD" in each.text for each in found)


def test_a_fixed_fee_is_in_one_currency(database: str) -> None:
    """Terms that two shops share are the same number of roubles and of dollars only where nothing in them is fixed."""
    dollars = '[[parties.shops]]\nid = "shop-usd"\ncontract = "contract-1"\ncurrency = "USD"\n\n[[parties.shops]]'
    two = EXAMPLE.replace("[[parties.shops]]", dollars, 1)
    with pytest.raises(BadDirectory, match="currency: is needed for fixed amounts, as shops of the contract are in RUB and USD"):
        read_directory(two)
    parties, ask = LocalParties(database), ("party-1", "shop-1", Cash(100_000, "RUB"), clock(), "pt-1")
    try:
        for currency in ("RUB", "USD"):
            named = two.replace("[[parties.contracts.terms]]", f'[[parties.contracts.terms]]\ncurrency = "{currency}"', 1)
            with connect(database) as connection:
                load_directory(connection, clock, read_directory(named))
            if currency == "RUB":
                assert {each.currency for each in parties.cash_flow(*ask)} == {"RUB"}
            else:
                with pytest.raises(InvalidPayout, match="contract contract-1 has no terms in RUB at"):
                    parties.cash_flow(*ask)
    finally:
        parties.close()
