"""The rail emulator at work on real queues and real books: what it accepts, rejects, remembers and spoils."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from emulator_orders import Line, hold_back_xml, order_xml
from kvitt.rail.emulator import (
    Chance,
    DamageForm,
    Emulator,
    Faults,
    all_spans,
    duplicates,
    get_faults,
    received,
    schedule,
    set_faults,
    spans,
)
from kvitt.rail.emulator.order import Answer
from kvitt.rail.queue import Outgoing
from kvitt.rail.table_queue import TableQueue
from kvitt.store.database import connect

JUNE = "2026-06-"
FIRST = Line("L1", "2026-06-01", "2026-06-12", 640)


class Rail:
    """An emulator with its queues and a clock that stands still; `send` and `answers` are the hub's side of it."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self.now = datetime(2026, 6, 15, 12, tzinfo=UTC)
        self.orders = TableQueue(conninfo, "orders")
        self.replies = TableQueue(conninfo, "answers")
        self.conn = connect(conninfo)
        self.requests = TableQueue(conninfo, "orders")
        self.emulator = self.another()
        self.sent = 0

    def another(self, open_reply_queue: Callable[[str], TableQueue] | None = None, seed: int = 7) -> Emulator:
        opener = open_reply_queue or (lambda name: TableQueue(self.conninfo, name))
        return Emulator(self.conninfo, self.requests, opener, seed, wait_seconds=0, clock=lambda: self.now)

    def put(self, *bodies: bytes, reply_to: str = "answers") -> list[str]:
        names = [f"m{self.sent + place}" for place in range(len(bodies))]
        self.sent += len(bodies)
        self.orders.put([Outgoing(name, body, reply_to) for name, body in zip(names, bodies, strict=True)])
        return names

    def work(self) -> None:
        while self.emulator.step():
            pass

    def answers(self) -> list[bytes]:
        bodies: list[bytes] = []
        while got := self.replies.receive(500, 0):
            bodies += [delivery.body for delivery in got]
            self.replies.acknowledge()
        return bodies

    def ask(self, *bodies: bytes) -> list[str]:
        """Sends orders in one batch and returns `severity code text` of each answer, in order."""
        self.put(*bodies)
        self.work()
        return [said(answer) for answer in self.answers()]

    def outcomes(self) -> list[str]:
        return [order.outcome for order in received(self.conn)]

    def paid(self, case: str = "SAK-1", area: str = "AAP") -> list[tuple[str, str, int]]:
        return [(span.start.isoformat(), span.end.isoformat(), span.amount) for span in spans(self.conn, area, case)]

    def close(self) -> None:
        self.emulator.close()
        for queue in (self.orders, self.replies):
            queue.close()
        self.conn.close()


@pytest.fixture
def rail(database: str) -> Iterator[Rail]:
    playing = Rail(database)
    yield playing
    playing.close()


def said(answer: bytes) -> str:
    text = answer.decode()
    parts = [text.partition(f"<{name}>")[2].partition("<")[0] for name in ("alvorlighetsgrad", "kodeMelding", "beskrMelding")]
    return " ".join(part for part in parts if part)


def change(*lines: Line, case: str = "SAK-1", hold_backs: str = "") -> bytes:
    return order_xml(*lines, case=case, change="ENDR", hold_backs=hold_backs)


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


OPPH = Line("L1", "2026-06-01", "2026-06-12", 640, ceased_from="2026-06-08")
NEXT = Line("L2", "2026-06-15", "2026-06-19", 640, ref="L1")

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


# Chains -------------------------------------------------------------------------------------------------------------------------------

Piece = tuple[int, int, int]
"""First day, last day, amount."""

