"""The messages of consistency reconciliation: START, a DATA for each case, a DATA with the totals, AVSL (iverksetting §5.6).

The lines stand in them as they were sent, with their whole periods. The schema that guards the way out is kvitt's own (iverksetting §7.3).
"""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from typing import Final

from lxml import etree

from kvitt.disbursement.reconciliation import ActiveCase, ActiveLine, ConsistencyRun, ConsistencyTotal
from kvitt.disbursement.values import Area
from kvitt.errors import InvalidOrderMessage
from kvitt.formats.xml_reading import parse
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.order_xml import OWN_OFFICE, RATE_CODES, encode_line_id, escaped
from kvitt.rails.oppdrag.reconciliation import moment, run_name

NAMESPACE: Final = "http://nav.no/virksomhet/tjenester/avstemming/v1"
_BEGINNING, _OFFICE_FROM = "2000-01-01", "1900-01-01"


@cache
def _schema() -> etree.XMLSchema:
    """The schema, read when it is first needed: most processes never write such a message."""
    return etree.XMLSchema(etree.XML((resources.files("kvitt.rails.oppdrag") / "xsd" / "consistency.xsd").read_bytes()))


def encode_consistency(
    run: ConsistencyRun, cases: Iterable[ActiveCase], *, starts: bool = True, ends: bool = True, before: ConsistencyTotal
) -> Iterator[bytes]:
    """The messages of a part of a run; the last one has the total. Raises InvalidOrderMessage, and ValueError for long line ids."""
    if starts:
        yield _message(run, "START", "")
    count, kroner = before.cases, int(before.kroner)
    for case in cases:
        count, kroner = count + 1, kroner + sum([line.amount for line in case.lines])
        yield _message(run, "DATA", _case(run.area, case))
    if ends:
        yield _message(run, "DATA", _total(ConsistencyTotal(count, Kroner(kroner))))
        yield _message(run, "AVSL", "")


def validate(xml: bytes) -> None:
    """Raises InvalidOrderMessage unless the schema takes the message."""
    try:
        root = parse(xml)
    except (etree.XMLSyntaxError, ValueError):
        raise InvalidOrderMessage("not well-formed XML") from None
    if not _schema().validate(root):
        first = next(iter(_schema().error_log))  # type: ignore[call-overload]  # the stubs do not know that the log has entries
        raise InvalidOrderMessage(f"{first.path} breaks {first.type_name}")


def _message(run: ConsistencyRun, action: str, content: str) -> bytes:
    xml = f"""\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:sendAsynkronKonsistensavstemmingsdata xmlns:ns2="{NAMESPACE}">
    <request>
        <konsistensavstemmingsdata>
            <aksjonsdata>
                <aksjonsType>{action}</aksjonsType>
                <kildeType>AVLEV</kildeType>
                <avstemmingType>KONS</avstemmingType>
                <avleverendeKomponentKode>{escaped(run.form.component or run.area)}</avleverendeKomponentKode>
                <mottakendeKomponentKode>OS</mottakendeKomponentKode>
                <underkomponentKode>{escaped(run.area)}</underkomponentKode>
                <tidspunktAvstemmingTom>{moment(run.at)}</tidspunktAvstemmingTom>
                <avleverendeAvstemmingId>{run_name(run.run_id)}</avleverendeAvstemmingId>
                <brukerId>{escaped(run.form.user or run.area)}</brukerId>
            </aksjonsdata>
{content}        </konsistensavstemmingsdata>
    </request>
</ns2:sendAsynkronKonsistensavstemmingsdata>
""".encode()
    validate(xml)
    return xml


def _case(area: Area, case: ActiveCase) -> str:
    offices = [("BOS", OWN_OFFICE)] if case.office is None else [("BOS", case.office), ("BEH", OWN_OFFICE)]
    return f"""\
            <oppdragsdataListe>
                <fagomradeKode>{escaped(area)}</fagomradeKode>
                <fagsystemId>{escaped(case.case_id.strip())}</fagsystemId>
                <utbetalingsfrekvens>{escaped(case.frequency)}</utbetalingsfrekvens>
                <oppdragGjelderId>{escaped(case.person)}</oppdragGjelderId>
                <oppdragGjelderFom>{_BEGINNING}</oppdragGjelderFom>
                <saksbehandlerId>{escaped(case.caseworker)}</saksbehandlerId>
{"".join([_office(kind, office) for kind, office in offices])}\
{"".join([_line(line) for line in case.lines])}            </oppdragsdataListe>
"""


def _office(kind: str, office: str) -> str:
    return f"""\
                <oppdragsenhetListe>
                    <enhetType>{kind}</enhetType>
                    <enhet>{escaped(office)}</enhet>
                    <enhetFom>{_OFFICE_FROM}</enhetFom>
                </oppdragsenhetListe>
"""


def _line(line: ActiveLine) -> str:
    """A line; its elements stand in the order of the schema."""
    name = str(line.own_number) if line.own_number is not None else encode_line_id(line.line_id)
    return f"""\
                <oppdragslinjeListe>
{_leaf("vedtakId", line.decided_on.isoformat() if line.decided_on else None)}\
{_leaf("delytelseId", name)}{_leaf("klassifikasjonKode", line.class_code)}\
                    <vedtakPeriode>
                        <fom>{line.start.isoformat()}</fom>
                        <tom>{line.end.isoformat()}</tom>
                    </vedtakPeriode>
{_leaf("sats", str(abs(line.amount)))}{_leaf("satstypeKode", RATE_CODES[line.rate_type])}\
{_leaf("fradragTillegg", "T" if line.amount >= 0 else "F")}{_leaf("brukKjoreplan", "N")}{_leaf("saksbehandlerId", line.caseworker)}\
{_leaf("utbetalesTilId", line.recipient)}{_leaf("henvisning", line.decision_id)}{_leaf("refDelytelseId", _reference(line))}\
{_grade(line)}\
                    <attestantListe>
                        <attestantId>{escaped(line.approver)}</attestantId>
                    </attestantListe>
                </oppdragslinjeListe>
"""


def _reference(line: ActiveLine) -> str | None:
    if line.own_number is not None:
        return None if line.own_reference is None else str(line.own_reference)
    return None if line.refers_to is None else encode_line_id(line.refers_to)


def _grade(line: ActiveLine) -> str:
    """The grade, of the kind that the order had: senders that make their own lines call it another one (rapid §3.1)."""
    if line.grade is None:
        return ""
    return f"""\
                    <gradListe>
                        <gradKode>{"UBGR" if line.own_number is None else "UFOR"}</gradKode>
                        <grad>{line.grade}</grad>
                    </gradListe>
"""


def _total(total: ConsistencyTotal) -> str:
    return f"""\
            <totaldata>
                <totalAntall>{total.cases}</totalAntall>
                <totalBelop>{abs(total.kroner)}</totalBelop>
                <fortegn>{"T" if total.kroner >= 0 else "F"}</fortegn>
            </totaldata>
"""


def _leaf(name: str, value: str | None) -> str:
    return "" if not value else f"                    <{name}>{escaped(value)}</{name}>\n"
