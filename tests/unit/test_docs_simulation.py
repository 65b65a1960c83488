"""The worked example on the page about simulation is computed again, from its own rows."""

import re
from datetime import date
from pathlib import Path

from kvitt.cli.simulation_page import outcome_lines
from kvitt.disbursement.compared_pay import DifferenceKind
from kvitt.disbursement.expected_pay import ExpectedPay
from kvitt.disbursement.holding import Paid
from kvitt.disbursement.simulation import Simulation
from kvitt.disbursement.simulation_check import CheckCircumstances, CheckedOrder, CheckFinding, SimulationCheck, check_order
from kvitt.disbursement.simulation_figures import figures, summaries
from kvitt.disbursement.values import RateType
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.simulation_answer import read_simulation
from support import simulation_answers as answers
from support.simulation_answers import Of, Row
from support.simulation_rows import request_of

PAGE = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text("utf-8")
TODAY = date(2025, 11, 3)


def section(name: str) -> str:
    return re.split(rf"(?m)^## {name}$", PAGE)[1].partition("\n## ")[0]


def tables(text: str) -> list[list[list[str]]]:
    """Each table of a text as its rows of cells, without its head."""
    found = re.findall(r"(?m)(?:^\|.*\n)+", text)
    return [[[cell.strip() for cell in line.strip().strip("|").split("|")] for line in each.splitlines()[2:]] for each in found]


def simulation(table: list[list[str]]) -> Simulation:
    """What the rail says with the rows of a table, each span of days a period."""
    spans: dict[tuple[str, str], list[Row]] = {}
    for start, end, kind, code, amount, rate in table:
        row = Row(start, amount.replace("−", "-"), kind, code, end=end, rate=rate or "0", rate_type="DAG" if rate else "")
        spans.setdefault((start, end), []).append(row)
    answer = answers.computed(*((start, end, [Of(rows)]) for (start, end), rows in spans.items()), computed_on=TODAY.isoformat())
    found = read_simulation(200, answer)
    assert isinstance(found, Simulation)
    return found


WITH_THE_WEEK, WITHOUT_IT = map(simulation, tables(section("A worked example")))


def test_the_summaries_of_the_example_are_those_of_its_rows() -> None:
    (published,) = tables(section("The summary of a month"))
    for column, of_example in ((2, WITH_THE_WEEK), (3, WITHOUT_IT)):
        (month,) = summaries(of_example, TODAY)
        assert [int(row[column]) for row in published] == [month.paid_before, month.new_pay, month.back_pay, month.recovery]


def test_the_days_of_the_example_are_those_of_its_rows() -> None:
    text = section("The figures of a day")
    (published,) = tables(text)
    spans = [range(*(int(number) + more for number, more in zip(re.findall(r"\d+", row[0]), (0, 1), strict=True))) for row in published]
    expected = [(date(2025, 10, day), [int(cell) for cell in row[2:]]) for row, days in zip(published, spans, strict=True) for day in days]
    found = [(each.start, [each.paid_before, each.pays, each.recovered]) for each in figures(WITH_THE_WEEK)]
    assert found == [(day, told_of) for day, told_of in expected if day.weekday() < 5]
    numbers = [int(number) for number in re.search(r"the first ten days read (\d+), (\d+) and (\d+)", text).groups()]
    assert [[each.paid_before, each.pays, each.recovered] for each in figures(WITHOUT_IT)] == [numbers] * 10


BEFORE_SENDING = section("Before an order leaves")
ALLOWED = Kroner(int(re.search(r"most_recovered_kroner = (\d+)", BEFORE_SENDING)[1]))


def weekdays(first: int, last: int, amount: int) -> Paid:
    """A daily amount over days of October."""
    start, end = date(2025, 10, first).toordinal(), date(2025, 10, last).toordinal()
    return Paid("", "TPTPATT", start, end, Kroner(amount), RateType.WEEKDAY)


def checked(said: Simulation, *decided: Paid) -> SimulationCheck:
    order = CheckedOrder(said.periods[0].payments[0].area, said.periods[0].payments[0].case_id, is_first_order=False)
    return check_order(order, ExpectedPay((weekdays(6, 17, 700),), decided), said, CheckCircumstances(TODAY, ALLOWED))


def test_the_example_is_checked_before_it_leaves_as_the_page_says() -> None:
    (_, picture, _) = tables(BEFORE_SENDING)
    found = checked(WITH_THE_WEEK, weekdays(6, 17, 500), weekdays(20, 24, 800))
    assert found.finding is CheckFinding.AGREES
    days = [[int(number) for number in re.findall(r"\d+", row[0])] for row in picture]
    assert [[part.first_day.day, part.last_day.day] for part in found.picture] == days
    amounts = [(each.stands_kroner, each.expected_kroner, each.simulated_kroner, each.recovered_kroner) for each in found.picture]
    assert amounts == [tuple(int(cell) for cell in row[2:]) for row in picture]


def test_its_differences_are_those_of_the_page() -> None:
    (less, recovered) = re.findall(r"(?m)^> (.*)$", BEFORE_SENDING)
    (found,) = checked(WITH_THE_WEEK, weekdays(6, 17, 500), weekdays(20, 24, 600)).differences
    assert str(found) == less
    (found,) = checked(WITHOUT_IT, weekdays(6, 17, 500)).differences
    assert str(found) == recovered


def test_every_kind_of_difference_is_on_the_page() -> None:
    (_, _, kinds) = tables(BEFORE_SENDING)
    assert {kind for row in kinds for kind in re.findall(r"`(\w+)`", row[0])} == {kind.value for kind in DifferenceKind}


def test_the_rows_of_a_reduction_come_to_nothing() -> None:
    rows = [row for period in WITHOUT_IT.periods for payment in period.payments for row in payment.postings]
    assert sum(row.amount for row in rows) == 0


def test_the_page_shows_the_example_as_the_command_prints_it() -> None:
    shown = re.search(r"```\n(.*?)```", section("By hand"), re.DOTALL)
    assert shown is not None
    printed = list(outcome_lines(request_of("TILTAKSPENGER", "S-1", TODAY), WITH_THE_WEEK))
    assert printed[:-1] == shown[1].splitlines()
    assert printed[-1].endswith(f"{WITH_THE_WEEK.total:,}")
