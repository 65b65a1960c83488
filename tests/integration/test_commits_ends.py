"""A connection that ends during COMMIT, where a plan or a payout comes to its end: over every API it ends once, and as was answered."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from integration.test_commits import AMOUNT, FUNDS, LEDGER, MONEY, TAKEN, TYPES, UNKNOWN, Doors, soon_given_up
from support.commit_proxy import Cut, Proxy, proxied

PLAN, PAYOUT = "plan-1", "payout-1"
Ask = Callable[[Doors], httpx.Response]


@pytest.fixture
def way(database: str) -> Iterator[tuple[Proxy, str]]:
    with proxied(database) as found:
        yield found


@pytest.fixture
def doors(way: tuple[Proxy, str], database: str, tmp_path: Path) -> Iterator[Doors]:
    made = Doors(*way, database, tmp_path)
    yield made
    made.close()


def thrift_batch(doors: Doors) -> object:
    moved = LEDGER.Posting(from_id=doors.settlement, to_id=doors.settlement + 1, amount=TAKEN, currency_sym_code="RUB", description="x")
    return LEDGER.PostingBatch(id=1, postings=[moved])


def rest_batch(doors: Doors) -> dict[str, object]:
    moved = {"source": doors.settlement, "target": doors.settlement + 1, "amount": TAKEN, "currency": "RUB", "description": "x"}
    return {"batch_id": 1, "postings": [moved]}


def hold(doors: Doors) -> None:
    assert doors.rest.post(f"/plans/{PLAN}/hold", json={"batch": rest_batch(doors)}).status_code == 200


def create(doors: Doors) -> None:
    shop, cash = TYPES.ShopParams(party_id="party-1", shop_id="shop-1"), MONEY.Cash(AMOUNT, MONEY.CurrencyRef("RUB"))
    made = doors.payouts("CreatePayout", TYPES.PayoutParams(payout_id=PAYOUT, shop_params=shop, cash=cash))
    assert made.status_code == 200, made.text


def thrift_plan(method: str) -> Ask:
    return lambda doors: doors.ledger(method, LEDGER.PostingPlan(id=PLAN, batch_list=[thrift_batch(doors)]))


def rest_plan(end: str) -> Ask:
    return lambda doors: doors.rest.post(f"/plans/{PLAN}/{end}", json={"batches": [rest_batch(doors)]})


def thrift_payout(method: str, *more: str) -> Ask:
    return lambda doors: doors.payouts(method, PAYOUT, *more)


def rest_payout(end: str, **more: str) -> Ask:
    return lambda doors: doors.rest.post(f"/payouts/{PAYOUT}/{end}", json=more or None)


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
def test_what_is_repeated_while_it_is_answered_as_not_done_ends_once(doors: Doors, end: str, cut: Cut) -> None:
    begin, ask, left, _ = ENDS[end]
    begin(doors)
    assert doors.least() == FUNDS - TAKEN
    entries = doors.count("ledger.entries")
    doors.proxy.cut(cut)
    answers = [ask(doors)]
    while answers[-1].status_code == 503 and len(answers) < 5:
        answers.append(ask(doors))
    assert [each.status_code for each in answers] == ([200] if cut is Cut.AFTER else [503, 200]), answers[-1].text
    assert (doors.proxy.cuts, doors.least()) == (1, left)
    ended = doors.count("ledger.entries")
    assert ended > entries
    assert ask(doors).status_code == 200
    assert (doors.least(), doors.count("ledger.entries")) == (left, ended), "asked once more, it stays as it is"


@pytest.mark.parametrize("end", ENDS)
def test_while_nobody_can_be_asked_the_end_is_unknown_and_what_to_look_for_is_named(
    doors: Doors, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, ask, left, named = ENDS[end]
    begin(doors)
    with soon_given_up(monkeypatch):
        doors.proxy.cut(Cut.AFTER, shut=True)
        told = ask(doors)
    assert (told.status_code, "retry-after" in told.headers) == (504, False)
    assert doors.least() == left
    if "woody.error-class" in told.headers:
        assert (told.status_code, told.headers["woody.error-class"]) == UNKNOWN
        assert named in told.headers["woody.error-reason"]
        return
    assert (told.json()["code"], named in told.json()["detail"]) == ("result_unknown", True)
    doors.proxy.shut = False
    assert doors.rest.get(told.json()["look_at"]).status_code == 200