STREAM_EXAMPLES: list[tuple[list[Piece], list[tuple[int, ...]], list[Piece]]] = [
    # old; lines sent (three numbers: a new line, four: a cessation, its date first); new. Source: helved_stream §3.5
    ([(2, 13, 150)], [(2, 13, 275)], [(2, 13, 275)]),
    ([(2, 13, 150)], [(2, 2, 13, 150), (6, 13, 150)], [(6, 13, 150)]),
    ([(2, 6, 150), (9, 13, 250)], [(16, 20, 350)], [(2, 6, 150), (9, 13, 250), (16, 20, 350)]),
    ([(2, 13, 150)], [(7, 2, 13, 150)], [(2, 6, 150)]),
    ([(2, 6, 150), (9, 13, 250)], [(7, 9, 13, 250)], [(2, 6, 150)]),
    ([(2, 13, 150), (16, 27, 250)], [(7, 16, 27, 250), (16, 27, 250)], [(2, 6, 150), (16, 27, 250)]),
    ([(2, 13, 150)], [(2, 27, 150)], [(2, 27, 150)]),
    ([(2, 27, 150)], [(2, 13, 275), (16, 27, 150)], [(2, 13, 275), (16, 27, 150)]),
    ([(2, 27, 150)], [(16, 27, 275)], [(2, 15, 150), (16, 27, 275)]),
    ([(2, 27, 150)], [(14, 2, 27, 150), (23, 27, 150)], [(2, 13, 150), (23, 27, 150)]),
    ([(2, 13, 150)], [(2, 2, 13, 150)], []),
]

MICRO_EXAMPLES: list[tuple[list[Piece], list[tuple[int, ...]], list[Piece]]] = [
    # M1 to M20; source: iverksetting_rest §3.6
    ([(1, 12, 640)], [(1, 12, 710)], [(1, 12, 710)]),
    ([(1, 12, 640)], [(1, 1, 12, 640), (8, 12, 640)], [(8, 12, 640)]),
    ([(1, 5, 640), (8, 12, 710)], [(15, 19, 720)], [(1, 5, 640), (8, 12, 710), (15, 19, 720)]),
    ([(1, 12, 640)], [(6, 1, 12, 640)], [(1, 5, 640)]),
    ([(1, 5, 640), (8, 12, 710)], [(6, 8, 12, 710)], [(1, 5, 640)]),
    ([(1, 10, 640), (11, 19, 710)], [(6, 11, 19, 710), (11, 19, 710)], [(1, 5, 640), (11, 19, 710)]),
    ([(1, 10, 640), (11, 19, 710)], [(6, 19, 710)], [(1, 5, 640), (6, 19, 710)]),
    (
        [(1, 5, 640), (6, 15, 710), (16, 24, 640)],
        [(6, 16, 24, 640), (10, 15, 710), (16, 24, 640)],
        [(1, 5, 640), (10, 15, 710), (16, 24, 640)],
    ),
    ([(1, 5, 640), (6, 10, 710), (11, 15, 720)], [(6, 11, 15, 720), (11, 15, 720)], [(1, 5, 640), (11, 15, 720)]),
    ([(1, 12, 640)], [(1, 19, 640)], [(1, 19, 640)]),
    ([(8, 12, 640)], [(1, 12, 640)], [(1, 12, 640)]),
    ([(1, 12, 640)], [(1, 5, 710), (6, 12, 640)], [(1, 5, 710), (6, 12, 640)]),
    ([(1, 12, 640)], [(6, 12, 710)], [(1, 5, 640), (6, 12, 710)]),
    ([(1, 12, 640)], [(4, 8, 710), (9, 12, 640)], [(1, 3, 640), (4, 8, 710), (9, 12, 640)]),
    ([(1, 12, 640)], [(4, 1, 12, 640), (9, 12, 640)], [(1, 3, 640), (9, 12, 640)]),
    ([(1, 12, 640)], [(1, 5, 710)], [(1, 5, 710)]),
    ([(1, 12, 640)], [(1, 1, 12, 640), (3, 8, 640)], [(3, 8, 640)]),
    ([(1, 5, 640), (10, 12, 640)], [(22, 24, 640)], [(1, 5, 640), (10, 12, 640), (22, 24, 640)]),
    ([(1, 5, 640), (10, 12, 640)], [(6, 9, 500), (10, 12, 640)], [(1, 5, 640), (6, 9, 500), (10, 12, 640)]),
    ([(10, 12, 640)], [(1, 5, 500), (10, 12, 640)], [(1, 5, 500), (10, 12, 640)]),
]


def day(number: int) -> str:
    return f"{JUNE}{number:02}"


