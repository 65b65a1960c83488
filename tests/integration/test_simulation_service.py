"""The emulator's simulation over HTTP: what an order would lead to, which months are answered, and who gets an answer at all."""

import base64
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from lxml import etree

from kvitt.kernel.database import Connection, connect
from kvitt.rails.oppdrag.emulator import CannotPay, Withholding, pay, payments, posted_rows, put_withholding
from kvitt.rails.oppdrag.emulator.order import CaseAtRail
from support.emulator_orders import PERSON, Line, order_xml
from support.emulator_stage import change
from support.simulation_stage import SERVICE, SimulatedRail, envelope, local, request_xml, simulated_rail

MAY = Line("L1", "2026-05-04", "2026-05-15", 1000, rate_code="DAG")


def after(line_id: str, starts: str, ends: str, amount: int, ref: str = "L1") -> Line:
    return Line(line_id, starts, ends, amount, ref=ref, rate_code="DAG")


@pytest.fixture
def rail(database: str) -> Iterator[SimulatedRail]:
    with simulated_rail(database) as playing:
        yield playing


@pytest.fixture
def paid(rail: SimulatedRail) -> SimulatedRail:
    """A rail that has paid twelve days of May."""
    assert rail.ask(order_xml(MAY)) == ["00"]
    rail.pay("2026-06-15")
    return rail


def test_a_new_case_is_simulated_without_being_booked(rail: SimulatedRail) -> None:
    answer = rail.simulate(MAY)
    assert answer.periods() == {"2026-05-04/2026-05-15": ["YTEL +10000 AAPOR"]}
    (row,) = answer.rows()
    assert (row["behandlingskode"], row["linjeId"], row["delytelseId"], row["typeSats"], row.rate, row.count) == (
        "2",
        "1",
        "L1",
        "DAG",
        1000,
        10,
    )
    assert (row["forfall"], row["utbetalesTilId"], row["tilbakeforing"], row["feilkonto"]) == ("2026-06-16", PERSON, "false", "false")
    assert rail.paid() == []
    assert rail.ask(order_xml(MAY)) == ["00"]


def test_the_answer_is_on_the_wire_as_the_rail_writes_it(rail: SimulatedRail) -> None:
    answer = rail.simulate(MAY)
    assert answer.content_type.startswith("text/xml")
    response = local(answer.xml, "simulerBeregningResponse")[0]
    assert response.tag == f"{{{SERVICE}}}simulerBeregningResponse"
    simulation = local(answer.xml, "simulering")[0]
    assert [(each.tag, each.text) for each in simulation][:5] == [
        ("gjelderId", PERSON),
        ("gjelderNavn", "NORDMANN KARI".ljust(30)),
        ("datoBeregnet", "2026-06-15"),
        ("kodeFaggruppe", "ARBYT"),
        ("belop", "10000.00"),
    ]
    padded = {"kodeFagomraade": 8, "fagsystemId": 30, "klassekode": 20, "delytelseId": 30, "typeSats": 4, "korrigering": 1}
    assert {name: len(local(answer.xml, name)[0].text or "") for name in padded} == padded


def test_a_raise_says_what_was_paid_and_what_will_be(paid: SimulatedRail) -> None:
    answer = paid.simulate(after("L2", "2026-05-11", "2026-05-15", 1300), change="ENDR")
    assert answer.periods() == {
        "2026-05-04/2026-05-08": ["YTEL +5000 AAPOR", "YTEL -5000 AAPOR"],
        "2026-05-11/2026-05-15": ["YTEL +6500 AAPOR", "YTEL -5000 AAPOR"],
    }


def test_a_reduction_is_recovered_with_its_counter_row_and_extra_pay(paid: SimulatedRail) -> None:
    answer = paid.simulate(after("L2", "2026-05-14", "2026-05-15", 600), change="ENDR")
    rows = [row for row in answer.rows() if f"{row.first}" == "2026-05-14"]
    assert [row.short for row in rows] == [
        "YTEL +800 AAPOR",
        "YTEL +1200 AAPOR",
        "FEIL +800 KL_KODE_FEIL_ARBYT",
        "MOTP -800 TBMOTOBS",
        "YTEL -2000 AAPOR",
    ]
    published = [(row["behandlingskode"], row["korrigering"], row["kontoStreng"], row["linjeId"], row.rate, row.count) for row in rows]
    assert published == [
        ("0", "", "4510000", "0", 0, 0),
        ("2", "", "4510000", "2", 600, 2),
        ("0", "J", "0630981", "0", 0, 0),
        ("0", "", "0902900", "0", 0, 0),
        ("2", "", "4510000", "0", 1000, 0),
    ]


