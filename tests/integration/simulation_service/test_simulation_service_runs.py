"""The emulator's payment runs, and what simulations say between them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest

from kvitt.kernel.database import Connection, connect
from kvitt.rails.oppdrag.emulator import CannotPay, pay, payments, posted_rows
from kvitt.rails.oppdrag.emulator.order import CaseAtRail
from support.emulator_orders import Line, order_xml
from support.simulation_stage import MAY, MONTHLY, SimulatedRail


def test_an_order_is_part_of_it_from_the_next_bank_day_when_the_rail_posts_so(rail: SimulatedRail) -> None:
    rail.behave(posts_next_day=True)
    assert rail.ask(order_xml(MAY)) == ["00"]
    end = Line(MAY.line_id, MAY.starts, MAY.ends, MAY.amount, ceased_from="2026-05-11", rate_code="DAG")
    assert rail.simulate(end, change="ENDR").rows() == []
    assert rail.pay("2026-06-15").cases == 0
    rail.now += timedelta(days=1)
    rail.assertion = ""
    assert rail.pay("2026-06-16").cases == 1
    assert rail.simulate(end, change="ENDR").periods()["2026-05-11/2026-05-15"][-1] == "YTEL -5000 AAPOR"


def test_runs_are_played_in_order_on_bank_days_and_again_without_effect(paid: SimulatedRail) -> None:
    assert paid.pay("2026-06-15").cases == 0
    with pytest.raises(CannotPay, match="2026-06-20 is no bank day; the next one is 2026-06-22"):
        paid.pay("2026-06-20")
    with pytest.raises(CannotPay, match="the run of 2026-06-15 was played already"):
        paid.pay("2026-06-12")


def test_a_run_that_was_killed_in_the_middle_goes_on_where_it_was(rail: SimulatedRail, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rail.ask(*(order_xml(MAY, case=f"SAK-{number}") for number in range(3))) == ["00"] * 3
    monkeypatch.setattr(payments, "CASES_PER_TRANSACTION", 1)
    whole, played = payments._pay_cases, []

    def broken_off(conn: Connection, cases: Sequence[CaseAtRail], *rest: object) -> object:
        played.append(cases)
        return whole(conn, cases, *rest) if len(played) < 2 else 1 // 0  # type: ignore[arg-type]

    monkeypatch.setattr(payments, "_pay_cases", broken_off)
    with pytest.raises(ZeroDivisionError):
        rail.pay("2026-06-16")
    monkeypatch.setattr(payments, "_pay_cases", whole)
    assert (rail.pay("2026-06-16").cases, rail.pay("2026-06-16").cases) == (2, 0)
    assert [[row.amount for row in posted_rows(rail.conn, "AAP", f"SAK-{number}")] for number in range(3)] == [[10000]] * 3


def test_two_runs_at_once_pay_once(rail: SimulatedRail) -> None:
    assert rail.ask(*(order_xml(MAY, case=f"SAK-{number}") for number in range(20))) == ["00"] * 20
    with ThreadPoolExecutor(2) as runs:
        played = list(runs.map(lambda _: _played(rail.conninfo), range(2)))
    assert sum(played) == 20
    assert [len(posted_rows(rail.conn, "AAP", f"SAK-{number}")) for number in range(20)] == [1] * 20


def _played(conninfo: str) -> int:
    with connect(conninfo) as conn:
        return pay(conn, date(2026, 6, 16), datetime(2026, 6, 16, tzinfo=UTC)).cases


def test_a_coming_month_is_paid_by_its_own_run(rail: SimulatedRail) -> None:
    assert rail.ask(order_xml(MONTHLY)) == ["00"]
    assert [rail.pay(day).paid_kroner for day in ("2026-06-16", "2026-06-30", "2026-07-20", "2026-10-20")] == [9000, 0, 9000, 27000]
