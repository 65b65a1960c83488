"""A case that was taken over from another hub: its first state, made again from the stored documents (helved §1.2, §2.7).

No message of ours names these payments, so their documents are believed as far as the digest of the case's first entry covers them;
whatever else stands on the rows follows from the documents.
"""

from msgspec import Struct

from kvitt.disbursement import payment_document
from kvitt.disbursement.check.stored import StoredCase
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.imported import (
    ImportedCase,
    first_entry,
    known_areas,
    unknown_in,
    versions,
)
from kvitt.disbursement.rows import PaymentRow
from kvitt.disbursement.values import (
    Area,
    CaseId,
    PaymentId,
    Scheme,
)
from kvitt.kernel.audit import AuditRow


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