def test_an_end_recovers_all_of_it(paid: SimulatedRail) -> None:
    end = Line(MAY.line_id, MAY.starts, MAY.ends, MAY.amount, ceased_from="2026-05-04", rate_code="DAG")
    answer = paid.simulate(end, change="ENDR")
    assert answer.periods() == {
        "2026-05-04/2026-05-15": [
            "YTEL +10000 AAPOR",
            "FEIL +10000 KL_KODE_FEIL_ARBYT",
            "MOTP -10000 TBMOTOBS",
            "YTEL -10000 AAPOR",
        ]
    }


def test_what_was_recovered_comes_back_when_the_day_is_raised_again(paid: SimulatedRail) -> None:
    end = Line(MAY.line_id, MAY.starts, MAY.ends, MAY.amount, ceased_from="2026-05-04", rate_code="DAG")
    assert paid.ask(change(end)) == ["00"]
    assert paid.pay("2026-06-16").recovered_kroner == 10000
    answer = paid.simulate(after("L2", "2026-05-04", "2026-05-15", 1100), change="ENDR")
    assert answer.periods() == {
        "2026-05-04/2026-05-15": [
            "YTEL -10000 AAPOR",
            "YTEL +11000 AAPOR",
            "FEIL -10000 KL_KODE_FEIL_ARBYT",
            "MOTP +10000 TBMOTOBS",
        ]
    }
    assert paid.ask(change(after("L2", "2026-05-04", "2026-05-15", 1100))) == ["00"]
    run = paid.pay("2026-06-17")
    assert (run.paid_kroner, run.recovered_kroner) == (1000, -10000)


def one_day(line_id: str, day: str, amount: int, ref: str = "") -> Line:
    return Line(line_id, day, day, amount, ref=ref)


def ended(line: Line) -> Line:
    return Line(line.line_id, line.starts, line.ends, line.amount, ceased_from=line.starts)


APRIL, MAY_8, MAY_6, MAY_21 = "2026-04-10", "2026-05-08", "2026-05-06", "2026-05-21"
RECORDED = {
    "raise": (
        [one_day("A", MAY_6, 3100)],
        [one_day("B", MAY_6, 4200, "A")],
        {MAY_6: ["YTEL +4200 AAPOR", "YTEL -3100 AAPOR"]},
    ),
    "reduction": (
        [one_day("A", MAY_6, 150)],
        [one_day("B", MAY_6, 60, "A")],
        {MAY_6: ["FEIL +90 KL_KODE_FEIL_ARBYT", "MOTP -90 TBMOTOBS", "YTEL +60 AAPOR", "YTEL +90 AAPOR", "YTEL -150 AAPOR"]},
    ),
    "moved inside a month": (
        [one_day("A", MAY_6, 2100)],
        [ended(one_day("A", MAY_6, 2100)), one_day("B", MAY_21, 2900)],
        {
            MAY_6: ["FEIL +2100 KL_KODE_JUST_ARBYT", "YTEL -2100 AAPOR"],
            MAY_21: ["FEIL -2100 KL_KODE_JUST_ARBYT", "YTEL +2900 AAPOR"],
        },
    ),
    "absorbed by the next month": (
        [one_day("A", APRIL, 900)],
        [one_day("B", APRIL, 500, "A"), one_day("C", MAY_8, 1700)],
        {
            APRIL: ["FEIL +400 KL_KODE_JUST_ARBYT", "YTEL +500 AAPOR", "YTEL -900 AAPOR"],
            MAY_8: ["FEIL -400 KL_KODE_JUST_ARBYT", "YTEL +1700 AAPOR"],
        },
    ),
    "partly absorbed": (
        [one_day("A", APRIL, 230), one_day("C", MAY_8, 130)],
        [one_day("B", APRIL, 120, "A"), one_day("D", MAY_8, 200, "C")],
        {
            APRIL: [
                "FEIL +40 KL_KODE_FEIL_ARBYT",
                "FEIL +70 KL_KODE_JUST_ARBYT",
                "MOTP -40 TBMOTOBS",
                "YTEL +120 AAPOR",
                "YTEL +40 AAPOR",
                "YTEL -230 AAPOR",
            ],
            MAY_8: ["FEIL -70 KL_KODE_JUST_ARBYT", "YTEL +200 AAPOR", "YTEL -130 AAPOR"],
        },
    ),
}