def chained(pieces: list[Piece]) -> list[Line]:
    """The lines that create the payment: each refers to the one before."""
    return [
        Line(f"P{place}", day(start), day(end), amount, ref=f"P{place - 1}" if place else "")
        for place, (start, end, amount) in enumerate(pieces)
    ]


def sent(stored: list[Line], numbers: list[tuple[int, ...]]) -> list[Line]:
    """The lines of the correction as the example's table writes them: cessations name the last stored line, new ones follow on."""
    last = stored[-1].line_id
    lines: list[Line] = []
    for place, figures in enumerate(numbers):
        if len(figures) == 4:
            ceased, start, end, amount = figures
            lines.append(Line(last, day(start), day(end), amount, ceased_from=day(ceased)))
        else:
            start, end, amount = figures
            lines.append(Line(f"N{place}", day(start), day(end), amount, ref=last))
            last = f"N{place}"
    return lines


@pytest.mark.parametrize(
    ("old", "numbers", "new"),
    [*STREAM_EXAMPLES, *MICRO_EXAMPLES],
    ids=[*(f"stream {n}" for n in range(1, 12)), *(f"M{n}" for n in range(1, 21))],
)
def test_the_worked_examples_give_what_was_wanted(rail: Rail, old: list[Piece], numbers: list[tuple[int, ...]], new: list[Piece]) -> None:
    stored = chained(old)
    assert rail.ask(order_xml(*stored), change(*sent(stored, numbers))) == ["00", "00"]
    assert rail.paid() == [(day(start), day(end), amount) for start, end, amount in new]


def test_two_cuts_in_a_row_name_the_same_line_with_its_own_days(rail: Rail) -> None:
    stored = [
        Line("A", "2026-04-01", "2026-05-31", 7600, rate_code="MND"),
        Line("B", "2026-10-01", "2026-10-31", 7600, ref="A", rate_code="MND"),
    ]
    cuts = [Line("B", "2026-10-01", "2026-10-31", 7600, ceased_from=first, rate_code="MND") for first in ("2026-06-01", "2026-05-01")]
    assert rail.ask(order_xml(*stored), change(cuts[0]), change(cuts[1])) == ["00", "00", "00"]
    assert rail.paid() == [("2026-04-01", "2026-04-30", 7600)]


def test_a_reference_into_the_middle_of_a_chain_overwrites_the_whole_chain_from_there(rail: Rail) -> None:
    stored = chained([(1, 5, 640), (8, 12, 710), (15, 19, 720)])
    rail.ask(order_xml(*stored), change(Line("B", day(8), day(9), 99, ref="P0")))
    assert rail.paid() == [(day(1), day(5), 640), (day(8), day(9), 99)]


def test_a_new_chain_leaves_the_others_alone_and_spans_name_their_lines(rail: Rail) -> None:
    rail.ask(order_xml(*chained([(1, 5, 640), (8, 12, 710)])), change(Line("X", day(1), day(30), 10, decided_rate=20)))
    found = [
        (span.chain_first_line_id, span.line_id, span.chain_last_line_id, span.decided_rate) for span in spans(rail.conn, "AAP", "SAK-1")
    ]
    assert found == [("P0", "P0", "P1", None), ("P0", "P1", "P1", None), ("X", "X", "X", 20)]


@pytest.mark.parametrize(
    ("rate_code", "days"),
    [
        ("DAG", [date(2026, 5, 29), date(2026, 6, 1), date(2026, 6, 2)]),
        ("DAG7", [date(2026, 5, 29), date(2026, 5, 30), date(2026, 5, 31), date(2026, 6, 1), date(2026, 6, 2)]),
        ("MND", [date(2026, 5, 29), date(2026, 6, 1)]),
        ("ENG", [date(2026, 5, 29)]),
    ],
)
def test_the_schedule_pays_on_the_days_of_the_rate(rail: Rail, rate_code: str, days: list[date]) -> None:
    rail.ask(order_xml(Line("L1", "2026-05-29", "2026-06-02", 640, rate_code=rate_code)))
    due = schedule(rail.conn, "AAP", "SAK-1")
    assert [day.date for day in due] == days
    assert {(day.chain, day.amount, day.class_code) for day in due} == {("L1", 640, "AAPOR")}


