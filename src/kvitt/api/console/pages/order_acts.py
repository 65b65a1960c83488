"""Acts on an order: it is released, sent again, settled by hand, taken back; each with what it would do to its case (design §11, §17)."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from kvitt.api.console.acting import ActOnPage, offered, taken
from kvitt.api.console.frame import ConsolePage, Redirect, Values, Visit
from kvitt.api.console.pages.approvals import order_acted_on
from kvitt.api.console.pages.case_change import change_by_order
from kvitt.api.console.pages.orders import version
from kvitt.api.people.claims import ConsoleRole
from kvitt.disbursement.approvable import OrderDecided, OrderNamed
from kvitt.errors import OrderNotFound

_LIVE: Final = "orders receipts approvals"
ACTS: Final[Mapping[str, tuple[str, Callable[[str], OrderNamed]]]] = {
    "release": ("order release", OrderNamed),
    "resend": ("order resend", OrderNamed),
    "withdraw": ("order withdraw", OrderNamed),
    "cancel": ("order cancel", OrderNamed),
    "accept": ("order decide", partial(OrderDecided, accepted=True)),
    "reject": ("order decide", partial(OrderDecided, accepted=False)),
    "adopt": ("order adopt", OrderNamed),
    "keep": ("order keep", OrderNamed),
    "hold-again": ("order hold-again", OrderNamed),
}
"""What each page does, by the end of its address, and how the order is named for that."""


def _with_order(visit: Visit, page: str, answer: Callable[[Visit, ActOnPage], Values | Redirect]) -> Values | Redirect:
    order_id, (act, naming) = str(visit.path["order_id"]), ACTS[page]
    order = order_acted_on(visit, order_id)
    if order is None:
        raise OrderNotFound(order_id)
    visit.look_at_case(f"order {order_id}, to {page} it", order.case_no)
    answered = answer(visit, ActOnPage(act, naming(order_id), f"/orders/{order_id}"))
    if isinstance(answered, Redirect):
        return answered
    change = change_by_order(visit, order.case_no, order.order_id, order.number)
    return {**answered, "order": order_acted_on(visit, order_id), "change": change, "doing": page}


def _pages(act: str) -> Iterator[ConsolePage]:
    path, role = f"/orders/{{order_id:uuid}}/{act}", ConsoleRole.ACT
    yield ConsolePage(
        path, "Order", "order_act.html", lambda visit: _with_order(visit, act, offered), role=role, acts=True, live=_LIVE, version=version
    )
    yield ConsolePage(path, "Order", "order_act.html", lambda visit: _with_order(visit, act, taken), role=role, posted=True, acts=True)


PAGES: Final = tuple(page for act in ACTS for page in _pages(act))
