"""The demo's payouts: a shop earns, is paid out, and one payout is taken back; with what the ledger holds after each step."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from kvitt.cli.text import minor
from kvitt.cli.wiring import wiring
from kvitt.demo.feed import parties_example
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.money import Minor
from kvitt.ledger.calls import (
    Account,
    Call,
    Done,
    NewAccount,
)
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import LedgerReader
from kvitt.ledger.rules import (
    Batch,
    Operation,
    Posting,
    Totals,
)
from kvitt.payouts.directory import known, load_directory
from kvitt.payouts.directory_file import read_directory
from kvitt.payouts.model import Cash, NewPayout
from kvitt.payouts.rules import CashFlowPosting
from kvitt.payouts.service import PayoutService
from kvitt.settings import PayoutsSettings

_PARTY, _SHOP = "party-1", "shop-1"
_SALES, _PAID_OUT, _CURRENCY = Minor(1_000_000), Minor(250_000), "RUB"


class Shown(Struct, frozen=True):
    """Holds what the shop's settlement account has after a step."""

    step: str
    totals: Totals


class PayoutStory(Struct, frozen=True):
    """A payout with its cash flow, and the account it was paid from after each step; `wrong` is what should have been otherwise."""

    payout_id: str
    account_id: int
    cash_flow: Sequence[CashFlowPosting]
    shown: Sequence[Shown]
    wrong: Sequence[str]


class _Story:
    def __init__(self, connection: Connection, payouts: PayoutService) -> None:
        self._connection, self._payouts = connection, payouts
        self.shown: list[Shown] = []
        entry = known(connection, _PARTY).entry
        (account_id,) = [shop.accounts.settlement for shop in entry.shops if shop.id == _SHOP]
        assert account_id is not None, "loading fills in every account"
        self.account_id = account_id

    def look(self, step: str) -> Totals:
        totals = LedgerReader(self._connection).account(self.account_id).totals
        self.shown.append(Shown(step, totals))
        return totals

    def sell(self, run_id: str) -> None:
        """The shop earns: from a provider's account to its own."""
        post = LedgerWriter(self._connection, utc_now).execute
        (provider,) = post([NewAccount(_CURRENCY, "demo/provider", None, "demo/provider")])
        assert isinstance(provider, Account), provider
        batches = (Batch(1, (Posting(provider.account_id, self.account_id, _SALES, _CURRENCY, "sales of the demo"),)),)
        plan_id = f"demo_{run_id}"
        answers = post([Call(plan_id, Operation.HOLD, batches), Call(plan_id, Operation.COMMIT, batches)])
        assert all(isinstance(answer, Done) for answer in answers), answers


def pay_out(conninfo: str, connection: Connection, settings: PayoutsSettings, run_id: str) -> PayoutStory | None:
    """Plays the story on the example's party; None where parties or the ledger are another service's."""
    if settings.parties_url or settings.ledger_url:
        return None

    load_directory(connection, utc_now, read_directory(parties_example()))
    with wiring().payouts(conninfo, settings) as payouts:
        story = _Story(connection, payouts)
        return _played(story, payouts, run_id)


_STEPS: Final = (
    "before",
    "the shop has sold for 10,000.00",
    "a payout of 2,500.00 is held",
    "it is confirmed",
    "another is held",
    "and cancelled",
)


def _played(story: _Story, payouts: PayoutService, run_id: str) -> PayoutStory:
    before = story.look(_STEPS[0])
    story.sell(run_id)
    sold = story.look(_STEPS[1])
    wanted = NewPayout(_PARTY, _SHOP, Cash(_PAID_OUT, _CURRENCY), f"demo-{run_id}-1")
    payout = payouts.create(wanted)
    held = story.look(_STEPS[2])
    payouts.confirm(payout.payout_id)
    confirmed = story.look(_STEPS[3])
    other = payouts.create(NewPayout(_PARTY, _SHOP, Cash(_PAID_OUT, _CURRENCY), f"demo-{run_id}-2"))
    story.look(_STEPS[4])
    payouts.cancel(other.payout_id, "the demo takes it back")
    cancelled = story.look(_STEPS[5])
    out = sum(each.amount for each in payout.cash_flow if each.source == story.account_id)
    expected = {
        "what was sold": (sold, _moved(before, _SALES, _SALES, _SALES)),
        "what is held": (held, _moved(sold, 0, -out, 0)),
        "what was confirmed": (confirmed, _moved(sold, -out, -out, -out)),
        "what was cancelled": (cancelled, confirmed),
    }
    wrong = [f"{name}: {found} instead of {right}" for name, (found, right) in expected.items() if found != right]
    return PayoutStory(payout.payout_id, story.account_id, payout.cash_flow, story.shown, wrong)


def _moved(totals: Totals, posted: int, available_min: int, available_max: int) -> Totals:
    return Totals(
        posted=Minor(totals.posted + posted),
        available_min=Minor(totals.available_min + available_min),
        available_max=Minor(totals.available_max + available_max),
    )


def page(story: PayoutStory) -> str:
    """The story as lines of text."""
    lines = [f"One payout, {story.payout_id}:", ""]
    for each in story.cash_flow:
        sides = f"{each.source_type.value} {each.source} → {each.target_type.value} {each.target}"
        lines.append(f"  {sides:<56} {minor(each.amount, each.currency):>12} {each.currency}  {each.details or ''}".rstrip())
    lines += ["", f"  account {story.account_id:<34} {'posted':>13} {'available min':>13} {'available max':>13}"]
    for shown in story.shown:
        lines.append(f"  {shown.step:<42} " + " ".join(f"{minor(total, _CURRENCY):>13}" for total in shown.totals))
    return "\n".join([*lines, ""])
