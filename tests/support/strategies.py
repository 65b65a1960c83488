"""Values of the rules for tests: plain ones to vary by hand, and arbitrary messages of every scheme.

Arbitrary messages of one scheme are about one case, one person and few payments over few days, so that those of a history meet.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache
from uuid import UUID

from hypothesis import strategies as st
from msgspec.structs import replace

from kvitt.contracts.helved.messages import (
    AapEntry,
    AapMessage,
    DpDay,
    DpKind,
    DpMessage,
    HistoriskMessage,
    MessageHeader,
    Span,
    StreamMessage,
    TpEntry,
    TpMessage,
    TsMessage,
    TsPayment,
    ValpMessage,
)
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.instructions import Decision, InstructionKind, PaymentInstruction
from kvitt.disbursement.values import (
    CaseId,
    DecisionId,
    HoldBack,
    PaymentId,
    Period,
    RateType,
    Scheme,
)

PERSON = "01020312345"
MADE_AT = datetime(2026, 7, 1, 13, 22, 5, 481516)  # noqa: DTZ001 - Oslo local time by definition
PAYMENT = PaymentId("11111111-2222-4333-8444-555555555555")
OTHER_PAYMENT = PaymentId("66666666-7777-4888-8999-000000000000")
HEAD = MessageHeader("SAK-1", "BEH-1", PERSON, "2026-06-30T09:15:30", False, "Z900001", "Z900002")
DECISION = Decision(
    scheme=Scheme.AAP,
    key="key-1",
    case_id=CaseId("SAK-1"),
    decision_id=DecisionId("BEH-1"),
    person=PERSON,
    decided_at="2026-06-30T09:15:30",
    caseworker="Z900001",
    approver="Z900002",
    hold_back=None,
    dry_run=False,
    whole_case=False,
)


def june(first: int, last: int, amount: int, *, office: str | None = None, rate: int | None = None) -> Period:
    """A period in June 2026, whose first day is a Monday."""
    return Period(date(2026, 6, first), date(2026, 6, last), amount, office, rate)


def paying(
    *periods: Period, of: PaymentId = PAYMENT, benefit: str = "TILSYN_BARN_AAP", rate: RateType = RateType.DAY
) -> PaymentInstruction:
    """A instruction that these periods be paid."""
    return PaymentInstruction(InstructionKind.PAY, of, BENEFITS[benefit], rate, periods)


def ceasing(*, of: PaymentId = PAYMENT, benefit: str = "TILSYN_BARN_AAP", rate: RateType = RateType.DAY) -> PaymentInstruction:
    """A instruction in the sender's words that a payment cease."""
    return PaymentInstruction(InstructionKind.CEASE, of, BENEFITS[benefit], rate, ())


_FIRST_DAY = date(2026, 6, 1)
_FORTNIGHTS = ("2026-06-01/2026-06-14", "2026-06-15/2026-06-28")
_IDS = tuple(UUID(int=number, version=4) for number in range(1, 4))
_TP_BENEFITS = ("ARBEIDSTRENING", "GRUPPE_AMO")
_TS_KINDS = (("TILSYN_BARN_AAP", False), ("LÆREMIDLER_AAP", False), ("BOUTGIFTER_AAP", True))
_HISTORISK_BENEFITS = ("ORTOSE", "PARYKK", "FOTSENG")
_VALP_BENEFITS = ("HOYERE_UTDANNING_SKOLEPENGER", "HOYERE_UTDANNING_STUDIEREISE", "STUDIESPESIALISERING_SKOLEPENGER")
_NAMED_RATES = (RateType.WEEKDAY, RateType.MONTH, RateType.ONE_OFF)

# A strategy is looked at and unfolded when it is first drawn from: those that do not depend on what was drawn are made once.
_amounts = st.integers(1, 2)
_up_to_two = st.integers(0, 2)
_rates = st.sampled_from([None, 7])
_offsets = st.lists(st.integers(0, 13), unique=True, max_size=6)
_chosen = st.lists(st.sampled_from(range(3)), unique=True, max_size=3)
_tp_groups = [(number, benefit, children) for number in range(2) for benefit in _TP_BENEFITS for children in (False, True)]
_groups = st.lists(st.sampled_from(_tp_groups), unique=True, max_size=4)
_offices = st.sampled_from([None, "0220", "0315"])
_decision_ids = st.sampled_from(["BEH-1", "BEH-2", "BEH-3"])
_names = st.sampled_from([None, "Z900001", "Z900002"])
_hold_backs = st.none() | st.builds(
    HoldBack,
    start=st.just(_FIRST_DAY),
    end=st.dates(_FIRST_DAY, date(2026, 6, 30)),
    transferred_on=st.none() | st.just(date(2026, 8, 11)),
    cause=st.sampled_from([None, "AVVENT_AVREGNING", "AVVENT_REFUSJONSKRAV"]),
    registered_by_mistake=st.booleans(),
)

heads = st.builds(lambda decision_id, caseworker: replace(HEAD, decision_id=decision_id, caseworker=caseworker), _decision_ids, _names)


