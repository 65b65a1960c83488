"""Serves payouts to the APIs and the command line: the four methods, what operators do, and what can be read (payouts §2; design §9)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from uuid import uuid4

from msgspec import Struct

from kvitt.disbursement.acts import Acts, AuditedAct, Wanted
from kvitt.errors import InsufficientFunds, InvalidPayout, KvittError, PayoutAlreadyExists, PayoutNotFound, ResultUnknown
from kvitt.kernel.actor import Actor
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import LOCK_MS, Connection, pool
from kvitt.kernel.executor import ReconnectingWriter
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.identifiers import wrong_id, wrong_text
from kvitt.kernel.money import NOTHING, Minor
from kvitt.kernel.operators import Operator
from kvitt.ledger.accounts import states_of
from kvitt.ledger.calls import AccountState
from kvitt.ledger.rules import (
    INT64_MAX,
    Operation,
    Totals,
    after_final,
    after_hold,
    net_by_account,
)
from kvitt.payouts.decide import (
    DecidedPayout,
    PayoutChange,
    decide,
    draft,
    to_create,
)
from kvitt.payouts.local_parties import LocalParties
from kvitt.payouts.model import (
    CancelPayout,
    ConfirmPayout,
    CreatePayout,
    Draft,
    Keeper,
    MarkPaid,
    NewPayout,
    Payout,
    PayoutCommand,
    PayoutCursor,
    PayoutEvent,
    PayoutRecord,
    RepublishEvents,
    RequestPayout,
)
from kvitt.payouts.ports import Parties, RemoteLedger
from kvitt.payouts.remote import RemotePayouts
from kvitt.payouts.repository import PayoutReader
from kvitt.payouts.rules import (
    MAX_PAYOUT_ID,
    PayoutStatus,
    is_payout_id,
    other_currencies,
)
from kvitt.payouts.saga import SagaContext
from kvitt.payouts.writer import PayoutResult, PayoutWriter

_MAX_BATCH, _MAX_WAITING = 256, 8192
_READERS = 8
_MOST_ACTS = 100


class AccountPreview(Struct, frozen=True):
    """The totals of an account in its currency, now and after the act."""

    account_id: int
    currency: str
    before: Totals
    after: Totals


class PayoutPreview(Struct, frozen=True):
    """A payout as it would be. `changes` False: it is so already. `solvent` False: it would be refused for lack of funds.

    `accounts` is None where the plan is in another's ledger, which can not be asked without changing it.
    """

    payout: Payout
    changes: bool
    solvent: bool
    accounts: tuple[AccountPreview, ...] | None


class PayoutService:
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
        self._parties_here = isinstance(parties, LocalParties)
        self._writer: ReconnectingWriter[PayoutCommand, PayoutResult] = ReconnectingWriter(
            conninfo, "kvitt payouts", lambda connection: PayoutWriter(connection, clock).execute
        )
        self._writers: GroupCommit[PayoutCommand, PayoutResult] = GroupCommit(
            lambda _: self._writer.execute, max_batch=_MAX_BATCH, max_waiting=_MAX_WAITING, name="payouts"
        )
        self._reader: ReconnectingWriter[str, PayoutResult] = ReconnectingWriter(conninfo, "kvitt payout looks", _looks_on)
        self._looks: GroupCommit[str, PayoutResult] = GroupCommit(
            lambda _: self._reader.execute_again, max_batch=_MAX_BATCH, max_waiting=_MAX_WAITING, name="payout looks"
        )
        self._pool = pool(conninfo, application="kvitt payouts", size=_READERS, lock_timeout_ms=LOCK_MS)
        self.remote: RemotePayouts | None = None
        if ledger is not None:
            self.remote = RemotePayouts(SagaContext(self._pool, clock, ledger, busy_seconds, sleep or Event().wait))

    def close(self) -> None:
        """Does what waits, then closes the connections."""
        for group in (self._writers, self._looks):
            group.close()
        for executor in (self._writer, self._reader):
            executor.close()
        self._pool.close()

    def create(self, new: NewPayout, deadline: datetime | None = None, *, actor: Actor | None = None) -> Payout:
        """Holds and stores a payout; nothing is held or stored of one that is refused, and its id is free. `actor` is who asked.

        Raises InsufficientFunds, InvalidPayout, PayoutAlreadyExists, PayoutNotFound, PayoutsFailed, ResultUnknown.
        """
        command = requested(new, actor)
        if (future := self.submit(command)) is not None:
            return _payout(future.result())
        with _named_if_unknown(command.payout_id):
            drafted = CreatePayout(self.drafted(new, deadline, command.payout_id), actor)
            return self.remote.create(drafted, deadline) if self.remote else self._done(drafted)

    def submit(self, command: "RequestPayout | ConfirmPayout | CancelPayout") -> "Future[PayoutResult] | None":
        """Hands in a command, without waiting for anything; its result is durable when it comes, as the writer's.

        None where it takes other services than the database, and so a thread that waits for them: `create`, `confirm`, `cancel`.
        """
        if self.remote or (isinstance(command, RequestPayout) and not self._parties_here):
            return None
        return self._writers.submit(command)

    def drafted(self, new: NewPayout, deadline: datetime | None = None, payout_id: str | None = None) -> Draft:
        """Drafts what `create` would hold and store; whether the shop has that much is not looked at. Raises as `create`."""
        payout_id = payout_id or requested(new).payout_id
        if new.payout_id is not None:
            with self._reading() as reading:
                if reading.exists(payout_id):
                    raise PayoutAlreadyExists(f"there is a payout with the id {payout_id}")
        return draft(new, payout_id, self._parties, self._clock(), deadline)

    def get(self, payout_id: str) -> Payout:
        """A payout as it stands. Raises PayoutNotFound."""
        return _payout(self.look(payout_id).result())

    def look(self, payout_id: str) -> "Future[PayoutResult]":
        """Asks for a payout as it stands, without waiting for it; many looks share a query. PayoutNotFound is a result."""
        return self._looks.submit(payout_id)

    def confirm(
        self, payout_id: str, deadline: datetime | None = None, *, operator: Operator | None = None, actor: Actor | None = None
    ) -> Payout:
        """The money moves; of a payout that is confirmed already, nothing does. `operator` is who does it, where a person does, `actor` who
        asked for it by an API.

        Raises PayoutNotFound, PayoutInOtherState, PayoutsFailed, and NeedsSecondPerson for an operator without one.
        """
        if operator:
            operator.need_second_person()
        return self._ended(confirmation(payout_id, operator, actor), deadline)

    def cancel(
        self,
        payout_id: str,
        details: str | None,
        deadline: datetime | None = None,
        *,
        operator: Operator | None = None,
        actor: Actor | None = None,
    ) -> Payout:
        """Nothing is held any more, or what had moved moves back; of a payout that is cancelled already, nothing does.

        Raises as `confirm`, and InvalidPayout without details.
        """
        if operator:
            operator.need_second_person()
        return self._ended(cancellation(payout_id, details, operator, actor), deadline)

    def preview_create(self, new: NewPayout) -> PayoutPreview:
        """Previews `create`. Raises as `create`, except for a shop that has not that much."""
        change = to_create(self.drafted(new))
        with self._pool.connection() as connection:
            return _preview_of(_possible(change), connection, own=self.remote is None)

    def preview_confirm(self, payout_id: str) -> PayoutPreview:
        """Previews `confirm`. Raises as `confirm`."""
        return self._preview(confirmation(payout_id))

    def preview_cancel(self, payout_id: str, details: str | None) -> PayoutPreview:
        """Previews `cancel`. Raises as `cancel`."""
        return self._preview(cancellation(payout_id, details))

    def paid(self, payout_id: str, by: str, reason: str, approved_by: str | None) -> None:
        """An operator notes that the bank has taken the order.

        Raises BadOperator, NeedsSecondPerson, PayoutNotFound, PayoutInOtherState.
        """
        operator = Operator(by, reason, approved_by)
        operator.need_second_person()
        self._done(MarkPaid(_named(payout_id), operator))

    def republish(self, payout_id: str, by: str, reason: str, approved_by: str | None = None) -> int:
        """An operator has all events of a payout published again, byte for byte; returns how many. Raises BadOperator, PayoutNotFound."""
        self._done(RepublishEvents(_named(payout_id), Operator(by, reason, approved_by)))
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
        """The events of a payout, in order, each sequence number once. Raises PayoutNotFound."""
        with self._reading() as reading:
            return reading.events(payout_id)

    def asked_for_by(self, payout_id: str) -> tuple[str, str] | None:
        """The channel and the name of who had a payout made; None where that is not known."""
        with self._pool.connection() as connection:
            made = Acts(connection).show(f"payout:{payout_id}:0")
        return (made.channel, made.by) if made.channel and made.by else None

    def acts(self, payout_id: str) -> list[AuditedAct]:
        """Lists who asked for each change of a payout, and what operators did to it and why, newest first."""
        with self._pool.connection() as connection:
            return Acts(connection).listed(Wanted(payout_id=payout_id), _MOST_ACTS)

    def _preview(self, command: ConfirmPayout | CancelPayout) -> PayoutPreview:
        with self._pool.connection() as connection:
            return previewed(connection, command)[1]

    def _ended(self, command: ConfirmPayout | CancelPayout, deadline: datetime | None) -> Payout:
        """Ends a payout where its plan is, at another's ledger, or in our own; returns it as it stands then."""
        with _named_if_unknown(command.payout_id):
            ended = self.remote.end(command, deadline) if self.remote else None
            return ended or self._done(command)

    def _done(self, command: PayoutCommand) -> Payout:
        return _payout(self._writers.submit(command).result())

    @contextmanager
    def _reading(self) -> Iterator[PayoutReader]:
        with self._pool.connection() as connection:
            yield PayoutReader(connection)


