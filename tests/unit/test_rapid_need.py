"""Which records of the rapid are needs for us, what they ask, and everything that can be wrong with them (rapid §1.4, §2.1, §2.2)."""

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.contracts.rapid.needs import (
    MAX_NEED_LINES,
    Need,
    NeedKind,
    NeedLine,
    digest_of,
    priority,
    reconciliation_key,
    total,
)
from kvitt.contracts.rapid.wire.need import InvalidNeed, read
from kvitt.disbursement.values import LineChange
from kvitt.errors import Undecodable
from support.rapid_messages import CASE_ID, EXAMPLE, LEFT_OUT, PERSON, line, need, need_bytes

PAYMENT, HOLIDAY_PAY = NeedKind.PAYMENT, NeedKind.HOLIDAY_PAY

LINE = NeedLine(
    start=date(2024, 3, 4),
    end=date(2024, 3, 22),
    change=LineChange.NEW,
    amount=1450,
    rate="DAG",
    line_id=1,
    ref_line=None,
    ref_case=None,
    class_code="SPREFAG-IOP",
    class_from=None,
    ceased_from=None,
    ceased=False,
    grade=80,
)


def valid(body: bytes) -> Need:
    asked = read(body)
    assert isinstance(asked, Need), asked
    return asked


def problems(body: bytes) -> tuple[str, ...]:
    asked = read(body)
    assert isinstance(asked, InvalidNeed), asked
    return asked.problems


def test_the_contracts_example_is_read() -> None:
    asked = valid(EXAMPLE.encode())
    assert asked == Need(
        kind=PAYMENT,
        person="24068715888",
        organisation="987654321",
        payment_id="6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1",
        case_id="KV5R2WQ7NZEXDJTLMBY4HGASCU",
        area="SPREF",
        change=LineChange.NEW,
        caseworker="Kari Utbetaler",
        recipient="987654321",
        last_day=date(2024, 12, 13),
        lines=(LINE,),
    )
    assert asked == valid(need_bytes()), "a number is a number, written as text or not"


def test_holiday_pay_has_another_name_another_rate_no_last_day_and_need_not_have_a_grade() -> None:
    asked = valid(need_bytes(HOLIDAY_PAY, maksdato="nonsense"))
    assert (asked.kind, asked.last_day, asked.lines[0].rate, asked.lines[0].grade) == (HOLIDAY_PAY, None, "ENG", None)
    assert problems(need_bytes(HOLIDAY_PAY, linjer=[line(satstype="DAG")])) == ("Feriepengeutbetaling.linjer[0].satstype: må være ENG",)


def test_the_case_id_is_stripped_and_the_payment_id_is_lower_case() -> None:
    asked = valid(need_bytes(fagsystemId=f" {CASE_ID}\r\n", utbetalingId="6F6BD6A7-0AB4-4D1E-9D69-5A3F62B6E1C1"))
    assert (asked.case_id, asked.payment_id) == (CASE_ID, "6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1")
    assert asked == valid(need_bytes())


def test_all_that_a_line_may_say_is_read() -> None:
    full = line(endringskode="ENDR", statuskode="OPPH", datoStatusFom="2024-03-10", datoKlassifikFom="2024-03-01", refDelytelseId=2)
    asked = valid(need_bytes(linjer=[full | {"refFagsystemId": f"{CASE_ID}\r\n", "sats": -1450}])).lines[0]
    assert (asked.change, asked.ceased, asked.ceased_from, asked.class_from) == (
        LineChange.CHANGE,
        True,
        date(2024, 3, 10),
        date(2024, 3, 1),
    )
    assert (asked.ref_line, asked.ref_case, asked.amount) == (2, f"{CASE_ID}\r\n", -1450)


def test_no_lines_are_a_need_with_nothing_to_do() -> None:
    assert valid(need_bytes(linjer=[])).lines == ()


@pytest.mark.parametrize("blank", [None, LEFT_OUT])
def test_what_may_be_absent_may_be_null(blank: Any) -> None:
    optional = dict.fromkeys(("refDelytelseId", "refFagsystemId", "datoStatusFom", "datoKlassifikFom", "statuskode"), blank)
    asked = valid(need_bytes(linjer=[line(**optional)], maksdato=blank))
    assert (asked.lines[0], asked.last_day) == (LINE, None)


@pytest.mark.parametrize("written", ["1450", " 12 ", "1450.00", "1450.0", "+7", "-7", "1e3", "007", "1450.", "-0"])
def test_a_whole_number_may_be_text(written: str) -> None:
    assert valid(need_bytes(linjer=[line(sats=written)])).lines[0].amount == int(float(written))


