"""Payouts whose plans are in a ledger that is not ours: a stored state machine, with no call inside a transaction (design §1, §9)."""

from datetime import datetime, timedelta
from typing import Final

import structlog

from kvitt.errors import KvittError, PayoutAlreadyExists, PayoutInProgress, PayoutNotFound, PayoutsFailed
from kvitt.hub.payouts.commands import Cancel, Confirm, Create, actor_of
from kvitt.hub.payouts.decide import Todo, decide, to_create
from kvitt.hub.payouts.drive import Drive, Patience, Place
from kvitt.hub.payouts.intents import Action, Content, Intent, Intents
from kvitt.hub.payouts.stored import Keeper, load, lock
from kvitt.kernel.crash import reached
from kvitt.kernel.state_log import StateLog
from kvitt.rules.payouts import Payout

_log = structlog.get_logger(__name__)
_TRIES: Final = 10
_LOOK_SECONDS: Final = 0.05
"""Between two looks at an intent that somebody else is at work on."""
_ACTION: Final = {"commit": Action.CONFIRM, "rollback": Action.CANCEL, "revert": Action.REVERSE}


class Remote:
    """Makes and ends payouts at another's ledger. Safe for use by several threads."""

    def __init__(self, place: Place) -> None:
        self._place, self._drive = place, Drive(place)
        self._states = StateLog(_log)

    def create(self, command: Create, deadline: datetime | None) -> Payout:
        """Stores an intent, holds the plan, stores the payout. What an earlier try under this id has left is undone first.

        Raises PayoutAlreadyExists, PayoutInProgress while an earlier call may still make one under this id or not, InsufficientFunds,
        InvalidPayout, PayoutsFailed.
        """
        patience = Patience(_TRIES, deadline)
        while True:
            intent, mine = self._begin_create(command)
            reached("payouts.intent_stored")
            if mine:
                return self._drive.create(intent, command.draft, patience)
            self._drive.run(intent, patience)

    def _begin_create(self, command: Create) -> tuple[Intent, bool]:
        """An intent to make the payout (True), or one to undo first what was left of an earlier try."""
        payout_id, draft = command.payout_id, command.draft
        with self._place.intents() as intents:
            lock(intents.cursor, [payout_id])
            found = intents.open_for(payout_id)
            if load(intents.cursor, [payout_id]):
                raise PayoutAlreadyExists(f"there is a payout with the id {payout_id}")
            if found and found.busy:
                raise _in_progress(payout_id)
            if found is None:
                todo = to_create(draft, intents.next_attempt(payout_id, Action.CREATE))
                if not isinstance(todo, Todo):
                    raise _refusal(todo)
                return intents.add(
                    payout_id, Action.CREATE, todo.calls[0].plan_id, Content(draft, actor=command.actor), self._place.clock()
                ), True
            claimed = intents.claim(found.intent)
            if claimed is None:
                raise _in_progress(payout_id)
            return claimed, False

    def end(self, command: Confirm | Cancel, deadline: datetime | None) -> bool:
        """Confirms or cancels a payout, after what is under way for it was finished; False when its plan is in our own ledger.

        Raises PayoutNotFound, PayoutInOtherState, PayoutInProgress, PayoutsFailed.
        """
        patience, now = Patience(_TRIES, deadline), self._place.clock
        give_up_at = deadline or now() + timedelta(seconds=self._place.busy_seconds)
        while True:
            begun = self._begin_end(command)
            reached("payouts.intent_stored")
            if isinstance(begun, bool):
                return begun
            intent, mine = begun
            if intent is None:
                if now() >= give_up_at:
                    raise _in_progress(command.payout_id)
                self._place.rest(_LOOK_SECONDS)
                continue
            try:
                self._drive.run(intent, patience)
            except PayoutsFailed:
                # What somebody else had begun may have come to nothing: then this call can be tried all the same.
                if mine or self._is_open(intent):
                    raise
            if mine:
                return True

    def _begin_end(self, command: Confirm | Cancel) -> tuple[Intent | None, bool] | bool:
        """An intent that is ours to carry out, and whether it is this call's; None while somebody is at work; or that nothing is left
        to do here: True when it is done, False when the plan is in our own ledger.
        """
        payout_id = command.payout_id
        with self._place.intents() as intents:
            lock(intents.cursor, [payout_id])
            standing = load(intents.cursor, [payout_id]).get(payout_id)
            if standing is None:
                raise PayoutNotFound(f"Payout not found, payoutId='{payout_id}'")
            if standing.keeper is Keeper.OWN:
                return False
            if found := intents.open_for(payout_id):
                return (None if found.busy else intents.claim(found.intent)), False
            decided = decide(command, standing, intents.next_attempt(payout_id, Action.REVERSE))
            if isinstance(decided, Payout):
                return True
            if not isinstance(decided, Todo):
                raise _refusal(decided)
            return self._store(intents, command, decided), True

    def _store(self, intents: Intents, command: Confirm | Cancel, todo: Todo) -> Intent:
        details = command.details if isinstance(command, Cancel) else None
        content = Content(details=details, operator=command.operator, actor=actor_of(command))
        return intents.add(command.payout_id, _ACTION[todo.act], todo.calls[0].plan_id, content, self._place.clock())

    def _is_open(self, intent: Intent) -> bool:
        with self._place.intents() as intents:
            found = intents.open_for(intent.payout_id)
        return found is not None and found.intent.number == intent.number

    def sweep(self) -> int:
        """Takes over one intent that waits for its next try, and carries it on; gives how many there were: one or none."""
        with self._place.intents() as intents:
            claimed = intents.claim_due()
        if claimed is None:
            return 0
        try:
            self._drive.run(claimed, Patience())
        except PayoutsFailed as error:
            left = {"action": claimed.action.value, "number": claimed.number}
            self._states.enters("sweep", str(error.__cause__), "info", "payout not ended yet", **left, reason=str(error.__cause__))
        return 1


def _in_progress(payout_id: str) -> PayoutInProgress:
    return PayoutInProgress(f"the payout {payout_id} is being made or ended; ask again in a moment")


def _refusal(decided: Payout | KvittError) -> KvittError:
    assert isinstance(decided, KvittError), "what is neither to do nor done is refused"
    return decided
