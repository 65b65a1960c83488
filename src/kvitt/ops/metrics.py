"""The metrics in Prometheus' form: figures of the store, counts of this process, and how its roles do.

Labels come from short closed lists (schemes, areas, states, roles, topics): never ids of cases, orders or people.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from math import inf
from resource import RUSAGE_CHILDREN, getrusage
from typing import Final

import psycopg
import structlog
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from kvitt.disbursement.catalogue import AREAS
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.states import OPEN_ORDER
from kvitt.disbursement.unit_of_work import scheme_of
from kvitt.disbursement.values import Scheme
from kvitt.kernel.metrics import AT_THE_RAIL, BATCH_SIZES, SECONDS, Batches, Counted, Counters, Durations
from kvitt.kernel.state_log import StateLog
from kvitt.ops.figures import AGES, OLDER, Figures, TopicLag
from kvitt.ops.readiness import Condition, RoleState

_log = structlog.get_logger(__name__)
_ODD: Final = (
    ReceiptOutcome.UNREADABLE.value,
    ReceiptOutcome.UNMATCHED.value,
    ReceiptOutcome.UNCLEAR.value,
    ReceiptOutcome.CONTRADICTS.value,
)
_CPU: Final = "process_cpu_seconds"
_ADDED: Final = ("process_virtual_memory_bytes", "process_resident_memory_bytes", "process_open_fds")
"""Figures of several processes that make sense as a sum."""
COUNTERS: Final[Mapping[Counted, tuple[str, str, tuple[str, ...]]]] = {
    Counted.MESSAGES: ("kvitt_messages", "Records taken in by this process, by what became of them at once", ("scheme", "outcome")),
    Counted.ORDERS: ("kvitt_orders", "Orders made by this process, and what receipts did to orders", ("scheme", "what")),
    Counted.SENT: ("kvitt_orders_sent", "Orders put on the queue by this process", ()),
    Counted.RECEIPTS: ("kvitt_receipts", "Receipts settled by this process", ("outcome",)),
    Counted.CHECKS: ("kvitt_order_checks", "Orders that were simulated before they leave, by what was found", ("scheme", "finding")),
    Counted.RELAYED: ("kvitt_relayed_records", "Records of the outbox published by this process", ()),
    Counted.CALLS: ("kvitt_calls", "Calls answered by the APIs of this process", ("api", "method", "outcome")),
    Counted.REFUSED: ("kvitt_http_refused", "Connections and requests that the APIs of this process did not take", ("api", "why")),
    Counted.SIMULATIONS: ("kvitt_simulations", "Simulations that this process has ended, by what came of them", ("scheme", "outcome")),
    Counted.WORKERS: ("kvitt_worker_restarts", "How often a worker of this hub ended and was started again", ("worker",)),
    Counted.RESTARTS: ("kvitt_role_restarts", "How often a role of this process failed and started anew", ("role",)),
}


class Metrics(Collector):
    """Everything that a scrape shows. A figure that can not be had now is left out; `kvitt_database_up` then says 0."""

    def __init__(
        self,
        work: Callable[[], Counters],
        figures: Callable[[], Figures],
        roles: Callable[[], Sequence[RoleState]],
        broker_lag: Callable[[], Sequence[TopicLag]] | None,
    ) -> None:
        """`broker_lag` None: the lag is that of the embedded log, which is among the figures."""
        self._work, self._figures, self._roles, self._broker_lag = work, figures, roles, broker_lag
        self._states = StateLog(_log)

    def collect(self) -> Iterator[Metric]:
        """All metrics as they are now."""
        work = self._work()
        yield from counters(work)
        yield batch_sizes(work.batches())
        yield time_at_the_rail(work.durations(AT_THE_RAIL))
        yield role_works(self._roles())
        figures = self._read()
        yield _gauge("kvitt_database_up", "Whether the store's figures could be read", float(figures is not None))
        if figures:
            yield from figures_of(figures)
        yield from self._lag(figures)

    def _read(self) -> Figures | None:
        try:
            figures = self._figures()
        except (psycopg.Error, TimeoutError) as error:
            name = type(error).__name__
            self._states.enters("figures", name, "info", "no figures for the metrics", error=name)
            return None
        self._states.leaves("figures", "figures for the metrics again")
        return figures

    def _lag(self, figures: Figures | None) -> Iterator[Metric]:
        if self._broker_lag is None:
            yield from [] if figures is None else [lag_of(figures.lag)]
            return
        try:
            lag = self._broker_lag()
        except Exception as error:  # noqa: BLE001 - whatever the client raises, it is shown as `kvitt_broker_up 0`
            name = type(error).__name__
            self._states.enters("lag", name, "info", "no lag for the metrics", error=name)
            yield _gauge("kvitt_broker_up", "Whether the log's brokers could be asked", 0)
            return
        self._states.leaves("lag", "lag for the metrics again")
        yield _gauge("kvitt_broker_up", "Whether the log's brokers could be asked", 1)
        yield lag_of(lag)


def registry_of(metrics: Metrics, workers: Callable[[], Sequence[int]] | None = None) -> CollectorRegistry:
    """A registry of these metrics and of what the operating system says about this process and its workers, by their process ids."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    registry.register(ProcessFigures(workers) if workers else ProcessCollector(registry=None))
    return registry


