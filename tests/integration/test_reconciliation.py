"""Each day's orders are reported to the rail once: what is in a run, in which bucket, with which bytes, and in which order it leaves."""

import json
import tracemalloc
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from click.testing import CliRunner
from psycopg.pq import TransactionStatus

from kvitt.app.main import main
from kvitt.contracts.helved import topics
from kvitt.disbursement.reconcile.runs import DayRange, RunState, bodies_of_run, changed_since, messages, read
from kvitt.disbursement.reconciliation import MOST_DETAILS
from kvitt.disbursement.send import Send
from kvitt.disbursement.values import Scheme
from kvitt.errors import AlreadyReconciled, NotInThatState
from kvitt.kernel.database import connect
from kvitt.kernel.leases import LeaseKeeper
from kvitt.settings import Settings
from kvitt.testing import Hub, TestServer, hub
from support.hub_messages import payment_uid, ts, ts_payment
from support.reconciled import (
    BY_KARI,
    KARI,
    MONDAY,
    SCHEDULED,
    counts,
    make,
    new_case,
    put,
    put_need,
    queued,
    reconcile,
    reconciled_site,
    texts,
)

pytestmark = pytest.mark.usefixtures("made_up_people")

_UNANSWERED = """
    INSERT INTO orders SELECT c.* FROM orders AS o, generate_series(1, %(orders)s) AS n, jsonb_populate_record(
        o, jsonb_build_object('order_id', gen_random_uuid(), 'number', 1 + n, 'state', 'sent', 'receipt_no', NULL, 'settled_at', NULL)) AS c
"""
"""The only order so many times more, each without an answer."""


@pytest.fixture
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    with reconciled_site(kvitt_server) as made:
        yield made


def test_a_day_is_reported_with_what_the_rail_said_of_each_order(site: Hub) -> None:
    site.rail.fault(warn=1)
    put(site)
    site.run()
    site.rail.fault(refuse=1, severity="08", code="B110008F", text="Nei & <aldri>")
    refused = put(site, 300)
    site.run()
    site.rail.fault(swallow=1)
    silent = put(site, 400)
    site.run()
    put(site, 800)
    site.run()
    site.clock.advance(days=1)
    made = make(site)
    assert (made.days, made.state, made.orders, made.messages) == (DayRange(date(2026, 6, 29), date(2026, 6, 29)), RunState.MADE, 4, 3)
    assert {bucket.value: (total.orders, total.kroner) for bucket, total in made.totals.items()} == {
        "accepted": (1, 800),
        "warned": (1, 700),
        "rejected": (1, 300),
        "missing": (1, 400),
    }
    site.run("reconciler")
    good = read(site.connection, made.run_no)
    assert (good.state, good.good_at is not None) == (RunState.GOOD, True)
    found = queued(site)
    assert found == [*messages(site.connection, made.run_no)]
    assert texts(found, "aksjon/aksjonType") == ["START", "DATA", "AVSL"]
    assert texts(found, "detalj/detaljType") == ["VARS", "AVVI", "MANG"]
    assert texts(found, "detalj/avleverendeTransaksjonNokkel")[1:] == [refused, silent]
    assert texts(found, "detalj/tekstMelding")[-1] == "Nei & <aldri>"
    assert texts(found, "detalj/meldingKode")[-1] == "B110008F"
    assert len({*texts(found, "aksjon/avleverendeAvstemmingId")}) == 1


@pytest.mark.parametrize("area", ["AAP", "SPREF"])
@pytest.mark.parametrize(
    ("severity", "bucket"),
    [("00", "accepted"), ("04", "warned"), ("08", "rejected"), ("12", "rejected"), ("16", "missing"), ("", "missing"), (None, "missing")],
)
def test_an_order_counts_by_the_severity_of_its_receipt(site: Hub, area: str, severity: str | None, bucket: str) -> None:
    """Whatever the rail says that is neither a yes nor a no: the order is missing, and the four add up."""
    match severity:
        case "00":
            site.rail.fault()
        case "04":
            site.rail.fault(warn=1)
        case None:
            site.rail.fault(swallow=1)
        case _:
            site.rail.fault(refuse=1, severity=severity)
    (put if area == "AAP" else put_need)(site)
    site.run()
    site.clock.advance(days=1)
    made = make(site, area)
    assert (counts(made), made.orders) == ({bucket: 1}, 1)


