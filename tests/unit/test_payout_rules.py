"""The rules of payouts: every legal step and every illegal one, what a cash flow is worth, and names of plans that always fit."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from kvitt.ledger.rules import MAX_PLAN_ID, Posting
from kvitt.payouts.rules import (
    KIND_OF,
    PAYOUT_ARCS,
    AccountType,
    CashFlowPosting,
    Payout,
    PayoutStatus,
    Worth,
    after,
    is_payout_id,
    ledger_postings,
    out_of_state,
    plan_id_of,
    reversal_plan_id_of,
    reversal_postings,
    worth_of,
)

S, P, Y = AccountType.MERCHANT_SETTLEMENT, AccountType.MERCHANT_PAYOUT, AccountType.SYSTEM_SETTLEMENT


def flow(*movements: tuple[AccountType, AccountType, int]) -> list[CashFlowPosting]:
    return [CashFlowPosting(source, 1, target, 2, amount, "RUB") for source, target, amount in movements]


def test_a_flow_is_worth_what_the_contract_says() -> None:
    assert worth_of(flow((S, P, 5), (P, S, 1), (S, Y, 1))) == Worth(4, 1 + 1)
    assert worth_of(flow((S, P, 1000), (P, Y, 20), (S, Y, 5))) == Worth(980, 25)
    assert worth_of([]) == Worth(0, 0)


@pytest.mark.parametrize("pair", [(a, b) for a in AccountType for b in AccountType])
def test_only_four_pairs_of_accounts_are_worth_anything(pair: tuple[AccountType, AccountType]) -> None:
    worth = {(S, P): Worth(7, 0), (S, Y): Worth(0, 7), (P, Y): Worth(-7, 7), (P, S): Worth(-7, 7)}
    assert worth_of(flow((*pair, 7))) == worth.get(pair, Worth(0, 0))
    assert pair not in worth or pair in KIND_OF


UNPAID = Payout("p-1", 0, datetime(2026, 1, 1, tzinfo=UTC), "party-1", "shop-1", PayoutStatus.UNPAID, None, (), "tool-1", 1, 0, "RUB")


@pytest.mark.parametrize("source", PayoutStatus)
@pytest.mark.parametrize("target", PayoutStatus)
def test_every_step_is_legal_or_refused(source: PayoutStatus, target: PayoutStatus) -> None:
    legal = {("unpaid", "paid"), ("unpaid", "confirmed"), ("unpaid", "cancelled"), ("paid", "confirmed"), ("paid", "cancelled")}
    legal |= {("confirmed", "cancelled")}
    assert (target in PAYOUT_ARCS[source]) == ((source, target) in legal)
    payout = replace(UNPAID, status=source, sequence=2, cancel_details="old")
    if (source, target) in legal:
        moved = after(payout, target, "new")
        assert (moved.sequence, moved.status, moved.cancel_details) == (3, target, "new")
    else:
        with pytest.raises(AssertionError):
            after(payout, target)


@pytest.mark.parametrize("length", [0, 50, 51, 57])
@pytest.mark.parametrize("attempt", [1, 2, 9999])
def test_ids_of_every_allowed_length_have_plans_that_fit(length: int, attempt: int) -> None:
    names = {plan_id_of("x" * length, attempt), reversal_plan_id_of("x" * length, attempt)}
    assert len(names) == 2
    assert all(len(name) <= MAX_PLAN_ID for name in names)


def test_plans_of_the_first_attempt_have_the_usual_names() -> None:
    assert plan_id_of("p-1") == "payout_p-1"
    assert reversal_plan_id_of("p-1") == "revert_payout_p-1"


def test_no_two_attempts_share_a_plan() -> None:
    names = [
        name(payout_id, attempt) for name in (plan_id_of, reversal_plan_id_of) for payout_id in ("", "1", "2_1") for attempt in (1, 2, 3)
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("payout_id", "fits"), [("", True), ("x" * 57, True), ("x" * 58, False), ("a\0b", False), ("\ud800", False), ("ø" * 57, True)]
)
def test_what_can_be_an_id(payout_id: str, fits: bool) -> None:
    assert is_payout_id(payout_id) is fits


def test_postings_without_details_say_which_payout_they_are_of() -> None:
    named = replace(flow((S, P, 5))[0], details="mine")
    unnamed = flow((S, P, 5))[0]
    assert ledger_postings("p-1", [unnamed, named]) == (Posting(1, 2, 5, "RUB", "PAYOUT-p-1"), Posting(1, 2, 5, "RUB", "mine"))
    assert reversal_postings("p-1", [named]) == (Posting(2, 1, 5, "RUB", "Revert payout: p-1"),)


def test_a_refusal_names_the_state() -> None:
    text = "Invalid status for 'confirm' action, payoutId='p-1', currentStatus='CANCELLED'"
    assert out_of_state("p-1", PayoutStatus.CANCELLED, "confirm") == text
