"""The rail's books in the database: what a batch needs of them in a few statements, and what it adds in a few more."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import psycopg
from msgspec import Struct

from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator.decide import Book, Ruling
from kvitt.rails.oppdrag.emulator.order import (
    CaseKey,
    Entry,
    HoldBack,
    Order,
)
from kvitt.rails.oppdrag.emulator.reading import Reading

Connection = psycopg.Connection[tuple[object, ...]]
_SQL = load("emulator", package="kvitt.rails.oppdrag.emulator")


class Receipt(Struct, frozen=True):
    """A receipt on its way; `due_at` None means that it is swallowed or has nowhere to go."""

    receipt_id: str
    message_id: str
    digest: bytes
    reply_to: str
    body: bytes
    due_at: datetime | None


class Verdict(Struct, frozen=True):
    """What became of one message. `receipts` leave in the order of the verdicts."""

    message_id: str
    digest: bytes
    reading: Reading
    ruling: Ruling
    outcome: str
    receipts: tuple[Receipt, ...]

    @property
    def case(self) -> CaseKey:
        """The case of the order; empty when it could not be read."""
        return self.reading.case if isinstance(self.reading, Order) else CaseKey("", "")


def take_turns(conn: Connection, names: Sequence[str]) -> None:
    """Keeps other emulators away from the names until the transaction ends."""
    conn.execute(_SQL.take_turns, {"names": names})


def known_digests(conn: Connection, message_ids: Sequence[str]) -> Mapping[str, bytes]:
    """Digest by message id of those received before."""
    rows = conn.execute(_SQL.known_messages, {"message_ids": message_ids}, binary=True).fetchall()
    return {str(message_id): bytes(digest) for message_id, digest in rows if isinstance(digest, bytes)}


def load_book(conn: Connection, orders: Sequence[Order]) -> Book:
    """What the books say of the orders' cases and of the lines that they name."""
    cases = sorted({order.case for order in orders})
    with_hold_backs = sorted({order.case for order in orders if order.hold_backs})
    named = sorted(
        {(order.case, line_id) for order in orders for line in order.lines for line_id in (line.line_id, line.ref_line) if line_id}
    )
    persons = conn.execute(_SQL.known_cases, _case_arrays(cases)).fetchall()
    lines = conn.execute(
        _SQL.named_lines, {**_case_arrays([case for case, _ in named]), "line_ids": [line_id for _, line_id in named]}
    ).fetchall()
    hold_backs = conn.execute(_SQL.hold_backs, _case_arrays(with_hold_backs)).fetchall() if with_hold_backs else []
    return Book(
        ((CaseKey(str(area), str(case_id)), str(person)) for area, case_id, person in persons),
        (entry_of(row) for row in lines),
        ((CaseKey(str(area), str(case_id)), HoldBack(*rest)) for area, case_id, *rest in hold_backs),  # type: ignore[arg-type]
    )


def entry_of(row: Sequence[object]) -> Entry:
    """A row of the journal as a value."""
    area, case_id, *rest = row
    return Entry(CaseKey(str(area), str(case_id)), *rest)  # type: ignore[arg-type]


def write(conn: Connection, verdicts: Sequence[Verdict], now: datetime) -> None:
    """Adds the fresh messages, what the accepted ones change, and all their receipts."""
    if not verdicts:
        return
    _write_received(conn, verdicts, now)
    _write_cases(conn, [verdict for verdict in verdicts if verdict.ruling.opens_case])
    _write_entries(conn, [(entry, verdict.message_id) for verdict in verdicts for entry in verdict.ruling.entries])
    _write_hold_backs(conn, verdicts)
    write_receipts(conn, [receipt for verdict in verdicts for receipt in verdict.receipts])


def repeat(conn: Connection, messages: Sequence[tuple[str, bool]], now: datetime) -> None:
    """Counts repeats and lets their stored receipts leave again; each item: message id, and whether it was put anew."""
    message_ids = [message_id for message_id, _ in messages]
    conn.execute(_SQL.add_repeats, {"message_ids": message_ids})
    conn.execute(_SQL.send_again, {"message_ids": message_ids, "anew": [anew for _, anew in messages], "now": now})


