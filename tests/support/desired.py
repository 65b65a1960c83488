"""What shall be paid, said once more from the contract alone: a model that shares nothing with the rules (helved §2.3, §2.5, §3.3).

A payment is what is paid on each of its days. No lines, no chains, no periods that are joined: those are the hub's business.
"""

import hashlib
import struct
from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID

from kvitt.contracts.helved.messages import (
    AapMessage,
    DpKind,
    DpMessage,
    HistoriskMessage,
    Span,
    StreamMessage,
    TpMessage,
    TsMessage,
    ValpMessage,
)
from kvitt.disbursement.values import RateType
from support.hub_messages import payment_uid

CLASS_CODES = {
    DpKind.DAGPENGER: "DAGPENGER",
    DpKind.HOLIDAY_SUPPLEMENT: "DAGPENGERFERIE",
    "ARBEIDSTRENING": "TPTPATT",
    "ARBEIDSTRENING_BARN": "TPBTATTILT",
    "GRUPPE_AMO": "TPTPGRAMO",
    "GRUPPE_AMO_BARN": "TPBTGRAMO",
    "TILSYN_BARN_AAP": "TSTBASISP4-OP",
    "LÆREMIDLER_AAP": "TSLMASISP3-OP",
    "BOUTGIFTER_AAP": "TSBUASIA-OP",
    "ORTOSE": "HTOHHÅ",
    "PARYKK": "HTOHPAAV",
    "FOTSENG": "HTOHFTEN",
    "HOYERE_UTDANNING_SKOLEPENGER": "TTOHOYUDSKOLP",
    "HOYERE_UTDANNING_STUDIEREISE": "TTOHOYUDSTUDREIS",
    "STUDIESPESIALISERING_SKOLEPENGER": "TTOSTUDSPSKOLP",
}
_TS_AREAS = {"TILSYN_BARN_AAP": "TILLSTPB", "LÆREMIDLER_AAP": "TILLSTLM", "BOUTGIFTER_AAP": "TILLSTBO"}
_TS_UMBRELLA = "TILLST"
_RATE_CODES = {RateType.WEEKDAY: "DAG", RateType.MONTH: "MND", RateType.ONE_OFF: "ENG"}
_SATURDAY = 5


class Paid(NamedTuple):
    """What is paid on one day, as the rail sees it."""

    amount: int
    decided_rate: int | None
    class_code: str
    rate_code: str


Days = dict[date, Paid]


class Wish(NamedTuple):
    """What a message wants of one payment: its days (none = it ceases), and the area in which it is posted."""

    area: str
    days: Days


def derived_uid(scheme: str, case: str, meldeperiode: str, class_code: str) -> str:
    """The payment id of dagpenger and tiltakspenger, as the contract writes it down."""
    hashed, units = 0, f"{scheme}{case}{meldeperiode}{class_code}".encode("utf-16-be")
    for index in range(0, len(units), 2):
        hashed = (31 * hashed + ((units[index] << 8) | units[index + 1])) & 0xFFFFFFFF
    signed = hashed - (1 << 32) if hashed >= 1 << 31 else hashed
    return str(UUID(bytes=hashlib.sha256(struct.pack(">q", signed)).digest()[:16]))


def days_between(first: date, last: date) -> Iterable[date]:
    """All days from first to last."""
    return (first + timedelta(days=offset) for offset in range((last - first).days + 1))


def wishes_of(message: StreamMessage, case: str) -> dict[str, Wish]:
    """What a message wants, by payment id; whole-case messages cease what they do not name."""
    match message:
        case DpMessage():
            return _dp(message, case)
        case AapMessage():
            return _aap(message, case)
        case TpMessage():
            return _tp(message, case)
        case TsMessage():
            areas = [_TS_UMBRELLA if each.use_umbrella_area else _TS_AREAS[each.benefit] for each in message.payments]
            return {
                payment_uid(case, each.payment_id.int): Wish(area, _spans(each.spans, each.benefit, message.rate_type))
                for area, each in zip(areas, message.payments, strict=True)
            }
        case HistoriskMessage():
            days = _spans(message.spans, message.benefit, message.rate_type)
            return {payment_uid(case, message.payment_id.int): Wish("HELSREF", days)}
        case ValpMessage():
            days = _spans((message.span,), message.benefit, RateType.ONE_OFF) if message.span.amount else {}
            return {payment_uid(case, message.payment_id.int): Wish("TILSOPP", days)}


def is_whole_case(message: StreamMessage) -> bool:
    """Whether what the message leaves out shall cease."""
    return isinstance(message, DpMessage | AapMessage | TpMessage)


def _spans(spans: Iterable[Span], benefit: str, rate: RateType) -> Days:
    paid = {span: Paid(span.amount, None, CLASS_CODES[benefit], _RATE_CODES[rate]) for span in spans}
    return {day: paid[span] for span in spans for day in days_between(span.start, span.end)}


def _dp(message: DpMessage, case: str) -> dict[str, Wish]:
    wishes: dict[str, Wish] = {}
    for day in message.days:
        if day.amount:
            code = CLASS_CODES[day.kind]
            uid = derived_uid("DAGPENGER", case, day.reporting_period, code)
            rate_code = "DAG" if day.kind is DpKind.DAGPENGER else "ENG"
            wishes.setdefault(uid, Wish("DP", {})).days[day.day] = Paid(day.amount, day.decided_rate, code, rate_code)
    return wishes


def _aap(message: AapMessage, case: str) -> dict[str, Wish]:
    wishes: dict[str, Wish] = {}
    for entry in message.entries:
        if entry.amount:
            days = wishes.setdefault(payment_uid(case, entry.payment_id.int), Wish("AAP", {})).days
            days.update(dict.fromkeys(days_between(entry.start, entry.end), Paid(entry.amount, entry.decided_rate, "AAPOR", "DAG")))
    return wishes


def _tp(message: TpMessage, case: str) -> dict[str, Wish]:
    wishes: dict[str, Wish] = {}
    for entry in message.entries:
        code = CLASS_CODES[entry.benefit + "_BARN" if entry.with_children else entry.benefit]
        uid = derived_uid("TILTAKSPENGER", case, entry.reporting_period, code)
        days = wishes.setdefault(uid, Wish("TILTPENG", {})).days
        days.update(dict.fromkeys(days_between(entry.start, entry.end), Paid(entry.amount, None, code, "DAG")))
    return wishes


def difference(wanted: Days, paid: Days) -> dict[date, tuple[Paid | None, Paid | None]]:
    """The days on which something else is paid than is wanted. A run of weekdays may hold the weekend in it: it pays nothing then."""
    days = wanted.keys() | paid.keys()
    differing = {day: (wanted.get(day), paid.get(day)) for day in days if wanted.get(day) != paid.get(day)}
    joined = {day for day, (wish, _) in differing.items() if wish is None and day.weekday() >= _SATURDAY and _is_joined(day, paid)}
    return {day: pair for day, pair in differing.items() if day not in joined}


def _is_joined(day: date, paid: Days) -> bool:
    """Whether a weekend day lies inside a run of days that is paid only on weekdays, or once."""
    monday = day + timedelta(days=7 - day.weekday())
    return paid[day].rate_code == "DAG" or (paid[day].class_code == "DAGPENGERFERIE" and paid[day] == paid.get(monday))
