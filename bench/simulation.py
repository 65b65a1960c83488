"""A year's answer of the rail's simulation: what it costs to read it, make its summaries, and write what the sender reads."""

import time
from collections.abc import Callable
from datetime import date

from lxml import etree

from bench.place import Place
from bench.report import Figure, Target, report, rounded
from bench.size import Size
from kvitt.contracts.helved.dry_run import answer
from kvitt.disbursement.simulation import Simulation
from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.simulation_answer import read_simulation

MOST_MS = 3.0
_TODAY = date(2025, 7, 1)
_HEAD = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><simulerBeregningResponse><response><simulering>'
    "<gjelderId>01020312345</gjelderId><gjelderNavn>NORDMANN KARI                 </gjelderNavn><datoBeregnet>2025-07-01</datoBeregnet>"
    "<kodeFaggruppe>ARBTIL  </kodeFaggruppe><belop>26400.00</belop>"
)
_TAIL = "</simulering></response></simulerBeregningResponse></e:Body></e:Envelope>"
_UNREAD = "".join(
    f"<{name}>{text}</{name}>"
    for name, text in (
        ("behandlingskode", "2"),
        ("trekkVedtakId", "0"),
        ("stonadId", " " * 10),
        ("korrigering", " "),
        ("linjeId", "1"),
        ("saksbehId", "tp      "),
        ("kravhaverId", " " * 11),
        ("delytelseId", " " * 30),
        ("bostedsenhet", "8020"),
        ("skykldnerId", " " * 11),
        ("typeKlasseBeskrivelse", " " * 50),
    )
)


def _row(span: str, amount: int, rate: int, kind: str, class_code: str) -> str:
    return (
        f"<beregningStoppnivaaDetaljer>{span}<kontoStreng>2338020</kontoStreng><belop>{amount}.00</belop><tilbakeforing>false</tilbakeforing>"
        f"<sats>{rate}.00</sats><typeSats>DAG </typeSats><antallSats>20.00</antallSats><uforeGrad>100</uforeGrad>{_UNREAD}"
        f"<klassekode>{class_code:20}</klassekode><klasseKodeBeskrivelse>{'Tiltakspenger':50}</klasseKodeBeskrivelse>"
        f"<typeKlasse>{kind}</typeKlasse><refunderesOrgNr>{'':11}</refunderesOrgNr></beregningStoppnivaaDetaljer>"
    )


def _month(month: int) -> str:
    first, last = f"2025-{month:02}-01", f"2025-{month:02}-28"
    span = f"<faktiskFom>{first}</faktiskFom><faktiskTom>{last}</faktiskTom>"
    rows = (
        _row(span, 24800, 1240, "YTEL", "TPTPATT") + _row(span, -22000, 1100, "YTEL", "TPTPATT") + _row(span, -600, 0, "SKAT", "FSKTSKAT")
    )
    return (
        f"<beregningsPeriode><periodeFom>{first}</periodeFom><periodeTom>{last}</periodeTom><beregningStoppnivaa>"
        f"<kodeFagomraade>TILTPENG</kodeFagomraade><fagsystemId>{'S-1':30}</fagsystemId><utbetalesTilId>01020312345</utbetalesTilId>"
        f"<utbetalesTilNavn>{'NORDMANN KARI':30}</utbetalesTilNavn><forfall>2025-07-10</forfall><feilkonto>false</feilkonto>{rows}"
        "</beregningStoppnivaa></beregningsPeriode>"
    )


def _answered(year: bytes) -> None:
    found = read_simulation(200, year)
    assert isinstance(found, Simulation), "the made-up answer is sound"
    assert isinstance(answer(Scheme.TILTAKSPENGER, found, _TODAY), bytes), "and fits its form"


def _parsed(year: bytes) -> None:
    etree.fromstring(year)


def _ms(work: Callable[[bytes], None], year: bytes, times: int) -> float:
    # The time of the processor, so that other work on the machine does not count.
    started = time.process_time()
    for _ in range(times):
        work(year)
    return (time.process_time() - started) * 1000 / times


def run(_: Place, size: Size) -> None:
    """Twelve months with three rows each are read, summed up and written; the best of some rounds counts, beside plain parsing."""
    year = (_HEAD + "".join([_month(month) for month in range(1, 13)]) + _TAIL).encode()
    samples = [_ms(_answered, year, size.simulations) for _ in range(size.rounds)]
    plain = min(_ms(_parsed, year, size.simulations) for _ in range(size.rounds))
    report(
        Figure(
            name="simulation",
            value=rounded(min(samples)),
            unit="ms/answer on one core",
            on=f"{size.simulations} answers of 12 months",
            ratio=rounded(min(samples) / plain),
            baseline="parsing alone",
            samples=[rounded(sample) for sample in samples],
            target=Target(most=MOST_MS),
        )
    )
