"""The handling of a message, repeated by the very code that did it, until it makes the entry that was written then."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from kvitt.disbursement.answers import Status
from kvitt.disbursement.case import Case
from kvitt.disbursement.check.made import MessageReplay
from kvitt.disbursement.contract import WhenOrderIsOpen
from kvitt.disbursement.handle import Handler
from kvitt.disbursement.outside import Outside
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.simulation_check import CheckPolicy
from kvitt.disbursement.states import MessageState, What
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import PaymentId, Refusal, Scheme
from kvitt.errors import KvittError
from kvitt.kernel.audit import AuditRow

IdsOfOtherCases = Callable[[int, Sequence[PaymentId]], frozenset[PaymentId]]
"""Which of these payment ids another case than the numbered one has, or ever had."""


PublishedQuestions = Callable[[int], Sequence[bytes] | None]
"""The questions of a dry run that were published for others to ask; None: kvitt asked them itself."""


class Handling:
    """The handling of the messages of one case."""

    def __init__(
        self,
        case: Case,
        rails: Rails,
        ids_of_other_cases: IdsOfOtherCases,
        published_questions: PublishedQuestions,
        policies: Mapping[tuple[int, datetime], Mapping[Scheme, CheckPolicy]],
        *,
        outside: Outside | None,
    ) -> None:
        """`policies`: by what policy the orders of a message were checked, at each time at which it was derived.

        `outside`: what was found in other cases.
        """
        self._case, self._rails, self._ids_of_other_cases = case, rails, ids_of_other_cases
        self._published_questions, self._policies, self._outside = published_questions, policies, outside

    def handler(self, replayed: MessageReplay, work: UnitOfWork, entry: AuditRow) -> Handler:
        """Who handled the message."""
        published = self._published_questions(replayed.stored.message_no) if entry.what == What.SIMULATED else None
        rails = self._rails.checking(self._policies.get((replayed.stored.message_no, entry.at), {}))
        return Handler(replayed.contract, rails, work, entry.at, published_questions=published, outside=self._outside)

    def in_turn(self, replayed: MessageReplay, entry: AuditRow) -> bool:
        """Whether the message had to wait for its turn. Repeats, dry runs and some refusals are answered at once, whatever is open."""
        if replayed.state is MessageState.QUEUED or entry.what == What.ORDERED:
            return True
        if self._case.contract not in (None, replayed.contract.name):
            return False
        if isinstance(replayed.message.content, Refusal) or self.handler(replayed, UnitOfWork(), entry).stored_answer(
            self._case, replayed.message
        ):
            return False
        return not replayed.message.dry_run and replayed.contract.when_order_is_open(replayed.message) is WhenOrderIsOpen.QUEUE

    def repeated(self, replayed: MessageReplay, entry: AuditRow) -> UnitOfWork | None:
        """The outcome of handling the message, the case moved on by it; None, the case as before, when nothing makes this entry."""
        case = self._case
        before = (case.orders_made, case.open_orders, case.queued, case.audit_seq, case.last_event_hash)
        owned = (case.contract, case.frame, case.numbered, case.ordered_for, case.opened_for)
        known, received = dict(case.idempotency), dict(case.received)
        for attempt in self._attempts(replayed, entry):
            if attempt is not None and agrees(attempt.audit[-1], entry):
                return attempt
            case.orders_made, case.open_orders, case.queued, case.audit_seq, case.last_event_hash = before
            case.contract, case.frame, case.numbered, case.ordered_for, case.opened_for = owned
            case.idempotency, case.received = dict(known), dict(received)
        return None

    def _attempts(self, replayed: MessageReplay, entry: AuditRow) -> Iterator[UnitOfWork | None]:
        """First by the case alone; then, if the stored answer says so, with payments of another case, or as a failure."""
        self._case.ids_of_other_cases = frozenset()
        yield self._handled(replayed, entry)
        yield from self._repeats(replayed, entry)
        if replayed.parsed.chosen_ids and self._said(replayed, Status.FAILED):
            self._case.ids_of_other_cases = self._ids_of_other_cases(self._case.case_no, replayed.parsed.chosen_ids)
            yield self._handled(replayed, entry)
        if failure := replayed.failure():
            work = UnitOfWork()
            self.handler(replayed, work, entry).refuse(self._case, replayed.message, None, replace(failure))
            yield work

    def _said(self, replayed: MessageReplay, status: Status) -> bool:
        answer = replayed.stored.answer
        return answer is not None and replayed.contract.in_short(answer).status is status

    def _repeats(self, replayed: MessageReplay, entry: AuditRow) -> Iterator[UnitOfWork | None]:
        """A repeat hears what was published last; that an order was sent is no entry of the chain, and yet may be what it heard."""
        identity = replayed.message.identity
        stored = self._case.idempotency.get(identity.key) if identity else None
        if stored and self._said(replayed, Status.WITH_RAIL):
            before, stored.answer = stored.answer, replayed.stored.answer
            yield self._handled(replayed, entry)
            stored.answer = before

    def _handled(self, replayed: MessageReplay, entry: AuditRow) -> UnitOfWork | None:
        """The outcome of handling; None when it fails, as it then has failed before."""
        work = UnitOfWork()
        handler = self.handler(replayed, work, entry)
        came_in = replayed.state is MessageState.RECEIVED
        try:
            if came_in and not self.in_turn(replayed, entry):
                handler.receive(self._case, replayed.message, replayed.stored)
            else:
                handler.handle(self._case, replayed.message, replayed.stored if came_in else None)
        except (KvittError, ValueError, OverflowError):
            return None
        return work


def agrees(made: AuditRow, entry: AuditRow) -> bool:
    """Whether an entry says what the replay says; its hash is the chain's affair."""
    published = (entry.what, entry.message_no, entry.order_id, entry.receipt_no, entry.digest, entry.note)
    return published == (made.what, made.message_no, made.order_id, made.receipt_no, made.digest, made.note)
