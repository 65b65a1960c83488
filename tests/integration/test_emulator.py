"""The rail emulator on real queues and real books: what it accepts, what it rejects, and where its answers go."""

from collections.abc import Iterator

import pytest

from kvitt.rails.oppdrag.emulator import received, spans
from kvitt.transports.queue.table_queue import TableQueue
from support.emulator_orders import Line, hold_back_xml, order_xml
from support.emulator_stage import FIRST, NEXT, Rail, change, said, staged


@pytest.fixture
def rail(database: str) -> Iterator[Rail]:
    with staged(database) as playing:
        yield playing


def test_an_accepted_order_is_echoed_with_00_and_booked(rail: Rail) -> None:
    body = order_xml(FIRST)
    rail.put(body)
    rail.work()
    (answer,) = rail.answers()
    mmel = b"<mmel><systemId>231-OPPD</systemId><alvorlighetsgrad>00</alvorlighetsgrad></mmel>"
    assert mmel in answer
    assert answer.replace(mmel, b"") == body
    assert rail.paid() == [("2026-06-01", "2026-06-12", 640)]
    (record,) = received(rail.conn)
    assert (record.message_id, record.area, record.case_id, record.outcome, record.severity) == ("m0", "AAP", "SAK-1", "accepted", "00")
    assert (record.received_at, record.repeats) == (rail.now, 0)


REJECTED = [
    ("a case that exists", order_xml(NEXT), "08 B110008F Oppdraget finnes fra før"),
    ("an unknown case", change(FIRST, case="SAK-2"), "08 B110010F OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før"),
    ("another area is another case", order_xml(change="ENDR", area="DP"), "08 B110010F OPPDRAGET/FAGSYSTEM-ID finnes ikke fra før"),
    ("a line id again", change(FIRST), "08 BB50018F DELYTELSE-ID finnes i oppdragsbasen fra før"),
    ("a line id twice in an order", change(NEXT, NEXT), "08 BB50018F DELYTELSE-ID finnes i oppdragsbasen fra før"),
    (
        "a change of an unknown line",
        change(Line("L9", "2026-06-01", "2026-06-12", 640, ceased_from="2026-06-08")),
        "08 BB50019F DELYTELSE-ID/LINJE-ID ved endring finnes ikke",
    ),
    ("an unknown reference", change(Line("L2", "2026-06-15", "2026-06-19", 1, ref="L9")), "08 BB50024F Referert vedtak/linje ikke funnet"),
    (
        "a reference to another case",
        change(Line("L2", "2026-06-15", "2026-06-19", 1, ref="L1", ref_case="SAK-2")),
        "08 BB50024F Referert vedtak/linje ikke funnet",
    ),
    (
        "half a reference",
        change(Line("L2", "2026-06-15", "2026-06-19", 1, ref="L1", ref_case="")),
        "08 BB50025F REF-FAGSYSTEM-ID og REF-DELYTELSE-ID må oppgis sammen",
    ),
    (
        "a change with a reference",
        change(Line("L1", "2026-06-01", "2026-06-12", 640, ceased_from="2026-06-08", ref="L1")),
        "08 BB50026F REF-DELYTELSE-ID kan ikke oppgis ved endring av linje",
    ),
    *(
        (
            f"a change with another {what}",
            change(line),
            "08 BB50027F Linjen som endres har andre datoer, sats, TYPE-SATS eller KODE-KLASSIFIK",
        )
        for what, line in [
            ("start", Line("L1", "2026-06-02", "2026-06-12", 640, ceased_from="2026-06-08")),
            ("end", Line("L1", "2026-06-01", "2026-06-07", 640, ceased_from="2026-06-08")),
            ("amount", Line("L1", "2026-06-01", "2026-06-12", 641, ceased_from="2026-06-08")),
            ("sign", Line("L1", "2026-06-01", "2026-06-12", 640, ceased_from="2026-06-08", sign="F")),
            ("rate code", Line("L1", "2026-06-01", "2026-06-12", 640, ceased_from="2026-06-08", rate_code="DAG")),
            ("class code", Line("L1", "2026-06-01", "2026-06-12", 640, ceased_from="2026-06-08", class_code="AAPX")),
        ]
    ),
    (
        "another class code without its date",
        change(Line("L2", "2026-06-15", "2026-06-19", 640, ref="L1", class_code="AAPX", class_from="")),
        "08 BB51014F DATO-FOM mangler ved endring KODE-KLASSIFIK",
    ),
    (
        "another person",
        order_xml(NEXT, change="ENDR", person="99999999999"),
        "08 B110012F OPPDRAG-GJELDER-ID er en annen enn den oppdraget er registrert på",
    ),
    ("no line id", change(Line("", "2026-06-15", "2026-06-19", 1)), "08 BB50002F DELYTELSE-ID mangler"),
    ("no last day", change(Line("L2", "2026-06-15", "", 1)), "08 BB50003F DATO-VEDTAK-TOM mangler eller er før DATO-VEDTAK-FOM"),
    (
        "days back to front",
        change(Line("L2", "2026-06-15", "2026-06-14", 1)),
        "08 BB50003F DATO-VEDTAK-TOM mangler eller er før DATO-VEDTAK-FOM",
    ),
    (
        "a cessation without its date",
        change(Line("L1", "2026-06-01", "2026-06-12", 640, status="OPPH")),
        "08 BB50006F DATO-STATUS-FOM mangler ved KODE-STATUS-LINJE",
    ),
    (
        "another status",
        change(Line("L1", "2026-06-01", "2026-06-12", 640, status="HVIL", ceased_from="2026-06-08")),
        "08 BB50004F KODE-STATUS-LINJE er ikke OPPH",
    ),
    (
        "a status on a new line",
        change(Line("L2", "2026-06-15", "2026-06-19", 1, status="OPPH", change="NY")),
        "08 BB50005F KODE-STATUS-LINJE kan ikke oppgis på ny linje",
    ),
    ("no case id", order_xml(FIRST).replace(b"<fagsystemId>SAK-1</fagsystemId>", b""), "08 B110002F FAGSYSTEM-ID mangler"),
    ("another action", order_xml(FIRST, action="3"), "08 B110001F KODE-AKSJON er ikke 1, bare oppdatering støttes"),
    (
        "a hold-back without an end",
        change(hold_backs=hold_back_xml("2026-06-01", "")),
        "08 BB18001F DATO-AVVENT-FOM/DATO-AVVENT-TOM mangler eller er ugyldig",
    ),
]