def conflict(conn: Connection, messages: Sequence[tuple[str, bytes]], receipts: Sequence[Receipt], now: datetime) -> None:
    """Records message ids that came with other bytes (each item: message id, digest) and answers them."""
    arrays = {"message_ids": [message_id for message_id, _ in messages], "digests": [digest for _, digest in messages], "now": now}
    conn.execute(_SQL.add_conflicts, arrays)
    write_receipts(conn, receipts)


def write_receipts(conn: Connection, receipts: Sequence[Receipt]) -> None:
    """Stores receipts in the order in which they shall leave."""
    arrays = {
        "receipt_ids": [receipt.receipt_id for receipt in receipts],
        "message_ids": [receipt.message_id for receipt in receipts],
        "digests": [receipt.digest for receipt in receipts],
        "reply_tos": [receipt.reply_to for receipt in receipts],
        "bodies": [receipt.body for receipt in receipts],
        "dues": [receipt.due_at for receipt in receipts],
    }
    conn.execute(_SQL.add_receipts, arrays)


def _write_received(conn: Connection, verdicts: Sequence[Verdict], now: datetime) -> None:
    arrays = {
        "now": now,
        "message_ids": [verdict.message_id for verdict in verdicts],
        "digests": [verdict.digest for verdict in verdicts],
        "outcomes": [verdict.outcome for verdict in verdicts],
        "severities": [verdict.ruling.answer.severity for verdict in verdicts],
        "notes": [verdict.ruling.answer.text for verdict in verdicts],
        **_case_arrays([verdict.case for verdict in verdicts]),
    }
    conn.execute(_SQL.add_received, arrays)


def _write_cases(conn: Connection, verdicts: Sequence[Verdict]) -> None:
    if not verdicts:
        return
    persons = [verdict.reading.person for verdict in verdicts if isinstance(verdict.reading, Order)]
    arrays = {"persons": persons, "message_ids": [verdict.message_id for verdict in verdicts]}
    conn.execute(_SQL.add_cases, {**arrays, **_case_arrays([verdict.case for verdict in verdicts])})


def _write_entries(conn: Connection, entries: Sequence[tuple[Entry, str]]) -> None:
    if not entries:
        return
    arrays = {
        **_case_arrays([entry.case for entry, _ in entries]),
        "chains": [entry.chain for entry, _ in entries],
        "line_ids": [entry.line_id for entry, _ in entries],
        "starts": [entry.starts for entry, _ in entries],
        "ends": [entry.ends for entry, _ in entries],
        "amounts": [entry.amount for entry, _ in entries],
        "rate_codes": [entry.rate_code for entry, _ in entries],
        "class_codes": [entry.class_code for entry, _ in entries],
        "decided_rates": [entry.decided_rate for entry, _ in entries],
        "ceased_froms": [entry.ceased_from for entry, _ in entries],
        "message_ids": [message_id for _, message_id in entries],
    }
    conn.execute(_SQL.add_entries, arrays)


def _write_hold_backs(conn: Connection, verdicts: Sequence[Verdict]) -> None:
    """The last hold-back for a first day of a case is the one that stays."""
    last: dict[tuple[CaseKey, date | None], HoldBack] = {
        (verdict.case, hold_back.starts): hold_back for verdict in verdicts for hold_back in verdict.ruling.hold_backs
    }
    if not last:
        return
    arrays = {
        **_case_arrays([case for case, _ in last]),
        "starts": [hold_back.starts for hold_back in last.values()],
        "ends": [hold_back.ends for hold_back in last.values()],
        "transfers": [hold_back.transfers_on for hold_back in last.values()],
        "errors": [hold_back.is_error for hold_back in last.values()],
    }
    conn.execute(_SQL.put_hold_backs, arrays)


def _case_arrays(cases: Sequence[CaseKey]) -> dict[str, list[str]]:
    return {"areas": [case.area for case in cases], "case_ids": [case.case_id for case in cases]}
