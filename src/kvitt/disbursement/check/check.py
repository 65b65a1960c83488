"""The check as a whole: one snapshot, case after case, then what belongs to no case, then what only all rows together can show."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import psycopg

from kvitt.disbursement.check.loose import (
    check_approvals,
    check_copies,
    check_messages,
    check_operators,
    check_receipts,
    released_orders,
    resent_orders,
)
from kvitt.disbursement.check.outcome import compare
from kvitt.disbursement.check.published import compare_published
from kvitt.disbursement.check.replay import Replay
from kvitt.disbursement.check.report import Findings, Kind, Report
from kvitt.disbursement.check.simulated import compare_simulations
from kvitt.disbursement.check.stored import SQL, Reader, StoredCase
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.values import PaymentId
from kvitt.formats.topics import PAYOUT_EVENTS
from kvitt.kernel.database import connect
from kvitt.kernel.fetch import fetch_value, fetch_values
from kvitt.kernel.queries import load as load_queries

CheckProgress = Callable[[int, int], None]
"""Called after each span: how many cases are done, and how many there are."""

_APPROVALS = load_queries("approvals", "kvitt.kernel")
_CLOSINGS, _MOMENTS = load_queries("closings_check", "kvitt.disbursement"), load_queries("moments_check", "kvitt.disbursement")
_TOGETHER = load_queries("check_together", "kvitt.disbursement")
_SEED_BITS = 62
_OVER_ALL = (
    (Kind.ORPHAN, _TOGETHER.messages_of_no_case),
    (Kind.ORPHAN, _TOGETHER.orders_of_no_case),
    (Kind.ORPHAN, _TOGETHER.orders_of_no_message),
    (Kind.ORPHAN, _TOGETHER.orders_without_lines),
    (Kind.ORPHAN, _TOGETHER.orders_without_receipt),
    (Kind.ORPHAN, _TOGETHER.lines_of_no_order),
    (Kind.ORPHAN, _TOGETHER.payments_of_no_order),
    (Kind.ORPHAN, _TOGETHER.receipts_of_no_order),
    (Kind.ORPHAN, _TOGETHER.published_of_no_message),
    (Kind.ORPHAN, _TOGETHER.audit_of_no_case),
    (Kind.ORPHAN, _TOGETHER.dead_letters_of_no_message),
    (Kind.ORPHAN, _TOGETHER.idempotency_of_no_message),
    (Kind.ORPHAN, _TOGETHER.decisions_of_no_message),
    (Kind.ORPHAN, _TOGETHER.copies_of_no_receipt),
    (Kind.ORPHAN, SQL.imported_decisions_astray),
    (Kind.ORPHAN, SQL.simulations_astray),
    (Kind.ORPHAN, SQL.outside_findings_astray),
    (Kind.CASE, SQL.exempt_pairs_not_as_noted),
    (Kind.PAYMENT, _TOGETHER.moves_not_as_noted),
    (Kind.PUBLISHED, _TOGETHER.receipts_without_copy),
    (Kind.CONTRADICTION, SQL.contradictions_not_as_noted),
    (Kind.CASE, _TOGETHER.imports_not_as_noted),
    (Kind.DOUBLE, _TOGETHER.doubled_lines),
    (Kind.DOUBLE, _TOGETHER.doubled_events),
    (Kind.DOUBLE, _TOGETHER.doubled_places),
    (Kind.APPROVAL, _APPROVALS.not_as_noted),
    (Kind.ENTRY, _CLOSINGS.letters_not_closed_as_noted),
    (Kind.ENTRY, _CLOSINGS.receipts_not_closed_as_noted),
    (Kind.ENTRY, _CLOSINGS.limits_not_set_as_noted),
    (Kind.CANCELLATION, _CLOSINGS.cancellations_not_as_noted),
    (Kind.CANCELLATION, _CLOSINGS.cancellations_not_put_again_as_noted),
    (Kind.CHAIN, _MOMENTS.chains_going_back),
    (Kind.CHAIN, _MOMENTS.chains_behind),
    (Kind.PUBLISHED, _MOMENTS.published_going_back),
    (Kind.LOG, _TOGETHER.log_differences),
    (Kind.LOG, _TOGETHER.log_of_nothing),
    (Kind.LOG, _TOGETHER.forgotten_records),
    (Kind.ORPHAN, load_queries("deferred", "kvitt.disbursement").deferred_astray),
    *((Kind.VIEW, statement) for statement in load_queries("views_check", "kvitt.disbursement")),
    *((Kind.VIEW, statement) for statement in load_queries("standing_check", "kvitt.disbursement")),
)


def check(conninfo: str, ports: Ports, *, progress: CheckProgress | None = None) -> Report:
    """Proves the whole store in one read-only snapshot, while everything else goes on; changes nothing.

    Every case is replayed from the messages and receipts that came in, and every row that is stored of it is compared with what the
    replay gives. Memory is that of a few hundred cases. Raises psycopg errors when there is no server.
    """
    with connect(conninfo, application="kvitt check", paused_ms=0) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction(), connection.cursor() as cursor:
            return _Check(cursor, ports, progress).run()


class _Check:
    def __init__(self, cursor: psycopg.Cursor[Any], ports: Ports, progress: CheckProgress | None) -> None:
        self._cursor, self._ports, self._progress = cursor, ports, progress
        self._subjects = [each for each in ports.checks() if fetch_value(cursor, each.anything)]
        self._found = Findings()
        self._reader = Reader(cursor, self._found)
        self._released, self._resent = released_orders(self._reader), resent_orders(self._reader)

    def run(self) -> Report:
        total, done = fetch_value(self._cursor, SQL.count_cases), 0
        for span in self._reader.spans():
            done += len(span)
            # Taken out one by one, so that a span that is proved is not in memory while the next one is read.
            while span:
                self._check_case(span.popleft())
            if self._progress:
                self._progress(done, total)
        check_messages(self._reader, self._found, self._ports)
        check_receipts(self._reader, self._found, self._ports.rails)
        check_copies(self._reader, self._found, self._ports.contracts)
        check_operators(self._reader, self._found)
        check_approvals(self._reader, self._found)
        for each in self._subjects:
            each.walk(self._reader, self._found)
        self._check_over_all()
        return self._found.report()

    def _check_case(self, stored: StoredCase) -> None:
        try:
            replay = Replay(stored, self._found, self._ports, self._ids_of_other_cases, released=self._released, resent=self._resent)
            replay.run()
            # What was published goes first: how far an order has come is part of what a repeat hears.
            compare_published(replay)
            compare(replay)
            compare_simulations(replay)
        except Exception as error:  # noqa: BLE001 - a case that can not even be replayed is a difference, and the check goes on
            self._found.differs(Kind.CASE, stored.case_no, "replay", f"can not be replayed: {type(error).__name__}")

    def _ids_of_other_cases(self, case_no: int, payment_ids: Sequence[PaymentId]) -> frozenset[PaymentId]:
        named = {"case_no": case_no, "payment_ids": list(payment_ids)}
        found = fetch_values(self._cursor, SQL.named_by_other_cases, named) or fetch_values(self._cursor, SQL.dropped_by_other_cases, named)
        return frozenset(map(PaymentId, found))

    def _check_over_all(self) -> None:
        """Walks whole tables; what is found comes row by row, since it may be as much as there is.

        It is streamed and not fetched through a cursor of the server: for those PostgreSQL never uses more than one processor.
        """
        copying = [contract for contract in self._ports.contracts if contract.copies_on]
        arguments = {
            "outputs": [*(topic for contract in self._ports.contracts for topic in contract.outputs), PAYOUT_EVENTS],
            "of_no_message": [*(contract.copies_on for contract in copying), PAYOUT_EVENTS],
            "copies": [contract.copies_on for contract in copying],
            "copied": [source for contract in copying for source in contract.sources],
            "seed": secrets.randbits(_SEED_BITS),
        }
        self._cursor.execute(SQL.sort_in_memory)
        others = [(Kind(kind), statement) for each in self._subjects for kind, statement in each.statements]
        for kind, statement in (*_OVER_ALL, *others):
            try:
                with self._cursor.connection.transaction():
                    for case_no, subject, text in self._cursor.stream(statement, arguments):
                        self._found.differs(kind, case_no, subject, text)
            except psycopg.DataError as error:  # a row that can not even be read is a difference, and the check goes on
                self._found.differs(kind, None, statement.partition("\n")[0].lstrip("- "), f"can not be proved: {type(error).__name__}")
