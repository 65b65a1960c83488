"""Which days are reported, when, and in which range: of midnights, holidays, clocks that change, and orders that leave on another day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import pytest
from psycopg.errors import QueryCanceled

from kvitt.disbursement.operate import Operate
from kvitt.disbursement.order_page import order_page
from kvitt.disbursement.reconcile import reconcile as making
from kvitt.disbursement.reconcile.jobs import ReconciliationTimetable, reconciliation_jobs
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import DayRange, RunState, messages
from kvitt.errors import NotAWorkingDay, NotInThatState, NotReconciled
from kvitt.formats.times import OSLO
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from kvitt.testing import Hub, TestServer
from support.reconciled import BY_KARI, KARI, counts, make, put, reconcile, reconciled_site, texts


@pytest.fixture
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    with reconciled_site(kvitt_server) as made:
        yield made


def test_a_range_follows_the_last_one_over_days_without_a_run(site: Hub) -> None:
    put(site)
    site.run()
    site.clock.advance(days=1)
    assert make(site).days == DayRange(date(2026, 6, 29), date(2026, 6, 29))
    site.clock.advance(days=6)
    put(site)
    site.run()
    site.clock.advance(days=1)
    made = make(site)
    assert (made.days, counts(made)) == (DayRange(date(2026, 6, 30), date(2026, 7, 6)), {"accepted": 1})
    assert reconcile(site).next_range("AAP") is None


def test_an_area_whose_first_run_falls_out_begins_with_its_first_order(site: Hub) -> None:
    put(site)
    site.run()
    site.clock.advance(days=3)
    put(site)
    site.run()
    monday, wednesday = date(2026, 6, 29), date(2026, 7, 1)
    begins_later = Reconcile(site.connection, site.ports, site.clock, first_day=wednesday)
    assert begins_later.next_range("AAP") == DayRange(wednesday, wednesday), "before that day somebody else reports"
    assert reconcile(site).next_range("TILTPENG") == DayRange(wednesday, wednesday), "it has no order yet"
    made = make(site)
    assert (made.days, counts(made)) == (DayRange(monday, wednesday), {"accepted": 1})
    site.clock.advance(days=1)
    assert counts(make(site)) == {"accepted": 1}


def test_days_are_not_left_out_and_have_to_be_over(site: Hub) -> None:
    make(site)
    today = date(2026, 6, 29)
    with pytest.raises(NotInThatState, match="only days that are over"):
        reconcile(site).make("AAP", DayRange(today, today), BY_KARI)
    site.clock.advance(days=3)
    with pytest.raises(NotInThatState, match="would leave out 2026-06-29 to 2026-06-30"):
        reconcile(site).make("AAP", DayRange(date(2026, 7, 1), date(2026, 7, 1)), BY_KARI)
    with pytest.raises(NotInThatState, match="only days that are over"):
        reconcile(site).make("AAP", DayRange(date(2026, 6, 30), today), BY_KARI)
    with pytest.raises(NotReconciled, match="orders of the area XYZ"):
        reconcile(site).next_range("XYZ")


def test_the_schedule_rests_on_holidays_and_an_operator_need_not(site: Hub) -> None:
    site.clock.set(datetime(2027, 3, 28, 8, tzinfo=UTC))
    with pytest.raises(NotAWorkingDay, match="2027-03-28 is no working day"):
        make(site)
    assert make(site, cause=BY_KARI).days == DayRange(date(2027, 3, 24), date(2027, 3, 27))


def test_a_day_is_oslos_and_is_not_over_while_an_order_of_it_may_still_be_stored(site: Hub) -> None:
    site.clock.set(datetime(2026, 6, 29, 21, 59, 58, tzinfo=UTC))
    put(site)
    site.run()
    site.clock.set(datetime(2026, 6, 29, 22, 0, 30, tzinfo=UTC))
    assert reconcile(site).next_range("AAP") == DayRange(date(2026, 6, 26), date(2026, 6, 28))
    site.clock.advance(minutes=1)
    made = reconcile(site).make("AAP", DayRange(date(2026, 6, 29), date(2026, 6, 29)), BY_KARI)
    assert counts(made) == {"accepted": 1}


def test_a_schedule_at_midnight_reports_the_day_that_has_just_ended(site: Hub) -> None:
    jobs = reconciliation_jobs(site.ports, site.clock, ReconciliationTimetable(time(0, 0), {"DP": time(0, 0, 30)}))
    put(site)
    site.run()
    due = {job.name: job.timetable.after(site.clock()) for job in jobs}
    assert {*due.values()} == {datetime(2026, 6, 29, 22, 1, tzinfo=UTC)}
    (job,) = (each for each in jobs if each.name == "reconcile AAP")
    site.clock.set(due[job.name])
    assert "about 2026-06-29: 1 order " in job.run(site.connection, due[job.name])


def test_an_order_that_is_stored_while_its_day_is_reported_early_is_no_difference(site: Hub) -> None:
    put(site)
    site.run()
    days = reconcile(site).next_range("AAP", early=True)
    assert days is not None
    made = reconcile(site).make("AAP", days, BY_KARI, early=True)
    # Whoever stores it has looked at the clock before the run did, and then waited for it.
    site.clock.set(made.made_at - timedelta(milliseconds=300))
    put(site)
    site.run("intake")
    assert site.findings() == []
    site.run()
    site.clock.advance(days=2)
    assert counts(make(site)) == {"accepted": 1}


def test_a_day_with_very_many_orders_is_taken_with_rests_that_miss_and_double_none(site: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    site.rail.fault(warn=3)
    for number in range(9):
        put(site, 100 + number)
    site.run()
    site.clock.advance(days=1)
    days = reconcile(site).next_range("AAP")
    assert days is not None
    bodies: list[bytes] = []
    whole = reconcile(site).preview("AAP", days, bodies.append)
    monkeypatch.setattr(making, "_ORDERS_BEFORE_REST", 2)
    made = make(site)
    assert (made.totals, counts(made)) == (whole.totals, {"accepted": 6, "warned": 3})
    assert bodies == [*messages(site.connection, made.run_no)]


def test_a_run_rests_while_messages_come_in_and_only_then(site: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        put(site)
    site.run()
    site.clock.advance(days=1)
    monkeypatch.setattr(making, "_ORDERS_BEFORE_REST", 1)
    monkeypatch.setattr(making, "_REST_SECONDS", 3600.0)
    assert counts(make(site)) == {"accepted": 3}
    with connect(site.conninfo) as connection, connection.transaction():
        connection.execute("SET LOCAL statement_timeout = '200ms'")
        connection.execute("SELECT rest_while_others_work(3600), rest_while_others_work(3600)")
        site.connection.execute("SELECT nextval('message_numbers')")
        with pytest.raises(QueryCanceled), connection.transaction():
            connection.execute("SELECT rest_while_others_work(3600)")


def test_an_order_that_leaves_on_a_later_day_is_missing_on_its_own_and_final_on_that_one(site: Hub) -> None:
    put(site)
    site.run("intake")
    site.clock.advance(days=1)
    first = make(site)
    assert counts(first) == {"missing": 1}
    site.run()
    (sent,) = site.sent()
    assert b"<nokkelAvstemming>2026-06-30-10.10.00.000000</nokkelAvstemming>" in sent.message
    assert order_page(site.conninfo, site.ports.rails, sent.order_id).message == sent.message
    site.clock.advance(days=1)
    second = make(site)
    assert (second.days, counts(second)) == (DayRange(date(2026, 6, 30), date(2026, 6, 30)), {"accepted": 1})
    causes = site.connection.execute("SELECT run_no, key_day, cause FROM reconciled_orders ORDER BY run_no").fetchall()
    assert causes == [(first.run_no, date(2026, 6, 29), None), (second.run_no, date(2026, 6, 30), "other day")]


@pytest.mark.parametrize("at_once", [False, True])
def test_an_order_that_is_sent_again_on_another_day_is_reported_under_both(site: Hub, *, at_once: bool) -> None:
    assert make(site).state is RunState.EMPTY
    site.rail.fault(swallow=2)
    put(site)
    site.run()
    # Before the first of these days is reported.
    site.clock.advance(hours=20)
    ((order_id,),) = site.connection.execute("SELECT order_id::text FROM orders").fetchall()
    Operate(site.connection, site.clock, site.ports).resend(order_id, Operator("kari", "no answer came", "ola"))
    site.run("sender")
    made = [] if at_once else [make(site)]
    assert [counts(run) for run in made] == [{"missing": 1}] * len(made)
    site.clock.advance(days=1)
    made.append(make(site))
    assert [run.orders for run in made] == ([2] if at_once else [1, 1])
    assert len({*texts(messages(site.connection, made[-1].run_no), "detalj/tidspunkt")}) == 1
    monday, tuesday = date(2026, 6, 29), date(2026, 6, 30)
    assert [key for (key,) in site.connection.execute("SELECT key_day FROM reconciled_orders ORDER BY key_day")] == [monday, tuesday]
    again = reconcile(site).again(made[0].run_no, KARI)
    assert again.orders == made[0].orders


def test_an_order_that_leaves_on_its_own_day_leaves_with_its_own_bytes(site: Hub) -> None:
    put(site)
    site.run()
    (stored,) = site.connection.execute("SELECT message, key_day FROM orders").fetchall()
    assert [(each.message, None) for each in site.sent()] == [stored]


@pytest.mark.parametrize(("last_hour", "day"), [("2026-03-29T21:30", date(2026, 3, 29)), ("2026-10-25T22:30", date(2026, 10, 25))])
def test_a_day_on_which_the_clocks_change_is_reported_whole(site: Hub, last_hour: str, day: date) -> None:
    midnight = datetime.combine(day, datetime.min.time(), tzinfo=OSLO)
    site.clock.set(midnight.astimezone(UTC))
    put(site)
    site.run()
    site.clock.set(datetime.fromisoformat(last_hour).replace(tzinfo=UTC))
    put(site)
    site.run()
    site.clock.advance(hours=12)
    made = reconcile(site).make("AAP", DayRange(day, day), BY_KARI)
    assert (counts(made), made.first_key, made.last_key) == ({"accepted": 2}, f"{day}-00.00.00.000000", f"{day}-23.59.59.999999")
    data = messages(site.connection, made.run_no)[1:2]
    assert [texts(data, f"periode/datoAvstemt{end}") for end in ("Fom", "Tom")] == [[f"{day:%Y%m%d}00"], [f"{day:%Y%m%d}23"]]
