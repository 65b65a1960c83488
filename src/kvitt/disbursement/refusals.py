"""Every sentence with which a message is refused: status, text, and the page that explains it (helved §2.9).

Texts that a contract prescribes are as prescribed; the others name the field and the rule, and lead to kvitt's own error page.
"""

from collections.abc import Iterable

from kvitt.disbursement.values import Refusal
from kvitt.kernel.identifiers import Flaw

BASE = "https://helved-docs.ansatt.dev.nav.no"
_CREATE = f"{BASE}/async/kom_i_gang/opprett_utbetaling"
_CHANGE = f"{BASE}/async/kom_i_gang/endre_utbetaling"
HISTORISK_FORM = f"{BASE}/async/api#Historisk"

NO_PERIODS = Refusal(400, "Mangler perioder", f"{_CREATE}#mangler-perioder")
ONE_OFF_ACROSS_YEARS = Refusal(400, "Engangsutbetalinger kan ikke strekke seg over årsskifte", f"{_CREATE}#engangs-aarsskifte")
DUPLICATE_PERIODS = Refusal(400, "Kan ikke sende inn duplikate perioder", f"{_CREATE}#duplikate-perioder")
END_BEFORE_START = Refusal(400, "Tom må være >= fom", f"{_CREATE}#ugyldig-periode")
OVERLAP = Refusal(400, "Perioder kan ikke overlappe", f"{_CREATE}#overlappende-perioder")
TOO_LONG = Refusal(400, "Utbetalinger kan ikke strekke seg over 1100 dager", f"{_CREATE}#for-lang-utbetaling")
ZERO_AMOUNT = Refusal(400, "Beløp må være > 0", f"{_CREATE}#ugyldig-belop")
BAD_CASE_ID = Refusal(400, "Sak-ID må være mellom 1 og 30 tegn", f"{_CREATE}#ugyldig-sak-id")
BAD_CASE_ID_OF_CHAINS = Refusal(400, "Sak-ID må være mellom 1 og 25 tegn", f"{_CREATE}#ugyldig-sak-id")
BAD_DECISION_ID = Refusal(400, "Behandling-ID må være mellom 1 og 30 tegn", f"{_CREATE}#ugyldig-behandling-id")
BLANK_AT_ENDS = Refusal(400, "Sak-ID og behandling-ID kan ikke begynne eller slutte med blanke tegn", f"{_CREATE}#ugyldig-sak-id")
BAD_PERSON = Refusal(400, "Feltet personident må være 11 siffer (person) eller 9 siffer (organisasjon)", f"{_CREATE}#ugyldig-personident")
BAD_OFFICE = Refusal(400, "Feltet betalendeEnhet/kostnadssted må være et enhetsnummer på 4 siffer", f"{_CREATE}#ugyldig-enhet")
BAD_CASEWORKER = Refusal(400, "Feltet saksbehandler må være mellom 1 og 8 tegn", f"{_CREATE}#ugyldig-saksbehandler")
BAD_APPROVER = Refusal(400, "Feltet beslutter må være mellom 1 og 8 tegn", f"{_CREATE}#ugyldig-beslutter")
BAD_HOLD_BACK = Refusal(400, "Feltet avvent må ha tom >= fom", f"{_CREATE}#ugyldig-avvent")
NO_REAL_CHANGE = Refusal(409, "Ingen reell endring", f"{_CHANGE}#minimum-changes")
TOO_MANY_LINES = Refusal(400, "Et oppdrag kan ha høyst 5000 linjer; del opp meldingen", f"{_CREATE}#for-mange-linjer")
LINE_NUMBERS_USED_UP = Refusal(409, "Saken har brukt opp linjenumrene sine (0 til 9999), og kan ikke få nye linjer", BASE)
PART_OF_MONTH = Refusal(
    400, "Utbetalinger med satstype MÅNEDLIG må starte den første i måneden og slutte den siste i måneden", f"{_CREATE}#ugyldig-periode"
)
WITHDRAWN = Refusal(409, "Utbetalingen er trukket tilbake før den ble sendt", BASE)
NOT_SIMULATED = Refusal(501, "Utbetalingssystemet kan ikke simulere", BASE)
TOO_MANY_TO_SIMULATE = Refusal(422, "Et oppdrag med over 1400 linjer kan ikke simuleres", BASE)
SIMULATION_UNKNOWN = Refusal(409, "Simuleringen det vises til finnes ikke for saken", BASE)
SIMULATION_STALE = Refusal(409, "Simuleringen det vises til er utdatert; simuler på nytt", BASE)
USED_OTHERWISE = Refusal(409, "Meldingens identitet er brukt før, med et annet innhold", BASE)
NOT_TAKEN_OVER = Refusal(409, "Saken ble ikke overtatt fra systemet før kvitt, og ingen vet hva som utbetales i den", BASE)
REPEATED_PAYMENT = Refusal(400, "Samme utbetaling (id) kan bare forekomme én gang i en melding", f"{_CREATE}#duplikat-id")