def test_messages_leave_with_the_usual_priority_and_nobody_is_to_answer_them(site: Hub) -> None:
    put(site)
    site.run()
    site.clock.advance(days=1)
    make(site)
    site.run("reconciler")
    left = site.connection.execute("SELECT reply_to, priority FROM queue.message WHERE queue = %s", (Settings().reconciliation_queue,))
    assert left.fetchall() == [("", 4)] * 3


def test_a_sum_adds_up_the_amounts_of_lines_of_those_that_cease_too(site: Hub) -> None:
    case = new_case()
    ceasing, new = payment_uid(case, 1), payment_uid(case, 2)
    site.put(topics.primary_input(Scheme.TILLEGGSSTONADER), case, ts(case, ts_payment(ceasing, 700)))
    site.run()
    site.clock.advance(days=1)
    (area,) = site.connection.execute("SELECT area FROM orders").fetchone() or ("",)
    assert counts(make(site, area)) == {"accepted": 1}
    site.put(topics.primary_input(Scheme.TILLEGGSSTONADER), case, ts(case, ts_payment(ceasing, spans=()), ts_payment(new, 500)))
    site.run()
    site.clock.advance(days=1)
    made = make(site, area)
    assert (counts(made), made.accepted_kroner) == ({"accepted": 1}, 1200)
    _, data, _ = messages(site.connection, made.run_no)
    assert texts([data], "total/totalBelop") == ["1200"]


def test_an_area_without_orders_has_an_empty_run(site: Hub) -> None:
    made = make(site, "TILTPENG")
    assert (made.state, made.orders, made.messages) == (RunState.EMPTY, 0, 0)
    assert site.run("reconciler") == 0
    assert reconcile(site).next_range("TILTPENG") is None


def test_what_is_reported_is_not_reported_again(site: Hub) -> None:
    made = make(site)
    with pytest.raises(AlreadyReconciled, match="reconciled up to"):
        reconcile(site).make("AAP", made.days, SCHEDULED)
    with pytest.raises(AlreadyReconciled):
        reconcile(site).make("AAP", DayRange(made.days.first - timedelta(3), made.days.first), BY_KARI)


def test_an_order_of_the_rapid_that_leaves_while_a_run_is_made_is_in_the_next_one(site: Hub) -> None:
    put_need(site)
    site.run()
    site.clock.advance(hours=1)
    put_need(site)
    site.run("intake")
    site.clock.advance(days=1)
    keeper = LeaseKeeper(site.conninfo, seconds=600.0)
    with connect(site.conninfo) as connection:
        grant = keeper.acquire(connection, "sender:another")
        assert grant is not None
        send = Send(connection, site.clock, site.ports, grant.lease)
        taken = send.dequeue(1)
        with connection.transaction():
            send.sent([each.place for each in taken])
            assert make(site, "SPREF").orders == 1
    keeper.close()
    assert site.findings() == []
    site.clock.advance(days=1)
    assert counts(make(site, "SPREF")) == {"missing": 1}


def test_a_preview_has_the_bytes_of_the_run_and_stores_nothing(site: Hub) -> None:
    put(site)
    site.run()
    site.clock.advance(days=1)
    days = reconcile(site).next_range("AAP")
    assert days is not None
    bodies: list[bytes] = []
    shown = reconcile(site).preview("AAP", days, bodies.append)
    assert site.connection.execute("SELECT count(*) FROM reconciliation_runs").fetchone() == (0,)
    made = make(site)
    assert bodies == [*messages(site.connection, made.run_no)]
    shown_again = []
    for body in bodies_of_run(site.connection, made.run_no):
        # A person may look at it for as long as he likes: no transaction waits for him.
        assert site.connection.info.transaction_status is TransactionStatus.IDLE
        shown_again.append(body)
    assert shown_again == bodies
    assert (shown.run_id, shown.totals, shown.messages) == (made.run_id, made.totals, made.messages)
    assert shown.run_no == 0, "whoever asks for the run of a number that is shown has to find it"