@pytest.mark.parametrize(("body", "answer"), [case[1:] for case in REJECTED], ids=[case[0] for case in REJECTED])
def test_a_rejected_order_is_answered_with_the_real_text_and_changes_nothing(rail: Rail, body: bytes, answer: str) -> None:
    # A good line before the bad one in the same order must not be booked either.
    good_first = body.replace(b"        <oppdrags-linje-150>", b"        " + _extra_line() + b"<oppdrags-linje-150>", 1)
    assert rail.ask(order_xml(FIRST), good_first) == ["00", answer]
    assert rail.paid() == [("2026-06-01", "2026-06-12", 640)]
    assert rail.outcomes() == ["accepted", "rejected"]


def _extra_line() -> bytes:
    body = order_xml(Line("EXTRA", "2026-07-01", "2026-07-03", 100))
    start, end = body.index(b"<oppdrags-linje-150>"), body.index(b"</oppdrags-linje-150>")
    return body[start:end] + b"</oppdrags-linje-150>"


def test_an_order_rejected_can_be_corrected_and_sent_under_another_id(rail: Rail) -> None:
    wrong = order_xml(Line("L1", "2026-06-01", "2026-06-12", 640, ref="L0"))
    assert rail.ask(wrong, order_xml(FIRST), change(NEXT)) == ["08 BB50024F Referert vedtak/linje ikke funnet", "00", "00"]


def test_a_changed_class_code_with_its_date_is_accepted(rail: Rail) -> None:
    assert rail.ask(order_xml(FIRST), change(Line("L2", "2026-06-15", "2026-06-19", 640, ref="L1", class_code="AAPX"))) == ["00", "00"]
    assert [span.class_code for span in spans(rail.conn, "AAP", "SAK-1")] == ["AAPOR", "AAPX"]