def test_all_spans_stream_by_area_and_case_in_the_order_of_code_points(rail: Rail) -> None:
    keys = [("DP", "a"), ("AAP", "b"), ("AAP", "Z"), ("AAP", "å"), ("AAP", "a#1")]
    rail.ask(*(order_xml(FIRST, area=area, case=case) for area, case in keys))
    streamed = list(all_spans(rail.conn))
    assert [(area, case) for area, case, _ in streamed] == sorted(keys)
    assert all(pieces == spans(rail.conn, area, case) for area, case, pieces in streamed)


# Once, and never lost -----------------------------------------------------------------------------------------------------------------


def test_the_same_bytes_under_another_message_id_are_judged_anew_and_recorded(rail: Rail) -> None:
    assert rail.ask(order_xml(FIRST), order_xml(FIRST)) == ["00", "08 B110008F Oppdraget finnes fra før"]
    found = duplicates(rail.conn)
    assert (found.lines, found.conflicting_messages, found.same_bytes) == ((), (), (("m0", "m1"),))


def forget_puts(rail: Rail) -> None:
    """Makes the order queue forget the ids that it has seen, as a broker does that can't tell."""
    rail.orders.prune(datetime.now(UTC) + timedelta(days=1))


def test_the_same_message_again_gets_its_stored_receipt_under_the_same_id_and_no_second_effect(rail: Rail) -> None:
    rail.ask(order_xml(FIRST))
    rail.replies.prune(datetime.now(UTC) + timedelta(days=1))
    forget_puts(rail)
    rail.sent = 0
    assert rail.ask(order_xml(FIRST)) == ["00"]
    (record,) = received(rail.conn)
    assert (record.outcome, record.repeats) == ("accepted", 1)
    assert rail.paid() == [("2026-06-01", "2026-06-12", 640)]


def test_other_bytes_under_a_known_message_id_are_rejected_and_reported(rail: Rail) -> None:
    rail.ask(order_xml(FIRST))
    forget_puts(rail)
    rail.sent = 0
    assert rail.ask(order_xml(FIRST, case="SAK-2")) == ["08 B110090F Meldings-ID er brukt før med annet innhold"]
    forget_puts(rail)
    rail.sent = 0
    assert rail.ask(order_xml(FIRST, case="SAK-2"), change(NEXT)) == ["00"], "one answer to each pair of id and bytes"
    assert duplicates(rail.conn).conflicting_messages == ("m0",)
    assert rail.paid("SAK-2") == []


def end_connections(rail: Rail) -> None:
    """Ends every connection to the database but the one that asks."""
    with psycopg.connect(rail.conninfo) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("moment", ["before the put", "after the put"])
def test_a_crash_after_the_books_loses_no_receipt_and_doubles_none(rail: Rail, moment: str) -> None:
    crashes = [moment]

    def crashing(name: str) -> TableQueue:
        if crashes:
            end_connections(rail)
            if crashes.pop() == "before the put":
                raise ConnectionError("crashed")
        return TableQueue(rail.conninfo, name)

    rail.put(order_xml(FIRST), change(NEXT))
    rail.emulator = rail.another(crashing)
    with pytest.raises((ConnectionError, psycopg.OperationalError)):
        rail.emulator.step()
    rail.conn, rail.replies = connect(rail.conninfo), TableQueue(rail.conninfo, "answers")
    assert len(list(received(rail.conn))) == 2
    rail.emulator.close()
    rail.work()
    assert [said(answer) for answer in rail.answers()] == ["00", "00"]
    assert [record.repeats for record in received(rail.conn)] == [1, 1]
    assert rail.paid() == [("2026-06-01", "2026-06-12", 640), ("2026-06-15", "2026-06-19", 640)]