@pytest.mark.parametrize("case", RECORDED)
def test_each_recorded_case_has_its_postings_and_the_run_makes_them_so(rail: SimulatedRail, case: str) -> None:
    before, then, postings = RECORDED[case]
    assert rail.ask(order_xml(*before)) == ["00"]
    rail.pay("2026-06-15")
    answer = rail.simulate(*then, change="ENDR")
    assert {days[:10]: sorted(rows) for days, rows in answer.periods().items()} == postings
    assert rail.ask(change(*then)) == ["00"]
    rail.pay("2026-06-16")
    posted = [row for row in posted_rows(rail.conn, "AAP", "SAK-1") if f"{row.run_day}" == "2026-06-16"]
    assert [f"{row.row_type} {row.amount:+} {row.class_code}" for row in posted] == [row.short for row in answer.rows()]
    assert rail.simulate(change="ENDR").rows() == []


def test_an_order_that_changes_nothing_is_answered_empty(paid: SimulatedRail) -> None:
    for lines in (
        [],
        [Line("L1", MAY.starts, MAY.ends, 1000, rate_code="DAG", change="UEND")],
        [after("L2", "2026-05-16", "2026-05-17", 5)],
    ):
        answer = paid.simulate(*lines, change="ENDR")
        assert (answer.status, answer.rows()) == (200, [])
        assert f'<simulerBeregningResponse xmlns="{SERVICE}"></simulerBeregningResponse>'.encode() in answer.body
    assert [outcome for _, outcome in paid.simulated()] == ["empty", "empty", "empty"]


def test_the_rapids_form_of_the_request_says_the_same(rail: SimulatedRail) -> None:
    ours = request_xml(MAY)
    start, end = ours.index("<oppdrag>"), ours.index("<simuleringsPeriode>")
    period = ours[end : ours.index("</request>")]
    line_id = "<delytelseId>L1</delytelseId>"
    other = (
        ours[:start]
        + period
        + ours[start:end].replace(line_id, "").replace("<sats>", f"{line_id}<sats>")
        + "</request></ns3:simulerBeregningRequest>"
    )
    action = f"{SERVICE}/simulerFpService/simulerBeregningRequest"
    assert rail.post(envelope(other, rail.signed()), SOAPAction=action).periods() == rail.simulate(MAY).periods()


@pytest.mark.parametrize(("sign", "amount"), [("T", "-1000"), ("F", "1000")])
def test_a_deduction_is_negative_by_its_amount_or_by_its_sign(rail: SimulatedRail, sign: str, amount: str) -> None:
    answer = rail.simulate(Line("L1", "2026-05-04", "2026-05-04", amount, rate_code="DAG", sign=sign))
    assert answer.periods()["2026-05-04/2026-05-04"][1] == "YTEL -1000 AAPOR"


MONTHLY = Line("M1", "2026-06-01", "2026-10-31", 9000, rate_code="MND")


@pytest.mark.parametrize(
    ("span", "months"),
    [
        (None, ["06"]),
        (("2026-06-01", "2026-10-31"), ["06", "07", "08", "09", "10"]),
        (("2026-07-01", "2026-08-31"), ["07", "08"]),
        (("2026-08-10", ""), ["08"]),
        (("", "2026-07-31"), ["06", "07"]),
    ],
)
def test_the_span_says_which_months_of_what_was_not_paid_are_answered(
    rail: SimulatedRail, span: tuple[str, str] | None, months: list[str]
) -> None:
    answer = rail.simulate(MONTHLY, span=span)
    assert answer.periods() == {
        f"2026-{month}-01/2026-{month}-{31 if month in ('07', '08', '10') else 30}": ["YTEL +9000 AAPOR"] for month in months
    }