@pytest.mark.parametrize(("written", "number"), [("1450.0", 1450), ("1450.00", 1450), ("1.45e3", 1450), ("99999999999.0", 99_999_999_999)])
def test_a_whole_number_may_have_a_point_and_goes_through_no_float(written: str, number: int) -> None:
    body = need_bytes().replace(b'"sats": 1450', f'"sats": {written}'.encode())
    assert valid(body).lines[0].amount == number


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), "9223372036854775807"])
def test_a_line_id_may_have_64_bits(number: int | str) -> None:
    assert valid(need_bytes(linjer=[line(delytelseId=number)])).lines[0].line_id == int(number)


NOT_WHOLE = ["abc", "", " ", "1450.50", 1450.5, True, [], {}, "1 000", "1_000", "٣", "0x10", "NaN", "Infinity", "1e-3", "--1", "1e999"]


@pytest.mark.parametrize("written", NOT_WHOLE, ids=repr)
def test_what_is_no_whole_number_is_never_zero(written: object) -> None:
    assert problems(need_bytes(linjer=[line(sats=written)])) == ("Utbetaling.linjer[0].sats: må være et heltall",)


@pytest.mark.parametrize(
    ("field", "number", "least", "greatest"),
    [
        ("sats", 10**11, -99999999999, 99999999999),
        ("sats", -(10**11), -99999999999, 99999999999),
        ("sats", "1e11", -99999999999, 99999999999),
        ("grad", -1, 0, 999),
        ("grad", 1000, 0, 999),
        ("delytelseId", 2**63, -(2**63), 2**63 - 1),
        ("delytelseId", "-9223372036854775809", -(2**63), 2**63 - 1),
        ("refDelytelseId", 10**40, -(2**63), 2**63 - 1),
    ],
)
def test_a_number_has_bounds(field: str, number: object, least: int, greatest: int) -> None:
    assert problems(need_bytes(linjer=[line(**{field: number})])) == (f"Utbetaling.linjer[0].{field}: må være fra {least} til {greatest}",)


REQUIRED_ABOVE = ["fødselsnummer", "organisasjonsnummer", "utbetalingId", "Utbetaling"]
REQUIRED_BELOW = ["saksbehandler", "mottaker", "fagsystemId", "fagområde", "endringskode", "linjer"]
REQUIRED_OF_A_LINE = ["sats", "delytelseId", "klassekode", "grad", "fom", "tom", "endringskode", "satstype"]


@pytest.mark.parametrize("blank", [None, LEFT_OUT])
@pytest.mark.parametrize("field", [*REQUIRED_ABOVE, *REQUIRED_BELOW])
def test_a_required_field_may_be_neither_absent_nor_null(field: str, blank: Any) -> None:
    path = field if field in REQUIRED_ABOVE else f"Utbetaling.{field}"
    assert problems(need_bytes(**{field: blank})) == (f"{path}: mangler",)


