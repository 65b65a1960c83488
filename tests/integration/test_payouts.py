"""Payouts in our own ledger: what each method does, refuses and tells, step by step as the contract has it (payouts §2)."""

from collections.abc import Callable, Iterator
from datetime import UTC
from uuid import UUID

import psycopg
import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.errors import (
    BadOperator,
    InsufficientFunds,
    InvalidPayout,
    KvittError,
    NeedsSecondPerson,
    PayoutAlreadyExists,
    PayoutInOtherState,
    PayoutNotFound,
    PayoutsFailed,
)
from kvitt.ledger.calls import Call, Done
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.rules import InvalidRequest, PlanState
from kvitt.payouts.event import payout_struct
from kvitt.payouts.model import Cash, NewPayout, PayoutCursor
from kvitt.payouts.ports import LedgerRefused
from kvitt.payouts.rules import (
    TOO_MUCH,
    PayoutStatus,
    ledger_postings,
    plan_id_of,
    reversal_plan_id_of,
)
from support.ledger_stage import clock, commit, hold, moved, rollback, sums_are_zero
from support.payout_stage import PayoutStage, payout_stage, statuses, wanted

PAID = {"by": "kari", "reason": "the bank has it", "approved_by": "ola"}


@pytest.fixture
def stage(database: str) -> Iterator[PayoutStage]:
    with payout_stage(database) as stage:
        yield stage


def test_a_payout_is_created_with_its_hold_and_confirmed_with_its_commit(stage: PayoutStage) -> None:
    payout = stage.payouts.create(wanted())
    assert (payout.payout_id, payout.status, payout.sequence) == ("p-1", PayoutStatus.UNPAID, 0)
    assert (payout.amount, payout.fee, payout.currency, payout.payout_tool_id) == (980, 25, "RUB", "tool-1")
    assert payout.created_at.tzinfo is UTC
    assert [(each.amount, each.details) for each in payout.cash_flow] == [(1000, None), (20, "fixed"), (5, None)]
    assert stage.totals() == ((5000, 3995, 5000), (0, 0, 980), (0, 0, 25))
    assert stage.payouts.get("p-1") == payout
    stage.payouts.confirm("p-1")
    assert stage.totals() == ((3995, 3995, 3995), (980, 980, 980), (25, 25, 25))
    assert stage.payouts.get("p-1").status is PayoutStatus.CONFIRMED
    sums_are_zero(stage.connection)


def test_cancelling_rolls_back_what_was_held_and_reverses_what_had_moved(stage: PayoutStage) -> None:
    for payout_id in ("held", "moved"):
        stage.payouts.create(wanted(payout_id))
    stage.payouts.confirm("moved")
    stage.payouts.cancel("held", "bank said no")
    assert stage.plan("payout_held") is PlanState.ROLLED_BACK
    stage.payouts.cancel("moved", "sent\nback")
    assert (stage.plan("payout_moved"), stage.plan("revert_payout_moved")) == (PlanState.COMMITTED, PlanState.COMMITTED)
    assert stage.totals() == ((5000, 5000, 5000), (0, 0, 0), (0, 0, 0))
    assert [stage.payouts.get(each).cancel_details for each in ("held", "moved")] == ["bank said no", "sent\nback"]


@pytest.mark.parametrize("length", [1, 50, 51, 57])
def test_ids_of_every_allowed_length_can_be_reversed(stage: PayoutStage, length: int) -> None:
    payout_id = "x" * length
    stage.payouts.create(wanted(payout_id))
    stage.payouts.confirm(payout_id)
    stage.payouts.cancel(payout_id, "sent back")
    assert stage.totals()[0] == (5000, 5000, 5000)
    assert stage.payouts.get(payout_id).status is PayoutStatus.CANCELLED


def test_each_change_is_published_once_with_the_snapshot_of_its_moment_and_what_changes_nothing_is_not(stage: PayoutStage) -> None:
    created = stage.payouts.create(wanted())
    stage.payouts.paid("p-1", **PAID)
    for _ in range(2):
        stage.payouts.confirm("p-1")
    for details in ("first", "second"):
        stage.payouts.cancel("p-1", details)
    heard = stage.published("p-1")
    assert statuses(heard) == [(0, "unpaid"), (1, "paid"), (2, "confirmed"), (3, "cancelled")]
    assert heard[0].payout_change.created.payout == payout_struct(created)
    assert [each.payout_change.status_changed.status for each in heard[1:]] == [each.payout.status for each in heard[1:]]
    assert heard[3].payout == payout_struct(stage.payouts.get("p-1"))
    assert heard[3].payout.status.cancelled.details == "first"
    assert [event.body for event in stage.payouts.events("p-1")] == stage.bodies("p-1")