def test_a_running_emulator_survives_the_loss_of_its_connections(rail: Rail) -> None:
    stop = threading.Event()
    running = threading.Thread(target=rail.emulator.run, args=(stop,))
    running.start()
    try:
        rail.put(order_xml(FIRST))
        assert len(rail.replies.receive(1, 20)) == 1
        end_connections(rail)
        rail.orders, rail.replies = TableQueue(rail.conninfo, "orders"), TableQueue(rail.conninfo, "answers")
        rail.put(change(NEXT))
        assert {said(delivery.body) for delivery in rail.replies.receive(2, 20)} == {"00"}
    finally:
        stop.set()
        running.join()


PROCESS = """
import sys, threading
from kvitt.rail.emulator import Emulator
from kvitt.rail.table_queue import TableQueue
conninfo = sys.argv[1]
Emulator(conninfo, TableQueue(conninfo, "orders"), lambda name: TableQueue(conninfo, name), batch_size=10).run(threading.Event())
"""


def test_an_emulator_killed_again_and_again_answers_every_order_once(rail: Rail) -> None:
    rail.put(*(order_xml(FIRST, case=f"SAK-{number}") for number in range(400)))
    answers: list[str] = []
    for goal in (50, 150, 250, 400):
        process = subprocess.Popen([sys.executable, "-c", PROCESS, rail.conninfo])
        try:
            while len(answers) < goal:
                answers += [said(delivery.body) for delivery in rail.replies.receive(50, 20)]
                rail.replies.acknowledge()
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    assert answers == ["00"] * 400
    assert rail.answers() == []
    assert len(list(all_spans(rail.conn))) == 400
    assert duplicates(rail.conn).lines == ()


def test_two_emulators_share_the_work_without_a_double(rail: Rail) -> None:
    for number in range(60):
        rail.put(
            *(
                order_xml(Line(f"L{number}", day(1), day(5), 1), case=f"SAK-{case}", change="NY" if number == 0 else "ENDR")
                for case in range(5)
            )
        )
    stop = threading.Event()
    pair = [
        threading.Thread(
            target=Emulator(
                rail.conninfo, TableQueue(rail.conninfo, "orders"), lambda name: TableQueue(rail.conninfo, name), batch_size=7
            ).run,
            args=(stop,),
        )
        for _ in range(2)
    ]
    for thread in pair:
        thread.start()
    answers: list[str] = []
    while len(answers) < 300:
        answers += [said(delivery.body) for delivery in rail.replies.receive(50, 20)]
        rail.replies.acknowledge()
    stop.set()
    for thread in pair:
        thread.join()
    # Orders of one case may overtake each other between two emulators; what was accepted still stands once.
    assert len(answers) == 300
    assert duplicates(rail.conn).lines == ()


# Faults -------------------------------------------------------------------------------------------------------------------------------

NOW = Chance(next=1)


def test_faults_are_kept_as_they_were_set_and_a_counted_one_counts_down(rail: Rail) -> None:
    wanted = Faults(
        swallow=Chance(0.25, 2), damage=NOW, damage_forms=(DamageForm.TRUNCATED,), delay_seconds=3.5, refusal=Answer("08", "Nei")
    )
    set_faults(rail.conn, wanted)
    assert get_faults(rail.conn) == wanted
    rail.ask(order_xml(FIRST))
    assert get_faults(rail.conn).swallow == Chance(0.25, 1)
    assert get_faults(rail.conn).damage == Chance()


def test_a_swallowed_receipt_never_comes_though_the_order_counts(rail: Rail) -> None:
    set_faults(rail.conn, Faults(swallow=NOW))
    assert rail.ask(order_xml(FIRST), change(NEXT)) == ["00"]
    assert len(rail.paid()) == 2
    rail.now += timedelta(days=1)
    rail.work()
    assert rail.answers() == []


def test_a_swallowed_order_that_is_sent_again_under_another_id_is_told_that_it_exists(rail: Rail) -> None:
    set_faults(rail.conn, Faults(swallow=NOW))
    assert rail.ask(order_xml(FIRST), change(NEXT), change(NEXT)) == ["00", "08 BB50018F DELYTELSE-ID finnes i oppdragsbasen fra før"]


def test_a_delayed_receipt_comes_when_its_time_has_come(rail: Rail) -> None:
    set_faults(rail.conn, Faults(delay=NOW, delay_seconds=60))
    assert rail.ask(order_xml(FIRST), change(Line("L1", day(1), day(12), 640, change="ENDR"))) == ["00"]
    rail.now += timedelta(seconds=61)
    rail.work()
    assert [said(answer) for answer in rail.answers()] == ["00"]


