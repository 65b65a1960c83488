"""Needs of the rapid that ask what would be paid."""

from typing import Any
from uuid import uuid4


def simulation_need(case: str, **line: object) -> dict[str, Any]:
    """A need with one line for the case; `line` changes members of it."""
    first = {
        "satstype": "DAG",
        "sats": 1450,
        "fom": "2024-03-04",
        "tom": "2024-03-22",
        "grad": 80,
        "delytelseId": 1,
        "endringskode": "NY",
        "klassekode": "SPREFAG-IOP",
    }
    return {
        "@event_name": "behov",
        "@behov": ["Simulering"],
        "@id": str(uuid4()),
        "@opprettet": "2024-04-01T10:00:00",
        "organisasjonsnummer": "987654321",
        "fødselsnummer": "24068715888",
        "Simulering": {
            "mottaker": "987654321",
            "saksbehandler": "Kari",
            "maksdato": "2024-12-13",
            "fagområde": "SPREF",
            "fagsystemId": case,
            "endringskode": "NY",
            "linjer": [{**first, **line}],
        },
    }
