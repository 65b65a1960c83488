"""Both APIs on a database behind a proxy, and what callers ask of them: what is told of a commit that nobody saw is tried on these."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import httpx

from kvitt.api.thrift import payouts as woody_payouts
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch_value
from kvitt.ledger.read import LedgerReader
from kvitt.payouts.local_parties import LocalParties
from kvitt.payouts.service import PayoutService
from support.commit_proxy import Proxy
from support.ledger_stage import clock
from support.rest_stage import earn, rest_site
from support.thrift_stage import ledger_api, post, serving

TYPES, MONEY, LEDGER = module("payouts"), module("money"), module("accounter")
PAYOUTS, ACCOUNTER = Service("payouts", "PayoutManagement"), Service("accounter", "Accounter")

AMOUNT, TAKEN = 100_000, 100_500
"""The example's shop pays 500 on 100,000."""


class Apis:
    """Both apis on a database behind a proxy, and what the shop has at least, asked past it."""

    def __init__(self, proxy: Proxy, conninfo: str, direct: str, data: Path) -> None:
        self.proxy = proxy
        self._direct = direct
        with contextlib.ExitStack() as opened:
            earn(direct)
            site = opened.enter_context(rest_site(conninfo, data))
            self.settlement = site.settlement
            self.rest = opened.enter_context(site.client())
            parties = LocalParties(conninfo)
            opened.callback(parties.close)
            payouts = PayoutService(conninfo, clock, parties)
            opened.callback(payouts.close)
            self._payouts = opened.enter_context(serving(woody_payouts.endpoints(payouts)))
            self._ledger = opened.enter_context(ledger_api(conninfo))
            self.close = opened.pop_all().close

    def least(self) -> int:
        with connect(self._direct) as connection:
            return LedgerReader(connection).account(self.settlement).totals.available_min

    def accounts(self) -> int:
        with connect(self._direct) as connection:
            return int(fetch_value(connection, "SELECT count(*) FROM ledger.accounts"))

    def entries(self) -> int:
        with connect(self._direct) as connection:
            return int(fetch_value(connection, "SELECT count(*) FROM ledger.entries"))

    def payouts(self, method: str, *arguments: object) -> httpx.Response:
        return post(f"{self._payouts}{woody_payouts.PATH}", PAYOUTS.call(method, 1, arguments))

    def ledger(self, method: str, *arguments: object) -> httpx.Response:
        return post(f"{self._ledger}/accounter", ACCOUNTER.call(method, 1, arguments))


def thrift_create(apis: Apis) -> httpx.Response:
    shop, cash = TYPES.ShopParams(party_id="party-1", shop_id="shop-1"), MONEY.Cash(AMOUNT, MONEY.CurrencyRef("RUB"))
    return apis.payouts("CreatePayout", TYPES.PayoutParams(shop_params=shop, cash=cash))


def rest_create(apis: Apis) -> httpx.Response:
    asked = {"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": AMOUNT, "currency": "RUB"}}
    return apis.rest.post("/payouts", json=asked)


def thrift_account(apis: Apis) -> httpx.Response:
    return apis.ledger("CreateAccount", LEDGER.AccountPrototype(currency_sym_code="RUB"))


def rest_account(apis: Apis) -> httpx.Response:
    return apis.rest.post("/accounts", json={"currency": "RUB"})


def thrift_hold(apis: Apis) -> httpx.Response:
    posting = LEDGER.Posting(from_id=apis.settlement, to_id=apis.settlement + 1, amount=TAKEN, currency_sym_code="RUB", description="x")
    return apis.ledger("Hold", LEDGER.PostingPlanChange(id="plan-1", batch=LEDGER.PostingBatch(id=1, postings=[posting])))


def rest_hold(apis: Apis) -> httpx.Response:
    posting = {"source": apis.settlement, "target": apis.settlement + 1, "amount": TAKEN, "currency": "RUB", "description": "x"}
    return apis.rest.post("/plans/plan-1/hold", json={"batch": {"batch_id": 1, "postings": [posting]}})


Ask = Callable[[Apis], httpx.Response]
MONEY_ASKS = [thrift_create, rest_create, thrift_hold, rest_hold]
ACCOUNT_ASKS = [thrift_account, rest_account]
