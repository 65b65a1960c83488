"""The rail's answers: the texts and codes seen from the real system, and our own where only the behaviour is known.

Source: helved §4.5 for those with the codes B110008F, BB50019F, BB18011F, BB51014F and B606002F.
"""

from kvitt.rails.oppdrag.emulator.order import EmulatedAnswer

ACCEPTED = EmulatedAnswer("00")
WARNING = EmulatedAnswer("04", "Skatteopplysninger ikke funnet", "B110008W", "K231B110", "CA10")


def _rejected(code: str, text: str) -> EmulatedAnswer:
    """A rejection by the control of the order as a whole."""
    return EmulatedAnswer("08", text, code, "K231BB10", "CA10-INPUTKONTROLL")


def _line_rejected(code: str, text: str) -> EmulatedAnswer:
    """A rejection by the control of a line."""
    return EmulatedAnswer("08", text, code, "K231BB50", "CA50-LINJEKONTROLL")


CASE_EXISTS = _rejected("B110008F", "Oppdraget finnes fra før")
CASE_UNKNOWN = _rejected("B110010F", "OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før")
CASE_ID_MISSING = _rejected("B110002F", "FAGSYSTEM-ID mangler")
ACTION_UNKNOWN = _rejected("B110001F", "KODE-AKSJON er ikke 1, bare oppdatering støttes")
PERSON_DIFFERS = _rejected("B110012F", "OPPDRAG-GJELDER-ID er en annen enn den oppdraget er registrert på")

HOLD_BACKS_OVERLAP = _rejected("BB18011F", "Overlappende avvent-perioder")
HOLD_BACK_DATES = _rejected("BB18001F", "DATO-AVVENT-FOM/DATO-AVVENT-TOM mangler eller er ugyldig")

LINE_EXISTS = _line_rejected("BB50018F", "DELYTELSE-ID finnes i oppdragsbasen fra før")
LINE_UNKNOWN = _line_rejected("BB50019F", "DELYTELSE-ID/LINJE-ID ved endring finnes ikke")
REFERENCE_UNKNOWN = _line_rejected("BB50024F", "Referert vedtak/linje ikke funnet")
REFERENCE_HALF = _line_rejected("BB50025F", "REF-FAGSYSTEM-ID og REF-DELYTELSE-ID må oppgis sammen")
REFERENCE_ON_CHANGE = _line_rejected("BB50026F", "REF-DELYTELSE-ID kan ikke oppgis ved endring av linje")
LINE_DIFFERS = _line_rejected("BB50027F", "Linjen som endres har andre datoer, sats, TYPE-SATS eller KODE-KLASSIFIK")
LINE_ID_MISSING = _line_rejected("BB50002F", "DELYTELSE-ID mangler")
LINE_DATES = _line_rejected("BB50003F", "DATO-VEDTAK-TOM mangler eller er før DATO-VEDTAK-FOM")
STATUS_UNSUPPORTED = _line_rejected("BB50004F", "KODE-STATUS-LINJE er ikke OPPH")
STATUS_ON_NEW_LINE = _line_rejected("BB50005F", "KODE-STATUS-LINJE kan ikke oppgis på ny linje")
STATUS_DATE_MISSING = _line_rejected("BB50006F", "DATO-STATUS-FOM mangler ved KODE-STATUS-LINJE")
CLASS_DATE_MISSING = _line_rejected("BB51014F", "DATO-FOM mangler ved endring KODE-KLASSIFIK")

CONFLICTING_BYTES = _rejected("B110090F", "Meldings-ID er brukt før med annet innhold")


def invalid(problem: str) -> EmulatedAnswer:
    """The order is XML but not valid by the schema."""
    return EmulatedAnswer("08", f"XML er ikke gyldig: {problem}"[:200], "B606001F", "K231B606", "CA06-XMLKONTROLL")


def unparsable(problem: str) -> EmulatedAnswer:
    """The order is not XML at all."""
    return EmulatedAnswer("08", f"XML kan ikke leses: {problem}"[:200], "B606002F", "K231B606", "CA06-XMLKONTROLL")
