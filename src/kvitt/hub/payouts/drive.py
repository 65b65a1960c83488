"""Drive: carries an intent to its end at a ledger that is not ours, or leaves it for whoever comes next (design §9; payouts §2.8).

A payout goes forward to be made only in the hands of the call that began it; whoever comes later undoes it, so that nothing stays held.
What ends a plan is driven forward by whoever comes next, because the ledger answers repeats as the first time.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import psycopg
import structlog
from msgspec import Struct
from psycopg_pool import ConnectionPool

from kvitt.errors import InsufficientFunds, InvalidPayout
from kvitt.hub.operate import note
from kvitt.hub.payouts.changes import Changes
from kvitt.hub.payouts.decide import failed, held_batch, reversal_batch
from kvitt.hub.payouts.draft import Draft
from kvitt.hub.payouts.intents import Action, Intent, IntentLost, Intents, Way
from kvitt.hub.payouts.ledger import CallFailed, Refused, RemoteLedger, Unavailable
from kvitt.hub.payouts.stored import Keeper, load, lock
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.crash import reached
from kvitt.kernel.state_log import StateLog
from kvitt.rules.ledger import Batch
from kvitt.rules.payouts import Payout, PayoutStatus, after, other_currencies

Given = TypeVar("Given")
_log = structlog.get_logger(__name__)
_FIRST_WAIT_SECONDS: Final = 0.1
_LONGEST_WAIT_SECONDS: Final = 30.0
_MOST_CURRENCIES: Final = 100_000
_WORD: Final = {Action.CREATE: "hold", Action.CONFIRM: "commit", Action.CANCEL: "rollback", Action.REVERSE: "revert"}


class Patience(Struct, frozen=True):
    """How often a call that was not taken is made, and until when it may be made again."""

    tries: int = 1
    deadline: datetime | None = None


class Place(Struct, frozen=True):
    """Where intents are stored and carried out.

    An owner that was not heard of for `busy_seconds` has lost its intent; a call of the ledger must take less. `rest` waits so many
    seconds between two tries.
    """

    pool: ConnectionPool[psycopg.Connection[Any]]
    clock: Clock
    ledger: RemoteLedger
    busy_seconds: float = 90.0
    rest: Callable[[float], object] = threading.Event().wait

    @contextmanager
    def intents(self) -> Iterator[Intents]:
        """A transaction in which intents are read and written."""
        with self.pool.connection() as connection, transaction(connection), connection.cursor() as cursor:
            yield Intents(cursor, self.busy_seconds)


class Drive:
    """Carries out intents that its caller owns. Safe for use by several threads."""

    def __init__(self, place: Place) -> None:
        self._place, self._ledger = place, place.ledger
        self._currencies: dict[int, str] = {}
        self._states = StateLog(_log)

    def create(self, intent: Intent, draft: Draft, patience: Patience) -> Payout:
        """Holds the plan of a payout that is to be made, and stores the payout.

        Raises InsufficientFunds, InvalidPayout, PayoutsFailed: then what was begun is undone, here or by whoever comes next.
        """
        batch = held_batch(draft.payout)
        with self._told(intent):
            self._compare_currencies(intent, draft, patience)
            least = self._hold_once(intent, batch, patience)
            reached("payouts.after_hold")
            if least.get(draft.settlement, -1) >= 0:
                return self._made(intent, draft.payout)
        # The rest is for whoever comes next, if it fails: what the caller hears is known.
        with suppress(IntentLost):
            try:
                self._call(intent, patience, lambda: self._ledger.rollback(intent.plan_id, batch, deadline=patience.deadline))
            except CallFailed as error:
                self._leave(intent, str(error))
            else:
                self._close(intent, Way.UNDONE, "the shop had not that much", held=True)
        raise InsufficientFunds("the shop has not that much")

    def _compare_currencies(self, intent: Intent, draft: Draft, patience: Patience) -> None:
        """The currencies of accounts are asked for once; the ledger may compare them itself, or not. Raises InvalidPayout, CallFailed."""
        payout = draft.payout
        accounts = sorted({draft.settlement, *(account for each in payout.cash_flow for account in (each.source, each.target))})
        if len(self._currencies) > _MOST_CURRENCIES:
            self._currencies.clear()
        known = {account_id: self._currencies.get(account_id) for account_id in accounts}
        for account_id in (account_id for account_id in accounts if known[account_id] is None):
            ask = partial(self._ledger.currency, account_id, deadline=patience.deadline)
            if (currency := self._call(intent, patience, ask)) is not None:
                known[account_id] = self._currencies[account_id] = currency
        if wrong := other_currencies(payout.currency, payout.cash_flow, {key: each for key, each in known.items() if each is not None}):
            self._close(intent, Way.UNDONE, "; ".join(wrong), held=False)
            raise InvalidPayout(*wrong)

    def run(self, intent: Intent, patience: Patience) -> None:
        """Does, or undoes, what an intent is about. Raises PayoutsFailed where it was refused, or is left for whoever comes next."""
        with self._told(intent):
            if intent.way is Way.BACK:
                self._release(intent, self._batch(intent), patience)
                return
            try:
                self._end(intent, self._batch(intent), patience)
            except Refused as refused:
                if intent.action is Action.REVERSE:
                    with self._place.intents() as intents:
                        intents.turn_back(intent)
                    self._release(intent, self._batch(intent), patience)
                else:
                    self._close(intent, Way.UNDONE, str(refused), held=True)
                raise failed(_WORD[intent.action], intent.payout_id, str(refused)) from refused
            reached("payouts.after_end")
            self._ended(intent)

    def _hold_once(self, intent: Intent, batch: Batch, patience: Patience) -> Mapping[int, int]:
        try:
            return self._call(intent, patience, lambda: self._ledger.hold(intent.plan_id, batch, deadline=patience.deadline))
        except Refused as refused:
            self._close(intent, Way.UNDONE, str(refused), held=False)
            raise failed("hold", intent.payout_id, str(refused)) from refused

    def _end(self, intent: Intent, batch: Batch, patience: Patience) -> None:
        plan_id, ledger, until = intent.plan_id, self._ledger, patience.deadline
        if intent.action is Action.CANCEL:
            self._call(intent, patience, lambda: ledger.rollback(plan_id, batch, deadline=until))
            return
        if intent.action is Action.REVERSE and not intent.held:
            self._call(intent, patience, lambda: ledger.hold(plan_id, batch, deadline=until))
            reached("payouts.after_hold")
            # What has been committed can not be held again: who comes after the commit must know not to ask for it.
            with self._place.intents() as intents:
                intents.note_held(intent)
        self._call(intent, patience, lambda: ledger.commit(plan_id, batch, deadline=until))

    def _release(self, intent: Intent, batch: Batch, patience: Patience) -> None:
        """Holds the plan once more and then rolls it back, so that a hold that is still on its way is refused when it arrives.

        Where both are refused, nothing is held, and what was refused now is refused later.
        """
        refused: Refused | None = None
        try:
            self._call(intent, patience, lambda: self._ledger.hold(intent.plan_id, batch, deadline=patience.deadline))
        except Refused as error:
            refused = error
        reached("payouts.after_hold")
        try:
            self._call(intent, patience, lambda: self._ledger.rollback(intent.plan_id, batch, deadline=patience.deadline))
        except Refused:
            if refused is None:
                raise
            self._close(intent, Way.UNDONE, f"refused: {refused}", held=False)
        else:
            self._close(intent, Way.UNDONE, "released", held=True)

    def _call(self, intent: Intent, patience: Patience, call: Callable[[], Given]) -> Given:
        """Makes a call until it is taken, as often and as long as patience lasts, and stays the owner meanwhile (payouts §2.8).

        Only what the ledger says it has not done is repeated here. Raises what the last try raised, IntentLost.
        """
        wait = _FIRST_WAIT_SECONDS
        for left in reversed(range(patience.tries)):
            with self._place.intents() as intents:
                intents.prolong(intent)
            try:
                given = call()
            except Unavailable:
                if not left or (patience.deadline and self._place.clock() + timedelta(seconds=wait) >= patience.deadline):
                    raise
            else:
                self._states.leaves("ledger", "the ledger answers again")
                return given
            self._place.rest(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        raise AssertionError("the last try returns or raises")

    def _batch(self, intent: Intent) -> Batch:
        """What the intent's plan holds, from the draft of what is to be made, or from the payout that is there."""
        if intent.content.draft is not None:
            return held_batch(intent.content.draft.payout)
        with self._place.intents() as intents:
            payout = load(intents.cursor, [intent.payout_id])[intent.payout_id].payout
        return reversal_batch(payout) if intent.action is Action.REVERSE else held_batch(payout)

    def _made(self, intent: Intent, payout: Payout) -> Payout:
        with self._place.intents() as intents:
            lock(intents.cursor, [intent.payout_id])
            changes = Changes(now := self._place.clock())
            changes.created(payout, Keeper.REMOTE, intent.plan_id, intent.content.actor)
            intents.close(intent, Way.DONE, now)
            changes.write(intents.cursor)
            reached("payouts.before_commit")
        reached("payouts.after_commit")
        return payout

    def _ended(self, intent: Intent) -> None:
        """The ledger has done it; so the payout is confirmed or cancelled, whoever asked for it."""
        content = intent.content
        status = PayoutStatus.CONFIRMED if intent.action is Action.CONFIRM else PayoutStatus.CANCELLED
        with self._place.intents() as intents:
            lock(intents.cursor, [intent.payout_id])
            changes = Changes(now := self._place.clock())
            intents.close(intent, Way.DONE, now)
            standing = load(intents.cursor, [intent.payout_id])[intent.payout_id]
            reversal = intent.plan_id if intent.action is Action.REVERSE else None
            changes.moved(standing, after(standing.payout, status, content.details), content.actor, reversal)
            changes.write(intents.cursor)
            if content.operator:
                what = "payout confirm" if intent.action is Action.CONFIRM else "payout cancel"
                note(intents.cursor, now, what, content.operator, intent.payout_id)
            reached("payouts.before_commit")
        reached("payouts.after_commit")

    def _close(self, intent: Intent, way: Way, reason: str, *, held: bool) -> None:
        with self._place.intents() as intents:
            intents.close(intent, way, self._place.clock(), reason, held=held)

    def _leave(self, intent: Intent, reason: str) -> None:
        left = {"action": intent.action.value, "number": intent.number, "tries": intent.tries}
        self._states.enters("ledger", reason, "warning", "payout left for the next try", **left, reason=reason)
        with self._place.intents() as intents:
            intents.leave(intent, reason)

    @contextmanager
    def _told(self, intent: Intent) -> Iterator[None]:
        """What the ledger did not do becomes the contract's failure, and the intent is left for whoever comes next."""
        word = _WORD[intent.action]
        try:
            yield
        except CallFailed as error:
            self._leave(intent, str(error))
            raise failed(word, intent.payout_id, str(error)) from error
        except IntentLost as error:
            raise failed(word, intent.payout_id, str(error)) from error
