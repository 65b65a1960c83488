"""The ledger as anybody would write it who needs no speed and no database: plans in a dict, totals summed anew from the definition."""

from collections import Counter

from kvitt.ledger.rules import Batch, Operation, Posting

INT64_MAX, INT64_MIN = 2**63 - 1, -(2**63)
Totals = tuple[int, int, int]
Answer = dict[int, Totals] | str
"""Totals by account, or the words of a refusal: of a call, or of postings sorted and joined."""


class Model:
    """Accounts with currencies, and plans: their batches by id, and what has become of them."""

    def __init__(self, currencies: dict[int, str]) -> None:
        self.currencies = currencies
        self.plans: dict[str, dict[int, list[Posting]]] = {}
        self.ends: dict[str, str] = {}
        self.answers: dict[tuple[str, str, int], dict[int, Totals]] = {}

    def totals(self, account: int) -> Totals:
        """posted, available min and max of payouts §4.3, from all postings of all plans."""
        posted = lowest = highest = 0
        for plan_id, batches in self.plans.items():
            net = sum(
                posting.amount * ((posting.target == account) - (posting.source == account))
                for batch in batches.values()
                for posting in batch
            )
            if self.ends.get(plan_id) == "COMMIT":
                posted += net
            elif plan_id not in self.ends:
                lowest, highest = lowest + min(0, net), highest + max(0, net)
        return posted, posted + lowest, posted + highest

    def call(self, plan_id: str, operation: Operation, batches: tuple[Batch, ...]) -> Answer:
        """What a call does and is answered, step by step as payouts §4.4 tells it."""
        return self._call_error(plan_id, operation, batches) or self._do(plan_id, operation, batches)

    def _call_error(self, plan_id: str, operation: Operation, batches: tuple[Batch, ...]) -> str:  # noqa: C901 - told as the contract does
        ids = [batch.batch_id for batch in batches]
        if not batches:
            return f"Plan ({plan_id}) has no batches inside"
        for place, batch in enumerate(batches):
            if not batch.postings:
                return f"Posting batch ({batch.batch_id}) has no postings inside"
            if batch.batch_id in ids[:place]:
                return f"Batch ({batch.batch_id}) has duplicate in received list"
        if INT64_MAX in ids or INT64_MIN in ids:
            return f"Batch in plan ({plan_id}) is not allowed to have long MAX or MIN value"
        bad: dict[Posting, list[str]] = {}
        for batch in batches:
            for posting in batch.postings:
                if posting.source == posting.target:
                    _put(bad, posting, "Source and target accounts cannot be the same")
                if posting.amount < 0:
                    _put(bad, posting, "Amount cannot be negative")
        if bad:
            return reasons_in(bad)
        was = self.ends.get(plan_id, "HOLD") if plan_id in self.plans else None
        if was is None and operation is not Operation.HOLD:
            return f"Posting plan not found: {plan_id}"
        if was not in (None, "HOLD", operation.value):
            return f"Unable to change plan state: {plan_id} from: {was} to {operation.value}"
        return self._differences(plan_id, operation, batches)

    def _differences(self, plan_id: str, operation: Operation, batches: tuple[Batch, ...]) -> str:  # noqa: C901, PLR0912 - likewise
        bad: dict[Posting, list[str]] = {}
        stored = self.plans.get(plan_id, {})
        named = {batch.batch_id: list(batch.postings) for batch in batches}
        fresh = sorted(set(named) - set(stored))
        if fresh and stored and fresh[0] < max(stored):
            for posting in named[fresh[0]]:
                _put(bad, posting, f"Batch has id {fresh[0]} lower than saved id: {max(stored)}")
        for batch_id in sorted(set(named) | set(stored)):
            if operation is Operation.HOLD and (batch_id not in named or batch_id not in stored):
                continue
            held, came = Counter(stored.get(batch_id, [])), Counter(named.get(batch_id, []))
            for posting in held:
                if held[posting] > came[posting]:
                    _put(bad, posting, f"Saved posting not found in batch: {batch_id}")
            for posting in came:
                if came[posting] > held[posting]:
                    _put(bad, posting, f"Received posting not found in batch: {batch_id}")
        if bad or operation is not Operation.HOLD or not fresh:
            return reasons_in(bad)
        for batch_id in fresh:
            for posting in named[batch_id]:
                for side, account in (("Source", posting.source), ("Target", posting.target)):
                    if account not in self.currencies:
                        _put(bad, posting, f"{side} account not found by id: {account} in batch: {batch_id}")
                    elif self.currencies[account] != posting.currency:
                        expected = f"expected: {self.currencies[account]}, actual: {posting.currency}"
                        _put(bad, posting, f"Account ({account}) currency code is not equal: {expected} in batch: {batch_id}")
        return reasons_in(bad)

    def _do(self, plan_id: str, operation: Operation, batches: tuple[Batch, ...]) -> dict[int, Totals]:
        key = (plan_id, operation.value, batches[0].batch_id if operation is Operation.HOLD else 0)
        if key in self.answers:
            return self.answers[key]
        if operation is Operation.HOLD:
            self.plans.setdefault(plan_id, {})[batches[0].batch_id] = list(batches[0].postings)
        else:
            self.ends[plan_id] = operation.value
        touched = {account for batch in batches for posting in batch.postings for account in posting[:2]}
        self.answers[key] = {account: self.totals(account) for account in touched}
        return self.answers[key]


def _put(bad: dict[Posting, list[str]], posting: Posting, text: str) -> None:
    texts = bad.setdefault(posting, [])
    if text not in texts:
        texts.append(text)


def reasons_in(bad: dict[Posting, list[str]]) -> str:
    """Refused postings as one text, whatever their order."""
    return "\n".join(sorted(f"{posting}: {'; '.join(texts)}" for posting, texts in bad.items()))
