"""The messages of interface reconciliation: byte for byte as the contract shows them, and taken by the rail's published schema."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from kvitt.contracts.helved.contract import Helved
from kvitt.contracts.rapid.contract import Rapid
from kvitt.disbursement.rail import Capabilities, Rails, Severity
from kvitt.disbursement.reconciliation import MOST_DETAILS, Bucket, BucketTotal, InterfaceRun, ReconciliationForm, ReportedOrder
from kvitt.disbursement.values import Area, Order
from kvitt.errors import InvalidOrderMessage
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.rail import SEVERITIES, Oppdrag, decode
from kvitt.rails.oppdrag.reconciliation import NAMESPACE, day_key, encode_interface, run_name, under_day, validate
from support.toy_rail import ToyRail
from support.tried import tried
from support.wire_values import orders

PUBLISHED = Path(__file__).parents[2].parent / "shared/schemas/avstemming/grensesnittavstemming.xsd"
beside = pytest.mark.skipif(not PUBLISHED.exists(), reason="the published schemas are not beside the project")
RAPID, HELVED = Rapid.reconciliation, Helved.reconciliation
RUN = "fb4e2c1d-9a70-4b3e-8f15-2d6c7e8091a2"
MADE = datetime.fromisoformat("2024-01-25T10:11:12.345678")
FIRST, LAST = datetime.fromisoformat("2024-01-22T10:00"), datetime.fromisoformat("2024-01-27T10:00")
assert RAPID is not None
assert HELVED is not None


def totals(**sums: tuple[int, int]) -> Mapping[Bucket, BucketTotal]:
    return {
        bucket: BucketTotal(*((sums[bucket.value][0], Kroner(sums[bucket.value][1])) if bucket.value in sums else ())) for bucket in Bucket
    }


def run(form: ReconciliationForm, area: str = "SPREF", *, keys: tuple[str, str] = ("501", "507"), **sums: tuple[int, int]) -> InterfaceRun:
    return InterfaceRun(RUN, Area(area), form, *keys, FIRST, LAST, totals(**sums))


def order(bucket: Bucket, *, code: str = "", severity: str = "", text: str = "", case: str = "KV5R2WQ7NZEXDJTLMBY4HGASCU") -> ReportedOrder:
    return ReportedOrder("1", case, "24068715888", bucket, MADE, severity, code, text)


REFUSED = order(Bucket.REJECTED, code="B110012F", severity="08", text="Oppdraget finnes fra før")


def parsed(messages: Sequence[bytes]) -> list[etree._Element]:
    return [etree.fromstring(each) for each in messages]


def test_the_rapids_message_is_that_of_its_contract() -> None:
    found = [*encode_interface(run(RAPID, accepted=(2, 2500), warned=(1, 1250), rejected=(3, -1250), missing=(1, 1250)), [REFUSED])]
    action = """\
    <aksjon>
        <aksjonType>{}</aksjonType>
        <kildeType>AVLEV</kildeType>
        <avstemmingType>GRSN</avstemmingType>
        <avleverendeKomponentKode>SP</avleverendeKomponentKode>
        <mottakendeKomponentKode>OS</mottakendeKomponentKode>
        <underkomponentKode>SPREF</underkomponentKode>
        <nokkelFom>501</nokkelFom>
        <nokkelTom>507</nokkelTom>
        <avleverendeAvstemmingId>-04sHZpwSz6PFS1sfoCRog</avleverendeAvstemmingId>
        <brukerId>SPENN</brukerId>
    </aksjon>