def test_a_change_that_changes_nothing_is_accepted(rail: Rail) -> None:
    assert rail.ask(order_xml(FIRST), change(Line("L1", "2026-06-01", "2026-06-12", 640, change="ENDR"))) == ["00", "00"]
    assert rail.paid() == [("2026-06-01", "2026-06-12", 640)]


OVERLAP = "08 BB18011F Overlappende avvent-perioder"
STANDING = hold_back_xml("2026-06-01", "2026-06-12")


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [
        (STANDING, hold_back_xml("2026-06-08", "2026-06-19"), OVERLAP),
        (STANDING, hold_back_xml("2026-05-20", "2026-06-01"), OVERLAP),
        (STANDING, hold_back_xml("2026-06-13", "2026-06-19"), "00"),
        (STANDING, hold_back_xml("2026-06-01", "2026-06-19"), "00"),
        (STANDING, hold_back_xml("2026-06-08", "", is_error=True), "00"),
        (hold_back_xml("2026-06-01", "2026-06-12", is_error=True), hold_back_xml("2026-06-08", "2026-06-19"), "00"),
        (hold_back_xml("2026-06-01", "2026-06-12", "2026-06-15"), hold_back_xml("2026-06-08", "2026-06-19"), "00"),
        (hold_back_xml("2026-06-01", "2026-06-12", "2026-06-16"), hold_back_xml("2026-06-08", "2026-06-19"), OVERLAP),
        (STANDING, hold_back_xml("2026-06-01", "2026-06-12", is_error=True) + hold_back_xml("2026-06-08", "2026-06-19"), "00"),
        ("", STANDING + hold_back_xml("2026-06-08", "2026-06-19"), OVERLAP),
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
def test_overlapping_hold_backs(rail: Rail, first: str, second: str, answer: str, together: bool) -> None:
    bodies = order_xml(FIRST, hold_backs=first), change(hold_backs=second)
    answers = rail.ask(*bodies) if together else rail.ask(bodies[0]) + rail.ask(bodies[1])
    assert answers == ["00", answer]


def test_an_order_against_the_schema_is_answered_and_harms_no_neighbour(rail: Rail) -> None:
    bad = order_xml(FIRST, case="SAK-2").replace(b"<kodeEndring>NY</kodeEndring>", b"")
    answers = rail.ask(order_xml(FIRST), bad, change(NEXT))
    assert answers[0] == answers[2] == "00"
    assert answers[1].startswith("08 B606001F XML er ikke gyldig: Element 'kodeFagomraade': This element is not expected.")


def test_an_order_that_breaks_off_gets_the_rails_own_broken_answer(rail: Rail) -> None:
    rail.put(order_xml(FIRST)[:-400])
    rail.work()
    (answer,) = rail.answers()
    assert b"<alvorlighetsgrad>08</alvorlighetsgrad>" in answer
    assert b"B606002F" in answer
    assert answer.endswith(b"<oppdrag-110></oppdrag-110>")


def test_garbage_ends_in_the_dead_letter_queue_and_its_neighbours_are_answered_once(rail: Rail) -> None:
    bomb = b'<!DOCTYPE oppdrag [<!ENTITY a "haha">]><oppdrag>&a;</oppdrag>'
    rail.put(b"garbage", order_xml(FIRST), bomb, change(NEXT))
    rail.work()
    assert [said(answer) for answer in rail.answers()] == ["00", "00"]
    assert rail.orders.depth() == 0
    dead = TableQueue(rail.conninfo, "orders.dlq")
    assert [delivery.body for delivery in dead.receive(5, 0)] == [b"garbage", bomb]
    dead.close()
    assert rail.outcomes().count("unreadable") == 2


def test_an_order_without_a_reply_queue_is_booked_and_not_answered(rail: Rail) -> None:
    rail.put(order_xml(FIRST), reply_to="")
    rail.work()
    assert rail.answers() == []
    assert rail.paid() == [("2026-06-01", "2026-06-12", 640)]


def test_each_answer_goes_to_the_queue_its_order_names(rail: Rail) -> None:
    rail.put(order_xml(FIRST), reply_to="elsewhere")
    rail.put(change(NEXT))
    rail.work()
    assert len(rail.answers()) == 1
    elsewhere = TableQueue(rail.conninfo, "elsewhere")
    assert len(elsewhere.receive(5, 0)) == 1
    elsewhere.close()
