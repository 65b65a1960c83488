"""A broken rule is answered by the contract's words, changes nothing, and blocks nobody (helved §2.9, design §12)."""

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import uuid4

import pytest

from kvitt.disbursement.values import Scheme
from support.hub_messages import FORTNIGHT, OTHER_PERSON, PLAIN, Json, aap, dp, historisk, payment_uid, text, tp, ts, ts_payment, valp
from support.whole_way import Way, whole_way

DP, AAP, TS, TP, HIST, VALP = (
    Scheme.DAGPENGER,
    Scheme.AAP,
    Scheme.TILLEGGSSTONADER,
    Scheme.TILTAKSPENGER,
    Scheme.HISTORISK,
    Scheme.VALP,
)


class Rule(NamedTuple):
    """A message that breaks a rule: how it is made for a case, and the status, words and page (in part) of its refusal."""

    what: str
    scheme: Scheme
    body: Callable[[str], Json]
    code: int
    words: str
    page: str


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    with whole_way() as made:
        yield made


def ts_spans(*days: tuple[str, str, int], rate: str = "UKEDAG") -> Callable[[str], Json]:
    entries = [{"fom": start, "tom": end, "beløp": amount} for start, end, amount in days]
    return lambda case: ts(case, {**ts_payment(payment_uid(case)), "perioder": entries}, rate=rate)


def aap_entry(**fields: object) -> Callable[[str], Json]:
    entry = {"fom": "2026-06-01", "tom": "2026-06-12", "sats": 1000, "utbetaltBeløp": 500}
    return lambda case: aap(case, utbetalinger=[{"id": payment_uid(case), **entry, **fields}])


def two(case: str) -> Json:
    return ts(case, ts_payment(payment_uid(case)), ts_payment(payment_uid(case)))


