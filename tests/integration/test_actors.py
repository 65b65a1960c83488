"""Who asked for a change of a payout, an account or a plan stands with what was done, and can not be changed unseen."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kvitt.api.thrift import ledger as woody_ledger
from kvitt.api.thrift import payouts as woody_payouts
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Kind, check
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service
from kvitt.kernel.actor import Actor, decode
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from kvitt.ledger.service import LedgerService
from kvitt.payouts.local_parties import LocalParties
from kvitt.payouts.service import PayoutService
from kvitt.testing import TestServer
from support.payout_remote_stage import remote_stage
from support.payout_stage import wanted
from support.rest_stage import Site, earn, rest_site
from support.thrift_stage import post, serving

MONEY: Any = module("money")
TYPES: Any = module("payouts")


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Site]:
    earn(database)
    with rest_site(database, tmp_path) as made:
        yield made


def actors(conninfo: str, statement: str, *arguments: object) -> list[Actor | None]:
    with connect(conninfo) as connection:
        return [decode(row[0]) for row in connection.execute(statement.encode(), arguments)]


def of_payout(conninfo: str, payout_id: str) -> list[Actor | None]:
    return actors(conninfo, "SELECT actor FROM payouts.events WHERE payout_id = %s ORDER BY sequence", payout_id)


def of_plan(conninfo: str, plan_id: str) -> list[Actor | None]:
    return actors(conninfo, "SELECT actor FROM ledger.steps WHERE plan_id = %s ORDER BY at, operation DESC", plan_id)


def a_payout(client: httpx.Client, **more: Any) -> str:
    body = {"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": 100_000, "currency": "RUB"}, **more}
    return str(client.post("/payouts", json=body).json()["payout_id"])


def test_the_token_that_asked_over_rest_stands_with_each_change_of_a_payout_and_its_plan(site: Site) -> None:
    with site.client(application="shop") as shop, site.client(application="bank") as bank:
        payout_id = a_payout(shop)
        bank.post(f"/payouts/{payout_id}/confirm", headers={"x-request-id": "r-7"})
        shop.post(f"/payouts/{payout_id}/confirm")
        shop.post(f"/payouts/{payout_id}/cancel", json={"details": "the bank said no"})
    shop_, bank_ = Actor("rest", "shop/shop", "127.0.0.1"), Actor("rest", "bank/bank", "127.0.0.1", "r-7")
    assert of_payout(site.conninfo, payout_id) == [shop_, bank_, shop_]
    assert of_plan(site.conninfo, f"payout_{payout_id}") == [shop_, bank_]
    assert check(site.conninfo, PORTS).differences == ()


def test_the_token_that_asked_over_rest_stands_with_accounts_and_plans(site: Site) -> None:
    with site.client(application="books") as client:
        one, two = (client.post("/accounts", json={"currency": "RUB"}).json()["account_id"] for _ in range(2))
        posting = {"source": one, "target": two, "amount": 1, "currency": "RUB", "description": "sale"}
        batch = {"batch_id": 1, "postings": [posting]}
        assert client.post("/plans/p/hold", json={"batch": batch}).status_code == 200
        assert client.post("/plans/p/commit", json={"batches": [batch]}).status_code == 200
    books = Actor("rest", "books/books", "127.0.0.1")
    assert of_plan(site.conninfo, "p") == [books, books]
    assert actors(site.conninfo, "SELECT made_by FROM ledger.accounts WHERE account_id = %s", one) == [books]


def test_the_user_that_a_caller_over_thrift_acts_for_stands_with_what_was_done(database: str) -> None:
    earn(database)
    parties, ledger = LocalParties(database), LedgerService(database, utc_now)
    payouts = PayoutService(database, utc_now, parties)
    cash = MONEY.Cash(amount=100_000, currency=MONEY.CurrencyRef(symbolic_code="RUB"))
    params = TYPES.PayoutParams(shop_params=TYPES.ShopParams(party_id="party-1", shop_id="shop-1"), cash=cash, payout_id="p-1")
    service = Service("payouts", "PayoutManagement")
    with serving({**woody_payouts.endpoints(payouts), **woody_ledger.endpoints(ledger)}) as url:
        path = f"{url}{woody_payouts.PATH}"
        assert post(path, service.call("CreatePayout", 1, [params]), **{"woody.meta.user-identity.username": "kari"}).is_success
        assert post(path, service.call("ConfirmPayout", 2, ["p-1"])).is_success
    for each in (payouts, parties, ledger):
        each.close()
    assert of_payout(database, "p-1") == [Actor("thrift", "kari", "127.0.0.1", "77"), Actor("thrift", "unnamed", "127.0.0.1", "77")]


def test_a_saga_step_at_another_ledger_stands_under_who_asked_whoever_ends_it(database: str, kvitt_server: TestServer) -> None:
    shop, kari = Actor("rest", "shop"), Operator("kari", "asked by phone", "ola")
    with kvitt_server.database() as other, remote_stage(database, other) as stage:
        stage.payouts.create(wanted("p-1"), actor=shop)
        stage.payouts.confirm("p-1", operator=kari)
    assert of_payout(database, "p-1") == [shop, Actor("cli", "kari")]


def test_a_changed_actor_is_found(site: Site) -> None:
    with site.client() as client:
        payout_id = a_payout(client)
    with connect(site.conninfo) as connection:
        connection.execute("ALTER TABLE payouts.events DISABLE TRIGGER append_only")
        connection.execute("UPDATE payouts.events SET actor = replace(actor, 'tests', 'other')")
    assert [(each.kind, each.subject) for each in check(site.conninfo, PORTS).differences] == [(Kind.PAYOUT, payout_id)]
