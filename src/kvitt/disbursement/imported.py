"""A case of an older system as it is taken over: its rows and the first entry of its audit chain; of the state topics, whether it can be.

A fault leaves the whole case out, since half a case would be paid wrongly; a note takes it over and says what was odd about it.
"""

import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement import payment_document
from kvitt.disbursement.catalogue import AREAS, BENEFITS, SCHEMES
from kvitt.disbursement.decisions import DecisionKey, DecisionState, Frame
from kvitt.disbursement.derive.micro_chained import order_id
from kvitt.disbursement.instructions import broken_case_id
from kvitt.disbursement.rows import PaymentRow
from kvitt.disbursement.states import What
from kvitt.disbursement.values import (
    Action,
    Area,
    CaseId,
    Payment,
    PaymentId,
    Scheme,
)
from kvitt.kernel.audit import AuditRow, digest
from kvitt.kernel.identifiers import flaw_of
from kvitt.kernel.money import Kroner

_UNKNOWN = "unknown: "
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OLD_LINE_CHARACTERS = 30
_NAME_CHARACTERS = 8
"""The longest name of a caseworker that the rail simulates; the other hub's own default names are longer (helved §4.8)."""


class Discrepancy(StrEnum):
    """Discrepancies of the state topics; the value says it."""

    UNREADABLE = "a record can not be read"
    OTHER_KEY = "a payment stands under a key that is not its id"
    TWO_PARTITIONS = "a key stands in two partitions, and nothing says which record is newer"
    CASE_ID = "a case id is empty, too long or has blanks at its ends"
    PERSONS = "the payments of a case name several persons"
    BENEFIT = "a payment's benefit is not in the catalogue"
    NO_PERIODS = "a living payment has no periods: its last line is known, and what it pays is not"
    OVERLAP = "the periods of a payment overlap or end before they start"
    LINE_ID = "the last line id of a payment is empty or too long for the rail"
    UNTRUSTED = "a payment of a case can not be read or trusted"
    NO_AREA = "a case list is there, and no payment says in which areas the rail knows the case"
    NO_LIST = "a case has payments and no case list"
    NOT_LISTED = "a living payment is not on its case list"
    LISTED_UNKNOWN = "a case list names a payment that is not there: what would cease it is refused until it is forgotten by two people"
    LISTED_CEASED = "a case list names a payment that has ceased"
    NO_CLASS = "a living payment's benefit has no class code, so no order can be made that changes or ceases it"
    NAMES = "a payment's caseworker or approver has a name that the rail does not take; the scheme's own stands in"

    @property
    def is_fault(self) -> bool:
        """Whether it keeps a case from being taken over."""
        return self not in _NOTES


_NOTES = frozenset(
    {
        Discrepancy.NO_PERIODS,
        Discrepancy.NO_LIST,
        Discrepancy.NOT_LISTED,
        Discrepancy.LISTED_UNKNOWN,
        Discrepancy.LISTED_CEASED,
        Discrepancy.NO_CLASS,
        Discrepancy.NAMES,
    },
)


class Finding(Struct, frozen=True):
    """Something odd, and about what: a case, or a record by its place."""

    discrepancy: Discrepancy
    subject: str


class ImportedDecision(Struct, frozen=True):
    """A decision of a case that is taken over, and what became of it; `digest` and `answer` are what a repeat of it meets."""

    key: DecisionKey
    state: DecisionState
    digest: bytes
    answer: bytes


class ImportedCase(Struct, frozen=True):
    """A case as it is taken over: whose it is, the areas that the rail knows it in, its payments in case-list order, ceased ones last.

    `unknown` are the payments that are listed, and of which nothing else is there. `contract` is whose the case is, None: that of the
    scheme's streams. `decisions` are its chain, oldest first; `numbered` numbers of lines are used up. `callers_chose`: its payments have
    ids that callers chose, also where those of the scheme are derived. `opened_for` is the person of what was received last.
    """

    scheme: Scheme
    case_id: CaseId
    person: str | None
    areas: tuple[Area, ...]
    payments: tuple[Payment, ...]
    unknown: tuple[PaymentId, ...] = ()
    contract: str | None = None
    decisions: tuple[ImportedDecision, ...] = ()
    frame: Frame | None = None
    numbered: int = 0
    callers_chose: bool = False
    opened_for: str | None = None


