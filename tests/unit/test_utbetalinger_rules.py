"""Single payments: their rules in order, how periods are joined and shown again, and what a call may change (iverksetting §3)."""

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kvitt.contracts.utbetalinger import changes, read, rules
from kvitt.contracts.utbetalinger.changes import PaymentCall, PaymentFound, PaymentOperation, etag_of, orders_of, refused
from kvitt.contracts.utbetalinger.read import instructions_of, payment_id_of, periods_of, read_single
from kvitt.contracts.utbetalinger.shapes import SinglePayment, encode_payment_shape, read_correction, shape_of
from kvitt.disbursement import refusals
from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState
from kvitt.disbursement.instructions import InstructionKind, PaymentInstructions
from kvitt.disbursement.values import Action, Order, Payment, PaymentId, Refusal, Scheme
from kvitt.errors import Undecodable
from support.contract_tables import BROKEN_PAYMENTS, JOINED
from support.single_payments import UID, Body, days, single, span, spans_of, supplement, text
from support.tried import tried

_UID = PaymentId(UID)
_AT = datetime(2026, 7, 1, 13, 22, 5, 481516)  # noqa: DTZ001 - Oslo local time by definition
_KINDS = ("UKEDAG", "DAG", "MND", "EN_GANG")
_CREATE = "https://helved-docs.ansatt.dev.nav.no/async/kom_i_gang/opprett_utbetaling"
_LONG = "S" * 31
_DAY = span("2026-06-01")


def _read(body: Body) -> SinglePayment:
    found = read_single(text(body))
    assert isinstance(found, SinglePayment), found
    return found


def _call(operation: PaymentOperation, body: Body, **more: Any) -> PaymentCall:
    kind = InstructionKind.CEASE if operation is PaymentOperation.DELETE else InstructionKind.PAY
    found = instructions_of(_read(body), _UID, kind)
    assert isinstance(found, PaymentInstructions), found
    return PaymentCall(operation, found, **more)


def _made(body: Body, case: CaseState = NEW_CASE, operation: PaymentOperation = PaymentOperation.POST) -> tuple[Order, ...]:
    made = orders_of(_call(operation, body), case, _AT)
    assert not isinstance(made, Refusal), made
    return tuple(made)


def _after(orders: tuple[Order, ...], case: CaseState = NEW_CASE) -> CaseState:
    payments = {**case.payments, **{each.payment_id: each for order in orders for each in order.payments}}
    return CaseState(payments, orders[0].person, case.areas | {each.area for each in orders}, case.orders_made + len(orders))


def _stored(body: Body) -> Payment:
    return _made(body)[0].payments[0]


@pytest.mark.parametrize(("body", "message", "doc"), BROKEN_PAYMENTS)
def test_the_first_broken_rule_is_the_answer(body: Body, message: str, doc: str) -> None:
    assert read_single(text(body)) == Refusal(400, message, doc)


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (single(span("2026-06-02", "2026-06-01", 0), sakId=_LONG), refusals.END_BEFORE_START),
        (supplement(span("2026-06-06", "2026-06-08", 0, fastsattDagsats=9)), rules.RESERVED_RATE),
        (supplement(span("2026-06-06", "2026-06-08", 0)), rules.INCONSISTENT_DAYS),
        (single(span("2026-06-01", amount=0), sakId=_LONG), refusals.ZERO_AMOUNT),
        (single(_DAY, sakId=_LONG, behandlingId=_LONG), refusals.BAD_CASE_ID),
        (single(_DAY, sakId=_LONG, personident="1"), refusals.BAD_CASE_ID),
    ],
)
def test_rules_are_looked_at_in_the_contracts_order(body: Body, refusal: Refusal) -> None:
    assert read_single(text(body)) == refusal


def test_public_holidays_are_weekdays_and_a_year_of_days_is_not_too_long() -> None:
    assert _read(single(span("2026-05-01"), span("2026-05-14"))).spans
    assert _read(single(span("2024-01-02"), span("2027-01-05"))).spans


def test_one_off_amounts_are_never_joined() -> None:
    near = [span("2026-06-01", "2026-06-03"), span("2026-06-04", "2026-06-06")]
    assert read_single(text(supplement(*near, kind="EN_GANG"))) == rules.ONE_OFFS_TO_JOIN
    assert _read(supplement(near[0], {**near[1], "beløp": 500}, kind="EN_GANG")).spans
    assert _read(supplement(near[0], {**near[1], "betalendeEnhet": "4488"}, kind="EN_GANG")).spans
    assert _read(supplement(near[0], span("2026-06-05"), kind="EN_GANG")).spans


