"""Filters of lists: a form is sent, and leads to an address, unless it would have a person in it.

Addresses are kept by browsers and by proxies, so what is typed never goes there before it is looked at.
"""

from typing import Final
from urllib.parse import urlencode

from kvitt.api.console.frame import ConsolePage, Redirect, Visit
from kvitt.api.console.keyset import refuse_persons
from kvitt.errors import BadRequest

_TO: Final = "to"
_OURS: Final = frozenset({"csrf", _TO})
_LISTS: Final = frozenset(
    {
        *("/orders", "/orders/resend-many", "/payouts", "/receipts", "/requests", "/simulations"),
        *("/reconciliation", "/reconciliation/report", "/reconciliation/dry-run"),
    }
)


def filtered(visit: Visit) -> Redirect:
    """Leads to the list with what was asked of it. Raises BadRequest where that looks like a person."""
    to = visit.form.get(_TO, "")
    if to not in _LISTS:
        raise BadRequest((_TO, "is no list that is filtered"))
    query = {name: text for name, text in visit.form.items() if name not in _OURS}
    refuse_persons(query)
    return Redirect(f"{to}?{urlencode(query)}" if query else to)


PAGES: Final = (ConsolePage("/filter", "Filter", "error.html", filtered, posted=True),)