def test_a_preview_of_very_many_messages_holds_few_of_them_at_once(site: Hub) -> None:
    put(site)
    site.run()
    site.clock.advance(days=1)
    with site.connection.transaction(force_rollback=True):
        site.connection.execute(_UNANSWERED, {"orders": 30_000})
        taken: list[int] = []
        tracemalloc.start()
        try:
            shown = reconcile(site).preview("AAP", DayRange(MONDAY.date(), MONDAY.date()), lambda body: taken.append(len(body)))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (len(taken), shown.messages, shown.missing) == (shown.messages, 2 + -(-30_000 // MOST_DETAILS), 30_000)
    assert most < sum(taken) / 2


def test_a_late_answer_leaves_the_run_of_its_day_as_it_was(site: Hub) -> None:
    site.rail.fault(delay=1, delay_seconds=2 * 24 * 3600.0)
    put(site)
    site.run()
    site.clock.advance(days=1)
    made = make(site)
    site.clock.advance(days=2)
    site.run()
    assert counts(read(site.connection, made.run_no)) == {"missing": 1}
    assert [(each.bucket, each.by_now, each.orders) for each in changed_since(site.connection, made, ["04"])] == [
        ("missing", "accepted", 1)
    ]
    assert make(site).orders == 0


def test_on_the_rapid_a_late_answer_comes_again_in_the_next_run(site: Hub) -> None:
    site.rail.fault(delay=1, delay_seconds=2 * 24 * 3600.0)
    put_need(site)
    site.run()
    put_need(site)
    site.run()
    site.clock.advance(days=1)
    first = make(site, "SPREF")
    assert counts(first) == {"missing": 1, "accepted": 1}
    assert first.first_key != first.last_key
    site.clock.advance(days=2)
    site.run()
    second = make(site, "SPREF")
    assert (counts(second), second.first_key) == ({"accepted": 1}, first.first_key)
    assert second.first_key == second.last_key
    site.clock.advance(days=1)
    assert make(site, "SPREF").orders == 0
    site.run()
    runs = [read(site.connection, each.run_no) for each in (first, second)]
    assert [run.state for run in runs] == [RunState.GOOD] * 2
    assert texts([body for run in runs for body in messages(site.connection, run.run_no)], "detalj/detaljType") == ["MANG"]


def test_on_the_rapid_what_was_not_put_is_not_reported_until_it_is(site: Hub) -> None:
    put_need(site)
    site.run("intake")
    site.clock.advance(days=1)
    assert make(site, "SPREF").state is RunState.EMPTY
    site.run()
    site.clock.advance(days=1)
    assert counts(make(site, "SPREF")) == {"accepted": 1}


def test_a_run_is_made_again_in_the_place_of_one_that_never_arrived(site: Hub) -> None:
    put(site)
    site.run()
    site.clock.advance(days=1)
    first = make(site)
    site.run("reconciler")
    second = reconcile(site).again(first.run_no, KARI)
    assert (second.days, counts(second), second.made_by, second.reason) == (first.days, {"accepted": 1}, "kari", KARI.reason)
    assert second.run_id != first.run_id
    replaced = read(site.connection, first.run_no)
    assert (replaced.state, replaced.replaced_by) == (RunState.REPLACED, second.run_no)
    with pytest.raises(NotInThatState, match="made again already"):
        reconcile(site).again(first.run_no, KARI)
    site.run("reconciler")
    assert texts(queued(site), "aksjon/aksjonType") == ["START", "DATA", "AVSL"] * 2


def test_a_run_that_is_made_again_before_it_left_does_not_leave(site: Hub) -> None:
    put(site)
    site.run()
    site.clock.advance(days=1)
    first = make(site)
    second = reconcile(site).again(first.run_no, KARI)
    site.run("reconciler")
    assert queued(site) == [*messages(site.connection, second.run_no)]


CHANGES = (
    ("UPDATE reconciliation_messages SET body = body || ' ' WHERE place = 2", "message 2 is not what its orders give"),
    ("UPDATE reconciliation_runs SET accepted_kroner = 1", "or their sums differ"),
    ("DELETE FROM reconciled_orders WHERE order_id = (SELECT order_id FROM orders LIMIT 1)", "no run reports it"),
    ("INSERT INTO earlier_key_days SELECT order_id, day FROM orders", "no run reports it there"),
    ("UPDATE reconciliation_runs SET state = 'good', good_at = now()", "of its 3 messages are not put"),
    (
        "INSERT INTO reconciled_orders SELECT run_no, gen_random_uuid(), 'missing', NULL, '2026-06-29' FROM reconciliation_runs",
        "there is no such order",
    ),
    ("UPDATE reconciled_orders SET run_no = 4711", "there is no such run"),
)


def test_the_check_finds_what_was_changed_behind_its_back(kvitt_server: TestServer) -> None:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, start=MONDAY) as site:
        put(site)
        put(site)
        site.run()
        site.clock.advance(days=1)
        make(site)
        site.check()
        for statement, found in CHANGES:
            site.connection.execute(statement.encode())
            assert any(found in each for each in site.findings()), statement


def test_the_command_line_shows_what_is_due_makes_it_and_lists_it(site: Hub) -> None:
    put(site)
    site.run()

    def kvitt(*arguments: str) -> str:
        result = CliRunner().invoke(main, [*arguments, "--data", str(site.settings.data)], env={"KVITT_DATABASE_URL": site.conninfo})
        assert result.exit_code == 0, result.output
        return result.output

    # The command reads the machine's clock, by which the hub's day is long over.
    shown = kvitt("reconcile", "run", "--area", "AAP", "--from", "2026-06-29", "--day", "2026-06-30", "--dry-run")
    assert "<godkjentAntall>1</godkjentAntall>" in shown
    assert "nothing of the kind was reported" in kvitt("reconcile", "list")
    by_kari = ("--by", "kari", "--approved-by", "ola", "--reason", "the scheduler was down")
    head = ("reconcile", "run", "--area", "AAP", "--from", "2026-06-29", "--day", "2026-06-30")
    made = kvitt(*head, *by_kari)
    assert "AAP: 3 messages are made" in made, "long runs say how far they have come"
    assert "2026-06-29" in kvitt("reconcile", "list", "--area", "AAP", "--day", "2026-06-30")
    number = str(site.connection.execute("SELECT run_no FROM reconciliation_runs").fetchall()[0][0])
    assert "3 messages are ready" in kvitt("reconcile", "show", number)
    assert kvitt("reconcile", "show", number, "--messages").count("<aksjonType>") == 3
    assert "made" in kvitt("reconcile", "again", number, *by_kari)
    assert [row[0] for row in site.connection.execute("SELECT what FROM kvitt_views.operator_acts ORDER BY seq")] == [
        "reconcile",
        "reconcile again",
    ]
    # Of areas that are further than the day that is asked for nothing is left; the others are reported all the same.
    kvitt("reconcile", "run", "--area", "TILTPENG", "--area", "TILTPENG", "--from", "2026-06-29", "--day", "2026-06-29", *by_kari)
    kvitt("reconcile", "run", "--day", "2026-06-30", *by_kari)
    assert site.connection.execute("SELECT area, first_day FROM reconciliation_runs ORDER BY run_no DESC LIMIT 1").fetchall() == [
        ("TILTPENG", date(2026, 6, 30))
    ]
    # A dry run of which nothing is left says so too.
    kvitt("reconcile", "run", "--area", "TILTPENG", *by_kari)
    assert "all days up to yesterday are reconciled" in kvitt("reconcile", "run", "--area", "TILTPENG", "--dry-run")
    assert json.loads(kvitt("reconcile", "due", "--json", "--area", "AAP", "--area", "AAP"))["run_no"] in (0, None)
