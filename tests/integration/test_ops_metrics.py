"""The metrics of a hub at work, and of a store with work that waits; and that ten who ask cost no more than one."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from integration.test_ops_server import Samples, scrape
from kvitt.app.hub import HubProcess
from kvitt.app.ports import PORTS
from kvitt.app.process import operations
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Area, Scheme
from kvitt.kernel.database import connect
from kvitt.kernel.metrics import Counters
from kvitt.kernel.operators import Operator
from kvitt.ops.alarms import ReceiptDeadline, raise_and_clear
from kvitt.ops.figures import Figures, read_figures
from kvitt.ops.metrics import Metrics, registry_of
from kvitt.ops.server import OpsServer, Remembered
from kvitt.rails.oppdrag.opening_hours import OpeningHours
from kvitt.settings import OpsSettings, Settings
from kvitt.testing import START
from kvitt.transports.log.embedded_log import NewRecord, append, make_topics
from support.hub_messages import PLAIN, aap, dp, text
from support.hub_stage import Stage, staged
from support.patience import PATIENCE_SECONDS, until
from support.topics import TOPICS

SETTINGS = Settings(lease_seconds=2.0, ops=OpsSettings(port=0))


@contextmanager
def at_work(conninfo: str) -> Iterator[OpsServer]:
    """A hub with all its roles, and what its process shows."""
    hub = HubProcess(conninfo, SETTINGS)
    with operations(hub, SETTINGS) as shown:
        hub.start()
        try:
            yield shown
        finally:
            hub.stop()


def test_a_hub_at_work_counts_what_it_does(database: str) -> None:
    with connect(database) as connection, at_work(database) as shown:
        before = scrape(shown)

        def grown(name: str, **labels: str) -> float:
            key = (name, tuple(sorted(labels.items())))
            return scrape(shown).get(key, 0.0) - before.get(key, 0.0)

        good = [(scheme, f"{scheme.value}-{n}", text(PLAIN[scheme](f"{scheme.value[:4]}-{n}"))) for scheme in PLAIN for n in range(5)]
        bad = [(Scheme.AAP, "bad", b"{}"), (Scheme.AAP, "unread", text(aap("S-x", sakId=7)))]
        records = [NewRecord(helved_topics.primary_input(scheme), key.encode(), body) for scheme, key, body in [*good, *bad]]
        append(connection, [*records, NewRecord(helved_topics.primary_input(Scheme.AAP), None, b"no key")], datetime.now(UTC))
        # What a role counts is counted after its commit, so each is waited for.
        until(lambda: grown("kvitt_batch_size_sum", step="submit") == len(records) + 1)
        until(lambda: grown("kvitt_receipts_total", outcome="accepted") == 5 * len(PLAIN))
        until(lambda: grown("kvitt_batch_size_sum", step="receiver") == 5 * len(PLAIN))
        assert grown("kvitt_messages_total", scheme="DAGPENGER", outcome="derived") == 5
        assert grown("kvitt_messages_total", scheme="AAP", outcome="answered") == 2
        assert grown("kvitt_messages_total", scheme="none", outcome="dead") == 1
        assert grown("kvitt_orders_total", scheme="VALP", what="made") == 5
        assert grown("kvitt_orders_total", scheme="AAP", what="accepted") == 5
        until(lambda: grown("kvitt_orders_sent_total") == 5 * len(PLAIN))
        ((published,),) = connection.execute("SELECT count(*) FROM outbox").fetchall()
        until(lambda: grown("kvitt_relayed_records_total") == published)
        until(lambda: _idle(scrape(shown)))
        samples = scrape(shown)
        assert all(samples["kvitt_role_works", (("role", role),)] for role in ("intake", "relay", "sender", "receiver"))


def test_work_that_waits_is_counted_by_age_and_state(database: str) -> None:
    with staged(database) as stage:
        make_topics(stage.connection, TOPICS)
        append(stage.connection, [NewRecord(helved_topics.primary_input(Scheme.AAP), b"k", b"x")] * 3, START)
        stage.hand_in(Scheme.DAGPENGER, ("S-1", dp("S-1")), ("again", dp("S-1", 700)), ("S-2", dp("S-2")))
        stage.put()
        stage.clock.set(START + timedelta(hours=2))
        stage.hand_in(Scheme.AAP, ("S-3", aap("S-3")), ("S-4", aap("S-4")))
        (begun,) = stage.sender.dequeue(1)
        stage.new_sender().mark_unknown()
        Operate(stage.connection, stage.clock, PORTS).stop([Area("TILLST")], Operator("kari", "rates are wrong"))
        now = START + timedelta(hours=2, minutes=5)
        raise_and_clear(stage.connection, now, ReceiptDeadline({"oppdrag": OpeningHours()}, timedelta(minutes=60)))
        samples = shown_of(stage, now)
    assert begun.order_id
    assert samples["kvitt_open_orders", (("age", "6h"), ("scheme", "DAGPENGER"), ("state", "sent"))] == 2
    assert samples["kvitt_open_orders", (("age", "10m"), ("scheme", "AAP"), ("state", "unknown"))] == 1
    assert samples["kvitt_open_orders", (("age", "10m"), ("scheme", "AAP"), ("state", "ready"))] == 1
    assert samples["kvitt_open_orders", (("age", "older"), ("scheme", "VALP"), ("state", "ready"))] == 0
    assert _open(samples) == 4
    assert samples["kvitt_unanswered_messages", (("scheme", "DAGPENGER"), ("state", "queued"))] == 1
    assert samples["kvitt_unanswered_messages", (("scheme", "DAGPENGER"), ("state", "derived"))] == 2
    assert samples["kvitt_oldest_unanswered_message_seconds", (("scheme", "DAGPENGER"),)] == pytest.approx(7500, abs=1)
    assert samples["kvitt_oldest_unanswered_message_seconds", (("scheme", "AAP"),)] == pytest.approx(300, abs=1)
    assert samples["kvitt_oldest_unanswered_message_seconds", (("scheme", "VALP"),)] == 0
    assert samples["kvitt_orders_without_receipt", (("area", "DP"),)] == 2
    assert samples["kvitt_orders_without_receipt", (("area", "AAP"),)] == 0
    assert samples["kvitt_orders_without_receipt_oldest_seconds", ()] == pytest.approx(7500, abs=1)
    assert samples["kvitt_sending_stopped", (("area", "TILLST"), ("rail", "*"))] == 1
    assert samples["kvitt_outbox_records", ()] > 4
    assert samples["kvitt_outbox_oldest_seconds", ()] == pytest.approx(7500, abs=1)
    assert samples["kvitt_lag_records", (("topic", helved_topics.primary_input(Scheme.AAP)),)] == 3


def test_blocked_orders_and_dead_letters_are_counted(database: str) -> None:
    with staged(database) as stage:
        stage.hand_in(Scheme.AAP, ("S-1", aap("S-1")), ("bad", b"{"))
        stage.rows("""UPDATE orders SET held_for = '[{"kind": "equal_line", "text": "equal to another"}]' RETURNING 1""")
        samples = shown_of(stage, START)
    assert samples["kvitt_blocked_orders", (("scheme", "AAP"),)] == 1
    assert samples["kvitt_open_dead_letters", ()] == 1


def test_labels_name_no_case_no_person_and_no_key(database: str) -> None:
    with staged(database) as stage:
        stage.hand_in(Scheme.AAP, ("KEY-OF-SENDER", aap("S-SECRET-CASE")), ("KEY-2", b"{"))
        stage.put()
        exposed = generate_latest(_registry(stage, START + timedelta(days=1))).decode()
    for secret in ("S-SECRET-CASE", "KEY-OF-SENDER", "01020312345", "BEH-1"):
        assert secret not in exposed


def test_ten_who_ask_at_once_cost_one_look() -> None:
    looks, asked, go_on = [], threading.Event(), threading.Event()

    def make() -> int:
        asked.set()
        go_on.wait()
        looks.append(1)
        return len(looks)

    shared = Remembered(make, seconds=3600, wait_seconds=PATIENCE_SECONDS)
    with ThreadPoolExecutor(10) as together:
        answers = [together.submit(shared) for _ in range(10)]
        assert asked.wait(PATIENCE_SECONDS)
        go_on.set()
        assert [answer.result() for answer in answers] == [1] * 10
    assert shared() == 1


def test_a_value_is_made_anew_when_it_is_old_and_a_failure_is_not_for_ever() -> None:
    results: list[int | Exception] = [OSError("down"), 2]

    def make() -> int:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    shared = Remembered(make, seconds=0, wait_seconds=PATIENCE_SECONDS)
    with pytest.raises(OSError, match="down"):
        shared()
    assert shared() == 2


def test_who_asks_something_that_hangs_is_answered_in_time() -> None:
    go_on = threading.Event()
    shared = Remembered(go_on.wait, seconds=0, wait_seconds=0.01)
    with pytest.raises(TimeoutError):
        shared()
    go_on.set()
    until(lambda: _came(shared))


def _came(shared: Remembered[bool]) -> bool:
    try:
        return shared()
    except TimeoutError:
        return False


def shown_of(stage: Stage, now: datetime) -> Samples:
    """The figures of a store as they are scraped."""
    registry = _registry(stage, now)
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in registry.collect() for sample in family.samples}


def _registry(stage: Stage, now: datetime) -> CollectorRegistry:
    def figures() -> Figures:
        return read_figures(stage.connection, now, log_topics=list(PORTS.contracts.inputs()))

    return registry_of(Metrics(Counters, figures, list, None))


def _idle(samples: Samples) -> bool:
    lag = [value for (name, _), value in samples.items() if name == "kvitt_lag_records"]
    return bool(lag) and not any(lag) and not _open(samples) and samples["kvitt_outbox_records", ()] == 0


def _open(samples: Samples) -> float:
    return sum(value for (name, _), value in samples.items() if name == "kvitt_open_orders")
