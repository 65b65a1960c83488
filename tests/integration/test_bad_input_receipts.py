"""Receipts in every shape: what can be read settles its order once, the rest is kept, the right one still counts (helved §4.4, §4.5)."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from kvitt.disbursement.answers import Status
from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.emulator import DamageForm
from kvitt.rails.oppdrag.emulator.damage import damage
from support.hub_messages import dp, text
from support.whole_way import Way, whole_way

DP = Scheme.DAGPENGER


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    with whole_way() as made:
        yield made


def waiting_for_receipt(way: Way) -> tuple[bytes, str, bytes]:
    """An order at the rail whose receipt was swallowed: the message's key, its case, and the receipt that never came."""
    case, key = way.case(), str(uuid4()).encode()
    way.hub.rail.fault(swallow=1)
    way.send(DP, (key, text(dp(case))))
    way.hub.run()
    xml = next(each.message for each in way.hub.sent() if each.case_id == case)
    return key, case, xml


def mmel(severity: str | None = "00", words: str = "") -> bytes:
    grade = "" if severity is None else f"<alvorlighetsgrad>{severity}</alvorlighetsgrad>"
    return f"<mmel><systemId>231-OPPD</systemId>{grade}<beskrMelding>{words}</beskrMelding></mmel>".encode()


def receipt(xml: bytes, answer: bytes) -> bytes:
    return xml.replace(b"<oppdrag-110>", answer + b"<oppdrag-110>", 1)


def deliver(way: Way, *bodies: bytes) -> None:
    for body in bodies:
        way.hub.rail.reply(body)
    way.hub.run()


def outcome_on(way: Way, body: bytes) -> str:
    """What a receipt turned out to be."""
    query = "SELECT outcome FROM receipts WHERE body = %s"
    return str((way.connection.execute(query, (body,)).fetchone() or ("",))[0])


@pytest.mark.parametrize("form", [form for form in DamageForm if form is not DamageForm.TRUNCATED])
@pytest.mark.parametrize("severity", ["00", "08"])
def test_a_damaged_receipt_is_read_by_what_it_says(way: Way, form: DamageForm, severity: str) -> None:
    key, _, xml = waiting_for_receipt(way)
    deliver(way, damage(receipt(xml, mmel(severity, "Avvist for prøve")), form))
    answer = way.final(key)
    assert answer.status is (Status.OK if severity == "00" else Status.FAILED)
    assert severity == "00" or (answer.error and answer.error.status == 400)


BOMB = '<?xml version="1.0"?><!DOCTYPE oppdrag [<!ENTITY a "' + "x" * 1000 + '"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
BROKEN: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("nothing", lambda _: b"", "unreadable"),
    ("not XML", lambda _: b"ikke xml", "unreadable"),
    ("cut off", lambda xml: damage(receipt(xml, mmel()), DamageForm.TRUNCATED), "unreadable"),
    ("another root", lambda xml: receipt(xml, mmel()).replace(b"ns2:oppdrag", b"ns2:annet"), "unreadable"),
    ("a document type", lambda xml: b"<!DOCTYPE oppdrag>" + receipt(xml, mmel())[55:], "unreadable"),
    ("an entity bomb", lambda xml: BOMB.encode() + receipt(xml, mmel("00", "&b;"))[55:], "unreadable"),
    (
        "an outer entity",
        lambda xml: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + receipt(xml, mmel("&x;"))[55:],
        "unreadable",
    ),
    ("no order in it", lambda _: b"<oppdrag>" + mmel() + b"</oppdrag>", "unreadable"),
    ("10 MB", lambda xml: receipt(xml, mmel("00", "x" * 10_000_000)), "unreadable"),
    ("10 MB of nesting", lambda _: b"<a>" * 3_000_000, "unreadable"),
    ("random bytes", lambda _: bytes(range(256)) * 40, "unreadable"),
    ("an unknown case", lambda xml: receipt(xml, mmel()).replace(b"<fagsystemId>S-", b"<fagsystemId>X-"), "unmatched"),
    ("an unknown area", lambda xml: receipt(xml, mmel()).replace(b">DP<", b">XX<"), "unmatched"),
    ("an unknown line", lambda xml: receipt(xml, mmel()).replace(b"<delytelseId>", b"<delytelseId>A"), "unmatched"),
    ("an empty order", lambda _: b"<oppdrag>" + mmel() + b"<oppdrag-110/></oppdrag>", "unmatched"),
    ("no severity", lambda xml: receipt(xml, mmel(None)), "unclear"),
    ("no answer", lambda xml: xml, "unclear"),
    ("an empty severity", lambda xml: receipt(xml, mmel("")), "unclear"),
    ("a severity nobody has heard of", lambda xml: receipt(xml, mmel("16", "Uvanlig")), "unclear"),
]


@pytest.mark.parametrize(("broken", "outcome"), [pytest.param(*rest, id=name) for name, *rest in BROKEN])
def test_a_receipt_that_tells_nothing_is_kept_and_the_right_one_still_counts(
    way: Way, broken: Callable[[bytes], bytes], outcome: str
) -> None:
    key, case, xml = waiting_for_receipt(way)
    bad = broken(xml) + (b"" if outcome == "unclear" else f"<!-- {case} -->".encode())
    deliver(way, bad)
    assert outcome_on(way, bad) == outcome
    state = "SELECT state FROM orders JOIN cases USING (case_no) WHERE case_id = %s"
    assert way.connection.execute(state, (case,)).fetchone() == ("unknown" if outcome == "unclear" else "sent",)
    deliver(way, receipt(xml, mmel()))
    assert way.answers(key)[-1].status is Status.OK
    said = [answer.status.value for answer in way.answers(key)]
    assert said == ["MOTTATT", "HOS_OPPDRAG", *(["FEILET"] if outcome == "unclear" else []), "OK"]


def test_an_unheard_of_severity_is_reported_with_the_raw_text(way: Way) -> None:
    key, _, xml = waiting_for_receipt(way)
    deliver(way, receipt(xml, mmel("16", "Uvanlig svar")))
    error = way.final(key).error
    assert error
    assert error.status == 500
    assert "'16'" in error.text
    assert "Uvanlig svar" in error.text
    deliver(way, receipt(xml, mmel()))
    assert way.answers(key)[-1].status is Status.OK


def test_doubled_receipts_answer_once(way: Way) -> None:
    key, case, xml = waiting_for_receipt(way)
    deliver(way, *[receipt(xml, mmel())] * 5, receipt(xml, mmel("08", "for sent")))
    way.final(key)
    query = "SELECT count(*) FROM receipts WHERE position(%s::bytea IN body) > 0"
    assert way.connection.execute(query, (f"<fagsystemId>{case}<".encode(),)).fetchone() == (6,)
    way.good_behind(DP, (b"x", None))
    assert [answer.status.value for answer in way.answers(key)] == ["MOTTATT", "HOS_OPPDRAG", "OK"]


def test_a_message_behind_an_order_without_receipt_waits_and_others_do_not(way: Way) -> None:
    key, case, xml = waiting_for_receipt(way)
    later = f"{case}-later".encode()
    way.good_behind(DP, (later, text(dp(case, 700))))
    assert [answer.status.value for answer in way.answers(later)] == ["MOTTATT"]
    deliver(way, receipt(xml, mmel()))
    assert way.final(key).status is Status.OK
    assert way.final(later).status is Status.OK
    assert {amount for _, _, amount in way.days("DP", case)} == {700}