"""
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<Avstemmingsdata>\n'
    data = """\
    <total>
        <totalAntall>7</totalAntall>
        <totalBelop>3750</totalBelop>
        <fortegn>T</fortegn>
    </total>
    <periode>
        <datoAvstemtFom>2024012210</datoAvstemtFom>
        <datoAvstemtTom>2024012710</datoAvstemtTom>
    </periode>
    <grunnlag>
        <godkjentAntall>2</godkjentAntall>
        <godkjentBelop>2500</godkjentBelop>
        <godkjentFortegn>T</godkjentFortegn>
        <varselAntall>1</varselAntall>
        <varselBelop>1250</varselBelop>
        <varselFortegn>T</varselFortegn>
        <avvistAntall>3</avvistAntall>
        <avvistBelop>1250</avvistBelop>
        <avvistFortegn>F</avvistFortegn>
        <manglerAntall>1</manglerAntall>
        <manglerBelop>1250</manglerBelop>
        <manglerFortegn>T</manglerFortegn>
    </grunnlag>
    <detalj>
        <detaljType>AVVI</detaljType>
        <offnr>24068715888</offnr>
        <avleverendeTransaksjonNokkel>KV5R2WQ7NZEXDJTLMBY4HGASCU</avleverendeTransaksjonNokkel>
        <meldingKode>B110012F</meldingKode>
        <alvorlighetsgrad>08</alvorlighetsgrad>
        <tekstMelding>Oppdraget finnes fra før</tekstMelding>
        <tidspunkt>2024-01-25-10.11.12.345678</tidspunkt>
    </detalj>
"""
    tail = "</Avstemmingsdata>\n"
    assert [each.decode() for each in found] == [
        head + action.format("START") + tail,
        head + action.format("DATA") + data + tail,
        head + action.format("AVSL") + tail,
    ]


def test_the_id_of_a_run_is_its_uuid_in_22_characters() -> None:
    assert run_name("6f6bd6a7-0ab4-4d1e-9d69-5a3f62b6e1c1") == "b2vWpwq0TR6daVo_YrbhwQ"


OF_TILTPENG = """\
<ns2:avstemmingsdata xmlns:ns2="http://nav.no/virksomhet/tjenester/avstemming/meldinger/v1">
  <aksjon><aksjonType>DATA</aksjonType><kildeType>AVLEV</kildeType><avstemmingType>GRSN</avstemmingType>
    <avleverendeKomponentKode>TILTPENG</avleverendeKomponentKode><mottakendeKomponentKode>OS</mottakendeKomponentKode><underkomponentKode>TILTPENG</underkomponentKode>
    <nokkelFom>2026-04-30-00.00.00.000000</nokkelFom><nokkelTom>2026-05-03-23.59.59.999999</nokkelTom>
    <avleverendeAvstemmingId>Xw3kPq0tS6uYv1aB2cD4eQ</avleverendeAvstemmingId><brukerId>TILTPENG</brukerId></aksjon>
  <total><totalAntall>4</totalAntall><totalBelop>1490</totalBelop><fortegn>T</fortegn></total>
  <periode><datoAvstemtFom>2026043000</datoAvstemtFom><datoAvstemtTom>2026050323</datoAvstemtTom></periode>
  <grunnlag><godkjentAntall>2</godkjentAntall><godkjentBelop>596</godkjentBelop><godkjentFortegn>T</godkjentFortegn>
    <varselAntall>0</varselAntall><varselBelop>0</varselBelop><varselFortegn>T</varselFortegn>
    <avvistAntall>1</avvistAntall><avvistBelop>298</avvistBelop><avvistFortegn>T</avvistFortegn>
    <manglerAntall>1</manglerAntall><manglerBelop>596</manglerBelop><manglerFortegn>T</manglerFortegn></grunnlag>
  <detalj><detaljType>AVVI</detaljType><offnr>01820390012</offnr><avleverendeTransaksjonNokkel>TP-55120</avleverendeTransaksjonNokkel>
    <meldingKode>B110008F</meldingKode><alvorlighetsgrad>08</alvorlighetsgrad><tekstMelding>Oppdraget finnes fra før</tekstMelding>
    <tidspunkt>2026-04-30-11.02.44.000120</tidspunkt></detalj>
  <detalj><detaljType>MANG</detaljType><offnr>02830490062</offnr><avleverendeTransaksjonNokkel>TP-55377</avleverendeTransaksjonNokkel><tidspunkt>2026-04-30-11.03.02.551000</tidspunkt></detalj>
