"""Asks for payments to go on in the case streams: which ones, under which ids, and the texts of refusals (iverksetting §8.2)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from msgspec import Struct, field
from msgspec.json import Decoder

from kvitt.contracts.utbetalinger.read import unreadable
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.migrate_case import Move
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Payment, PaymentId, RateType, Refusal, Scheme
from kvitt.errors import Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.formats.json_reading import read
from kvitt.kernel.fetch import Source, fetch
from kvitt.kernel.queries import load

_SQL = load("payments", "kvitt.contracts.utbetalinger")
NO_ITEMS: Final = Refusal(400, "items kan ikke være tom", BASE)
NAMED_TWICE: Final = Refusal(400, "samme uid eller id kan ikke forekomme flere ganger i items", BASE)
NOT_WEEKDAYS: Final = Refusal(400, "Kan bare migrere utbetalinger med periodeType UKEDAG", BASE)
_MOVED_SCHEME: Final = Scheme.AAP


class MovedPaymentShape(Struct):
    """The body that asks for one payment to move: the id under which it goes on."""

    to: UUID = field(name="id")


class MovedItemShape(Struct):
    """One of several payments, and the id under which it goes on."""

    payment_id: UUID = field(name="uid")
    to: UUID = field(name="id")


class MovedItemsShape(Struct):
    """The body that asks for several payments of one case to move."""

    items: list[MovedItemShape]


AskedIds = Mapping[PaymentId, PaymentId]
"""The ids of payments that move, and those under which they go on."""
_one, _several = Decoder(MovedPaymentShape), Decoder(MovedItemsShape)


def read_moved(payment_id: PaymentId, body: bytes) -> AskedIds | Refusal:
    """The move of one payment that a body asks for, or why there is none."""
    try:
        found = read(_one, body)
        refuse_repeated(body)
    except Undecodable as broken:
        return unreadable(broken)
    return {payment_id: PaymentId(str(found.to))}


def read_moved_items(body: bytes) -> AskedIds | Refusal:
    """The moves of several payments that a body asks for, or why there are none; the same item twice is one."""
    try:
        found = read(_several, body)
        refuse_repeated(body)
    except Undecodable as broken:
        return unreadable(broken)
    pairs = {(PaymentId(str(each.payment_id)), PaymentId(str(each.to))) for each in found.items}
    ids = {PaymentId(str(each.payment_id)): PaymentId(str(each.to)) for each in found.items}
    if not ids:
        return NO_ITEMS
    return ids if len({*ids.values()}) == len(ids) == len(pairs) else NAMED_TWICE


class _CaseOfPayment(NamedTuple):
    payment_id: str
    scheme: Scheme
    case_id: str


def case_of_payments(
    source: Source, contracts: tuple[str, str], asked: Collection[PaymentId], schemes: Collection[Scheme]
) -> tuple[Scheme, str] | Refusal:
    """The one case that these payments belong to, or moved from, between two contracts (from, to); only those of the schemes are there."""
    owner, to = contracts
    arguments = {"payment_ids": list(asked), "owner": owner, "moved_to": to}
    rows = fetch(source, _CaseOfPayment, _SQL.cases_of_payments, arguments, scheme=Scheme)
    cases = {PaymentId(each.payment_id): (each.scheme, each.case_id) for each in rows if each.scheme in schemes}
    if missing := next((each for each in asked if each not in cases), None):
        return unknown(missing)
    found = list(dict.fromkeys(cases[each] for each in asked))
    return found[0] if len(found) == 1 else several_cases([case_id for _, case_id in found])


def moves_of(payments: Sequence[Payment], asked: AskedIds) -> Sequence[Move] | Refusal:
    """The moves of payments of a case, in the order in which they are asked for; or why one of them can not go on in a stream."""
    stored = {each.payment_id: each for each in payments}
    if missing := next((each for each in asked if each not in stored), None):
        return unknown(missing)
    if other := next((each for each in asked if BENEFITS[stored[each].benefit].scheme is not _MOVED_SCHEME), None):
        return not_moved(BENEFITS[stored[other].benefit].scheme)
    if any(stored[each].rate_type is not RateType.WEEKDAY for each in asked):
        return NOT_WEEKDAYS
    return [Move(payment_id, to, to, names_rates=True) for payment_id, to in asked.items()]


def unknown(payment_id: PaymentId) -> Refusal:
    """No such payment of the caller's."""
    return Refusal(404, f"Utbetaling {payment_id}", BASE)


def several_cases(case_ids: Sequence[str]) -> Refusal:
    """The payments are not of one case."""
    return Refusal(400, f"alle utbetalinger må tilhøre samme sak, fant: [{', '.join(case_ids)}]", BASE)


def not_moved(scheme: Scheme) -> Refusal:
    """Payments of a scheme whose stream takes over none."""
    return Refusal(501, f"kan ikke migrere {scheme.value} enda", BASE)
