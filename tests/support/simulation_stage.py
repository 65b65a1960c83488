"""The emulator's simulation service behind a real HTTP server, with the orders' side of the same rail, for tests."""

import base64
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import count
from xml.sax.saxutils import escape

import httpx
from lxml import etree

from kvitt.api.emulator_http import emulator_listener, emulator_serving
from kvitt.rails.oppdrag.emulator.habits import ServiceFaults, ServiceHabits, set_habits, set_service_faults
from kvitt.rails.oppdrag.emulator.payments import PlayedRun, pay
from kvitt.rails.oppdrag.emulator.watch import simulated, violations
from support.emulator_orders import PERSON, Line
from support.emulator_stage import Rail

SERVICE = "http://nav.no/system/os/tjenester/simulerFpService/simulerFpServiceGrensesnitt"
ENTITIES = "http://nav.no/system/os/entiteter/oppdragSkjema"
SOAP_PATH = "/cics/services/simulerFpServiceWSBinding"
TOKEN_PATH = "/gandalf/rest/v1/sts/samltoken"
RECOVERIES = ("KL_KODE_FEIL_ARBYT", "KL_KODE_FEIL_TILLST", "KL_KODE_FEIL")
_NUMBERS = count(1)


def line_xml(line: Line, case: str, payee: str = PERSON) -> str:
    """A line as the streams' senders write it, in the order of the published schema."""
    status = line.status or ("OPPH" if line.ceased_from else "")
    fields = [
        ("kodeEndringLinje", line.change or ("ENDR" if status else "NY")),
        ("kodeStatusLinje", status),
        ("datoStatusFom", line.ceased_from),
        ("delytelseId", line.line_id),
        ("kodeKlassifik", line.class_code),
        ("datoKlassifikFom", line.starts if line.class_from is None else line.class_from),
        ("datoVedtakFom", line.starts),
        ("datoVedtakTom", line.ends),
        ("sats", str(line.amount)),
        ("fradragTillegg", line.sign),
        ("typeSats", line.rate_code),
        ("brukKjoreplan", "N"),
        ("saksbehId", "Z900001"),
        ("utbetalesTilId", payee),
        ("refFagsystemId", (case if line.ref else "") if line.ref_case is None else line.ref_case),
        ("refDelytelseId", line.ref),
    ]
    leaves = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields if text)
    return f"<oppdragslinje>{leaves}<ns2:attestant><attestantId>Z900002</attestantId></ns2:attestant></oppdragslinje>"


MAY = Line("L1", "2026-05-04", "2026-05-15", 1000, rate_code="DAG")

MONTHLY = Line("M1", "2026-06-01", "2026-10-31", 9000, rate_code="MND")


def after(line_id: str, starts: str, ends: str, amount: int, ref: str = "L1") -> Line:
    """A line that follows another one."""
    return Line(line_id, starts, ends, amount, ref=ref, rate_code="DAG")


def request_xml(
    *lines: Line,
    case: str = "SAK-1",
    change: str = "NY",
    area: str = "AAP",
    person: str = PERSON,
    span: tuple[str, str] | None = ("", ""),
    caseworker: str = "Z900001",
    payee: str = PERSON,
) -> str:
    """A `simulerBeregningRequest`. `span` None: without simuleringsPeriode; ("", ""): that of the lines."""
    if span == ("", ""):
        span = (min((line.starts for line in lines), default=""), max((line.ends for line in lines), default=""))
    dates = (
        ""
        if span is None
        else "".join(f"<{name}>{text}</{name}>" for name, text in zip(("datoSimulerFom", "datoSimulerTom"), span, strict=True) if text)
    )
    period = "" if span is None else f"<simuleringsPeriode>{dates}</simuleringsPeriode>"
    return f"""<ns3:simulerBeregningRequest xmlns:ns2="{ENTITIES}" xmlns:ns3="{SERVICE}"><request><oppdrag>
<kodeEndring>{change}</kodeEndring><kodeFagomraade>{area}</kodeFagomraade><fagsystemId>{escape(case)}</fagsystemId><utbetFrekvens>MND</utbetFrekvens>
<oppdragGjelderId>{person}</oppdragGjelderId><datoOppdragGjelderFom>2000-01-01</datoOppdragGjelderFom><saksbehId>{caseworker}</saksbehId>
<ns2:enhet><typeEnhet>BOS</typeEnhet><enhet>8020</enhet><datoEnhetFom>1970-01-01</datoEnhetFom></ns2:enhet>
{"".join(line_xml(line, case, payee) for line in lines)}</oppdrag>{period}</request></ns3:simulerBeregningRequest>"""


def envelope(body: str, assertion: str, message_id: str = "") -> bytes:
    """The SOAP envelope around a request, with WS-Addressing and the assertion."""
    message_id = message_id or f"urn:uuid:{next(_NUMBERS)}"
    wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    addressing = "http://www.w3.org/2005/08/addressing"
    return f"""<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Header>
<Action xmlns="{addressing}">{SERVICE}/simulerFpService/simulerBeregning</Action><MessageID xmlns="{addressing}">{message_id}</MessageID>
<wsse:Security xmlns:wsse="{wsse}" soap:mustUnderstand="1">{assertion}</wsse:Security></soap:Header>
<soap:Body>{body}</soap:Body></soap:Envelope>""".encode()


