"""The messages of consistency reconciliation: to the byte, taken by the rail's published schema, and with sums that add up over parts."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from kvitt.contracts.helved.contract import Helved
from kvitt.contracts.rapid.contract import Rapid
from kvitt.disbursement.reconciliation import ActiveCase, ActiveLine, ConsistencyRun, ConsistencyTotal, ReconciliationForm
from kvitt.disbursement.values import Area, LineId, RateType
from kvitt.errors import InvalidOrderMessage
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.consistency import NAMESPACE, encode_consistency, validate
from kvitt.rails.oppdrag.order_xml import RATE_CODES, encode_line_id
from support.tried import tried

PUBLISHED = Path(__file__).parents[2].parent / "shared/schemas/avstemming/konsistensavstemmingsdata.xsd"
OF_DATA = "http://nav.no/virksomhet/tjenester/avstemming/informasjon/konsistensavstemmingsdata/v1"
beside = pytest.mark.skipif(not PUBLISHED.exists(), reason="the published schemas are not beside the project")
AT = datetime.fromisoformat("2026-05-05T06:30:00.000250")
NOTHING = ConsistencyTotal()
assert Helved.reconciliation is not None
assert Rapid.reconciliation is not None
RUN = ConsistencyRun("6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1", Area("TILTPENG"), Helved.reconciliation, AT)
OF_RAPID = replace(RUN, area=Area("SPREF"), form=Rapid.reconciliation)

LINE = ActiveLine(
    line_id=LineId("S71#1"),
    refers_to=None,
    class_code="TPTPAFT",
    start=date(2026, 5, 1),
    end=date(2026, 5, 30),
    amount=Kroner(120),
    rate_type=RateType.WEEKDAY,
    decided_on=date(2026, 4, 30),
    caseworker="A100001",
    approver="B200002",
    recipient="01820390012",
    decision_id="10",
)
LATER = replace(
    LINE,
    line_id=LineId("S71#3"),
    refers_to=LineId("S71#2"),
    start=date(2026, 6, 1),
    end=date(2026, 6, 30),
    amount=Kroner(210),
    decided_on=date(2026, 5, 4),
    decision_id="11",
)
CASE = ActiveCase("S71", "01820390012", "MND", "A100001", None, (LINE, LATER))

ACTION = """\
            <aksjonsdata>
                <aksjonsType>{}</aksjonsType>
                <kildeType>AVLEV</kildeType>
                <avstemmingType>KONS</avstemmingType>
                <avleverendeKomponentKode>TILTPENG</avleverendeKomponentKode>
                <mottakendeKomponentKode>OS</mottakendeKomponentKode>
                <underkomponentKode>TILTPENG</underkomponentKode>
                <tidspunktAvstemmingTom>2026-05-05-06.30.00.000250</tidspunktAvstemmingTom>
                <avleverendeAvstemmingId>b2vWpwq0TR6daVo_YrbhwQ</avleverendeAvstemmingId>
                <brukerId>TILTPENG</brukerId>
            </aksjonsdata>
"""
HEAD = """\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns2:sendAsynkronKonsistensavstemmingsdata xmlns:ns2="http://nav.no/virksomhet/tjenester/avstemming/v1">
    <request>
        <konsistensavstemmingsdata>
"""
TAIL = """\
        </konsistensavstemmingsdata>
    </request>