class ProcessFigures(Collector):
    """The system's figures of this process; those that add up are of its workers too."""

    def __init__(self, workers: Callable[[], Sequence[int]]) -> None:
        self._workers, self._cpu_seconds = workers, 0.0

    def collect(self) -> Iterator[Metric]:
        """Those of this process, with what the workers use added."""
        # Asked before the living: whoever ends in between is in neither, and not in both.
        ended = getrusage(RUSAGE_CHILDREN)
        found = [_of_process(pid) for pid in self._workers()]
        for family in ProcessCollector(registry=None).collect():
            more = sum(each.get(family.name, 0.0) for each in found)
            if family.name == _CPU:
                yield CounterMetricFamily(
                    family.name, family.documentation, self._used(family.samples[0].value + more + ended.ru_utime + ended.ru_stime)
                )
            elif family.name in _ADDED:
                yield _gauge(family.name, family.documentation, family.samples[0].value + more)
            else:
                yield family

    def _used(self, seconds: float) -> float:
        """Returns the most that was ever shown: a sum of processor time never goes down."""
        self._cpu_seconds = max(self._cpu_seconds, seconds)
        return self._cpu_seconds


def _of_process(pid: int) -> Mapping[str, float]:
    families = ProcessCollector(pid=lambda: pid, registry=None).collect()
    return {family.name: family.samples[0].value for family in families}


def counters(work: Counters) -> Iterator[Metric]:
    """Returns what this process has done since it began."""
    families = {what: CounterMetricFamily(name, said, labels=labels) for what, (name, said, labels) in COUNTERS.items()}
    for count in work.counts():
        families[count.what].add_metric(count.labels, count.times)
    for what, (_, _, labels) in COUNTERS.items():
        if not labels and not families[what].samples:
            families[what].add_metric((), 0)
    yield from families.values()


def batch_sizes(batches: Sequence[Batches]) -> Metric:
    """How many records, orders or receipts one step had at once."""
    family = HistogramMetricFamily("kvitt_batch_size", "How many records, orders or receipts a step had at once", labels=("step",))
    for each in batches:
        family.add_metric((each.step,), _buckets(BATCH_SIZES, each.sizes), each.total)
    return family


def time_at_the_rail(durations: Durations) -> Metric:
    """How long rails took to answer questions about simulations, answered or not."""
    family = HistogramMetricFamily("kvitt_simulation_rail_seconds", "How long the rail had a question, until its answer or the time limit")
    family.add_metric((), _buckets(SECONDS, durations.times), durations.total)
    return family


def _buckets(limits: Sequence[float], times: Sequence[int]) -> list[tuple[str, float]]:
    return [(limit, float(below)) for limit, below in zip((*map(str, limits), "+Inf"), accumulate(times), strict=True)]


