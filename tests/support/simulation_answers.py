"""Answers of the rail's simulation, as texts: rows padded as it pads them, faults in its envelope. All values are made up."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from msgspec import Struct

_SERVICE = "http://nav.no/system/os/tjenester/simulerFpService/simulerFpServiceGrensesnitt"
_COUNTED = "http://nav.no/system/os/entiteter/beregningSkjema"


class Row(Struct, frozen=True):
    """One row as the rail writes it; `end` None: the day itself."""

    start: str
    amount: str
    kind: str = "YTEL"
    class_code: str = "TPTPATT"
    end: str | None = None
    rate: str = "0.00"
    rate_type: str = "    "
    count: str = "0.00"
    reversal: str = "false"
    grade: str = "0"


class Of(Struct, frozen=True):
    """What one case of the person has in a period."""

    rows: Sequence[Row]
    area: str = "TILTPENG"
    case_id: str = "S-1"
    recipient: str = "01020312345"
    due_on: str = "2026-02-10"


def soap(body: str, *, prefix: str = "SOAP-ENV") -> bytes:
    """An envelope with this body."""
    head = f'<{prefix}:Envelope xmlns:{prefix}="http://schemas.xmlsoap.org/soap/envelope/"><{prefix}:Header/><{prefix}:Body>'
    return f"{head}{body}</{prefix}:Body></{prefix}:Envelope>".encode()


def empty(information: str = "") -> bytes:
    """That nothing was computed."""
    said = f"<response xmlns=''><infomelding><beskrMelding>{information}</beskrMelding></infomelding></response>" if information else ""
    return soap(f'<simulerBeregningResponse xmlns="{_SERVICE}">{said}</simulerBeregningResponse>')


def computed(*periods: tuple[str, str, Sequence[Of]], total: str = "0.00", computed_on: str = "2026-01-15", name: str = "ÅSE BØ") -> bytes:
    """A simulation with these periods, padded as the rail pads it, its namespaces changing from level to level."""
    inner = "".join([_period(start, end, payments) for start, end, payments in periods])
    return soap(
        f'<simulerBeregningResponse xmlns="{_SERVICE}"><response xmlns=""><simulering><gjelderId>01020312345</gjelderId>'
        f"<gjelderNavn>{name.ljust(30)}</gjelderNavn><datoBeregnet>{computed_on}</datoBeregnet><kodeFaggruppe>ARBYT   </kodeFaggruppe>"
        f"<belop>{total}</belop>{inner}</simulering></response></simulerBeregningResponse>"
    )


def _period(start: str, end: str, payments: Sequence[Of]) -> str:
    inner = "".join([_payment(each) for each in payments])
    return (
        f'<beregningsPeriode xmlns="{_COUNTED}"><periodeFom xmlns="">{start}</periodeFom><periodeTom xmlns="">{end}</periodeTom>'
        f"{inner}</beregningsPeriode>"
    )


def _payment(of: Of) -> str:
    rows = "".join([_row(row) for row in of.rows])
    leaves = (
        ("kodeFagomraade", of.area.ljust(8)),
        ("stoppNivaaId", "1"),
        ("behandlendeEnhet", "8020         "),
        ("oppdragsId", "53019284"),
        ("fagsystemId", of.case_id.ljust(30)),
        ("kid", " " * 26),
        ("utbetalesTilId", of.recipient),
        ("utbetalesTilNavn", "ÅSE BØ".ljust(30)),
        ("bilagsType", "U "),
        ("forfall", of.due_on),
        ("feilkonto", "false"),
    )
    return f"<beregningStoppnivaa>{_leaves(leaves)}{rows}</beregningStoppnivaa>"


def _row(row: Row) -> str:
    leaves = (
        ("faktiskFom", row.start),
        ("faktiskTom", row.end or row.start),
        ("kontoStreng", "2338020             "[:19]),
        ("behandlingskode", "2"),
        ("belop", row.amount),
        ("trekkVedtakId", "0"),
        ("stonadId", " " * 10),
        ("korrigering", " "),
        ("tilbakeforing", row.reversal),
        ("linjeId", "1"),
        ("sats", row.rate),
        ("typeSats", row.rate_type.ljust(4)),
        ("antallSats", row.count),
        ("saksbehId", "tp      "),
        ("uforeGrad", row.grade),
        ("kravhaverId", " " * 11),
        ("delytelseId", " " * 30),
        ("bostedsenhet", "8020         "),
        ("skykldnerId", " " * 11),
        ("klassekode", row.class_code.ljust(20)),
        ("klasseKodeBeskrivelse", "Beskrivelse & mer".ljust(50)),
        ("typeKlasse", row.kind),
        ("typeKlasseBeskrivelse", " " * 50),
        ("refunderesOrgNr", " " * 11),
    )
    return f"<beregningStoppnivaaDetaljer>{_leaves(leaves)}</beregningStoppnivaaDetaljer>"


def _leaves(leaves: Sequence[tuple[str, str]]) -> str:
    return "".join([f'<{name} xmlns="">{escape(text)}</{name}>' for name, text in leaves])


def fault(text: str, detail: str = "", *, code: str = "SOAP-ENV:Server", prefix: str = "SOAP-ENV") -> bytes:
    """A fault, its text padded."""
    inner = f"<faultcode>{code}</faultcode><faultstring>{escape(text).ljust(80)}</faultstring>{detail}"
    return soap(f"<{prefix}:Fault>{inner}</{prefix}:Fault>", prefix=prefix)


def business(text: str, *, time: str = "2026-01-15T10:11:12", more: str = "", prefix: str = "sf") -> bytes:
    """A fault because the order breaks a rule of the rail."""
    name = f"{prefix}:simulerBeregningFeilUnderBehandling"
    leaves = (
        f"<errorMessage>{escape(text)}</errorMessage><errorSource>K231BB50 section: CA10-INPUTKONTROLL</errorSource>"
        f"<rootCause>Kode BB50018F - SQL - MQ</rootCause><dateTimeStamp>{time}</dateTimeStamp>{more}"
    )
    return fault(
        "simulerBeregningFeilUnderBehandling",
        f'<detail><{name} xmlns:{prefix}="http://nav.no/system/os/tjenester/oppdragService">{leaves}</{name}></detail>',
    )


def cics(faultstring: str, text: str) -> bytes:
    """A fault of the machine in front of the rail."""
    return fault(
        faultstring,
        f'<detail><CICSFault xmlns="http://www.ibm.com/software/htp/cics/WSFault">{escape(text)}</CICSFault></detail>',
        code="SOAP-ENV:Client",
    )


CICS_LENGTH = (
    "DFHPI1009 15/01/2026 10:11:12 CICSQ1OS OSW8 12345 XML to data transformation failed. A conversion error (OUTPUT_OVERFLOW) occurred "
    "when converting field saksbehId for WEBSERVICE simulerFpServiceWSBinding."
)
CICS_LOCKED = (
    "DFHPI1008 15/01/2026 10:11:12 CICSQ1OS OSW8 12345 SOAP message generation failed because of incorrect input\n"
    "  (SOMETHING_WRONG) for WEBSERVICE simulerFpServiceWSBinding."
)
"""Over two lines, as they come."""
AUTHENTICATION = fault("Authentication failed", code="wsse:FailedAuthentication")
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
EXAMPLE = computed(
    (
        "2026-01-05",
        "2026-01-05",
        [
            Of(
                [
                    Row("2026-01-05", "200.00"),
                    Row("2026-01-05", "300.00", rate="300.00", rate_type="DAG", count="1.00"),
                    Row("2026-01-05", "200.00", "FEIL", "KL_KODE_FEIL_ARBYT"),
                    Row("2026-01-05", "-200.00", "MOTP", "TBMOTOBS"),
                    Row("2026-01-05", "-500.00", rate="500.00", rate_type="DAG", reversal="true"),
                ],
                case_id="202601051001",
            )
        ],
    )
)
"""500 a day was paid, and the decision is lowered to 300."""
