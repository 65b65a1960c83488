"""What a receipt says becomes the sender's answer by the contract's table."""

import pytest

from kvitt.rules.answers import Answer, Details, Grade, Receipt, Status
from kvitt.rules.receipts import BASE, PAYMENT_EXISTS_DOC, PAYMENT_MISSING_DOC, answer_to
from kvitt.rules.values import Area, Refusal

DETAILS = Details(Area("AAP"), ())


def receipt(grade: Grade, text: str, grade_text: str | None = None) -> Receipt:
    return Receipt(Area("AAP"), "4NAAA1", "", (), grade, grade.value if grade_text is None else grade_text, "B110008F", text)


@pytest.mark.parametrize(
    ("grade", "text", "status", "error"),
    [
        (Grade.OK, "", Status.OK, None),
        (Grade.OK, "Oppdraget finnes fra før", Status.OK, None),
        (Grade.WARNING, "Noe er rart", Status.OK, Refusal(200, "Noe er rart", BASE, "OSUR")),
        (Grade.REJECTED, "Overlappende avvent-perioder", Status.FAILED, Refusal(400, "Overlappende avvent-perioder", BASE, "OSUR")),
        (Grade.TECHNICAL, "Prøv igjen", Status.FAILED, Refusal(500, "Prøv igjen", BASE, "OSUR")),
        (
            Grade.REJECTED,
            "AP01: OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før.",
            Status.FAILED,
            Refusal(404, "Utbetalingen finnes ikke", PAYMENT_MISSING_DOC, "OSUR"),
        ),
        (
            Grade.REJECTED,
            "Oppdraget finnes fra før",
            Status.FAILED,
            Refusal(409, "Utbetalingen finnes allerede", PAYMENT_EXISTS_DOC, "OSUR"),
        ),
        (
            Grade.TECHNICAL,
            "Oppdraget finnes fra før",
            Status.FAILED,
            Refusal(409, "Utbetalingen finnes allerede", PAYMENT_EXISTS_DOC, "OSUR"),
        ),
        (Grade.REJECTED, "", Status.FAILED, Refusal(400, "Oppdragssystemet (OS) oppga ingen årsak", BASE, "OSUR")),
    ],
)
def test_a_known_severity_gives_status_and_error(grade: Grade, text: str, status: Status, error: Refusal | None) -> None:
    assert answer_to(receipt(grade, text), DETAILS) == Answer(status, DETAILS, error)


@pytest.mark.parametrize(
    ("grade_text", "text", "message"),
    [
        ("5", "Hva?", "Kvittering fra oppdragssystemet (OS) har ukjent alvorlighetsgrad '5': Hva?"),
        ("", "", "Kvittering fra oppdragssystemet (OS) har ingen alvorlighetsgrad: Oppdragssystemet (OS) oppga ingen årsak"),
    ],
)
def test_an_unknown_severity_fails_with_what_came(grade_text: str, text: str, message: str) -> None:
    answer = answer_to(receipt(Grade.UNKNOWN, text, grade_text), DETAILS)
    assert answer == Answer(Status.FAILED, DETAILS, Refusal(500, message, BASE, "HELVED"))


def test_the_docs_are_the_contracts() -> None:
    assert PAYMENT_MISSING_DOC == "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/endre_utbetaling#utbetaling-finnes-ikke"
    assert PAYMENT_EXISTS_DOC == "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/opprett_utbetaling#utbetaling-finnes-allerede"
