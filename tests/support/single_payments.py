"""Bodies of single payments as callers write them, plain ones to vary by hand and arbitrary ones of every period type."""

import json
from datetime import date, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from kvitt.contracts.utbetalinger.shapes import last_of_month

PERSON: Final = "01820390012"
UID: Final = "5d0c2e9e-1111-4222-8333-444455556666"
Body = dict[str, Any]


def span(start: str, end: str | None = None, amount: int = 940, **others: object) -> Body:
    """An entry of `perioder`; one day unless it ends elsewhere."""
    return {"fom": start, "tom": end or start, "beløp": amount, **others}


def days(first: int, last: int, amount: int = 640, *, month: str = "2026-06", weekends: bool = True, **others: object) -> list[Body]:
    """A day of a month each, from one to another."""
    each = [date.fromisoformat(f"{month}-{day:02d}") for day in range(first, last + 1)]
    return [span(day.isoformat(), amount=amount, **others) for day in each if weekends or day.weekday() < 5]


def single(*spans: Body, kind: str = "UKEDAG", **others: object) -> Body:
    """A payment, of AAP unless said otherwise."""
    return {
        "sakId": "AAP-81020",
        "behandlingId": "44",
        "personident": PERSON,
        "vedtakstidspunkt": "2026-06-15T09:00:00",
        "stønad": "AAP_UNDER_ARBEIDSAVKLARING",
        "beslutterId": "B200002",
        "saksbehandlerId": "A100001",
        "periodeType": kind,
        "perioder": list(spans),
        "avvent": None,
        **others,
    }


def supplement(*spans: Body, kind: str = "DAG", **others: object) -> Body:
    """A payment of tilleggsstønader, which has no decided rate."""
    return single(*spans, kind=kind, **{"sakId": "TS-70412", "stønad": "TILSYN_BARN_AAP", **others})


def text(body: object) -> bytes:
    """A body as bytes."""
    return json.dumps(body, ensure_ascii=False).encode()


_FIRST: Final = date(2026, 1, 1)
_amounts = st.sampled_from([500, 640, 710])
_offices = st.sampled_from([None, "4488"])


@st.composite
def spans_of(draw: st.DrawFn, kind: str) -> list[Body]:
    """Lawful periods of a type, in any order."""
    if kind == "EN_GANG":
        made = draw(_one_offs())
    elif kind == "MND":
        months = draw(st.sets(st.integers(1, 12), min_size=1, max_size=6))
        starts = [date(2026, month, 1) for month in sorted(months)]
        made = [
            span(start.isoformat(), last_of_month(start).isoformat(), draw(_amounts), betalendeEnhet=draw(_offices)) for start in starts
        ]
    else:
        chosen = [_FIRST + timedelta(days=number) for number in sorted(draw(st.sets(st.integers(0, 30), min_size=1, max_size=12)))]
        kept = [day for day in chosen if kind == "DAG" or day.weekday() < 5] or [_FIRST]
        made = [span(day.isoformat(), amount=draw(_amounts), betalendeEnhet=draw(_offices)) for day in kept]
    return draw(st.permutations(made))


@st.composite
def _one_offs(draw: st.DrawFn) -> list[Body]:
    """Single amounts of some days each, with a day between them."""
    made, day = [], _FIRST
    for _ in range(draw(st.integers(1, 4))):
        start = day + timedelta(days=draw(st.integers(1, 9)))
        end = start + timedelta(days=draw(st.integers(0, 20)))
        made.append(span(start.isoformat(), end.isoformat(), draw(_amounts), betalendeEnhet=draw(_offices)))
        day = end + timedelta(days=1)
    return made


def person_of(uid: str) -> str:
    """A person who has this payment's case alone."""
    return f"{int(uid[-8:], 16):011d}"
