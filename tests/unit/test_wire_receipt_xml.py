"""A receipt is read by what it says, however damaged it arrives; what has lost content is refused."""

import re
from contextlib import suppress
from datetime import date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.rail import Observation, Reason, Severity
from kvitt.disbursement.values import (
    Area,
    CaseId,
    DecisionId,
    HoldBack,
    LineId,
    Order,
    OrderId,
    OrderLine,
    PaymentId,
    RateType,
    Scheme,
)
from kvitt.errors import UnreadableReceipt
from kvitt.rails.oppdrag import order_xml
from kvitt.rails.oppdrag.rail import LEAVES, SEVERITIES, LineKey, correlation_key, decode, line_keys, reasons_in, with_acknowledgement
from support.tried import tried
from support.wire_values import norwegian, orders

NAMESPACE = "http://www.trygdeetaten.no/skjema/oppdrag"
LINE = OrderLine(
    line_id=LineId("850a4857-fa4e-4d0d-934a-240f7c76c8a4"),
    refers_to=None,
    payment_id=PaymentId("11111111-2222-4333-8444-555555555555"),
    class_code="AAPOR",
    start=date(2025, 6, 2),
    end=date(2025, 6, 13),
    amount=553,
    decided_rate=1077,
    rate_type=RateType.WEEKDAY,
    ceased_from=date(2025, 6, 2),
    decided_on="2025-07-04",
    caseworker="kelvin",
    approver="kelvin",
    decision_id=DecisionId("4NBBB1"),
)
ORDER = Order(
    order_id=OrderId("00000000-0000-5000-8000-000000000000"),
    scheme=Scheme.AAP,
    area=Area("AAP"),
    case_id=CaseId("4NAAA1"),
    number=1,
    is_first_order=False,
    frequency="MND",
    person="01020312345",
    caseworker="kelvin",
    office=None,
    hold_back=None,
    made_at=datetime(2025, 7, 4, 13, 22, 5, 481516),  # noqa: DTZ001 - Oslo local time by definition
    lines=(LINE,),
    payments=(),
)
MMEL = (
    "<mmel><systemId>231-OPPD</systemId><kodeMelding>B110008F</kodeMelding><alvorlighetsgrad>08</alvorlighetsgrad>"
    "<beskrMelding>Oppdraget finnes fra før</beskrMelding>"
    "<programId>K231BB10</programId><sectionNavn>CA10-INPUTKONTROLL</sectionNavn></mmel>"
)
RECEIPT = Observation(
    (Scheme.AAP, "4NAAA1"),
    "AAP",
    correlation_key([LineKey("hQpIV/pOTQ2TSiQPfHbIpA==", "2025-06-02")]),
    "2025-07-04-13.22.05.481516",
    Severity.REJECTED,
    "08",
    "B110008F",
    "Oppdraget finnes fra før",
    frozenset({Reason.ORDER_EXISTS}),
    (("systemId", "231-OPPD"), ("programId", "K231BB10"), ("sectionNavn", "CA10-INPUTKONTROLL")),
)

WORDS = ("kodeMelding", "alvorlighetsgrad", "beskrMelding")


def receipt_text(order: Order, mmel: str = MMEL) -> str:
    """The order as the rail echoes it, undamaged."""
    return order_xml.encode(order).decode().replace("    <oppdrag-110>", f"    {mmel}\n    <oppdrag-110>", 1)


def test_a_receipt_is_read_with_all_that_tells_which_order_it_answers() -> None:
    assert decode(receipt_text(ORDER).encode()) == RECEIPT
    assert RECEIPT.correlation_key == correlation_key(line_keys(ORDER))
    assert RECEIPT.correlation_time == order_xml.correlation_time(ORDER)


class Damage(Struct, frozen=True):
    """One way in which a receipt arrives. `root` is the name of the first tag, with `xmlns` the namespace it declares."""

    root: str
    xmlns: str
    end: str
    tail: str
    head: str
    encoding: str
    padding: str
    one_line: bool


OWN = f' xmlns:ns2="{NAMESPACE}"'
DEFAULT = f' xmlns="{NAMESPACE}"'
damages = st.builds(
    Damage,
    root=st.sampled_from(["ns2:oppdrag", "ns2:Oppdrag", "ns2:OPPDRAG", "oppdrag", "Oppdrag", "OPPDRAG", "x.y:oppdrag", "NS2:oppdrag"]),
    xmlns=st.sampled_from(["declared", "missing", "default"]),
    end=st.sampled_from(["same", "missing", "other case", "other prefix", "half", "blank inside"]),
    tail=st.text(" \t\r\n\x00", max_size=5),
    head=st.sampled_from(
        ['<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n', "", "<?xml version='1.0'?>", "\n ", "<?XML version='1.0' ?>"]
    ),
    encoding=st.sampled_from(["utf-8", "utf-8 with mark", "latin-1", "latin-1 unsaid", "windows-1252", "utf-8 as latin-1", "utf-16"]),
    padding=st.sampled_from(["", " ", "                  ", "\t\n"]),
    one_line=st.booleans(),
)

