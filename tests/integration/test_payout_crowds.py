"""Many calls at once about payouts: one effect each, neighbours left alone, and a shop that never pays out more than it has."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from kvitt.errors import InsufficientFunds, KvittError, PayoutAlreadyExists, PayoutInOtherState
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch_value
from kvitt.payouts.model import CancelPayout, ConfirmPayout, CreatePayout
from kvitt.payouts.rules import Payout, PayoutStatus
from kvitt.payouts.service import PayoutService
from kvitt.payouts.writer import PayoutWriter
from support.ledger_stage import clock, sums_are_zero
from support.patience import PATIENCE_SECONDS, until
from support.payout_stage import PayoutStage, payout_stage, statuses, wanted

CROWD = 8


@pytest.fixture
def stage(database: str) -> Iterator[PayoutStage]:
    with payout_stage(database) as stage:
        yield stage


@pytest.fixture
def hubs(stage: PayoutStage) -> Iterator[list[PayoutService]]:
    """Several processes' worth of payouts on one database."""
    hubs = [PayoutService(stage.conninfo, clock, stage.terms) for _ in range(4)]
    yield hubs
    for hub in hubs:
        hub.close()


def at_once(hubs: list[PayoutService], act: Callable[[PayoutService, int], object], times: int = CROWD) -> list[object]:
    """What came of calls that run together, over all hubs; refusals as values."""

    def one(number: int) -> object:
        try:
            return act(hubs[number % len(hubs)], number)
        except KvittError as error:
            return type(error)

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_a_payout_that_can_not_be_read_hides_none_that_are_looked_for_with_it(stage: PayoutStage) -> None:
    for payout_id in ("later", "p-1"):
        stage.payouts.create(wanted(payout_id, 100))
    waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kvitt payout looks' AND wait_event_type = 'Lock'"
    with connect(stage.conninfo) as other:
        other.execute("INSERT INTO payouts.cash_flow VALUES ('later', 9, 'of a later version', 1, 'system_settlement', 2, 1, 'RUB', NULL)")
        with other.transaction():
            other.execute("LOCK TABLE payouts.payouts IN ACCESS EXCLUSIVE MODE")
            first = stage.payouts.look("p-1")
            until(lambda: first.done() or fetch_value(other, waits) == 1, what="the first look waits for nobody")
            later, there = (stage.payouts.look(payout_id) for payout_id in ("later", "p-1"))
    assert isinstance(later.result(PATIENCE_SECONDS), ValueError)
    assert isinstance(there.result(PATIENCE_SECONDS), Payout)


def test_of_concurrent_creates_of_one_id_one_wins_and_the_others_hear_so(stage: PayoutStage, hubs: list[PayoutService]) -> None:
    for number in range(5):
        results = at_once(hubs, lambda hub, _, number=number: hub.create(wanted(f"c-{number}", 100)))  # type: ignore[misc]
        assert sum(isinstance(each, Payout) for each in results) == 1
        assert results.count(PayoutAlreadyExists) == CROWD - 1
        assert statuses(stage.published(f"c-{number}")) == [(0, "unpaid")]


def test_a_shop_never_pays_out_more_than_it_has(stage: PayoutStage, hubs: list[PayoutService]) -> None:
    results = at_once(hubs, lambda hub, number: hub.create(wanted(f"much-{number}", 995)), 16)
    assert sum(isinstance(each, Payout) for each in results) == 5
    assert results.count(InsufficientFunds) == 11
    assert stage.totals()[0] == (5000, 0, 5000)


def test_confirms_and_cancels_at_once_are_published_in_order_each_once(stage: PayoutStage, hubs: list[PayoutService]) -> None:
    for number in range(5):
        payout_id = f"cc-{number}"
        hubs[0].create(wanted(payout_id, 100))
        results = at_once(hubs, lambda hub, turn, id_=payout_id: hub.cancel(id_, "no") if turn % 2 else hub.confirm(id_))  # type: ignore[misc]
        assert {each if isinstance(each, type) else type(each) for each in results} <= {Payout, PayoutInOtherState}
        seen = statuses(stage.published(payout_id))
        assert seen in ([(0, "unpaid"), (1, "cancelled")], [(0, "unpaid"), (1, "confirmed"), (2, "cancelled")])
    assert stage.totals()[0] == (5000, 5000, 5000)


def test_commands_about_one_payout_in_one_batch_are_done_one_after_the_other(stage: PayoutStage) -> None:
    draft, other = stage.payouts.drafted(wanted()), stage.payouts.drafted(wanted("p-2", 4000))
    act = PayoutWriter(connect(stage.conninfo), clock).execute
    batch = [
        CreatePayout(draft),
        CreatePayout(other),
        CreatePayout(draft),
        ConfirmPayout("p-1"),
        CancelPayout("p-1", "back"),
        ConfirmPayout("p-1"),
    ]
    results = act(batch)
    seen = [each.status if isinstance(each, Payout) else type(each) for each in results]
    refused, exists, confirmed, cancelled = InsufficientFunds, PayoutAlreadyExists, PayoutStatus.CONFIRMED, PayoutStatus.CANCELLED
    assert seen == [PayoutStatus.UNPAID, refused, exists, confirmed, cancelled, PayoutInOtherState]


def test_many_payouts_at_random_leave_every_account_right(stage: PayoutStage, hubs: list[PayoutService]) -> None:
    stage.fund(1_000_000)

    def life(hub: PayoutService, number: int) -> str:
        chance, payout_id = Random(number), f"r-{number}"
        hub.create(wanted(payout_id, 1000))
        end = chance.choice(["open", "confirmed", "cancelled", "reversed"])
        if end in ("confirmed", "reversed"):
            hub.confirm(payout_id)
        if end in ("cancelled", "reversed"):
            hub.cancel(payout_id, "no")
        return end

    ends = Counter(at_once(hubs, life, 64))
    confirmed, still_open = ends["confirmed"], ends["open"]
    own = 1_005_000 - 1005 * confirmed
    assert stage.totals()[0] == (own, own - 1005 * still_open, own)
    assert stage.count("payouts.events") == stage.count("outbox") == 64 + confirmed + ends["cancelled"] + 2 * ends["reversed"]
    sums_are_zero(stage.connection)
