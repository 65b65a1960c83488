"""Alarms: an order without a receipt is reported once, in opening hours only, until it is settled."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from kvitt.app.main import main
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.ops.alarms import Alarm, ReceiptDeadline, list_alarms, raise_and_clear
from kvitt.rails.oppdrag.opening_hours import OpeningHours
from kvitt.testing import START
from support.hub_messages import dp
from support.hub_stage import Stage, receipt_with, staged

DEADLINE = ReceiptDeadline({"oppdrag": OpeningHours()}, timedelta(minutes=60))
# The stage's orders are sent on a Wednesday at ten o'clock in Oslo.
SOON, LATER = START + timedelta(minutes=59), START + timedelta(minutes=61)
NIGHT = datetime(2026, 7, 1, 20, 0, tzinfo=UTC)
FRIDAY_EVENING, MONDAY_AT_SIX, MONDAY_MORNING = (
    datetime(2026, 7, 3, 18, 30, tzinfo=UTC),
    datetime(2026, 7, 6, 4, 10, tzinfo=UTC),
    datetime(2026, 7, 6, 4, 31, tzinfo=UTC),
)


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    """A command sets up the log and the way in which its process ends; here it runs in ours."""
    before, handler = structlog.get_config(), signal.getsignal(signal.SIGTERM)
    yield
    structlog.configure(**before)
    signal.signal(signal.SIGTERM, handler)


def order_ids(alarms: list[Alarm]) -> list[str]:
    return [alarm.order_id for alarm in alarms]


def sent(stage: Stage, *cases: str) -> list[str]:
    """Sends an order for each case and returns their ids."""
    stage.hand_in(Scheme.DAGPENGER, *((case, dp(case)) for case in cases))
    stage.put()
    return [str(stage.one("SELECT order_id::text FROM orders JOIN cases USING (case_no) WHERE case_id = %s", case)) for case in cases]


def test_an_order_is_reported_once_and_again_when_it_is_settled(database: str) -> None:
    with staged(database) as stage:
        ids = sent(stage, "S-1")
        assert raise_and_clear(stage.connection, SOON, DEADLINE) == ([], [])
        raised, cleared = raise_and_clear(stage.connection, LATER, DEADLINE)
        assert (order_ids(raised), raised[0].area, cleared) == (ids, "DP", [])
        assert raise_and_clear(stage.connection, LATER + timedelta(minutes=1), DEADLINE) == ([], [])
        assert [each.state for each in list_alarms(stage.connection, cleared=False, limit=10)] == ["sent"]
        stage.settle(stage.rail())
        raised, cleared = raise_and_clear(stage.connection, LATER + timedelta(minutes=2), DEADLINE)
        assert (raised, order_ids(cleared)) == ([], ids)
        assert list_alarms(stage.connection, cleared=False, limit=10) == []
        (over,) = list_alarms(stage.connection, cleared=True, limit=10)
        assert (over.state, over.cleared_at) == ("accepted", LATER + timedelta(minutes=2))


def test_nothing_is_raised_while_the_rail_is_closed_but_what_is_settled_is_cleared(database: str) -> None:
    with staged(database) as stage:
        first, second = sent(stage, "S-1", "S-2")
        raise_and_clear(stage.connection, LATER, ReceiptDeadline({"oppdrag": OpeningHours()}, timedelta(minutes=60)))
        stage.settle(stage.rail())
        third = sent(stage, "S-3")
        raised, cleared = raise_and_clear(stage.connection, NIGHT, DEADLINE)
        assert (raised, sorted(order_ids(cleared))) == ([], sorted([first, second]))
        assert order_ids(raise_and_clear(stage.connection, NIGHT + timedelta(hours=12), DEADLINE)[0]) == third


def test_a_weekend_is_no_waiting(database: str) -> None:
    with staged(database) as stage:
        stage.clock.set(FRIDAY_EVENING)
        ids = sent(stage, "S-1")
        assert raise_and_clear(stage.connection, MONDAY_AT_SIX, DEADLINE) == ([], [])
        assert order_ids(raise_and_clear(stage.connection, MONDAY_MORNING, DEADLINE)[0]) == ids


def test_orders_that_may_have_left_count_and_those_that_have_not_do_not(database: str) -> None:
    with staged(database) as stage:
        stage.hand_in(Scheme.DAGPENGER, ("S-1", dp("S-1")))
        (begun,) = stage.sender.dequeue(10)
        stage.hand_in(Scheme.DAGPENGER, ("S-2", dp("S-2")))
        assert order_ids(raise_and_clear(stage.connection, LATER, DEADLINE)[0]) == [begun.order_id]
        assert stage.new_sender().mark_unknown() == [begun.order_id]
        assert raise_and_clear(stage.connection, LATER, DEADLINE) == ([], [])
        assert [each.state for each in list_alarms(stage.connection, cleared=False, limit=10)] == ["unknown"]


def test_a_receipt_that_settles_nothing_ends_no_alarm(database: str) -> None:
    with staged(database) as stage:
        ids = sent(stage, "S-1")
        (receipt,) = stage.rail()
        stage.settle([receipt_with(receipt, "")])
        assert order_ids(raise_and_clear(stage.connection, LATER, DEADLINE)[0]) == ids
        assert raise_and_clear(stage.connection, LATER, DEADLINE) == ([], [])
        stage.settle([receipt])
        assert order_ids(raise_and_clear(stage.connection, LATER, DEADLINE)[1]) == ids


def test_many_who_look_at_once_tell_of_each_order_once(database: str) -> None:
    with staged(database) as stage:
        ids = sent(stage, *(f"S-{number}" for number in range(300)))

        def looks(_: int) -> tuple[list[Alarm], list[Alarm]]:
            with connect(database) as connection:
                return raise_and_clear(connection, LATER, DEADLINE)

        with ThreadPoolExecutor(6) as together:
            found = list(together.map(looks, range(12)))
        assert sorted(order_id for raised, _ in found for order_id in order_ids(raised)) == sorted(ids)
        while receipts := stage.rail():
            stage.settle(receipts)
        with ThreadPoolExecutor(6) as together:
            found = list(together.map(looks, range(12)))
        assert sorted(order_id for _, cleared in found for order_id in order_ids(cleared)) == sorted(ids)


@pytest.mark.parametrize(("options", "said"), [([], "no alarm stands"), (["--cleared"], "there has been no alarm")])
def test_without_alarms_the_command_says_so(database: str, tmp_path: Path, options: list[str], said: str) -> None:
    assert said in _printed(database, tmp_path, *options)


def test_the_command_lists_what_stands_and_on_request_what_is_over(database: str, tmp_path: Path) -> None:
    with staged(database) as stage:
        over, standing = sent(stage, "S-1"), sent(stage, "S-2")
        raise_and_clear(stage.connection, LATER, DEADLINE)
        by_order = {receipt.body.partition(b"S-1")[1]: receipt for receipt in stage.rail()}
        stage.settle([by_order[b"S-1"]])
        raise_and_clear(stage.connection, LATER, DEADLINE)
    printed = _printed(database, tmp_path)
    assert standing[0] in printed
    assert over[0] not in printed
    assert over[0] in _printed(database, tmp_path, "--cleared")


def _printed(database: str, data: Path, *options: str) -> str:
    result = CliRunner().invoke(main, ["alarm", "list", "--database", database, "--data", str(data), *options])
    assert result.exit_code == 0, result.output
    return result.output
