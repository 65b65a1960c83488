"""What tests of `kvitt check` share: periods of a case, and a look at what was found."""

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Report, check
from kvitt.disbursement.history import history
from kvitt.disbursement.values import Scheme

JUNE = [("2026-06-01", "2026-06-12", 500)]
LONGER = [("2026-06-01", "2026-06-12", 500), ("2026-06-15", "2026-06-26", 700)]
CHANGED = [("2026-06-01", "2026-06-05", 500), ("2026-06-08", "2026-06-12", 650)]
ENTRIES = "SELECT chain, seq, at, what, message_no, order_id::text, receipt_no, digest, note, hash FROM audit WHERE chain = 1 ORDER BY seq"
AREAS = ("TILSYN_BARN_AAP", "LÆREMIDLER_AAP")


def found(report: Report) -> list[str]:
    """The differences as text, so that a red test says what is wrong."""
    return [f"{each.kind.value}: {each.subject} {each.text}" for each in report.differences]


def assert_clean(database: str) -> Report:
    report = check(database, PORTS)
    assert found(report) == []
    assert report.clean
    return report


def order_ids(database: str, case_id: str) -> list[str]:
    return [order.order_id for order in history(database, PORTS, Scheme.AAP, case_id).orders]
