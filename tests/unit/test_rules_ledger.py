"""The ledger's rules against the contract's worked examples, its texts, and a plain statement of what the bounds mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.ledger.rules import (
    INT64_MAX,
    INT64_MIN,
    Batch,
    InvalidPostings,
    InvalidRequest,
    Operation,
    PlanState,
    Posting,
    Totals,
    after_final,
    after_hold,
    differing,
    fits,
    malformed,
    net_by_account,
    out_of_order,
    unknown_accounts,
)


def posting(source: int = 1, target: int = 2, amount: int = 10, currency: str = "RUB", description: str = "text") -> Posting:
    return Posting(source, target, amount, currency, description)


def batch(batch_id: int = 1, *postings: Posting) -> Batch:
    return Batch(batch_id, postings or (posting(),))


def text_of(refusal: object, of: Posting | None = None) -> str:
    assert isinstance(refusal, InvalidPostings)
    texts = dict(refusal.wrong)
    return texts[of or posting()]


def test_worked_example_one_one_plan_through_zero() -> None:
    totals, held = Totals(), 0
    for change, expected in (
        (100, (0, 0, 100)),
        (-35, (0, 0, 65)),
        (5, (0, 0, 70)),
        (-100, (0, -30, 0)),
        (-10, (0, -40, 0)),
        (50, (0, 0, 10)),
    ):
        totals, held = after_hold(totals, held, change), held + change
        assert totals == expected
    assert after_final(totals, Operation.COMMIT, held) == (10, 10, 10)


def test_worked_example_three_a_payout_and_its_reversal() -> None:
    payout = [posting(1, 2, 1000), posting(2, 3, 20), posting(1, 3, 5)]
    net = net_by_account(payout)
    assert net == {1: -1005, 2: 980, 3: 25}
    settlement = after_hold(Totals(5000, 5000, 5000), 0, net[1])
    assert settlement == (5000, 3995, 5000)
    settlement = after_final(settlement, Operation.COMMIT, net[1])
    assert settlement == (3995, 3995, 3995)
    back = {account: -amount for account, amount in net.items()}
    assert after_final(after_hold(settlement, 0, back[1]), Operation.COMMIT, back[1]) == (5000, 5000, 5000)


amounts = st.integers(-(10**6), 10**6)


@given(st.lists(st.tuples(st.integers(0, 3), amounts, st.sampled_from(["hold", "hold", "commit", "rollback"])), max_size=30))
def test_totals_are_what_the_definition_says(steps: list[tuple[int, int, str]]) -> None:
    """posted, available min and max kept step by step equal the sums of payouts §4.3 over all plans."""
    totals, held, done, posted = Totals(), dict.fromkeys(range(4), 0), set(), 0
    for plan, change, what in steps:
        if plan in done:
            continue
        if what == "hold":
            totals, held[plan] = after_hold(totals, held[plan], change), held[plan] + change
            continue
        totals = after_final(totals, Operation.COMMIT if what == "commit" else Operation.ROLLBACK, held[plan])
        posted += held[plan] if what == "commit" else 0
        held[plan] = 0
        done.add(plan)
    lowest = posted + sum(min(0, net) for net in held.values())
    highest = posted + sum(max(0, net) for net in held.values())
    assert totals == (posted, lowest, highest)


@pytest.mark.parametrize(
    ("operation", "batches", "error"),
    [
        (Operation.HOLD, [], "Plan (p) has no batches inside"),
        (Operation.HOLD, [batch(1), batch(2)], "Too many batches in posting plan (p)"),
        (Operation.COMMIT, [Batch(3, ())], "Posting batch (3) has no postings inside"),
        (Operation.COMMIT, [batch(3), batch(3)], "Batch (3) has duplicate in received list"),
        (Operation.HOLD, [batch(INT64_MAX)], "Batch in plan (p) is not allowed to have long MAX or MIN value"),
        (Operation.ROLLBACK, [batch(1), batch(INT64_MIN)], "Batch in plan (p) is not allowed to have long MAX or MIN value"),
    ],
)
def test_batches_that_no_plan_can_have(operation: Operation, batches: list[Batch], error: str) -> None:
    assert malformed("p", operation, batches) == InvalidRequest(error)


@pytest.mark.parametrize("plan_id", ["", "x" * 65, "a\0b"])
def test_plan_ids_have_a_length(plan_id: str) -> None:
    assert isinstance(malformed(plan_id, Operation.HOLD, [batch()]), InvalidRequest)


def test_postings_are_refused_with_all_their_reasons() -> None:
    bad = posting(1, 1, -5)
    refusal = malformed("p", Operation.HOLD, [batch(1, bad, posting())])
    assert text_of(refusal, bad) == "Source and target accounts cannot be the same; Amount cannot be negative"
    assert isinstance(refusal, InvalidPostings)
    assert len(refusal.wrong) == 1
    assert malformed("p", Operation.HOLD, [batch(1, posting(amount=0))]) is None
    for long in (posting(currency="RUBLE"), posting(description="x" * 4097), posting(currency="")):
        assert isinstance(malformed("p", Operation.HOLD, [batch(1, long)]), InvalidPostings)


def test_every_arc_of_a_plan_and_every_missing_one() -> None:
    allowed = {
        (None, Operation.HOLD),
        (PlanState.HELD, Operation.HOLD),
        (PlanState.HELD, Operation.COMMIT),
        (PlanState.HELD, Operation.ROLLBACK),
        (PlanState.COMMITTED, Operation.COMMIT),
        (PlanState.ROLLED_BACK, Operation.ROLLBACK),
    }
    for state in (None, *PlanState):
        for operation in Operation:
            assert (out_of_order("p", state, operation) is None) == ((state, operation) in allowed)
    assert out_of_order("p", None, Operation.COMMIT) == InvalidRequest("Posting plan not found: p")
    refused = out_of_order("p", PlanState.ROLLED_BACK, Operation.HOLD)
    assert refused == InvalidRequest("Unable to change plan state: p from: ROLLBACK to HOLD")


def test_a_batch_counts_its_equal_postings() -> None:
    """Held twice and committed once is a difference: the second one would stay held for ever."""
    x, y = posting(), posting(amount=11)
    held = {1: (x, x)}
    assert differing(Operation.COMMIT, held, [batch(1, x, x)]) is None
    assert text_of(differing(Operation.COMMIT, held, [batch(1, x)])) == "Saved posting not found in batch: 1"
    assert text_of(differing(Operation.HOLD, held, [batch(1, x, x, y)]), y) == "Received posting not found in batch: 1"
    assert differing(Operation.HOLD, {1: (x, y)}, [batch(1, y, x)]) is None


def test_final_operations_name_all_batches_and_holds_only_newer_ones() -> None:
    x = posting()
    held = {2: (x,), 5: (x,)}
    assert differing(Operation.COMMIT, held, [batch(5, x), batch(2, x)]) is None
    assert text_of(differing(Operation.COMMIT, held, [batch(2, x)])) == "Saved posting not found in batch: 5"
    assert text_of(differing(Operation.COMMIT, held, [batch(2, x), batch(5, x), batch(9, x)])) == "Received posting not found in batch: 9"
    assert text_of(differing(Operation.HOLD, held, [batch(3, x)])) == "Batch has id 3 lower than saved id: 5"
    assert differing(Operation.HOLD, held, [batch(2, x)]) is None
    assert differing(Operation.HOLD, held, [batch(6, x)]) is None


def test_accounts_must_exist_in_the_posting_s_currency() -> None:
    refusal = unknown_accounts([batch(4, posting(1, 9))], {1: "USD"})
    assert text_of(refusal, posting(1, 9)) == (
        "Account (1) currency code is not equal: expected: USD, actual: RUB in batch: 4; Target account not found by id: 9 in batch: 4"
    )
    assert unknown_accounts([batch()], {1: "RUB", 2: "RUB"}) is None


def test_what_does_not_fit_is_seen() -> None:
    assert fits(Totals(INT64_MAX, INT64_MIN, INT64_MAX))
    assert not fits(after_hold(Totals(0, 0, INT64_MAX), 0, 1))
    assert not fits(Totals(0, INT64_MIN - 1, 0))
