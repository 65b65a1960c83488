"""A case of decisions in memory: what is accepted of it, and the rail that takes its orders as XML, by the emulator's own rules."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from msgspec.structs import replace

from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.derive.chained import WantedPeriod, derive
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState
from kvitt.disbursement.instructions import Decision
from kvitt.disbursement.values import Order, OrderLine, Payment, PaymentId, Period, RateType, Refusal, Scheme
from kvitt.rails.oppdrag import order_xml
from kvitt.rails.oppdrag.emulator.decide import KnownCases, decide
from kvitt.rails.oppdrag.emulator.order import LineEntry, ReceivedOrder
from kvitt.rails.oppdrag.emulator.reading import read
from kvitt.rails.oppdrag.emulator.schedule import DaySpan, pieces
from support.strategies import DECISION, MADE_AT, june

TODAY = date(2026, 7, 1)
TILTAK = replace(DECISION, scheme=Scheme.TILTAKSPENGER)
OF_SCHEME = {
    Scheme.DAGPENGER: "DAGPENGER_ARBEIDSSØKER_ORDINÆR",
    Scheme.TILTAKSPENGER: "ARBEIDSTRENING",
    Scheme.TILLEGGSSTONADER: "TILSYN_BARN_AAP",
    Scheme.AAP: "AAP_UNDER_ARBEIDSAVKLARING",
}

OTHER = OF_SCHEME | {
    Scheme.DAGPENGER: "DAGPENGER_ARBEIDSSØKER_ORDINÆR_FERIETILLEGG",
    Scheme.TILTAKSPENGER: "ARBEIDSTRENING_BARN",
    Scheme.TILLEGGSSTONADER: "BOUTGIFTER_AAP",
}


def wanting(
    period: Period, benefit: str = "ARBEIDSTRENING", card: str | None = "card-1", rate: RateType = RateType.WEEKDAY
) -> WantedPeriod:
    """A period that a decision wants to be paid."""
    return WantedPeriod(BENEFITS[benefit], card, rate, period)


def read_state(text: str, scheme: Scheme = Scheme.TILTAKSPENGER) -> list[WantedPeriod]:
    """Periods in June 2026: `1-12@640` is paid for the first class code of the scheme, `b:1-12@640` for another one."""
    found = re.findall(r"(b:)?(\d+)-(\d+)@(\d+)", text)
    return [
        wanting(june(int(first), int(last), int(amount)), OTHER[scheme] if other else OF_SCHEME[scheme])
        for other, first, last, amount in found
    ]


@dataclass
class RailOfCase:
    """The rail's books of one case."""

    known: KnownCases = field(default_factory=lambda: KnownCases([], []))
    entries: list[LineEntry] = field(default_factory=list)

    def take(self, xml: bytes) -> str:
        """Returns the severity of the rail's answer."""
        order = read(xml)
        assert isinstance(order, ReceivedOrder), order
        decision = decide(order, self.known, TODAY)
        if decision.answer.severity == "00":
            self.known.add(order, decision)
            self.entries += decision.entries
        return decision.answer.severity

    def pays(self) -> tuple[DaySpan, ...]:
        """What is in force, by chains."""
        return pieces(self.entries)


@dataclass
class DecidedCase:
    """A case with its accepted state, its rail, and the ids of all lines that were ever made for it."""

    decision: Decision = TILTAK
    state: CaseState = NEW_CASE
    rail: RailOfCase = field(default_factory=RailOfCase)
    made: set[str] = field(default_factory=set)

    def decides(self, wanted: Iterable[WantedPeriod], *, accepted: bool = True) -> Order | None:
        """Derives a decision; its order, if there is one, comes to the rail and is accepted there, or is lost on the way."""
        found = derive(self.decision, tuple(wanted), self.state, MADE_AT)
        assert not isinstance(found, Refusal), found
        if not found:
            return None
        (order,) = found
        self._keep_ids(order)
        self.state = replace(self.state, orders_made=order.number, numbered=order.numbered)
        if accepted:
            assert self.rail.take(order_xml.encode(order)) == "00"
            self.accept(order)
        return order

    def accept(self, order: Order) -> None:
        """Makes the payments of an order the accepted state, as it stands in the store."""
        payments: dict[PaymentId, Payment] = {**self.state.payments, **{each.payment_id: each for each in order.payments}}
        self.state = replace(self.state, payments=payments, person=order.person, areas=self.state.areas | {order.area})

    def _keep_ids(self, order: Order) -> None:
        xml = order_xml.encode(order)
        order_xml.validate(xml)
        fresh = [line.line_id for line in order.lines if line.ceased_from is None]
        assert len(self.made) + len(fresh) == len(self.made | set(fresh))
        self.made |= set(fresh)


def said_of(lines: Sequence[OrderLine]) -> str:
    """Lines in short: `#1>#0 1-12@640` is a new line behind another, `#0!13 1-26@640` line 0 as it was, ended from the 13th."""
    return " ".join(map(_said, lines))


def _said(line: OrderLine) -> str:
    own = line.line_id.removeprefix("SAK-1")
    behind = f">{line.refers_to.removeprefix('SAK-1')}" if line.refers_to else ""
    ended = f"!{line.ceased_from.day}" if line.ceased_from else ""
    return f"{own}{behind}{ended} {line.start.day}-{line.end.day}@{line.amount}"