class TakenNote(Struct, frozen=True, omit_defaults=True):
    """The note of an entry by which a case of a contract was taken over, or left out: what no payment of it says."""

    contract: str
    payments: int = 0
    decisions: int = 0
    frame_start: date | None = None
    cap_kroner: Kroner | None = None
    numbered: int = 0
    opened_for: str | None = None

    @property
    def frame(self) -> Frame | None:
        """The frame of the case."""
        return None if self.frame_start is None and self.cap_kroner is None else Frame(self.frame_start, self.cap_kroner)

    @property
    def text(self) -> str:
        """The note as it stands in the entry."""
        return msgspec.json.encode(self).decode()


def taken_note(entry: AuditRow) -> TakenNote | None:
    """The note of an entry; None where a case of a scheme's streams was taken over. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(entry.note, type=TakenNote) if entry.note and entry.note.startswith("{") else None


class StoredState(Struct, frozen=True):
    """Holds what the topics hold of one case; `listed` None: it has no case list."""

    scheme: Scheme
    case_id: CaseId
    listed: tuple[PaymentId, ...] | None
    payments: tuple[Payment, ...]


def take_over(state: StoredState, untrusted: AbstractSet[PaymentId]) -> tuple[ImportedCase | None, list[Finding]]:
    """The case as kvitt keeps it, None when something is wrong with it, and everything that is odd about it."""
    odd = [*_wrong(state), *(discrepancy for each in state.payments for discrepancy in _wrong_payment(each)), *_unlike(state, untrusted)]
    subject = f"{state.scheme.value} {state.case_id}"
    findings = [Finding(discrepancy, subject) for discrepancy in dict.fromkeys(odd)]
    if any(finding.discrepancy.is_fault for finding in findings):
        return None, findings
    person = state.payments[0].person if state.payments else None
    payments = tuple(_normal(each) for each in sorted(state.payments, key=_in_list_order(state.listed or ())))
    known = {each.payment_id for each in payments}
    unknown = tuple(each for each in dict.fromkeys(state.listed or ()) if each not in known)
    return ImportedCase(state.scheme, state.case_id, person, known_areas(state.scheme, payments), payments, unknown), findings


def _wrong(state: StoredState) -> list[Discrepancy]:
    wrong = []
    if broken_case_id(state.case_id) or flaw_of(state.case_id):
        wrong.append(Discrepancy.CASE_ID)
    if len({each.person for each in state.payments}) > 1:
        wrong.append(Discrepancy.PERSONS)
    if not known_areas(state.scheme, state.payments):
        wrong.append(Discrepancy.NO_AREA)
    return wrong


def _wrong_payment(payment: Payment) -> list[Discrepancy]:
    wrong = []
    benefit = BENEFITS.get(payment.benefit)
    if benefit is None or benefit.scheme is not AREAS[payment.area].scheme:
        wrong.append(Discrepancy.BENEFIT)
    elif payment.action is not Action.DELETE and not benefit.class_code:
        wrong.append(Discrepancy.NO_CLASS)
    if _UUID.fullmatch(payment.last_line) is None and not 0 < len(payment.last_line) <= _OLD_LINE_CHARACTERS:
        wrong.append(Discrepancy.LINE_ID)
    if not (is_name(payment.caseworker) and is_name(payment.approver)):
        wrong.append(Discrepancy.NAMES)
    if payment.action is not Action.DELETE and not payment.periods:
        wrong.append(Discrepancy.NO_PERIODS)
    ordered = sorted(payment.periods, key=lambda each: each.start)
    if any(each.end < each.start for each in ordered) or any(one.end >= other.start for one, other in pairwise(ordered)):
        wrong.append(Discrepancy.OVERLAP)
    return wrong


def _unlike(state: StoredState, untrusted: AbstractSet[PaymentId]) -> list[Discrepancy]:
    """How the case list and the payments disagree. The payments are the truth of what is paid, the list only of who belongs together."""
    actions = {each.payment_id: each.action for each in state.payments}
    living = {payment_id for payment_id, action in actions.items() if action is not Action.DELETE}
    listed = set(state.listed or ())
    distrusted = [Discrepancy.UNTRUSTED] if (listed | actions.keys()) & untrusted else []
    if state.listed is None:
        return [Discrepancy.NO_LIST, *distrusted]
    odd = {
        Discrepancy.LISTED_UNKNOWN: listed - actions.keys() - untrusted,
        Discrepancy.LISTED_CEASED: listed & (actions.keys() - living),
        Discrepancy.NOT_LISTED: living - listed,
    }
    return [*distrusted, *(discrepancy for discrepancy, payment_ids in odd.items() if payment_ids)]


def known_areas(scheme: Scheme, payments: Sequence[Payment]) -> tuple[Area, ...]:
    """Where the rail knows a case: in the areas of its payments, living or ceased; without any, in the scheme's only one."""
    if found := {each.area for each in payments}:
        return tuple(sorted(found))
    possible = [area for area, terms in AREAS.items() if terms.scheme is scheme]
    return tuple(possible) if len(possible) == 1 else ()


