"""A stage on which the rail's word contradicts an operator's or its own, and what both sides then pay, day by day."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import msgspec

from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement import payment_document
from kvitt.disbursement.check.check import check
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.resolve import Resolve
from kvitt.disbursement.settle import RawReceipt
from kvitt.formats import topics
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.emulator import schedule
from kvitt.rails.oppdrag.order_xml import RATE_CODES
from support.hub_stage import Stage, receipt_with

BOTH = Operator("Kari Nordmann", "the bank said so by phone", "Ola Hansen")
Paid = dict[tuple[str, date], int]


class Contradicted(Stage):
    """A hub whose operators act, beside the rail's emulator."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo)
        self.operate, self.resolve = Operate(self.connection, self.clock, PORTS), Resolve(self.connection, self.clock, PORTS)

    def orders(self, case: str) -> list[str]:
        """The ids of a case's orders, oldest first."""
        query = "SELECT o.order_id::text FROM orders AS o JOIN cases AS c USING (case_no) WHERE c.case_id = %s ORDER BY o.number"
        return [str(order_id) for (order_id,) in self.rows(query, case)]

    def open_contradictions(self) -> int:
        """How many stand."""
        return int(str(self.one("SELECT count(*) FROM contradictions WHERE resolved_at IS NULL")))

    def accepted(self, case: str) -> Paid:
        """What kvitt holds to be paid per class of payment and day."""
        query = (
            "SELECT p.document FROM payments AS p JOIN cases AS c USING (case_no)"
            " WHERE c.case_id = %s AND p.state = 'accepted' AND NOT p.superseded"
        )
        paid: Paid = {}
        for document in self.bytes(query, case):
            found = payment_document.decode(document)
            for period in found.wanted:
                for offset in range((period.end - period.start).days + 1):
                    day = period.start + timedelta(days=offset)
                    if RATE_CODES[found.rate_type] in ("DAG", "DAG7") and (day.weekday() < 5 or RATE_CODES[found.rate_type] == "DAG7"):
                        paid[found.area, day] = paid.get((found.area, day), 0) + period.amount
        return paid

    def at_the_rail(self, case: str, *areas: str) -> Paid:
        """What the rail pays by its own rule."""
        paid: Paid = {}
        for area in areas:
            for due in schedule(self.connection, area, case):
                paid[area, due.date] = paid.get((area, due.date), 0) + due.amount
        return paid

    def statuses_with_reasons(self, key: str) -> list[tuple[str, str | None]]:
        """The statuses of a sender's key, each with the reason in its headers."""
        rows = self.rows(
            "SELECT value, headers FROM outbox WHERE topic = %s AND key = %s ORDER BY outbox_no", helved_topics.STATUSES, key.encode()
        )
        said = []
        for value, headers in rows:
            assert isinstance(value, bytes)
            assert isinstance(headers, bytes)
            said.append((str(msgspec.json.decode(value)["status"]), dict(topics.decode_headers(headers)).get("reason")))
        return said

    def assert_clean(self) -> None:
        """`kvitt check` finds nothing."""
        assert check(self.conninfo, PORTS).differences == ()


def as_rejected(receipt: RawReceipt) -> RawReceipt:
    """The rail's receipt as if it had rejected the order."""
    return receipt_with(receipt, "08", "Ugyldig")


def as_accepted(receipt: RawReceipt) -> RawReceipt:
    """The rail's receipt as if it had accepted the order."""
    return receipt_with(receipt, "00")


@contextmanager
def contradicted(conninfo: str) -> Iterator[Contradicted]:
    """A stage for as long as the block runs."""
    stage = Contradicted(conninfo)
    try:
        yield stage
    finally:
        stage.close()
