"""Acts about orders and imported cases, with what each would do.

What an act would do to a case is found out by doing it and taking it back, so that nothing else can come of it later.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.operate import Operate
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.refusals import WITHDRAWN
from kvitt.disbursement.resolve import Resolve
from kvitt.disbursement.values import Scheme
from kvitt.errors import OrderNotFound
from kvitt.formats.counts import counted
from kvitt.kernel.approvals import LOOKING, ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_one, fetch_value
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator
from kvitt.kernel.queries import load

_SQL: Final = load("operate", "kvitt.disbursement")
Doing = Callable[[Connection, Any, Operator], str]


class OrderNamed(Struct, frozen=True):
    """The order that an act is about."""

    order_id: str


Hears = Callable[[Connection, OrderNamed], str]


class OrderDecided(OrderNamed, frozen=True):
    """An order with what the rail would have said."""

    accepted: bool


class ImportAsked(Struct, frozen=True):
    """An import from the state topics of the brokers that are set."""

    leave_out: bool = False


class TablesAsked(Struct, frozen=True):
    """An import from the tables of an older system; `source` has no password in it."""

    source: str
    leave_out: bool = False


class StartAsked(Struct, frozen=True):
    """Where an input topic is begun to be read: where a `group` has come to, at its `beginning`, or at its `end`."""

    topic: str
    start: str
    group: str | None = None
    over: bool = False


class PaymentForgotten(Struct, frozen=True):
    """A payment that an import found and did not learn; `*` is the whole case."""

    scheme: Scheme
    case_id: str
    payment_id: str


class _ShownOrder(NamedTuple):
    """An order of a case; `held_for` are the reasons in one line, `rail_says` what a receipt says against its state, `cancellation` how the
    newest request to cancel it stands.
    """

    order_id: str
    area: str
    state: str
    resends: int
    sum_kroner: Kroner
    held_for: str
    lines: int
    rail_says: str | None
    cancellation: str | None


class _ShownPayment(NamedTuple):
    """The newest version of a payment."""

    payment_id: str
    version: int
    state: str


class _ShownCase(NamedTuple):
    """A case as far as an effect shows it."""

    orders: Mapping[str, _ShownOrder]
    payments: Mapping[str, _ShownPayment]


def order_acts(clock: Clock, ports: Ports) -> Sequence[ApprovableAct[Any]]:
    """Returns the acts on one order."""

    def release(connection: Connection, asked: OrderNamed, operator: Operator) -> str:
        left = Operate(connection, clock, ports).release(asked.order_id, operator)
        still = f"is released, and still held: {'; '.join(each.text for each in left)}" if left else "will be sent"
        return f"order {asked.order_id} {still}"

    def resend(connection: Connection, asked: OrderNamed, operator: Operator) -> str:
        Operate(connection, clock, ports).resend(asked.order_id, operator)
        return f"order {asked.order_id} will be sent once more"

    def decide(connection: Connection, asked: OrderDecided, operator: Operator) -> str:
        Operate(connection, clock, ports).decide(asked.order_id, accepted=asked.accepted, operator=operator, logged=operator is not LOOKING)
        return f"order {asked.order_id} is {'accepted' if asked.accepted else 'rejected'} by an operator's word"

    def adopt(connection: Connection, asked: OrderNamed, operator: Operator) -> str:
        effect = Resolve(connection, clock, ports).adopt(asked.order_id, operator)
        return f"order {asked.order_id} is {effect.state.value}, as the rail says"

    def keep(connection: Connection, asked: OrderNamed, operator: Operator) -> str:
        effect = Resolve(connection, clock, ports).keep(asked.order_id, operator)
        return f"order {asked.order_id} stays {effect.state.value}, whatever the rail says"

    acts: Mapping[str, tuple[type[OrderNamed], Doing]] = {
        "order release": (OrderNamed, release),
        "order resend": (OrderNamed, resend),
        "order decide": (OrderDecided, decide),
        "order adopt": (OrderNamed, adopt),
        "order keep": (OrderNamed, keep),
    }
    return [
        _withdraw_act(clock, ports),
        *(
            ApprovableAct(name, arguments, lambda asked: asked.order_id, partial(effect_on_order, run), run)
            for name, (arguments, run) in acts.items()
        ),
    ]


def _withdraw_act(clock: Clock, ports: Ports) -> ApprovableAct[OrderNamed]:
    def run(connection: Connection, asked: OrderNamed, operator: Operator) -> str:
        Operate(connection, clock, ports).withdraw(asked.order_id, operator)
        return f"order {asked.order_id} is withdrawn"

    preview = partial(effect_on_order, run, hears=_hears)
    return ApprovableAct("order withdraw", OrderNamed, lambda asked: asked.order_id, preview, run)


def _hears(connection: Connection, asked: OrderNamed) -> str:
    """Returns what the sender of an order hears that was just taken back."""
    if fetch_value(connection, _SQL.is_answered, (asked.order_id,)):
        return f"its sender would hear that it failed: [{WITHDRAWN.status}] {WITHDRAWN.text}"
    return "other orders of its message are open: its sender would hear when they have ended, and which of them was not carried out"


def pairs_act(clock: Clock, ports: Ports) -> ApprovableAct[OrderNamed]:
    """From now on cases hold each other's orders again that the release of an order let pay the same days."""

    def preview(connection: Connection, asked: OrderNamed) -> ShownEffect:
        operate = Operate(connection, clock, ports)
        with connection.transaction(force_rollback=True):
            pairs = operate.exempt_pairs(asked.order_id)
            operate.hold_again(asked.order_id, LOOKING)
        lines = [
            f"{each.scheme} case {each.case_id} and {each.other_scheme} case {each.other_case_id} would hold each other's orders of "
            f"{each.class_code} again"
            for each in pairs
        ]
        return ShownEffect.of("\n".join(lines), *pairs)

    def run(connection: Connection, asked: OrderNamed, operator: Operator) -> str:
        ended = Operate(connection, clock, ports).hold_again(asked.order_id, operator)
        return f"pairs of cases that hold each other's orders again: {ended}"

    return ApprovableAct("order hold-again", OrderNamed, lambda asked: asked.order_id, preview, run)


