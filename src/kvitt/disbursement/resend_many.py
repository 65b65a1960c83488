"""The act that sends many orders once more: those that were listed when it was asked for, and of these only what still waits (design §11).

After a queue has given up hundreds of messages nobody looks at each of them; two people look at the list, its sum, and what is left out.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.operate import Operate
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.states import OrderState
from kvitt.errors import NotInThatState
from kvitt.formats.counts import counted
from kvitt.kernel.approvals import ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator
from kvitt.kernel.queries import load

_SQL: Final = load("operate", "kvitt.disbursement")
MOST_AT_ONCE: Final = 500
"""Orders of one such act."""
_WAITING: Final = (OrderState.SENT.value, OrderState.UNKNOWN.value)


class OrdersResent(Struct, frozen=True):
    """The orders that are sent once more, as they were found; whoever asks for it has looked for them once, and nobody looks anew."""

    order_ids: tuple[str, ...]


class _OrderInBatch(NamedTuple):
    order_id: str
    scheme: str
    case_id: str
    area: str
    state: str
    resends: int
    sum_kroner: Kroner
    cancellation: str | None

    @property
    def is_resendable(self) -> bool:
        """It waits for the rail's word, and the rail is not asked to cancel it."""
        return self.state in _WAITING and self.cancellation is None


def resend_many_act(clock: Clock, ports: Ports) -> ApprovableAct[OrdersResent]:
    """Sends them once more, in one transaction."""

    def preview(connection: Connection, asked: OrdersResent) -> ShownEffect:
        found = _found(connection, asked)
        waiting = _waiting(found)
        return ShownEffect.of("\n".join(_lines(asked, found, waiting)), *found)

    def run(connection: Connection, asked: OrdersResent, operator: Operator) -> str:
        operate = Operate(connection, clock, ports)
        sent = sum(_resent(operate, each.order_id, operator) for each in _waiting(_found(connection, asked)))
        return f"{counted(sent, 'order')} will be sent once more, {len(asked.order_ids) - sent} were left out"

    return ApprovableAct("orders resend", OrdersResent, lambda asked: counted(len(asked.order_ids), "order"), preview, run)


def _found(connection: Connection, asked: OrdersResent) -> Sequence[_OrderInBatch]:
    if not 0 < len(asked.order_ids) <= MOST_AT_ONCE:
        raise NotInThatState(f"at most {MOST_AT_ONCE} orders are sent once more at once, and one at least")
    return fetch(connection, _OrderInBatch, _SQL.orders_of_batch, {"order_ids": list(asked.order_ids)})


def _waiting(found: Sequence[_OrderInBatch]) -> Sequence[_OrderInBatch]:
    """Those that wait for the rail's word still, and are not asked to be cancelled. Raises NotInThatState where none does."""
    waiting = [each for each in found if each.is_resendable]
    if not waiting:
        raise NotInThatState("none of these orders waits for the rail's word, without a request to cancel it")
    return waiting


def _lines(asked: OrdersResent, found: Sequence[_OrderInBatch], waiting: Sequence[_OrderInBatch]) -> Sequence[str]:
    orders, kroner = Counter(each.area for each in waiting), Counter[str]()
    for each in waiting:
        kroner[each.area] += each.sum_kroner
    asked_to_cancel = sum(each.state in _WAITING and each.cancellation is not None for each in found)
    left_out = len(asked.order_ids) - len(waiting) - asked_to_cancel
    return [
        f"{counted(len(waiting), 'order')}, check sum {sum(kroner.values())} kr in all, would be sent once more",
        *(f"{area}: {counted(orders[area], 'order')}, check sum {kroner[area]} kr" for area in sorted(orders)),
        *([f"{left_out} that were listed do not wait for the rail's word any more, and are left out"] if left_out else []),
        *([f"{asked_to_cancel} that the rail is asked to cancel are left out"] if asked_to_cancel else []),
        *(f"order {each.order_id} of {each.scheme} case {each.case_id}: {each.state}, check sum {each.sum_kroner} kr" for each in waiting),
    ]


def _resent(operate: Operate, order_id: str, operator: Operator) -> bool:
    """Whether it still could be; the rail may answer while others are sent."""
    try:
        with operate.connection.transaction():
            operate.resend(order_id, operator)
    except NotInThatState:
        return False
    return True
