"""The rail's books in the database: what a batch needs of them and adds in a few statements, and what they say of all that came."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from msgspec import Struct

from kvitt.kernel.database import TupleConnection
from kvitt.kernel.queries import load
from kvitt.kernel.rows import write_all
from kvitt.rails.oppdrag.emulator.decide import KnownCases, OrderDecision
from kvitt.rails.oppdrag.emulator.order import (
    CaseAtRail,
    LineEntry,
    ReceivedHoldBack,
    ReceivedOrder,
)
from kvitt.rails.oppdrag.emulator.reading import ParsedOrder
from kvitt.rails.oppdrag.emulator.reported import key_rank, moment
from kvitt.rails.oppdrag.emulator.rows import KnownCaseRow, LineEntryRow, Receipt, ReceivedMessageRow

_SQL = load("emulator", package="kvitt.rails.oppdrag.emulator")


class HandledMessage(Struct, frozen=True):
    """The outcome of one message. `receipts` leave in the order of the messages; a bare one has the severity alone."""

    message_id: str
    digest: bytes
    reading: ParsedOrder
    decision: OrderDecision
    outcome: str
    receipts: tuple[Receipt, ...]
    is_bare: bool = False

    @property
    def case(self) -> CaseAtRail:
        """The case of the order; empty when it could not be read."""
        return self.reading.case if isinstance(self.reading, ReceivedOrder) else CaseAtRail("", "")


def take_turns(conn: TupleConnection, names: Sequence[str]) -> None:
    """Keeps other emulators away from the names until the transaction ends."""
    conn.execute(_SQL.take_turns, {"names": names})


def known_digests(conn: TupleConnection, message_ids: Sequence[str]) -> Mapping[str, bytes]:
    """Digest by message id of those received before."""
    rows = conn.execute(_SQL.known_messages, {"message_ids": message_ids}, binary=True).fetchall()
    return {str(message_id): bytes(digest) for message_id, digest in rows if isinstance(digest, bytes)}


def load_known_cases(conn: TupleConnection, orders: Sequence[ReceivedOrder]) -> KnownCases:
    """Returns what the books say of the orders' cases and of the lines that they name."""
    cases = sorted({order.case for order in orders})
    with_hold_backs = sorted({order.case for order in orders if order.hold_backs})
    named = sorted(
        {(order.case, line_id) for order in orders for line in order.lines for line_id in (line.line_id, line.ref_line) if line_id}
    )
    of_cases = [case.areas for case in cases]
    persons = conn.execute(_SQL.known_cases, {**_case_arrays(cases), "of_cases": of_cases}).fetchall()
    lines = conn.execute(
        _SQL.named_lines, {**_case_arrays([case for case, _ in named]), "line_ids": [line_id for _, line_id in named]}
    ).fetchall()
    hold_backs = conn.execute(_SQL.hold_backs, _case_arrays(with_hold_backs)).fetchall() if with_hold_backs else []
    return KnownCases(
        ((CaseAtRail(str(area), str(case_id)), str(person)) for area, case_id, person, _ in persons if person is not None),
        (entry_of(row) for row in lines),
        ((CaseAtRail(str(area), str(case_id)), ReceivedHoldBack(*rest)) for area, case_id, *rest in hold_backs),  # type: ignore[arg-type]
        (CaseAtRail(str(area), str(case_id)) for area, case_id, _, is_simulated in persons if is_simulated),
    )


def entry_of(row: Sequence[object]) -> LineEntry:
    """A row of the entries as a value."""
    area, case_id, *rest = row
    return LineEntry(CaseAtRail(str(area), str(case_id)), *rest)  # type: ignore[arg-type]


def write(conn: TupleConnection, messages: Sequence[HandledMessage], now: datetime) -> None:
    """Adds the fresh messages, what the accepted ones change, and all their receipts."""
    received = [_received_row(message, now) for message in messages]
    cases = [_case_row(message) for message in messages if message.decision.opens_case]
    entries = [_entry_row(entry, message.message_id) for message in messages for entry in message.decision.entries]
    receipts = [receipt for message in messages for receipt in message.receipts]
    with conn.cursor() as cursor:
        write_all(cursor, [received, cases, entries, receipts])
    _write_hold_backs(conn, messages)


