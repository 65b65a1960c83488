"""Payouts as doors and commands use them: the four methods, what operators do, and what can be looked at (payouts §2; design §9)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from uuid import uuid4

from kvitt.errors import InsufficientFunds, InvalidPayout, KvittError, PayoutAlreadyExists, PayoutNotFound, ResultUnknown
from kvitt.hub.acts import Acts, AuditedAct, Wanted
from kvitt.hub.payouts.act import Act, Result
from kvitt.hub.payouts.commands import Cancel, Command, Confirm, Create, Paid, Republish
from kvitt.hub.payouts.decide import Decision, Todo, decide, to_create
from kvitt.hub.payouts.draft import Draft, draft
from kvitt.hub.payouts.drive import SagaContext
from kvitt.hub.payouts.ledger import RemoteLedger
from kvitt.hub.payouts.parties import Parties
from kvitt.hub.payouts.preview import Preview, preview_of
from kvitt.hub.payouts.read import Reading
from kvitt.hub.payouts.remote import Remote
from kvitt.hub.payouts.stored import Keeper
from kvitt.hub.payouts.values import NewPayout, Payout, PayoutCursor, PayoutEvent
from kvitt.kernel.actor import Actor
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import LOCK_MS, pool
from kvitt.kernel.executor import ReconnectingWriter
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.identifiers import wrong_id, wrong_text
from kvitt.kernel.operators import Operator
from kvitt.rules.ledger import INT64_MAX
from kvitt.rules.payouts import MAX_PAYOUT_ID, PayoutStatus, is_payout_id

_MAX_BATCH, _MAX_WAITING = 256, 4096
_READERS = 8
_MOST_ACTS = 100


class Payouts:
    """Takes calls from many threads; those that change something share transactions. Close it when done.

    Every method raises psycopg errors when the database is away; a call that was to change something has not done it then. Where that could
    not be found out, ResultUnknown names the payout.
    """

    def __init__(
        self,
        conninfo: str,
        clock: Clock,
        parties: Parties,
        ledger: RemoteLedger | None = None,
        *,
        busy_seconds: float = 90.0,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """`ledger` None: plans are in our own. Who is at work at another's is left alone `busy_seconds`; `sleep` waits between tries."""
        self._clock, self._parties = clock, parties
        self._writer: ReconnectingWriter[Command, Result] = ReconnectingWriter(
            conninfo, "kvitt payouts", lambda connection: Act(connection, clock).execute
        )
        self._writers: GroupCommit[Command, Result] = GroupCommit(
            lambda _: self._writer.execute, max_batch=_MAX_BATCH, max_waiting=_MAX_WAITING, name="payouts"
        )
        self._pool = pool(conninfo, application="kvitt payouts", size=_READERS, lock_timeout_ms=LOCK_MS)
        self.remote: Remote | None = None
        if ledger is not None:
            self.remote = Remote(SagaContext(self._pool, clock, ledger, busy_seconds, sleep or Event().wait))

    def close(self) -> None:
        """Does what waits, then closes the connections."""
        self._writers.close()
        self._writer.close()
        self._pool.close()

    def create(self, new: NewPayout, deadline: datetime | None = None, *, actor: Actor | None = None) -> Payout:
        """Holds and stores a payout; nothing is held or stored of one that is refused, and its id is free. `actor` is who asked.

        Raises InsufficientFunds, InvalidPayout, PayoutAlreadyExists, PayoutNotFound, PayoutsFailed, ResultUnknown.
        """
        command = Create(self.drafted(new, deadline), actor)
        with _named_if_unknown(command.payout_id):
            return self.remote.create(command, deadline) if self.remote else self._done(command)

    def drafted(self, new: NewPayout, deadline: datetime | None = None) -> Draft:
        """What `create` would hold and store, without doing it; whether the shop has that much is not looked at. Raises as `create`."""
        if new.cash.amount <= 0:
            raise InsufficientFunds(f"the amount {new.cash.amount} is not positive")
        if new.cash.amount > INT64_MAX:
            raise InvalidPayout(f"cash.amount must be at most {INT64_MAX}")
        payout_id = str(uuid4()) if new.payout_id is None else new.payout_id
        if wrong := wrong_id(payout_id, MAX_PAYOUT_ID):
            raise InvalidPayout(f"Payout id {wrong}")
        if new.payout_id is not None:
            with self._reading() as reading:
                if reading.exists(payout_id):
                    raise PayoutAlreadyExists(f"there is a payout with the id {payout_id}")
        return draft(new, payout_id, self._parties, self._clock(), deadline)

    def get(self, payout_id: str) -> Payout:
        """A payout as it stands. Raises PayoutNotFound."""
        with self._reading() as reading:
            return reading.standing(payout_id).payout

    def confirm(
        self, payout_id: str, deadline: datetime | None = None, *, operator: Operator | None = None, actor: Actor | None = None
    ) -> None:
        """The money moves; of a payout that is confirmed already, nothing does. `operator` is who does it, where a person does, `actor` who
        asked for it at a door.

        Raises PayoutNotFound, PayoutInOtherState, PayoutsFailed, and NeedsSecondPerson for an operator without one.
        """
        if operator:
            operator.need_second_person()
        self._end(Confirm(_named(payout_id), operator, actor), deadline)

    def cancel(
        self,
        payout_id: str,
        details: str | None,
        deadline: datetime | None = None,
        *,
        operator: Operator | None = None,
        actor: Actor | None = None,
    ) -> None:
        """Nothing is held any more, or what had moved moves back; of a payout that is cancelled already, nothing does.

        Raises as `confirm`, and InvalidPayout without details.
        """
        if operator:
            operator.need_second_person()
        self._end(_cancel(payout_id, details, operator, actor), deadline)

    def preview_create(self, new: NewPayout) -> Preview:
        """What `create` would do. Raises as `create`, except for a shop that has not that much."""
        todo = to_create(self.drafted(new))
        with self._pool.connection() as connection:
            return preview_of(_possible(todo), connection, own=self.remote is None)

    def preview_confirm(self, payout_id: str) -> Preview:
        """What `confirm` would do. Raises as `confirm`."""
        return self._preview(Confirm(_named(payout_id)))

    def preview_cancel(self, payout_id: str, details: str | None) -> Preview:
        """What `cancel` would do. Raises as `cancel`."""
        return self._preview(_cancel(payout_id, details))

    def paid(self, payout_id: str, by: str, reason: str, approved_by: str | None) -> None:
        """An operator notes that the bank has taken the order.

        Raises BadOperator, NeedsSecondPerson, PayoutNotFound, PayoutInOtherState.
        """
        operator = Operator(by, reason, approved_by)
        operator.need_second_person()
        self._done(Paid(_named(payout_id), operator))

    def republish(self, payout_id: str, by: str, reason: str) -> int:
        """An operator has all events of a payout told again, byte for byte; gives how many. Raises BadOperator, PayoutNotFound."""
        self._done(Republish(_named(payout_id), Operator(by, reason)))
        return len(self.events(payout_id))

    def page(
        self,
        after: PayoutCursor | None = None,
        limit: int = 100,
        *,
        party_id: str | None = None,
        shop_id: str | None = None,
        status: PayoutStatus | None = None,
    ) -> list[Payout]:
        """Payouts, newest first, those behind `after`."""
        with self._reading() as reading:
            return reading.page(after, limit, party_id=party_id, shop_id=shop_id, status=status)

    def events(self, payout_id: str) -> list[PayoutEvent]:
        """What was told of a payout, in order, each sequence number once. Raises PayoutNotFound."""
        with self._reading() as reading:
            return reading.events(payout_id)

    def asked_for_by(self, payout_id: str) -> tuple[str, str] | None:
        """The door and the name of who had a payout made; None where that is not known."""
        with self._pool.connection() as connection:
            made = Acts(connection).show(f"payout:{payout_id}:0")
        return (made.door, made.by) if made.door and made.by else None

    def acts(self, payout_id: str) -> list[AuditedAct]:
        """Who asked for each change of a payout, and what operators did to it and why, newest first."""
        with self._pool.connection() as connection:
            return Acts(connection).listed(Wanted(payout_id=payout_id), _MOST_ACTS)

    def _preview(self, command: Confirm | Cancel) -> Preview:
        with self._pool.connection() as connection:
            standing = Reading(connection).standing(command.payout_id)
            return preview_of(_possible(decide(command, standing)), connection, own=standing.keeper is Keeper.OWN)

    def _end(self, command: Confirm | Cancel, deadline: datetime | None) -> None:
        """Where the plan is: at another's ledger, or in our own."""
        with _named_if_unknown(command.payout_id):
            if not (self.remote and self.remote.end(command, deadline)):
                self._done(command)

    def _done(self, command: Command) -> Payout:
        result = self._writers.submit(command).result()
        if isinstance(result, Exception):
            raise result
        return result

    @contextmanager
    def _reading(self) -> Iterator[Reading]:
        with self._pool.connection() as connection:
            yield Reading(connection)


@contextmanager
def _named_if_unknown(payout_id: str) -> Iterator[None]:
    """Where a step towards another's ledger can not be found out, the payout is what to look for."""
    try:
        yield
    except ResultUnknown as unknown:
        raise ResultUnknown("payout", payout_id) from unknown


def _named(payout_id: str) -> str:
    if not is_payout_id(payout_id):
        raise PayoutNotFound(f"Payout not found, payoutId='{payout_id}'")
    return payout_id


def _cancel(payout_id: str, details: str | None, operator: Operator | None = None, actor: Actor | None = None) -> Cancel:
    if details is None:
        raise InvalidPayout("Details are required to cancel a payout")
    if wrong := wrong_text(details, required=True):
        raise InvalidPayout(f"Details {wrong}")
    return Cancel(_named(payout_id), details, operator, actor)


def _possible(decided: Decision) -> Todo | Payout:
    if isinstance(decided, KvittError):
        raise decided
    return decided
