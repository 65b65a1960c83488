"""All pages of the console, in the order of its navigation. To add one: a module, its template, a line here (docs/console.md)."""

from typing import Final

from kvitt.api.console.pages import (
    approvals,
    audit,
    cases,
    dead_letters,
    health,
    jobs,
    ledger,
    letter_acts,
    looks,
    order_acts,
    orders,
    overview,
    parties,
    payouts,
    reconciliation,
    records,
    search,
    sending,
    simulations,
    topics,
)

PAGES: Final = (
    *overview.PAGES,
    *search.PAGES,
    *approvals.PAGES,
    *orders.PAGES,
    *payouts.PAGES,
    *ledger.PAGES,
    *reconciliation.PAGES,
    *simulations.PAGES,
    *parties.PAGES,
    *topics.PAGES,
    *dead_letters.PAGES,
    *letter_acts.PAGES,
    *sending.PAGES,
    *jobs.PAGES,
    *audit.PAGES,
    *looks.PAGES,
    *health.PAGES,
    *cases.PAGES,
    *order_acts.PAGES,
    *records.PAGES,
)
