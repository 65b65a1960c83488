"""All pages of the console, in the order of its navigation. To add one: a module, its template, a line here (docs/console.md)."""

from typing import Final

from kvitt.api.console.pages import (
    approvals,
    audit,
    cases,
    dead_letters,
    health,
    jobs,
    letter_acts,
    looks,
    order_acts,
    orders,
    overview,
    records,
    search,
    sending,
)

PAGES: Final = (
    *overview.PAGES,
    *search.PAGES,
    *approvals.PAGES,
    *orders.PAGES,
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
