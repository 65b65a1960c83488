"""The handling of a message, repeated by the very desk that did it, until it gives the entry that was written then."""

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from kvitt.errors import KvittError
from kvitt.hub.case import Case
from kvitt.hub.check.course import Course
from kvitt.hub.contract import Contracts
from kvitt.hub.rapid.desk import TECHNICAL
from kvitt.hub.rapid.standing import identity_of
from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.kernel.audit import AuditRow
from kvitt.rules.answers import Status
from kvitt.rules.claims import Claims
from kvitt.rules.needs import Need
from kvitt.rules.refusals import BASE, unchangeable
from kvitt.rules.states import MessageState
from kvitt.rules.values import PaymentId, Refusal
from kvitt.wire import status
from kvitt.wire.rapid import solutions
from kvitt.wire.rapid.solutions import SolutionStatus

Elsewhere = Callable[[int, Sequence[PaymentId]], frozenset[PaymentId]]
"""Which of these payment ids another case than the numbered one has, or ever had."""
_FAILURE = "Feil ved prosessering av melding fra "


def repeated(case: Case, course: Course, entry: AuditRow, elsewhere: Elsewhere, contracts: Contracts) -> UnitOfWork | None:
    """What handling the message gives, the case moved on by it; None, the case as before, when nothing gives this entry."""
    before = (case.orders_made, case.open_orders, case.audit_seq, case.audit_hash)
    for attempt in _attempts(case, course, entry, elsewhere, contracts):
        if attempt is not None and agrees(attempt.audit[-1], entry):
            return attempt
        case.orders_made, case.open_orders, case.audit_seq, case.audit_hash = before
    return None


def agrees(made: AuditRow, entry: AuditRow) -> bool:
    """Whether an entry tells what the replay gives; its hash is the chain's affair."""
    told = (entry.what, entry.message_no, entry.order_id, entry.receipt_no, entry.digest)
    return told == (made.what, made.message_no, made.order_id, made.receipt_no, made.digest)


def is_failure(course: Course, contracts: Contracts) -> Refusal | None:
    """The stored answer, if it says that kvitt itself failed on the message: such an answer can not be derived again."""
    if course.stored.answer is None:
        return None
    if contracts.of(course.taken.source).forwards:
        told = solutions.decode(course.stored.answer)
        failed = told.status is SolutionStatus.FAILED and told.text.startswith(TECHNICAL + _FAILURE)
        return Refusal(500, told.text.removeprefix(TECHNICAL), BASE) if failed else None
    answer = status.decode(course.stored.answer)
    failed = answer.status is Status.FAILED and answer.error is not None and answer.error.text.startswith(_FAILURE)
    return answer.error if failed else None


def _attempts(case: Case, course: Course, entry: AuditRow, elsewhere: Elsewhere, contracts: Contracts) -> Iterator[UnitOfWork | None]:
    """First as the case alone gives it; then, if the stored answer says so, with payments of another case, or as a failure."""
    case.elsewhere = frozenset()
    yield _handled(case, course, entry, contracts)
    if contracts.of(course.taken.source).forwards:
        yield from _repeats(case, course, entry, contracts)
    elif course.stored.answer is not None and status.decode(course.stored.answer).error == unchangeable("sakId"):
        claims = course.reading.claims
        assert isinstance(claims, Claims), "only what can be read is compared with other cases"
        case.elsewhere = elsewhere(case.case_no, [claim.payment_id for claim in claims.payments])
        yield _handled(case, course, entry, contracts)
    if failure := is_failure(course, contracts):
        facts = UnitOfWork()
        contracts.of(course.taken.source).desk(facts, entry.at).refuse(case, course.taken, None, replace(failure))
        yield facts


def _repeats(case: Case, course: Course, entry: AuditRow, contracts: Contracts) -> Iterator[UnitOfWork | None]:
    """A repeat hears what was told last; that an order was sent is no entry of the chain, and yet may be what it heard."""
    need = course.reading.claims
    standing = case.standings.get(identity_of(need)) if isinstance(need, Need) else None
    if standing and course.stored.answer:
        before = standing.told
        standing.told = course.stored.answer
        if solutions.decode(standing.told).status is SolutionStatus.TRANSFERRED:
            yield _handled(case, course, entry, contracts)
        standing.told = before


def _handled(case: Case, course: Course, entry: AuditRow, contracts: Contracts) -> UnitOfWork | None:
    """What the desk does; None when it fails, as it then has failed before."""
    facts = UnitOfWork()
    contract = contracts.of(course.taken.source)
    desk = contract.desk(facts, entry.at)
    try:
        if course.state is MessageState.RECEIVED and contract.forwards:
            desk.take(case, course.taken, course.stored)
        else:
            desk.handle(case, course.taken, None)
    except (KvittError, ValueError, OverflowError):
        return None
    return facts
