"""The ledger's rules: what a posting, a batch and a plan are, which calls are refused in which words, and how totals move.

Source: payouts §4.3 (amounts), payouts §4.4 (checks and texts). Amounts are `Minor`, in 64 bits.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.kernel.identifiers import wrong_id, wrong_text
from kvitt.kernel.money import Minor

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_PLAN_ID, MAX_CURRENCY, MAX_DESCRIPTION = 64, 4, 4096


class Operation(StrEnum):
    """An operation on a plan; the value is its name in the texts of refusals."""

    HOLD = "HOLD"
    COMMIT = "COMMIT"
    ROLLBACK = "ROLLBACK"


class PlanState(StrEnum):
    """The state of a plan (design §6); a plan that was never held has no state."""

    HELD = "held"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"


STATE_AFTER: Final = {
    Operation.HOLD: PlanState.HELD,
    Operation.COMMIT: PlanState.COMMITTED,
    Operation.ROLLBACK: PlanState.ROLLED_BACK,
}
OPERATION_BEFORE: Final = {state: operation for operation, state in STATE_AFTER.items()}
PLAN_ARCS: Final[Mapping[PlanState, frozenset[PlanState]]] = {
    PlanState.HELD: frozenset({PlanState.HELD, PlanState.COMMITTED, PlanState.ROLLED_BACK}),
    PlanState.COMMITTED: frozenset(),
    PlanState.ROLLED_BACK: frozenset(),
}


class Posting(NamedTuple):
    """An amount that moves from one account to another. Two postings are equal when all five are."""

    source: int
    target: int
    amount: Minor
    currency: str
    description: str


class Batch(NamedTuple):
    """Postings that are held together; `batch_id` grows within a plan."""

    batch_id: int
    postings: tuple[Posting, ...]


class Totals(NamedTuple):
    """An account's amounts: `posted` counts committed plans, the bounds also what open plans may take or bring (payouts §4.3)."""

    posted: Minor = Minor(0)
    available_min: Minor = Minor(0)
    available_max: Minor = Minor(0)


class InvalidRequest(Struct, frozen=True):
    """A call that is wrong as a whole, with the one reason."""

    error: str


class Overflow(InvalidRequest, frozen=True):
    """A call after which an account would have more, or less, than fits; `account_id` is that account."""

    account_id: int


class InvalidPostings(Struct, frozen=True):
    """A call of which some postings are wrong, each with its reasons joined by `; `."""

    wrong: tuple[tuple[Posting, str], ...]


CallRefusal = InvalidRequest | InvalidPostings


class Wrongs:
    """Gathers the reasons against postings; equal postings share theirs."""

    def __init__(self) -> None:
        self._texts: dict[Posting, list[str]] = {}

    def add(self, posting: Posting, text: str) -> None:
        """One more reason; the same reason counts once."""
        texts = self._texts.setdefault(posting, [])
        if text not in texts:
            texts.append(text)

    def refusal(self) -> InvalidPostings | None:
        """All that was gathered, if anything was."""
        return InvalidPostings(tuple((posting, "; ".join(texts)) for posting, texts in self._texts.items())) if self._texts else None


def malformed(plan_id: str, operation: Operation, batches: Sequence[Batch]) -> CallRefusal | None:
    """Judges a call whatever is stored: the first broken rule of payouts §4.4 steps 1 and 2, or None.

    Lengths that the ledger has no room for are refused here too, before anything is written.
    """
    return _malformed_batches(plan_id, operation, batches) or _malformed_postings(batches)


def _malformed_batches(plan_id: str, operation: Operation, batches: Sequence[Batch]) -> InvalidRequest | None:
    if not 1 <= len(plan_id) <= MAX_PLAN_ID or "\0" in plan_id:
        return InvalidRequest(f"Plan id must have 1 to {MAX_PLAN_ID} characters")
    if not batches:
        return InvalidRequest(f"Plan ({plan_id}) has no batches inside")
    if operation is Operation.HOLD and len(batches) != 1:
        return InvalidRequest(f"Too many batches in posting plan ({plan_id})")
    seen: set[int] = set()
    for batch in batches:
        if not batch.postings:
            return InvalidRequest(f"Posting batch ({batch.batch_id}) has no postings inside")
        if batch.batch_id in seen:
            return InvalidRequest(f"Batch ({batch.batch_id}) has duplicate in received list")
        seen.add(batch.batch_id)
    if seen & {INT64_MIN, INT64_MAX}:
        return InvalidRequest(f"Batch in plan ({plan_id}) is not allowed to have long MAX or MIN value")
    return None


def _malformed_postings(batches: Sequence[Batch]) -> InvalidPostings | None:
    wrongs = Wrongs()
    for batch in batches:
        for posting in batch.postings:
            if posting.source == posting.target:
                wrongs.add(posting, "Source and target accounts cannot be the same")
            if posting.amount < 0:
                wrongs.add(posting, "Amount cannot be negative")
            elif posting.amount > INT64_MAX:
                wrongs.add(posting, "Amount does not fit 64 bits")
            if not 1 <= len(posting.currency) <= MAX_CURRENCY or "\0" in posting.currency:
                wrongs.add(posting, f"Currency code must have 1 to {MAX_CURRENCY} characters")
            if len(posting.description) > MAX_DESCRIPTION or "\0" in posting.description:
                wrongs.add(posting, f"Description must have at most {MAX_DESCRIPTION} characters")
    return wrongs.refusal()


