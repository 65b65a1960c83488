"""The handling of a message, repeated by the very code that did it, until it gives the entry that was written then."""

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from kvitt.disbursement.answers import Status
from kvitt.disbursement.case import Case
from kvitt.disbursement.check.course import Course
from kvitt.disbursement.contract import WhenBusy
from kvitt.disbursement.handle import Handler
from kvitt.disbursement.rail import Rails
from kvitt.disbursement.states import MessageState, What
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import PaymentId, Refusal
from kvitt.errors import KvittError
from kvitt.kernel.audit import AuditRow

IdsOfOtherCases = Callable[[int, Sequence[PaymentId]], frozenset[PaymentId]]
"""Which of these payment ids another case than the numbered one has, or ever had."""


class Handling:
    """The handling of the messages of one case."""

    def __init__(self, case: Case, rails: Rails, ids_of_other_cases: IdsOfOtherCases) -> None:
        self._case, self._rails, self._ids_of_other_cases = case, rails, ids_of_other_cases

    def handler(self, course: Course, work: UnitOfWork, entry: AuditRow) -> Handler:
        """Who handled the message."""
        return Handler(course.contract, self._rails, work, entry.at)

    def in_turn(self, course: Course, entry: AuditRow) -> bool:
        """Whether the message had to wait for its turn. Repeats and some refusals are answered at once, whatever the case is busy with."""
        if course.state is MessageState.QUEUED or entry.what == What.ORDERED:
            return True
        if isinstance(course.message.content, Refusal) or self.handler(course, UnitOfWork(), entry).stored_answer(
            self._case, course.message
        ):
            return False
        return course.contract.when_busy(course.message) is WhenBusy.QUEUE

    def repeated(self, course: Course, entry: AuditRow) -> UnitOfWork | None:
        """What handling the message gives, the case moved on by it; None, the case as before, when nothing gives this entry."""
        case = self._case
        before = (case.orders_made, case.open_orders, case.queued, case.audit_seq, case.last_event_hash)
        known = dict(case.idempotency)
        for attempt in self._attempts(course, entry):
            if attempt is not None and agrees(attempt.audit[-1], entry):
                return attempt
            case.orders_made, case.open_orders, case.queued, case.audit_seq, case.last_event_hash = before
            case.idempotency = dict(known)
        return None

    def _attempts(self, course: Course, entry: AuditRow) -> Iterator[UnitOfWork | None]:
        """First as the case alone gives it; then, if the stored answer says so, with payments of another case, or as a failure."""
        self._case.ids_of_other_cases = frozenset()
        yield self._handled(course, entry)
        yield from self._repeats(course, entry)
        if course.parsed.chosen_ids and self._said(course, Status.FAILED):
            self._case.ids_of_other_cases = self._ids_of_other_cases(self._case.case_no, course.parsed.chosen_ids)
            yield self._handled(course, entry)
        if failure := course.failure():
            work = UnitOfWork()
            self.handler(course, work, entry).refuse(self._case, course.message, None, replace(failure))
            yield work

    def _said(self, course: Course, status: Status) -> bool:
        answer = course.stored.answer
        return answer is not None and course.contract.in_short(answer).status is status

    def _repeats(self, course: Course, entry: AuditRow) -> Iterator[UnitOfWork | None]:
        """A repeat hears what was published last; that an order was sent is no entry of the chain, and yet may be what it heard."""
        identity = course.message.identity
        stored = self._case.idempotency.get(identity.key) if identity else None
        if stored and self._said(course, Status.WITH_RAIL):
            before, stored.answer = stored.answer, course.stored.answer
            yield self._handled(course, entry)
            stored.answer = before

    def _handled(self, course: Course, entry: AuditRow) -> UnitOfWork | None:
        """What handling gives; None when it fails, as it then has failed before."""
        work = UnitOfWork()
        handler = self.handler(course, work, entry)
        came_in = course.state is MessageState.RECEIVED
        try:
            if came_in and not self.in_turn(course, entry):
                handler.receive(self._case, course.message, course.stored)
            else:
                handler.handle(self._case, course.message, course.stored if came_in else None)
        except (KvittError, ValueError, OverflowError):
            return None
        return work


def agrees(made: AuditRow, entry: AuditRow) -> bool:
    """Whether an entry tells what the replay gives; its hash is the chain's affair."""
    told = (entry.what, entry.message_no, entry.order_id, entry.receipt_no, entry.digest)
    return told == (made.what, made.message_no, made.order_id, made.receipt_no, made.digest)
