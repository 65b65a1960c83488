"""Pay of made-up days, as it is expected and as it is simulated."""

from datetime import date, timedelta

from kvitt.disbursement.holding import Paid
from kvitt.disbursement.simulation_figures import SimulatedFigures
from kvitt.disbursement.values import RateType
from kvitt.kernel.money import Kroner

TODAY = date(2026, 6, 15)
WEEK = ("2026-06-01", "2026-06-05")


def span(first: str, last: str, amount: int, rate: RateType = RateType.WEEKDAY, code: str = "A") -> Paid:
    """A span of pay; days as `yyyy-mm-dd`."""
    return Paid("a payment", code, date.fromisoformat(first).toordinal(), date.fromisoformat(last).toordinal(), Kroner(amount), rate)


def figure(first: str, last: str, pays: int, *, before: int = 0, recovered: int = 0, code: str = "A") -> SimulatedFigures:
    return SimulatedFigures(date.fromisoformat(first), date.fromisoformat(last), code, Kroner(before), Kroner(pays), Kroner(recovered))


def each_day(first: str, last: str, pays: int) -> list[SimulatedFigures]:
    """A figure for each weekday."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    days = [start + timedelta(days=number) for number in range((end - start).days + 1)]
    return [figure(str(day), str(day), pays) for day in days if day.weekday() < 5]