ENDS = {
    "same": "</{root}>",
    "missing": "",
    "other case": "</{swapped}>",
    "other prefix": "</q:oppdrag>",
    "half": "</{half}",
    "blank inside": "</{root}\n >",
}
DECLARED = {
    "latin-1": ("ISO-8859-1", "latin-1"),
    "latin-1 unsaid": (None, "latin-1"),
    "windows-1252": ("windows-1252", "cp1252"),
    "utf-8 as latin-1": ("ISO-8859-1", "utf-8"),
    "utf-16": ("UTF-16", "utf-16"),
    "utf-8": (None, "utf-8"),
    "utf-8 with mark": (None, "utf-8-sig"),
}


def damaged(text: str, damage: Damage) -> bytes:
    content = text[text.index("    <mmel>") :].removesuffix("</ns2:oppdrag>")
    if damage.one_line:
        content = re.sub(r">\n *<", "><", content)
    content = re.sub(r">([^<>]*)</", rf">\g<1>{damage.padding}</", content)
    declared, encoding = DECLARED[damage.encoding]
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else damage.head
    return (head + start_tag(damage) + content + end_tag(damage) + damage.tail).encode(encoding)


def end_tag(damage: Damage) -> str:
    root = damage.root
    return ENDS[damage.end].format(root=root, swapped=root.swapcase(), half=root[: len(root) // 2])


def start_tag(damage: Damage) -> str:
    prefix = damage.root.partition(":")[0] if ":" in damage.root else ""
    own = f' xmlns:{prefix}="{NAMESPACE}"' if prefix else DEFAULT
    return f"<{damage.root}{ {'declared': own, 'missing': '', 'default': DEFAULT}[damage.xmlns] }>"


@tried(400)
@given(orders, damages, norwegian(0, 60), st.sampled_from(["00", "04", "08", "12"]))
@example(ORDER, Damage("oppdrag", "default", "other case", "", "", "utf-8", "", one_line=True), "Skatteopplysninger ikke funnet", "04")
@example(ORDER, Damage("ns2:Oppdrag", "declared", "missing", " \x00", "", "utf-8", "  ", one_line=False), "", "00")
def test_damage_does_not_change_what_a_receipt_says(order: Order, damage: Damage, words: str, severity: str) -> None:
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    mmel = f"<mmel><alvorlighetsgrad>{severity}</alvorlighetsgrad><beskrMelding>{escaped}</beskrMelding></mmel>"
    whole = Observation(
        (AREAS[order.area].scheme, order.case_id) if order.area in AREAS else None,
        order.area,
        correlation_key(line_keys(order)),
        order_xml.correlation_time(order) if order.lines else "",
        SEVERITIES[severity],
        severity,
        "",
        words,
        reasons_in(words),
    )
    assert decode(damaged(receipt_text(order, mmel), damage)) == whole


def test_corrections_of_hold_backs_go_by_the_days_that_were_held_back() -> None:
    def corrected(first: int) -> Order:
        held = HoldBack(date(2026, 6, first), date(2026, 6, 30), registered_by_mistake=True)
        return replace(ORDER, lines=(), payments=(), hold_back=held)

    june, july = corrected(1), corrected(2)
    assert decode(receipt_text(june).encode()).correlation_key == correlation_key(line_keys(june))
    assert decode(receipt_text(june).encode()).correlation_key != correlation_key(line_keys(july))
    assert decode(receipt_text(june).encode()).correlation_time == ""


@pytest.mark.parametrize(
    ("mmel", "severity", "raw", "text"),
    [
        ("", Severity.UNKNOWN, "", ""),
        ("<mmel/>", Severity.UNKNOWN, "", ""),
        ("<mmel><alvorlighetsgrad/></mmel>", Severity.UNKNOWN, "", ""),
        ("<mmel><alvorlighetsgrad>5</alvorlighetsgrad><beskrMelding>x</beskrMelding></mmel>", Severity.UNKNOWN, "5", "x"),
        ("<mmel><alvorlighetsgrad>?</alvorlighetsgrad></mmel>", Severity.UNKNOWN, "?", ""),
        ("<mmel><alvorlighetsgrad>00 </alvorlighetsgrad></mmel>", Severity.OK, "00", ""),
        ("<mmel><alvorlighetsgrad>08</alvorlighetsgrad></mmel>", Severity.REJECTED, "08", ""),
    ],
)
def test_a_missing_or_odd_severity_is_unknown_and_kept_as_it_came(mmel: str, severity: Severity, raw: str, text: str) -> None:
    receipt = decode(receipt_text(ORDER, mmel).encode())
    assert (receipt.severity, receipt.raw_severity, receipt.text) == (severity, raw, text)
    assert receipt.correlation_key == RECEIPT.correlation_key


def test_an_order_with_its_receipt_says_what_the_rail_said_in_the_order_of_the_contract() -> None:
    others = tuple((name, f"{name} <&> ø") for name in reversed(LEAVES) if name not in WORDS)
    said = replace(RECEIPT, text="a < b", reasons=frozenset(), others=others)
    published = with_acknowledgement(order_xml.encode(ORDER), said)
    assert re.findall(r"<(\w+)>", published.decode().partition("</mmel>")[0]) == ["mmel", *LEAVES]
    assert decode(published) == replace(said, others=others[::-1])


def test_of_what_the_rail_said_only_what_says_something_is_reported_and_without_its_padding() -> None:
    mmel = "<mmel><sqlKode> -803   </sqlKode><sqlState>   </sqlState><alvorlighetsgrad>12</alvorlighetsgrad><sqlMelding/></mmel>"
    receipt = decode(receipt_text(ORDER, mmel).encode())
    assert receipt.others == (("sqlKode", " -803"),)
    published = with_acknowledgement(order_xml.encode(ORDER), receipt).decode()
    assert re.findall(r"<(\w+)>(.*)</", published.partition("</mmel>")[0]) == [("alvorlighetsgrad", "12"), ("sqlKode", " -803")]


@pytest.mark.parametrize("offset", ["", "Z", "+02:00", "+01:00", "   "])
def test_dates_are_compared_without_offset(offset: str) -> None:
    text = receipt_text(ORDER).replace("2025-06-02+02:00</datoStatusFom>", f"2025-06-02{offset}</datoStatusFom>")
    assert decode(text.encode()) == RECEIPT


def test_the_answer_to_xml_that_the_rail_could_not_read_names_no_case() -> None:
    mmel = "<mmel><kodeMelding>B606002F</kodeMelding><alvorlighetsgrad>08</alvorlighetsgrad></mmel>"
    text = f"<oppdrag{DEFAULT}>{mmel}<oppdrag-110></oppdrag-110>"
    receipt = decode(text.encode())
    assert (receipt.area, receipt.case, receipt.severity, receipt.code) == ("", None, Severity.REJECTED, "B606002F")


def test_a_receipt_cut_off_inside_is_refused_at_every_place_and_one_cut_off_in_its_last_tag_is_read() -> None:
    text = receipt_text(ORDER)
    whole_from = text.index("</oppdrag-110>") + len("</oppdrag-110>")
    for length in range(whole_from):
        with pytest.raises(UnreadableReceipt):
            decode(text[:length].encode())
    for length in range(whole_from, len(text) + 1):
        assert decode(text[:length].encode()) == RECEIPT


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(12))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not XML, or was cut off inside"),
        (b"\x00\x00", "is not XML, or was cut off inside"),
        (b'{"sakId":"1"}', "is not XML, or was cut off inside"),
        (b"<oppdrag/>", "has no oppdrag-110"),
        (b"<oppdrag>", "has no oppdrag-110"),
        (b"<kvittering><oppdrag-110/></kvittering>", "has another root than oppdrag"),
        (f"<!DOCTYPE oppdrag [{BOMB}]><oppdrag><oppdrag-110>&e11;</oppdrag-110></oppdrag>".encode(), "has a document type"),
        (f"<!DOCTYPE oppdrag [{BOMB}]><oppdrag><oppdrag-110>&e11;</oppdrag-110></oppdrag>".encode("utf-16"), "has a document type"),
        (b'<!DOCTYPE oppdrag SYSTEM "file:///etc/passwd"><oppdrag><oppdrag-110/></oppdrag>', "has a document type"),
        (receipt_text(ORDER).replace("4NAAA1", "&navn;").encode(), "is not XML, or was cut off inside"),
        (receipt_text(ORDER).replace("4NAAA1", "4N\x00").encode(), "is not XML, or was cut off inside"),
        (b" " * (8 * 1024 * 1024 + 1), "is larger than 8388608 bytes"),
        (b"<oppdrag>" * 500_000, "is not XML, or was cut off inside"),
        (b"</oppdrag" * 500_000, "is not XML, or was cut off inside"),
        (b"<oppdrag" + b" x" * 500_000, "is not XML, or was cut off inside"),
    ],
    ids=range(15),
)
def test_what_can_not_be_read_at_all_is_refused_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableReceipt) as refused:
        decode(body)
    assert refused.value.reason == reason


@tried(200)
@given(st.binary(max_size=60), st.integers(0, 2500), st.integers(0, 60))
def test_any_bytes_are_read_or_refused_but_never_crash(junk: bytes, at: int, lost: int) -> None:
    body = receipt_text(ORDER).encode()
    for bytes_of_it in (junk, body[:at] + junk + body[at + lost :]):
        with suppress(UnreadableReceipt):
            decode(bytes_of_it)
