"""Texts and codes of refusals in each generation of the service (iverksetting §1.2, §1.5, §1.9).

The third one's codes are those that the design has (design §12); each older one's are its own where a setting lets it answer.
"""

import re
from typing import Final

from msgspec import Struct

from kvitt.contracts.iverksetting.decision import Generation
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Refusal
from kvitt.errors import Undecodable
from kvitt.formats.json_members import REPEATED

CREATE_PAGE: Final = f"{BASE}/async/kom_i_gang/opprett_utbetaling"
_INDEX: Final = re.compile(r"\[\d+\]")
_BAD_REQUEST, _CONFLICT, _LOCKED = 400, 409, 423


class Wording(Struct, frozen=True):
    """The words in which each generation refuses what breaks one rule, with its code; braces stand for ids.

    What a generation has no words for is said in those of the next one.
    """

    third: str
    second: str | None = None
    first: str | None = None
    anchor: str = ""
    status: int = _BAD_REQUEST
    second_status: int | None = None
    first_status: int | None = None

    def refusal(self, generation: Generation, **ids: object) -> Refusal:
        """The refusal as a generation words it."""
        text, status = self.third, self.status
        if generation is not Generation.THIRD:
            text, status = self.second or text, self.second_status or status
        if generation is Generation.FIRST:
            text, status = self.first or text, self.first_status or status
        return Refusal(status, text.format(**{name: "null" if value is None else value for name, value in ids.items()}), self._page())

    def _page(self) -> str:
        return f"{CREATE_PAGE}#{self.anchor}" if self.anchor else CREATE_PAGE


NOT_READ: Final = "Klarte ikke lese request body. Sjekk at du ikke mangler noen felter"
_NOT_READ_BEFORE: Final = "Klarte ikke deserialisere request"

CASE_UNNAMED: Final = Wording("SakIdentifikator må ha enten sakId eller saksreferanse", anchor="ugyldig-sak-id")
REFERENCE_EMPTY: Final = Wording("saksreferanse kan ikke være en tom streng", anchor="ugyldig-sak-id")
REFERENCE_TOO_LONG: Final = Wording("saksreferanse kan ikke være mer enn 20 tegn", anchor="ugyldig-sak-id")

CASE_ID_LENGTH: Final = Wording(
    "Sak-ID må være mellom 1 og 25 tegn", second="SakId må være mellom 1 og 25 tegn lang", anchor="ugyldig-sak-id"
)
DECISION_ID_LENGTH: Final = Wording(
    "Behandling-ID må være mellom 1 og 30 tegn", second="BehandlingId må være mellom 1 og 30 tegn lang", anchor="ugyldig-behandling-id"
)
ENDS_BEFORE: Final = Wording(
    "Tom må være >= fom",
    second="Utbetalinger inneholder perioder der tilOgMedDato er før fraOgMedDato",
    anchor="ugyldig-periode",
)
OVERLAPS: Final = Wording("Utbetalinger inneholder perioder som overlapper i tid", anchor="overlappende-perioder")
NOT_WHOLE_MONTHS: Final = Wording("Det finnes utbetalinger med månedssats der periodene ikke samsvarer med hele måneder")
ONLY_CURRENT_HAS_ID: Final = Wording("IverksettingId er satt for nåværende iverksetting, men ikke forrige iverksetting")
ONLY_PREVIOUS_HAS_ID: Final = Wording("IverksettingId er satt for forrige iverksetting, men ikke nåværende iverksetting")
HOLIDAY_OF_DECEASED: Final = Wording(
    "Ferietillegg til avdød er ikke tillatt for stønadstypen DAGPENGER_EØS",
    first="Ferietillegg til avdød er ikke tillatt for stønadstypen DAGPENGER_EOS",
)
GRANTED_WITHOUT_SPANS: Final = Wording("Kan ikke ha iverksetting av utbetalingsvedtak uten utbetalinger")
REFUSED_WITH_SPANS: Final = Wording("Kan ikke ha iverksetting med utbetalinger når vedtaket er avslått")
NOT_POSITIVE: Final = Wording("Det finnes utbetalinger som ikke har positivt belopPerDag", anchor="ugyldig-belop")
OVER_CAP: Final = Wording("Det finnes utbetalinger med beløp over maksgrensen på 5000 kr per dag", anchor="ugyldig-belop")
OFFICE_MISSING: Final = Wording("Brukers NAV-kontor må være satt på vedtaket for tiltakspenger", anchor="ugyldig-enhet")
ZERO_AMOUNT_OF_SPAN: Final = Wording("Beløp må være > 0", anchor="ugyldig-belop")
PARTIAL_MONTH: Final = Wording("Utbetalinger med satstype MÅNEDLIG må starte den første i måneden og slutte den siste i måneden")
SEVERAL_DAYS: Final = Wording("Engangsutbetalinger må ha samme fom og tom")