@pytest.mark.parametrize("amount", [0, -1, -(2**63)])
def test_an_amount_that_is_not_positive_is_refused_before_anything_else(stage: PayoutStage, amount: int) -> None:
    stage.payouts.create(wanted())
    for new in (wanted("p-1", amount), wanted("x" * 99, amount), NewPayout("nobody", "nowhere", Cash(amount, "RUB"))):
        with pytest.raises(InsufficientFunds):
            stage.payouts.create(new)


REFUSED: list[tuple[NewPayout, type[KvittError], str]] = [
    (NewPayout("party-9", "shop-1", Cash(1, "RUB"), "n"), PayoutNotFound, "Party not found, partyId='party-9'"),
    (wanted("n", shop="shop-9"), PayoutNotFound, "Shop not found, shopId='shop-9'"),
    (wanted("n", shop="no-tool"), InvalidPayout, "PayoutToolId is null with partyId=party-1, shopId=no-tool"),
    (wanted("n", shop="no-contract", tool="tool-1"), PayoutNotFound, "Contract not found, contractId='contract-9'"),
    (wanted("n", tool="tool-9"), PayoutNotFound, "PayoutTool not found, payoutToolId='tool-9'"),
    (wanted("n", shop="no-account"), InvalidPayout, "Settlement account is null with partyId=party-1, shopId=no-account"),
    (wanted("n", 404), PayoutNotFound, "ShopNotFound, partyId='party-1', payoutParams='…'"),
    (wanted("n", 20), InsufficientFunds, "nothing is left of 20 after fees of 25"),
    (wanted("n", 4996), InsufficientFunds, "the shop has not that much"),
    (
        NewPayout("party-1", "shop-1", Cash(1000, "USD"), "n"),
        InvalidPayout,
        "; ".join(f"cash.currency is USD, and account {account} is in RUB" for account in (1, 2, 3)),
    ),
    (NewPayout("party-1", "shop-1", Cash(1000, "KOPEK"), "n"), PayoutsFailed, "Failed to hold payout, payoutId='n'"),
    (wanted("n", 2**63 - 6), InsufficientFunds, "the shop has not that much"),
    (wanted("n", 2**63 - 1), InvalidPayout, TOO_MUCH),
    (wanted("n", 2**63), InvalidPayout, "cash.amount must be at most 9223372036854775807"),
    (wanted("x" * 58), InvalidPayout, "Payout id must have 1 to 57 characters"),
    (wanted(""), InvalidPayout, "Payout id must have 1 to 57 characters"),
    (wanted("a\0b"), InvalidPayout, "Payout id must not have control characters, or characters that show nothing"),
    (
        NewPayout("party\0", "shop-1", Cash(1, "RUB"), "n"),
        InvalidPayout,
        "Party id must not have control characters, or characters that show nothing",
    ),
]


@pytest.mark.parametrize(("new", "error", "text"), REFUSED, ids=[f"{number} {text[:30]}" for number, (_, _, text) in enumerate(REFUSED)])
def test_what_is_refused_leaves_nothing_and_its_id_is_free(stage: PayoutStage, new: NewPayout, error: type[KvittError], text: str) -> None:
    plans = stage.count("ledger.plans")
    with pytest.raises(error) as raised:
        stage.payouts.create(new)
    assert str(raised.value) == text
    assert (stage.count("payouts.payouts"), stage.count("outbox"), stage.count("ledger.plans")) == (0, 0, plans)
    assert stage.totals()[0] == (5000, 5000, 5000)
    stage.payouts.create(wanted(new.payout_id if new.payout_id == "n" else "n"))


def test_a_shop_may_pay_out_its_last_penny_and_what_was_refused_may_be_asked_for_again(stage: PayoutStage) -> None:
    with pytest.raises(InsufficientFunds):
        stage.payouts.create(wanted(amount=4996))
    assert stage.payouts.create(wanted(amount=4995)).amount == 4975
    assert stage.totals()[0] == (5000, 0, 5000)


def test_an_id_is_used_once_and_one_that_is_not_given_is_random(stage: PayoutStage) -> None:
    stage.payouts.create(wanted())
    asked = stage.terms.cash_flows
    for new in (wanted(), wanted(amount=4000, shop="shop-9")):
        with pytest.raises(PayoutAlreadyExists):
            stage.payouts.create(new)
    assert stage.terms.cash_flows == asked
    first, second = (stage.payouts.create(wanted(None)).payout_id for _ in "ab")
    assert first != second
    assert {UUID(each).version for each in (first, second)} == {4}