def test_without_a_span_all_affected_months_are_answered_when_one_was_paid(paid: SimulatedRail) -> None:
    answer = paid.simulate(after("L2", "2026-05-11", "2026-06-05", 1000), change="ENDR", span=None)
    assert sorted({f"{row.first:%m}" for row in answer.rows()}) == ["05", "06"]


def test_affected_months_outside_the_span_come_too_where_they_were_paid(paid: SimulatedRail) -> None:
    answer = paid.simulate(after("L2", "2026-05-11", "2026-07-05", 1000), change="ENDR", span=("2026-07-01", "2026-07-31"))
    assert sorted({f"{row.first:%m}" for row in answer.rows()}) == ["05", "07"]


def test_each_month_has_its_due_date(rail: SimulatedRail) -> None:
    answer = rail.simulate(MONTHLY)
    assert [row["forfall"] for row in answer.rows()] == ["2026-06-16", "2026-07-20", "2026-08-20", "2026-09-18", "2026-10-20"]
    assert [row["stoppNivaaId"] for row in answer.rows()] == ["1", "2", "3", "4", "5"]


def test_other_cases_of_the_person_and_group_come_along_where_the_runs_have_to_do_with_them(rail: SimulatedRail) -> None:
    other = Line("X1", "2026-05-04", "2026-05-08", 70, rate_code="DAG")
    assert rail.ask(order_xml(other, case="SAK-2", area="DP"), order_xml(other, case="SAK-3", area="TILLST")) == ["00", "00"]
    answer = rail.simulate(MAY)
    assert answer.periods("SAK-2") == {"2026-05-04/2026-05-08": ["YTEL +350 AAPOR"]}
    assert answer.rows("SAK-3") == []
    assert local(answer.xml, "belop")[0].text == "10350.00"
    rail.pay("2026-06-16")
    assert rail.simulate(MAY).rows("SAK-2") == []
    rail.behave(tells_others=False)
    assert rail.ask(order_xml(other, case="SAK-4")) == ["00"]
    assert rail.simulate(MAY).rows("SAK-4") == []


def test_tax_and_deductions_are_held_back_of_what_is_paid_out(rail: SimulatedRail) -> None:
    put_withholding(rail.conn, Withholding(PERSON, 30, "BSKTKRED", 2500))
    answer = rail.simulate(MAY)
    assert answer.periods() == {
        "2026-05-04/2026-05-15": ["YTEL +10000 AAPOR", "SKAT -3000 FSKTSKAT", "TREK -2500 BSKTKRED"],
    }
    assert local(answer.xml, "belop")[0].text == "4500.00"
    assert [(row.kind, row["trekkVedtakId"] != "0", row["kontoStreng"], row["typeSats"]) for row in answer.rows()][1:] == [
        ("SKAT", True, "0510000", "MND"),
        ("TREK", True, "0880000", "LOPM"),
    ]
    assert rail.ask(order_xml(MAY)) == ["00"]
    assert rail.pay("2026-06-16").paid_kroner == 10000


def test_a_refund_goes_to_the_employer_with_two_zeros_before_its_number(rail: SimulatedRail) -> None:
    refunded = request_xml(MAY, area="SPREF").replace(f"<utbetalesTilId>{PERSON}</utbetalesTilId>", "")
    info = "<ns2:refusjonsInfo><refunderesId>00987654321</refunderesId><datoFom>2026-05-04</datoFom></ns2:refusjonsInfo>"
    graded = "<ns2:grad><typeGrad>UFOR</typeGrad><grad>80</grad></ns2:grad>"
    answer = rail.post(envelope(refunded.replace("<ns2:attestant>", f"{graded}{info}<ns2:attestant>"), rail.signed()))
    (row,) = answer.rows()
    assert (row["utbetalesTilId"], row["refunderesOrgNr"], row["uforeGrad"]) == ("00987654321", "00987654321", "80")


