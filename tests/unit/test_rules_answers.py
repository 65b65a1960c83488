"""The answer to a sender: the lines of the orders, and what a receipt means (helved §2.8, §4.5, design §12)."""

import pytest

from kvitt.contracts.helved.outputs import details_of
from kvitt.contracts.helved.reply import answer_to
from kvitt.disbursement.answers import Answer, DetailLine, Details, Status
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState, derive
from kvitt.disbursement.instructions import PaymentInstruction, PaymentInstructions
from kvitt.disbursement.rail import Observation, Severity
from kvitt.disbursement.values import (
    Area,
    Order,
    Refusal,
    Scheme,
)
from kvitt.rails.oppdrag.rail import reasons_in
from support.strategies import DECISION, MADE_AT, OTHER_PAYMENT, PAYMENT, june, paying

D = "https://helved-docs.ansatt.dev.nav.no"


def orders_of(state: CaseState, *instructions: PaymentInstruction) -> tuple[Order, ...]:
    derived = derive(PaymentInstructions(DECISION, instructions), state, MADE_AT)
    assert not isinstance(derived, Refusal)
    return derived


def test_details_are_the_lines_by_first_day_with_zero_for_what_ceases() -> None:
    (first,) = orders_of(NEW_CASE, paying(june(2, 13, 150), june(16, 27, 250, rate=900)))
    state = CaseState({PAYMENT: first.payments[0]}, DECISION.person, frozenset({first.area}), 1)
    (order,) = orders_of(state, paying(june(2, 6, 150), june(9, 27, 250, rate=900)), paying(june(1, 30, 7), of=OTHER_PAYMENT))
    assert [(line.start.day, line.ceased_from is None) for line in order.lines] == [(16, False), (9, True), (1, True)]
    code = "TSTBASISP4-OP"
    assert details_of((order,)) == Details(
        Area("TILLSTPB"),
        (
            DetailLine(DECISION.decision_id, june(1, 30, 0).start, june(1, 30, 0).end, None, 7, code),
            DetailLine(DECISION.decision_id, june(9, 27, 0).start, june(9, 27, 0).end, 900, 250, code),
            DetailLine(DECISION.decision_id, june(16, 27, 0).start, june(16, 27, 0).end, 900, 0, code),
        ),
    )


def test_lines_of_one_day_stay_in_the_order_of_sending() -> None:
    orders = orders_of(NEW_CASE, paying(june(1, 9, 2)), paying(june(1, 5, 1), of=OTHER_PAYMENT))
    assert [line.amount for line in details_of(orders).lines] == [2, 1]


def test_orders_of_several_areas_are_reported_together_and_name_no_area() -> None:
    orders = orders_of(NEW_CASE, paying(june(8, 9, 2)), paying(june(1, 5, 1), of=OTHER_PAYMENT, benefit="LÆREMIDLER_AAP"))
    details = details_of(orders)
    assert details.area is None
    assert [(line.amount, line.class_code) for line in details.lines] == [(1, "TSLMASISP3-OP"), (2, "TSTBASISP4-OP")]
    assert details_of(()) == Details(None, ())


DETAILS = Details(Area("AAP"), ())
MISSING = Refusal(404, "Utbetalingen finnes ikke", f"{D}/async/kom_i_gang/endre_utbetaling#utbetaling-finnes-ikke", "OSUR")
EXISTS = Refusal(409, "Utbetalingen finnes allerede", f"{D}/async/kom_i_gang/opprett_utbetaling#utbetaling-finnes-allerede", "OSUR")
NO_WORDS = "Oppdragssystemet (OS) oppga ingen årsak"


@pytest.mark.parametrize(
    ("severity", "raw", "text", "status", "error"),
    [
        (Severity.OK, "00", "", Status.OK, None),
        (Severity.OK, "00", "whatever it says", Status.OK, None),
        (Severity.WARNING, "04", "Utbetales senere", Status.OK, Refusal(200, "Utbetales senere", D, "OSUR")),
        (Severity.WARNING, "04", "", Status.OK, Refusal(200, NO_WORDS, D, "OSUR")),
        (Severity.REJECTED, "08", "Overlappende avvent-perioder", Status.FAILED, Refusal(400, "Overlappende avvent-perioder", D, "OSUR")),
        (Severity.REJECTED, "08", "", Status.FAILED, Refusal(400, NO_WORDS, D, "OSUR")),
        (Severity.TECHNICAL, "12", "Prøv igjen", Status.FAILED, Refusal(500, "Prøv igjen", D, "OSUR")),
        (Severity.REJECTED, "08", "OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før", Status.FAILED, MISSING),
        (Severity.REJECTED, "08", "B1: OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før.", Status.FAILED, MISSING),
        (Severity.REJECTED, "08", "Oppdraget finnes fra før", Status.FAILED, EXISTS),
        (Severity.TECHNICAL, "12", "Oppdraget finnes fra før", Status.FAILED, EXISTS),
        (
            Severity.UNKNOWN,
            "16",
            "Noe nytt",
            Status.FAILED,
            Refusal(500, "Kvittering fra oppdragssystemet (OS) har ukjent alvorlighetsgrad '16': Noe nytt", D, "HELVED"),
        ),
        (
            Severity.UNKNOWN,
            "",
            "",
            Status.FAILED,
            Refusal(500, f"Kvittering fra oppdragssystemet (OS) har ingen alvorlighetsgrad: {NO_WORDS}", D, "HELVED"),
        ),
    ],
)
def test_a_receipt_is_reported_by_its_severity(severity: Severity, raw: str, text: str, status: Status, error: Refusal | None) -> None:
    receipt = Observation((Scheme.AAP, "SAK-1"), "AAP", b"", "", severity, raw, "B110008F", text, reasons_in(text))
    assert answer_to(receipt, DETAILS) == Answer(status, DETAILS, error, dry_run=False)


def test_every_severity_has_an_answer() -> None:
    for severity in Severity:
        assert answer_to(Observation(None, "AAP", b"", "", severity, ""), DETAILS).details == DETAILS