def _looks_on(connection: Connection) -> Callable[[Sequence[str]], Sequence[PayoutResult]]:
    """Returns what looks many payouts up at once on a connection."""
    reader = PayoutReader(connection)

    def execute(batch: Sequence[str]) -> Sequence[PayoutResult]:
        try:
            return [each.payout if isinstance(each, PayoutRecord) else each for each in reader.each(batch)]
        except ValueError as error:
            # A row that only a later version can read hides none of the others.
            return [error] if len(batch) == 1 else [execute([each])[0] for each in batch]

    return execute


def _payout(result: PayoutResult) -> Payout:
    if isinstance(result, Exception):
        raise result
    return result


@contextmanager
def _named_if_unknown(payout_id: str) -> Iterator[None]:
    """Names the payout as what to look for, where a step towards another's ledger can not be found out."""
    try:
        yield
    except ResultUnknown as unknown:
        raise ResultUnknown("payout", payout_id) from unknown


def _named(payout_id: str) -> str:
    if not is_payout_id(payout_id):
        raise PayoutNotFound(f"Payout not found, payoutId='{payout_id}'")
    return payout_id


def requested(new: NewPayout, actor: Actor | None = None) -> RequestPayout:
    """The command to create a payout, with the id that it gets. Raises InsufficientFunds, InvalidPayout."""
    if new.cash.amount <= 0:
        raise InsufficientFunds(f"the amount {new.cash.amount} is not positive")
    if new.cash.amount > INT64_MAX:
        raise InvalidPayout(f"cash.amount must be at most {INT64_MAX}")
    payout_id = str(uuid4()) if new.payout_id is None else new.payout_id
    if wrong := wrong_id(payout_id, MAX_PAYOUT_ID):
        raise InvalidPayout(f"Payout id {wrong}")
    return RequestPayout(new, payout_id, actor)