class Row:
    """A row of an answer, trimmed, with the period and the case that it belongs to."""

    def __init__(self, period: etree._Element, level: etree._Element, row: etree._Element) -> None:
        self._texts = {
            etree.QName(each).localname: (each.text or "").strip() for part in (period, level, row) for each in part if len(each) == 0
        }
        self.first, self.last = (date.fromisoformat(self["faktiskFom"]), date.fromisoformat(self["faktiskTom"]))
        self.kind, self.class_code, self.case = self["typeKlasse"], self["klassekode"], self["fagsystemId"]
        self.amount, self.rate, self.count = (kroner(self[name]) for name in ("belop", "sats", "antallSats"))

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    @property
    def short(self) -> str:
        """As the tables of the tests say it."""
        return f"{self.kind} {self.amount:+} {self.class_code}"


def kroner(text: str) -> int:
    assert text.endswith(".00")
    return int(text[:-3])


def local(root: etree._Element, name: str) -> list[etree._Element]:
    return list(root.iter(f"{{*}}{name}"))


class Answer:
    """An answer of the service."""

    def __init__(self, response: httpx.Response) -> None:
        self.status, self.body = response.status_code, response.content
        self.content_type = response.headers["content-type"]

    @property
    def xml(self) -> etree._Element:
        return etree.fromstring(self.body, etree.XMLParser(huge_tree=True))

    def rows(self, case: str = "SAK-1") -> list[Row]:
        """The rows of a case, in their order."""
        assert self.status == 200, self.body
        return [
            Row(period, level, row)
            for period in local(self.xml, "beregningsPeriode")
            for level in local(period, "beregningStoppnivaa")
            for row in local(level, "beregningStoppnivaaDetaljer")
            if (level.findtext("{*}fagsystemId") or "").strip() == case
        ]

    def periods(self, case: str = "SAK-1") -> dict[str, list[str]]:
        """The rows of each period of a case, in short."""
        found: dict[str, list[str]] = {}
        for row in self.rows(case):
            found.setdefault(f"{row['periodeFom']}/{row['periodeTom']}", []).append(row.short)
        return found

    def money(self, case: str = "SAK-1") -> Mapping[str, Counter[tuple[str, str]]]:
        """By month and class: what was paid before, what will be, what is recovered, and what leaves the rail (under no class)."""
        found = {name: Counter[tuple[str, str]]() for name in ("before", "after", "recovered", "out")}
        for row in self.rows(case):
            month = f"{row.first:%Y-%m}"
            found["out"][month, ""] += row.amount
            if row.class_code in RECOVERIES:
                found["recovered"][month, ""] += row.amount
            elif row.kind == "YTEL" and row["tilbakeforing"] == "false" and row.rate:
                found["after"][month, row.class_code] += row.amount
            elif row.kind == "YTEL" and row["tilbakeforing"] == "true" and row.rate:
                found["before"][month, row.class_code] -= row.amount
        return {name: Counter({key: amount for key, amount in amounts.items() if amount}) for name, amounts in found.items()}

    @property
    def fault(self) -> tuple[str, str, str]:
        """faultcode, faultstring (trimmed) and the text of the detail."""
        (found,) = local(self.xml, "Fault")
        detail = found.find("detail")
        published = "" if detail is None else " | ".join((each.text or "").strip() for each in detail.iter() if (each.text or "").strip())
        return found.findtext("faultcode") or "", (found.findtext("faultstring") or "").strip(), published


class SimulatedRail(Rail):
    """A rail that takes orders, pays, and answers simulations over HTTP."""

    def __init__(self, conninfo: str, url: str) -> None:
        super().__init__(conninfo)
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self.assertion = ""

    def token(self) -> httpx.Response:
        basic = base64.b64encode(b"srvkvitt:secret").decode()
        return self.http.get(TOKEN_PATH, headers={"Authorization": f"Basic {basic}", "X-Proxy-Authorization": "Bearer x"})

    def signed(self) -> str:
        if not self.assertion:
            self.assertion = base64.b64decode(self.token().json()["access_token"]).decode()
        return self.assertion

    def post(self, body: bytes, **headers: str) -> Answer:
        return Answer(self.http.post(SOAP_PATH, content=body, headers={"Content-Type": "text/xml", "Accept": "*/*", **headers}))

    def simulate(self, *lines: Line, message_id: str = "", **options: object) -> Answer:
        return self.post(envelope(request_xml(*lines, **options), self.signed(), message_id))  # type: ignore[arg-type]

    def pay(self, day: str) -> PlayedRun:
        return pay(self.conn, date.fromisoformat(day), self.now)

    def behave(self, **habits: object) -> None:
        set_habits(self.conn, ServiceHabits(**habits))  # type: ignore[arg-type]

    def fail(self, **faults: object) -> None:
        set_service_faults(self.conn, ServiceFaults(**faults))  # type: ignore[arg-type]

    def moment(self, text: str) -> None:
        """Sets the clock, UTC."""
        self.now = datetime.fromisoformat(text).replace(tzinfo=UTC)

    def violations(self) -> tuple[tuple[str, str], ...]:
        """How an order and a simulation met, and of which case."""
        return tuple((each.how.value, each.case_id) for each in violations(self.conn))

    def simulated(self) -> list[tuple[str, str]]:
        """The case and the outcome of each simulation asked for."""
        return [(each.case_id, each.outcome) for each in simulated(self.conn)]

    def close(self) -> None:
        self.http.close()
        super().close()


@contextmanager
def simulated_rail(conninfo: str) -> Iterator[SimulatedRail]:
    """A rail with its service for as long as the block runs."""
    listener = emulator_listener(0)
    rail = SimulatedRail(conninfo, listener.url)
    with emulator_serving(conninfo, listener, clock=lambda: rail.now):
        yield rail
        rail.close()
    listener.close()
