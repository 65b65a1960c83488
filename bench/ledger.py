"""The ledger in process: transfers per second through group commit, and one transaction per call as the baseline."""

from collections.abc import Callable, Sequence

from bench import ledger_baseline
from bench.ledger_load import CALLERS, Taken, Writers, measure, writers
from bench.ledger_shapes import Transfer, circle, close_to_real, distinct, make_accounts, one_hot
from bench.place import Place
from bench.report import Durability, Figure, Target, report, rounded
from bench.size import Size
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.ledger.post import LedgerWriter

LEAST_PER_SECOND = 5000
LEAST_TIMES_BASELINE = 8
LEAST_HOT_RATIO = 0.8
HOT_ACCOUNTS, REAL_ACCOUNTS, CIRCLE_ACCOUNTS, PAIRED_ACCOUNTS = 3, 10_020, 40_000, 10_000
_HOT, _REAL, _CIRCLE = "ledger, 3 accounts", "ledger, close to real", "ledger, circle"
_WARMING = 1_000
_WORKERS = 4


def _make(conninfo: str, count: int) -> list[int]:
    with connect(conninfo, application="kvitt bench") as connection:
        return make_accounts(LedgerWriter(connection, utc_now).execute, count)


def _rounds(group: Writers, transfers: Sequence[list[Transfer]]) -> tuple[Taken, list[float]]:
    """The best of some rounds, and the rates of all."""
    taken = [measure(group, each) for each in transfers]
    return max(taken, key=lambda each: each.per_second), [rounded(each.per_second) for each in taken]


class _Shape:
    """A shape on a fresh database, with its rounds."""

    def __init__(
        self, place: Place, size: Size, make: Callable[[Sequence[int], int, str], list[Transfer]], accounts: int, count: int
    ) -> None:
        self.count, meter = count, place.meter()
        with place.database() as conninfo:
            ids = _make(conninfo, accounts)
            with writers(conninfo) as group:
                measure(group, make(ids, _WARMING, "warm"))
                transfers = [make(ids, count, f"r{each}") for each in range(size.rounds)]
                with meter.counting():
                    self.best, self.samples = _rounds(group, transfers)
        self.spent = meter.spent(count * size.rounds)

    def report(self, name: str, durability: Durability, baseline: Figure | None = None, least: float | None = None) -> None:
        """The rate, against a baseline if there is one, and the time per call."""
        on = f"{self.count} transfers, {CALLERS} callers"
        target = None if least is None else Target(least=least)
        ratio = None if baseline is None else rounded(self.best.per_second / baseline.value)
        report(
            Figure(
                name=name,
                value=rounded(self.best.per_second),
                unit="transfers/s",
                on=on,
                ratio=ratio,
                baseline=None if baseline is None else baseline.name,
                samples=self.samples,
                target=target,
                durability=durability,
                spent=self.spent,
            )
        )
        for quantile, value in (("p50", self.best.p50_ms), ("p99", self.best.p99_ms)):
            report(Figure(name=f"{name}, {quantile} per call", value=rounded(value), unit="ms", on=on, durability=durability))
        if ratio is not None:
            target = Target(least=LEAST_TIMES_BASELINE)
            report(Figure(name=f"{name}, times baseline", value=ratio, unit="times", on=on, target=target, durability=durability))


def _baseline(place: Place, name: str, shape: ledger_baseline.Shape, accounts: int, count: int) -> Figure:
    with place.database() as conninfo:
        rate = ledger_baseline.per_second(conninfo, shape, accounts, count, _WORKERS)
    on = f"{count} transfers, {_WORKERS} workers"
    name = f"{name}, one transaction per call"
    return report(Figure(name=name, value=rounded(rate), unit="transfers/s", on=on, durability=place.durability()))


def _hot_against_distinct(place: Place, size: Size, durability: Durability) -> None:
    """One account that every transfer meets on, and accounts that meet nowhere, in turn on one database; the best of either."""
    with place.database() as conninfo:
        ids = _make(conninfo, PAIRED_ACCOUNTS)
        with writers(conninfo) as group:
            measure(group, distinct(ids, _WARMING, "warm"))
            hot, cold = [], []
            for each in range(size.rounds):
                hot.append(measure(group, one_hot(ids, size.transfers, f"hot{each}")).per_second)
                cold.append(measure(group, distinct(ids, size.transfers, f"cold{each}")).per_second)
    report(
        Figure(
            name="ledger, one hot account",
            value=rounded(max(hot) / max(cold)),
            unit="of the rate of distinct accounts",
            on=f"{size.transfers} transfers, {max(hot):.0f}/s against {max(cold):.0f}/s",
            samples=[rounded(one / other) for one, other in zip(hot, cold, strict=True)],
            target=Target(least=LEAST_HOT_RATIO),
            durability=durability,
        )
    )


def run(place: Place, size: Size) -> None:
    """A transfer is a hold and a commit, each durable before it is answered; every shape beside its baseline in the same run."""
    durability = place.durability()
    for name, shape, accounts, count, least in (
        (_HOT, circle, HOT_ACCOUNTS, size.transfers, LEAST_PER_SECOND),
        (_REAL, close_to_real, REAL_ACCOUNTS, size.transfers, None),
        (_CIRCLE, circle, CIRCLE_ACCOUNTS, size.circle, None),
    ):
        baseline = _baseline(place, name, shape, accounts, size.transfers_alone)
        _Shape(place, size, shape, accounts, count).report(name, durability, baseline, least)
    _hot_against_distinct(place, size, durability)
