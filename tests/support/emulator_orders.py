"""Order XML for tests of the rail emulator, written out by hand from the element table (helved §5.1)."""

from dataclasses import dataclass
from xml.sax.saxutils import escape

NAMESPACE = "http://www.trygdeetaten.no/skjema/oppdrag"
PERSON = "01020312345"


@dataclass(frozen=True)
class Line:
    """A line-150; days as `yyyy-mm-dd`, `ceased_from` makes it a cessation (ENDR, OPPH)."""

    line_id: str
    starts: str
    ends: str
    amount: int | str
    ref: str = ""
    ceased_from: str = ""
    rate_code: str = "DAG7"
    class_code: str = "AAPOR"
    class_from: str | None = None
    change: str = ""
    status: str = ""
    ref_case: str | None = None
    decided_rate: int | None = None
    sign: str = "T"


def line_xml(line: Line, case: str) -> str:
    status = line.status or ("OPPH" if line.ceased_from else "")
    change = line.change or ("ENDR" if status else "NY")
    ref_case = (case if line.ref else "") if line.ref_case is None else line.ref_case
    class_from = line.starts if line.class_from is None else line.class_from
    fields = [
        ("kodeEndringLinje", change),
        ("kodeStatusLinje", status),
        ("datoStatusFom", line.ceased_from),
        ("vedtakId", "2026-06-01"),
        ("delytelseId", line.line_id),
        ("kodeKlassifik", line.class_code),
        ("datoKlassifikFom", class_from),
        ("datoVedtakFom", line.starts),
        ("datoVedtakTom", line.ends),
        ("sats", str(line.amount)),
        ("fradragTillegg", line.sign),
        ("typeSats", line.rate_code),
        ("brukKjoreplan", "N"),
        ("saksbehId", "dagpenger"),
        ("utbetalesTilId", PERSON),
        ("henvisning", "BEH-1"),
        ("refFagsystemId", ref_case),
        ("refDelytelseId", line.ref),
    ]
    dated = {"datoStatusFom", "datoKlassifikFom", "datoVedtakFom", "datoVedtakTom"}
    leaves = "".join(f"<{name}>{escape(text)}{'+02:00' if name in dated else ''}</{name}>" for name, text in fields if text)
    rate = "" if line.decided_rate is None else f"<vedtakssats-157><vedtakssats>{line.decided_rate}</vedtakssats></vedtakssats-157>"
    attested = "<attestant-180><attestantId>B200002</attestantId></attestant-180>"
    return f"<oppdrags-linje-150>{leaves}{rate}{attested}</oppdrags-linje-150>"


def hold_back_xml(starts: str, ends: str, transfers_on: str = "", is_error: bool = False) -> str:
    transfer = f"<datoOverfores>{transfers_on}</datoOverfores>" if transfers_on else ""
    last = f"<datoAvventTom>{ends}</datoAvventTom>" if ends else ""
    return (
        f"<avvent-118><datoAvventFom>{starts}</datoAvventFom>{last}<kodeArsak>AVAV</kodeArsak>{transfer}"
        f"<feilreg>{'J' if is_error else 'N'}</feilreg></avvent-118>"
    )


def order_xml(
    *lines: Line,
    case: str = "SAK-1",
    change: str = "NY",
    area: str = "AAP",
    person: str = PERSON,
    hold_backs: str = "",
    action: str = "1",
    key: str = "2026-06-01-10.10.00.000000",
    made: str = "2026-06-01-13.22.05.481516",
    component: str = "",
) -> bytes:
    """An order as it comes over the wire: indented root, zone offsets on the dates."""
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:oppdrag xmlns:ns2="{NAMESPACE}">
    <oppdrag-110>
        <kodeAksjon>{action}</kodeAksjon>
        <kodeEndring>{change}</kodeEndring>
        <kodeFagomraade>{area}</kodeFagomraade>
        <fagsystemId>{escape(case)}</fagsystemId>
        <utbetFrekvens>MND</utbetFrekvens>
        <oppdragGjelderId>{person}</oppdragGjelderId>
        <datoOppdragGjelderFom>2000-01-01+01:00</datoOppdragGjelderFom>
        <saksbehId>dagpenger</saksbehId>
        <avstemming-115>
            <kodeKomponent>{component or area}</kodeKomponent>
            <nokkelAvstemming>{key}</nokkelAvstemming>
            <tidspktMelding>{made}</tidspktMelding>
        </avstemming-115>{hold_backs}
        <oppdrags-enhet-120><typeEnhet>BOS</typeEnhet><enhet>8020</enhet><datoEnhetFom>1970-01-01+01:00</datoEnhetFom></oppdrags-enhet-120>
        {"".join(line_xml(line, case) for line in lines)}
    </oppdrag-110>
</ns2:oppdrag>
""".encode()
