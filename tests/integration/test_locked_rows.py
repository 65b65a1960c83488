"""Rows that a stranger has locked: their neighbours go on, what came for them waits in its order, and nothing is lost."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from kvitt.api.thrift import payouts as woody_payouts
from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.cli.text import moment
from kvitt.contracts.helved.outputs import decode_status
from kvitt.contracts.helved.topics import STATUSES
from kvitt.disbursement.check import check
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.resume import Resume
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.disbursement.values import Scheme
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service
from kvitt.kernel.database import LOCK_MS, connect
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import WakeUp
from kvitt.kernel.queue import Outgoing
from kvitt.ledger.calls import Done
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.service import LedgerService
from kvitt.transports.log.embedded_log import LogRelay, make_topics
from support import ledger_stage
from support.hub_messages import dp
from support.hub_stage import REPLIES, REQUESTS, Stage, staged
from support.payout_stage import payout_stage
from support.thrift_stage import post, serving
from support.topics import TOPICS

DP = Scheme.DAGPENGER
TYPES, MONEY = module("payouts"), module("money")
PAYOUTS = Service("payouts", "PayoutManagement")


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    """A stage whose hub waits for a lock as the running one does."""
    with staged(database) as stage:
        stage.connection.execute(f"SET lock_timeout = {LOCK_MS}".encode())
        yield stage


@contextmanager
def locked(stage: Stage, statement: str, *arguments: object) -> Iterator[psycopg.Connection[Any]]:
    """Somebody with a console, who has begun a transaction and not ended it."""
    with psycopg.connect(stage.conninfo) as stranger:
        stranger.execute(statement.encode(), arguments)
        yield stranger
        stranger.rollback()


CASE = "SELECT 1 FROM cases WHERE case_id = %s FOR UPDATE"


@contextmanager
def resuming(stage: Stage) -> Iterator[Any]:
    """The step of the loop that handles what has waited."""
    with Resume(stage.conninfo, stage.clock, PORTS, lambda: None, _Impatient()).steps() as step:
        yield step


class _Impatient(WakeUp):
    def sleep(self, seconds: float) -> None:
        """Not at all."""


def resumed(stage: Stage) -> int:
    """Handles what has waited; returns how much."""
    done = 0
    with resuming(stage) as step:
        while more := step():
            done += more
    return done


def in_order(stage: Stage, *keys: str) -> Sequence[str]:
    rows = stage.rows(
        "SELECT convert_from(key, 'UTF8') FROM messages WHERE convert_from(key, 'UTF8') = ANY (%s) ORDER BY message_no", list(keys)
    )
    return [str(key) for (key,) in rows]


def clean(stage: Stage) -> bool:
    report = check(stage.conninfo, PORTS)
    assert not report.differences, report.differences
    return True


def test_the_neighbours_of_a_locked_case_go_on_and_what_is_for_it_waits_in_its_order(stage: Stage) -> None:
    stage.hand_in(DP, ("first", dp("held")))
    with locked(stage, CASE, "held"):
        batch = [("held-1", dp("held", 600)), ("free-1", dp("free")), ("held-2", dp("held", 700)), ("free-2", dp("other"))]
        assert stage.hand_in(DP, *batch) == [Outcome.DEFERRED, Outcome.DERIVED, Outcome.DEFERRED, Outcome.DERIVED]
        assert resumed(stage) == 0
        assert stage.hand_in(DP, ("free-3", dp("third")), ("held-3", dp("held", 800))) == [Outcome.DERIVED, Outcome.DEFERRED]
        assert (stage.said("free-1"), stage.said("held-1")) == (["MOTTATT"], [])
    assert stage.hand_in(DP, ("held-4", dp("held", 900))) == [Outcome.DEFERRED], "it may not overtake those that wait"
    assert resumed(stage) == 4
    assert in_order(stage, "held-1", "held-2", "held-3", "held-4") == ["held-1", "held-2", "held-3", "held-4"]
    assert stage.hand_in(DP, ("held-5", dp("held", 950))) == [Outcome.QUEUED]
    stage.finish()
    assert [stage.said(f"held-{number}")[-1] for number in range(1, 6)] == ["OK"] * 5
    assert clean(stage)


def test_a_case_that_somebody_is_just_making_holds_up_nobody_else(stage: Stage) -> None:
    with locked(stage, "INSERT INTO cases (scheme, case_id) VALUES ('DAGPENGER', %s)", "new"):
        assert stage.hand_in(DP, ("new-1", dp("new")), ("free-1", dp("free"))) == [Outcome.DEFERRED, Outcome.DERIVED]
        assert resumed(stage) == 0
    assert resumed(stage) == 1
    stage.finish()
    assert (stage.said("new-1")[-1], stage.said("free-1")[-1]) == ("OK", "OK")
    assert clean(stage)


def test_a_position_moves_on_over_what_waits_and_a_new_owner_keeps_the_order(stage: Stage) -> None:
    from msgspec.structs import replace

    held = stage.keeper.acquire(stage.connection, "intake:x:0")
    assert held
    stage.hand_in(DP, ("first", dp("held")))
    records = [
        replace(stage.incoming(DP, f"held-{n}", dp("held", 500 + n)), lease=held.lease, position=n, follows=n, partition=7)
        for n in range(3)
    ]
    with locked(stage, CASE, "held"):
        assert stage.submit(records[:2]) == [Outcome.DEFERRED] * 2
        assert stage.one("SELECT position FROM leases WHERE lease = 'intake:x:0'") == 2
        with connect(stage.conninfo, lock_timeout_ms=LOCK_MS) as connection:
            assert Submit(connection, stage.clock, PORTS).execute(records[2:]) == [Outcome.DEFERRED]
    assert resumed(stage) == 3
    assert in_order(stage, "held-0", "held-1", "held-2") == ["held-0", "held-1", "held-2"]


def test_a_receipt_of_a_locked_case_is_kept_and_the_others_are_settled(stage: Stage) -> None:
    stage.hand_in(DP, ("a", dp("held")), ("b", dp("free")))
    receipts = stage.exchange()
    with locked(stage, CASE, "held"):
        assert sorted(stage.settle(receipts)) == [ReceiptOutcome.ACCEPTED, ReceiptOutcome.DEFERRED]
        assert (stage.said("a")[-1], stage.said("b")[-1]) == ("HOS_OPPDRAG", "OK")
        assert stage.settle(receipts[:1]) in ([ReceiptOutcome.DEFERRED], [ReceiptOutcome.REPEAT])
    resumed(stage)
    assert (stage.said("a")[-1], stage.said("b")[-1]) == ("OK", "OK")
    assert stage.settle(receipts) == [ReceiptOutcome.REPEAT] * 2
    assert stage.said("a").count("OK") == 1
    assert clean(stage)


@pytest.mark.parametrize("row", ["orders", "payments"])
def test_a_locked_order_or_payment_holds_up_only_its_own_case(stage: Stage, row: str) -> None:
    stage.hand_in(DP, ("a", dp("held")), ("b", dp("free")))
    receipts = stage.exchange()
    with locked(stage, f"SELECT 1 FROM {row} AS r JOIN cases AS c USING (case_no) WHERE c.case_id = %s FOR UPDATE OF r", "held"):
        assert sorted(stage.settle(receipts)) == [ReceiptOutcome.ACCEPTED, ReceiptOutcome.DEFERRED]
        assert resumed(stage) == 0
        assert stage.said("b")[-1] == "OK"
    assert resumed(stage) == 1
    assert stage.said("a")[-1] == "OK"
    assert clean(stage)


@pytest.mark.parametrize("fault", ["taken_at = now()", "taken_at = NULL"])
def test_the_check_finds_what_waited_and_is_nowhere_or_is_there_twice(stage: Stage, fault: str) -> None:
    stage.hand_in(DP, ("a", dp("held")))
    with locked(stage, CASE, "held"):
        stage.hand_in(DP, ("b", dp("held", 600)))
    if fault == "taken_at = NULL":
        resumed(stage)
    stage.finish()
    assert clean(stage)
    stage.connection.execute(f"UPDATE deferred SET {fault}".encode())
    assert {each.kind for each in check(stage.conninfo, PORTS).differences} == {"orphan"}


def test_what_waits_is_among_the_figures_until_it_is_handled(stage: Stage) -> None:
    from kvitt.ops.figures import read_figures

    stage.hand_in(DP, ("a", dp("held")))
    receipts = stage.exchange()
    with locked(stage, CASE, "held"):
        stage.settle(receipts)
        stage.hand_in(DP, ("b", dp("held", 600)))
        waits = read_figures(stage.connection, stage.clock(), log_topics=list(PORTS.contracts.inputs())).deferred
        assert (waits.messages, waits.receipts, waits.oldest is not None) == (1, 1, True)
    resumed(stage)
    waits = read_figures(stage.connection, stage.clock(), log_topics=list(PORTS.contracts.inputs())).deferred
    assert (waits.messages, waits.receipts, waits.oldest) == (0, 0, None)


# Sending and telling


def test_an_order_whose_row_is_locked_is_noted_as_sent_later_and_the_others_go_on(stage: Stage) -> None:
    from kvitt.disbursement.sender import Sender
    from kvitt.transports.queue.table_queue import TableQueue

    stage.keeper.close()
    keeper = LeaseKeeper(stage.conninfo, seconds=600.0)
    sender = Sender(
        stage.conninfo, keeper, lambda: TableQueue(stage.conninfo, REQUESTS), stage.clock, PORTS, wake_up=_Impatient(), reply_to=REPLIES
    )
    stage.hand_in(DP, ("a", dp("held")), ("b", dp("free")))
    message = "SELECT 1 FROM messages WHERE key = %s FOR UPDATE"
    with sender.steps() as step:
        with locked(stage, message, b"a"):
            assert step() == 2
            assert (stage.order_states("held"), stage.order_states("free")) == (["sending"], ["sent"])
            stage.hand_in(DP, ("c", dp("third")))
            step()
            assert (stage.order_states("held"), stage.order_states("third")) == (["sending"], ["sent"])
        step()
    assert stage.order_states("held") == ["sent"]
    assert (stage.said("a"), stage.said("b")) == (["MOTTATT", "HOS_OPPDRAG"],) * 2
    keeper.close()


def test_what_a_dead_sender_left_behind_a_lock_holds_up_no_new_sender(stage: Stage) -> None:
    from kvitt.disbursement.sender import Sender
    from kvitt.transports.queue.table_queue import TableQueue

    stage.hand_in(DP, ("a", dp("held")))
    stage.sender.dequeue(10)
    stage.hand_in(DP, ("b", dp("free")))
    stage.keeper.close()
    keeper = LeaseKeeper(stage.conninfo, seconds=600.0)
    sender = Sender(
        stage.conninfo, keeper, lambda: TableQueue(stage.conninfo, REQUESTS), stage.clock, PORTS, wake_up=_Impatient(), reply_to=REPLIES
    )
    orders = "SELECT 1 FROM orders AS o JOIN cases AS c USING (case_no) WHERE c.case_id = %s FOR UPDATE OF o"
    with contextlib.ExitStack() as opened:
        with locked(stage, orders, "held"):
            step = opened.enter_context(sender.steps())
            assert step() == 1
            assert (stage.order_states("held"), stage.order_states("free")) == (["sending"], ["sent"])
        step()
        step()
        assert stage.order_states("held") == ["sent"]
    keeper.close()


@pytest.mark.parametrize("put", [True, False])
def test_unknown_orders_are_asked_about_while_one_of_them_is_locked(stage: Stage, *, put: bool) -> None:
    from kvitt.disbursement.sender import Sender
    from kvitt.transports.queue.table_queue import TableQueue

    stage.hand_in(DP, *((f"k{number}", dp(f"S{number}")) for number in range(5)))
    orders = stage.sender.dequeue(10)
    if put:
        stage.requests.put([Outgoing(each.order_id, each.message, REPLIES, each.priority) for each in orders])
    stage.new_sender().mark_unknown()
    stage.keeper.close()
    keeper = LeaseKeeper(stage.conninfo, seconds=600.0)
    sender = Sender(
        stage.conninfo,
        keeper,
        lambda: TableQueue(stage.conninfo, REQUESTS),
        stage.clock,
        PORTS,
        wake_up=_Impatient(),
        reply_to=REPLIES,
        max_batch=2,
    )
    row = "SELECT 1 FROM orders AS o JOIN cases AS c USING (case_no) WHERE c.case_id = %s FOR UPDATE OF o"
    with contextlib.ExitStack() as opened:
        with locked(stage, row, "S1"):
            step = opened.enter_context(sender.steps())
            assert [*(stage.order_states(f"S{number}")[0] for number in range(5))] == ["sent", "unknown", "sent", "sent", "sent"]
            stage.hand_in(DP, ("new", dp("new")))
            assert step() == 1
            assert (stage.order_states("S1"), stage.order_states("new")) == (["unknown"], ["sent"])
        step()
        assert stage.order_states("S1") == ["sent"]
    keeper.close()
    stage.settle(stage.rail())
    assert [stage.said(f"k{number}")[-1] for number in range(5)] == ["OK"] * 5
    assert stage.one("SELECT count(*) FROM receipts") == 6, "nothing was put twice"
    assert clean(stage)


def test_a_case_shows_what_waits_while_somebody_has_locked_it_and_since_when(stage: Stage, tmp_path: Path) -> None:
    stage.hand_in(DP, ("a", dp("held")))
    receipts = stage.exchange()

    def page(*options: str) -> str:
        shown = CliRunner().invoke(main, ["case", "dp", "held", *options, "--database", stage.conninfo, "--data", str(tmp_path)])
        assert shown.exit_code == 0, shown.output
        return shown.output

    assert "locked by somebody else" not in page()
    with locked(stage, CASE, "held"):
        record = stage.incoming(DP, "b", dp("held", 600))
        stage.submit([record])
        stage.settle(receipts)
        published, found = page(), json.loads(page("--json"))["deferred"]
        since = [moment(at) for (at,) in stage.rows("SELECT came_at FROM deferred ORDER BY deferred_no")]
        assert "locked by somebody else: what follows waits until it is free" in published
        assert f"message {record.source}/{record.partition}/{record.position} under key b, since {since[0]}" in published
        assert f"receipt {receipts[0].message_id}, since {since[1]}" in published
        assert [(each["key"], each["message_id"]) for each in found] == [("b", None), ("", receipts[0].message_id)]
    resumed(stage)
    assert (json.loads(page("--json"))["deferred"], "locked by somebody else" in page()) == ([], False)


def test_records_of_the_outbox_that_are_locked_are_published_all_the_same(stage: Stage) -> None:
    held = stage.keeper.acquire(stage.connection, "relay")
    assert held
    make_topics(stage.connection, TOPICS)
    relay = LogRelay(stage.connection, stage.clock, held.lease)
    stage.hand_in(DP, ("a", dp("held")), ("b", dp("free")))
    stage.put()
    with locked(stage, "SELECT 1 FROM outbox WHERE key = %s AND topic = 'helved.status.v1' ORDER BY outbox_no LIMIT 1 FOR UPDATE", b"a"):
        assert relay.step() == stage.one("SELECT count(*) FROM outbox")
        assert relay.step() == 0
    assert stage.one("SELECT count(*) FROM unpublished") == 0
    published = [
        decode_status(value).status.value
        for value in stage.bytes("SELECT value FROM log_records WHERE topic = %s AND key = 'a' ORDER BY position", STATUSES)
    ]
    assert published == ["MOTTATT", "HOS_OPPDRAG"]


# The ledger and payouts


def test_calls_on_a_locked_account_are_refused_for_now_and_their_neighbours_go_on(database: str) -> None:
    ledger = LedgerService(database, ledger_stage.clock)
    try:
        with connect(database) as connection:
            one, two, three, four = ledger_stage.made(LedgerWriter(connection, ledger_stage.clock).execute, 4)
        with psycopg.connect(database) as stranger:
            stranger.execute("SELECT 1 FROM ledger.accounts WHERE account_id = %s FOR UPDATE", (one,))
            for number in range(3):
                calls = [
                    ledger_stage.hold(f"held-{number}", ledger_stage.moved(one, two, 5)),
                    ledger_stage.hold(f"free-{number}", ledger_stage.moved(three, four, 5)),
                ]
                refused, done = (future.exception() or future.result() for future in [ledger.submit(call) for call in calls])
                assert isinstance(refused, psycopg.errors.LockNotAvailable)
                assert isinstance(done, Done)
            stranger.rollback()
        assert isinstance(ledger.submit(ledger_stage.hold("held-1", ledger_stage.moved(one, two, 5))).result(), Done)
    finally:
        ledger.close()


def test_a_payout_whose_account_is_locked_is_refused_for_now_over_thrift_and_holds_nothing(database: str) -> None:
    with payout_stage(database) as stage, serving(woody_payouts.endpoints(stage.payouts)) as url:
        body = PAYOUTS.call(
            "CreatePayout",
            1,
            [
                TYPES.PayoutParams(
                    shop_params=TYPES.ShopParams(party_id="party-1", shop_id="shop-1"), cash=MONEY.Cash(1000, MONEY.CurrencyRef("RUB"))
                )
            ],
        )
        with psycopg.connect(database) as stranger:
            stranger.execute("SELECT 1 FROM ledger.accounts WHERE account_id = %s FOR UPDATE", (stage.settlement,))
            published = post(f"{url}{woody_payouts.PATH}", body)
            assert (published.status_code, published.headers["woody.error-class"]) == (503, "Resource Unavailable")
            stranger.rollback()
        assert stage.totals()[0] == (5000, 5000, 5000)
        assert post(f"{url}{woody_payouts.PATH}", body).status_code == 200
        assert stage.totals()[0] == (5000, 3995, 5000)