@pytest.mark.parametrize("blank", [None, LEFT_OUT])
@pytest.mark.parametrize("field", REQUIRED_OF_A_LINE)
def test_a_required_field_of_a_line_may_be_neither_absent_nor_null(field: str, blank: Any) -> None:
    assert problems(need_bytes(linjer=[line(), line(**{field: blank})])) == (f"Utbetaling.linjer[1].{field}: mangler",)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"utbetalingId": "1-1-1-1-1"}, "utbetalingId: må være en UUID"),
        ({"utbetalingId": 17}, "utbetalingId: må være en UUID"),
        ({"fødselsnummer": "2406871588"}, "fødselsnummer: må være en tekst med 11 siffer"),
        ({"fødselsnummer": 24068715888}, "fødselsnummer: må være en tekst med 11 siffer"),
        ({"organisasjonsnummer": {}}, "organisasjonsnummer: må være en tekst"),
        ({"Utbetaling": []}, "Utbetaling: må være et objekt"),
        ({"mottaker": "98765432x"}, "Utbetaling.mottaker: må være en tekst med 9 eller 11 siffer"),
        ({"fagsystemId": " \r\n"}, "Utbetaling.fagsystemId: må ha fra 1 til 30 tegn"),
        ({"fagsystemId": "x" * 31}, "Utbetaling.fagsystemId: må ha fra 1 til 30 tegn"),
        ({"fagsystemId": "a\x00b"}, "Utbetaling.fagsystemId: har et tegn som XML ikke kan bære"),
        ({"saksbehandler": ""}, "Utbetaling.saksbehandler: må ha fra 1 til 50 tegn"),
        ({"saksbehandler": "x" * 51}, "Utbetaling.saksbehandler: må ha fra 1 til 50 tegn"),
        ({"fagområde": "AAP"}, "Utbetaling.fagområde: må være SPREF eller SP"),
        ({"endringskode": "ny"}, "Utbetaling.endringskode: må være NY, ENDR eller UEND"),
        ({"maksdato": "13.12.2024"}, "Utbetaling.maksdato: må være en dato, åååå-MM-dd"),
        ({"maksdato": "+999999999-12-31"}, "Utbetaling.maksdato: må være en dato, åååå-MM-dd"),
        ({"linjer": {}}, "Utbetaling.linjer: må være en liste"),
        ({"linjer": [17]}, "Utbetaling.linjer[0]: må være et objekt"),
        ({"linjer": [line()] * (MAX_NEED_LINES + 1)}, "Utbetaling.linjer: kan ha høyst 5000 linjer"),
        ({"linjer": [line(fom="2024-02-30")]}, "Utbetaling.linjer[0].fom: må være en dato, åååå-MM-dd"),
        ({"linjer": [line(fom="20240304")]}, "Utbetaling.linjer[0].fom: må være en dato, åååå-MM-dd"),
        ({"linjer": [line(tom="2024-03-22T00:00")]}, "Utbetaling.linjer[0].tom: må være en dato, åååå-MM-dd"),
        ({"linjer": [line(tom=[2024, 3, 22])]}, "Utbetaling.linjer[0].tom: må være en dato, åååå-MM-dd"),
        ({"linjer": [line(datoStatusFom="")]}, "Utbetaling.linjer[0].datoStatusFom: må være en dato, åååå-MM-dd"),
        ({"linjer": [line(statuskode="HVIL")]}, "Utbetaling.linjer[0].statuskode: må være OPPH"),
        ({"linjer": [line(satstype="ENG")]}, "Utbetaling.linjer[0].satstype: må være DAG"),
        ({"linjer": [line(klassekode="")]}, "Utbetaling.linjer[0].klassekode: må ha fra 1 til 50 tegn"),
        ({"linjer": [line(refFagsystemId="x" * 31)]}, "Utbetaling.linjer[0].refFagsystemId: må ha fra 1 til 30 tegn"),
        ({"linjer": [line(refFagsystemId=1)]}, "Utbetaling.linjer[0].refFagsystemId: må være en tekst"),
    ],
)
def test_what_breaks_a_rule_is_named_by_path_and_rule(changes: dict[str, Any], problem: str) -> None:
    assert problems(need_bytes(**changes)) == (problem,)


def test_every_problem_is_listed_and_no_value_is_reported() -> None:
    wrong = read(need_bytes(fødselsnummer="hemmelig", saksbehandler=None, linjer=[line(sats="skjult"), line(fom="tirsdag", grad=LEFT_OUT)]))
    assert wrong == InvalidNeed(
        (PAYMENT,),
        (
            "fødselsnummer: må være en tekst med 11 siffer",
            "Utbetaling.saksbehandler: mangler",
            "Utbetaling.linjer[0].sats: må være et heltall",
            "Utbetaling.linjer[1].grad: mangler",
            "Utbetaling.linjer[1].fom: må være en dato, åååå-MM-dd",
        ),
    )


def test_a_dotted_name_is_a_path_and_not_a_field() -> None:
    assert problems(need_bytes(**{"Utbetaling": {}, "Utbetaling.mottaker": "987654321"})) == (
        *(f"Utbetaling.{field}: mangler" for field in ("fagområde", "fagsystemId", "endringskode", "saksbehandler", "mottaker", "linjer")),
    )


def test_a_need_that_names_both_is_refused_under_both() -> None:
    both = need_bytes(**{"@behov": ["Feriepengeutbetaling", "Utbetaling", "Godkjenning"]})
    assert read(both) == InvalidNeed((PAYMENT, HOLIDAY_PAY), ("@behov: kan bare nevne ett av behovene Utbetaling og Feriepengeutbetaling",))


def test_other_needs_may_be_asked_beside_ours() -> None:
    assert valid(need_bytes(**{"@behov": ["Godkjenning", "Utbetaling"]})) == valid(need_bytes())


@pytest.mark.parametrize("change", [{"@løsning": None}, {"nytt": {"dypt": [1, {"x": None}]}}, {"Utbetaling.linjer": 1}])
def test_a_null_solution_and_unknown_fields_change_nothing(change: dict[str, Any]) -> None:
    assert valid(need_bytes(**change)) == valid(need_bytes())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"not JSON at all",
        b"\xff\xfe",
        b'["Utbetaling"]',
        b'"Utbetaling"',
        need_bytes(**{"@løsning": {"Utbetaling": {"status": "MOTTATT"}}}),
        need_bytes(**{"@løsning": {}}),
        need_bytes(**{"@event_name": "oppdrag_utbetaling"}),
        need_bytes(**{"@event_name": None}),
        need_bytes(**{"@behov": "Utbetaling"}),
        need_bytes(**{"@behov": None}),
        need_bytes(**{"@behov": ["Simulering"]}),
        need_bytes(**{"@behov": ["utbetaling", ["Utbetaling"]]}),
    ],
)
def test_what_is_not_for_us_is_let_go(body: bytes) -> None:
    assert read(body) is None


