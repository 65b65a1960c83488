"""The faults of the simulation service as they are on the wire (helved §4.8): texts, details and the envelope around them."""

from datetime import datetime
from xml.sax.saxutils import escape

from msgspec import Struct

from kvitt.rails.oppdrag.emulator import answers
from kvitt.rails.oppdrag.emulator.habits import ServiceFault
from kvitt.rails.oppdrag.emulator.order import EmulatedAnswer

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_DETAIL_NAMESPACE = "http://nav.no/system/os/tjenester/oppdragService"
_CICS_NAMESPACE = "http://www.ibm.com/software/htp/cics/WSFault"
_BUSINESS = "simulerBeregningFeilUnderBehandling"
_PADDED_TO = 80
_MESSAGE_LENGTH = 75
_SERVICE = "simulerFpServiceWSBinding"


class SoapFault(Struct, frozen=True):
    """A fault: its code and text, and the XML within its detail; None where it has no detail at all."""

    code: str
    text: str
    detail: str | None = None

    @property
    def note(self) -> str:
        """The text by which the record of simulations knows it."""
        return self.text.strip()


AUTHENTICATION = SoapFault("wsse:FailedAuthentication", "Security token failed validation")
NO_BODY = SoapFault("SOAP-ENV:Server", "The target application did not create a new SOAP Body", "")
PERSON_UNKNOWN = SoapFault("SOAP-ENV:Server", "Personen finnes ikke")
FIELD_INVALID = SoapFault("SOAP-ENV:Server", "Verdien i KODE-FAGOMRAADE er ugyldig")
NEW_DECISION = SoapFault("SOAP-ENV:Server", "Må ha nytt vedtak når Sats/Type/Vedtak-fom endres")
UNHEARD_OF = SoapFault("SOAP-ENV:Server", "Noe ingen har hørt om", "<annet><kode>4711</kode><forklaring>ukjent</forklaring></annet>")
UNEXPLAINED_CONVERSION = SoapFault("SOAP-ENV:Client", "Conversion from SOAP failed")

NAME_UNKNOWN = EmulatedAnswer("08", "Navn på person ikke funnet i PDL", "B110021F", "K231BB10", "CA10-INPUTKONTROLL")
NOT_REGISTERED = EmulatedAnswer("08", "Personen finnes ikke i PDL", "B110020F", "K231BB10", "CA10-INPUTKONTROLL")
NO_RUN_PLAN = EmulatedAnswer("08", "Kjøreplan mangler for perioden fra DATO-VEDTAK-FOM", "B732051F", "K231BC01", "CA10-KJØREPLAN")
CLOSED_FOR_NOW = EmulatedAnswer("08", "Oppdragssystemet er ikke tilgjengelig utenfor åpningstid", "B732052F", "K231BC01", "CA01")

_BUSINESS_FAULTS = {
    ServiceFault.CASE_UNKNOWN: answers.CASE_UNKNOWN,
    ServiceFault.CASE_EXISTS: answers.CASE_EXISTS,
    ServiceFault.REFERENCE_UNKNOWN: answers.REFERENCE_UNKNOWN,
    ServiceFault.NAME_UNKNOWN: NAME_UNKNOWN,
    ServiceFault.PERSON_NOT_REGISTERED: NOT_REGISTERED,
    ServiceFault.LINE_EXISTS: answers.LINE_EXISTS,
    ServiceFault.NO_RUN_PLAN: NO_RUN_PLAN,
    ServiceFault.CLOSED_FOR_NOW: CLOSED_FOR_NOW,
}
_PLAIN_FAULTS = {
    ServiceFault.UNKNOWN_PERSON: PERSON_UNKNOWN,
    ServiceFault.INVALID_FIELD: FIELD_INVALID,
    ServiceFault.NEW_DECISION_NEEDED: NEW_DECISION,
    ServiceFault.REQUEST_CONVERSION_UNEXPLAINED: UNEXPLAINED_CONVERSION,
    ServiceFault.NO_BODY: NO_BODY,
    ServiceFault.FAILED_AUTHENTICATION: AUTHENTICATION,
    ServiceFault.UNHEARD_OF: UNHEARD_OF,
}


