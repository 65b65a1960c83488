"""Moves a case from one contract to another, with its chains: from then on only the other one changes it (design §16, iverksetting §8).

A chain goes on under another payment id, with the last line that the rail has, as it was sent; nothing is sent. All of it, the case's owner
too, changes in one transaction, under the case's lock, and stands as an entry in its audit chain.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
from msgspec import Struct
from msgspec.structs import replace
from psycopg.errors import UniqueViolation

from kvitt.disbursement import payment_document
from kvitt.disbursement.case import Case, CaseKey
from kvitt.disbursement.case_queue import load_cases
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.derive.chained import is_chain, single_payment
from kvitt.disbursement.derive.micro_chained import order_id
from kvitt.disbursement.events import OutboxRecord, PaymentsMoved
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.rows import PaymentRow
from kvitt.disbursement.states import What
from kvitt.disbursement.unit_of_work import UnitOfWork, publish
from kvitt.disbursement.values import Action, Payment, PaymentId, Refusal
from kvitt.kernel.audit import AuditRow, digest
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection
from kvitt.kernel.fetch import fetch, fetch_values
from kvitt.kernel.queries import load
from kvitt.kernel.rows import columns

_SQL: Final = load("migrate_case", "kvitt.disbursement")
OPEN_ORDER: Final = Refusal(423, "Saken har et pågående oppdrag, vent til dette er ferdig", BASE)
MIXED_RATES: Final = Refusal(400, "Kan ikke flytte en kjede som betales med forskjellige satstyper", BASE)
NOT_THERE: Final = Refusal(404, "Fant ikke utbetalingene som skal flyttes", BASE)
TAKEN: Final = Refusal(409, "En annen sak har en utbetaling med denne uid-en", BASE)
TAKEN_HERE: Final = Refusal(409, "Saken har allerede en utbetaling med denne uid-en", BASE)


class Move(Struct, frozen=True):
    """A chain, by its payment's id, and what it is called in the other contract.

    `key` is the sender's key under which it goes on; `benefit` its name there, of the same class code, None: as it is. `chosen`: a caller
    chose the id, and no other case may have it. `names_rates`: the other contract always says what was decided a day, and what is paid is
    that where nothing was said.
    """

    payment_id: PaymentId
    to: PaymentId
    key: str
    benefit: str | None = None
    chosen: bool = True
    names_rates: bool = False


class MoveNote(Struct, frozen=True):
    """The move of a case as its audit chain has it."""

    contract: str
    moves: tuple[Move, ...]
    by: str
    reason: str


class MovedChains(Struct, frozen=True):
    """The payments as they are in the other contract; not `done`: they were moved before, or it was only to be looked at."""

    payments: tuple[Payment, ...]
    done: bool


class _MovedBefore(NamedTuple):
    payment_id: str
    moved_to: str


IdsAfterMoves = Mapping[str, str]
"""The ids under which payments of a case went on that moved before, by those that they had."""
Choose = Callable[[Sequence[Payment], IdsAfterMoves], Sequence[Move] | Refusal]
"""Returns which of the payments of a case are moved, or why none. The payments have the ids that they had before they moved."""


class MigrateCase:
    """Moves cases on one connection. Not for sharing between threads."""

    def __init__(self, connection: Connection, clock: Clock, contracts: Contracts) -> None:
        """`contracts` publish what they say of cases that come to them."""
        self._connection, self._clock, self._contracts = connection, clock, contracts

    def run(
        self, key: CaseKey, contracts: tuple[str, str], choose: Choose, *, by: str, reason: str, dry_run: bool = False
    ) -> MovedChains | Refusal:
        """Moves chains of a case between two contracts (from, to); what was moved there before stays as it is.

        Refused: 404 without such a case or chain, 423 while an order is open, 409 where the case is another contract's or a chain was moved
        to another id, and whatever `choose` refuses. Raises psycopg errors.
        """
        try:
            with transaction(self._connection, "case", key[1]), self._connection.cursor() as cursor:
                return self._run(cursor, key, contracts, choose, MoveNote(contracts[1], (), by, reason), dry_run=dry_run)
        except UniqueViolation:
            return TAKEN

    def _run(
        self, cursor: psycopg.Cursor[Any], key: CaseKey, contracts: tuple[str, str], choose: Choose, note: MoveNote, *, dry_run: bool
    ) -> MovedChains | Refusal:
        case = next(iter(load_cases(cursor, [key])), None)
        if case is None:
            return NOT_THERE
        if case.contract not in contracts:
            return owned_by(case.contract or "")
        if case.must_queue:
            return OPEN_ORDER
        rows = fetch(cursor, _MovedBefore, _SQL.moved_before, (case.case_no, note.contract))
        before = {each.payment_id: each.moved_to for each in rows if each.moved_to in case.payments}
        moves = choose(_as_before(case, before), before)
        if isinstance(moves, Refusal):
            return moves
        if not moves:
            return NOT_THERE
        fresh = tuple(each for each in moves if before.get(each.payment_id) != each.to)
        if changed := next((each for each in fresh if each.payment_id in before and not _is_unnamed(case, each, before)), None):
            return moved_to(before[changed.payment_id])
        payments = moved(case, fresh)
        if isinstance(payments, Refusal):
            return payments
        if fetch_values(cursor, _SQL.taken_ids, ([each.to for each in fresh if each.chosen], case.case_no)):
            return TAKEN
        if fresh and not dry_run:
            self._store(cursor, case, replace(note, moves=fresh), payments)
        there = tuple(case.payments[PaymentId(each.to)] for each in moves if each not in fresh)
        return MovedChains((*there, *payments), done=bool(fresh) and not dry_run)

    def _store(self, cursor: psycopg.Cursor[Any], case: Case, note: MoveNote, payments: Sequence[Payment]) -> None:
        now = case.moment(self._clock())
        rows = moved_rows(case, note.moves, payments)
        cursor.execute(_SQL.supersede, [[case.case_no] * len(rows), [each.payment_id for each in note.moves]], binary=True)
        cursor.execute(_SQL.add_moved, columns(rows))
        ids = [each.payment_id for each in note.moves], [row.payment_id for row in rows]
        cursor.execute(_SQL.note_moves, (case.case_no, *ids, note.contract, rows[0].version, now))
        apply_move(case, note, rows)
        work, said = UnitOfWork(), msgspec.json.encode(note).decode()
        case.note(work, now, What.MIGRATED, content_of(said, rows), said=said)
        publish(work, announced(self._contracts, case, note, payments, now), None, now)
        work.cases = [case.step()]
        work.write(cursor)


def owned_by(owner: str) -> Refusal:
    """The case belongs to a contract that it is not moved from, nor to."""
    return Refusal(409, f"Saken hører til kontrakten {owner}", BASE)


def moved_to(payment_id: str) -> Refusal:
    """A chain was moved before, to another id."""
    return Refusal(409, f"Utbetalingen er allerede flyttet til {payment_id}", BASE)


def moved(case: Case, moves: Sequence[Move]) -> tuple[Payment, ...] | Refusal:
    """The payments that chains become; their periods are joined, and their last lines stay as they were sent."""
    made: list[Payment] = []
    for each in moves:
        stored = case.payments.get(each.payment_id)
        if stored is None:
            return NOT_THERE
        if (each.to in case.payments and each.to != each.payment_id) or each.to in [other.payment_id for other in made]:
            return TAKEN_HERE
        if each.benefit is not None and BENEFITS[each.benefit].class_code != BENEFITS[stored.benefit].class_code:
            return NOT_THERE
        single = single_payment(_naming_rates(stored) if each.names_rates else stored)
        if single is None:
            return MIXED_RATES
        benefit = each.benefit or stored.benefit
        made.append(replace(single, payment_id=each.to, original_key=each.key, benefit=benefit, first_of_case=False))
    return tuple(made)


def _naming_rates(stored: Payment) -> Payment:
    """A payment that says of all days what was decided: where nothing was said, what is paid is that."""
    periods = [each if each.decided_rate is not None else replace(each, decided_rate=each.amount) for each in stored.periods]
    return replace(stored, periods=tuple(periods))


def moved_rows(case: Case, moves: Sequence[Move], payments: Sequence[Payment]) -> list[PaymentRow]:
    """The versions that a move makes, under the next order number of the case, which no order has from then on."""
    number = case.orders_made + 1
    return [
        PaymentRow(
            case_no=case.case_no,
            payment_id=payment.payment_id,
            version=number,
            order_id=order_id(case.scheme, payment.area, payment.case_id, number),
            area=payment.area,
            action=payment.action.value,
            client_chose=move.chosen,
            position_in_case=case.position_in_case[move.payment_id],
            last_line=payment.last_line,
            document=payment_document.encode(payment),
            position=place,
            currency=payment.currency,
        )
        for place, (move, payment) in enumerate(zip(moves, payments, strict=True))
    ]


def apply_move(case: Case, note: MoveNote, rows: Sequence[PaymentRow]) -> None:
    """The case as the other contract finds it: its owner, and its payments under their new ids."""
    for move, row in zip(note.moves, rows, strict=True):
        del case.payments[move.payment_id], case.position_in_case[move.payment_id]
        case.accepted(row.document, row.position_in_case)
    # As they are loaded: whatever goes through them goes in the order in which they joined.
    case.payments = dict(sorted(case.payments.items(), key=lambda each: case.position_in_case[each[0]]))
    case.orders_made += 1
    case.contract = note.contract


def announced(contracts: Contracts, case: Case, note: MoveNote, payments: Sequence[Payment], at: datetime) -> list[OutboxRecord]:
    """The records with which a case's new contract publishes what came to it; `apply_move` was before."""
    living = [each.payment_id for each in case.payments.values() if each.action is not Action.DELETE]
    event = PaymentsMoved(case.scheme, case.case_id, case.case_no, case.orders_made, payments, living)
    return [record for contract in contracts.named(note.contract) for record in contract.announce(event, at)]


def content_of(said: str, rows: Sequence[PaymentRow]) -> bytes:
    """The digest of a move, of its words and of the payments that it makes."""
    return digest(said.encode(), *(row.document for row in rows))


def note_in(entry: AuditRow) -> MoveNote:
    """The move that an entry is about. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(entry.note or "", type=MoveNote)


def _is_unnamed(case: Case, move: Move, before: IdsAfterMoves) -> bool:
    """Whether a chain went on under its own id, with a case that had ceased, and so may be given a name later."""
    return before[move.payment_id] == move.payment_id and is_chain(case.payments[move.payment_id])


def _as_before(case: Case, before: IdsAfterMoves) -> Sequence[Payment]:
    """The payments of a case, those too that were moved before, under the ids that they had."""
    had = {moved: PaymentId(payment_id) for payment_id, moved in before.items()}
    return [replace(each, payment_id=had.get(each.payment_id, each.payment_id)) for each in case.payments.values()]
