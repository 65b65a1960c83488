"""Tables of the REST contracts as cases: bodies, and what each is answered (iverksetting §1.5, §3.3, §3.4)."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from kvitt.contracts.iverksetting.decision import DecisionForm
from kvitt.disbursement.values import Scheme
from support.iverksetting_bodies import Body, dagpenger, days, last, last_day, old, old_day, previous, tiltakspenger, v2
from support.single_payments import days as single_days
from support.single_payments import single, span, supplement

TS, DP, TP = Scheme.TILLEGGSSTONADER, Scheme.DAGPENGER, Scheme.TILTAKSPENGER
FIRST, LAST, V2 = DecisionForm.FIRST, DecisionForm.LAST, DecisionForm.V2
DECISION = str(uuid5(NAMESPACE_URL, "decision"))
IDS_OF_CURRENT = "IverksettingId er satt for nåværende iverksetting, men ikke forrige iverksetting"
IDS_OF_PREVIOUS = "IverksettingId er satt for forrige iverksetting, men ikke nåværende iverksetting"
MONTHS = "Det finnes utbetalinger med månedssats der periodene ikke samsvarer med hele måneder"
OVERLAP = "Utbetalinger inneholder perioder som overlapper i tid"
BEFORE = "Utbetalinger inneholder perioder der tilOgMedDato er før fraOgMedDato"
WHOLE = "Utbetalinger med satstype MÅNEDLIG må starte den første i måneden og slutte den siste i måneden"
MAY = ("2026-05-01", "2026-05-31")


def day(start: str = "2026-05-04", end: str | None = None, amount: int = 640, **terms: Any) -> Body:
    return days(start, end, amount, **terms)


BROKEN: list[tuple[DecisionForm, Scheme, Body, str, str | None]] = [
    (V2, TS, v2(case=""), "Sak-ID må være mellom 1 og 25 tegn", "SakId må være mellom 1 og 25 tegn lang"),
    (V2, TS, v2(case="S" * 26), "Sak-ID må være mellom 1 og 25 tegn", "SakId må være mellom 1 og 25 tegn lang"),
    (V2, TS, v2(decision=""), "Behandling-ID må være mellom 1 og 30 tegn", "BehandlingId må være mellom 1 og 30 tegn lang"),
    (V2, TS, v2(decision="B" * 31), "Behandling-ID må være mellom 1 og 30 tegn", "BehandlingId må være mellom 1 og 30 tegn lang"),
    (V2, TS, v2(spans=[day("2026-05-04", "2026-05-03")]), "Tom må være >= fom", BEFORE),
    (V2, TS, v2(spans=[day("2026-05-04", "2026-05-08"), day("2026-05-08")]), OVERLAP, None),
    (V2, TS, v2(spans=[day("2026-05-08"), day("2026-05-04", "2026-05-08")]), OVERLAP, None),
    (V2, TS, v2(spans=[day("2026-05-01", "2026-05-30", rate="MÅNEDLIG")]), MONTHS, None),
    (V2, TS, v2(spans=[day(*MAY, rate="MÅNEDLIG"), day("2026-06-01")]), MONTHS, None),
    (V2, TS, v2(iverksettingId="i", after=previous("B0")), IDS_OF_CURRENT, None),
    (V2, TS, v2(after=previous("B0", "i")), IDS_OF_PREVIOUS, None),
    (
        V2,
        DP,
        v2(spans=[dagpenger("2026-05-04", benefit="DAGPENGER_EØS", ferietillegg="AVDØD")]),
        "Ferietillegg til avdød er ikke tillatt for stønadstypen DAGPENGER_EØS",
        None,
    ),
    (V2, TS, v2(spans=[day(amount=0)]), "Beløp må være > 0", None),
    (V2, TS, v2(spans=[day(), day("2026-06-02", "2026-06-30", rate="MÅNEDLIG")]), WHOLE, None),
    (V2, TS, v2(spans=[day("2026-05-04", "2026-05-05", rate="ENGANGS")]), "Engangsutbetalinger må ha samme fom og tom", None),
    (V2, DP, v2(spans=[day()]), "Stønadstypen TILSYN_BARN_AAP hører ikke til fagsystemet DAGPENGER", None),
    (V2, TS, v2(case="S\u200b12"), "Feltet sakId kan ikke ha kontrolltegn eller tegn som ikke vises", None),
    (V2, TS, v2(case=" S12"), "Sak-ID og behandling-ID kan ikke begynne eller slutte med blanke tegn", None),
    (V2, TS, v2(iverksettingId=" "), "Feltet iverksettingId kan ikke være blank", None),
    (V2, TP, v2(spans=[tiltakspenger("2026-05-04", card=" ")]), "Feltet meldekortId kan ikke være blank", None),
    (V2, TS, v2(saksbehandlerId="A10000001"), "Feltet saksbehandler må være mellom 1 og 8 tegn", None),
    (V2, TS, v2(beslutterId=" "), "Feltet beslutter må være mellom 1 og 8 tegn", None),
    (LAST, DP, last(case="S" * 26), "Sak-ID må være mellom 1 og 25 tegn", "SakId må være mellom 1 og 25 tegn lang"),
    (LAST, DP, last(spans=[last_day("2024-05-06", amount=0)]), "Det finnes utbetalinger som ikke har positivt belopPerDag", None),
    (
        LAST,
        DP,
        last(spans=[last_day("2024-05-06", amount=5000)]),
        "Det finnes utbetalinger med beløp over maksgrensen på 5000 kr per dag",
        None,
    ),
    (
        LAST,
        TP,
        last(spans=[last_day("2024-05-06", benefit="JOBBKLUBB")]),
        "Brukers NAV-kontor må være satt på vedtaket for tiltakspenger",
        None,
    ),
    (LAST, TS, last(spans=[day(), day("2024-05-02", "2024-05-31", rate="MÅNEDLIG")]), WHOLE, None),
    (FIRST, DP, old(DECISION), "Kan ikke ha iverksetting av utbetalingsvedtak uten utbetalinger", None),
    (
        FIRST,
        DP,
        old(DECISION, [old_day("2023-08-21")], resultat="AVSLÅTT"),
        "Kan ikke ha iverksetting med utbetalinger når vedtaket er avslått",
        None,
    ),
    (FIRST, DP, old(DECISION, [old_day("2023-08-21", "2023-08-20")]), "Tom må være >= fom", BEFORE),
    (
        FIRST,
        DP,
        old(DECISION, [old_day("2023-08-21", "2023-08-25"), old_day("2023-08-25", stonadstype="DAGPENGER_EOS")]),
        OVERLAP,
        None,
    ),
    (FIRST, DP, old(DECISION, [old_day("2023-08-21", amount=0)]), "Det finnes utbetalinger som ikke har positivt belopPerDag", None),
    (FIRST, DP, old(DECISION, [old_day("2023-08-21", amount=-5)]), "Det finnes utbetalinger som ikke har positivt belopPerDag", None),
    (
        FIRST,
        DP,
        old(DECISION, [old_day("2023-08-21", amount=5000)]),
        "Det finnes utbetalinger med beløp over maksgrensen på 5000 kr per dag",
        None,
    ),
    (
        FIRST,
        DP,
        old(DECISION, [old_day("2023-08-21", stonadstype="DAGPENGER_EOS", ferietillegg="AVDOD")]),
        "Ferietillegg til avdød er ikke tillatt for stønadstypen DAGPENGER_EØS",
        None,
    ),
    (FIRST, DP, old(DECISION, [old_day("2023-08-21")], personIdent="1"), "Feltet personident må være 11 siffer", None),
]
"""Form, scheme, body, and the text of today and of 2024, None where it is the same: every rule of a decision by itself."""

_CREATE = "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/opprett_utbetaling"
_LONG = "S" * 31
_DAY = span("2026-06-01")
BROKEN_PAYMENTS: list[tuple[Body, str, str]] = [
    (single(), "Mangler perioder", f"{_CREATE}#mangler-perioder"),
    (
        supplement(span("2026-12-30", "2027-01-02"), kind="EN_GANG"),
        "Engangsutbetalinger kan ikke strekke seg over årsskifte",
        f"{_CREATE}#engangs-aarsskifte",
    ),
    (single(_DAY, _DAY), "Kan ikke sende inn duplikate perioder", f"{_CREATE}#duplikate-perioder"),
    (
        single(span("2026-06-01", "2026-06-05"), span("2026-06-02", "2026-06-05")),
        "Kan ikke sende inn duplikate perioder",
        f"{_CREATE}#duplikate-perioder",
    ),
    (single(span("2026-06-02", "2026-06-01")), "Tom må være >= fom", f"{_CREATE}#ugyldig-periode"),
    (supplement(span("2026-06-01", fastsattDagsats=900)), "reservert felt for Dagpenger og AAP", "opprett_en_utbetaling"),
    (single(span("2026-06-01", "2026-06-02")), "inkonsistens blant datoene i periodene.", "opprett_en_utbetaling"),
    (single(span("2026-06-06")), "inkonsistens blant datoene i periodene.", "opprett_en_utbetaling"),
    (single(span("2026-06-01", "2026-06-02"), kind="DAG"), "inkonsistens blant datoene i periodene.", "opprett_en_utbetaling"),
    (single(span("2026-06-01", "2026-07-31"), kind="MND"), "inkonsistens blant datoene i periodene.", "opprett_en_utbetaling"),
    (single(span("2026-06-01", "2026-06-29"), kind="MND"), "inkonsistens blant datoene i periodene.", "opprett_en_utbetaling"),
    (
        single(span("2023-01-02"), span("2026-01-07")),
        "Utbetalinger kan ikke strekke seg over 1100 dager",
        f"{_CREATE}#for-lang-utbetaling",
    ),
    (single(span("2026-06-01", amount=0)), "Beløp må være > 0", f"{_CREATE}#ugyldig-belop"),
    (single(_DAY, sakId=_LONG), "Sak-ID må være mellom 1 og 30 tegn", f"{_CREATE}#ugyldig-sak-id"),
    (single(_DAY, behandlingId=_LONG), "Behandling-ID må være mellom 1 og 30 tegn", f"{_CREATE}#ugyldig-behandling-id"),
]
"""A payment that breaks a rule by itself, with text and page."""
JOINED: list[tuple[str, list[Body], list[tuple[str, str, int]]]] = [
    ("UKEDAG", [span(f"2026-07-0{day}", amount=90) for day in (6, 2, 3)], [("2026-07-02", "2026-07-06", 90)]),
    ("DAG", single_days(1, 5), [("2026-06-01", "2026-06-05", 640)]),
    ("DAG", [*single_days(1, 1), *single_days(3, 3)], [("2026-06-01", "2026-06-01", 640), ("2026-06-03", "2026-06-03", 640)]),
    (
        "MND",
        [span("2026-04-01", "2026-04-30", 7600), span("2026-05-01", "2026-05-31", 7600)],
        [("2026-04-01", "2026-05-31", 7600)],
    ),
]
"""Kind of a payment, its periods as they are given, and as they are joined."""