def test_an_order_is_part_of_it_from_the_next_bank_day_when_the_rail_posts_so(rail: SimulatedRail) -> None:
    rail.behave(posts_next_day=True)
    assert rail.ask(order_xml(MAY)) == ["00"]
    end = Line(MAY.line_id, MAY.starts, MAY.ends, MAY.amount, ceased_from="2026-05-11", rate_code="DAG")
    assert rail.simulate(end, change="ENDR").rows() == []
    assert rail.pay("2026-06-15").cases == 0
    rail.now += timedelta(days=1)
    rail.assertion = ""
    assert rail.pay("2026-06-16").cases == 1
    assert rail.simulate(end, change="ENDR").periods()["2026-05-11/2026-05-15"][-1] == "YTEL -5000 AAPOR"


def test_runs_are_played_in_order_on_bank_days_and_again_without_effect(paid: SimulatedRail) -> None:
    assert paid.pay("2026-06-15").cases == 0
    with pytest.raises(CannotPay, match="2026-06-20 is no bank day; the next one is 2026-06-22"):
        paid.pay("2026-06-20")
    with pytest.raises(CannotPay, match="the run of 2026-06-15 was played already"):
        paid.pay("2026-06-12")


def test_a_run_that_was_killed_in_the_middle_goes_on_where_it_was(rail: SimulatedRail, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rail.ask(*(order_xml(MAY, case=f"SAK-{number}") for number in range(3))) == ["00"] * 3
    monkeypatch.setattr(payments, "CASES_PER_TRANSACTION", 1)
    whole, played = payments._pay_cases, []

    def broken_off(conn: Connection, cases: Sequence[CaseAtRail], *rest: object) -> object:
        played.append(cases)
        return whole(conn, cases, *rest) if len(played) < 2 else 1 // 0  # type: ignore[arg-type]

    monkeypatch.setattr(payments, "_pay_cases", broken_off)
    with pytest.raises(ZeroDivisionError):
        rail.pay("2026-06-16")
    monkeypatch.setattr(payments, "_pay_cases", whole)
    assert (rail.pay("2026-06-16").cases, rail.pay("2026-06-16").cases) == (2, 0)
    assert [[row.amount for row in posted_rows(rail.conn, "AAP", f"SAK-{number}")] for number in range(3)] == [[10000]] * 3


def test_two_runs_at_once_pay_once(rail: SimulatedRail) -> None:
    assert rail.ask(*(order_xml(MAY, case=f"SAK-{number}") for number in range(20))) == ["00"] * 20
    with ThreadPoolExecutor(2) as runs:
        played = list(runs.map(lambda _: _played(rail.conninfo), range(2)))
    assert sum(played) == 20
    assert [len(posted_rows(rail.conn, "AAP", f"SAK-{number}")) for number in range(20)] == [1] * 20


def _played(conninfo: str) -> int:
    with connect(conninfo) as conn:
        return pay(conn, date(2026, 6, 16), datetime(2026, 6, 16, tzinfo=UTC)).cases


def test_a_coming_month_is_paid_by_its_own_run(rail: SimulatedRail) -> None:
    assert rail.ask(order_xml(MONTHLY)) == ["00"]
    assert [rail.pay(day).paid_kroner for day in ("2026-06-16", "2026-06-30", "2026-07-20", "2026-10-20")] == [9000, 0, 9000, 27000]


@pytest.mark.parametrize(
    ("request_body", "text", "code"),
    [
        (request_xml(MAY), "Oppdraget finnes fra før", "B110008F"),
        (request_xml(MAY, case="SAK-9", change="ENDR"), "OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før", "B110010F"),
        (request_xml(after("L2", "2026-05-11", "2026-05-15", 1, ref="L9"), change="ENDR"), "Referert vedtak/linje ikke funnet", "BB50024F"),
        (request_xml(MAY, change="ENDR"), "DELYTELSE-ID finnes i oppdragsbasen fra før", "BB50018F"),
    ],
)
def test_the_rail_says_no_by_its_own_rules(paid: SimulatedRail, request_body: str, text: str, code: str) -> None:
    answer = paid.post(envelope(request_body, paid.signed()))
    assert answer.status == 500
    code_, said, detail = answer.fault
    assert (code_, said) == ("SOAP-ENV:Server", "simulerBeregningFeilUnderBehandling")
    assert detail.startswith(f"{text} | ")
    assert f"Kode {code}" in detail
    (found,) = local(answer.xml, "simulerBeregningFeilUnderBehandling")
    assert found.tag == "{http://nav.no/system/os/tjenester/oppdragService}simulerBeregningFeilUnderBehandling"
    assert [each.tag for each in found] == ["errorMessage", "errorSource", "rootCause", "dateTimeStamp"]
    assert found.findtext("dateTimeStamp") == "2026-06-15T14:00:00"
    assert b"simulerBeregningFeilUnderBehandling".ljust(80) + b"</faultstring>" in answer.body


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ("<saksbehId>Z900001<", "<saksbehId>Z90000123<", "saksbehId", "OUTPUT_OVERFLOW"),
        ("<attestantId>Z900002<", "<attestantId>Z90000234<", "attestantId", "OUTPUT_OVERFLOW"),
        ("<delytelseId>L1<", f"<delytelseId>{'L' * 31}<", "delytelseId", "OUTPUT_OVERFLOW"),
        ("<datoVedtakTom>2026-05-15<", "<datoVedtakTom>+999999999-12-31<", "datoVedtakTom", "OUTPUT_OVERFLOW"),
        ("<datoVedtakFom>2026-05-04<", "<datoVedtakFom>2026-02-30<", "datoVedtakFom", "INPUT_CONVERSION_ERROR"),
        ("<sats>1000<", "<sats>tusen<", "sats", "INPUT_CONVERSION_ERROR"),
        ("<sats>1000<", f"<sats>{'9' * 14}<", "sats", "INPUT_CONVERSION_ERROR"),
        ("<typeSats>DAG<", "<typeSats>TIME<", "typeSats", "UNDEFINED_VALUE"),
        ("<kodeKlassifik>AAPOR</kodeKlassifik>", "", "kodeKlassifik", "MISSING_ELEMENT"),
        (f"<oppdragGjelderId>{PERSON}<", "<oppdragGjelderId>1<", "oppdragGjelderId", "INPUT_UNDERFLOW"),
        ("simulerBeregningRequest", "sendInnOppdragRequest", "sendInnOppdragRequest", "UNDEFINED_ELEMENT"),
    ],
)
def test_a_field_that_does_not_fit_is_named(rail: SimulatedRail, old: str, new: str, field: str, reason: str) -> None:
    answer = rail.post(envelope(request_xml(MAY).replace(old, new), rail.signed()))
    code, text, detail = answer.fault
    assert (answer.status, code, text) == (500, "SOAP-ENV:Client", "Conversion from SOAP failed")
    assert detail.startswith("DFHPI1009 ")
    assert f"({reason}) occurred when converting field {field} " in detail