</ns2:sendAsynkronKonsistensavstemmingsdata>
"""
LINES = """\
            <oppdragsdataListe>
                <fagomradeKode>TILTPENG</fagomradeKode>
                <fagsystemId>S71</fagsystemId>
                <utbetalingsfrekvens>MND</utbetalingsfrekvens>
                <oppdragGjelderId>01820390012</oppdragGjelderId>
                <oppdragGjelderFom>2000-01-01</oppdragGjelderFom>
                <saksbehandlerId>A100001</saksbehandlerId>
                <oppdragsenhetListe>
                    <enhetType>BOS</enhetType>
                    <enhet>8020</enhet>
                    <enhetFom>1900-01-01</enhetFom>
                </oppdragsenhetListe>
                <oppdragslinjeListe>
                    <vedtakId>2026-04-30</vedtakId>
                    <delytelseId>S71#1</delytelseId>
                    <klassifikasjonKode>TPTPAFT</klassifikasjonKode>
                    <vedtakPeriode>
                        <fom>2026-05-01</fom>
                        <tom>2026-05-30</tom>
                    </vedtakPeriode>
                    <sats>120</sats>
                    <satstypeKode>DAG</satstypeKode>
                    <fradragTillegg>T</fradragTillegg>
                    <brukKjoreplan>N</brukKjoreplan>
                    <saksbehandlerId>A100001</saksbehandlerId>
                    <utbetalesTilId>01820390012</utbetalesTilId>
                    <henvisning>10</henvisning>
                    <attestantListe>
                        <attestantId>B200002</attestantId>
                    </attestantListe>
                </oppdragslinjeListe>
                <oppdragslinjeListe>
                    <vedtakId>2026-05-04</vedtakId>
                    <delytelseId>S71#3</delytelseId>
                    <klassifikasjonKode>TPTPAFT</klassifikasjonKode>
                    <vedtakPeriode>
                        <fom>2026-06-01</fom>
                        <tom>2026-06-30</tom>
                    </vedtakPeriode>
                    <sats>210</sats>
                    <satstypeKode>DAG</satstypeKode>
                    <fradragTillegg>T</fradragTillegg>
                    <brukKjoreplan>N</brukKjoreplan>
                    <saksbehandlerId>A100001</saksbehandlerId>
                    <utbetalesTilId>01820390012</utbetalesTilId>
                    <henvisning>11</henvisning>
                    <refDelytelseId>S71#2</refDelytelseId>
                    <attestantListe>
                        <attestantId>B200002</attestantId>
                    </attestantListe>
                </oppdragslinjeListe>
            </oppdragsdataListe>
"""
TOTAL = """\
            <totaldata>
                <totalAntall>{}</totalAntall>
                <totalBelop>{}</totalBelop>
                <fortegn>{}</fortegn>
            </totaldata>