def test_one_off_amounts_that_overlap_are_refused() -> None:
    crossing = supplement(span("2026-06-01", "2026-06-04"), span("2026-06-04", "2026-06-09"), kind="EN_GANG")
    assert read_single(text(crossing)) == refusals.OVERLAP


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        text({**single(_DAY), "stønad": "BARNETRYGD"}),
        text({**single(_DAY), "periodeType": "UKE"}),
        text({**single(_DAY), "vedtakstidspunkt": "i går"}),
        text({**single(_DAY), "vedtakstidspunkt": None}),
        text(single(span("2026-06-01", amount=-1))),
        text(single({"fom": "2026-06-01", "tom": "2026-06-01", "beløp": "940"})),
        text({key: value for key, value in single(_DAY).items() if key != "sakId"}),
    ],
)
def test_what_can_not_be_read_hears_one_text(body: bytes) -> None:
    assert read_single(body) == read.UNREADABLE


def test_a_member_that_is_there_twice_is_named() -> None:
    twice = text(single(_DAY)).replace(b'"sakId"', b'"sakId": "A", "sakId"', 1)
    assert read_single(twice) == Refusal(400, "Feltet sakId kan bare forekomme én gang", refusals.BASE)


def test_unknown_members_are_ignored_and_nullable_ones_may_be_missing() -> None:
    plain = {key: value for key, value in single(_DAY).items() if key != "avvent"}
    assert _read({**plain, "nytt": 1}) == _read(single({**_DAY, "betalendeEnhet": None, "fastsattDagsats": None}, erFørsteUtbetaling=None))


def test_a_correction_of_a_hold_back_is_read() -> None:
    body = {"stønad": "TILSYN_BARN_AAP", "sakId": "S1", "personident": "1", "saksbehandlerId": "A1"}
    found = read_correction(text({**body, "avvent": {"fom": "2026-06-01", "tom": "2026-06-30", "feilregistrering": True}}))
    assert (found.benefit.scheme, found.avvent.value().registered_by_mistake) == (Scheme.TILLEGGSSTONADER, True)
    with pytest.raises(Undecodable):
        read_correction(text(body))


@pytest.mark.parametrize("uid", [UID, UID.upper()])
def test_ids_are_uuids_in_any_case_of_letters(uid: str) -> None:
    assert payment_id_of(uid) == UID


@pytest.mark.parametrize("uid", ["", "1", UID[:-1], UID + "0", UID.replace("-", ""), f"{{{UID}}}", "５d0c2e9e-1111-4222-8333-444455556666"])
def test_what_is_no_uuid_is_refused(uid: str) -> None:
    assert payment_id_of(uid) == Refusal(400, "Path param må være UUID", refusals.BASE)


@pytest.mark.parametrize(("kind", "given", "made"), JOINED)
def test_periods_that_follow_each_other_are_joined(kind: str, given: list[Body], made: list[tuple[str, str, int]]) -> None:
    payment = _read(single(*given, kind=kind))
    assert [(str(each.start), str(each.end), each.amount) for each in periods_of(payment)] == made


def test_another_office_or_decided_rate_is_another_period() -> None:
    office = _read(supplement(*days(1, 2), *days(3, 4, betalendeEnhet="4488"), *days(5, 6)))
    assert [each.office for each in periods_of(office)] == [None, "4488", None]
    rates = _read(single(*days(1, 2, fastsattDagsats=900), *days(3, 5, fastsattDagsats=910)))
    assert [each.decided_rate for each in periods_of(rates)] == [900, 910]


@given(st.sampled_from(_KINDS).flatmap(lambda kind: st.tuples(st.just(kind), spans_of(kind))))
@tried()
def test_what_get_shows_can_be_put_back_and_changes_nothing(asked: tuple[str, list[Body]]) -> None:
    kind, spans = asked
    stored = _stored(supplement(*spans, kind=kind))
    shown = json.loads(encode_payment_shape(stored))
    put = _call(PaymentOperation.PUT, shown)
    assert refused(put, PaymentFound(stored)) == refusals.NO_REAL_CHANGE
    assert refused(_call(PaymentOperation.DELETE, shown), PaymentFound(stored)) is None
    kept = {(each["fom"], each["tom"], each["beløp"], each["betalendeEnhet"]) for each in shown["perioder"]}
    assert kept == {(each["fom"], each["tom"], each["beløp"], each["betalendeEnhet"]) for each in spans}


