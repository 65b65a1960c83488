"""The rail emulator answers each order once and loses none, whatever is repeated, killed or shared."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.emulator import (
    Emulator,
    all_spans,
    duplicates,
    received,
)
from kvitt.transports.queue.table_queue import TableQueue
from support.emulator_orders import Line, order_xml
from support.emulator_stage import FIRST, NEXT, Rail, change, day, forget_puts, said, staged


@pytest.fixture
def rail(database: str) -> Iterator[Rail]:
    with staged(database) as playing:
        yield playing


def test_the_same_bytes_under_another_message_id_are_judged_anew_and_recorded(rail: Rail) -> None:
    assert rail.ask(order_xml(FIRST), order_xml(FIRST)) == ["00", "08 B110008F Oppdraget finnes fra før"]
    found = duplicates(rail.conn)
    assert (found.lines, found.conflicting_messages, found.same_bytes) == ((), (), (("m0", "m1"),))


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
from kvitt.rails.oppdrag.emulator import Emulator
from kvitt.transports.queue.table_queue import TableQueue
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