def confirmation(payout_id: str, operator: Operator | None = None, actor: Actor | None = None) -> ConfirmPayout:
    """The command to confirm a payout. Raises PayoutNotFound."""
    return ConfirmPayout(_named(payout_id), operator, actor)


def cancellation(payout_id: str, details: str | None, operator: Operator | None = None, actor: Actor | None = None) -> CancelPayout:
    """The command to cancel a payout. Raises InvalidPayout, PayoutNotFound."""
    if details is None:
        raise InvalidPayout("Details are required to cancel a payout")
    if wrong := wrong_text(details, required=True):
        raise InvalidPayout(f"Details {wrong}")
    return CancelPayout(_named(payout_id), details, operator, actor)


def previewed(connection: Connection, command: PayoutCommand) -> tuple[PayoutRecord, PayoutPreview]:
    """A payout as it stands, and what a command would make of it. Raises what the command would be refused with, but for lack of funds."""
    record = PayoutReader(connection).record(command.payout_id)
    return record, _preview_of(_possible(decide(command, record)), connection, own=record.keeper is Keeper.OWN)


def _possible(decided: DecidedPayout) -> PayoutChange | Payout:
    if isinstance(decided, KvittError):
        raise decided
    return decided


def _preview_of(decided: PayoutChange | Payout, connection: Connection, *, own: bool) -> PayoutPreview:
    """Works out what has to be done on the totals of this moment; `own`: the plan is, or would be, in our own ledger."""
    if isinstance(decided, Payout):
        return PayoutPreview(decided, changes=False, solvent=True, accounts=() if own else None)
    if not own:
        return PayoutPreview(decided.payout, changes=True, solvent=True, accounts=None)
    net = net_by_account([posting for batch in decided.calls[0].batches for posting in batch.postings]) if decided.calls else {}
    solvent = decided.calls[0].solvent if decided.calls else None
    states = states_of(connection, {*net, *([] if solvent is None else [solvent])})
    if decided.before is None:
        _compare_currencies(decided.payout, states)
    before = {account_id: state.totals for account_id, state in states.items()}
    after = {account_id: _after(decided, before[account_id], net.get(account_id, NOTHING)) for account_id in before}
    accounts = tuple(
        AccountPreview(account_id, states[account_id].account.currency, before[account_id], after[account_id])
        for account_id in net
        if account_id in before
    )
    return PayoutPreview(decided.payout, changes=True, solvent=_is_solvent(solvent, after), accounts=accounts)


def _compare_currencies(payout: Payout, states: Mapping[int, AccountState]) -> None:
    """Raises InvalidPayout as the making of the payout would, where an account is in another currency."""
    currencies = {account_id: state.account.currency for account_id, state in states.items()}
    if wrong := other_currencies(payout.currency, payout.cash_flow, currencies):
        raise InvalidPayout(*wrong)


def _after(change: PayoutChange, totals: Totals, net: Minor) -> Totals:
    for call in change.calls:
        totals = after_hold(totals, NOTHING, net) if call.operation is Operation.HOLD else after_final(totals, call.operation, net)
    return totals


def _is_solvent(account_id: int | None, after: Mapping[int, Totals]) -> bool:
    return account_id is None or (account_id in after and after[account_id].available_min >= 0)
