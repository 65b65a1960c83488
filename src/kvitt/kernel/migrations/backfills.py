"""Which migration leaves what to be filled in behind it, in order: by a statement where one can do it, else by a module of its own."""

from collections.abc import Mapping, Sequence
from typing import Final

from kvitt.kernel.backfill import Backfill, by_statement
from kvitt.kernel.migrations import order_columns, own_payments, receipt_codes
from kvitt.kernel.queries import load

_SQL = load("backfills", "kvitt.kernel.migrations")
BACKFILLS: Final[Mapping[str, Sequence[Backfill]]] = {
    "0028_own_payments": own_payments.BACKFILLS,
    "0030_order_columns": order_columns.BACKFILLS,
    "0031_rails": (Backfill("documents of orders", by_statement(_SQL.document_orders)),),
    "0034_receipt_codes": receipt_codes.BACKFILLS,
    "0051_decisions": (Backfill("owners of cases", by_statement(_SQL.own_cases)),),
    "0054_paid_elsewhere": (Backfill("persons of cases", by_statement(_SQL.fill_in_persons)),),
}
