"""A member of the group that the brokers have shut out for good begins anew, instead of holding its partitions in silence."""

from uuid import uuid4

from confluent_kafka import Consumer
from msgspec.structs import replace

from kvitt.app.hub import HubProcess
from kvitt.contracts.helved.topics import EXTERNAL_INPUTS, SCHEME_OF_INPUT
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.ops.readiness import Condition
from kvitt.settings import Settings
from support.hub_messages import dp, text
from support.kafka_stage import joined, send
from support.patience import until

DP = EXTERNAL_INPUTS[Scheme.DAGPENGER]


def test_a_member_whose_name_somebody_else_took_comes_back_and_goes_on(database: str, kafka: str) -> None:
    name, run = f"twin-{uuid4().hex[:8]}", uuid4().hex[:8]
    settings = replace(joined(kafka), instance=name)
    hub = HubProcess(database, Settings(kafka=settings), ["intake"])
    hub.start()
    try:
        with connect(database) as connection:

            def taken(number: int) -> bool:
                key = f"{run}/{number}".encode()
                return connection.execute("SELECT FROM messages WHERE key = %s", (key,)).fetchone() is not None

            def tell(number: int) -> None:
                send(kafka, DP, (f"{run}/{number}".encode(), text(dp(f"{run}-{number}", 500))))

            tell(1)
            until(lambda: taken(1), what="the intake does not read")
            restarts = [state.since for state in hub.board.states()]
            _take_its_name(kafka, settings.group, name)
            until(lambda: [state.since for state in hub.board.states()] != restarts, what="nobody notices that the intake was shut out")
            tell(2)
            until(lambda: taken(2), what="the intake is silent after somebody took its name")
            until(lambda: all(state.condition is Condition.WORKS for state in hub.board.states()), what="it does not work again")
    finally:
        hub.stop()


def _take_its_name(kafka: str, group: str, name: str) -> None:
    """Joins the group as the same member, which shuts the other one out, and leaves again."""
    twin = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": group,
            "group.instance.id": name,
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": 6000,
            "enable.auto.commit": False,
        }
    )
    twin.subscribe(list(SCHEME_OF_INPUT))
    until(lambda: twin.poll(0.1) is not None or twin.assignment(), what="the twin does not join")
    twin.close()
