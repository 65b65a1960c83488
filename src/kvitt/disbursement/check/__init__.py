"""Check: the streaming proof that the store is consistent, by doing all of it again from what came in (design §13)."""

from kvitt.disbursement.check.check import check
from kvitt.disbursement.check.report import (
    Counts,
    Difference,
    Kind,
    Report,
)

__all__ = ["Counts", "Difference", "Kind", "Report", "check"]
