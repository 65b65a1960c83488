"""Histories of cases on a real store: messages go in, orders are marked as sent, receipts come back, all by the hub itself."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import Scheme
from support.hub_messages import person_of
from support.hub_stage import Stage

AAP_PAYMENT = UUID("11111111-2222-4333-8444-555555555555")
OTHER_PAYMENT = UUID("66666666-7777-4888-8999-000000000000")
FIRST_MOMENT = datetime(2026, 7, 1, 11, 22, 5, 481516, UTC)
EXISTS_ALREADY = "DELYTELSE-ID finnes i oppdragsbasen fra før"


def aap(
    case_id: str, spans: Sequence[tuple[str, str, int]], *, payment: UUID = AAP_PAYMENT, also: Sequence[UUID] = (), **head: Any
) -> bytes:
    """A whole-case message of AAP: spans of a payment, and the same ones of others, as (from, to, amount)."""
    entries = [
        {"id": payment_id, "fom": start, "tom": end, "sats": 1000, "utbetaltBeløp": amount}
        for payment_id in (payment, *also)
        for start, end, amount in spans
    ]
    return _encoded({"ident": person_of(case_id), "vedtakstidspunktet": "2026-06-30T09:15:30", "utbetalinger": entries}, case_id, head)


def ts(case_id: str, benefits: Sequence[str], *, amount: int = 1000, **head: Any) -> bytes:
    """A message of tilleggsstønader: one payment per benefit, each in an area of its own."""
    payments = [
        {"id": UUID(int=number, version=4), "stønad": name, "perioder": [{"fom": "2026-06-01", "tom": "2026-06-30", "beløp": amount}]}
        for number, name in enumerate(benefits, 1)
    ]
    shared = {
        "personident": person_of(case_id),
        "vedtakstidspunkt": "2026-06-30T09:15:30",
        "periodetype": "EN_GANG",
        "utbetalinger": payments,
    }
    return _encoded(shared, case_id, head)


def dp(case_id: str, amounts: Sequence[int], **head: Any) -> bytes:
    """A whole-case message of dagpenger: one amount per day from Monday 1 June 2026 on."""
    days = [
        {
            "meldeperiode": f"mp-{day // 14}",
            "dato": f"2026-06-{day + 1:02}",
            "sats": 1077,
            "utbetaltBeløp": amount,
            "utbetalingstype": "Dagpenger",
        }
        for day, amount in enumerate(amounts)
    ]
    return _encoded({"ident": person_of(case_id), "vedtakstidspunktet": "2026-06-30T09:15:30", "utbetalinger": days}, case_id, head)


def _encoded(shared: dict[str, Any], case_id: str, head: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"sakId": case_id, "behandlingId": "B1", **shared, **head})


def answered(xml: bytes, severity: str = "00", text: str = "") -> bytes:
    """The rail's answer to an order: its own bytes, with the answer put in first."""
    published = f"<mmel><alvorlighetsgrad>{severity}</alvorlighetsgrad><beskrMelding>{text}</beskrMelding></mmel>"
    head, tag, rest = xml.partition(b'oppdrag">')
    return head + tag + published.encode() + rest


class CaseStage(Stage):
    """A stage on which the test answers in the rail's place."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo)
        self.clock.set(FIRST_MOMENT)
        self._records = 0

    def take(self, scheme: Scheme, *bodies: bytes) -> list[Outcome]:
        """Hands in messages as one batch."""
        return self.submit([self._record(scheme, body) for body in bodies])

    def _record(self, scheme: Scheme, body: bytes) -> Incoming:
        self._records += 1
        return Incoming(helved_topics.primary_input(scheme), 0, self._records, f"key-{self._records}".encode(), body)

    def send(self) -> list[bytes]:
        """Notes what is ready as sent; returns the XML of the orders in order."""
        orders = self.sender.dequeue(100)
        self.sender.sent([(each.order_id, each.message_no) for each in orders])
        return [each.message for each in orders]

    def answer(self, *receipts: bytes) -> list[ReceiptOutcome]:
        """Hands in receipts as one batch."""
        first = self._records + 1
        self._records += len(receipts)
        return self.settle([RawReceipt(f"receipt-{first + index}", body) for index, body in enumerate(receipts)])

    def accept(self) -> None:
        """Sends and accepts until nothing is left to send."""
        while sent := self.send():
            assert set(self.answer(*map(answered, sent))) == {ReceiptOutcome.ACCEPTED}
