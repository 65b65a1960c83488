"""Bodies of decisions in their three forms; every person, case and amount is made up."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kvitt.contracts.iverksetting.read import is_person

PERSON = "01820390012"
CARD = "M-2026-20"
Body = dict[str, Any]


def person_of(number: int) -> str:
    """A made-up person's number with valid check digits, one for nearly each number below 3,400; the month tells that nobody has it."""
    given = [f"0182{90 + count // 700:02}{count % 700:03}" for count in range(number * 2, number * 2 + 2)]
    return next(f"{start}{digits:02}" for start in given for digits in range(100) if is_person(f"{start}{digits:02}"))


def days(
    start: str, end: str | None = None, amount: int = 640, *, benefit: str = "TILSYN_BARN_AAP", rate: str = "DAGLIG", **terms: Any
) -> Body:
    """An entry of `utbetalinger` of `/v2`."""
    return {
        "beløp": amount,
        "satstype": rate,
        "fraOgMedDato": start,
        "tilOgMedDato": end or start,
        "stønadsdata": {"stønadstype": benefit, **terms},
    }


def dagpenger(start: str, end: str | None = None, amount: int = 640, *, card: str = CARD, **terms: Any) -> Body:
    """An entry of dagpenger."""
    given = {"benefit": "DAGPENGER_ARBEIDSSØKER_ORDINÆR", "meldekortId": card, "fastsattDagsats": 1000, **terms}
    return days(start, end, amount, **given)


def tiltakspenger(start: str, end: str | None = None, amount: int = 298, *, card: str = CARD, **terms: Any) -> Body:
    """An entry of tiltakspenger."""
    given = {"benefit": "ARBEIDSTRENING", "meldekortId": card, "brukersNavKontor": "0311", **terms}
    return days(start, end, amount, **given)


def previous(decision: str, enactment: str | None = None) -> Body:
    """`forrigeIverksetting` of the later forms."""
    return {"behandlingId": decision, "iverksettingId": enactment}


def v2(case: str = "S12", decision: str = "B1", spans: Sequence[Body] = (), *, after: Body | None = None, **members: Any) -> Body:
    """A decision of `/v2`; `members` replace or add members of `vedtak` where it has them, else of the decision."""
    body: Body = {
        "sakId": case,
        "behandlingId": decision,
        "iverksettingId": None,
        "personident": PERSON,
        "vedtak": {
            "vedtakstidspunkt": "2026-05-04T09:00:00",
            "saksbehandlerId": "A100001",
            "beslutterId": "B200002",
            "utbetalinger": [*spans],
        },
        "forrigeIverksetting": after,
    }
    return _with(body, members)


def last(case: str = "S12", decision: str = "B1", spans: Sequence[Body] = (), *, after: Body | None = None, **members: Any) -> Body:
    """A decision of the last form."""
    return v2(case, decision, spans, after=after, **members)


def last_day(start: str, end: str | None = None, amount: int = 640, benefit: str = "DAGPENGER_ARBEIDSSØKER_ORDINÆR", **terms: Any) -> Body:
    """An entry of `utbetalinger` of the last form."""
    return {"beløpPerDag": amount, "fraOgMedDato": start, "tilOgMedDato": end or start, "stønadsdata": {"stønadstype": benefit, **terms}}


def old_day(start: str, end: str | None = None, amount: int = 640, **terms: Any) -> Body:
    """An entry of `utbetalinger` of the first form."""
    return {"belopPerDag": amount, "fraOgMedDato": start, "tilOgMedDato": end or start, **terms}


def old(decision: str, spans: Sequence[Body] = (), *, after: tuple[str, Sequence[Body]] | None = None, **members: Any) -> Body:
    """A decision of the first form: a payment decision that grants, unless `members` say otherwise."""
    body: Body = {
        "saksreferanse": "S900",
        "behandlingId": decision,
        "personIdent": PERSON,
        "vedtak": {
            "vedtakstype": "UTBETALINGSVEDTAK",
            "vedtakstidspunkt": "2026-05-04T09:12:00",
            "resultat": "INNVILGET",
            "saksbehandlerId": "A100001",
            "beslutterId": "B200002",
            "utbetalinger": [*spans],
            "vedtaksperioder": [],
        },
        "forrigeIverksetting": after and {"behandlingId": after[0], "utbetalinger": [*after[1]]},
    }
    return _with(body, members)


def encoded(body: Mapping[str, Any]) -> bytes:
    """A body as it is sent."""
    return json.dumps(body, ensure_ascii=False).encode()


_OF_DECISION = {
    "virkningstidspunkt",
    "maksbeløpPerDag",
    "brukersNavKontor",
    "opphorAarsak",
    "avslagAarsak",
    "tilbakekreving",
    "brevmottakere",
}


def _with(body: Body, members: Mapping[str, Any]) -> Body:
    for name, value in members.items():
        inner = name in body["vedtak"] or name in _OF_DECISION
        (body["vedtak"] if inner else body)[name] = value
    return body
