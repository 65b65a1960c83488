"""The emulator's simulation over HTTP: what an order would lead to, and which months are answered."""

import pytest

from kvitt.rails.oppdrag.emulator import Withholding, posted_rows, put_withholding
from support.emulator_orders import PERSON, Line, order_xml
from support.emulator_stage import change
from support.simulation_stage import MAY, MONTHLY, SERVICE, SimulatedRail, after, envelope, local, request_xml


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
