"""Messages of reconciliation for tests of the rail emulator, written out by hand (iverksetting §5.5–§5.6, rapid §4.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from support.emulator_orders import PERSON

NAMESPACE = "http://nav.no/virksomhet/tjenester/avstemming/meldinger/v1"
MADE = "2026-06-01-13.22.05.481516"
NOTHING = (0, 0, "T")
Total = tuple[int, int | None, str]


@dataclass(frozen=True)
class Interface:
    """A run about orders: what the action says, the groups (count, sum without a sign, sign), and the details as XML."""

    run_id: str = "b2vWpwq0TR6daVo_YrbhwQ"
    area: str = "AAP"
    component: str = ""
    first: str = "2026-06-01-00.00.00.000000"
    last: str = "2026-06-01-23.59.59.999999"
    plain: bool = False
    accepted: Total = NOTHING
    warned: Total = NOTHING
    rejected: Total = NOTHING
    missing: Total = NOTHING
    total: Total | None = None
    period: tuple[str, str] = ("2026060100", "2026060123")
    details: Sequence[str] = ()
    fields: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> bytes:
        return self.message("START")

    def end(self) -> bytes:
        return self.message("AVSL")

    def data(self, *, totals: bool = True) -> bytes:
        return self.message("DATA", (self._totals() if totals else "") + "".join(self.details))

    def messages(self) -> list[bytes]:
        return [self.start(), self.data(), self.end()]

    def message(self, action: str, content: str = "") -> bytes:
        fields = {
            "aksjonType": action,
            "kildeType": "AVLEV",
            "avstemmingType": "GRSN",
            "avleverendeKomponentKode": self.component or self.area,
            "mottakendeKomponentKode": "OS",
            "underkomponentKode": self.area,
            "nokkelFom": self.first,
            "nokkelTom": self.last,
            "avleverendeAvstemmingId": self.run_id,
            "brukerId": self.component or self.area,
            **self.fields,
        }
        root, start = "Avstemmingsdata", "Avstemmingsdata"
        if not self.plain:
            root, start = "ns2:avstemmingsdata", f'ns2:avstemmingsdata xmlns:ns2="{NAMESPACE}"'
        return f"<{start}>\n  <aksjon>{leaves(fields)}</aksjon>\n{content}</{root}>\n".encode()

    def _totals(self) -> str:
        groups = {"godkjent": self.accepted, "varsel": self.warned, "avvist": self.rejected, "mangler": self.missing}
        basis = {}
        for prefix, (count, kroner, sign) in groups.items():
            basis[f"{prefix}Antall"] = str(count)
            if kroner is not None:
                basis |= {f"{prefix}Belop": str(kroner), f"{prefix}Fortegn": sign}
        count, kroner, sign = self.total or added(*groups.values())
        total = leaves({"totalAntall": str(count), "totalBelop": str(kroner), "fortegn": sign})
        period = leaves({"datoAvstemtFom": self.period[0], "datoAvstemtTom": self.period[1]})
        return f"  <total>{total}</total><periode>{period}</periode><grunnlag>{leaves(basis)}</grunnlag>\n"


@dataclass(frozen=True)
class Consistency:
    """A run about lines in force: for each case its lines as XML, and the total."""

    cases: Mapping[str, Sequence[str]]
    total: Total
    run_id: str = "04sHZpwSz6PFS1sfoCRogA"
    area: str = "AAP"
    at: str = "2026-06-15-14.00.00.000000"

    def messages(self) -> list[bytes]:
        count, kroner, sign = self.total
        total = leaves({"totalAntall": str(count), "totalBelop": str(kroner), "fortegn": sign})
        cases = [self._message("DATA", self._case(case_id, lines)) for case_id, lines in self.cases.items()]
        return [self._message("START"), *cases, self._message("DATA", f"<totaldata>{total}</totaldata>"), self._message("AVSL")]

    def _case(self, case_id: str, lines: Sequence[str]) -> str:
        return f"<oppdragsdataListe>{leaves({'fagomradeKode': self.area, 'fagsystemId': case_id})}{''.join(lines)}</oppdragsdataListe>"

    def _message(self, action: str, content: str = "") -> bytes:
        fields = {
            "aksjonsType": action,
            "kildeType": "AVLEV",
            "avstemmingType": "KONS",
            "avleverendeKomponentKode": self.area,
            "mottakendeKomponentKode": "OS",
            "underkomponentKode": self.area,
            "tidspunktAvstemmingTom": self.at,
            "avleverendeAvstemmingId": self.run_id,
            "brukerId": self.area,
        }
        return (
            '<a:sendAsynkronKonsistensavstemmingsdata xmlns:a="http://nav.no/virksomhet/tjenester/avstemming/v1"><request>'
            f"<konsistensavstemmingsdata><aksjonsdata>{leaves(fields)}</aksjonsdata>{content}</konsistensavstemmingsdata>"
            "</request></a:sendAsynkronKonsistensavstemmingsdata>"
        ).encode()


def detail(kind: str, case: str, code: str = "", severity: str = "", text: str = "", *, person: str = PERSON, made: str = MADE) -> str:
    fields = {
        "detaljType": kind,
        "offnr": person,
        "avleverendeTransaksjonNokkel": case,
        "meldingKode": code,
        "alvorlighetsgrad": severity,
        "tekstMelding": text,
        "tidspunkt": made,
    }
    return f"  <detalj>{leaves({name: value for name, value in fields.items() if value})}</detalj>\n"


def active_line(line_id: str, starts: str, ends: str, amount: int) -> str:
    period = f"<vedtakPeriode>{leaves({'fom': starts, 'tom': ends})}</vedtakPeriode>"
    rate = leaves({"sats": str(amount), "satstypeKode": "DAG7", "fradragTillegg": "T"})
    return f"<oppdragslinjeListe>{leaves({'delytelseId': line_id})}{period}{rate}</oppdragslinjeListe>"


def added(*groups: Total) -> Total:
    kroner = sum((amount or 0) * (1 if sign == "T" else -1) for _, amount, sign in groups)
    return sum(count for count, _, _ in groups), abs(kroner), "T" if kroner >= 0 else "F"


def leaves(texts: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape(text)}</{name}>" for name, text in texts.items())