def versions(case: ImportedCase, case_no: int) -> list[PaymentRow]:
    """The payments of the case as rows: version 0, of an order 0 that is not ours, listed as they stand."""
    chosen = case.callers_chose or SCHEMES[case.scheme].sender_chooses_ids
    return [
        PaymentRow(
            case_no,
            each.payment_id,
            0,
            order_id(case.scheme, each.area, case.case_id, 0),
            each.area,
            each.action.value,
            chosen,
            listed,
            each.last_line,
            payment_document.encode(each),
            listed,
            each.currency,
        )
        for listed, each in enumerate(case.payments)
    ]


def first_entry(case_no: int, at: datetime, case: ImportedCase, form: Callable[[Payment], bytes]) -> AuditRow:
    """The first entry in the audit chain of the case, not linked yet; its digest is over the payments in the contract's `form`, as listed.

    It also names, and covers, what is listed and unknown; of a case with a contract of its own its frame, numbers and decisions.
    """
    if case.contract is not None:
        return _entry_of_contract(case_no, at, case, case.contract, form)
    unknown = case.unknown
    content = digest(*map(form, case.payments), *(each.encode() for each in unknown))
    said = _UNKNOWN + ",".join(unknown) if unknown else None
    return AuditRow(case_no, 1, at, What.IMPORTED, None, None, None, content, said, b"")


def _entry_of_contract(case_no: int, at: datetime, case: ImportedCase, contract: str, form: Callable[[Payment], bytes]) -> AuditRow:
    frame, decisions = case.frame or Frame(), case.decisions
    said = TakenNote(contract, len(case.payments), len(decisions), frame.start, frame.cap_kroner, case.numbered, case.opened_for).text
    decided = (part for each in decisions for part in (*map(str.encode, (*each.key, each.state)), each.digest, each.answer))
    return AuditRow(case_no, 1, at, What.IMPORTED, None, None, None, digest(said.encode(), *map(form, case.payments), *decided), said, b"")


def unknown_in(entry: AuditRow) -> tuple[PaymentId, ...]:
    """The payments that the first entry of a case says are listed and unknown."""
    said = (entry.note or "").removeprefix(_UNKNOWN)
    return tuple(map(PaymentId, said.split(","))) if said and not said.startswith("{") else ()


def left_out_entry(case_no: int, at: datetime, contract: str | None = None) -> AuditRow:
    """The first entry of a case that something was wrong with, so that nothing of it was taken over."""
    said = None if contract is None else TakenNote(contract).text
    return AuditRow(case_no, 1, at, What.LEFT_OUT, None, None, None, digest(*([] if said is None else [said.encode()])), said, b"")


def _in_list_order(listed: Sequence[PaymentId]) -> "_CaseListOrder":
    return _CaseListOrder({payment_id: place for place, payment_id in enumerate(dict.fromkeys(listed))})


class _CaseListOrder:
    """Sorts payments: as they are listed, then the living that are not, then the ceased."""

    def __init__(self, places: dict[PaymentId, int]) -> None:
        self._places = places

    def __call__(self, payment: Payment) -> tuple[bool, int]:
        return payment.action is Action.DELETE, self._places.get(payment.payment_id, len(self._places))


def _normal(payment: Payment) -> Payment:
    """With what old data lacks: the last line as it was sent (the last period then, helved §2.7), sorted periods, and short names.

    When a later message leaves the payment out, its cessation is built from nothing but this.
    """
    terms = SCHEMES[AREAS[payment.area].scheme]
    return replace(
        payment,
        last_sent=payment.last_sent or (payment.periods[-1] if payment.periods else None),
        periods=tuple(sorted(payment.periods, key=lambda each: each.start)),
        caseworker=payment.caseworker if is_name(payment.caseworker) else terms.default_caseworker,
        approver=payment.approver if is_name(payment.approver) else terms.default_approver,
    )


def is_name(text: str) -> bool:
    """Whether the rail simulates an order with this name of a caseworker or approver."""
    return bool(text.strip()) and len(text) <= _NAME_CHARACTERS