def test_no_method_finds_what_is_not_there(stage: PayoutStage) -> None:
    acts = (
        stage.payouts.get,
        stage.payouts.confirm,
        lambda payout_id: stage.payouts.cancel(payout_id, "why"),
        lambda payout_id: stage.payouts.paid(payout_id, **PAID),
        lambda payout_id: stage.payouts.republish(payout_id, "kari", "asked for"),
        stage.payouts.events,
    )
    for act in acts:
        for payout_id in ("p-404", "x" * 99, "a\0b"):
            with pytest.raises(PayoutNotFound) as raised:
                act(payout_id)
            assert str(raised.value) == f"Payout not found, payoutId='{payout_id}'"


def test_a_cancelled_payout_stays_cancelled_and_the_refusal_names_its_state(stage: PayoutStage) -> None:
    stage.payouts.create(wanted())
    stage.payouts.cancel("p-1", "no")
    with pytest.raises(PayoutInOtherState, match="Invalid status for 'confirm' action, payoutId='p-1', currentStatus='CANCELLED'"):
        stage.payouts.confirm("p-1")
    with pytest.raises(PayoutInOtherState, match="Invalid status for 'paid' action"):
        stage.payouts.paid("p-1", **PAID)
    assert statuses(stage.published("p-1")) == [(0, "unpaid"), (1, "cancelled")]


@pytest.mark.parametrize("details", [None, "a\0b"])
def test_cancelling_needs_details_that_can_be_published(stage: PayoutStage, details: str | None) -> None:
    stage.payouts.create(wanted())
    with pytest.raises(InvalidPayout):
        stage.payouts.cancel("p-1", details)
    assert stage.payouts.get("p-1").status is PayoutStatus.UNPAID


def test_an_operator_marks_as_paid_what_another_approves_and_it_is_audited(stage: PayoutStage) -> None:
    stage.payouts.create(wanted())
    for approved_by in (None, "kari", "KARI", "k\u200bari", "kаrі"):
        with pytest.raises(NeedsSecondPerson):
            stage.payouts.paid("p-1", "kari", "the bank has it", approved_by)
    for by, reason, approved_by in (("kari", "the bank has it", " "), ("\u200b", "the bank has it", "ola"), ("kari", "- - -", "ola")):
        with pytest.raises(BadOperator):
            stage.payouts.paid("p-1", by, reason, approved_by)
    stage.payouts.paid("p-1", **PAID)
    assert stage.payouts.get("p-1").status is PayoutStatus.PAID
    with pytest.raises(PayoutInOtherState):
        stage.payouts.paid("p-1", **PAID)
    (note,) = stage.connection.execute("SELECT what || ' ' || note FROM audit WHERE chain = 0").fetchall()
    assert note[0].startswith("payout paid ")
    assert all(part in note[0] for part in ("kari", "ola", "the bank has it", "p-1"))
    stage.payouts.confirm("p-1")
    assert stage.plan("payout_p-1") is PlanState.COMMITTED


def test_republishing_tells_the_stored_bytes_again_under_ids_of_their_own(stage: PayoutStage) -> None:
    stage.payouts.create(wanted())
    stage.payouts.confirm("p-1")
    first = stage.bodies("p-1")
    for time in (1, 2):
        assert stage.payouts.republish("p-1", "kari", "the consumer lost them") == 2
        assert stage.bodies("p-1") == first * (time + 1)
    ids = stage.connection.execute("SELECT count(DISTINCT event_id) FROM outbox").fetchone()
    assert ids == (6,)
    assert stage.connection.execute("SELECT what FROM audit WHERE chain = 0").fetchall() == [("payout republish",)] * 2


def strangers(stage: PayoutStage, *calls: Call) -> None:
    """Done by callers of the ledger as of the time before names were kept for payouts."""
    assert all(isinstance(each, Done) for each in LedgerWriter(stage.connection, clock).execute(calls))


@pytest.mark.parametrize("end", [None, commit])
def test_a_plan_that_a_stranger_has_taken_is_not_made_a_payouts(stage: PayoutStage, end: Callable[..., Call] | None) -> None:
    posting = moved(stage.settlement, stage.payout, 1)
    strangers(stage, hold("payout_p-1", posting), *([end("payout_p-1", posting)] if end else []))
    with pytest.raises(PayoutsFailed) as raised:
        stage.payouts.create(wanted())
    assert isinstance(raised.value.__cause__, LedgerRefused)
    assert stage.count("payouts.payouts") == 0


