"""What was dealt with is closed: once, by a named person with a reason, in one transaction with the operators' audit chain."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from integration.test_operate import KARI, KARI_AND_OLA, Bench, clock
from kvitt.app.ports import PORTS
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.check import check
from kvitt.disbursement.dead import DeadLetters
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.values import Scheme
from kvitt.errors import DeadLetterNotFound, NotInThatState, ReceiptNotFound
from kvitt.kernel.database import connect
from kvitt.ops.figures import read_figures


@pytest.fixture
def bench(database: str) -> Iterator[Bench]:
    with connect(database) as connection:
        yield Bench(connection)


def kinds(bench: Bench) -> dict[str, int]:
    return dict(read_figures(bench.connection, clock()).receipts)


def letters(bench: Bench) -> int:
    return read_figures(bench.connection, clock()).dead_letters


def test_a_receipt_that_settled_nothing_is_closed_once(bench: Bench, database: str) -> None:
    bench.settle([RawReceipt("r", b"garbage")])
    [odd] = bench.operate.odd_receipts()
    assert kinds(bench) == {"unreadable": 1}
    bench.operate.close_receipt(odd.receipt_no, KARI)
    assert (bench.operate.odd_receipts(), kinds(bench)) == ([], {})
    [closed] = bench.operate.odd_receipts(everything=True)
    assert (closed.closed_by, closed.closed_because, closed.is_open) == (KARI.name, KARI.reason, False)
    with pytest.raises(NotInThatState, match=f"was closed by {KARI.name}: {KARI.reason}"):
        bench.operate.close_receipt(odd.receipt_no, KARI)
    assert bench.acts() == ["close receipt"]
    assert check(database, PORTS).differences == ()


def test_a_receipt_that_settled_an_order_or_is_not_there_is_not_closed(bench: Bench) -> None:
    bench.pay("A", 100)
    bench.receipt(bench.send_all()[0])
    with pytest.raises(NotInThatState, match="is accepted: it waits for nobody"):
        bench.operate.close_receipt(1, KARI)
    with pytest.raises(ReceiptNotFound):
        bench.operate.close_receipt(10**6, KARI)
    assert bench.acts() == []


def test_an_unclear_receipt_waits_until_its_order_is_settled(bench: Bench) -> None:
    bench.pay("A", 100)
    [order_id] = bench.send_all()
    bench.receipt(order_id, "99")
    assert [each.outcome for each in bench.operate.odd_receipts()] == ["unclear"]
    bench.operate.decide(order_id, accepted=True, operator=KARI_AND_OLA)
    assert (bench.operate.odd_receipts(), kinds(bench)) == ([], {})


def test_a_dead_letter_is_closed_once_and_then_not_replayed(bench: Bench, database: str) -> None:
    topic = primary_input(Scheme.TILLEGGSSTONADER)
    bench.submit([Incoming(topic, 0, 900, str(uuid4()).encode(), b"{")])
    dead = DeadLetters(bench.connection, clock, PORTS, pytest.fail)
    [letter] = dead.listed()
    assert letters(bench) == 1
    dead.close(letter.number, KARI)
    assert (dead.listed(), letters(bench), dead.find(letter.number).state) == ([], 0, "closed")
    assert [each.number for each in dead.listed(state=None)] == [letter.number]
    for again in (dead.close, dead.replay):
        with pytest.raises(NotInThatState, match=f"was closed by {KARI.name}: {KARI.reason}"):
            again(letter.number, KARI)
    with pytest.raises(DeadLetterNotFound):
        dead.close(10**6, KARI)
    assert bench.acts() == ["close dead letter"]
    [noted] = bench.connection.execute("SELECT note FROM audit WHERE chain = 0").fetchall()
    assert json.loads(str(noted[0]))["subject"] == f"dead letter {letter.number}"
    assert check(database, PORTS).differences == ()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE dead_letters SET state = 'open', closed_at = NULL, closed_by = NULL",
        "UPDATE dead_letters SET closed_by = 'somebody else'",
        "UPDATE receipts SET closed_at = NULL, closed_by = NULL",
        "UPDATE receipts SET closed_by = 'somebody else'",
    ],
)
def test_a_closing_that_is_not_as_noted_is_a_difference(bench: Bench, database: str, change: str) -> None:
    bench.submit([Incoming(primary_input(Scheme.TILLEGGSSTONADER), 0, 900, b"key", b"{")])
    bench.settle([RawReceipt("r", b"garbage")])
    DeadLetters(bench.connection, clock, PORTS).close(1, KARI)
    bench.operate.close_receipt(1, KARI)
    assert check(database, PORTS).differences == ()
    bench.connection.execute(change.encode())
    [difference] = check(database, PORTS).differences
    assert "is not closed as the operators' chain says" in difference.text
