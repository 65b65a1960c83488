"""Needs of the rapid for tests, made from the contract's example (rapid §2.1), and their order as the contract shows it."""

import json
from collections.abc import Mapping
from typing import Any, Final

from kvitt.contracts.rapid.needs import NeedKind

PERSON: Final = "24068715888"
ORGANISATION: Final = "987654321"
PAYMENT_ID: Final = "6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1"
CASE_ID: Final = "KV5R2WQ7NZEXDJTLMBY4HGASCU"
KEY: Final = 1709550000000000123

EXAMPLE: Final = """\
{"@event_name":"behov","@behov":["Utbetaling"],"@id":"0c7c9e0e-6d5a-4d5b-9a61-6d0d0e2f7a11",
 "@behovId":"5b0f7d0a-58ae-4a39-8f0d-3e6a3a4f2b77",
 "organisasjonsnummer":"987654321","fødselsnummer":"24068715888",
 "utbetalingId":"6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1",
 "Utbetaling":{"mottaker":"987654321","saksbehandler":"Kari Utbetaler","maksdato":"2024-12-13",
  "fagområde":"SPREF","fagsystemId":"KV5R2WQ7NZEXDJTLMBY4HGASCU","endringskode":"NY",
  "linjer":[{"satstype":"DAG","sats":"1450","fom":"2024-03-04","tom":"2024-03-22","grad":"80",
   "delytelseId":"1","refDelytelseId":null,"refFagsystemId":null,"endringskode":"NY",
   "klassekode":"SPREFAG-IOP","datoStatusFom":null,"statuskode":null}]}}"""
"""The contract's need, to the byte."""

GOLDEN_XML: Final = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    "<Oppdrag><oppdrag-110><kodeFagomraade>SPREF</kodeFagomraade><kodeEndring>NY</kodeEndring>"
    "<fagsystemId>KV5R2WQ7NZEXDJTLMBY4HGASCU</fagsystemId>"
    "<oppdragGjelderId>24068715888</oppdragGjelderId><saksbehId>Kari Utbetaler</saksbehId><kodeAksjon>1</kodeAksjon>"
    "<utbetFrekvens>MND</utbetFrekvens><datoOppdragGjelderFom>1970-01-01</datoOppdragGjelderFom>"
    "<avstemming-115><nokkelAvstemming>1709550000000000123</nokkelAvstemming>"
    "<tidspktMelding>2024-03-04T12:00:00.512345</tidspktMelding><kodeKomponent>SP</kodeKomponent></avstemming-115>"
    "<oppdrags-enhet-120><enhet>8020</enhet><typeEnhet>BOS</typeEnhet><datoEnhetFom>1970-01-01</datoEnhetFom></oppdrags-enhet-120>"
    "<oppdrags-linje-150><delytelseId>1</delytelseId><kodeEndringLinje>NY</kodeEndringLinje><kodeKlassifik>SPREFAG-IOP</kodeKlassifik>"
    "<datoVedtakFom>2024-03-04</datoVedtakFom><datoVedtakTom>2024-03-22</datoVedtakTom><sats>1450</sats>"
    "<henvisning>6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1</henvisning><fradragTillegg>T</fradragTillegg><typeSats>DAG</typeSats>"
    "<saksbehId>Kari Utbetaler</saksbehId><brukKjoreplan>N</brukKjoreplan>"
    "<refusjonsinfo-156><refunderesId>00987654321</refunderesId><datoFom>2024-03-04</datoFom><maksDato>2024-12-13</maksDato>"
    "</refusjonsinfo-156><grad-170><typeGrad>UFOR</typeGrad><grad>80</grad></grad-170>"
    "<attestant-180><attestantId>Kari Utbetaler</attestantId></attestant-180>"
    "</oppdrags-linje-150></oppdrag-110></Oppdrag>"
)
"""The contract's order of the example, with the six digits of a second that a PostgreSQL time has."""

LEFT_OUT: Final[Any] = object()
"""As the value of a change: the field is not there at all."""

_IN_SECTION: Final = ("mottaker", "saksbehandler", "maksdato", "fagområde", "fagsystemId", "endringskode", "linjer")


def line(**changes: Any) -> dict[str, Any]:
    """A line of the example with numbers as numbers; changes by wire name."""
    made = {
        "satstype": "DAG",
        "sats": 1450,
        "fom": "2024-03-04",
        "tom": "2024-03-22",
        "grad": 80,
        "delytelseId": 1,
        "refDelytelseId": None,
        "refFagsystemId": None,
        "endringskode": "NY",
        "klassekode": "SPREFAG-IOP",
        "datoStatusFom": None,
        "statuskode": None,
    }
    return _changed(made, changes)


def cessation(ceased_from: str, **changes: Any) -> dict[str, Any]:
    """The line of the example as it was sent, ended from a day on."""
    return line(**{"endringskode": "ENDR", "statuskode": "OPPH", "datoStatusFom": ceased_from} | changes)


def need(kind: NeedKind = NeedKind.PAYMENT, **changes: Any) -> dict[str, Any]:
    """A need of that kind; changes by wire name, wherever in the need the field stands. LEFT_OUT takes a field away."""
    section = {
        "mottaker": ORGANISATION,
        "saksbehandler": "Kari Utbetaler",
        "maksdato": "2024-12-13",
        "fagområde": "SPREF",
        "fagsystemId": CASE_ID,
        "endringskode": "NY",
        "linjer": [line() if kind is NeedKind.PAYMENT else line(satstype="ENG", klassekode="SPREFAGFER-IOP", grad=LEFT_OUT)],
    }
    top = {
        "@event_name": "behov",
        "@behov": [kind.value],
        "@id": "0c7c9e0e-6d5a-4d5b-9a61-6d0d0e2f7a11",
        "@opprettet": "2024-03-04T11:59:58.5",
        "@behovId": "5b0f7d0a-58ae-4a39-8f0d-3e6a3a4f2b77",
        "organisasjonsnummer": ORGANISATION,
        "fødselsnummer": PERSON,
        "utbetalingId": PAYMENT_ID,
        kind.value: _changed(section, {name: value for name, value in changes.items() if name in _IN_SECTION}),
    }
    return _changed(top, {name: value for name, value in changes.items() if name not in _IN_SECTION})


def need_bytes(kind: NeedKind = NeedKind.PAYMENT, **changes: Any) -> bytes:
    """The record of `need`."""
    return json.dumps(need(kind, **changes), ensure_ascii=False).encode()


def _changed(made: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**made, **changes}.items() if value is not LEFT_OUT}


def clock_event(day: object, **changes: Any) -> dict[str, Any]:
    """The clock's event at nine of a day (rapid §4.3)."""
    made = {
        "@event_name": "hel_time",
        "@id": "2d2a2f3c-7d0e-4c86-9a0c-5d2f6f0f7a01",
        "@opprettet": f"{day}T09:00:00",
        "time": 9,
        "dagen": day,
    }
    return _changed(made, changes)


def manual_event(day: object, **changes: Any) -> dict[str, Any]:
    """Somebody's own word to reconcile up to a day (rapid §4.3)."""
    made = {
        "@event_name": "utfør_avstemming",
        "@id": "c0a4cf58-3b0d-4b8e-8b1c-0a1d4fb7c902",
        "@opprettet": f"{day}T13:01:02.5",
        "dagen": day,
    }
    return _changed(made, changes)