def test_a_doubled_receipt_comes_twice(rail: Rail) -> None:
    set_faults(rail.conn, Faults(double=NOW))
    assert rail.ask(order_xml(FIRST)) == ["00", "00"]


def test_reordered_receipts_are_all_there_in_another_order(rail: Rail) -> None:
    set_faults(rail.conn, Faults(reorder=Chance(1.0)))
    bodies = [order_xml(FIRST, case=f"SAK-{number:02}") for number in range(20)]
    rail.put(*bodies)
    rail.work()
    cases = [answer.partition(b"<fagsystemId>")[2][:6] for answer in rail.answers()]
    straight = [f"SAK-{number:02}".encode() for number in range(20)]
    assert cases != straight
    assert sorted(cases) == straight


@pytest.mark.parametrize("form", DamageForm)
def test_a_damaged_receipt_comes_in_the_form_asked_for(rail: Rail, form: DamageForm) -> None:
    set_faults(rail.conn, Faults(damage=NOW, damage_forms=(form,)))
    rail.put(order_xml(FIRST), order_xml(FIRST))
    rail.work()
    spoilt, whole = rail.answers()
    assert spoilt.count(b"mmel") in {1, 2}
    assert whole.rstrip().endswith(b"</ns2:oppdrag>")
    assert rail.paid() == [("2026-06-01", "2026-06-12", 640)]


@pytest.mark.parametrize("severity", ["08", "12"])
def test_a_refused_order_is_answered_as_asked_and_not_booked(rail: Rail, severity: str) -> None:
    set_faults(rail.conn, Faults(refuse=NOW, refusal=Answer(severity, "Personregisteret svarer ikke", "B7F")))
    assert rail.ask(order_xml(FIRST), order_xml(FIRST)) == [f"{severity} B7F Personregisteret svarer ikke", "00"]
    assert rail.outcomes() == ["refused", "accepted"]


def test_a_warned_order_is_booked_and_a_rejection_is_never_softened(rail: Rail) -> None:
    set_faults(rail.conn, Faults(warn=Chance(next=2)))
    assert rail.ask(order_xml(FIRST), order_xml(FIRST)) == [
        "04 B110008W Skatteopplysninger ikke funnet",
        "08 B110008F Oppdraget finnes fra før",
    ]
    assert rail.outcomes() == ["warned", "rejected"]
    assert rail.paid() == [("2026-06-01", "2026-06-12", 640)]


def test_a_closed_rail_leaves_orders_in_the_queue_and_still_sends_what_is_due(rail: Rail) -> None:
    set_faults(rail.conn, Faults(delay=NOW, delay_seconds=60))
    rail.ask(order_xml(FIRST))
    set_faults(rail.conn, Faults(closed=True))
    rail.now += timedelta(seconds=61)
    assert rail.ask(change(NEXT)) == ["00"]
    assert rail.orders.depth() == 1
    set_faults(rail.conn, Faults())
    rail.work()
    assert [said(answer) for answer in rail.answers()] == ["00"]


def test_the_same_seed_strikes_the_same_orders_however_they_are_batched(rail: Rail) -> None:
    set_faults(rail.conn, Faults(refuse=Chance(0.5)))
    rail.put(*(order_xml(FIRST, case=f"SAK-{number}") for number in range(40)))
    rail.work()
    together = {record.message_id: record.outcome for record in received(rail.conn)}
    rail.conn.execute("TRUNCATE rail.received, rail.receipt, rail.known_case, rail.entry")
    forget_puts(rail)
    rail.sent = 0
    for number in range(40):
        rail.ask(order_xml(FIRST, case=f"SAK-{number}"))
    assert {record.message_id: record.outcome for record in received(rail.conn)} == together
    assert set(together.values()) == {"accepted", "refused"}


@pytest.mark.parametrize("wrong", [{"probability": 1.5}, {"probability": -0.1}, {"next": -1}])
def test_a_chance_that_is_none_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="probability"):
        Chance(**wrong)