</ns2:avstemmingsdata>
"""
"""As the contract shows it (iverksetting §5.5)."""


def test_a_case_streams_message_is_that_of_its_contract() -> None:
    counted = totals(accepted=(2, 596), rejected=(1, 298), missing=(1, 596))
    first, last = datetime.fromisoformat("2026-04-30T00:00"), datetime.fromisoformat("2026-05-03T23:59:59.999999")
    keys = day_key(first.date())[0], day_key(last.date())[1]
    made = InterfaceRun("5f0de43e-ad2d-4bab-98bf-5681d9c0f879", Area("TILTPENG"), HELVED, *keys, first, last, counted)
    details = [
        ReportedOrder(
            *("1", "TP-55120", "01820390012", Bucket.REJECTED, datetime.fromisoformat("2026-04-30T11:02:44.000120")),
            *("08", "B110008F", "Oppdraget finnes fra før"),
        ),
        ReportedOrder("2", "TP-55377", "02830490062", Bucket.MISSING, datetime.fromisoformat("2026-04-30T11:03:02.551000")),
    ]
    _, data, _ = encode_interface(made, details)
    header, _, document = data.decode().partition("\n")
    assert header == '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    assert re.sub(r">\s+<", "><", document) == re.sub(r">\s+<", "><", OF_TILTPENG)


def test_a_case_stream_has_its_area_as_component_and_user_and_sums_of_nothing() -> None:
    keys = day_key(date(2026, 4, 30))[0], day_key(date(2026, 5, 3))[1]
    assert keys == ("2026-04-30-00.00.00.000000", "2026-05-03-23.59.59.999999")
    _, data, _ = parsed([*encode_interface(run(HELVED, "TILTPENG", keys=keys, accepted=(2, 596)), [])])
    assert data.tag == f"{{{NAMESPACE}}}avstemmingsdata"
    for name, text in {
        "avleverendeKomponentKode": "TILTPENG",
        "underkomponentKode": "TILTPENG",
        "brukerId": "TILTPENG",
        "nokkelFom": keys[0],
        "nokkelTom": keys[1],
        "godkjentBelop": "596",
        "varselAntall": "0",
        "varselBelop": "0",
        "varselFortegn": "T",
    }.items():
        assert data.findtext(f".//{name}") == text


def test_the_rapid_names_no_sum_of_nothing() -> None:
    _, data, _ = parsed([*encode_interface(run(RAPID, missing=(1, 700)), [order(Bucket.MISSING)])])
    assert [data.findtext(f".//{name}Antall") for name in ("godkjent", "varsel", "avvist", "mangler")] == ["0", "0", "0", "1"]
    assert data.find(".//godkjentBelop") is None
    assert data.find(".//godkjentFortegn") is None
    assert data.findtext(".//manglerBelop") == "700"


def test_only_answers_have_a_code_a_severity_and_a_text() -> None:
    details = [
        order(Bucket.MISSING, code="X", severity="??", text="said nothing of use"),
        order(Bucket.WARNED, severity="04", text="a note & <more>\x01"),
        REFUSED,
    ]
    _, data, _ = parsed([*encode_interface(run(HELVED, warned=(1, 1), rejected=(1, 1), missing=(1, 1)), details)])
    found = [{child.tag: child.text for child in each} for each in data.iterfind("detalj")]
    assert [each["detaljType"] for each in found] == ["MANG", "VARS", "AVVI"]
    assert {"meldingKode", "alvorlighetsgrad", "tekstMelding"}.isdisjoint(found[0])
    assert found[1] == {
        "detaljType": "VARS",
        "offnr": "24068715888",
        "avleverendeTransaksjonNokkel": "KV5R2WQ7NZEXDJTLMBY4HGASCU",
        "alvorlighetsgrad": "04",
        "tekstMelding": "a note & <more>?",
        "tidspunkt": "2024-01-25-10.11.12.345678",
    }
    assert found[2]["meldingKode"] == "B110012F"


def test_the_name_of_a_case_has_no_blanks_around_it() -> None:
    _, data, _ = parsed([*encode_interface(run(RAPID, missing=(1, 1)), [order(Bucket.MISSING, case="CASE-1 ")])])
    assert data.findtext("detalj/avleverendeTransaksjonNokkel") == "CASE-1"


@pytest.mark.parametrize(("details", "sizes"), [(0, [0]), (1, [1]), (70, [70]), (71, [70, 1]), (141, [70, 70, 1])])
def test_seventy_details_stand_in_a_message_and_totals_in_the_first_one(details: int, sizes: list[int]) -> None:
    first, *data, last = parsed([*encode_interface(run(RAPID, missing=(details, details)), [order(Bucket.MISSING)] * details)])
    assert [first.findtext("aksjon/aksjonType"), last.findtext("aksjon/aksjonType")] == ["START", "AVSL"]
    assert [len(first), len(last)] == [1, 1]
    assert [len(each.findall("detalj")) for each in data] == sizes
    assert [each.find("total") is not None for each in data] == [True] + [False] * (len(sizes) - 1)
    assert [each.find("periode") is not None for each in data] == [each.find("grunnlag") is not None for each in data]


def test_sums_may_be_negative_and_beyond_32_bits() -> None:
    _, data, _ = parsed([*encode_interface(run(RAPID, accepted=(2, -(2**40)), missing=(1, 1)), [order(Bucket.MISSING)])])
    assert (data.findtext("total/totalBelop"), data.findtext("total/fortegn")) == (str(2**40 - 1), "F")
    assert (data.findtext(".//godkjentBelop"), data.findtext(".//godkjentFortegn")) == (str(2**40), "F")


TEXTS = st.text(max_size=20)
SUM = st.integers(-(2**50), 2**50)
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)
DETAILS = st.builds(
    ReportedOrder,
    st.just("1"),
    NAMES,
    NAMES,
    st.sampled_from([Bucket.WARNED, Bucket.REJECTED, Bucket.MISSING]),
    st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2100-01-01")),
    TEXTS,
    TEXTS,
    TEXTS,
)


@pytest.fixture(scope="module")
def published() -> etree.XMLSchema:
    """The rail's own schema, with an element for its root type, which it names in a file of its own."""
    schema = etree.parse(PUBLISHED)
    root = schema.getroot()
    if root.find("{*}element[@name='avstemmingsdata']") is None:
        etree.SubElement(root, "{http://www.w3.org/2001/XMLSchema}element", name="avstemmingsdata", type="meldinger:Avstemmingsdata")
    return etree.XMLSchema(schema)