@cache
def _gaps(most: int) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Days between spans, and the length of each."""
    return st.lists(st.tuples(st.sampled_from([0, 0, 1, 2, 3]), st.sampled_from([1, 1, 2, 3, 5])), max_size=most)


@cache
@st.composite
def days_apart(draw: st.DrawFn, start: date = _FIRST_DAY, most: int = 4) -> tuple[tuple[date, date], ...]:
    """Spans of days in order, none touching another's days; many follow each other at once, or over a weekend."""
    spans, day = [], start
    for gap, length in draw(_gaps(most)):
        first = day + timedelta(days=gap)
        last = first + timedelta(days=length - 1)
        spans.append((first, last))
        day = last + timedelta(days=1)
    return tuple(spans)


@cache
@st.composite
def periods(draw: st.DrawFn, smallest: int = 0) -> tuple[Period, ...]:
    """Sorted periods without overlap, alike in amount, office and rate often enough to be joined or found equal."""
    found = tuple(Period(first, last, draw(_amounts), draw(_offices), draw(_rates)) for first, last in draw(days_apart()))
    return found if len(found) >= smallest else (Period(_FIRST_DAY, _FIRST_DAY, draw(_amounts)),)


@cache
@st.composite
def dp_messages(draw: st.DrawFn) -> DpMessage:
    """Dagpenger over two reporting periods; some days pay nothing."""
    days: list[DpDay] = []
    for number, fortnight in enumerate(_FORTNIGHTS):
        for kind in DpKind:
            first = _FIRST_DAY + timedelta(days=14 * number)
            offsets = draw(_offsets)
            made = [DpDay(fortnight, first + timedelta(days=offset), draw(_amounts) * 100, draw(_up_to_two), kind) for offset in offsets]
            days.extend(made)
    return DpMessage(draw(heads), tuple(draw(st.permutations(days))))


@cache
@st.composite
def aap_messages(draw: st.DrawFn) -> AapMessage:
    """AAP with up to three payments; some entries pay nothing."""
    entries = [
        AapEntry(payment_id, first, last, draw(_amounts) * 1000, draw(_up_to_two))
        for payment_id in _IDS
        for first, last in draw(days_apart())
    ]
    return AapMessage(draw(heads), tuple(draw(st.permutations(entries))), draw(_hold_backs))


@cache
@st.composite
def tp_messages(draw: st.DrawFn) -> TpMessage:
    """Tiltakspenger: two reporting periods, two benefits, with and without children."""
    entries = [
        TpEntry(_FORTNIGHTS[number], first, last, draw(_amounts), draw(_offices), children, benefit)
        for number, benefit, children in draw(_groups)
        for first, last in draw(days_apart(_FIRST_DAY + timedelta(days=14 * number)))
    ]
    return TpMessage(draw(heads), tuple(draw(st.permutations(entries))))


@cache
@st.composite
def _spans(draw: st.DrawFn) -> tuple[Span, ...]:
    made = [Span(first, last, draw(_amounts), draw(_offices)) for first, last in draw(days_apart())]
    return tuple(draw(st.permutations(made)))


@cache
@st.composite
def ts_messages(draw: st.DrawFn, rate_type: RateType) -> TsMessage:
    """Tilleggsstønader of one rate type; a payment keeps its benefit, and each of the three has an area of its own."""
    chosen = draw(_chosen)
    payments = tuple(TsPayment(_IDS[number], _TS_KINDS[number][0], draw(_spans()), _TS_KINDS[number][1]) for number in chosen)
    return TsMessage(draw(heads), rate_type, payments)


@cache
@st.composite
def historisk_messages(draw: st.DrawFn, rate_type: RateType) -> HistoriskMessage:
    """One of three old payments."""
    number = draw(_up_to_two)
    return HistoriskMessage(draw(heads), _IDS[number], _HISTORISK_BENEFITS[number], rate_type, draw(_spans()))


@cache
@st.composite
def valp_messages(draw: st.DrawFn) -> ValpMessage:
    """One of three grants, of amount 0 at times."""
    number = draw(_up_to_two)
    first, last = (draw(days_apart(most=1)) or ((_FIRST_DAY, _FIRST_DAY),))[0]
    return ValpMessage(draw(heads), _IDS[number], _VALP_BENEFITS[number], Span(first, last, draw(_up_to_two), draw(_offices)))


_MESSAGES: dict[Scheme, Callable[[RateType], st.SearchStrategy[StreamMessage]]] = {
    Scheme.DAGPENGER: lambda _: dp_messages(),
    Scheme.AAP: lambda _: aap_messages(),
    Scheme.TILTAKSPENGER: lambda _: tp_messages(),
    Scheme.TILLEGGSSTONADER: ts_messages,
    Scheme.HISTORISK: historisk_messages,
    Scheme.VALP: lambda _: valp_messages(),
}


def messages_of(scheme: Scheme, *, smallest: int = 1, largest: int = 6) -> st.SearchStrategy[list[StreamMessage]]:
    """Messages about one case of a scheme, of one rate type, because payments keep theirs."""
    rates = st.sampled_from(_NAMED_RATES)
    return rates.flatmap(lambda rate: st.lists(_MESSAGES[scheme](rate), min_size=smallest, max_size=largest))


any_message: st.SearchStrategy[StreamMessage] = (
    st.sampled_from(Scheme).flatmap(lambda scheme: messages_of(scheme, largest=1)).map(lambda made: made[0])
)
"""A message of any scheme."""