def test_where_a_stranger_has_held_and_let_go_a_plan_of_its_name_a_payout_has_the_next_one(stage: PayoutStage) -> None:
    posting = moved(stage.settlement, stage.payout, 1)
    for attempt in (1, 2):
        strangers(stage, hold(plan_id_of("p-1", attempt), posting), rollback(plan_id_of("p-1", attempt), posting))
    stage.payouts.create(wanted())
    assert stage.plan("p3_p-1") is PlanState.HELD
    stage.payouts.confirm("p-1")
    assert stage.totals()[0] == (3995, 3995, 3995)
    assert check(stage.conninfo, PORTS).differences == ()


@pytest.mark.parametrize("payout_id", ["p-1", "x" * 57])
@pytest.mark.parametrize("ends", [(), (commit,), (rollback, commit), (rollback, rollback, commit)], ids=len)
def test_a_confirmed_payout_can_be_cancelled_whatever_others_hold_under_the_names_of_its_reversal(
    stage: PayoutStage, payout_id: str, ends: tuple[Callable[..., Call], ...]
) -> None:
    stage.payouts.create(wanted(payout_id))
    stage.payouts.confirm(payout_id)
    posting = moved(stage.bank, stage.system, 7)
    for attempt, end in enumerate(ends, 1):
        name = reversal_plan_id_of(payout_id, attempt)
        strangers(stage, hold(name, posting), end(name, posting))
    stage.payouts.cancel(payout_id, "back")
    assert stage.plan(reversal_plan_id_of(payout_id, len(ends) + 1)) is PlanState.COMMITTED
    assert stage.totals()[0] == (5000, 5000, 5000)
    assert check(stage.conninfo, PORTS).differences == ()


KEPT = ["payout_free", "revert_payout_free", "p2_free", "p17_free", "u1_free", "u2_free", "payout_", "payout_line\nbreak"]


@pytest.mark.parametrize("plan_id", KEPT)
def test_names_of_plans_that_payouts_have_are_kept_for_them(stage: PayoutStage, plan_id: str) -> None:
    posting = moved(stage.settlement, stage.payout, 1)
    refused, beside = stage.post([hold(plan_id, posting), hold("beside", posting)])
    assert refused == InvalidRequest(f"Plan id ({plan_id}) is kept for payouts")
    assert isinstance(beside, Done)


@pytest.mark.parametrize("plan_id", ["payouts", "p1_free", "p_free", "u0_free", "pay", "1_payout_x"])
def test_other_names_are_everybodys(stage: PayoutStage, plan_id: str) -> None:
    assert isinstance(stage.post([hold(plan_id, moved(stage.settlement, stage.payout, 1))])[0], Done)


def test_nobody_else_ends_the_plan_of_a_payout_and_everybody_ends_what_was_their_own_before(stage: PayoutStage) -> None:
    flow = stage.payouts.create(wanted()).cash_flow
    postings = ledger_postings("p-1", flow)
    for call in (commit, rollback, hold):
        assert stage.post([call("payout_p-1", *postings)]) == [InvalidRequest("Plan id (payout_p-1) is kept for payouts")]
    own = moved(stage.bank, stage.system, 7)
    strangers(stage, hold("payout_old", own), hold("u1_old", own))
    assert all(isinstance(each, Done) for each in stage.post([commit("payout_old", own), rollback("u1_old", own)]))
    stage.payouts.confirm("p-1")


def test_a_refusal_of_the_ledger_is_kept_as_the_cause(stage: PayoutStage) -> None:
    stage.terms.system = 10**9
    with pytest.raises(PayoutsFailed) as raised:
        stage.payouts.create(wanted())
    assert "Target account not found by id: 1000000000 in batch: 1" in str(raised.value.__cause__)


def test_payouts_are_listed_newest_first_page_by_page(stage: PayoutStage) -> None:
    made = [stage.payouts.create(wanted(f"l-{number}", 100)).payout_id for number in range(5)]
    stage.payouts.confirm("l-1")
    seen: list[str] = []
    after: PayoutCursor | None = None
    while page := stage.payouts.page(after, 2):
        seen += [each.payout_id for each in page]
        after = PayoutCursor(page[-1].created_at, page[-1].payout_id)
    assert seen == made[::-1]
    assert [each.payout_id for each in stage.payouts.page(status=PayoutStatus.CONFIRMED)] == ["l-1"]
    assert len(stage.payouts.page(party_id="party-1", shop_id="shop-1")) == 5
    assert stage.payouts.page(party_id="party-2") == stage.payouts.page(shop_id="shop-2") == []


@pytest.mark.parametrize("table", ["cash_flow", "events"])
def test_facts_of_payouts_can_only_be_added(stage: PayoutStage, table: str) -> None:
    stage.payouts.create(wanted())
    for statement in (f"UPDATE payouts.{table} SET payout_id = 'x'", f"DELETE FROM payouts.{table}", f"TRUNCATE payouts.{table}"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stage.connection.execute(statement.encode())
