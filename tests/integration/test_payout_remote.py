"""Payouts over another's ledger: whatever the line loses, delays or breaks, nothing stays held for ever and nothing moves twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event

import pytest

from kvitt.api.thrift import payouts as woody_payouts
from kvitt.errors import (
    InsufficientFunds,
    InvalidPayout,
    PayoutAlreadyExists,
    PayoutInOtherState,
    PayoutInProgress,
    PayoutNotFound,
    PayoutsFailed,
)
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service
from kvitt.kernel.operators import Operator
from kvitt.ledger.calls import Done
from kvitt.ledger.rules import PlanState
from kvitt.payouts.model import Cash, NewPayout
from kvitt.payouts.rules import PayoutStatus, ledger_postings, reversal_postings
from kvitt.testing import TestServer
from support.ledger_stage import clock, commit, hold, rollback, sums_are_zero
from support.patience import PATIENCE_SECONDS
from support.payout_remote_stage import Fault, RemoteStage, remote_stage
from support.payout_stage import payout_stage, published_events, statuses, wanted
from support.thrift_stage import post, serving

FINE, AWAY, LOST, SILENT, LATE = Fault
FREE = ((5000, 5000, 5000), (0, 0, 0), (0, 0, 0))
MOVED = ((3995, 3995, 3995), (980, 980, 980), (25, 25, 25))
NOW = datetime(2026, 7, 1, tzinfo=UTC)
HELD = ((5000, 3995, 5000), (0, 0, 980), (0, 0, 25))


@pytest.fixture
def stage(kvitt_server: TestServer, database: str) -> Iterator[RemoteStage]:
    with kvitt_server.database() as other, remote_stage(database, other) as stage:
        yield stage


def heard(stage: RemoteStage) -> list[tuple[int, str]]:
    """What is published about p-1."""
    return statuses(published_events(stage.connection, "p-1"))


def test_a_payout_goes_its_way_over_another_ledger(stage: RemoteStage) -> None:
    payout = stage.payouts.create(wanted())
    assert (stage.payouts.get("p-1"), stage.totals()) == (payout, HELD)
    stage.payouts.paid("p-1", "kari", "the bank has it", "ola")
    stage.payouts.confirm("p-1")
    stage.payouts.confirm("p-1")
    assert stage.totals() == MOVED
    stage.payouts.cancel("p-1", "sent back")
    stage.payouts.cancel("p-1", "again")
    assert stage.totals() == FREE
    assert heard(stage) == [(0, "unpaid"), (1, "paid"), (2, "confirmed"), (3, "cancelled")]
    assert stage.payouts.get("p-1").cancel_details == "sent back"
    assert stage.saga_steps() == [("create", "done"), ("confirm", "done"), ("reverse", "done")]
    names = ["hold payout_p-1", "commit payout_p-1", "hold revert_payout_p-1", "commit revert_payout_p-1"]
    assert stage.ledger.calls == names
    sums_are_zero(stage.ledger.connection)


def test_refusals_are_those_of_our_own_ledger(stage: RemoteStage) -> None:
    for new in (wanted(amount=0), wanted(amount=20), wanted(amount=4996)):
        with pytest.raises(InsufficientFunds):
            stage.payouts.create(new)
    with pytest.raises(InvalidPayout, match=f"cash.currency is USD, and account {stage.settlement} is in RUB"):
        stage.payouts.create(NewPayout("party-1", "shop-1", Cash(1000, "USD"), "dollars"))
    assert stage.ledger.plan("payout_dollars") is None
    with pytest.raises(InvalidPayout):
        stage.payouts.create(wanted(shop="no-account"))
    for act in (stage.payouts.confirm, lambda payout_id: stage.payouts.cancel(payout_id, "no")):
        with pytest.raises(PayoutNotFound):
            act("p-404")
    assert stage.payouts.create(wanted()).amount == 980
    stage.payouts.cancel("p-1", "no")
    with pytest.raises(PayoutInOtherState):
        stage.payouts.confirm("p-1")
    with pytest.raises(PayoutAlreadyExists):
        stage.payouts.create(wanted())
    assert (stage.ledger.held(), stage.totals()) == ([], FREE)


def test_an_id_whose_plan_was_rolled_back_is_free_and_its_next_try_has_a_plan_of_its_own(stage: RemoteStage) -> None:
    with pytest.raises(InsufficientFunds):
        stage.payouts.create(wanted(amount=4996))
    assert stage.ledger.plan("payout_p-1") is PlanState.ROLLED_BACK
    stage.payouts.create(wanted())
    assert stage.ledger.held() == ["p2_p-1"]
    stage.payouts.confirm("p-1")
    assert stage.totals() == MOVED


def test_a_plan_that_is_there_already_is_not_gone_round(stage: RemoteStage) -> None:
    """It may be the same payout, made by the service that kvitt took over from."""
    with pytest.raises(InsufficientFunds):
        stage.payouts.create(wanted("other", 4996))
    postings = ledger_postings("p-1", stage.terms.cash_flow("party-1", "shop-1", Cash(1000, "RUB"), NOW, "tool-1"))
    assert all(isinstance(each, Done) for each in stage.ledger.post([hold("payout_p-1", *postings), commit("payout_p-1", *postings)]))
    for _ in range(2):
        with pytest.raises(PayoutsFailed) as raised:
            stage.payouts.create(wanted())
        assert "from: COMMIT to HOLD" in str(raised.value.__cause__)
    stage.ledger.faults = [LOST]
    with pytest.raises(PayoutsFailed):
        stage.payouts.create(wanted())
    stage.sweep()
    with pytest.raises(PayoutsFailed):
        stage.payouts.create(wanted())
    assert (stage.totals(), stage.ledger.held()) == (MOVED, [])


def test_a_ledger_that_is_away_is_called_again_after_growing_waits(stage: RemoteStage) -> None:
    stage.ledger.faults = [AWAY] * 9
    stage.payouts.create(wanted())
    assert stage.waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6]
    assert stage.totals() == HELD


def test_a_ledger_that_stays_away_fails_the_call_and_nothing_stays_held(stage: RemoteStage) -> None:
    stage.ledger.faults = [AWAY] * 10
    with pytest.raises(PayoutsFailed, match="Failed to hold payout, payoutId='p-1'"):
        stage.payouts.create(wanted())
    assert stage.saga_steps() == [("create", "forward")]
    assert stage.sweep() == 1
    assert (stage.saga_steps(), stage.totals()) == ([("create", "compensated")], FREE)
    assert heard(stage) == []


@pytest.mark.parametrize("fault", [LOST, SILENT, LATE])
def test_a_hold_of_which_nothing_is_known_is_released_and_refused_if_it_arrives_later(stage: RemoteStage, fault: Fault) -> None:
    stage.ledger.faults = [fault]
    with pytest.raises(PayoutsFailed):
        stage.payouts.create(wanted())
    with pytest.raises(PayoutNotFound):
        stage.payouts.get("p-1")
    assert stage.sweep() == 1
    assert stage.ledger.calls == ["hold payout_p-1", "hold payout_p-1", "rollback payout_p-1"]
    late = stage.ledger.deliver_late()
    assert late == (["Unable to change plan state: payout_p-1 from: ROLLBACK to HOLD"] if fault is LATE else [])
    assert (stage.ledger.held(), stage.totals(), stage.sweep()) == ([], FREE, 0)
    stage.payouts.create(wanted())
    assert stage.ledger.held() == ["p2_p-1"]


@pytest.mark.parametrize("fault", [LOST, SILENT, LATE])
def test_asking_again_first_releases_what_the_first_call_left(stage: RemoteStage, fault: Fault) -> None:
    stage.ledger.faults = [fault]
    with pytest.raises(PayoutsFailed):
        stage.payouts.create(wanted())
    assert stage.payouts.create(wanted()).sequence == 0
    assert stage.ledger.held() == ["p2_p-1"]
    assert set(stage.ledger.deliver_late()) <= {"Unable to change plan state: payout_p-1 from: ROLLBACK to HOLD"}
    assert (stage.totals(), stage.saga_steps()) == (HELD, [("create", "compensated"), ("create", "done")])


def test_a_release_goes_on_until_the_ledger_takes_it(stage: RemoteStage) -> None:
    stage.ledger.faults = [LATE, AWAY, FINE, LOST, SILENT, FINE, SILENT]
    with pytest.raises(PayoutsFailed):
        stage.payouts.create(wanted())
    for _ in range(4):
        assert stage.sweep() == 1
    assert stage.saga_steps() == [("create", "compensating")]
    assert stage.sweep() == 1
    assert (stage.saga_steps(), stage.ledger.held()) == ([("create", "compensated")], [])


def test_a_shop_without_the_money_hears_so_even_if_the_release_must_wait(stage: RemoteStage) -> None:
    stage.ledger.faults = [FINE, LOST]
    with pytest.raises(InsufficientFunds):
        stage.payouts.create(wanted(amount=4996))
    assert stage.ledger.held() == ["payout_p-1"]
    assert stage.sweep() == 1
    assert stage.totals() == FREE


@pytest.mark.parametrize("fault", [LOST, SILENT, LATE])
@pytest.mark.parametrize("by", ["sweeper", "repeat", "opposite"])
def test_a_commit_of_which_nothing_is_known_is_carried_out_by_whoever_comes_next(stage: RemoteStage, fault: Fault, by: str) -> None:
    stage.payouts.create(wanted())
    stage.ledger.faults = [fault]
    with pytest.raises(PayoutsFailed, match="Failed to commit payout, payoutId='p-1'"):
        stage.payouts.confirm("p-1")
    assert stage.payouts.get("p-1").status is PayoutStatus.UNPAID
    if by == "sweeper":
        assert stage.sweep() == 1
    elif by == "repeat":
        stage.payouts.confirm("p-1")
    else:
        stage.payouts.cancel("p-1", "compensating")
    assert set(stage.ledger.deliver_late()) <= {"done"}
    reversed_ = by == "opposite"
    assert stage.totals() == (FREE if reversed_ else MOVED)
    assert heard(stage) == [(0, "unpaid"), (1, "confirmed"), (2, "cancelled")][: 3 if reversed_ else 2]
    assert stage.sweep() == 0


@pytest.mark.parametrize("fault", [LOST, SILENT, LATE])
def test_a_rollback_of_which_nothing_is_known_is_carried_out(stage: RemoteStage, fault: Fault) -> None:
    stage.payouts.create(wanted())
    stage.ledger.faults = [fault]
    with pytest.raises(PayoutsFailed, match="Failed to rollback payout"):
        stage.payouts.cancel("p-1", "first")
    with pytest.raises(PayoutInOtherState):
        stage.payouts.confirm("p-1")
    assert (stage.totals(), stage.payouts.get("p-1").cancel_details) == (FREE, "first")
    assert set(stage.ledger.deliver_late()) <= {"done"}
    assert heard(stage) == [(0, "unpaid"), (1, "cancelled")]


@pytest.mark.parametrize("faults", [[LOST], [SILENT], [LATE], [FINE, LOST], [FINE, SILENT], [FINE, LATE]], ids="-".join)
def test_a_reversal_of_which_nothing_is_known_is_carried_out(stage: RemoteStage, faults: list[Fault]) -> None:
    stage.payouts.create(wanted())
    stage.payouts.confirm("p-1")
    stage.ledger.faults = list(faults)
    with pytest.raises(PayoutsFailed, match="Failed to revert payout"):
        stage.payouts.cancel("p-1", "compensating")
    assert stage.payouts.get("p-1").status is PayoutStatus.CONFIRMED
    assert stage.sweep() == 1
    stage.ledger.deliver_late()
    assert (stage.totals(), stage.ledger.held()) == (FREE, [])
    assert stage.payouts.get("p-1").cancel_details == "compensating"


def test_a_reversal_that_is_refused_leaves_the_payout_confirmed_and_can_be_tried_again(stage: RemoteStage) -> None:
    flow = stage.payouts.create(wanted()).cash_flow
    stage.payouts.confirm("p-1")
    swapped = reversal_postings("p-1", flow)[:1]
    strangers = [hold("revert_payout_p-1", *swapped), rollback("revert_payout_p-1", *swapped)]
    assert all(isinstance(each, Done) for each in stage.ledger.post(strangers))
    with pytest.raises(PayoutsFailed, match="Failed to revert payout, payoutId='p-1'"):
        stage.payouts.cancel("p-1", "compensating")
    assert stage.payouts.get("p-1").status is PayoutStatus.CONFIRMED
    assert stage.saga_steps()[-1] == ("reverse", "compensated")
    stage.payouts.cancel("p-1", "compensating")
    assert stage.totals() == FREE
    assert stage.ledger.plan("u2_p-1") is PlanState.COMMITTED


def test_a_reversal_that_is_refused_after_its_hold_is_rolled_back(stage: RemoteStage) -> None:
    flow = stage.payouts.create(wanted()).cash_flow
    stage.payouts.confirm("p-1")
    plan = "revert_payout_p-1"
    # Between its hold and its commit a stranger ends the plan.
    stage.ledger.after_next = lambda: stage.ledger.post([rollback(plan, *reversal_postings("p-1", flow))])
    with pytest.raises(PayoutsFailed, match="Failed to revert payout"):
        stage.payouts.cancel("p-1", "compensating")
    assert stage.ledger.calls[-4:] == [f"hold {plan}", f"commit {plan}", f"hold {plan}", f"rollback {plan}"]
    assert (stage.saga_steps()[-1], stage.totals()) == (("reverse", "compensated"), MOVED)


def test_a_commit_that_is_refused_for_good_leaves_the_payout_as_it_was(stage: RemoteStage) -> None:
    payout = stage.payouts.create(wanted())
    assert isinstance(stage.ledger.post([rollback("payout_p-1", *ledger_postings("p-1", payout.cash_flow))])[0], Done)
    with pytest.raises(PayoutsFailed, match="Failed to commit payout") as raised:
        stage.payouts.confirm("p-1")
    assert "ROLLBACK to COMMIT" in str(raised.value.__cause__)
    assert stage.payouts.get("p-1") == payout
    stage.payouts.cancel("p-1", "then not")
    assert stage.payouts.get("p-1").status is PayoutStatus.CANCELLED


@pytest.mark.parametrize("ends", [FINE, LOST])
def test_while_a_payout_is_being_made_a_repeat_is_asked_to_come_again_until_the_first_has_ended(stage: RemoteStage, ends: Fault) -> None:
    stage.ledger.faults = [AWAY, ends]
    told_meanwhile: list[str] = []

    def meanwhile() -> None:
        with pytest.raises(PayoutInProgress) as raised:
            stage.payouts.create(wanted())
        told_meanwhile.append(str(raised.value))

    stage.while_waiting = meanwhile
    with suppress(PayoutsFailed):
        stage.payouts.create(wanted())
    assert told_meanwhile == ["the payout p-1 is being made or ended; ask again in a moment"]
    if ends is FINE:
        with pytest.raises(PayoutAlreadyExists):
            stage.payouts.create(wanted())
    else:
        assert stage.payouts.create(wanted()).sequence == 0
    assert stage.totals() == HELD


def test_over_thrift_a_repeat_of_what_is_under_way_may_be_made_again(stage: RemoteStage) -> None:
    stage.ledger.faults = [AWAY]
    money, types = module("money"), module("payouts")
    cash = money.Cash(amount=1000, currency=money.CurrencyRef(symbolic_code="RUB"))
    shop = types.ShopParams(party_id="party-1", shop_id="shop-1")
    call = Service("payouts", "PayoutManagement").call(
        "CreatePayout", 1, [types.PayoutParams(shop_params=shop, cash=cash, payout_id="p-1")]
    )
    with serving(woody_payouts.endpoints(stage.payouts)) as url:
        published: list[tuple[int, str]] = []

        def repeat() -> None:
            answer = post(f"{url}{woody_payouts.PATH}", call)
            published.append((answer.status_code, answer.headers["woody.error-class"]))

        stage.while_waiting = repeat
        stage.payouts.create(wanted())
        repeat()
    assert published == [(503, "Resource Unavailable"), (200, "Business Error")]


def test_who_may_not_wait_longer_for_what_another_is_at_work_on_is_asked_to_come_again(stage: RemoteStage) -> None:
    stage.payouts.create(wanted())
    told_meanwhile: list[type[Exception]] = []

    def meanwhile() -> None:
        for act in (stage.payouts.confirm, lambda payout_id, until: stage.payouts.cancel(payout_id, "no", until)):
            with pytest.raises(PayoutInProgress) as raised:
                act("p-1", clock())
            told_meanwhile.append(raised.type)

    stage.ledger.after_next = meanwhile
    stage.payouts.confirm("p-1")
    assert len(told_meanwhile) == 2
    assert stage.totals() == MOVED


def test_who_comes_while_another_is_at_work_waits_for_the_outcome(stage: RemoteStage) -> None:
    stage.payouts.create(wanted())
    began, go_on = Event(), Event()

    def meanwhile() -> None:
        began.set()
        assert go_on.wait(PATIENCE_SECONDS)

    stage.ledger.after_next = meanwhile
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(stage.payouts.confirm, "p-1")
        assert began.wait(PATIENCE_SECONDS)
        stage.while_waiting = go_on.set
        stage.payouts.cancel("p-1", "compensating")
        first.result()
    assert heard(stage) == [(0, "unpaid"), (1, "confirmed"), (2, "cancelled")]
    assert 0.05 in stage.waits


def test_an_owner_that_was_paused_after_its_hold_makes_no_payout_once_another_has_released_it(stage: RemoteStage) -> None:
    stage.ledger.after_next = stage.sweep
    with pytest.raises(PayoutsFailed) as raised:
        stage.payouts.create(wanted())
    assert str(raised.value.__cause__) == "another owner has taken it over"
    assert (heard(stage), stage.totals(), stage.ledger.held()) == ([], FREE, [])
    assert stage.saga_steps() == [("create", "compensated")]


def test_an_owner_that_was_paused_makes_no_payout_of_what_another_has_only_half_released(stage: RemoteStage) -> None:
    stage.ledger.faults = [FINE, FINE, SILENT]
    stage.ledger.after_next = stage.sweep_once
    with pytest.raises(PayoutsFailed):
        stage.payouts.create(wanted())
    assert (heard(stage), stage.saga_steps()) == ([], [("create", "compensating")])
    assert stage.sweep() == 1
    assert (stage.totals(), stage.saga_steps()) == (FREE, [("create", "compensated")])


def test_an_owner_that_was_paused_after_its_commit_tells_nothing_twice(stage: RemoteStage) -> None:
    stage.payouts.create(wanted())
    stage.ledger.after_next = stage.sweep
    with pytest.raises(PayoutsFailed):
        stage.payouts.confirm("p-1")
    assert heard(stage) == [(0, "unpaid"), (1, "confirmed")]
    assert stage.totals() == MOVED


def test_a_payout_is_ended_in_the_ledger_in_which_it_was_held_whatever_is_set_now(stage: RemoteStage) -> None:
    stage.payouts.create(wanted("theirs"))
    with payout_stage(stage.conninfo) as own:
        own.payouts.create(wanted("ours"))
        with pytest.raises(PayoutsFailed) as raised:
            own.payouts.confirm("theirs")
        assert "in another ledger" in str(raised.value.__cause__)
        calls = len(stage.ledger.calls)
        stage.payouts.confirm("ours")
        assert own.plan("payout_ours") is PlanState.COMMITTED
    assert len(stage.ledger.calls) == calls
    stage.payouts.confirm("theirs")
    assert stage.totals() == MOVED


def test_an_operators_cancel_is_audited_when_it_is_done_whoever_did_it(stage: RemoteStage) -> None:
    stage.payouts.create(wanted())
    stage.ledger.faults = [LOST]
    with pytest.raises(PayoutsFailed):
        stage.payouts.cancel("p-1", "no", operator=Operator("kari", "called by phone", "ola"))
    query = "SELECT what, note LIKE '%%called by phone%%' FROM audit WHERE chain = 0"
    assert stage.connection.execute(query).fetchall() == []
    stage.sweep()
    assert stage.connection.execute(query).fetchall() == [("payout cancel", True)]