"""


def messages(run: ConsistencyRun, cases: Iterable[ActiveCase]) -> list[etree._Element]:
    return [etree.fromstring(each) for each in encode_consistency(run, cases, before=NOTHING)]


def line_of(*lines: ActiveLine, run: ConsistencyRun = RUN) -> etree._Element:
    found = messages(run, [replace(CASE, lines=lines)])[1].find(".//oppdragslinjeListe")
    assert found is not None
    return found


def actions(found: Iterable[bytes]) -> list[str | None]:
    return [etree.fromstring(each).findtext(".//aksjonsType") for each in found]


def test_a_run_over_one_case_is_four_messages_to_the_byte() -> None:
    assert [each.decode() for each in encode_consistency(RUN, [CASE], before=NOTHING)] == [
        HEAD + ACTION.format("START") + TAIL,
        HEAD + ACTION.format("DATA") + LINES + TAIL,
        HEAD + ACTION.format("DATA") + TOTAL.format(1, 330, "T") + TAIL,
        HEAD + ACTION.format("AVSL") + TAIL,
    ]


def test_a_run_without_lines_in_force_says_so() -> None:
    assert [each.decode() for each in encode_consistency(RUN, [], before=NOTHING)] == [
        HEAD + ACTION.format("START") + TAIL,
        HEAD + ACTION.format("DATA") + TOTAL.format(0, 0, "T") + TAIL,
        HEAD + ACTION.format("AVSL") + TAIL,
    ]


def test_a_run_in_parts_is_the_run_in_one_piece() -> None:
    cases = [replace(CASE, case_id=f"S{number}") for number in range(5)]
    whole = [*encode_consistency(RUN, cases, before=NOTHING)]
    first = [*encode_consistency(RUN, cases[:2], ends=False, before=NOTHING)]
    middle = [*encode_consistency(RUN, cases[2:3], starts=False, ends=False, before=ConsistencyTotal(2, Kroner(660)))]
    last = [*encode_consistency(RUN, cases[3:], starts=False, before=ConsistencyTotal(3, Kroner(990)))]
    assert first + middle + last == whole
    assert (actions(first), actions(middle), actions(last)) == (["START", "DATA", "DATA"], ["DATA"], ["DATA"] * 3 + ["AVSL"])
    assert [*encode_consistency(RUN, [], starts=False, ends=False, before=NOTHING)] == []


def test_a_case_without_lines_counts_as_one() -> None:
    _, data, total, _ = messages(RUN, [replace(CASE, lines=())])
    assert (data.findtext(".//fagsystemId"), data.find(".//oppdragslinjeListe")) == ("S71", None)
    assert [total.findtext(f".//{name}") for name in ("totalAntall", "totalBelop")] == ["1", "0"]


def test_another_office_pays_and_ours_handles() -> None:
    _, data, _, _ = messages(RUN, [replace(CASE, office="0311")])
    assert [[each.text for each in office] for office in data.iterfind(".//oppdragsenhetListe")] == [
        ["BOS", "0311", "1900-01-01"],
        ["BEH", "8020", "1900-01-01"],
    ]


@pytest.mark.parametrize("rate_type", RateType)
def test_a_rate_type_has_the_orders_code(rate_type: RateType) -> None:
    assert line_of(replace(LINE, rate_type=rate_type)).findtext("satstypeKode") == RATE_CODES[rate_type]


def test_a_line_has_the_name_that_it_had_in_its_order() -> None:
    before, name = LineId("5b0f7a52-2f0e-4f0a-8a7e-3c1f40a1b001"), LineId("5b0f7a52-2f0e-4f0a-8a7e-3c1f40a1b002")
    found = line_of(replace(LINE, line_id=name, refers_to=before))
    assert (found.findtext("delytelseId"), found.findtext("refDelytelseId")) == (encode_line_id(name), encode_line_id(before))
    with pytest.raises(ValueError, match="over 30 tegn"):
        line_of(replace(LINE, line_id=LineId("x" * 31)))


def test_a_line_that_its_sender_made_goes_by_its_own_number_and_grade() -> None:
    line = replace(
        LINE,
        line_id=LineId("X#2"),
        refers_to=LineId("X#1"),
        own_number=2,
        own_reference=1,
        grade=80,
        decided_on=None,
        recipient="123456789",
    )
    found = line_of(line, run=OF_RAPID)
    assert [child.tag for child in found][:2] == ["delytelseId", "klassifikasjonKode"]
    assert (found.findtext("delytelseId"), found.findtext("refDelytelseId")) == ("2", "1")
    assert (found.findtext("gradListe/gradKode"), found.findtext("gradListe/grad")) == ("UFOR", "80")
    assert found.findtext("utbetalesTilId") == "123456789"
    alone = line_of(replace(line, own_reference=None, grade=None), run=OF_RAPID)
    assert (alone.find("refDelytelseId"), alone.find("gradListe")) == (None, None)


def test_a_grade_of_our_own_lines_is_that_of_the_payment() -> None:
    found = line_of(replace(LINE, grade=0))
    assert (found.findtext("gradListe/gradKode"), found.findtext("gradListe/grad")) == ("UBGR", "0")


def test_components_are_those_of_the_form() -> None:
    for found in messages(OF_RAPID, [CASE]):
        assert [found.findtext(f".//{name}") for name in ("avleverendeKomponentKode", "underkomponentKode", "brukerId")] == [
            *("SP", "SPREF", "SPENN")
        ]


def test_amounts_below_zero_stand_with_their_sign_and_are_taken_off() -> None:
    less = replace(LINE, amount=Kroner(-(2**40)))
    found = line_of(less)
    assert (found.findtext("sats"), found.findtext("fradragTillegg")) == (str(2**40), "F")
    total = messages(RUN, [replace(CASE, lines=(LINE, less))])[2]
    assert (total.findtext(".//totalBelop"), total.findtext(".//fortegn")) == (str(2**40 - 120), "F")


def test_texts_are_escaped() -> None:
    _, data, _, _ = messages(RUN, [replace(CASE, case_id=" A&B<東>\r ", caseworker="Ø & Å", lines=(replace(LINE, decision_id="<&>"),))])
    assert [data.findtext(f".//{name}") for name in ("fagsystemId", "saksbehandlerId", "henvisning")] == ["A&B<東>", "Ø & Å", "<&>"]


def test_cases_are_read_as_their_messages_are_asked_for() -> None:
    read = 0

    def cases() -> Iterator[ActiveCase]:
        nonlocal read
        for _ in range(10):
            read += 1
            yield CASE

    found = encode_consistency(RUN, cases(), before=NOTHING)
    seen = []
    for _ in range(4):
        next(found)
        seen.append(read)
    assert seen == [0, 1, 2, 3]


def test_what_the_schema_does_not_take_does_not_leave_and_nobody_is_named() -> None:
    with pytest.raises(InvalidOrderMessage) as caught:
        messages(RUN, [replace(CASE, caseworker="")])
    assert CASE.person not in str(caught.value)
    with pytest.raises(InvalidOrderMessage):
        messages(RUN, [replace(CASE, person="\x01")])
    for broken in (b"<x", b"<!DOCTYPE x><x/>", b"<konsistensavstemmingsdata/>"):
        with pytest.raises(InvalidOrderMessage):
            validate(broken)


NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))
NUMBERS = st.none() | st.integers(1, 10**9)
ACTIVE_LINES = st.builds(
    ActiveLine,
    line_id=st.uuids().map(str).map(LineId),
    refers_to=st.none() | NAMES.map(LineId),
    class_code=NAMES,
    start=DAYS,
    end=DAYS,
    amount=st.integers(-(2**45), 2**45).map(Kroner),
    rate_type=st.sampled_from(RateType),
    decided_on=st.none() | DAYS,
    caseworker=NAMES,
    approver=NAMES,
    recipient=NAMES,
    decision_id=NAMES,
    grade=st.none() | st.integers(0, 100),
    own_number=NUMBERS,
    own_reference=NUMBERS,
)
ACTIVE_CASES = st.builds(
    ActiveCase,
    NAMES,
    NAMES,
    st.sampled_from(["MND", "DAG", "14DG"]),
    NAMES,
    st.none() | NAMES,
    st.lists(ACTIVE_LINES, max_size=4).map(tuple),
)


@pytest.fixture(scope="module")
def published() -> etree.XMLSchema:
    """The rail's own schema."""
    return etree.XMLSchema(etree.parse(PUBLISHED))