def unfit(plan_id: str, batch: Batch) -> CallRefusal | None:
    """Judges a hold that comes in at an API: it may not bring an id or a currency that hides something, or texts with control characters.

    Plans and postings that are stored are ended under the ids and texts that they have.
    """
    if wrong := wrong_id(plan_id, MAX_PLAN_ID):
        return InvalidRequest(f"Plan id {wrong}")
    wrongs = Wrongs()
    for posting in batch.postings:
        if wrong := wrong_id(posting.currency, MAX_CURRENCY):
            wrongs.add(posting, f"Currency code {wrong}")
        if wrong := wrong_text(posting.description, MAX_DESCRIPTION):
            wrongs.add(posting, f"Description {wrong}")
    return wrongs.refusal()


def out_of_order(plan_id: str, state: PlanState | None, operation: Operation) -> InvalidRequest | None:
    """Whether the plan is in a state from which the operation can not be (payouts §4.4 step 3). The same final operation again may be."""
    if state is None:
        return None if operation is Operation.HOLD else InvalidRequest(f"Posting plan not found: {plan_id}")
    after = STATE_AFTER[operation]
    if after in PLAN_ARCS[state] or after is state:
        return None
    return InvalidRequest(f"Unable to change plan state: {plan_id} from: {OPERATION_BEFORE[state]} to {operation}")


def differing(operation: Operation, stored: Mapping[int, Sequence[Posting]], received: Sequence[Batch]) -> InvalidPostings | None:
    """Compares the stored batches of a plan with those of a call (payouts §4.4 step 4), with their multiplicity.

    A final operation names all batches; a hold names one, which is either stored already or newer than all that are.
    """
    wrongs = Wrongs()
    newest = max(stored, default=INT64_MIN)
    fresh = [batch for batch in received if batch.batch_id not in stored]
    if fresh and (first := min(fresh, key=lambda batch: batch.batch_id)).batch_id < newest:
        for posting in first.postings:
            wrongs.add(posting, f"Batch has id {first.batch_id} lower than saved id: {newest}")
    names = {batch.batch_id: batch.postings for batch in received}
    compared = names.keys() & stored.keys() if operation is Operation.HOLD else names.keys() | stored.keys()
    for batch_id in sorted(compared):
        held, came = Counter(stored.get(batch_id, ())), Counter(names.get(batch_id, ()))
        for posting in held - came:
            wrongs.add(posting, f"Saved posting not found in batch: {batch_id}")
        for posting in came - held:
            wrongs.add(posting, f"Received posting not found in batch: {batch_id}")
    return wrongs.refusal()


def unknown_accounts(batches: Sequence[Batch], currencies: Mapping[int, str]) -> InvalidPostings | None:
    """Postings of new batches whose accounts do not exist or have another currency (payouts §4.4 step 6); `currencies` is by account id."""
    wrongs = Wrongs()
    for batch in batches:
        for posting in batch.postings:
            for side, account_id in (("Source", posting.source), ("Target", posting.target)):
                currency = currencies.get(account_id)
                if currency is None:
                    wrongs.add(posting, f"{side} account not found by id: {account_id} in batch: {batch.batch_id}")
                elif currency != posting.currency:
                    wrongs.add(
                        posting,
                        f"Account ({account_id}) currency code is not equal: expected: {currency}, "
                        f"actual: {posting.currency} in batch: {batch.batch_id}",
                    )
    return wrongs.refusal()


def incomparable(account_id: int | None, batches: Sequence[Batch], currencies: Mapping[int, str]) -> InvalidRequest | None:
    """An account that has to stay solvent, if there is one, is compared with what moves, and so is in the same currency."""
    expected = None if account_id is None else currencies.get(account_id)
    if expected is None:
        return None
    actual = {posting.currency for batch in batches for posting in batch.postings} - {expected}
    if not actual:
        return None
    return InvalidRequest(f"Account ({account_id}) currency code is not equal: expected: {expected}, actual: {min(actual)}")


def net_by_account(postings: Sequence[Posting]) -> dict[int, Minor]:
    """Nets postings: what each account gains (or, negative, loses), in the order in which they name the accounts."""
    net: dict[int, Minor] = {}
    for source, target, amount, _, _ in postings:
        net[source] = Minor(net.get(source, 0) - amount)
        net[target] = Minor(net.get(target, 0) + amount)
    return net


def after_hold(totals: Totals, held: Minor, net: Minor) -> Totals:
    """Totals after a hold that changes what a plan nets on the account from `held` to `held + net` (payouts §4.3).

    The unit of netting is the plan: a loss lowers `available_min`, a gain raises `available_max`, and zero does neither.
    """
    merged = held + net
    available_min = Minor(totals.available_min - min(0, held) + min(0, merged))
    available_max = Minor(totals.available_max - max(0, held) + max(0, merged))
    return Totals(totals.posted, available_min, available_max)


def after_final(totals: Totals, operation: Operation, net: Minor) -> Totals:
    """Totals after a plan that nets `net` on the account is committed or rolled back."""
    if operation is Operation.COMMIT:
        posted, least, most = totals.posted + net, totals.available_min + max(0, net), totals.available_max + min(0, net)
    else:
        posted, least, most = totals.posted, totals.available_min - min(0, net), totals.available_max - max(0, net)
    return Totals(Minor(posted), Minor(least), Minor(most))


def fits(totals: Totals) -> bool:
    """Whether all three fit 64 bits; what would not is refused, for it must not wrap round."""
    return min(totals) >= INT64_MIN and max(totals) <= INT64_MAX


def overflow(plan_id: str, after: Mapping[int, Totals]) -> Overflow | None:
    """The first account that would not have room for its totals after a call, by account id."""
    for account_id, totals in after.items():
        if not fits(totals):
            limit = f"below {INT64_MIN}" if min(totals) < INT64_MIN else f"beyond {INT64_MAX}"
            return Overflow(f"Plan ({plan_id}) would move account {account_id} {limit}", account_id)
    return None