def role_works(states: Sequence[RoleState]) -> Metric:
    """1 while a role works or stands by, in all workers that play it, else 0."""
    family = GaugeMetricFamily("kvitt_role_works", "Whether a role of this process works, or stands by for another's", labels=("role",))
    works: dict[str, bool] = {}
    for state in states:
        works[state.role] = works.get(state.role, True) and state.condition in (Condition.WORKS, Condition.STANDS_BY)
    for role, does in works.items():
        family.add_metric((role,), float(does))
    return family


def lag_of(lag: Sequence[TopicLag]) -> Metric:
    """Records that are not taken in yet."""
    family = GaugeMetricFamily("kvitt_lag_records", "Records of an input topic that are not taken in yet", labels=("topic",))
    for each in lag:
        family.add_metric((each.topic,), each.records)
    return family


def figures_of(figures: Figures) -> Iterator[Metric]:
    """Returns what the store says about unfinished work, zeros too, so that an alert has something to look at."""
    yield from _orders(figures)
    yield from _messages(figures)
    yield _gauge("kvitt_outbox_records", "Records of the outbox that are not published yet", figures.unpublished)
    waited = _seconds(figures, [figures.unpublished_since] if figures.unpublished_since else [])
    yield _gauge("kvitt_outbox_oldest_seconds", "Age of the oldest record of the outbox that is not published yet", waited)
    yield from _deferred(figures)
    yield _gauge("kvitt_open_dead_letters", "Dead letters that wait for an operator", figures.dead_letters)
    said = "Orders of which a receipt says otherwise than what stands; their cases wait for two people"
    yield _gauge("kvitt_open_contradictions", said, figures.contradictions)
    since = _seconds(figures, [figures.contradicted_since] if figures.contradicted_since else [])
    yield _gauge("kvitt_open_contradictions_oldest_seconds", "How long the oldest of them has stood", since)
    yield _gauge("kvitt_orders_over_limit", "Orders that are held because their source is over its limit", figures.over_limit)
    receipts = GaugeMetricFamily("kvitt_open_receipts", "Receipts that settled nothing and wait for an operator", labels=("outcome",))
    for outcome in sorted({*_ODD, *figures.receipts}):
        receipts.add_metric((outcome,), figures.receipts.get(outcome, 0))
    yield receipts
    yield from _simulations(figures)
    yield from _reconciliation(figures)
    idle = _seconds(figures, [figures.scheduler_ran_at]) if figures.scheduler_ran_at else inf
    yield _gauge("kvitt_scheduler_idle_seconds", "How long no scheduler has run a job, in any process; infinite: none ever has", idle)
    yield from _checked(figures)
    stopped = GaugeMetricFamily(
        "kvitt_sending_stopped", "1 for a rail and area (* = all) to which an operator has stopped sending", labels=("rail", "area")
    )
    for where in figures.stopped_areas:
        stopped.add_metric(where, 1)
    yield stopped


def _checked(figures: Figures) -> Iterator[Metric]:
    last = figures.last_check
    if last:
        yield _gauge("kvitt_check_differences", "What the last check of the whole store found", last.differences)
    age = _seconds(figures, [last.ended_at]) if last else inf
    yield _gauge("kvitt_check_age_seconds", "How long ago the whole store was checked last; infinite: never", age)


def _simulations(figures: Figures) -> Iterator[Metric]:
    counted = {(each.scheme, each.state): each.simulations for each in figures.simulations}
    waiting = GaugeMetricFamily("kvitt_open_simulations", "Simulations that have not ended, by state", labels=("scheme", "state"))
    for labels in sorted({(scheme.value, state) for scheme in Scheme for state in ("requested", "asked")} | counted.keys()):
        waiting.add_metric(labels, counted.get(labels, 0))
    yield waiting
    oldest = _seconds(figures, [each.oldest for each in figures.simulations])
    yield _gauge("kvitt_open_simulations_oldest_seconds", "Age of the oldest of them", oldest)
    silent = _seconds(figures, [each.since for each in figures.silent_rails])
    said = "How long an open rail has answered no simulation though it was asked (a standing alarm); 0: none is silent"
    yield _gauge("kvitt_simulations_unanswered_seconds", said, silent)


