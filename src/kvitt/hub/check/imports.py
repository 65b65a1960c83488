"""A case that was taken over from another hub: its first state, made again from the stored documents (helved_stream §1.2, §2.7).

No message of ours tells of these payments, so their documents are believed as far as the digest of the case's first entry covers them;
whatever else stands on the rows follows from the documents.
"""

from datetime import datetime

from msgspec import Struct

from kvitt.hub.check.stored import StoredCase
from kvitt.hub.imported import ImportedCase, first_entry, known_areas, versions
from kvitt.rules.values import Area, CaseId, Scheme
from kvitt.store.rows import AuditRow, PaymentRow
from kvitt.wire import payment


class TakenOver(Struct, frozen=True):
    """What an import gives: the case's person and areas, its rows in case-list order, and its entry, whose hash is the chain's affair."""

    person: str | None
    areas: tuple[Area, ...]
    versions: tuple[PaymentRow, ...]
    entry: AuditRow


def taken_over(stored: StoredCase, at: datetime) -> TakenOver:
    """The import of a case at `at`, repeated from the stored versions 0 in the order in which they are listed. Raises Undecodable."""
    case_no, scheme, case_id = stored.case_no, Scheme(stored.head[1]), CaseId(stored.head[2])
    found = sorted((each.made for each in stored.payments if each.made.version == 0), key=lambda row: (row.listed, row.payment_id))
    payments = tuple(payment.decode(row.document) for row in found)
    person = payments[0].person if payments else None
    case = ImportedCase(scheme, case_id, person, known_areas(scheme, payments), payments)
    made = tuple(versions(case, case_no))
    return TakenOver(case.person, case.areas, made, first_entry(case_no, at, made))