def forget_act(clock: Clock, ports: Ports) -> ApprovableAct[PaymentForgotten]:
    """From now on the rail pays nothing of a payment that an import did not learn."""

    def preview(connection: Connection, asked: PaymentForgotten) -> ShownEffect:
        with connection.transaction(force_rollback=True):
            done = run(connection, asked, LOOKING)
        what = "the whole case" if asked.payment_id == "*" else f"payment {asked.payment_id}"
        return ShownEffect.of(f"the rail would count as paying nothing of {what} of {asked.scheme.value} case {asked.case_id}", done)

    def run(connection: Connection, asked: PaymentForgotten, operator: Operator) -> str:
        Operate(connection, clock, ports).forget(asked.scheme, asked.case_id, asked.payment_id, operator)
        return f"{asked.payment_id} of case {asked.case_id} is forgotten"

    return ApprovableAct("import forget", PaymentForgotten, lambda asked: f"payment {asked.payment_id}", preview, run)


class _CaseOfOrder(NamedTuple):
    case_no: int
    scheme: str
    case_id: str
    last_event_hash: bytes


def _nothing(_connection: Connection, _asked: OrderNamed) -> str:
    return ""


def effect_on_order(run: Doing, connection: Connection, asked: OrderNamed, *, hears: Hears = _nothing) -> ShownEffect:
    """Returns what an act does to the case of an order, and what its sender `hears` of it: done, looked at, and taken back."""
    case = fetch_one(connection, _CaseOfOrder, _SQL.case_in_short, (asked.order_id,))
    if case is None:
        raise OrderNotFound(asked.order_id)
    before = _look_at(connection, case.case_no)
    with connection.transaction(force_rollback=True):
        run(connection, asked, LOOKING)
        after, heard = _look_at(connection, case.case_no), hears(connection, asked)
    changes = list(_changes(before, after)) or ["nothing of the case would be another than it is"]
    text = "\n".join(filter(None, [f"{case.scheme} case {case.case_id}", *changes, heard]))
    return ShownEffect.of(text, text, case.last_event_hash.hex(), *before.orders.values(), *before.payments.values())


def _look_at(connection: Connection, case_no: int) -> _ShownCase:
    return _ShownCase(
        {each.order_id: each for each in fetch(connection, _ShownOrder, _SQL.orders_in_short, (case_no,))},
        {each.payment_id: each for each in fetch(connection, _ShownPayment, _SQL.payments_in_short, (case_no,))},
    )


def _changes(before: _ShownCase, after: _ShownCase) -> Iterator[str]:
    for order_id, now in after.orders.items():
        was = before.orders.get(order_id)
        order = f"order {order_id} of {now.area}, {counted(now.lines, 'line')}, check sum {now.sum_kroner} kr,"
        held = f", held for: {now.held_for}" if now.held_for else ""
        if was is None:
            yield f"{order} would be made{held}"
        elif was.state != now.state or was.resends != now.resends:
            again = ", to be sent once more" if was.resends != now.resends else ""
            yield f"{order} is {was.state} and would be {now.state}{again}{held}"
        elif was.held_for != now.held_for:
            yield f"{order} is held for: {was.held_for}; {held[2:] or 'it would be sent'}"
        if was and was.cancellation != now.cancellation == "withdrawn":
            yield f"the request to cancel order {order_id}, which has not left, would be withdrawn with it"
        if was and was.rail_says and not now.rail_says:
            yield f"order {order_id} of {now.area}: that the rail says {was.rail_says} would hold up the case no more"
    for payment_id, then in after.payments.items():
        stood = before.payments.get(payment_id)
        if stood != then:
            yield f"payment {payment_id} {f'is {stood.state} and ' if stood else ''}would be {then.state}"
