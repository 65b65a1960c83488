"""Whatever the line to another's ledger loses, delays or breaks, and whoever dies: in the end the ledger holds what the payouts say."""

from collections.abc import Iterator
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.errors import KvittError, PayoutNotFound
from kvitt.payouts.model import Payout
from kvitt.payouts.rules import PAYOUT_ARCS, PayoutStatus
from kvitt.testing import TestServer
from support.ledger_stage import sums_are_zero
from support.payout_remote_stage import Fault, RemoteStage, remote_stage
from support.payout_stage import published_events, statuses, wanted
from support.tried import tried

EARNED = 3000
Act = tuple[str, str, list[Fault], bool]


@pytest.fixture(scope="module")
def stage(kvitt_server: TestServer) -> Iterator[RemoteStage]:
    """One for all histories, each with accounts of its own; what all of them left behind is clean in the end."""
    with kvitt_server.database() as ours, kvitt_server.database() as theirs:
        with remote_stage(ours, theirs, EARNED) as made:
            yield made
        assert [check(each, PORTS).differences for each in (ours, theirs)] == [(), ()]


def acts() -> st.SearchStrategy[list[Act]]:
    """What is done to few payouts, what the line does to its calls, and whether whoever calls is thought dead before it hears of it."""
    fault = st.sampled_from([each for each in Fault if each is not Fault.FINE])
    after_some = st.builds(lambda fine, found: [Fault.FINE] * fine + [found], st.integers(0, 2), fault)
    faults = st.just([]) | after_some | st.lists(st.sampled_from(Fault), max_size=4)
    what = st.sampled_from(["create", "create", "confirm", "confirm", "cancel", "cancel", "paid", "sweep", "late"])
    return st.lists(st.tuples(what, st.sampled_from("aaab"), faults, st.booleans()), min_size=2, max_size=12)


class Line:
    """One history on a stage, from the beginning."""

    def __init__(self, stage: RemoteStage) -> None:
        self.stage, self.number = stage, next(_numbers)
        stage.begin(EARNED)

    def payout_id(self, name: str) -> str:
        return f"{name}-{self.number}"

    def do(self, what: str, name: str, faults: list[Fault], thought_dead: bool) -> None:
        """An act; kvitt's own refusals are as good as any other outcome."""
        stage, payouts, payout_id = self.stage, self.stage.payouts, self.payout_id(name)
        stage.ledger.faults = list(faults)
        stage.ledger.after_next = stage.sweep_once if thought_dead else None
        try:
            if what == "create":
                payouts.create(wanted(payout_id, 1000))
            elif what == "confirm":
                payouts.confirm(payout_id)
            elif what == "cancel":
                payouts.cancel(payout_id, "no")
            elif what == "paid":
                payouts.paid(payout_id, "kari", "a test", "ola")
            elif what == "sweep":
                stage.sweep_once()
            else:
                stage.ledger.deliver_late()
        except KvittError:
            return

    def settle(self) -> None:
        """The line is mended, what was under way arrives at once, and then the sweeper ends what is left."""
        self.stage.ledger.faults, self.stage.ledger.after_next = [], None
        self.stage.ledger.deliver_late()
        while self.stage.sweep():
            continue

    def found(self, name: str) -> Payout | None:
        try:
            return self.stage.payouts.get(self.payout_id(name))
        except PayoutNotFound:
            return None


@tried(60)
@given(begin=st.sampled_from([[], ["create"], ["create", "confirm"]]), history=acts())
def test_in_the_end_the_ledger_holds_what_the_payouts_say(stage: RemoteStage, begin: list[str], history: list[Act]) -> None:
    line = Line(stage)
    for what in begin:
        line.do(what, "a", [], thought_dead=False)
    for act in history:
        line.do(*act)
    _ends_well(line)


@pytest.mark.parametrize("steps", [["create"], ["create", "confirm"], ["create", "cancel"], ["create", "confirm", "cancel"]], ids="-".join)
def test_no_two_faults_of_a_step_leave_anything_behind(stage: RemoteStage, steps: list[str]) -> None:
    for faults in product(Fault, repeat=2):
        for thought_dead in (False, True):
            line = Line(stage)
            for what in steps[:-1]:
                line.do(what, "a", [], thought_dead=False)
            line.do(steps[-1], "a", list(faults), thought_dead)
            _ends_well(line)


def _ends_well(line: Line) -> None:
    """Once everything is settled, the ledger's balances follow from the payouts, and the events from their states."""
    line.settle()
    stage, payouts = line.stage, [found for name in "ab" if (found := line.found(name))]
    confirmed = sum(each.status is PayoutStatus.CONFIRMED for each in payouts)
    still_open = sum(each.status in (PayoutStatus.UNPAID, PayoutStatus.PAID) for each in payouts)
    own = EARNED - 1005 * confirmed
    assert stage.totals()[0] == (own, own - 1005 * still_open, own)
    sums_are_zero(stage.ledger.connection)
    for each in payouts:
        heard = statuses(published_events(stage.connection, each.payout_id))
        assert [number for number, _ in heard] == list(range(each.sequence + 1))
        assert heard[0] == (0, "unpaid")
        assert all(PayoutStatus(later) in PAYOUT_ARCS[PayoutStatus(earlier)] for (_, earlier), (_, later) in pairwise(heard))


@tried(30)
@given(faults=st.lists(st.lists(st.sampled_from(list(Fault)), min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_caller_that_goes_on_asking_gets_its_payout_once(stage: RemoteStage, faults: list[list[Fault]]) -> None:
    line = Line(stage)
    payout_id = line.payout_id("a")
    for each in faults:
        line.do("create", "a", each, thought_dead=False)
    line.settle()
    if line.found("a") is None:
        stage.payouts.create(wanted(payout_id, 1000))
    stage.ledger.deliver_late()
    assert stage.totals()[0] == (EARNED, EARNED - 1005, EARNED)
    assert statuses(published_events(stage.connection, payout_id)) == [(0, "unpaid")]


_numbers = iter(range(1, 1_000_000))