def test_what_get_shows_has_all_members_in_their_order() -> None:
    body = single(
        span("2026-05-04", fastsattDagsats=1180), vedtakstidspunkt="2026-05-04T09:00", avvent={"fom": "2026-05-04", "tom": "2026-05-04"}
    )
    shown = encode_payment_shape(_stored(body)).decode()
    assert shown == (
        '{"sakId":"AAP-81020","behandlingId":"44","erFørsteUtbetaling":null,"personident":"01820390012",'
        '"vedtakstidspunkt":"2026-05-04T09:00:00","stønad":"AAP_UNDER_ARBEIDSAVKLARING","beslutterId":"B200002",'
        '"saksbehandlerId":"A100001","periodeType":"UKEDAG","perioder":[{"fom":"2026-05-04","tom":"2026-05-04","beløp":940,'
        '"betalendeEnhet":null,"fastsattDagsats":1180}],"avvent":{"fom":"2026-05-04","tom":"2026-05-04","overføres":null,'
        '"årsak":null,"feilregistrering":false}}'
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2026-05-04T09:00", "2026-05-04T09:00:00"),
        ("2026-05-04T09:00:30", "2026-05-04T09:00:30"),
        ("2026-05-04T09:00:30.1200", "2026-05-04T09:00:30.12"),
        ("2026-05-04T09:00:30.123456789", "2026-05-04T09:00:30.123456789"),
    ],
)
def test_times_are_shown_with_their_seconds(given: str, shown: str) -> None:
    assert shape_of(_stored(single(_DAY, vedtakstidspunkt=given))).decided_at == shown


def test_months_are_shown_one_by_one() -> None:
    stored = _stored(supplement(span("2026-04-01", "2026-04-30"), span("2026-05-01", "2026-05-31"), kind="MND"))
    assert [(str(each.start), str(each.end)) for each in stored.periods] == [("2026-04-01", "2026-05-31")]
    assert [(str(each.start), str(each.end)) for each in shape_of(stored).spans] == [
        ("2026-04-01", "2026-04-30"),
        ("2026-05-01", "2026-05-31"),
    ]


FORTNIGHT = supplement(*days(1, 12))
_WEEK = supplement(*days(1, 5))
_STORED = _stored(FORTNIGHT)


@pytest.mark.parametrize(
    ("found", "refusal"),
    [
        (PaymentFound(_STORED), changes.exists_already(_UID)),
        (PaymentFound(_STORED, has_open_order=True), changes.exists_already(_UID)),
        (PaymentFound(None, pending=True, has_open_order=True), changes.exists_already(_UID)),
        (PaymentFound(None, in_other_case=True), changes.exists_already(_UID)),
        (PaymentFound(None, has_open_order=True), changes.CASE_HAS_OPEN_ORDER),
        (PaymentFound(None), None),
    ],
)
def test_a_payment_is_made_once(found: PaymentFound, refusal: Refusal | None) -> None:
    assert refused(_call(PaymentOperation.POST, FORTNIGHT), found) == refusal


@pytest.mark.parametrize("operation", [PaymentOperation.PUT, PaymentOperation.DELETE])
@pytest.mark.parametrize(
    ("body", "found", "status", "message"),
    [
        (_WEEK, PaymentFound(None), 404, "Fant ikke utbetaling med uid"),
        (_WEEK, PaymentFound(None, has_open_order=True), 404, "Fant ikke utbetaling med uid"),
        (_WEEK, PaymentFound(None, in_other_case=True), 400, "Kan ikke endre 'sakId'"),
        (_WEEK, PaymentFound(None, pending=True, has_open_order=True), 423, "har et pågående oppdrag, vent til dette er ferdig"),
        (
            {**_WEEK, "personident": "12345678910"},
            PaymentFound(_STORED, has_open_order=True),
            423,
            "har et pågående oppdrag, vent til dette er ferdig",
        ),
        ({**_WEEK, "personident": "12345678910", "stønad": "LÆREMIDLER_AAP"}, PaymentFound(_STORED), 400, "Kan ikke endre 'personident'"),
        (
            supplement(*days(1, 5, weekends=False), kind="UKEDAG", stønad="LÆREMIDLER_AAP"),
            PaymentFound(_STORED),
            400,
            "Kan ikke endre 'stønad'",
        ),
        (supplement(*days(1, 5), kind="UKEDAG"), PaymentFound(_STORED), 400, "Kan ikke ha forskjellige satstyper"),
    ],
)
def test_what_may_be_changed_is_looked_at_in_the_contracts_order(
    operation: PaymentOperation, body: Body, found: PaymentFound, status: int, message: str
) -> None:
    refusal = refused(_call(operation, body), found)
    assert refusal is not None
    assert (refusal.status, message in refusal.text) == (status, True)