CREATE = "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/opprett_utbetaling"
ID30, ID31 = "S" * 30, "S" * 31
RULES = [
    Rule(*row)
    for row in (
        ("from after to", AAP, aap_entry(fom="2026-06-13"), 400, "Tom må være >= fom", "#ugyldig-periode"),
        ("from after to, weekly", TS, ts_spans(("2026-06-05", "2026-06-01", 5)), 400, "Tom må være >= fom", "#ugyldig-periode"),
        (
            "from after to, tp",
            TP,
            lambda c: tp(c, perioder=[{**_tp_entry(), "fom": "2026-06-13"}]),
            400,
            "Tom må være >= fom",
            "#ugyldig-periode",
        ),
        ("from after to, valp", VALP, lambda c: valp(c, periode={"fom": "2026-06-02", "tom": "2026-06-01"}), 400, "Tom må være >= fom", ""),
        ("overlap", TS, ts_spans(("2026-06-01", "2026-06-05", 5), ("2026-06-04", "2026-06-09", 6)), 400, "Perioder kan ikke overlappe", ""),
        (
            "overlap of one-off amounts",
            TS,
            ts_spans(("2026-06-01", "2026-06-05", 5), ("2026-06-04", "2026-06-09", 6), rate="EN_GANG"),
            400,
            "Perioder kan ikke overlappe",
            "",
        ),
        (
            "twice from",
            TS,
            ts_spans(("2026-06-01", "2026-06-05", 5), ("2026-06-01", "2026-06-09", 6)),
            400,
            "Kan ikke sende inn duplikate perioder",
            "",
        ),
        (
            "twice to",
            TS,
            ts_spans(("2026-06-01", "2026-06-05", 5), ("2026-06-03", "2026-06-05", 6)),
            400,
            "Kan ikke sende inn duplikate perioder",
            "",
        ),
        (
            "1101 days",
            TS,
            ts_spans(("2023-01-01", "2026-01-05", 5)),
            400,
            "Utbetalinger kan ikke strekke seg over 1100 dager",
            "#for-lang-utbetaling",
        ),
        (
            "1101 days in two periods",
            TS,
            ts_spans(("2026-01-05", "2026-01-05", 5), ("2023-01-01", "2023-01-01", 5)),
            400,
            "Utbetalinger kan ikke strekke seg over 1100 dager",
            "",
        ),
        ("nothing a day", TS, ts_spans(("2026-06-01", "2026-06-05", 0)), 400, "Beløp må være > 0", "#ugyldig-belop"),
        ("nothing among something", TP, lambda c: tp(c, 0), 400, "Beløp må være > 0", "#ugyldig-belop"),
        ("nothing once", HIST, lambda c: historisk(c, 0), 400, "Beløp må være > 0", "#ugyldig-belop"),
        (
            "a one-off across the year",
            HIST,
            lambda c: historisk(c, perioder=[{"fom": "2025-12-31", "tom": "2026-01-01", "beløp": 1}]),
            400,
            "Engangsutbetalinger kan ikke strekke seg over årsskifte",
            "#engangs-aarsskifte",
        ),
        ("31 characters of case", DP, lambda _: dp(ID31), 400, "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
        ("1 MB of case", DP, lambda _: dp("S" * 1_000_000), 400, "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
        ("no characters of case", AAP, lambda _: aap("", uid=str(uuid4())), 400, "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
        ("blanks for a case", TP, lambda _: tp("   "), 400, "Sak-ID må være mellom 1 og 30 tegn", "#ugyldig-sak-id"),
        ("a case with a blank behind", DP, lambda c: dp(f"{c} "), 400, "Sak-ID og behandling-ID kan ikke begynne eller slutte med", ""),
        ("a case with a mark before", DP, lambda c: dp(f"\ufeff{c}"), 400, "Sak-ID og behandling-ID kan ikke begynne eller slutte med", ""),
        (
            "31 characters of decision",
            DP,
            lambda c: dp(c, behandlingId=ID31),
            400,
            "Behandling-ID må være mellom 1 og 30 tegn",
            "#ugyldig-behandling-id",
        ),
        ("1 MB of decision", TS, lambda c: ts(c, behandlingId="B" * 1_000_000), 400, "Behandling-ID må være mellom 1 og 30 tegn", ""),
        ("no characters of decision", TS, lambda c: ts(c, behandlingId=""), 400, "Behandling-ID må være mellom 1 og 30 tegn", ""),
        ("letters for a person", DP, lambda c: dp(c, ident="0102032234X"), 400, "Feltet personident må være 11 siffer (person)", ""),
        ("1 MB of person", AAP, lambda c: aap(c, ident="1" * 1_000_000), 400, "Feltet personident må være 11 siffer (person)", ""),
        ("foreign digits for a person", DP, lambda c: dp(c, ident="٠١٠٢٠٣٢٢٣٤٥"), 400, "Feltet personident må være 11 siffer (person)", ""),
        ("a long caseworker", DP, lambda c: dp(c, saksbehandler="Z90000001"), 400, "Feltet saksbehandler må være mellom 1 og 8 tegn", ""),
        ("an empty approver", DP, lambda c: dp(c, beslutter=""), 400, "Feltet beslutter må være mellom 1 og 8 tegn", ""),
        ("an office of letters", VALP, lambda c: valp(c, kostnadssted="NAV"), 400, "Feltet betalendeEnhet/kostnadssted må være", ""),
        (
            "a hold-back that ends before it starts",
            AAP,
            lambda c: aap(c, avvent={"fom": "2026-06-05", "tom": "2026-06-01"}),
            400,
            "Feltet avvent",
            "",
        ),
        ("one payment twice", TS, two, 400, "Samme utbetaling (id) kan bare forekomme én gang", ""),
        ("a daily rate", TS, lambda c: ts(c, rate="DAG"), 400, "periodetype 'DAG' for tilleggsstønader er ikke implementert", ""),
        (
            "a daily rate of old",
            HIST,
            lambda c: historisk(c, periodetype="DAG"),
            400,
            "periodetype 'DAG' for historisk er ikke implementert",
            "",
        ),
        (
            "a benefit without class code",
            TS,
            lambda c: ts(c, ts_payment(payment_uid(c), benefit="FLYTTING_AAP")),
            400,
            "Stønad FLYTTING_AAP har",
            "",
        ),
        (
            "the umbrella area for a benefit that may not",
            TS,
            lambda c: ts(c, {**ts_payment(payment_uid(c), benefit="DAGLIG_REISE_AAP"), "brukFagområdeTillst": True}),
            400,
            "Fant stønadstype DAGLIG_REISE_AAP ved bruk av fagområde TILLST. Tillater bare en av: [TILSYN_BARN_ENSLIG_FORSØRGER, ",
            "",
        ),
        ("a cessation of nothing", TS, lambda c: ts(c, ts_payment(payment_uid(c), spans=())), 404, "previous utbetaling for ", ""),
        ("a cessation of nothing old", HIST, lambda c: historisk(c, perioder=[]), 404, "previous utbetaling for ", ""),
        ("a grant of nothing", VALP, lambda c: valp(c, 0), 404, "previous utbetaling for ", ""),
    )
]


def _tp_entry() -> Json:
    return {"meldeperiode": FORTNIGHT, "fom": "2026-06-01", "tom": "2026-06-12", "beløp": 285, "stønad": "ARBEIDSTRENING"}


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.what) for rule in RULES])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_broken_rule_is_reported_by_the_contracts_words(way: Way, rule: Rule, dry_run: bool) -> None:
    case = way.case()
    answer = way.refused(rule.scheme, {**rule.body(case), "dryrun": dry_run})
    assert answer.error
    assert (answer.error.status, answer.error.text[: len(rule.words)], answer.error.system) == (rule.code, rule.words, "HELVED")
    assert rule.page in answer.error.doc
    assert answer.dry_run is dry_run
    assert answer.details is None
    assert way.orders(case) == 0