@beside
@tried(25)
@given(
    details=st.lists(DETAILS, max_size=80),
    sums=st.lists(st.integers(-(2**50), 2**50), min_size=4, max_size=4),
    form=st.sampled_from([RAPID, HELVED]),
)
def test_the_published_schema_takes_every_message(
    published: etree.XMLSchema, details: list[ReportedOrder], sums: list[int], form: ReconciliationForm
) -> None:
    counted = {
        bucket: BucketTotal(sum(each.bucket is bucket for each in details), Kroner(one)) for bucket, one in zip(Bucket, sums, strict=True)
    }
    made = InterfaceRun(RUN, Area("AAP"), form, "1", "2", FIRST, LAST, counted)
    messages = parsed([*encode_interface(made, iter(details))])
    for message in messages:
        if message.tag == "Avstemmingsdata":
            message.tag = f"{{{NAMESPACE}}}avstemmingsdata"
        assert published.validate(message), published.error_log
    assert sum(len(message.findall("detalj")) for message in messages) == len(details)
    assert max(len(message.findall("detalj")) for message in messages) <= MOST_DETAILS


def test_a_sum_of_zero_has_its_sign_where_there_are_orders() -> None:
    _, data, _ = parsed([*encode_interface(run(RAPID, accepted=(2, 0), missing=(1, -1)), [order(Bucket.MISSING)])])
    assert [data.findtext(f".//{name}") for name in ("godkjentBelop", "godkjentFortegn")] == ["0", "T"]
    assert [data.findtext(f".//{name}") for name in ("manglerBelop", "manglerFortegn")] == ["1", "F"]
    assert data.find(".//avvistBelop") is None


