"""One batch of messages through the rail's books: everything read, decided and written in one transaction.

The receipts are rows of the same transaction, so an order that took effect always has its receipt, and a message that comes again
gets the stored one instead of a second effect.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from kvitt.rails.oppdrag.emulator import answers
from kvitt.rails.oppdrag.emulator import store as books
from kvitt.rails.oppdrag.emulator.damage import damage
from kvitt.rails.oppdrag.emulator.decide import Book, Ruling, rule
from kvitt.rails.oppdrag.emulator.faults import (
    Dice,
    Faults,
    Strike,
    get_faults,
    is_counting,
    lock_faults,
    set_faults,
)
from kvitt.rails.oppdrag.emulator.order import Answer, Order
from kvitt.rails.oppdrag.emulator.reading import (
    Garbled,
    Invalid,
    Reading,
    Unreadable,
)
from kvitt.rails.oppdrag.emulator.receipts import echo, receipt_id, unechoed
from kvitt.rails.oppdrag.emulator.store import Receipt, Verdict

Connection = psycopg.Connection[tuple[object, ...]]

NO_STRIKE = Strike(swallow=False, delay=False, double=False, reorder=False, damage=None, refuse=False, warn=False)


class Arrival(Struct, frozen=True):
    """A message as it came. `digest` is the SHA-256 of `body`; `anew` says that it was put again, not merely handed out again."""

    message_id: str
    digest: bytes
    body: bytes
    reply_to: str
    anew: bool
    reading: Reading


class Sorted(Struct, frozen=True):
    """A batch by what is known of its message ids: never seen, seen with these bytes, seen with other bytes."""

    fresh: tuple[Arrival, ...]
    repeats: tuple[Arrival, ...]
    conflicts: tuple[Arrival, ...]


def book_batch(conn: Connection, arrivals: Sequence[Arrival], *, seed: int, now: datetime) -> None:
    """Decides the batch in order of arrival and commits books, records and receipts together."""
    with conn.transaction():
        books.take_turns(conn, _names(arrivals))
        batch = _sort(arrivals, books.known_digests(conn, [arrival.message_id for arrival in arrivals]))
        dice = Dice(_faults(conn), seed)
        before = dice.left
        book = books.load_book(conn, [arrival.reading for arrival in batch.fresh if isinstance(arrival.reading, Order)])
        struck = [(arrival, dice.strike(arrival.message_id)) for arrival in batch.fresh]
        verdicts = [_decide(arrival, strike, book, before, now) for arrival, strike in struck]
        verdicts = _reordered(verdicts, [strike for _, strike in struck], dice)
        if dice.left != before:
            set_faults(conn, dice.left)
        books.write(conn, verdicts, now)
        _write_known(conn, batch, now)


def _names(arrivals: Sequence[Arrival]) -> list[str]:
    """What no other emulator may work on at the same time: the batch's message ids and cases."""
    ids = [f"message {arrival.message_id}" for arrival in arrivals]
    orders = [arrival.reading for arrival in arrivals if isinstance(arrival.reading, Order)]
    return ids + [f"case {order.case.area} {order.case.case_id}" for order in orders]


def _sort(arrivals: Sequence[Arrival], known: Mapping[str, bytes]) -> Sorted:
    """The first of an id is fresh when the books do not know it; what comes later in the batch is measured by it."""
    digests = dict(known)
    fresh: list[Arrival] = []
    repeats: list[Arrival] = []
    conflicts: list[Arrival] = []
    for arrival in arrivals:
        if arrival.message_id not in digests:
            fresh.append(arrival)
            digests[arrival.message_id] = arrival.digest
        elif digests[arrival.message_id] == arrival.digest:
            repeats.append(arrival)
        else:
            conflicts.append(arrival)
    return Sorted(tuple(fresh), tuple(repeats), tuple(conflicts))


def _faults(conn: Connection) -> Faults:
    """The faults for this batch; held when they count down, so that two emulators do not spend the same count."""
    faults = get_faults(conn)
    if not is_counting(faults):
        return faults
    lock_faults(conn)
    return get_faults(conn)


def _decide(arrival: Arrival, strike: Strike, book: Book, faults: Faults, now: datetime) -> Verdict:
    ruling, outcome = _rule(arrival, strike, book, faults, now)
    receipts = () if isinstance(arrival.reading, Unreadable) else _receipts(arrival, ruling.answer, strike, faults, now)
    return Verdict(arrival.message_id, arrival.digest, arrival.reading, ruling, outcome, receipts)


def _rule(arrival: Arrival, strike: Strike, book: Book, faults: Faults, now: datetime) -> tuple[Ruling, str]:
    """The ruling and its outcome; an accepted order stands in `book` afterwards."""
    match arrival.reading:
        case Unreadable(problem):
            return Ruling(Answer("", problem)), "unreadable"
        case Garbled(problem):
            return Ruling(answers.unparsable(problem)), "rejected"
        case Invalid(problem):
            return Ruling(answers.invalid(problem)), "rejected"
    if strike.refuse:
        return Ruling(faults.refusal), "refused"
    ruling = rule(arrival.reading, book, now.date())
    if ruling.answer is not answers.ACCEPTED:
        return ruling, "rejected"
    book.add(arrival.reading, ruling)
    return (replace(ruling, answer=faults.warning), "warned") if strike.warn else (ruling, "accepted")


def _receipts(arrival: Arrival, answer: Answer, strike: Strike, faults: Faults, now: datetime) -> tuple[Receipt, ...]:
    body = unechoed(answer) if isinstance(arrival.reading, Garbled) else echo(arrival.body, answer)
    if strike.damage is not None:
        body = damage(body, strike.damage)
    due = None if strike.swallow or not arrival.reply_to else now
    if due is not None and strike.delay:
        due += timedelta(seconds=faults.delay_seconds)
    copies = 2 if strike.double else 1
    ids = [receipt_id(arrival.message_id, arrival.digest, copy) for copy in range(copies)]
    return tuple(Receipt(name, arrival.message_id, arrival.digest, arrival.reply_to, body, due) for name in ids)


def _reordered(verdicts: list[Verdict], strikes: list[Strike], dice: Dice) -> list[Verdict]:
    """The verdicts with the receipts of the struck ones in each other's places."""
    places = [place for place, strike in enumerate(strikes) if strike.reorder]
    if len(places) < 2:
        return verdicts
    moved = list(verdicts)
    for place, source in zip(places, dice.shuffled(len(places), verdicts[places[0]].message_id), strict=True):
        moved[place] = replace(verdicts[place], receipts=verdicts[places[source]].receipts)
    return moved


def _write_known(conn: Connection, batch: Sorted, now: datetime) -> None:
    """Sends stored receipts once more for repeats; rejects a known id with other bytes, under a receipt of its own."""
    if batch.repeats:
        books.repeat(conn, [(arrival.message_id, arrival.anew) for arrival in batch.repeats], now)
    if batch.conflicts:
        answered = [arrival for arrival in batch.conflicts if not isinstance(arrival.reading, Unreadable)]
        receipts = [receipt for arrival in answered for receipt in _receipts(arrival, answers.CONFLICTING_BYTES, NO_STRIKE, Faults(), now)]
        books.conflict(conn, [(arrival.message_id, arrival.digest) for arrival in batch.conflicts], receipts, now)
