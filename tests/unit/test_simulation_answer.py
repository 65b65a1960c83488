"""What the rail's simulation says is read by its local names, however it is written; what can not be read is a value with the reason."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.disbursement.simulation import (
    FailureReason,
    FaultPart,
    NothingComputed,
    SimulatedKind,
    SimulatedPosting,
    Simulation,
    SimulationFailure,
)
from kvitt.disbursement.values import RateType
from kvitt.kernel.money import Kroner, Minor
from kvitt.rails.oppdrag.simulation_answer import MAX_BYTES, MAX_TAGS, read_simulation
from support import simulation_answers as answers
from support.simulation_answers import Of, Row
from support.tried import tried


def simulation(answer: bytes) -> Simulation:
    found = read_simulation(200, answer)
    assert isinstance(found, Simulation)
    return found


def postings(*rows: Row) -> tuple[SimulatedPosting, ...]:
    return simulation(answers.computed(("2026-01-01", "2026-01-31", [Of(rows)]))).periods[0].payments[0].postings


def failure(answer: bytes, status: int = 500) -> SimulationFailure:
    found = read_simulation(status, answer)
    assert isinstance(found, SimulationFailure)
    return found


def test_an_answer_is_read_to_its_last_leaf_without_the_blanks_that_pad_it() -> None:
    found = simulation(answers.EXAMPLE)
    assert (found.person, found.person_name, found.computed_on, found.total) == ("01020312345", "ÅSE BØ", date(2026, 1, 15), 0)
    (period,) = found.periods
    assert (period.start, period.end) == (date(2026, 1, 5), date(2026, 1, 5))
    (payment,) = period.payments
    assert (payment.area, payment.case_id, payment.recipient) == ("TILTPENG", "202601051001", "01020312345")
    assert (payment.recipient_name, payment.due_on, payment.on_error_account) == ("ÅSE BØ", date(2026, 2, 10), False)
    kinds = [SimulatedKind.PAY, SimulatedKind.PAY, SimulatedKind.RECOVERY, SimulatedKind.COUNTER, SimulatedKind.PAY]
    assert [row.kind for row in payment.postings] == kinds
    assert [row.amount for row in payment.postings] == [200, 300, 200, -200, -500]
    assert payment.postings[1] == SimulatedPosting(
        start=date(2026, 1, 5),
        end=date(2026, 1, 5),
        amount=Kroner(300),
        kind=SimulatedKind.PAY,
        raw_kind="YTEL",
        class_code="TPTPATT",
        class_text="Beskrivelse & mer",
        account="2338020",
        rate=Minor(30000),
        rate_type=RateType.WEEKDAY,
        raw_rate_type="DAG",
        rate_count=1,
    )
    assert payment.postings[4].is_reversal


def test_organisations_lose_the_zeros_that_fill_them_up_and_blank_rates_are_none() -> None:
    answer = answers.computed(("2026-01-01", "2026-01-31", [Of([Row("2026-01-05", "1.00")], recipient="00987654321")]))
    assert simulation(answer).periods[0].payments[0].recipient == "987654321"
    (row,) = postings(Row("2026-01-05", "10.00"))
    assert (row.rate, row.rate_type, row.raw_rate_type, row.refunded_to) == (0, None, "", "")


@pytest.mark.parametrize(
    ("kind", "class_code", "read"),
    [
        ("YTEL", "AAPOR", SimulatedKind.PAY),
        ("FEIL", "KL_KODE_FEIL_ARBYT", SimulatedKind.RECOVERY),
        ("FEIL", "KL_KODE_FEIL_TILLST", SimulatedKind.RECOVERY),
        ("FEIL", "KL_KODE_FEIL_INNT", SimulatedKind.RECOVERY),
        ("FEIL", "KL_KODE_FEIL", SimulatedKind.RECOVERY),
        ("FEIL", "KL_KODE_JUST_ARBYT", SimulatedKind.ADJUSTMENT),
        ("FEIL", "KL_KODE_JUST_PEN", SimulatedKind.ADJUSTMENT),
        ("FEIL", "ANYTHING", SimulatedKind.OTHER),
        ("JUST", "KL_KODE_JUST_ARBYT", SimulatedKind.OTHER),
        ("MOTP", "TBMOTOBS", SimulatedKind.COUNTER),
        ("SKAT", "FSKTSKAT", SimulatedKind.TAX),
        ("TREK", "BSKTKRED", SimulatedKind.DEDUCTION),
        ("NEWK", "AAPOR", SimulatedKind.OTHER),
    ],
)
def test_rows_are_told_apart_by_their_class(kind: str, class_code: str, read: SimulatedKind) -> None:
    (row,) = postings(Row("2026-01-05", "10.00", kind, class_code))
    assert (row.kind, row.raw_kind) == (read, kind)


@pytest.mark.parametrize(
    ("written", "kroner"),
    [
        ("830.00", 830),
        ("-830.99", -830),
        ("0.99", 0),
        ("-0.99", 0),
        ("+7", 7),
        ("12.5", 12),
        ("  14.00 ", 14),
        ("99999999999.00", 99999999999),
    ],
)
def test_amounts_are_whole_kroner_with_their_decimals_cut(written: str, kroner: int) -> None:
    assert postings(Row("2026-01-05", written))[0].amount == kroner


@pytest.mark.parametrize("code", ["DAG", "DAG7", "MND", "ENG", "LOPM"])
def test_rate_types_are_those_that_orders_have_and_others_keep_their_name(code: str) -> None:
    known = {"DAG": RateType.WEEKDAY, "DAG7": RateType.DAY, "MND": RateType.MONTH, "ENG": RateType.ONE_OFF}
    (row,) = postings(Row("2026-01-05", "1.00", rate_type=code))
    assert (row.rate_type, row.raw_rate_type) == (known.get(code), code)


def test_prefixes_and_namespaces_do_not_matter() -> None:
    plain = answers.EXAMPLE.decode()
    for wanted, prefixed in [
        ("SOAP-ENV:", "soapenv:"),
        ("xmlns:SOAP-ENV", "xmlns:soapenv"),
        ("<simulerBeregningResponse xmlns=", "<sim:simulerBeregningResponse xmlns:sim="),
        ("</simulerBeregningResponse", "</sim:simulerBeregningResponse"),
        ("http://nav.no/system/os/entiteter/beregningSkjema", "urn:other"),
    ]:
        plain = plain.replace(wanted, prefixed)
    assert simulation(plain.encode()) == simulation(answers.EXAMPLE)


def test_an_answer_is_read_by_the_encoding_that_it_has_whatever_it_claims() -> None:
    text = answers.EXAMPLE.decode()
    as_written = simulation(answers.EXAMPLE)
    for answer in (
        b'<?xml version="1.0" encoding="UTF-8"?>' + text.encode("latin-1"),
        b'<?xml version="1.0" encoding="ISO-8859-1"?>' + text.encode("latin-1"),
        b'<?xml version="1.0" encoding="no-such-thing"?>' + text.encode(),
        text.encode("utf-16"),
        b"\xef\xbb\xbf" + text.encode(),
        b"\n  " + text.encode() + b"\x00\n",
    ):
        assert simulation(answer) == as_written


@pytest.mark.parametrize("answer", [answers.empty(), answers.empty().replace(b"></simulerBeregningResponse>", b"/>")])
def test_an_answer_without_response_means_that_nothing_would_be_paid(answer: bytes) -> None:
    assert read_simulation(200, answer) == NothingComputed()


def test_a_message_in_the_place_of_a_simulation_is_kept() -> None:
    assert read_simulation(200, answers.empty("Ingenting å beregne")) == NothingComputed("Ingenting å beregne")


def test_an_answer_without_periods_is_a_simulation() -> None:
    assert simulation(answers.computed(total="0.00")).periods == ()


@pytest.mark.parametrize(
    ("answer", "reason", "by_rule"),
    [
        (answers.fault("Personen finnes ikke"), FailureReason.PERSON_UNKNOWN, False),
        (answers.fault("Personen finnes ikke i TPS"), FailureReason.PERSON_UNKNOWN, False),
        (answers.fault("Feltet kodeKlassifik er ugyldig"), FailureReason.INVALID, False),
        (answers.fault("Må ha nytt vedtak når Sats/Type/Vedtak-fom endres"), FailureReason.NEEDS_NEW_DECISION, False),
        (answers.business("OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før"), FailureReason.CASE_UNKNOWN, True),
        (answers.business("Oppdraget finnes fra før"), FailureReason.ORDER_EXISTS, True),
        (answers.business("Referert vedtak/linje ikke funnet"), FailureReason.LINE_UNKNOWN, True),
        (answers.business("Navn på person ikke funnet i PDL"), FailureReason.PERSON_UNKNOWN, True),
        (answers.business("Personen finnes ikke i PDL"), FailureReason.PERSON_UNKNOWN, True),
        (answers.business("DELYTELSE-ID finnes i oppdragsbasen fra før"), FailureReason.LINE_EXISTS, True),
        (answers.business("UTBETALES-TIL-ID er ikke utfylt"), FailureReason.BROKEN_RULE, True),
        (answers.business("Oppdragssystemet er ikke tilgjengelig utenfor åpningstid"), FailureReason.CLOSED, True),
        (answers.business("Kjøreplan mangler for perioden"), FailureReason.NO_PAYMENT_RUN, True),
        (answers.business("Oppdraget finnes fra før", prefix="other"), FailureReason.ORDER_EXISTS, True),
        (answers.fault("simulerBeregningFeilUnderBehandling", "<detail/>"), FailureReason.UNKNOWN_FAULT, False),
        (answers.cics("Conversion from SOAP failed", answers.CICS_LENGTH), FailureReason.REQUEST_NOT_TAKEN, False),
        (answers.fault("Conversion from SOAP failed", "<detail/>"), FailureReason.UNKNOWN_FAULT, False),
        (answers.cics("Conversion to SOAP failed", answers.CICS_LOCKED), FailureReason.LOCKED, False),
        (answers.cics("Conversion to SOAP failed", "DFHPI1010 something else"), FailureReason.RAIL_FAILED, False),
        (answers.fault("The target application did not create a new SOAP Body", "<detail/>"), FailureReason.NOTHING_MADE, False),
        (
            answers.fault("Malformed SOAP message", "<detail><FaultDetail>XRC_NOT_WELL_FORMED</FaultDetail></detail>"),
            FailureReason.UNKNOWN_FAULT,
            False,
        ),
        (answers.AUTHENTICATION, FailureReason.NOT_AUTHENTICATED, False),
        (answers.fault("Something new"), FailureReason.UNKNOWN_FAULT, False),
        (answers.fault("Something new", prefix="soapenv"), FailureReason.UNKNOWN_FAULT, False),
    ],
)
def test_each_fault_has_its_reason(answer: bytes, reason: FailureReason, by_rule: bool) -> None:
    for status in (200, 500):
        found = failure(answer, status)
        assert (found.reason, found.by_rule) == (reason, by_rule)
        assert found.fault is not None


def test_a_fault_keeps_the_rails_words_trimmed_and_its_detail_by_local_names() -> None:
    found = failure(answers.business("Oppdraget finnes fra før"))
    assert found.text == "Oppdraget finnes fra før"
    assert found.fault is not None
    assert (found.fault.code, found.fault.text) == ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling")
    part = found.fault.part("simulerBeregningFeilUnderBehandling")
    assert part is not None
    assert part.parts == (
        FaultPart("errorMessage", "Oppdraget finnes fra før"),
        FaultPart("errorSource", "K231BB50 section: CA10-INPUTKONTROLL"),
        FaultPart("rootCause", "Kode BB50018F - SQL - MQ"),
        FaultPart("dateTimeStamp", "2026-01-15T10:11:12"),
    )
    assert failure(answers.cics("Conversion from SOAP failed", answers.CICS_LENGTH)).text == answers.CICS_LENGTH


BOMB = (
    b'<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    + answers.EXAMPLE.replace(b"01020312345<", b"&c;<", 1)
)


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (502, answers.PAGE, FailureReason.PROXY_CLOSED),
        (502, b"<!DOCTYPE html>" + answers.PAGE, FailureReason.PROXY_CLOSED),
        (502, b"Bad Gateway", FailureReason.PROXY_CLOSED),
        (502, b"", FailureReason.PROXY_CLOSED),
        (503, answers.PAGE, FailureReason.OTHER_STATUS),
        (404, b"not here", FailureReason.OTHER_STATUS),
        (302, b"", FailureReason.OTHER_STATUS),
        (200, answers.PAGE, FailureReason.FOREIGN_PAGE),
        (500, answers.PAGE, FailureReason.FOREIGN_PAGE),
        (200, b"", FailureReason.NO_ANSWER),
        (200, b" \n", FailureReason.NO_ANSWER),
        (200, b"Service unavailable & more", FailureReason.UNREADABLE),
        (200, answers.EXAMPLE[:-40], FailureReason.UNREADABLE),
        (200, answers.EXAMPLE[: len(answers.EXAMPLE) // 2], FailureReason.UNREADABLE),
        (200, b"\x00\x01\x02" * 50, FailureReason.UNREADABLE),
        (200, BOMB, FailureReason.UNREADABLE),
        (200, BOMB.decode().encode("utf-16"), FailureReason.UNREADABLE),
        (200, b"<a>" * 100_000, FailureReason.UNREADABLE),
        (200, b" " * (MAX_BYTES + 1), FailureReason.UNREADABLE),
        (200, answers.soap("<a/>" * MAX_TAGS), FailureReason.UNREADABLE),
        (200, answers.soap("").replace(b"Body", b"Elsewhere"), FailureReason.EMPTY_ENVELOPE),
        (200, answers.soap(""), FailureReason.UNKNOWN_ANSWER),
        (200, answers.soap("<something/>"), FailureReason.UNKNOWN_ANSWER),
        (200, answers.EXAMPLE.replace(b"<belop xmlns=\"\">200.00", b"<belop xmlns=\"\">2OO", 1), FailureReason.UNREADABLE),
        (200, answers.EXAMPLE.replace(b"<belop>0.00</belop>", b""), FailureReason.UNREADABLE),
        (200, answers.EXAMPLE.replace(b"<datoBeregnet>2026-01-15", b"<datoBeregnet>15-01-2026"), FailureReason.UNREADABLE),
        (200, answers.EXAMPLE.replace(b"2026-01-05<", b"          <"), FailureReason.UNREADABLE),
        (200, answers.EXAMPLE.replace(b"2026-01-05<", b"2026-02-30<"), FailureReason.UNREADABLE),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_told_with_its_reason(status: int, answer: bytes, reason: FailureReason) -> None:
    found = failure(answer, status)
    assert found.reason is reason
    assert found.text


def test_an_envelope_is_read_whatever_its_status_is() -> None:
    assert failure(answers.fault("Personen finnes ikke"), 502).reason is FailureReason.PERSON_UNKNOWN
    assert isinstance(read_simulation(502, answers.EXAMPLE), Simulation)


def test_what_is_wrong_is_named_by_its_element_and_never_quoted() -> None:
    found = failure(answers.EXAMPLE.replace(b"<belop>0.00", b"<belop>SECRET"))
    assert found.text == "belop is no amount"


@tried(200)
@given(st.binary(max_size=200) | st.tuples(st.integers(0, len(answers.EXAMPLE)), st.binary(max_size=20)), st.sampled_from([200, 500, 502]))
def test_no_bytes_make_it_fail(damage: bytes | tuple[int, bytes], status: int) -> None:
    answer = damage if isinstance(damage, bytes) else answers.EXAMPLE[: damage[0]] + damage[1] + answers.EXAMPLE[damage[0] :]
    assert isinstance(read_simulation(status, answer), Simulation | NothingComputed | SimulationFailure)
