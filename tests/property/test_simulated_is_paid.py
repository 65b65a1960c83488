"""What the rail simulates is what its payment runs then pay or recover: for arbitrary orders, by an oracle that knows days only.

Each order is simulated over HTTP, then sent, then sometimes paid. The oracle keeps for each day of a chain which line pays it, and for each
day what was paid and what is under recovery.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kvitt.disbursement.simulation import Simulation
from kvitt.disbursement.simulation_figures import SimulatedFigures, figures
from kvitt.rails.oppdrag.emulator.payments import posted_rows
from kvitt.rails.oppdrag.simulation_answer import read_simulation
from support.emulator_orders import Line, order_xml
from support.simulation_stage import Answer, Row, SimulatedRail, simulated_rail
from support.tried import tried

CASES = (("AAP", "SAK-1"), ("DP", "SAK-2"))
"""Two of one person in one benefit group, so that each comes along with the other."""
BEGIN = date(2026, 3, 1)
RUN = date(2026, 6, 16)
RECOVERED = "KL_KODE_FEIL_ARBYT"
ADJUSTED = "KL_KODE_JUST_ARBYT"
BANK_DAYS = {date(2026, 6, 16) + timedelta(days=number) for number in range(400)} - {date(2026, 12, 25), date(2027, 1, 1)}
"""Long enough after a time without red days."""


@dataclass(frozen=True)
class Part:
    """A line of an order: in which chain, over which days, or from which day the chain ends."""

    chain: int
    first: int
    length: int
    amount: int
    rate_code: str
    class_code: str
    ceases: bool


@dataclass(frozen=True)
class Step:
    """An order of one of the cases, whether it is simulated with a span, and how many runs follow it."""

    case: int
    parts: list[Part]
    runs: int
    span: bool


parts = st.builds(
    Part,
    chain=st.integers(0, 3),
    first=st.integers(0, 160),
    length=st.integers(1, 60),
    amount=st.integers(1, 1500),
    rate_code=st.sampled_from(["DAG", "DAG", "DAG7", "MND", "ENG"]),
    class_code=st.sampled_from(["AAPOR", "AAPOR", "DPORAS"]),
    ceases=st.sampled_from([False, False, True]),
)
steps = st.builds(Step, case=st.integers(0, 1), parts=st.lists(parts, min_size=1, max_size=4), runs=st.integers(0, 2), span=st.booleans())


@dataclass
class Oracle:
    """The rail by days."""

    owners: dict[int, dict[date, Line]] = field(default_factory=dict)
    lines: dict[int, list[Line]] = field(default_factory=dict)
    paid: Counter[tuple[date, str]] = field(default_factory=Counter)
    recovered: Counter[tuple[date, str]] = field(default_factory=Counter)
    run: date = RUN

    def line(self, part: Part, name: str) -> Line | None:
        """The line of a part; None when there is nothing to cease."""
        first = BEGIN + timedelta(days=part.first)
        lines = self.lines.get(part.chain, [])
        if part.ceases:
            last = lines[-1] if lines else None
            return last and Line(
                last.line_id,
                last.starts,
                last.ends,
                last.amount,
                ceased_from=str(first),
                rate_code=last.rate_code,
                class_code=last.class_code,
            )
        ends = first + timedelta(days=part.length - 1)
        ref = lines[-1].line_id if lines else ""
        return Line(name, str(first), str(ends), part.amount, ref=ref, rate_code=part.rate_code, class_code=part.class_code)

    def apply(self, chain: int, line: Line) -> None:
        owners = self.owners.setdefault(chain, {})
        start = date.fromisoformat(line.ceased_from or line.starts)
        for day in [day for day in owners if day >= start]:
            del owners[day]
        if not line.ceased_from:
            self.lines.setdefault(chain, []).append(line)
            owners |= dict.fromkeys(each_day(start, date.fromisoformat(line.ends)), line)

    def due(self, until: date) -> Counter[tuple[date, str]]:
        found = Counter[tuple[date, str]]()
        for owners in self.owners.values():
            for day, line in owners.items():
                first = str(day) == line.starts
                falls = {"DAG": day.isoweekday() < 6, "DAG7": True, "MND": first or day.day == 1, "ENG": first}[line.rate_code]
                if falls and day <= until:
                    found[day, line.class_code] += line.amount
        return found

    def play(self, run: date) -> None:
        """Pays everything up to the end of the run's month."""
        until = end_of(run)
        self.recovered = self.recoveries(until, run)
        self.paid = self.due(until)
        self.run = next(day for day in sorted(BANK_DAYS) if day > run and day.isoweekday() < 6)

    def recoveries(self, until: date, run: date) -> Counter[tuple[date, str]]:
        """What is under recovery of each day when everything until then is worked out, by a search for each reduced day."""
        due, recovered = self.due(until), Counter(self.recovered)
        change = {day: at(due, day) - at(self.paid, day) for day in sorted({day for day, _ in (*due, *self.paid)})}
        for key in sorted(recovered):
            taken = max(0, min(change.get(key[0], 0), recovered[key]))
            recovered[key] -= taken
            if taken:
                change[key[0]] -= taken
        for day, amount in change.items():
            left = -amount
            for later, increase in change.items():
                if left > 0 and later > day and increase > 0 and months_between(day, later) < 2 and same_run(day, later, run):
                    taken = min(left, increase)
                    change[later] -= taken
                    left -= taken
            losses = {key: self.paid[key] - due[key] for key in sorted(self.paid | due) if key[0] == day and self.paid[key] > due[key]}
            spared = sum(losses.values()) - left
            for key, loss in losses.items():
                if left > 0:
                    recovered[key] += max(0, loss - spared)
                    spared = max(0, spared - loss)
        return +recovered


