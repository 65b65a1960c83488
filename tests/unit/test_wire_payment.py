"""Payments, statuses and case keys are written to the letter of the contract and read back as the same values."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.contracts.helved.outputs import (
    decode_key,
    decode_payment,
    decode_payments,
    decode_status,
    encode_key,
    encode_payment,
    encode_payments,
    encode_status,
)
from kvitt.disbursement.answers import (
    Answer,
    DetailLine,
    Details,
    Status,
)
from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.values import (
    Action,
    Area,
    CaseId,
    DecisionId,
    LineId,
    Payment,
    PaymentId,
    Period,
    RateType,
    Refusal,
    Scheme,
)
from kvitt.errors import Undecodable
from support.tried import tried
from support.wire_values import amounts, carried_texts, days, payments

UTBETALING = (
    '{"dryrun":false,"originalKey":"0197…","fagsystem":"DAGPENGER","uid":"26c8ad95-1731-e800-abd5-ba92ec6aad86","action":"CREATE",'
    '"førsteUtbetalingPåSak":true,"sakId":"rsid3","behandlingId":"AZ222","lastPeriodeId":"850a4857-fa4e-4d0d-934a-240f7c76c8a4",'
    '"sistePeriode":{"fom":"2025-08-01","tom":"2025-08-14","beløp":553,"betalendeEnhet":null,"vedtakssats":1077},'
    '"personident":"01020312345","vedtakstidspunkt":"2025-07-04T09:15:30","stønad":"DAGPENGER","beslutterId":"dagpenger",'
    '"saksbehandlerId":"dagpenger","periodetype":"UKEDAG","avvent":null,'
    '"perioder":[{"fom":"2025-08-01","tom":"2025-08-14","beløp":553,"betalendeEnhet":null,"vedtakssats":1077}]}'
)
AUGUST = Period(date(2025, 8, 1), date(2025, 8, 14), 553, None, 1077)
PAYMENT = Payment(
    original_key="0197…",
    area=Area("DP"),
    payment_id=PaymentId("26c8ad95-1731-e800-abd5-ba92ec6aad86"),
    action=Action.CREATE,
    first_of_case=True,
    case_id=CaseId("rsid3"),
    decision_id=DecisionId("AZ222"),
    last_line=LineId("850a4857-fa4e-4d0d-934a-240f7c76c8a4"),
    last_sent=AUGUST,
    person="01020312345",
    decided_at="2025-07-04T09:15:30",
    benefit="DAGPENGER",
    approver="dagpenger",
    caseworker="dagpenger",
    rate_type=RateType.WEEKDAY,
    hold_back=None,
    periods=(AUGUST,),
)
STATUS = (
    '{"status":"FEILET","detaljer":{"ytelse":"AAP","linjer":[{"behandlingId":"4NBBB1","fom":"2025-06-02","tom":"2025-06-13",'
    '"vedtakssats":1077,"beløp":553,"klassekode":"AAPOR"}]},"error":{"statusCode":400,"msg":"Overlappende avvent-perioder",'
    '"doc":"https://helved-docs.ansatt.dev.nav.no","system":"OSUR"},"simulering":false}'
)
ANSWER = Answer(
    Status.FAILED,
    Details(Area("AAP"), (DetailLine(DecisionId("4NBBB1"), date(2025, 6, 2), date(2025, 6, 13), 1077, 553, "AAPOR"),)),
    Refusal(400, "Overlappende avvent-perioder", "https://helved-docs.ansatt.dev.nav.no", "OSUR"),
)


def test_a_payment_is_written_as_the_contract_shows_it() -> None:
    assert encode_payment(PAYMENT).decode() == UTBETALING
    assert decode_payment(UTBETALING.encode()) == PAYMENT


@tried(200)
@given(payments)
def test_any_payment_comes_back_as_it_was(value: Payment) -> None:
    assert decode_payment(encode_payment(value)) == value


def old(**changes: object) -> bytes:
    document = json.loads(UTBETALING) | changes
    return json.dumps({name: value for name, value in document.items() if value is not ...}).encode()


def test_old_data_is_tolerated() -> None:
    read = decode_payment(old(action="FAKE_DELETE", sistePeriode=..., avvent=..., dryrun=True, uid=PAYMENT.payment_id.upper(), nytt=[1]))
    assert (read.action, read.last_sent, read.hold_back, read.payment_id) == (Action.DELETE, None, None, PAYMENT.payment_id)
    assert decode_payment(old(sistePeriode=None, vedtakstidspunkt=[2025, 7, 4, 9, 15])).decided_at == "2025-07-04T09:15"


@pytest.mark.parametrize(
    ("field", "value"),
    [("fagsystem", "UKJENT"), ("action", "create"), ("uid", "1"), ("vedtakstidspunkt", "x"), ("originalKey", ...), ("sakId", None)],
)
def test_a_payment_that_is_none_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(Undecodable) as refused:
        decode_payment(old(**{field: value}))
    assert refused.value.field == field


def test_a_status_is_written_as_the_contract_shows_it() -> None:
    assert encode_status(ANSWER).decode() == STATUS
    assert decode_status(STATUS.encode()) == ANSWER


def test_a_plain_ok_writes_its_nulls() -> None:
    assert encode_status(Answer(Status.OK)) == b'{"status":"OK","detaljer":null,"error":null,"simulering":false}'
    assert decode_status(b'{"status":"OK"}') == Answer(Status.OK)
    assert json.loads(encode_status(Answer(Status.OK, dry_run=True)))["simulering"] is True


def test_details_of_several_areas_have_the_umbrella_name() -> None:
    assert json.loads(encode_status(Answer(Status.OK, Details(None, ()))))["detaljer"] == {"ytelse": "TILLEGGSSTØNADER", "linjer": []}


answers = st.builds(
    Answer,
    status=st.sampled_from(Status),
    details=st.none()
    | st.builds(
        Details,
        area=st.sampled_from(sorted(AREAS)),
        lines=st.lists(
            st.builds(
                DetailLine,
                decision_id=carried_texts,
                start=days,
                end=days,
                decided_rate=st.none() | amounts,
                amount=amounts,
                class_code=carried_texts,
            ),
            max_size=3,
        ).map(tuple),
    ),
    error=st.none() | st.builds(Refusal, status=st.integers(100, 599), text=carried_texts, doc=carried_texts, system=carried_texts),
    dry_run=st.booleans(),
)


@tried(200)
@given(answers)
def test_any_answer_comes_back_as_it_was(answer: Answer) -> None:
    assert decode_status(encode_status(answer)) == answer


def test_a_case_key_names_the_scheme_and_reads_any_area_as_its_scheme() -> None:
    body = encode_key(CaseId("300000123"), Scheme.TILLEGGSSTONADER)
    assert body.decode() == '{"sakId":"300000123","fagsystem":"TILLEGGSSTØNADER"}'
    assert decode_key(body) == ("300000123", Scheme.TILLEGGSSTONADER)
    assert decode_key(b'{"sakId":"1","fagsystem":"TILLSTDR"}') == ("1", Scheme.TILLEGGSSTONADER)
    with pytest.raises(Undecodable, match="fagsystem"):
        decode_key(b'{"sakId":"1","fagsystem":"HST"}')


def test_a_case_list_keeps_its_order_and_an_emptied_case_is_an_empty_list() -> None:
    ids = (PaymentId("66666666-7777-4888-8999-000000000000"), PAYMENT.payment_id)
    assert encode_payments(ids) == b'["66666666-7777-4888-8999-000000000000","26c8ad95-1731-e800-abd5-ba92ec6aad86"]'
    assert decode_payments(encode_payments(ids)) == ids
    assert encode_payments(()) == b"[]"
    assert decode_payments(b"[]") == ()
