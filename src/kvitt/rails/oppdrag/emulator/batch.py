"""One batch of messages through the rail's books: everything read, decided and written in one transaction.

The receipts are rows of the same transaction, so an order that took effect always has its receipt, and a message that comes again
gets the stored one instead of a second effect. A receipt is the order's own bytes with the answer (mmel) put in first below the root
(helved §4.5, iverksetting §1.11).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid5
from xml.sax.saxutils import escape

from msgspec import Struct
from msgspec.structs import replace

from kvitt.kernel.database import TupleConnection
from kvitt.rails.oppdrag.emulator import answers, store
from kvitt.rails.oppdrag.emulator.damage import DamageForm, damage
from kvitt.rails.oppdrag.emulator.decide import KnownCases, OrderDecision, decide
from kvitt.rails.oppdrag.emulator.faults import (
    Dice,
    Faults,
    Strike,
    get_faults,
    is_counting,
    lock_faults,
    set_faults,
)
from kvitt.rails.oppdrag.emulator.order import CaseAtRail, EmulatedAnswer, ReceivedOrder
from kvitt.rails.oppdrag.emulator.reading import (
    NAMESPACE,
    ROOT_START,
    Garbled,
    Invalid,
    ParsedOrder,
    Unreadable,
)
from kvitt.rails.oppdrag.emulator.rows import Receipt
from kvitt.rails.oppdrag.emulator.store import HandledMessage
from kvitt.rails.oppdrag.emulator.watch import ViolationKind, add_violations

_RECEIPT_IDS = UUID("5b0f2f0e-6f0c-5c4e-9a53-0d6f4a2d9c11")
NO_STRIKE = Strike(swallow=False, delay=False, double=False, reorder=False, damage=None, refuse=False, warn=False)


class Arrival(Struct, frozen=True):
    """A message as it came. `digest` is the SHA-256 of `body`; `anew` says that it was put again, not merely handed out again."""

    message_id: str
    digest: bytes
    body: bytes
    reply_to: str
    anew: bool
    reading: ParsedOrder


class Sorted(Struct, frozen=True):
    """A batch by what is known of its message ids: never seen, seen with these bytes, seen with other bytes."""

    fresh: tuple[Arrival, ...]
    repeats: tuple[Arrival, ...]
    conflicts: tuple[Arrival, ...]


def handle_batch(conn: TupleConnection, arrivals: Sequence[Arrival], *, seed: int, now: datetime) -> None:
    """Decides the batch in order of arrival and commits books, records and receipts together."""
    with conn.transaction():
        store.take_turns(conn, _names(arrivals))
        batch = _sort(arrivals, store.known_digests(conn, [arrival.message_id for arrival in arrivals]))
        dice = Dice(_faults(conn), seed)
        before = dice.left
        known = store.load_known_cases(conn, [arrival.reading for arrival in batch.fresh if isinstance(arrival.reading, ReceivedOrder)])
        struck = [(arrival, dice.strike(arrival.message_id)) for arrival in batch.fresh]
        messages = [_decide(arrival, strike, known, before, now) for arrival, strike in struck]
        messages = _reordered(messages, [strike for _, strike in struck], dice)
        messages += [
            _invented(arrival.message_id, arrival.reading)
            for arrival, strike in struck
            if strike.invent and isinstance(arrival.reading, ReceivedOrder)
        ]
        if dice.left != before:
            set_faults(conn, dice.left)
        store.write(conn, messages, now)
        _write_known(conn, batch, now)
        if known.simulated:
            met = [(message.case, message.message_id) for message in messages if message.case in known.simulated]
            add_violations(conn, ViolationKind.ORDER_WHILE_SIMULATING, met, now)


def _names(arrivals: Sequence[Arrival]) -> list[str]:
    """Returns what no other emulator may work on at the same time: the batch's message ids and cases."""
    ids = [f"message {arrival.message_id}" for arrival in arrivals]
    orders = [arrival.reading for arrival in arrivals if isinstance(arrival.reading, ReceivedOrder)]
    return ids + [f"case {order.case.areas} {order.case.case_id}" for order in orders]


def _sort(arrivals: Sequence[Arrival], known: Mapping[str, bytes]) -> Sorted:
    """The first of an id is fresh when the books do not know it; what comes later in the batch is compared with it."""
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


def _faults(conn: TupleConnection) -> Faults:
    """The faults for this batch; held when they count down, so that two emulators do not spend the same count."""
    faults = get_faults(conn)
    if not is_counting(faults):
        return faults
    lock_faults(conn)
    return get_faults(conn)


def _decide(arrival: Arrival, strike: Strike, known: KnownCases, faults: Faults, now: datetime) -> HandledMessage:
    decision, outcome = _decision(arrival, strike, known, faults, now)
    receipts = () if outcome in {"unreadable", "lost"} else _receipts(arrival, decision.answer, strike, faults, now)
    is_bare = strike.damage is DamageForm.BARE_ANSWER
    return HandledMessage(arrival.message_id, arrival.digest, arrival.reading, decision, outcome, receipts, is_bare)


