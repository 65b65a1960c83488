"""Names what is proved of the ledger over all its rows: totals, histories, steps, moments that grow, currencies (design §13)."""

from typing import Final

from kvitt.kernel.queries import load

_SQL = load("ledger_check", "kvitt.ledger")
_LEDGER, _VIEW = "ledger", "view"

ANYTHING: Final = _SQL.anything_in_ledger
STATEMENTS: Final = (
    (_LEDGER, _SQL.bounds_differ),
    (_LEDGER, _SQL.currencies_differ),
    (_LEDGER, _SQL.histories_differ),
    (_LEDGER, _SQL.ends_differ),
    (_LEDGER, _SQL.holds_differ),
    (_LEDGER, _SQL.batches_differ),
    (_LEDGER, _SQL.entries_differ),
    (_LEDGER, _SQL.postings_of_other_currencies),
    (_LEDGER, _SQL.accounts_going_back),
    (_LEDGER, _SQL.accounts_behind),
    (_LEDGER, _SQL.entries_beside_steps),
    (_LEDGER, _SQL.plans_going_back),
    (_LEDGER, _SQL.plans_beside_steps),
    *((_VIEW, statement) for statement in load("views_check", "kvitt.ledger")),
)
"""Kinds of differences, each with a statement that finds it: the number of a case (null), an id, and what is wrong."""
