"""Whoever has more paid than its limit allows waits for two people, and nothing is lost (design §11)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from kvitt.app.ports import PORTS, limits_of, limits_of_nobody, ports_of
from kvitt.broker_settings import RapidSettings
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.check import check
from kvitt.disbursement.holding import HoldKind, OwnPay, Paid
from kvitt.disbursement.operate import OpenOrder, Operate
from kvitt.disbursement.source_limits import kroner_of
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import RateType, Scheme
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator
from kvitt.ops.alarms import list_alarms
from kvitt.settings import LimitsSettings, OpsSettings, RestSettings, Settings, SourceLimitSettings
from support.hub_messages import aap, dp
from support.hub_stage import Stage

TWO = Operator("Kari", "looked at it", "Ola")
DP, AAP = Scheme.DAGPENGER, Scheme.AAP
JUNE = date(2026, 6, 1)


@contextmanager
def limited(database: str, **limits: Any) -> Iterator[Stage]:
    """A hub on which the topic of dagpenger has this limit."""
    settings = LimitsSettings(sources={primary_input(DP): SourceLimitSettings(**limits)})
    stage = Stage(database, ports_of(RapidSettings(), OpsSettings(), limits=limits_of(settings)))
    try:
        yield stage
        assert [repr(difference) for difference in check(database, stage.ports).differences] == []
    finally:
        stage.close()


def held(stage: Stage) -> list[OpenOrder]:
    return Operate(stage.connection, stage.clock, stage.ports).orders([OrderState.READY], held_only=True)


def test_what_is_over_the_limit_of_an_hour_is_held_and_leaves_when_two_people_let_it_go(database: str) -> None:
    with limited(database, kroner_per_hour=4000) as stage:
        stage.hand_in(DP, ("one", dp("A")), ("two", dp("B")))
        assert held(stage) == []
        stage.hand_in(DP, ("over", dp("C")), ("fits", dp("D", days=[1, 2])))
        (order,) = held(stage)
        (reason,) = order.held_for
        topic = primary_input(DP)
        assert (reason.kind, reason.amounts_kroner) == (HoldKind.OVER_LIMIT, (1500, 3000, 4000))
        assert reason.text == f"{topic} may have 4000 kr paid in an hour, had 3000 kr before in this hour, and the order pays 1500 kr"
        assert [alarm.kind for alarm in list_alarms(stage.connection, cleared=False, limit=10)] == ["over limit"]
        Operate(stage.connection, stage.clock, stage.ports).release(order.order_id, TWO)
        stage.finish()
        assert [stage.final(key).status.value for key in ("one", "two", "over", "fits")] == ["OK"] * 4
        assert list_alarms(stage.connection, cleared=False, limit=10) == []


def test_the_next_hour_begins_at_nothing_and_other_sources_are_not_counted(database: str) -> None:
    with limited(database, kroner_per_hour=1500) as stage:
        stage.hand_in(DP, ("one", dp("A")))
        stage.hand_in(AAP, ("other", aap("B")))
        stage.hand_in(DP, ("over", dp("C")))
        assert [order.case_id for order in held(stage)] == ["C"]
        stage.clock.advance(hours=1)
        stage.hand_in(DP, ("later", dp("D")))
        assert [order.case_id for order in held(stage)] == ["C"]


def test_one_order_may_be_too_much_by_itself(database: str) -> None:
    with limited(database, kroner_per_order=1400) as stage:
        stage.hand_in(DP, ("over", dp("A")), ("fits", dp("B", days=[1, 2])))
        (order,) = held(stage)
        assert (order.case_id, order.held_for[0].amounts_kroner) == ("A", (1500, 1400))


def test_a_correction_counts_for_what_it_pays_more(database: str) -> None:
    with limited(database, kroner_per_hour=1800) as stage:
        stage.hand_in(DP, ("one", dp("A")))
        stage.finish()
        stage.hand_in(DP, ("100 more a day", dp("A", 600)))
        stage.finish()
        stage.hand_in(DP, ("ceases", dp("A", utbetalinger=[])))
        stage.finish()
        assert held(stage) == []
        stage.hand_in(DP, ("nothing is left", dp("B", 1, days=[1])))
        assert len(held(stage)) == 1


def test_a_message_that_waited_counts_when_its_turn_comes(database: str) -> None:
    with limited(database, kroner_per_hour=1800) as stage:
        stage.hand_in(DP, ("one", dp("A")), ("waits", dp("A", 700)), ("other", dp("B", 200, days=[1])))
        stage.finish()
        assert [order.case_id for order in held(stage)] == ["A"]


def test_an_order_that_pays_otherwise_than_it_was_held_for_is_found(database: str) -> None:
    with limited(database, kroner_per_order=1400) as stage:
        stage.hand_in(DP, ("over", dp("A")))
        stage.connection.execute("UPDATE outside_findings SET reason = jsonb_set(reason, '{amounts_kroner,0}', '1501')")
        assert not check(database, stage.ports).clean
        stage.connection.execute("UPDATE outside_findings SET reason = jsonb_set(reason, '{amounts_kroner,0}', '1500')")


def test_what_a_source_used_of_its_limit_is_the_sum_of_its_orders_and_each_counts_what_it_pays(database: str) -> None:
    with limited(database, kroner_per_hour=4000) as stage:
        stage.hand_in(DP, ("one", dp("A")), ("two", dp("B")), ("over", dp("C")))

        def differs(*changes: str) -> list[str]:
            for change in changes:
                stage.connection.execute(change.encode())
            return [each.text for each in check(database, stage.ports).differences]

        more_in_hour, less_in_hour = ("UPDATE source_hours SET kroner = kroner + 1", "UPDATE source_hours SET kroner = kroner - 1")
        assert differs(more_in_hour) == ["adds up otherwise in the view of limits used"]
        one = "order_id = (SELECT order_id FROM limited_orders ORDER BY order_id LIMIT 1)"
        assert differs(f"UPDATE limited_orders SET kroner = kroner + 1 WHERE {one}") == [
            "counts otherwise on the limit of its source than it pays"
        ]
        assert differs(less_in_hour, "UPDATE limited_orders SET kroner = 1500") == []


# From 1 June 2026, a Monday, to a day; at 10 kroner; by a rate; what is counted of it.
COUNTED = [
    (RateType.WEEKDAY, date(2026, 6, 14), 100),
    (RateType.WEEKDAY, date(2026, 6, 6), 50),
    (RateType.DAY, date(2026, 6, 14), 140),
    (RateType.MONTH, date(2026, 8, 31), 30),
    (RateType.ONE_OFF, date(2026, 8, 31), 10),
    (RateType.MONTH, date.max, 130),
]


@pytest.mark.parametrize(("rate", "end", "kroner"), COUNTED)
def test_pay_is_counted_by_its_rate_until_a_year_from_now(rate: RateType, end: date, kroner: int) -> None:
    paid = Paid("payment", "X", JUNE.toordinal(), end.toordinal(), Kroner(10), rate)
    assert kroner_of(OwnPay((paid,), dict, {"payment"}), JUNE) == kroner
    assert kroner_of(OwnPay((paid,), lambda: {"payment": (paid,)}, {"payment"}), JUNE) == 0


def test_a_limit_of_nobody_known_is_found() -> None:
    named = [primary_input(DP), "tp-sak", "tp-sakk", primary_input(DP)[:-1]]
    limits = LimitsSettings(sources=dict.fromkeys(named, SourceLimitSettings(kroner_per_hour=1)))
    rest = RestSettings(schemes={"prod-gcp:tp:tp-sak": ["TILTAKSPENGER"]})
    assert limits_of_nobody(Settings(limits=limits, rest=replace(rest, issuer="https://issuer")), PORTS.contracts) == named[2:]
    assert limits_of_nobody(Settings(limits=limits, rest=rest), PORTS.contracts) == named[3:]