def _decision(arrival: Arrival, strike: Strike, known: KnownCases, faults: Faults, now: datetime) -> tuple[OrderDecision, str]:
    """The decision and its outcome; an accepted order is in `known` afterwards."""
    match arrival.reading:
        case Unreadable(problem):
            return OrderDecision(EmulatedAnswer("", problem)), "unreadable"
        case Garbled(problem):
            return OrderDecision(answers.unparsable(problem)), "rejected"
        case Invalid(problem):
            return OrderDecision(answers.invalid(problem)), "rejected"
    if strike.lose:
        return OrderDecision(EmulatedAnswer("", "lost")), "lost"
    if strike.refuse:
        return OrderDecision(faults.refusal), "refused"
    decision = decide(arrival.reading, known, now.date())
    if decision.answer is not answers.ACCEPTED:
        return decision, "rejected"
    known.add(arrival.reading, decision)
    return (replace(decision, answer=faults.warning), "warned") if strike.warn else (decision, "accepted")


def _invented(message_id: str, beside: ReceivedOrder) -> HandledMessage:
    """An order that nobody sent, as large as one that came, on a case of its own."""
    name = f"invented-{uuid5(_RECEIPT_IDS, message_id)}"
    order = replace(beside, case=CaseAtRail(beside.case.area, name[:25]))
    return HandledMessage(name, sha256(name.encode()).digest(), order, OrderDecision(EmulatedAnswer("", "invented")), "invented", ())


def _receipts(arrival: Arrival, answer: EmulatedAnswer, strike: Strike, faults: Faults, now: datetime) -> tuple[Receipt, ...]:
    body = unechoed(answer) if isinstance(arrival.reading, Garbled) else echo(arrival.body, answer)
    if strike.damage is not None:
        body = damage(body, strike.damage)
    due = None if strike.swallow or not arrival.reply_to else now
    if due is not None and strike.delay:
        due += timedelta(seconds=faults.delay_seconds)
    copies = 2 if strike.double else 1
    ids = [receipt_id(arrival.message_id, arrival.digest, copy) for copy in range(copies)]
    return tuple(Receipt(name, arrival.message_id, arrival.digest, arrival.reply_to, body, due) for name in ids)


def _reordered(messages: list[HandledMessage], strikes: list[Strike], dice: Dice) -> list[HandledMessage]:
    """The messages with the receipts of the struck ones in each other's places."""
    places = [place for place, strike in enumerate(strikes) if strike.reorder]
    if len(places) < 2:
        return messages
    moved = list(messages)
    for place, source in zip(places, dice.shuffled(len(places), messages[places[0]].message_id), strict=True):
        moved[place] = replace(messages[place], receipts=messages[places[source]].receipts)
    return moved


def _write_known(conn: TupleConnection, batch: Sorted, now: datetime) -> None:
    """Sends stored receipts once more for repeats; rejects a known id with other bytes, under a receipt of its own."""
    if batch.repeats:
        store.repeat(conn, [(arrival.message_id, arrival.anew) for arrival in batch.repeats], now)
    if batch.conflicts:
        answered = [arrival for arrival in batch.conflicts if not isinstance(arrival.reading, Unreadable)]
        receipts = [receipt for arrival in answered for receipt in _receipts(arrival, answers.CONFLICTING_BYTES, NO_STRIKE, Faults(), now)]
        store.conflict(conn, [(arrival.message_id, arrival.digest) for arrival in batch.conflicts], receipts, now)


def echo(body: bytes, answer: EmulatedAnswer) -> bytes:
    """The order with the answer inserted, not one of its other bytes changed; `body` must begin as an order does."""
    found = ROOT_START.match(body)
    assert found is not None, "only what begins as an order is echoed"
    start = body[: found.end()]
    # Under a default namespace an unqualified child has to leave it, as the order's own children do.
    own_tag = '<mmel xmlns="">' if b"xmlns=" in start.rpartition(b"<")[2] else "<mmel>"
    return start + mmel(answer, own_tag).encode() + body[found.end() :]


def unechoed(answer: EmulatedAnswer) -> bytes:
    """The rail's answer to what it could not parse: no order in it, and no end tag of the root (rapid §3.3)."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<oppdrag xmlns="{NAMESPACE}">{mmel(answer)}<oppdrag-110></oppdrag-110>'.encode()


def mmel(answer: EmulatedAnswer, start_tag: str = "<mmel>") -> str:
    """The answer as XML, on one line."""
    fields = (
        ("systemId", "231-OPPD"),
        ("kodeMelding", answer.code),
        ("alvorlighetsgrad", answer.severity),
        ("beskrMelding", answer.text),
        ("programId", answer.program),
        ("sectionNavn", answer.section),
    )
    return start_tag + "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields if text) + "</mmel>"


def receipt_id(message_id: str, digest: bytes, copy: int) -> str:
    """The message id of a receipt: the same order always gets its receipt under the same id; `copy` 1 is the doubled one."""
    return str(uuid5(_RECEIPT_IDS, f"{message_id}:{digest.hex()}:{copy}"))
