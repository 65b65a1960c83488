"""Arbitrary histories through the whole hub: however the rail and the receipts behave, what is paid in the end is what was accepted.

The real parts are stepped by hand, twice, on two databases: no threads, no chance but what is drawn. `KVITT_EXAMPLES` says how many
histories of each scheme are tried.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest
from hypothesis import Phase, given, settings

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.values import Scheme
from kvitt.testing import TestServer
from support.hub_stage import Stage, staged
from support.tried import tried
from support.whole_system import AREAS, History, Play, histories, judge, traces

_numbers = count()


@pytest.fixture(scope="module")
def stages(kvitt_server: TestServer) -> Iterator[list[Stage]]:
    with ExitStack() as stack:
        yield [stack.enter_context(staged(stack.enter_context(kvitt_server.database()))) for _ in range(2)]


@pytest.mark.parametrize("scheme", list(AREAS))
def test_what_is_paid_is_what_was_accepted_and_equal_inputs_give_equal_bytes(stages: list[Stage], scheme: Scheme) -> None:
    @settings(tried(15), phases=(Phase.generate, Phase.shrink))
    @given(histories(scheme))
    def holds(history: History) -> None:
        number = next(_numbers)
        plays = [Play(stage, history, scheme, number) for stage in stages]
        for play in plays:
            play.run()
        judge(plays[0])
        assert traces(plays[0]) == traces(plays[1])

    holds()


@pytest.mark.parametrize("which", [0, 1])
def test_the_books_prove_all_of_it(stages: list[Stage], which: int) -> None:
    report = check(stages[which].conninfo, PORTS)
    assert report.counts.orders > 0
    assert [repr(each) for each in report.differences] == []
