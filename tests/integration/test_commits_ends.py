"""A connection that ends during COMMIT, where a plan or a payout comes to its end: over every API it ends once, and as was answered."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from integration.test_commits import FUNDS, UNKNOWN, soon_given_up
from support.commit_apis import AMOUNT, LEDGER, MONEY, TAKEN, TYPES, Apis
from support.commit_proxy import Cut, Proxy, proxied

PLAN, PAYOUT = "plan-1", "payout-1"
Ask = Callable[[Apis], httpx.Response]


@pytest.fixture
def way(database: str) -> Iterator[tuple[Proxy, str]]:
    with proxied(database) as found:
        yield found


@pytest.fixture
def apis(way: tuple[Proxy, str], database: str, tmp_path: Path) -> Iterator[Apis]:
    made = Apis(*way, database, tmp_path)
    yield made
    made.close()


def thrift_batch(apis: Apis) -> object:
    moved = LEDGER.Posting(from_id=apis.settlement, to_id=apis.settlement + 1, amount=TAKEN, currency_sym_code="RUB", description="x")
    return LEDGER.PostingBatch(id=1, postings=[moved])


def rest_batch(apis: Apis) -> dict[str, object]:
    moved = {"source": apis.settlement, "target": apis.settlement + 1, "amount": TAKEN, "currency": "RUB", "description": "x"}
    return {"batch_id": 1, "postings": [moved]}


def hold(apis: Apis) -> None:
    assert apis.rest.post(f"/plans/{PLAN}/hold", json={"batch": rest_batch(apis)}).status_code == 200


def create(apis: Apis) -> None:
    shop, cash = TYPES.ShopParams(party_id="party-1", shop_id="shop-1"), MONEY.Cash(AMOUNT, MONEY.CurrencyRef("RUB"))
    made = apis.payouts("CreatePayout", TYPES.PayoutParams(payout_id=PAYOUT, shop_params=shop, cash=cash))
    assert made.status_code == 200, made.text


def thrift_plan(method: str) -> Ask:
    return lambda apis: apis.ledger(method, LEDGER.PostingPlan(id=PLAN, batch_list=[thrift_batch(apis)]))


def rest_plan(end: str) -> Ask:
    return lambda apis: apis.rest.post(f"/plans/{PLAN}/{end}", json={"batches": [rest_batch(apis)]})


def thrift_payout(method: str, *more: str) -> Ask:
    return lambda apis: apis.payouts(method, PAYOUT, *more)


def rest_payout(end: str, **more: str) -> Ask:
    return lambda apis: apis.rest.post(f"/payouts/{PAYOUT}/{end}", json=more or None)


# What begins it, what ends it, what the shop has then, and what is named when nobody knows.
ENDS: Final = {
    "thrift commit": (hold, thrift_plan("CommitPlan"), FUNDS - TAKEN, f"plan {PLAN}"),
    "rest commit": (hold, rest_plan("commit"), FUNDS - TAKEN, f"plan {PLAN}"),
    "thrift rollback": (hold, thrift_plan("RollbackPlan"), FUNDS, f"plan {PLAN}"),
    "rest rollback": (hold, rest_plan("rollback"), FUNDS, f"plan {PLAN}"),
    "thrift confirm": (create, thrift_payout("ConfirmPayout"), FUNDS - TAKEN, f"payout {PAYOUT}"),
    "rest confirm": (create, rest_payout("confirm"), FUNDS - TAKEN, f"payout {PAYOUT}"),
    "thrift cancel": (create, thrift_payout("CancelPayout", "no longer wanted"), FUNDS, f"payout {PAYOUT}"),
    "rest cancel": (create, rest_payout("cancel", details="no longer wanted"), FUNDS, f"payout {PAYOUT}"),
}


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("end", ENDS)
def test_what_is_repeated_while_it_is_answered_as_not_done_ends_once(apis: Apis, end: str, cut: Cut) -> None:
    begin, ask, left, _ = ENDS[end]
    begin(apis)
    assert apis.least() == FUNDS - TAKEN
    entries = apis.entries()
    apis.proxy.cut(cut)
    answers = [ask(apis)]
    while answers[-1].status_code == 503 and len(answers) < 5:
        answers.append(ask(apis))
    assert [each.status_code for each in answers] == ([200] if cut is Cut.AFTER else [503, 200]), answers[-1].text
    assert (apis.proxy.cuts, apis.least()) == (1, left)
    ended = apis.entries()
    assert ended > entries
    assert ask(apis).status_code == 200
    assert (apis.least(), apis.entries()) == (left, ended), "asked once more, it stays as it is"


@pytest.mark.parametrize("end", ENDS)
def test_while_nobody_can_be_asked_the_end_is_unknown_and_what_to_look_for_is_named(
    apis: Apis, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, ask, left, named = ENDS[end]
    begin(apis)
    with soon_given_up(monkeypatch):
        apis.proxy.cut(Cut.AFTER, shut=True)
        published = ask(apis)
    assert (published.status_code, "retry-after" in published.headers) == (504, False)
    assert apis.least() == left
    if "woody.error-class" in published.headers:
        assert (published.status_code, published.headers["woody.error-class"]) == UNKNOWN
        assert named in published.headers["woody.error-reason"]
        return
    assert (published.json()["code"], named in published.json()["detail"]) == ("result_unknown", True)
    apis.proxy.shut = False
    assert apis.rest.get(published.json()["look_at"]).status_code == 200