def _reconciliation(figures: Figures) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "kvitt_reconciliation_messages", "Messages of reconciliation that have not left, by state", labels=("state",)
    )
    for state in ("ready", "sending", "unknown"):
        waiting.add_metric((state,), figures.run_messages.get(state, 0))
    yield waiting
    oldest = _seconds(figures, [figures.oldest_run] if figures.oldest_run else [])
    yield _gauge("kvitt_reconciliation_oldest_seconds", "Age of the oldest run of reconciliation that has not left", oldest)
    late = {each.area: each.since for each in figures.late_areas}
    said = "For how long an area has not been reconciled though it should be (a standing alarm); 0: in time"
    seconds = GaugeMetricFamily("kvitt_reconciliation_late_seconds", said, labels=("area",))
    for area in sorted({*AREAS, *late}):
        seconds.add_metric((area,), _seconds(figures, [late[area]] if area in late else []))
    yield seconds


def _deferred(figures: Figures) -> Iterator[Metric]:
    said = "What came in for cases that somebody else had locked, and waits for them to be free"
    waiting = GaugeMetricFamily("kvitt_deferred", said, labels=("what",))
    waiting.add_metric(("messages",), figures.deferred.messages)
    waiting.add_metric(("receipts",), figures.deferred.receipts)
    yield waiting
    oldest = _seconds(figures, [figures.deferred.oldest] if figures.deferred.oldest else [])
    yield _gauge("kvitt_deferred_oldest_seconds", "How long the longest of it has waited", oldest)


def _orders(figures: Figures) -> Iterator[Metric]:
    schemes = [scheme.value for scheme in Scheme]
    counted: Counter[tuple[str, str, str]] = Counter()
    blocked: Counter[str] = Counter()
    for each in figures.orders:
        scheme = scheme_of(each.area)
        counted[scheme, each.state, each.age] += each.orders
        blocked[scheme] += each.blocked
    zeros = {(scheme, state.value, age) for scheme in schemes for state in OPEN_ORDER for age in (*(name for name, _ in AGES), OLDER)}
    orders = GaugeMetricFamily(
        "kvitt_open_orders", "Open orders by state, and by age since they were made", labels=("scheme", "state", "age")
    )
    for labels in sorted(zeros | set(counted)):
        orders.add_metric(labels, counted[labels])
    yield orders
    released = GaugeMetricFamily("kvitt_blocked_orders", "Ready orders that an operator has to release or withdraw", labels=("scheme",))
    for scheme in sorted({*schemes, *blocked}):
        released.add_metric((scheme,), blocked[scheme])
    yield released
    late = {each.area: each.orders for each in figures.late}
    said = "Orders without a receipt after the set time within the rail's opening hours (standing alarms)"
    without = GaugeMetricFamily("kvitt_orders_without_receipt", said, labels=("area",))
    for area in sorted({*AREAS, *late}):
        without.add_metric((area,), late.get(area, 0))
    yield without
    oldest = _seconds(figures, [each.oldest for each in figures.late])
    yield _gauge("kvitt_orders_without_receipt_oldest_seconds", "How long the longest of them has waited, closed hours included", oldest)


def _messages(figures: Figures) -> Iterator[Metric]:
    unanswered = GaugeMetricFamily("kvitt_unanswered_messages", "Messages without a final answer", labels=("scheme", "state"))
    for each in figures.unanswered:
        unanswered.add_metric((each.scheme, each.state), each.messages)
    yield unanswered
    said = "Age of the oldest message without a final answer"
    oldest = GaugeMetricFamily("kvitt_oldest_unanswered_message_seconds", said, labels=("scheme",))
    for scheme in Scheme:
        oldest.add_metric((scheme.value,), _seconds(figures, [each.oldest for each in figures.unanswered if each.scheme == scheme.value]))
    yield oldest


def _seconds(figures: Figures, moments: Sequence[datetime]) -> float:
    """The age of the oldest of these moments, 0 when there is none."""
    ages = [(figures.now - moment).total_seconds() for moment in moments]
    return max(0.0, *ages) if ages else 0.0


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)