def test_the_first_broken_rule_is_reported(way: Way) -> None:
    case = way.case()
    body = ts_spans(("2026-06-01", "2026-06-05", 0), ("2026-06-01", "2026-06-09", 6))(case)
    error = way.refused(TS, {**body, "behandlingId": ID31, "personident": "x"}).error
    assert error
    assert error.text == "Kan ikke sende inn duplikate perioder"


@pytest.mark.parametrize("scheme", list(PLAIN))
def test_ids_of_30_characters_are_served(way: Way, scheme: Scheme) -> None:
    way.accepted(scheme, PLAIN[scheme]((way.case() + ID30)[:30], behandlingId="B" * 30))


LOCKED: list[tuple[str, Scheme, Callable[[str], Json], str]] = [
    ("another person", DP, lambda c: dp(c, 7, ident=OTHER_PERSON), "personident"),
    ("another person, whole case empty", AAP, lambda c: aap(c, ident=OTHER_PERSON, utbetalinger=[]), "personident"),
    ("another person for another payment", TS, lambda c: ts(c, ts_payment(str(uuid4())), personident=OTHER_PERSON), "personident"),
    ("another rate type", TS, lambda c: ts(c, rate="MND"), "periodetype"),
    ("another benefit", TS, lambda c: ts(c, ts_payment(payment_uid(c), 7, benefit="TILSYN_BARN_ETTERLATTE")), "stønad"),
    ("another old benefit", HIST, lambda c: historisk(c, 7, benefit="PARYKK"), "stønad"),
    ("another grant", VALP, lambda c: valp(c, 7, tilskuddstype="STUDIEREISE"), "stønad"),
    ("a cessation for another person", TS, lambda c: ts(c, ts_payment(payment_uid(c), spans=()), personident=OTHER_PERSON), "personident"),
]


@pytest.mark.parametrize(("scheme", "changed", "field"), [pytest.param(*rest, id=name) for name, *rest in LOCKED])
def test_what_belongs_to_a_payment_for_life_can_not_be_changed(
    way: Way, scheme: Scheme, changed: Callable[[str], Json], field: str
) -> None:
    case = way.case()
    way.accepted(scheme, PLAIN[scheme](case))
    error = way.refused(scheme, changed(case)).error
    assert error
    assert (error.status, error.text) == (400, f"Kan ikke endre '{field}'")
    assert error.doc.endswith("/async/kom_i_gang/endre_utbetaling#immutable-field")
    way.accepted(scheme, PLAIN[scheme](case))


@pytest.mark.parametrize("scheme", [AAP, TS, HIST, VALP])
def test_a_payment_id_of_another_case_is_refused(way: Way, scheme: Scheme) -> None:
    owner, other = way.case(), way.case()
    way.accepted(scheme, PLAIN[scheme](owner))
    stolen = json.loads(text(PLAIN[scheme](other)).replace(payment_uid(other).encode(), payment_uid(owner).encode()))
    error = way.refused(scheme, stolen).error
    assert error
    assert (error.status, error.text) == (400, "Kan ikke endre 'sakId'")


def test_an_office_alone_is_no_change(way: Way) -> None:
    case = way.case()
    way.accepted(TP, tp(case))
    error = way.refused(TP, tp(case, perioder=[{**_tp_entry(), "betalendeEnhet": "0315"}])).error
    assert error
    assert (error.status, error.text) == (409, "Ingen reell endring")