RECEIVED_ALREADY: Final = Wording(
    "Iverksettingen er allerede mottatt",
    second="Iverksetting for fagsystem {scheme}, sak {case}, behandling {decision}, iverksettingId {enactment} er allerede mottatt",
    first="Behandling med id {decision} er allerede mottattt",
    status=_CONFLICT,
)
USED_BY_ANOTHER: Final = Wording(
    "Iverksettingen er allerede mottatt, med et annet innhold i: {fields}",
    second="Iverksetting for fagsystem {scheme}, sak {case}, behandling {decision}, iverksettingId {enactment} er allerede mottatt, "
    "med et annet innhold i: {fields}",
    first="Behandling med id {decision} er allerede mottattt, med et annet innhold i: {fields}",
    status=_CONFLICT,
)
PREVIOUS_UNKNOWN: Final = Wording(
    "Fant ikke iverksetting med sakId {case} og behandlingId {previous} og iverksettingId {previous_enactment}",
    second="Fant ikke forrige iverksetting med behandlingId {decision} og forrige behandlingId {previous} for fagsystem {scheme}",
    first="Forrige behandling med id {previous} er ikke mottatt for iverksetting",
    second_status=_CONFLICT,
    first_status=_BAD_REQUEST,
)
PREVIOUS_NOT_LATEST: Final = Wording(
    "Forrige iverksetting stemmer ikke med siste mottatte iverksetting på saken. BehandlingId/IverksettingId forrige iverksetting: "
    "{previous}/{previous_enactment}, behandlingId/iverksettingId siste mottatte iverksetting: {latest}/{latest_enactment}"
)
NOTHING_RECEIVED: Final = Wording(
    "Det er ikke registrert noen tidligere iverksettinger på saken, men forrigeIverksetting er satt til behandling "
    "{previous}/iverksetting {previous_enactment}"
)
OTHER_CASE: Final = Wording(
    "Forrige iverksetting er knyttet til en annen sak enn denne iverksettingen gjelder. SakId forrige iverksetting: {other}, "
    "sakId nåværende iverksetting: {case}",
    first="Forrige behandling er knyttet til en annen sak enn denne iverksettingen gjelder",
)
OTHER_PERSON: Final = Wording("Forrige behandling er knyttet til en annen person enn denne iverksettingen gjelder")
NOT_CONSISTENT: Final = Wording("Mottatt og faktisk forrige iverksatting er ikke konsistente")
NOT_FINISHED: Final = Wording(
    "Forrige iverksetting er ikke ferdig iverksatt mot Oppdragssystemet",
    first="Forrige iverksetting er ikke ferdig håndtert mhp oppdrag",
    status=_LOCKED,
    second_status=_CONFLICT,
)
NOT_TO_BE_SIMULATED: Final = Wording(
    "Forrige iverksetting er ikke ferdig iverksatt mot Oppdragssystemet, eller har ikke blitt iverksatt enda",
    second="Forrige iverksetting er ikke ferdig iverksatt mot Oppdragssystemet",
    status=_CONFLICT,
)
NO_FRAME_YET: Final = Wording("Stønadsmottaker har ikke iverksatt rammevedtak", status=_CONFLICT)
SCHEME_STOPPED: Final = Wording("Iverksetting er skrudd av for fagsystem {scheme}", status=503)
OTHER_SCHEME: Final = Wording("Stønadstypen {benefit} hører ikke til fagsystemet {scheme}", status=403)
STATUS_UNKNOWN: Final = Wording("Fant ikke status utbetaling med sakId {case} og behandlingId {decision}", status=404)
STATUS_UNKNOWN_OF_THREE: Final = Wording(
    "Fant ikke status utbetaling med sakId {case}, behandlingId {decision} og iverksettingId {enactment}", status=404
)


def unreadable(broken: Undecodable, generation: Generation) -> Refusal:
    """The refusal of a body that is not what its form says. The third generation has one text for all of them (iverksetting §1.13)."""
    if broken.rule == REPEATED:
        return Refusal(_BAD_REQUEST, f"Feltet {broken.field} forekommer mer enn én gang", CREATE_PAGE)
    if generation is Generation.THIRD:
        return Refusal(_BAD_REQUEST, NOT_READ, CREATE_PAGE)
    path = _INDEX.sub("", broken.field)
    return Refusal(_BAD_REQUEST, f"Mangler påkrevd felt: {path}" if path else _NOT_READ_BEFORE, CREATE_PAGE)
