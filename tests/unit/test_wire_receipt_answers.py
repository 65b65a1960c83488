"""What a receipt says becomes the sender's answer by the contract's table."""

import pytest

from kvitt.contracts.helved.reply import BASE, PAYMENT_EXISTS_DOC, PAYMENT_MISSING_DOC, answer_to
from kvitt.disbursement.answers import Answer, Details, Status
from kvitt.disbursement.rail import Observation, Severity
from kvitt.disbursement.values import Area, Refusal, Scheme
from kvitt.rails.oppdrag.rail import SEVERITIES, reasons_in

DETAILS = Details(Area("AAP"), ())


def receipt(raw: str, text: str) -> Observation:
    severity = SEVERITIES.get(raw, Severity.UNKNOWN)
    return Observation((Scheme.AAP, "4NAAA1"), "AAP", b"", "", severity, raw, "B110008F", text, reasons_in(text))


@pytest.mark.parametrize(
    ("raw", "text", "status", "error"),
    [
        ("00", "", Status.OK, None),
        ("00", "Oppdraget finnes fra før", Status.OK, None),
        ("04", "Noe er rart", Status.OK, Refusal(200, "Noe er rart", BASE, "OSUR")),
        ("08", "Overlappende avvent-perioder", Status.FAILED, Refusal(400, "Overlappende avvent-perioder", BASE, "OSUR")),
        ("12", "Prøv igjen", Status.FAILED, Refusal(500, "Prøv igjen", BASE, "OSUR")),
        (
            "08",
            "AP01: OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før.",
            Status.FAILED,
            Refusal(404, "Utbetalingen finnes ikke", PAYMENT_MISSING_DOC, "OSUR"),
        ),
        (
            "08",
            "Oppdraget finnes fra før",
            Status.FAILED,
            Refusal(409, "Utbetalingen finnes allerede", PAYMENT_EXISTS_DOC, "OSUR"),
        ),
        (
            "12",
            "Oppdraget finnes fra før",
            Status.FAILED,
            Refusal(409, "Utbetalingen finnes allerede", PAYMENT_EXISTS_DOC, "OSUR"),
        ),
        ("08", "", Status.FAILED, Refusal(400, "Oppdragssystemet (OS) oppga ingen årsak", BASE, "OSUR")),
    ],
)
def test_a_known_severity_gives_status_and_error(raw: str, text: str, status: Status, error: Refusal | None) -> None:
    assert answer_to(receipt(raw, text), DETAILS) == Answer(status, DETAILS, error)


@pytest.mark.parametrize(
    ("raw", "text", "message"),
    [
        ("5", "Hva?", "Kvittering fra oppdragssystemet (OS) har ukjent alvorlighetsgrad '5': Hva?"),
        ("", "", "Kvittering fra oppdragssystemet (OS) har ingen alvorlighetsgrad: Oppdragssystemet (OS) oppga ingen årsak"),
    ],
)
def test_an_unknown_severity_fails_with_what_came(raw: str, text: str, message: str) -> None:
    answer = answer_to(receipt(raw, text), DETAILS)
    assert answer == Answer(Status.FAILED, DETAILS, Refusal(500, message, BASE, "HELVED"))


def test_the_docs_are_the_contracts() -> None:
    assert PAYMENT_MISSING_DOC == "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/endre_utbetaling#utbetaling-finnes-ikke"
    assert PAYMENT_EXISTS_DOC == "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/opprett_utbetaling#utbetaling-finnes-allerede"
