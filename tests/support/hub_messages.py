"""Messages of every scheme as a sender writes them, plain ones to vary by hand (helved §2.6)."""

import json
from collections.abc import Callable, Sequence
from uuid import NAMESPACE_URL, uuid5
from zlib import crc32

from kvitt.contracts.helved.messages import (
    AapMessage,
    DpMessage,
    HistoriskMessage,
    MessageHeader,
    Span,
    StreamMessage,
    TpMessage,
    TsMessage,
    ValpMessage,
)
from kvitt.contracts.helved.shapes import RATE_NAMES
from kvitt.disbursement.values import HoldBack, Scheme

PERSON, OTHER_PERSON = "01020312345", "02020312345"
CASES_OF_PERSON = {"S", "SAK-1", "A1", "rsid3"}
"""Cases of PERSON; each other case is another person's, for what several cases pay one person is looked at."""
DECIDED = "2026-06-30T09:15:30"
FORTNIGHT = "2026-06-01/2026-06-14"
Json = dict[str, object]


def text(body: object) -> bytes:
    """JSON as senders write it."""
    return json.dumps(body, ensure_ascii=False).encode()


def payment_uid(case: str, number: int = 1) -> str:
    """A payment id of the sender's choice that no other case has."""
    return str(uuid5(NAMESPACE_URL, f"{case}/{number}"))


def person_of(case: str) -> str:
    """Whose case it is."""
    return PERSON if case in CASES_OF_PERSON else f"{crc32(case.encode()):011}"


def dp(case: str, amount: int = 500, *, days: Sequence[int] = (1, 2, 3), **changes: object) -> Json:
    """Dagpenger for some days of June 2026, whose first is a Monday."""
    entries = [
        {"meldeperiode": FORTNIGHT, "dato": f"2026-06-{day:02}", "sats": 1000, "utbetaltBeløp": amount, "utbetalingstype": "Dagpenger"}
        for day in days
    ]
    head = {"sakId": case, "behandlingId": "BEH-1", "ident": person_of(case), "vedtakstidspunktet": DECIDED}
    return {**head, "utbetalinger": entries, **changes}


def aap(case: str, amount: int = 500, *, uid: str = "", **changes: object) -> Json:
    """One payment of AAP, 1–12 June."""
    entry = {"id": uid or payment_uid(case), "fom": "2026-06-01", "tom": "2026-06-12", "sats": 1000, "utbetaltBeløp": amount}
    head = {"sakId": case, "behandlingId": "BEH-1", "ident": person_of(case), "vedtakstidspunktet": DECIDED}
    return {**head, "utbetalinger": [entry], **changes}


def ts_payment(uid: str, amount: int = 500, *, benefit: str = "TILSYN_BARN_AAP", spans: Sequence[tuple[int, int]] = ((1, 5),)) -> Json:
    """An entry of a message of tilleggsstønader; no spans means that it ceases."""
    periods = [{"fom": f"2026-06-{first:02}", "tom": f"2026-06-{last:02}", "beløp": amount} for first, last in spans]
    return {"id": uid, "stønad": benefit, "perioder": periods}


def ts(case: str, *payments: Json, rate: str = "UKEDAG", **changes: object) -> Json:
    """Tilleggsstønader, one payment if none is given."""
    head = {"sakId": case, "behandlingId": "BEH-1", "personident": person_of(case), "vedtakstidspunkt": DECIDED, "periodetype": rate}
    return {**head, "utbetalinger": list(payments) or [ts_payment(payment_uid(case))], **changes}


def tp(case: str, amount: int = 285, *, benefit: str = "ARBEIDSTRENING", **changes: object) -> Json:
    """Tiltakspenger, 1–12 June."""
    entry = {
        "meldeperiode": FORTNIGHT,
        "fom": "2026-06-01",
        "tom": "2026-06-12",
        "betalendeEnhet": "0220",
        "beløp": amount,
        "stønad": benefit,
    }
    head = {"sakId": case, "behandlingId": "BEH-1", "personident": person_of(case), "vedtakstidspunkt": DECIDED}
    return {**head, "perioder": [entry], **changes}


def historisk(case: str, amount: int = 1500, *, benefit: str = "ORTOSE", **changes: object) -> Json:
    """One old payment of one day."""
    head = {"id": payment_uid(case), "sakId": case, "behandlingId": "BEH-1", "personident": person_of(case), "vedtakstidspunkt": DECIDED}
    periods = [{"fom": "2026-06-02", "tom": "2026-06-02", "beløp": amount}]
    return {**head, "stønad": benefit, "periodetype": "EN_GANG", "perioder": periods, **changes}


def valp(case: str, amount: int = 12500, **changes: object) -> Json:
    """One grant."""
    head = {"id": payment_uid(case), "sakId": case, "behandlingId": "BEH-1", "personIdent": person_of(case), "saksbehandler": "V100200"}
    terms = {"tilskuddstype": "SKOLEPENGER", "tiltakskode": "HOYERE_UTDANNING", "besluttetTidspunkt": "2026-06-30T07:15:30Z"}
    return {**head, **terms, "periode": {"fom": "2026-06-01", "tom": "2026-06-20"}, "belop": amount, **changes}