@pytest.mark.parametrize("text", ["<&>\"'", "]]>", "Økonomi 東京 \N{MONEY BAG}", "a\tb\r\nc", "&amp;"])
def test_texts_come_through_as_the_rail_said_them(text: str) -> None:
    _, data, _ = parsed([*encode_interface(run(HELVED, rejected=(1, 1)), [order(Bucket.REJECTED, severity="08", text=text)])])
    assert data.findtext("detalj/tekstMelding") == text


def test_what_xml_has_no_character_for_is_a_question_mark() -> None:
    _, data, _ = parsed([*encode_interface(run(HELVED, rejected=(1, 1)), [order(Bucket.REJECTED, text="\x00a\x1fb\ufffec")])])
    assert data.findtext("detalj/tekstMelding") == "?a?b?c"


def test_orders_are_read_as_their_messages_are_asked_for() -> None:
    read = 0

    def details() -> Iterator[ReportedOrder]:
        nonlocal read
        for _ in range(10 * MOST_DETAILS):
            read += 1
            yield order(Bucket.MISSING)

    messages = encode_interface(run(RAPID, missing=(700, 1)), details())
    seen = []
    for _ in range(4):
        next(messages)
        seen.append(read)
    assert seen == [0, MOST_DETAILS, 2 * MOST_DETAILS, 3 * MOST_DETAILS]


def test_what_the_schema_does_not_take_does_not_leave_and_nobody_is_named() -> None:
    with pytest.raises(InvalidOrderMessage) as caught:
        list(encode_interface(run(RAPID, missing=(1, 1)), [order(Bucket.MISSING, case=" ")]))
    assert "24068715888" not in str(caught.value)
    for broken in (b"<Avstemmingsdata>", b"<!DOCTYPE x><x/>", b"<avstemmingsdata/>", b"<Avstemmingsdata/>"):
        with pytest.raises(InvalidOrderMessage):
            validate(broken)


def test_an_answer_that_accepts_with_a_note_has_the_rails_word_for_it() -> None:
    assert [*Oppdrag().warned_by] == [raw for raw, severity in SEVERITIES.items() if severity is Severity.WARNING]


def test_a_rail_that_can_not_reconcile_does_not_say_that_it_does() -> None:
    class Boaster(ToyRail):
        capabilities = Capabilities(reconciles=True)

    with pytest.raises(AssertionError, match="toy reconciles, or does not"):
        Rails(Boaster())


@tried(15)
@given(order=orders.filter(lambda order: order.lines != ()), later=st.integers(1, 400))
def test_an_order_under_another_day_is_the_same_order_and_lies_in_that_day(order: Order, later: int) -> None:
    rail = Oppdrag()
    made, day = order.made_at.date(), order.made_at.date() + timedelta(days=later)
    message = rail.encode(order).message
    moved = rail.under_day(message, day)
    assert rail.under_day(message, made) == message
    assert rail.under_day(moved, made) == message
    assert decode(moved) == decode(message)
    for each, its_day in ((message, made), (moved, day)):
        key = etree.fromstring(each).findtext(".//nokkelAvstemming")
        first, last = rail.day_key(its_day)
        assert key is not None
        assert first < key < last
    assert [line for line in moved.splitlines() if line not in message.splitlines()] == [
        f"            <nokkelAvstemming>{day}-10.10.00.000000</nokkelAvstemming>".encode()
    ]


def test_an_order_leaves_under_another_day_with_no_other_change() -> None:
    message = b"<a><nokkelAvstemming>2026-05-04-10.10.00.000000</nokkelAvstemming><tidspktMelding>x</tidspktMelding></a>"
    assert under_day(message, date(2026, 5, 6)) == message.replace(b"2026-05-04", b"2026-05-06")
    with pytest.raises(ValueError, match="has 0"):
        under_day(b"<a/>", date(2026, 5, 6))
    with pytest.raises(ValueError, match="has 2"):
        under_day(message * 2, date(2026, 5, 6))


def test_an_order_that_is_not_reconciled_is_the_same_under_every_day() -> None:
    message = b"<oppdrag><oppdrag-110/></oppdrag>"
    assert Oppdrag().under_day(message, date(2026, 5, 6)) == message
