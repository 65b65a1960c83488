"""Arbitrary histories on real brokers: what is paid in the end is what was accepted, and Kafka holds exactly what was to be published.

KVITT_BROKER_EXAMPLES says how many histories of each scheme are tried.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count

import pytest
from hypothesis import Phase, given, settings

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.values import Scheme
from kvitt.testing import TestServer
from support.broker_stage import BrokerPlay, BrokerStage, Published, on_brokers
from support.kafka_stage import joined
from support.whole_system import AREAS, History, histories, judge, traces

EXAMPLES = int(os.environ.get("KVITT_BROKER_EXAMPLES", "3"))
_numbers = count()


@pytest.fixture(scope="module")
def stages(kvitt_server: TestServer, kafka: str, artemis: tuple[str, int]) -> Iterator[list[BrokerStage]]:
    where = joined(kafka)
    with ExitStack() as stack:
        yield [stack.enter_context(on_brokers(stack.enter_context(kvitt_server.database()), artemis, where)) for _ in range(2)]


@pytest.mark.parametrize("scheme", list(AREAS))
@pytest.mark.timeout(0 if EXAMPLES > 50 else 1800)
def test_what_is_paid_is_what_was_accepted_and_what_was_to_be_published_is_published(stages: list[BrokerStage], scheme: Scheme) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize="KVITT_BROKER_EXAMPLES" not in os.environ,
        phases=(Phase.generate, Phase.shrink),
    )
    @given(histories(scheme))
    def holds(history: History) -> None:
        number = next(_numbers)
        plays = [BrokerPlay(stage, history, scheme, number) for stage in stages]
        for play in plays:
            play.run()
        judge(plays[0])
        assert traces(plays[0]) == traces(plays[1])

    holds()
    for stage in stages:
        wanted, published = stage.relayed()
        assert wanted
        assert by_key(published) == by_key(wanted)


def by_key(records: Sequence[Published]) -> dict[tuple[str, bytes], list[Published]]:
    """The records of each key in their order, which is all the order that a log keeps."""
    found: dict[tuple[str, bytes], list[Published]] = defaultdict(list)
    for published in records:
        found[published[1], published[2]].append(published)
    return found


@pytest.mark.parametrize("which", [0, 1])
def test_the_books_prove_all_of_it(stages: list[BrokerStage], which: int) -> None:
    report = check(stages[which].conninfo, PORTS)
    assert report.counts.orders > 0
    assert [repr(each) for each in report.differences] == []