def fault_on_demand(fault: ServiceFault, moment: datetime) -> SoapFault:
    """The fault of that name; `moment` is local time."""
    if answer := _BUSINESS_FAULTS.get(fault):
        return business_fault(answer, moment)
    match fault:
        case ServiceFault.REQUEST_CONVERSION:
            return conversion_fault("saksbehId", moment)
        case ServiceFault.ANSWER_CONVERSION:
            return answer_conversion_fault(moment)
        case ServiceFault.MALFORMED:
            return malformed_fault("document ends early")
        case _:
            return _PLAIN_FAULTS[fault]


def business_fault(answer: EmulatedAnswer, moment: datetime) -> SoapFault:
    """A rule of the rail says no. The text may be cut; the code stands in the root cause only."""
    detail = "".join(
        f"<{name}>{escape(text)}</{name}>"
        for name, text in (
            ("errorMessage", answer.text[:_MESSAGE_LENGTH]),
            ("errorSource", f"{answer.program} section: {answer.section}"),
            ("rootCause", f"Kode {answer.code} - SQL      - MQ      "),
            ("dateTimeStamp", f"{moment:%Y-%m-%dT%H:%M:%S}"),
        )
    )
    return SoapFault("SOAP-ENV:Server", _BUSINESS, f'<sf:{_BUSINESS} xmlns:sf="{_DETAIL_NAMESPACE}">{detail}</sf:{_BUSINESS}>')


def conversion_fault(field: str, moment: datetime, reason: str = "OUTPUT_OVERFLOW") -> SoapFault:
    """A field of the request does not fit into what the rail keeps of it."""
    text = (
        f"DFHPI1009 {moment:%d/%m/%Y %H:%M:%S} CICSQ1OS OSW8 29648 XML to data transformation failed. A conversion error ({reason}) "
        f"occurred when converting field {field} for WEBSERVICE {_SERVICE}."
    )
    return SoapFault("SOAP-ENV:Client", "Conversion from SOAP failed", _cics_fault(text))


def answer_conversion_fault(moment: datetime) -> SoapFault:
    """The fault when what the rail computed does not fit into an answer."""
    text = (
        f"DFHPI1008 {moment:%d/%m/%Y %H:%M:%S} CICSQ1OS OSW8 29648\nData to XML transformation failed because of incorrect input\n"
        f"(UNDEFINED_FIELD 00000000) for WEBSERVICE {_SERVICE}."
    )
    return SoapFault("SOAP-ENV:Server", "Conversion to SOAP failed", _cics_fault(text))


def malformed_fault(problem: str) -> SoapFault:
    """The request is not XML."""
    detail = f'<cics:FaultDetail xmlns:cics="{_CICS_NAMESPACE}">XRC_NOT_WELL_FORMED {escape(problem[:200])}</cics:FaultDetail>'
    return SoapFault("SOAP-ENV:Client", "Malformed SOAP message", detail)


def _cics_fault(text: str) -> str:
    return f'<CICSFault xmlns="{_CICS_NAMESPACE}">{escape(text)}</CICSFault>'


def fault_envelope(fault: SoapFault) -> bytes:
    """The fault as the body of an answer; its text is padded to 80 characters."""
    detail = "" if fault.detail is None else f"<detail>{fault.detail}</detail>"
    return enveloped(
        f'<SOAP-ENV:Fault xmlns=""><faultcode>{fault.code}</faultcode>'
        f"<faultstring>{escape(fault.text).ljust(_PADDED_TO)}</faultstring>{detail}</SOAP-ENV:Fault>"
    ).encode()


def enveloped(body: str, prefix: str = "SOAP-ENV") -> str:
    """The envelope around a body."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{prefix}:Envelope xmlns:{prefix}="{SOAP}"><{prefix}:Body>{body}'
        f"</{prefix}:Body></{prefix}:Envelope>"
    )