def test_a_name_in_escapes_is_read_as_well() -> None:
    assert valid(json.dumps(need()).replace("Utbetaling", "\\u0055tbetaling").encode()).person == PERSON


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body[:-1],
        lambda body: body + b"x",
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: body.replace(b"Kari", b"K\xe5ri"),
        lambda body: body.replace(b"Kari", b"\\ud800"),
        lambda body: body[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        lambda body: body + b" " * 17_000_000,
    ],
)
def test_what_is_no_json_and_names_our_need_is_said_to_be_so(damage: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Undecodable):
        read(damage(need_bytes()))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["NY", "SPREF", "1450", "2024-03-04"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*REQUIRED_ABOVE, "@behov", "@event_name", "@løsning", *REQUIRED_BELOW, "maksdato"]), json_values))
def test_any_value_in_any_place_is_read_or_named_but_never_crashes(changes: dict[str, Any]) -> None:
    try:
        asked = read(need_bytes(**changes))
    except Undecodable:
        return
    assert asked is None or isinstance(asked, Need) or asked.problems


@given(
    st.dictionaries(st.sampled_from([*REQUIRED_OF_A_LINE, "refDelytelseId", "refFagsystemId", "statuskode", "datoStatusFom"]), json_values)
)
def test_any_value_in_any_place_of_a_line_is_read_or_named_but_never_crashes(changes: dict[str, Any]) -> None:
    try:
        asked = read(need_bytes(linjer=[line(**changes)]))
    except Undecodable:
        return
    assert isinstance(asked, Need) or (asked and asked.problems)


@given(st.binary(max_size=200), st.integers(0, 700), st.integers(0, 700))
def test_any_bytes_are_read_or_refused_but_never_crash(noise: bytes, start: int, end: int) -> None:
    body = need_bytes()
    for each in (noise, body[:start] + noise + body[end:], noise + b"Utbetaling"):
        try:
            read(each)
        except Undecodable:
            continue


def test_the_total_is_the_plain_sum_of_the_rates() -> None:
    assert total(valid(need_bytes(linjer=[line(sats=1450), line(sats=-450, delytelseId=2)]))) == 1000


@pytest.mark.parametrize(("codes", "expected"), [(["SPATORD"], 4), (["SPREFAG-IOP", "SPATFER"], 3), (["SPREFAGFER-IOP"], 3), ([], 4)])
def test_holiday_pay_lets_the_rest_go_first(codes: list[str], expected: int) -> None:
    assert priority(valid(need_bytes(linjer=[line(klassekode=code) for code in codes]))) == expected


@pytest.mark.parametrize(
    ("instant", "key"),
    [
        ("2024-01-22T10:11:12.123456+01:00", 1705914672123456789),
        ("2018-01-01T23:59:59.999999+01:00", 1514847599999999789),
        ("2024-07-01T23:59:59.999999+02:00", 1719871199999999789),
        ("2024-03-31T23:59:59.999999+02:00", 1711922399999999789),
        ("2024-10-27T23:59:59.999999+01:00", 1730069999999999789),
        ("2024-01-22T00:00:00+01:00", 1705878000000000789),
        ("1969-12-31T23:59:59.999999+00:00", -211),
    ],
)
def test_a_reconciliation_key_is_the_instant_in_nanoseconds_the_last_three_digits_of_the_message(instant: str, key: int) -> None:
    assert reconciliation_key(datetime.fromisoformat(instant), 123_456_789) == key
    assert reconciliation_key(datetime.fromisoformat("2100-12-31T23:59:59+00:00"), 999) < 2**63


def test_the_digest_is_of_what_is_asked_and_of_nothing_else() -> None:
    asked = digest_of(valid(need_bytes()))
    assert asked == digest_of(valid(need_bytes(**{"@id": "another", "@behovId": "x", "nytt": 1})))
    others = [need_bytes(linjer=[line(sats=1451)]), need_bytes(endringskode="UEND"), need_bytes(maksdato=None), need_bytes(linjer=[])]
    assert len({asked, *(digest_of(valid(other)) for other in others)}) == 5


def test_the_kind_is_part_of_the_digest() -> None:
    kinds = {digest_of(valid(need_bytes(kind, linjer=[], maksdato=None))) for kind in NeedKind}
    assert len(kinds) == 2
