"""Lines that their sender made, and what of them pays again what the case already pays (design §7, §8; rapid §2.1)."""

from collections.abc import Iterable, Sequence
from typing import Final

from kvitt.disbursement.catalogue import SCHEMES
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.holding import HoldReason, OwnPay, Paid, Twice, paid_twice, paid_twice_reasons
from kvitt.disbursement.values import (
    LineAtRail,
    LineChange,
    Order,
    OrderLine,
    RateType,
)

HOLIDAY_PAY_CODES: Final = frozenset({"SPATFER", "SPREFAGFER-IOP"})
"""Class codes that are paid once, come in bulk, and may not block ordinary payments on their way to the rail (rapid §3.2)."""


def reasons_to_hold_lines(orders: Sequence[Order], state: CaseState) -> tuple[tuple[HoldReason, ...], ...]:
    """Why each of the orders of a message, with their sender's lines, is not sent before two people have looked at it."""
    return tuple(paid_twice_reasons(repeated_days(order, state.lines)) for order in orders)


def repeated_days(order: Order, lines: Sequence[LineAtRail]) -> tuple[Twice, ...]:
    """The days on which an order has one chain of the case pay what another pays, and which were not so before it; `lines` oldest first.

    A line that refers to another overwrites its chain, so it pays nothing twice by that. A line that the rail may have is refused there
    when it comes again under its id.
    """
    before, after = _chains(order, lines)
    return paid_twice(after.pay(), lambda: before.chains, after.changed, SCHEMES[order.scheme].paid_twice)


def pay_of_forwarded(order: Order, lines: Sequence[LineAtRail]) -> OwnPay:
    """The pay that an order of lines changes; `lines` are those of the case, oldest first."""
    before, after = _chains(order, lines)
    touched = tuple(paid for paid in after.pay() if paid.source in after.changed)
    return OwnPay(touched, lambda: before.chains, after.changed)


def _chains(order: Order, lines: Sequence[LineAtRail]) -> "tuple[_Chains, _Chains]":
    """The chains of a case before an order and after it."""
    own = asked_for(order)
    made = {line.line_id for line in own if line.ceased_from is None}
    before = _Chains()
    before.add(line for line in lines if line.certain or line.line_id not in made)
    after = before.copy()
    after.add(own)
    return before, after


def pay_of_lines(asked: Sequence[LineAtRail], lines: Sequence[LineAtRail]) -> tuple[tuple[Paid, ...], tuple[Paid, ...]]:
    """Returns what the lines of a case pay before those that are asked for and after; oldest first, those that are not certain left out."""
    before = _Chains()
    before.add(line for line in lines if line.certain)
    after = before.copy()
    after.add(asked)
    return before.pay(), after.pay()


def asked_for(order: Order) -> list[LineAtRail]:
    """The lines of an order that ask for something."""
    return [_line(line) for line in order.lines if line.forwarded is None or line.forwarded.change is not LineChange.NONE]


def _line(line: OrderLine) -> LineAtRail:
    return LineAtRail(line.line_id, line.refers_to, line.class_code, line.start, line.end, line.amount, line.ceased_from)


class _Chains:
    """The pay of each chain, by its name and the rail's rule: a line overwrites its chain from its first day on, a cessation cuts it."""

    def __init__(self) -> None:
        self.chains: dict[str, list[Paid]] = {}
        self.changed: set[str] = set()
        self._chain_of: dict[str, str] = {}

    def copy(self) -> "_Chains":
        """The same chains, of which nothing has changed yet."""
        copied = _Chains()
        copied.chains = {name: list(chain) for name, chain in self.chains.items()}
        copied._chain_of = dict(self._chain_of)
        return copied

    def pay(self) -> tuple[Paid, ...]:
        """Returns what all chains pay."""
        return tuple([paid for chain in self.chains.values() for paid in chain])

    def add(self, lines: Iterable[LineAtRail]) -> None:
        """Takes lines in, in the order in which the rail gets them; a line that is there already changes nothing."""
        for line in lines:
            repeated = line.line_id in self._chain_of
            if repeated and line.ceased_from is None:
                continue
            before = line.line_id if repeated or line.refers_to is None else line.refers_to
            name = self._chain_of.get(before, f"the chain of line {before}")
            self.changed.add(name)
            chain = self.chains.setdefault(name, [])
            if line.ceased_from is not None:
                _cut(chain, line.ceased_from.toordinal())
                continue
            self._chain_of[line.line_id] = name
            start = line.start.toordinal()
            _cut(chain, start)
            if line.amount:
                rate = RateType.ONE_OFF if line.class_code in HOLIDAY_PAY_CODES else RateType.WEEKDAY
                chain.append(Paid(name, line.class_code, start, line.end.toordinal(), line.amount, rate))


def _cut(chain: list[Paid], day: int) -> None:
    """Ends a chain before a day."""
    while chain and chain[-1].start >= day:
        chain.pop()
    if chain and chain[-1].end >= day:
        last = chain.pop()
        chain.append(Paid(last.source, last.class_code, last.start, day - 1, last.amount, last.rate))