def at(money: Counter[tuple[date, str]], day: date) -> int:
    return sum(amount for (each, _), amount in money.items() if each == day)


def each_day(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def months_between(one: date, other: date) -> int:
    return 12 * (other.year - one.year) + other.month - one.month


def end_of(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def same_run(one: date, other: date, run: date) -> bool:
    return other <= end_of(run) or months_between(one, other) == 0


def month(day: date) -> str:
    return f"{day:%Y-%m}"


def by_month(money: Counter[tuple[date, str]], months: set[str]) -> Counter[tuple[str, str]]:
    found = Counter[tuple[str, str]]()
    for (day, class_code), amount in money.items():
        if month(day) in months:
            found[month(day), class_code] += amount
    return +found


def by_day(rows: Sequence[Row]) -> Counter[tuple[date, str]]:
    """The resulting pay of an answer, spread over the days that its rates count."""
    found = Counter[tuple[date, str]]()
    for row in rows:
        if row.kind != "YTEL" or row["tilbakeforing"] == "true" or not row.rate:
            continue
        counted = [day for day in each_day(row.first, row.last) if row["typeSats"] != "DAG" or day.isoweekday() < 6]
        counted = counted if row["typeSats"] in ("DAG", "DAG7") else counted[:1]
        assert len(counted) == row.count
        assert row.amount == row.count * row.rate
        for day in counted:
            found[day, row.class_code] += row.rate
    return found


def check(answer: Answer, oracle: Oracle, case: str) -> set[str]:
    """Compares an answer about a case with what the oracle would do; returns the months that it answers."""
    rows = answer.rows(case)
    months = {month(row.first) for row in rows}
    until = end_of(max((row.last for row in rows), default=oracle.run))
    due, published = oracle.due(max(until, end_of(oracle.run))), answer.money(case)
    assert by_day(rows) == Counter({key: amount for key, amount in due.items() if month(key[0]) in months})
    assert published["after"] == by_month(due, months)
    assert published["before"] == by_month(oracle.paid, months)
    recovered = oracle.recoveries(max(until, end_of(oracle.run)), oracle.run)
    grown = Counter(recovered)
    grown.subtract(oracle.recovered)
    expected = Counter[str]()
    for (day, _), amount in grown.items():
        expected[month(day)] += amount
    assert {name: amount for (name, _), amount in published["recovered"].items()} == {
        name: amount for name, amount in expected.items() if amount and name in months
    }
    return months


def check_figures(answer: Answer, oracle: Oracle, case: str, months: set[str]) -> None:
    """Compares the figures that kvitt reads in an answer about a case with what the oracle would do, in months and in days."""
    outcome = read_simulation(answer.status, answer.body)
    found = figures(own_case(outcome, case)) if isinstance(outcome, Simulation) else ()
    until = end_of(max((each.end for each in found), default=oracle.run))
    due, horizon = oracle.due(until), max(until, end_of(oracle.run))
    read = {name: Counter[tuple[str, str]]() for name in ("pays", "before", "recovered")}
    for each in found:
        read["pays"][month(each.start), each.class_code] += each.pays
        read["before"][month(each.start), each.class_code] += each.paid_before
        read["recovered"][month(each.start), ""] += each.recovered
        if each.start == each.end and not any(overlap(each, other) for other in found):
            assert (each.pays, each.paid_before) == (due[each.start, each.class_code], oracle.paid[each.start, each.class_code])
    assert +read["pays"] == by_month(due, months)
    assert +read["before"] == by_month(oracle.paid, months)
    grown = Counter(oracle.recoveries(horizon, oracle.run))
    grown.subtract(oracle.recovered)
    expected = Counter[tuple[str, str]]()
    for (day, _), amount in grown.items():
        expected[month(day), ""] += amount if month(day) in months else 0
    assert {name: amount for name, amount in read["recovered"].items() if amount} == {
        key: amount for key, amount in expected.items() if amount
    }


def own_case(simulation: Simulation, case: str) -> Simulation:
    periods = [replace(each, payments=tuple(one for one in each.payments if one.case_id == case)) for each in simulation.periods]
    return replace(simulation, periods=tuple(periods))


def overlap(one: SimulatedFigures, other: SimulatedFigures) -> bool:
    """Whether another figure of the class code has some of the days."""
    return one is not other and one.class_code == other.class_code and one.start <= other.end and other.start <= one.end


def check_other(answer: Answer, oracle: Oracle, case: str) -> None:
    """What an answer pays of another case is due there."""
    due = oracle.due(date(2027, 12, 31))
    for key, amount in by_day(answer.rows(case)).items():
        assert amount == due[key]


def posted_by_month(rail: SimulatedRail, run: date, case: tuple[str, str]) -> dict[str, Counter[str]]:
    """What a run posted in each month: by class, with pay as the change of it."""
    found: dict[str, Counter[str]] = {}
    for row in posted_rows(rail.conn, *case):
        if row.run_day == run:
            found.setdefault(month(row.first), Counter())[row.class_code] += row.amount
    return {name: Counter({code: amount for code, amount in codes.items() if amount}) for name, codes in found.items()}


def simulated_by_month(answer: Answer, run: date, case: str) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for row in answer.rows(case):
        if row["forfall"] == str(run):
            found.setdefault(month(row.first), Counter())[row.class_code] += row.amount
    return {name: Counter({code: amount for code, amount in codes.items() if amount}) for name, codes in found.items()}


@pytest.fixture
def rail(database: str) -> Iterator[SimulatedRail]:
    with simulated_rail(database) as playing:
        yield playing


TABLES = "received, conflict, known_case, entry, hold_back, receipt, payment_run, paid, recovery, run_row, simulated, violation"


@tried(60)
@given(published=st.lists(steps, min_size=1, max_size=6))
def test_every_simulation_agrees_with_the_runs_to_the_krone(rail: SimulatedRail, published: list[Step]) -> None:
    rail.conn.execute("TRUNCATE " + ", ".join(f"rail.{name}" for name in TABLES.split(", ")))
    oracles = [Oracle(), Oracle()]
    for number, step in enumerate(published):
        oracle, (area, case) = oracles[step.case], CASES[step.case]
        change, lines = "ENDR" if oracle.lines else "NY", []
        for place, part in enumerate(step.parts):
            line = oracle.line(part, f"L{number}-{place}")
            if line is not None:
                lines.append(line)
                oracle.apply(part.chain, line)
        if not lines:
            continue
        span = (str(BEGIN), str(BEGIN + timedelta(days=250))) if step.span else None
        answer = rail.simulate(*lines, case=case, area=area, change=change, span=span)
        months = check(answer, oracle, case)
        check_figures(answer, oracle, case, months)
        check_other(answer, oracles[1 - step.case], CASES[1 - step.case][1])
        assert rail.ask(order_xml(*lines, case=case, area=area, change=change)) == ["00"]
        for run in sorted({oracle.run, *(date.fromisoformat(row["forfall"]) for row in answer.rows(case))})[: step.runs]:
            for each in oracles:
                each.play(run)
            rail.pay(str(run))
            simulated, posted = simulated_by_month(answer, run, case), posted_by_month(rail, run, CASES[step.case])
            shared = months & {*simulated}
            assert {name: posted.get(name, Counter()) for name in shared} == {name: simulated[name] for name in shared}
    assert rail.violations() == ()