def repeat(conn: TupleConnection, messages: Sequence[tuple[str, bool]], now: datetime) -> None:
    """Counts repeats and lets their stored receipts leave again; each item: message id, and whether it was put anew."""
    message_ids = [message_id for message_id, _ in messages]
    conn.execute(_SQL.add_repeats, {"message_ids": message_ids})
    conn.execute(_SQL.send_again, {"message_ids": message_ids, "anew": [anew for _, anew in messages], "now": now})


def conflict(conn: TupleConnection, messages: Sequence[tuple[str, bytes]], receipts: Sequence[Receipt], now: datetime) -> None:
    """Records message ids that came with other bytes (each item: message id, digest) and answers them."""
    arrays = {"message_ids": [message_id for message_id, _ in messages], "digests": [digest for _, digest in messages], "now": now}
    conn.execute(_SQL.add_conflicts, arrays)
    with conn.cursor() as cursor:
        write_all(cursor, [receipts])


def _received_row(message: HandledMessage, now: datetime) -> ReceivedMessageRow:
    answer, order = message.decision.answer, message.reading
    code = None if message.is_bare else answer.code
    what = (
        message.message_id,
        message.digest,
        now,
        message.case.area,
        message.case.case_id,
        message.outcome,
        answer.severity,
        answer.text,
        code,
    )
    return ReceivedMessageRow(*what, *(_reconciled_by(order) if isinstance(order, ReceivedOrder) else (None,) * 5))


def _reconciled_by(order: ReceivedOrder) -> tuple[str, str | None, str, int, str]:
    """Returns what the rail reconciles an order by: component, key, person, sum and when it was made."""
    return order.component, key_rank(order.key) if order.key else None, order.person, order.kroner, moment(order.made)


def _case_row(message: HandledMessage) -> KnownCaseRow:
    assert isinstance(message.reading, ReceivedOrder), "only an order opens a case"
    return KnownCaseRow(message.case.area, message.case.case_id, message.reading.person, message.message_id)


def _entry_row(entry: LineEntry, message_id: str) -> LineEntryRow:
    return LineEntryRow(
        entry.case.area,
        entry.case.case_id,
        entry.chain,
        entry.line_id,
        entry.starts,
        entry.ends,
        entry.amount,
        entry.rate_code,
        entry.class_code,
        entry.decided_rate,
        entry.ceased_from,
        entry.payee,
        entry.grade,
        message_id,
    )


def _write_hold_backs(conn: TupleConnection, messages: Sequence[HandledMessage]) -> None:
    """The last hold-back for a first day of a case is the one that stays."""
    last: dict[tuple[CaseAtRail, date | None], ReceivedHoldBack] = {
        (message.case, hold_back.starts): hold_back for message in messages for hold_back in message.decision.hold_backs
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


def _case_arrays(cases: Sequence[CaseAtRail]) -> dict[str, list[str]]:
    return {"areas": [case.area for case in cases], "case_ids": [case.case_id for case in cases]}


class Received(Struct, frozen=True):
    """An order as it first came. `digest` is the SHA-256 of its bytes; `outcome` is accepted, warned, rejected (by the rules),
    refused (by a fault), unreadable, or lost or invented (by faults); `repeats` counts how often the same bytes came again under the same
    message id."""

    message_id: str
    digest: bytes
    received_at: datetime
    area: str
    case_id: str
    outcome: str
    severity: str
    note: str
    repeats: int


class Duplicates(Struct, frozen=True):
    """Counts what came more than once: line ids accepted twice (area, case id, line id; must always be none), message ids that came with
    different bytes, and groups of message ids under which the same bytes came."""

    lines: tuple[tuple[str, str, str], ...]
    conflicting_messages: tuple[str, ...]
    same_bytes: tuple[tuple[str, ...], ...]


def received(conn: TupleConnection) -> Iterator[Received]:
    """Every order received, by time, streamed."""
    with conn.transaction(), conn.cursor(name="received") as cursor:
        cursor.execute(_SQL.received)
        for row in cursor:
            yield Received(*row)  # type: ignore[arg-type]


def duplicates(conn: TupleConnection) -> Duplicates:
    """Returns what came or counts more than once."""
    lines = conn.execute(_SQL.lines_accepted_twice).fetchall()
    conflicts = conn.execute(_SQL.conflicting_messages).fetchall()
    groups = conn.execute(_SQL.same_bytes).fetchall()
    return Duplicates(
        tuple((str(area), str(case_id), str(line_id)) for area, case_id, line_id in lines),
        tuple(str(message_id) for (message_id,) in conflicts),
        tuple(tuple(group) for (group,) in groups if isinstance(group, list)),
    )