PLAIN: dict[Scheme, Callable[..., Json]] = {
    Scheme.DAGPENGER: dp,
    Scheme.AAP: aap,
    Scheme.TILLEGGSSTONADER: ts,
    Scheme.TILTAKSPENGER: tp,
    Scheme.HISTORISK: historisk,
    Scheme.VALP: valp,
}
"""For every scheme, a good message about a case."""


def body_of(message: StreamMessage, case: str) -> bytes:
    """A value of the rules as its sender would write it, about another case, with payment ids of that case."""
    return text(_json(message, case))


def _json(message: StreamMessage, case: str) -> Json:
    match message:
        case DpMessage():
            return {**_head(message.header, case, "ident", "vedtakstidspunktet"), "utbetalinger": _dp_days(message)}
        case AapMessage():
            held = {"avvent": _hold_back(message.hold_back)} if message.hold_back else {}
            return {**_head(message.header, case, "ident", "vedtakstidspunktet"), "utbetalinger": _aap_entries(message, case), **held}
        case TsMessage():
            payments = [_ts_entry(each.payment_id.int, each.benefit, each.spans, each.use_umbrella_area, case) for each in message.payments]
            return {**_head(message.header, case), "periodetype": RATE_NAMES[message.rate_type], "utbetalinger": payments}
        case TpMessage():
            return {**_head(message.header, case), "perioder": _tp_entries(message)}
        case HistoriskMessage():
            periods = [{"fom": str(span.start), "tom": str(span.end), "beløp": span.amount} for span in message.spans]
            terms = {
                "id": payment_uid(case, message.payment_id.int),
                "stønad": message.benefit,
                "periodetype": RATE_NAMES[message.rate_type],
            }
            return {**_head(message.header, case), **terms, "perioder": periods}
        case ValpMessage():
            return _valp(message, case)


def _head(head: MessageHeader, case: str, person: str = "personident", decided: str = "vedtakstidspunkt") -> Json:
    people = {"saksbehandler": head.caseworker, "beslutter": head.approver, "dryrun": head.dry_run}
    whose = person_of(case) if head.person == PERSON else head.person
    return {"sakId": case, "behandlingId": head.decision_id, person: whose, decided: head.decided_at, **people}


def _hold_back(held: HoldBack) -> Json:
    transfer = str(held.transferred_on) if held.transferred_on else None
    terms = {"overføres": transfer, "årsak": held.cause, "feilregistrering": held.registered_by_mistake}
    return {"fom": str(held.start), "tom": str(held.end), **terms}


def _dp_days(message: DpMessage) -> list[Json]:
    return [
        {
            "meldeperiode": day.reporting_period,
            "dato": str(day.day),
            "sats": day.decided_rate,
            "utbetaltBeløp": day.amount,
            "utbetalingstype": day.kind.value,
        }
        for day in message.days
    ]


def _aap_entries(message: AapMessage, case: str) -> list[Json]:
    return [
        {
            "id": payment_uid(case, entry.payment_id.int),
            "fom": str(entry.start),
            "tom": str(entry.end),
            "sats": entry.decided_rate,
            "utbetaltBeløp": entry.amount,
        }
        for entry in message.entries
    ]


def _ts_entry(number: int, benefit: str, spans: Sequence[Span], umbrella: bool, case: str) -> Json:
    periods = [{"fom": str(span.start), "tom": str(span.end), "beløp": span.amount, "betalendeEnhet": span.office} for span in spans]
    return {"id": payment_uid(case, number), "stønad": benefit, "perioder": periods, "brukFagområdeTillst": umbrella}


def _tp_entries(message: TpMessage) -> list[Json]:
    return [
        {
            "meldeperiode": entry.reporting_period,
            "fom": str(entry.start),
            "tom": str(entry.end),
            "betalendeEnhet": entry.office,
            "barnetillegg": entry.with_children,
            "beløp": entry.amount,
            "stønad": entry.benefit,
        }
        for entry in message.entries
    ]


def _valp(message: ValpMessage, case: str) -> Json:
    measure, _, kind = message.benefit.rpartition("_")
    head = _head(message.header, case, "personIdent", "besluttetTidspunkt")
    head = {**head, "besluttetTidspunkt": f"{message.header.decided_at}Z", "saksbehandler": message.header.caseworker or "Z900001"}
    days = {"fom": str(message.span.start), "tom": str(message.span.end)}
    terms = {
        "periode": days,
        "belop": message.span.amount,
        "tilskuddstype": kind,
        "tiltakskode": measure,
        "kostnadssted": message.span.office,
    }
    return {**head, "id": payment_uid(case, message.payment_id.int), **terms}