def test_more_than_1400_lines_are_too_many(rail: SimulatedRail) -> None:
    lines = [Line(f"L{number}", "2026-05-04", "2026-05-04", 1) for number in range(1401)]
    assert rail.simulate(*lines[:-1]).status == 200
    assert "oppdragslinje" in rail.simulate(*lines).fault[2]


def test_an_order_without_end_or_far_ahead_is_answered_as_far_as_the_rail_looks(rail: SimulatedRail) -> None:
    endless = Line("L1", "2026-05-01", "9999-12-31", 100)
    answer = rail.simulate(endless)
    assert len(answer.periods()) == len(answer.rows()) == 12 * 10 + 2
    assert [f"{row.first}" for row in rail.simulate(endless, span=None).rows()] == ["2026-05-01"]
    assert [f"{row.first}" for row in rail.simulate(Line("L1", "2050-05-01", "2050-05-31", 100), span=None).rows()] == ["2050-05-01"]
    many = [Line(f"L{number}", "1900-01-01", "9999-12-31", 1) for number in range(100)]
    assert "Kjøreplan mangler" in rail.simulate(*many).fault[2]
    chained = [Line(f"L{number}", "2026-05-01", "9999-12-31", 1, ref=f"L{number - 1}" if number else "") for number in range(100)]
    assert rail.simulate(*chained).status == 200


