"""A case that was taken over from another hub: its first state, made again from the stored documents (helved §1.2, §2.7).

No message of ours names these payments, so their documents are believed as far as the digest of the case's first entry covers them;
whatever else stands on the rows follows from the documents.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from kvitt.disbursement import payment_document
from kvitt.disbursement.case import ALL
from kvitt.disbursement.check.handling import agrees
from kvitt.disbursement.check.report import Kind
from kvitt.disbursement.check.stored import StoredCase
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.imported import (
    ImportedCase,
    first_entry,
    known_areas,
    left_out_entry,
    unknown_in,
    versions,
)
from kvitt.disbursement.rows import PaymentRow
from kvitt.disbursement.states import What
from kvitt.disbursement.values import (
    Area,
    CaseId,
    PaymentId,
    Scheme,
)
from kvitt.kernel.audit import AuditRow, digest

if TYPE_CHECKING:
    from kvitt.disbursement.check.replay import Replay


class TakenOver(Struct, frozen=True):
    """The outcome of an import: the case's person and areas, what it did not learn, its rows in case-list order, and its unlinked entry."""

    person: str | None
    areas: tuple[Area, ...]
    unknown: tuple[PaymentId, ...]
    versions: tuple[PaymentRow, ...]
    entry: AuditRow


def taken_over(stored: StoredCase, entry: AuditRow, contracts: Contracts) -> TakenOver:
    """The import of a case, repeated from the stored versions 0 in the order in which they are listed, and from what its entry says was
    unknown, which its digest covers. Raises msgspec.MsgspecError, LookupError or ValueError for documents that are none.
    """
    case_no, scheme, case_id = stored.case_no, Scheme(stored.head.scheme), CaseId(stored.head.case_id)
    found = sorted(
        (each.made for each in stored.payments if each.made.version == 0), key=lambda row: (row.position_in_case, row.payment_id)
    )
    payments = tuple(payment_document.decode(row.document) for row in found)
    person = payments[0].person if payments else None
    unknown = unknown_in(entry)
    case = ImportedCase(scheme, case_id, person, known_areas(scheme, payments), payments, unknown)
    again = first_entry(case_no, entry.at, case, contracts.import_form(scheme))
    return TakenOver(case.person, case.areas, unknown, tuple(versions(case, case_no)), again)


def _left_out(replay: "Replay", entry: AuditRow) -> None:
    """The case that an import found and could not take over."""
    if entry is not replay.stored.audit[0]:
        replay.differs(Kind.ENTRY, entry.seq, "leaves out a case that was there already")
    elif not agrees(left_out_entry(replay.stored.case_no, entry.at), entry):
        replay.differs(Kind.ENTRY, entry.seq, "is not what leaving out a case gives")
    replay.case.unknown = [ALL]
    replay.case.contract = replay.contracts.first_owner(replay.case.scheme)


def _forgotten(replay: "Replay", entry: AuditRow) -> None:
    """An operator's word that the rail pays nothing of what was not taken over."""
    what = entry.note or ""
    if what not in replay.case.unknown or entry.digest != digest(what.encode()):
        replay.differs(Kind.ENTRY, entry.seq, "forgets what was not unknown")
    replay.case.learnt([what])


TAKING_OVER: Final[Mapping[str, Callable[["Replay", AuditRow], None]]] = {What.LEFT_OUT: _left_out, What.FORGOTTEN: _forgotten}
"""What each of these entries does to a replay."""