def unchangeable(field: str) -> Refusal:
    """A field that a payment keeps for life was changed; `field` is its name on the wire."""
    return Refusal(400, f"Kan ikke endre '{field}'", f"{_CHANGE}#immutable-field")


def pays_in_other_area(other: str, own: str) -> Refusal:
    """A case pays in an area in which its contract posts nothing, so nothing of it could be changed there."""
    return Refusal(409, f"Saken har utbetalinger i fagområde {other}, og vedtak om den føres i {own}", BASE)


_FLAWS = {
    Flaw.EMPTY: "kan ikke være blank",
    Flaw.BLANK_AT_ENDS: "kan ikke begynne eller slutte med blanke tegn",
    Flaw.HIDDEN: "kan ikke ha kontrolltegn eller tegn som ikke vises",
    Flaw.HALF: "kan ikke ha et halvt surrogatpar",
    Flaw.NOT_NFC: "må være i Unicodes normalform C (NFC)",
}


def flawed_id(field: str, flaw: Flaw) -> Refusal:
    """An id that can not be distinguished from another by eye, or does not come through as it is; `field` is its name on the wire."""
    return Refusal(400, f"Feltet {field} {_FLAWS[flaw]}", _page_of(field))


def long_id(field: str, most: int) -> Refusal:
    """An id that is longer than its field; `field` is its name on the wire, `most` characters it may have."""
    return Refusal(400, f"Feltet {field} må være høyst {most} tegn", _page_of(field))


def _page_of(field: str) -> str:
    """The page that explains an id: ids of cases and decisions have places of their own on it."""
    place = {"sakId": "#ugyldig-sak-id", "behandlingId": "#ugyldig-behandling-id"}
    return f"{_CREATE}{place.get(field, '')}"


def rule_of(flaw: Flaw) -> str:
    """The rule that an id breaks, as the half of a sentence behind the field's name."""
    return _FLAWS[flaw]


def simulated_otherwise(parts: Iterable[str]) -> Refusal:
    """The rail would do something else now than an approver saw; the parts say what it would have done, and what it would do."""
    return Refusal(409, f"Oppdragssystemet svarer nå noe annet enn simuleringen det vises til: {'; '.join(parts)}", BASE)


def owned_by_another(owner: str) -> Refusal:
    """A message for a case that another contract opened, and that is changed through that one alone."""
    return Refusal(409, f"Saken hører til kontrakten {owner}, og kan bare endres gjennom den", BASE)


def nothing_to_cease(payment_id: str) -> Refusal:
    """A cessation of a payment that was never accepted."""
    return Refusal(404, f"previous utbetaling for {payment_id}", BASE)


def daily_rate_unsupported(scheme: str, doc: str = BASE) -> Refusal:
    """The rate type for all seven days, sent for a scheme that has none; historisk alone has a page that says so."""
    return Refusal(400, f"periodetype 'DAG' for {scheme} er ikke implementert", doc)


def not_in_umbrella_area(benefit: str, allowed: Iterable[str]) -> Refusal:
    """A benefit that may not be posted in the umbrella area was sent with `brukFagområdeTillst`."""
    listed = ", ".join(allowed)
    return Refusal(400, f"Fant stønadstype {benefit} ved bruk av fagområde TILLST. Tillater bare en av: [{listed}]", BASE)


def no_class_code(benefit: str) -> Refusal:
    """A benefit that the catalogue only knows for reading old payments."""
    return Refusal(400, f"Stønad {benefit} har ingen klassekode og kan ikke utbetales", f"{_CREATE}#mangler-klassekode")