def test_who_gets_the_money_stands_before_the_grade(rail: SimulatedRail) -> None:
    graded = "<ns2:grad><typeGrad>UFOR</typeGrad><grad>80</grad></ns2:grad>"
    late = request_xml(MAY).replace("<utbetalesTilId>", f"{graded}<utbetalesTilId>")
    assert "utbetalesTilId" in rail.post(envelope(late, rail.signed())).fault[2]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<soap:Envelope",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "<!DOCTYPE a []><a/>".encode("utf-16"),
        b'<a xmlns="x"/>',
        b'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body/></Envelope>',
        b"<a>" * 300_000,
    ],
)
def test_what_is_no_envelope_is_malformed(rail: SimulatedRail, body: bytes) -> None:
    answer = rail.post(body)
    assert (answer.status, *answer.fault[:2]) == (500, "SOAP-ENV:Client", "Malformed SOAP message")
    assert rail.simulate(MAY).status == 200


def test_only_an_assertion_of_the_token_service_lets_in(rail: SimulatedRail) -> None:
    response = rail.token()
    published = response.json()
    assert (published["issued_token_type"], published["token_type"], published["expires_in"]) == (
        "urn:ietf:params:oauth:token-type:saml2",
        "Bearer",
        3600,
    )
    assertion = base64.b64decode(published["access_token"]).decode()
    assert etree.fromstring(assertion).tag == "{urn:oasis:names:tc:SAML:2.0:assertion}Assertion"
    body = request_xml(MAY)
    assert rail.post(envelope(body, assertion)).status == 200
    for wrong in ("", assertion.replace("SAML-", "SAML+")):
        code, _, _ = rail.post(envelope(body, wrong)).fault
        assert "FailedAuthentication" in code
    rail.now += timedelta(seconds=3601)
    assert "FailedAuthentication" in rail.post(envelope(body, assertion)).fault[0]
    assert [outcome for _, outcome in rail.simulated()] == ["answered", "refused", "refused", "refused"]


def test_the_token_service_wants_a_user_with_a_password(rail: SimulatedRail) -> None:
    for headers in ({}, {"Authorization": "Basic !"}, {"Authorization": "Basic " + base64.b64encode(b"user:").decode()}):
        response = rail.http.get("/rest/v1/sts/samltoken", headers=headers)
        assert (response.status_code, response.json()["title"]) == (401, "Unauthorized")


CREDENTIALS = {"grant_type": "client_credentials", "client_id": "kvitt", "client_secret": "s", "scope": "api://proxy/.default"}


def test_the_proxy_wants_its_token_where_that_is_set(rail: SimulatedRail) -> None:
    body = envelope(request_xml(MAY), rail.signed())
    rail.behave(wants_proxy_token=True, assertion_seconds=600)
    published = rail.http.post("/tenant/oauth2/v2.0/token", data=CREDENTIALS).json()
    assert (published["token_type"], published["expires_in"]) == ("Bearer", 600)
    passed = {"X-Proxy-Authorization": f"Bearer {published['access_token']}"}
    for headers in ({}, {"X-Proxy-Authorization": "Bearer x"}, {"X-Proxy-Authorization": published["access_token"]}):
        assert rail.post(body, **headers).status == 401
        assert rail.http.get("/rest/v1/sts/samltoken", auth=("u", "p"), headers=headers).status_code == 401
    assert rail.post(body, **passed).status == 200
    assert rail.http.get("/rest/v1/sts/samltoken", auth=("u", "p"), headers=passed).status_code == 200
    rail.now += timedelta(seconds=601)
    assert rail.post(body, **passed).status == 401


@pytest.mark.parametrize("left_out", CREDENTIALS)
def test_the_proxys_issuer_wants_all_of_the_credentials(rail: SimulatedRail, left_out: str) -> None:
    form = {name: value for name, value in CREDENTIALS.items() if name != left_out}
    assert rail.http.post("/oauth2/v2.0/token", data=form).status_code == 400
    assert rail.http.post("/oauth2/v2.0/token", content=b"\xff").status_code == 400


def test_other_paths_are_not_there(rail: SimulatedRail) -> None:
    assert rail.http.post("/elsewhere").status_code == 404
    assert rail.http.get("/cics/services/simulerFpServiceWSBinding").status_code == 404
    assert rail.http.post("/cics/services/simulerFpServiceWSBinding", content=b" " * 8_000_001).status_code == 413