def test_put_needs_a_change_and_delete_none() -> None:
    later = {**FORTNIGHT, "behandlingId": "45", "vedtakstidspunkt": "2026-07-01T09:00:00"}
    assert refused(_call(PaymentOperation.PUT, later), PaymentFound(_STORED)) == refusals.NO_REAL_CHANGE
    assert refused(_call(PaymentOperation.DELETE, later), PaymentFound(_STORED)) is None
    assert refused(_call(PaymentOperation.DELETE, _WEEK), PaymentFound(_STORED)) == changes.OTHER_PERIODS
    assert refused(_call(PaymentOperation.PUT, _WEEK), PaymentFound(_STORED)) is None


def test_put_that_never_was_made_names_post() -> None:
    refusal = refused(_call(PaymentOperation.PUT, _WEEK), PaymentFound(None))
    assert refusal == changes.never_made(_UID)
    assert f"POST /utbetalinger/{UID}" in changes.never_made(_UID).text
    assert refused(_call(PaymentOperation.DELETE, _WEEK), PaymentFound(None)) == changes.not_found(_UID)


@pytest.mark.parametrize("named", ["*", etag_of(_STORED), f'"old", {etag_of(_STORED)}'])
def test_who_names_the_state_that_stands_may_change_it(named: str) -> None:
    assert refused(_call(PaymentOperation.PUT, _WEEK, if_match=named), PaymentFound(_STORED)) is None


@pytest.mark.parametrize("named", ['"old"', f"W/{etag_of(_STORED)}", etag_of(_STORED).strip('"'), ""])
def test_who_names_another_state_is_refused(named: str) -> None:
    assert refused(_call(PaymentOperation.PUT, _WEEK, if_match=named), PaymentFound(_STORED)) == changes.NOT_MATCHED


def test_the_tag_of_a_payment_changes_with_what_is_shown_of_it() -> None:
    assert etag_of(_STORED) == etag_of(replace(_STORED, last_line="another"))
    assert etag_of(_STORED) != etag_of(replace(_STORED, decision_id="45"))


def test_another_office_alone_is_a_change_and_sent() -> None:
    moved = supplement(*days(1, 12, betalendeEnhet="4488"))
    (order,) = _made(moved, _after(_made(FORTNIGHT)), PaymentOperation.PUT)
    assert (order.office, [each.ceased_from for each in order.lines]) == ("4488", [None])


def test_a_payment_that_has_ceased_begins_a_new_chain_and_the_case_is_known() -> None:
    first = _after(_made(FORTNIGHT))
    ceased = _after(_made(FORTNIGHT, first, PaymentOperation.DELETE), first)
    assert ceased.payments[_UID].action is Action.DELETE
    (again,) = _made(_WEEK, ceased)
    assert (again.is_first_order, [each.refers_to for each in again.lines], again.payments[0].action) == (False, [None], Action.CREATE)


@pytest.mark.parametrize(("named", "first"), [(None, True), (True, True), (False, False)])
def test_a_caller_may_say_that_the_rail_knows_the_case(named: bool | None, first: bool) -> None:
    made = orders_of(_call(PaymentOperation.POST, FORTNIGHT, first_of_case=named), NEW_CASE, _AT)
    assert not isinstance(made, Refusal)
    assert (made[0].is_first_order, made[0].payments[0].first_of_case) == (first, first)


def test_nobody_may_say_that_the_rail_does_not_know_a_case_that_it_knows() -> None:
    known = replace(_after(_made(FORTNIGHT)), payments={})
    made = orders_of(_call(PaymentOperation.POST, FORTNIGHT, first_of_case=True), known, _AT)
    assert not isinstance(made, Refusal)
    assert not made[0].is_first_order
