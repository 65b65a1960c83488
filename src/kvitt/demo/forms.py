"""The six input forms as their senders write them, for the demo's made-up cases (helved §2.6)."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

from kvitt.demo.cases import Days, Life, MadeMessage, Pay

JsonForm = dict[str, Any]
_DECIDED: Final = "2025-07-04T09:15:30.305852"
_DAILY_RATE: Final = 1077
_RATES: Final = {"DAG": "UKEDAG", "MND": "MND", "ENG": "EN_GANG"}


def body_of(life: Life, number: int) -> bytes:
    """The bytes of a case's message number `number` (from 0), with the mistake that its step asks for."""
    step = life.steps[number]
    document = _FORMS[life.scheme](life, step)
    document["behandlingId"] = f"B{number + 1}"
    text = json.dumps(_SPOILING[step.spoilt](document), ensure_ascii=False)
    return (text[:-20] if step.spoilt == "torn" else text).encode()


def _dp(life: Life, step: MadeMessage) -> JsonForm:
    entries = [
        {
            "meldeperiode": pay.label.rstrip("F"),
            "dato": str(pay.day(place)),
            "sats": _DAILY_RATE,
            "utbetaltBeløp": days.amount,
            "utbetalingstype": pay.benefit,
        }
        for pay in step.named
        for days in pay.days
        for place in range(days.first, days.last + 1)
    ]
    return {"sakId": life.case_id, "ident": life.person, "vedtakstidspunktet": _DECIDED, "utbetalinger": entries}


def _aap(life: Life, step: MadeMessage) -> JsonForm:
    entries = [{"id": pay.label, "sats": _DAILY_RATE, **_span(pay, days, "utbetaltBeløp")} for pay in step.named for days in pay.days]
    return {
        "sakId": life.case_id,
        "ident": life.person,
        "vedtakstidspunktet": _DECIDED,
        "saksbehandler": "Z900001",
        "beslutter": "Z900002",
        "utbetalinger": entries,
    }


def _ts(life: Life, step: MadeMessage) -> JsonForm:
    payments = [
        {"id": pay.label, "stønad": pay.benefit, "perioder": [_span(pay, days) for days in pay.days], "brukFagområdeTillst": False}
        for pay in step.named
    ]
    rate = _RATES[step.named[0].rate]
    return {
        "sakId": life.case_id,
        "personident": life.person,
        "vedtakstidspunkt": _DECIDED,
        "periodetype": rate,
        "utbetalinger": payments,
    }


def _tp(life: Life, step: MadeMessage) -> JsonForm:
    entries = [
        {
            "meldeperiode": pay.label.partition("|")[0],
            "betalendeEnhet": "0220",
            "barnetillegg": pay.benefit.endswith("+"),
            "stønad": pay.benefit.rstrip("+"),
            **_span(pay, days),
        }
        for pay in step.named
        for days in pay.days
    ]
    return {"sakId": life.case_id, "personident": life.person, "vedtakstidspunkt": _DECIDED, "perioder": entries}


def _historisk(life: Life, step: MadeMessage) -> JsonForm:
    pay = step.named[0]
    return {
        "id": pay.label,
        "sakId": life.case_id,
        "personident": life.person,
        "stønad": pay.benefit,
        "vedtakstidspunkt": _DECIDED,
        "periodetype": _RATES[pay.rate],
        "perioder": [_span(pay, days) for days in pay.days],
    }


def _valp(life: Life, step: MadeMessage) -> JsonForm:
    pay = step.named[0]
    measure, _, grant = pay.benefit.rpartition("_")
    days = pay.days[0] if pay.days else Days(0, 0, 0)
    return {
        "id": pay.label,
        "sakId": life.case_id,
        "personIdent": life.person,
        "periode": {"fom": str(pay.day(days.first)), "tom": str(pay.day(days.last))},
        "belop": days.amount,
        "tilskuddstype": grant,
        "tiltakskode": measure,
        "saksbehandler": "V100200",
        "beslutter": "V100300",
        "besluttetTidspunkt": "2025-07-04T07:15:30Z",
        "kostnadssted": "0315",
    }


def _span(pay: Pay, days: Days, amount_name: str = "beløp") -> JsonForm:
    return {"fom": str(pay.day(days.first)), "tom": str(pay.day(days.last)), amount_name: days.amount}


_FORMS: Final[dict[str, Callable[[Life, MadeMessage], JsonForm]]] = {
    "dp": _dp,
    "aap": _aap,
    "ts": _ts,
    "tp": _tp,
    "historisk": _historisk,
    "valp": _valp,
}


def _spans_of(document: JsonForm) -> list[JsonForm]:
    """The list that holds a message's periods, whatever its form calls it."""
    if "utbetalinger" in document and "perioder" in document["utbetalinger"][0]:
        return list(document["utbetalinger"][0]["perioder"])
    return list(document.get("perioder") or document.get("utbetalinger") or [document["periode"]])


def _person(document: JsonForm) -> JsonForm:
    name = next(name for name in ("ident", "personident", "personIdent") if name in document)
    return {**document, name: document[name][:10]}


def _same_day_twice(document: JsonForm) -> JsonForm:
    """The first day once more, with another amount."""
    first = document["utbetalinger"][0]
    return {**document, "utbetalinger": [*document["utbetalinger"], {**first, "utbetaltBeløp": first["utbetaltBeløp"] + 1}]}


def _overlap(document: JsonForm) -> JsonForm:
    """A second span that begins on the last day of the first, and ends later."""
    spans = _spans_of(document)
    first = spans[0]
    later = _after(first["tom"], 400)
    twin = {**first, "fom": first["tom"], "tom": later}
    holder = document["utbetalinger"][0] if "perioder" in document.get("utbetalinger", [{}])[0] else document
    name = "perioder" if "perioder" in holder else "utbetalinger"
    changed = {**holder, name: [*holder[name], twin]}
    return {**document, "utbetalinger": [changed, *document["utbetalinger"][1:]]} if holder is not document else changed


def _after(day: str, days: int) -> str:
    """ISO text of the date so many days after."""
    return str(date.fromisoformat(day) + timedelta(days=days))


def _backwards(document: JsonForm) -> JsonForm:
    """A span that ends before it starts."""
    for span in _spans_of(document)[:1]:
        span["tom"] = _after(span["fom"], -1)
    return document


def _benefit(document: JsonForm) -> JsonForm:
    """A benefit that no catalogue holds."""
    if "utbetalinger" in document:
        document["utbetalinger"][0]["stønad"] = "TILSYN_KATT"
        return document
    return {**document, "stønad": "TILSYN_KATT"}


_SPOILING: Final[dict[str, Callable[[JsonForm], JsonForm]]] = {
    "": lambda document: document,
    "torn": lambda document: document,
    "person": _person,
    "same day twice": _same_day_twice,
    "overlap": _overlap,
    "backwards": _backwards,
    "benefit": _benefit,
}
