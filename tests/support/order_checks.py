"""What tests of checks before sending do: hand in messages, look at orders, let the rail answer."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import count

from kvitt.contracts.helved import topics
from kvitt.disbursement.calendar import next_working_day
from kvitt.disbursement.holding import HoldReason
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.order_checks import ask_due_checks
from kvitt.disbursement.order_page import CheckShown, OrderShown, order_page
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import oslo, oslo_moment
from kvitt.kernel.operators import Operator
from kvitt.settings import CheckSettings
from kvitt.testing import Hub
from support import simulation_answers as answers
from support.hub_messages import Json, aap, payment_uid, ts, ts_payment
from support.simulation_answers import Of, Row

CHECKS = {
    "AAP": CheckSettings(policy="block", most_recovered_kroner=1000),
    "TILLEGGSSTØNADER": CheckSettings(policy="warn"),
    "DAGPENGER": CheckSettings(policy="block", when_silent="send"),
    "SYKEPENGER": CheckSettings(policy="block"),
}
TWO = Operator("kari", "seen by both", "ola")
DAYS = ("2026-06-01", "2026-06-12")
_numbers = count(1)


def put(site: Hub, scheme: Scheme, case: str, body: Json, *, number: int = 1) -> str:
    """Hands in a message, and returns its key."""
    key = f"{case}-{number}"
    site.put(topics.primary_input(scheme), key, body)
    site.run("intake")
    return key


def orders(site: Hub, case: str) -> list[OrderShown]:
    """The orders of a case, oldest first."""
    found = Operate(site.connection, site.clock, site.ports).orders_of_case(case, list(OrderState))
    return sorted((order_page(site.conninfo, site.ports.rails, each.order_id) for each in found), key=lambda each: each.number)


def order(site: Hub, case: str) -> OrderShown:
    """The newest order of a case."""
    return orders(site, case)[-1]


def check_of(shown: OrderShown) -> CheckShown:
    (check,) = shown.checks
    return check


def statuses(site: Hub, key: str) -> list[str]:
    return [each.json["status"] for each in site.published(topics.STATUSES, key)]


def release(site: Hub, shown: OrderShown) -> tuple[HoldReason, ...]:
    return Operate(site.connection, site.clock, site.ports).release(shown.order_id, TWO)


def simulated(case: str, amount: int, *, area: str = "AAP", code: str = "AAPOR", days: Sequence[str] = DAYS, recovers: int = 0) -> bytes:
    """An answer that pays these days so much in all, and recovers something besides."""
    first, last = days
    rows = [Row(first, f"{amount}.00", class_code=code, end=last, rate_type="DAG")]
    if recovers:
        rows += [
            Row(first, f"{recovers}.00", class_code=code, end=last),
            Row(first, f"{recovers}.00", "FEIL", "KL_KODE_FEIL_ARBYT", end=last),
            Row(first, f"-{recovers}.00", "MOTP", "TBMOTOBS", end=last),
        ]
    return answers.computed((first, last, [Of(rows, area=area, case_id=case)]), computed_on="2026-06-15")


def ask(site: Hub) -> int:
    """Does what the job does."""
    with site.connection.transaction():
        return ask_due_checks(site.connection, site.ports, site.clock())


def named(site: Hub, scheme: Scheme, case: str, body: Json, seen: str) -> str:
    key = f"{case}-named-{next(_numbers)}"
    site.put(topics.primary_input(scheme), key, body, headers=[("Simulering", seen)])
    site.run()
    return key


def failure(site: Hub, key: str) -> tuple[int, str]:
    error = site.published(topics.STATUSES, key)[-1].json["error"]
    return error["statusCode"], error["msg"]


def too_long(case: str) -> Json:
    """A message with more lines than the rail simulates."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    entries = [
        {
            "id": payment_uid(case, number // 100),
            **dict.fromkeys(("fom", "tom"), str((first + timedelta(days=number)).date())),
            "sats": 1000,
            "utbetaltBeløp": 1 + number % 7,
        }
        for number in range(1500)
    ]
    return aap(case, utbetalinger=entries)


def of_two_areas(site: Hub, case: str) -> str:
    payments = [ts_payment(payment_uid(case, number), benefit=name) for number, name in enumerate(("TILSYN_BARN_AAP", "LÆREMIDLER_AAP"))]
    return put(site, Scheme.TILLEGGSSTONADER, case, ts(case, *payments))


def next_morning(site: Hub) -> Hub:
    """The rail is open for long, whatever was done before."""
    tomorrow = next_working_day(oslo(site.clock()).date())
    site.clock.set(oslo_moment(datetime.combine(tomorrow, time(10))))
    return site


def needs_a_person(site: Hub, case: str) -> bool:
    """Whether the newest order of a case is listed as waiting for one."""
    return order(site, case).order_id in {each.order_id for each in Operate(site.connection, site.clock, site.ports).waiting_orders()}
