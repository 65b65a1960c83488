"""A case that was taken over from another hub: its first state, made again from the stored documents (helved §1.2, §2.7).

No message of ours names these payments, so their documents are believed as far as the digest of the case's first entry covers them;
whatever else stands on the rows follows from the documents.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from kvitt.disbursement import payment_document
from kvitt.disbursement.case import ALL
from kvitt.disbursement.check.handling import agrees
from kvitt.disbursement.check.made import Version
from kvitt.disbursement.check.report import Kind
from kvitt.disbursement.check.stored import StoredCase
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.decisions import ReceivedDecision
from kvitt.disbursement.imported import (
    ImportedCase,
    first_entry,
    known_areas,
    left_out_entry,
    taken_note,
    unknown_in,
    versions,
)
from kvitt.disbursement.migrate_case import announced, apply_move, content_of, moved, moved_rows, note_in
from kvitt.disbursement.rows import PaymentRow
from kvitt.disbursement.states import What
from kvitt.disbursement.take_over import fill, may_be_taken_over
from kvitt.disbursement.unit_of_work import UnitOfWork, publish
from kvitt.disbursement.values import (
    CaseId,
    Refusal,
    Scheme,
)
from kvitt.kernel.audit import AuditRow, digest

if TYPE_CHECKING:
    from kvitt.disbursement.check.replay import Replay


class TakenOver(Struct, frozen=True):
    """The outcome of an import: the case, its rows in case-list order, and its unlinked entry."""

    case: ImportedCase
    versions: tuple[PaymentRow, ...]
    entry: AuditRow


def taken_over(stored: StoredCase, entry: AuditRow, contracts: Contracts) -> TakenOver:
    """The import of a case, repeated from the stored versions 0 in the order in which they are listed, from the decisions that came with
    it, and from what its entry says besides, which its digest covers. Raises msgspec.MsgspecError, LookupError or ValueError for documents
    that are none.
    """
    case_no, scheme, case_id = stored.case_no, Scheme(stored.row.scheme), CaseId(stored.row.case_id)
    found = sorted(
        (each.made for each in stored.payments if each.made.version == 0), key=lambda row: (row.position_in_case, row.payment_id)
    )
    payments = tuple(payment_document.decode(row.document) for row in found)
    person = payments[0].person if payments else None
    note = taken_note(entry)
    if note is None:
        case = ImportedCase(scheme, case_id, person, known_areas(scheme, payments), payments, unknown_in(entry))
        form = contracts.import_form(scheme)
    else:
        contract, *_ = contracts.named(note.contract)
        case = ImportedCase(
            scheme,
            case_id,
            person,
            tuple(sorted({each.area for each in payments})),
            payments,
            contract=note.contract,
            decisions=tuple(each.decision for each in stored.imported),
            frame=note.frame,
            numbered=note.numbered,
            callers_chose=contract.callers_choose_ids,
            opened_for=note.opened_for,
        )
        form = payment_document.encode
    return TakenOver(case, tuple(versions(case, case_no)), first_entry(case_no, entry.at, case, form))


def _imported(replay: "Replay", entry: AuditRow) -> None:
    """The case as another hub left it: its first versions are true from the start, by no order of ours."""
    try:
        note = taken_note(entry)
        again = taken_over(replay.stored, entry, replay.contracts)
    except (msgspec.MsgspecError, LookupError, ValueError):
        replay.differs(Kind.ENTRY, entry.seq, "took over payments that can not be read")
        return
    at_once = entry is replay.stored.audit[0] if note is None else may_be_taken_over(replay.case, note.contract)
    if not at_once:
        replay.differs(Kind.ENTRY, entry.seq, "takes over a case that was there already")
        return
    if not agrees(again.entry, entry):
        replay.differs(Kind.ENTRY, entry.seq, "is not what the payments that were taken over give")
    taken = again.case
    fill(replay.case, taken, taken.contract or replay.contracts.first_owner(replay.case.scheme))
    for each in replay.stored.imported:
        said = each.decision
        replay.case.received[said.key] = ReceivedDecision(said.key, each.message_no, said.state, said.digest, said.answer)
    for row in again.versions:
        version = replay.versions[row.payment_id, row.version] = Version(row)
        replay.becomes_true(version)


def _migrated(replay: "Replay", entry: AuditRow) -> None:
    """The case as another contract goes on with it: the same chains under other payment ids."""
    case = replay.case
    try:
        note = note_in(entry)
    except msgspec.MsgspecError:
        replay.differs(Kind.ENTRY, entry.seq, "moves payments that can not be read")
        return
    payments = moved(case, note.moves)
    if isinstance(payments, Refusal) or case.must_queue:
        replay.differs(Kind.ENTRY, entry.seq, "moves what the case does not have, or has in an open order")
        return
    rows = moved_rows(case, note.moves, payments)
    if content_of(entry.note or "", rows) != entry.digest:
        replay.differs(Kind.ENTRY, entry.seq, "is not what moving the case gives")
    for move in note.moves:
        replay.moved_away(move.payment_id)
    apply_move(case, note, rows)
    for row in rows:
        version = replay.versions[row.payment_id, row.version] = Version(row)
        replay.becomes_true(version)
    work, listing = UnitOfWork(), {contract.lists_on for contract in replay.contracts}
    publish(work, announced(replay.contracts, case, note, payments, entry.at), None, entry.at)
    replay.lists.setdefault(0, []).extend(row for row in work.outbox if row.topic in listing)
    replay.published.extend(row for row in work.outbox if row.topic not in listing)


def _left_out(replay: "Replay", entry: AuditRow) -> None:
    """The case that an import found and could not take over."""
    try:
        note = taken_note(entry)
    except msgspec.MsgspecError:
        replay.differs(Kind.ENTRY, entry.seq, "leaves out a case of a contract that can not be read")
        return
    at_once = entry is replay.stored.audit[0] if note is None else may_be_taken_over(replay.case, note.contract)
    if not at_once:
        replay.differs(Kind.ENTRY, entry.seq, "leaves out a case that was there already")
    elif not agrees(left_out_entry(replay.stored.case_no, entry.at, note.contract if note else None), entry):
        replay.differs(Kind.ENTRY, entry.seq, "is not what leaving out a case gives")
    replay.case.unknown = [ALL]
    replay.case.contract = note.contract if note else replay.contracts.first_owner(replay.case.scheme)


def _forgotten(replay: "Replay", entry: AuditRow) -> None:
    """An operator's word that the rail pays nothing of what was not taken over."""
    what = entry.note or ""
    if what not in replay.case.unknown or entry.digest != digest(what.encode()):
        replay.differs(Kind.ENTRY, entry.seq, "forgets what was not unknown")
    replay.case.learnt([what])


TAKING_OVER: Final[Mapping[str, Callable[["Replay", AuditRow], None]]] = {
    What.IMPORTED: _imported,
    What.LEFT_OUT: _left_out,
    What.FORGOTTEN: _forgotten,
    What.MIGRATED: _migrated,
}
"""What each of these entries does to a replay."""
