"""The rail emulator's faults: what it swallows, delays, doubles, spoils and refuses when it is asked to."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from kvitt.rails.oppdrag.emulator import (
    Chance,
    DamageForm,
    Faults,
    get_faults,
    received,
    set_faults,
)
from kvitt.rails.oppdrag.emulator.order import EmulatedAnswer
from support.emulator_orders import Line, order_xml
from support.emulator_stage import FIRST, NEXT, Rail, change, day, forget_puts, said, staged

NOW = Chance(next=1)


@pytest.fixture
def rail(database: str) -> Iterator[Rail]:
    with staged(database) as playing:
        yield playing


def test_faults_are_kept_as_they_were_set_and_a_counted_one_counts_down(rail: Rail) -> None:
    wanted = Faults(
        swallow=Chance(0.25, 2), damage=NOW, damage_forms=(DamageForm.TRUNCATED,), delay_seconds=3.5, refusal=EmulatedAnswer("08", "Nei")
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


def test_a_swallowed_order_that_is_sent_again_under_another_id_hears_that_it_exists(rail: Rail) -> None:
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
    set_faults(rail.conn, Faults(refuse=NOW, refusal=EmulatedAnswer(severity, "Personregisteret svarer ikke", "B7F")))
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