@beside
@tried(25)
@given(cases=st.lists(ACTIVE_CASES, max_size=5), form=st.sampled_from([Helved.reconciliation, Rapid.reconciliation]))
def test_the_published_schema_takes_every_message_and_the_total_is_that_of_its_lines(
    published: etree.XMLSchema, cases: list[ActiveCase], form: ReconciliationForm
) -> None:
    found = messages(replace(RUN, form=form), cases)
    assert [each.findtext(".//aksjonsType") for each in found] == ["START", *["DATA"] * (len(cases) + 1), "AVSL"]
    for message in found:
        assert message.tag == f"{{{NAMESPACE}}}sendAsynkronKonsistensavstemmingsdata"
        (data,) = message.iterfind("request/konsistensavstemmingsdata")
        data.tag = f"{{{OF_DATA}}}konsistensavstemmingsdata"
        assert published.validate(etree.fromstring(etree.tostring(data))), published.error_log
    listed = [line for message in found for line in message.iterfind(".//oppdragslinjeListe")]
    reported = sum(int(line.findtext("sats", "")) * (1 if line.findtext("fradragTillegg") == "T" else -1) for line in listed)
    total = found[-2]
    assert int(total.findtext(".//totalAntall", "")) == len(cases)
    assert int(total.findtext(".//totalBelop", "")) == abs(reported)
    assert total.findtext(".//fortegn") == ("T" if reported >= 0 else "F")
