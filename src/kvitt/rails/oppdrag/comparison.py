"""Compares what the store has as accepted with what the rail will pay, payment by payment, day by day (design §7, §13).

Both sides are streamed in one order out of one snapshot, so memory holds one case at a time. A chain belongs to the payment whose
last line is the chain's newest.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement import payment_document
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.values import Area
from kvitt.kernel.database import TupleConnection
from kvitt.kernel.fetch import fetch, named
from kvitt.kernel.queries import load
from kvitt.rails.oppdrag.emulator import DaySpan, all_spans
from kvitt.rails.oppdrag.order_xml import RATE_CODES, encode_line_id

_SQL = load("comparison", "kvitt.rails.oppdrag")
_ONE_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5
_WEEKDAY_RATE, _ONE_OFF_RATE = "DAG", "ENG"
KEPT: Final = 100
"""How many differences are described; all are counted."""


class Stretch(Struct, frozen=True, order=True):
    """Days, both ends included, on which the same amount holds."""

    start: date
    end: date
    amount: int


class RailDifference(Struct, frozen=True):
    """A chain that pays something else than its payment says; `payment_id` is empty for a chain of no payment."""

    area: str
    case_id: str
    payment_id: str
    text: str


class Compared(Struct, frozen=True):
    """How much was compared. `in_motion` are cases left out because an order of theirs has no receipt yet."""

    cases: int
    payments: int
    in_motion: int
    count: int
    differences: tuple[RailDifference, ...]


class _StoredDocument(NamedTuple):
    area: str
    case_id: str
    payment_id: str
    document: bytes


class _CaseInMotion(NamedTuple):
    area: str
    case_id: str


_ByRate = dict[str, tuple[Stretch, ...]]
"""What is paid, by the rates of the rail by which anything is."""


class _Accepted(Struct, frozen=True):
    """A payment of the store: its chain's last line as the wire names it, and what it pays by each rate of the rail, if that is known."""

    payment_id: str
    last_line: str
    pays: _ByRate
    known: bool


def stretches(rate: str, pieces: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """The fewest stretches that pay the same by this rate of the rail; what only touches a weekend pays nothing by weekday."""
    if rate == _ONE_OFF_RATE:
        return tuple(sorted(pieces))
    joined: list[Stretch] = []
    for piece in sorted(pieces):
        start, end = (_to_monday(piece.start), _to_friday(piece.end)) if rate == _WEEKDAY_RATE else (piece.start, piece.end)
        if start > end:
            continue
        before = joined[-1] if joined else None
        if before and before.amount == piece.amount and _following(before.end, rate) == start:
            joined[-1] = Stretch(before.start, end, piece.amount)
        else:
            joined.append(Stretch(start, end, piece.amount))
    return tuple(joined)


def _to_monday(day: date) -> date:
    return day + timedelta(days=max(0, 7 - day.weekday())) if day.weekday() >= _SATURDAY else day


def _to_friday(day: date) -> date:
    return day - timedelta(days=max(0, day.weekday() - _SATURDAY + 1))


def _following(day: date, rate: str) -> date | None:
    if day == date.max:
        return None
    return _to_monday(day + _ONE_DAY) if rate == _WEEKDAY_RATE else day + _ONE_DAY


def compare(connection: TupleConnection, contracts: Contracts) -> Compared:
    """Compares everything, in a read-only snapshot of its own; changes nothing.

    Of forwarded orders no payments are kept: what the rail pays by them is left out.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        in_motion: set[_Key] = {*fetch(connection, _CaseInMotion, _SQL.cases_in_motion)}
        found: list[RailDifference] = []
        cases = payments = count = 0
        with connection.cursor(name="accepted_payments", row_factory=named(_StoredDocument)) as cursor:
            cursor.itersize = 2000
            cursor.execute(_SQL.accepted_payments)
            for key, accepted, paid in _side_by_side(cursor, all_spans(connection)):
                if key in in_motion or (not accepted and _is_forwarded(key[0], contracts)):
                    continue
                cases, payments = cases + 1, payments + len(accepted)
                for difference in _differences(key, accepted, paid):
                    count += 1
                    if len(found) < KEPT:
                        found.append(difference)
    return Compared(cases, payments, len(in_motion), count, tuple(found))


_Key = tuple[str, str]


def _is_forwarded(area: str, contracts: Contracts) -> bool:
    terms = AREAS.get(Area(area))
    return terms is not None and terms.scheme in contracts.forwarding


def _side_by_side(
    rows: Iterable[_StoredDocument], rail: Iterator[tuple[str, str, tuple[DaySpan, ...]]]
) -> Iterator[tuple[_Key, list[_Accepted], tuple[DaySpan, ...]]]:
    """Every case that either side knows, with what each side says of it; both come sorted by (area, case id)."""
    store = ((key, [_accepted(row) for row in group]) for key, group in groupby(rows, key=lambda row: (row.area, row.case_id)))
    ours, theirs = next(store, None), next(rail, None)
    while ours or theirs:
        key = min(each for each in (ours and ours[0], theirs and (theirs[0], theirs[1])) if each)
        accepted: list[_Accepted] = []
        paid: tuple[DaySpan, ...] = ()
        if ours and ours[0] == key:
            accepted, ours = ours[1], next(store, None)
        if theirs and (theirs[0], theirs[1]) == key:
            paid, theirs = theirs[2], next(rail, None)
        yield key, accepted, paid


def _accepted(row: _StoredDocument) -> _Accepted:
    stored = payment_document.decode(row.document)
    pieces = ((RATE_CODES[stored.rate_of(each)], Stretch(each.start, each.end, each.amount)) for each in stored.wanted)
    return _Accepted(row.payment_id, encode_line_id(stored.last_line), _by_rate(pieces), known=not stored.periods_unknown)


def _by_rate(pieces: Iterable[tuple[str, Stretch]]) -> _ByRate:
    found: dict[str, list[Stretch]] = {}
    for rate, piece in pieces:
        found.setdefault(rate, []).append(piece)
    return {rate: pays for rate, of in sorted(found.items()) if (pays := stretches(rate, of))}


def _differences(key: _Key, accepted: Sequence[_Accepted], paid: Sequence[DaySpan]) -> Iterator[RailDifference]:
    chains: dict[str, list[DaySpan]] = {}
    for span in paid:
        chains.setdefault(span.chain_last_line_id, []).append(span)
    for each in accepted:
        spans = chains.pop(each.last_line, [])
        if not each.known:
            continue
        pays = _by_rate((span.rate_code, Stretch(span.start, span.end, span.amount)) for span in spans)
        if pays and each.pays and pays.keys() != each.pays.keys():
            yield RailDifference(*key, each.payment_id, f"the rail pays by rate {', '.join(pays)}, the store by {', '.join(each.pays)}")
        elif pays != each.pays:
            yield RailDifference(*key, each.payment_id, f"the rail pays {_all_described(pays)}, the store has {_all_described(each.pays)}")
    for last_line, spans in chains.items():
        described = _described([Stretch(span.start, span.end, span.amount) for span in spans])
        yield RailDifference(*key, "", f"the rail pays {described} in a chain (last line {last_line}) that belongs to no payment")


def _all_described(pays: _ByRate) -> str:
    return _described(sorted(piece for of in pays.values() for piece in of))


def _described(pays: Sequence[Stretch]) -> str:
    return ", ".join(f"{each.amount} from {each.start} to {each.end}" for each in pays) or "nothing"
