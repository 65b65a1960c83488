"""Payouts on PostgreSQL against a plain model of them: arbitrary commands, alone and in batches, on one shop."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.errors import KvittError
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from kvitt.payouts.model import (
    CancelPayout,
    ConfirmPayout,
    CreatePayout,
    MarkPaid,
    Payout,
    PayoutCommand,
    RepublishEvents,
)
from kvitt.payouts.service import PayoutService
from kvitt.payouts.writer import PayoutWriter
from support.ledger_stage import clock, sums_are_zero
from support.payout_model import Model
from support.payout_stage import PayoutStage, statuses, wanted
from support.tried import tried

KARI = Operator("kari", "a test", "ola")
Asked = tuple[str, str, Any]
_runs = count()


@pytest.fixture(scope="module")
def database_of_all(ledger_database: str) -> Iterator[str]:
    """What all runs left behind is clean in the end."""
    yield ledger_database
    assert check(ledger_database, PORTS).differences == ()


def asked() -> st.SearchStrategy[list[list[Asked]]]:
    """Batches of commands about few payouts, with amounts around what there is, so that refusals and repeats are common."""
    name = st.sampled_from("abc")
    amount = st.sampled_from([-1, 0, 20, 21, 300, 495, 495, 700, 1995, 1996, 10**15])
    create = st.tuples(st.just("create"), name, amount)
    cancel = st.tuples(st.just("cancel"), name, st.sampled_from(["0", "no", "ø\n"]))
    other = st.tuples(st.sampled_from(["confirm", "paid", "republish"]), name, st.none())
    return st.lists(st.lists(create | create | cancel | other | other, min_size=1, max_size=5), min_size=1, max_size=6)


def in_turn(batch: Sequence[Asked]) -> list[int]:
    """The order in which a batch is done: the first commands about each payout, then the second ones, and so on."""
    seen: Counter[str] = Counter()
    turns = []
    for place, (_, name, _) in enumerate(batch):
        turns.append((seen[name], place))
        seen[name] += 1
    return [place for _, place in sorted(turns)]


class Run:
    """One history, given to the model and done on the database."""

    def __init__(self, conninfo: str) -> None:
        self.stage, self.number = PayoutStage(conninfo, 2000), next(_runs)
        self.model = Model(2000)
        self._connection = connect(conninfo)
        self.act = PayoutWriter(self._connection, clock).execute

    def close(self) -> None:
        self._connection.close()
        self.stage.close()

    def payout_id(self, name: str) -> str:
        return f"{name}-{self.number}"

    def expect(self, what: str, name: str, value: Any) -> str:
        model, payout_id = self.model, self.payout_id(name)
        if what == "republish":
            known = model.payouts.get(payout_id)
            return known.status if known else "PayoutNotFound"
        return str(getattr(model, what)(payout_id, *([] if value is None else [value])))

    def command(self, what: str, name: str, value: Any) -> PayoutCommand | str:
        """The command; or how it is refused before it becomes one."""
        payout_id = self.payout_id(name)
        if what == "create":
            try:
                # Its id is looked at once more under the lock, so here it may be any.
                draft = self.stage.payouts.drafted(wanted(f"{payout_id}-draft", value))
            except KvittError as error:
                return type(error).__name__
            return CreatePayout(_renamed(draft, payout_id))
        kinds = {"confirm": ConfirmPayout(payout_id), "paid": MarkPaid(payout_id, KARI), "republish": RepublishEvents(payout_id, KARI)}
        return CancelPayout(payout_id, value) if what == "cancel" else kinds[what]


def _renamed(draft: Any, payout_id: str) -> Any:
    return replace(draft, payout=replace(draft.payout, payout_id=payout_id))


@tried(60)
@given(batches=asked())
def test_payouts_are_what_the_model_says(database_of_all: str, batches: list[list[Asked]]) -> None:
    run = Run(database_of_all)
    for batch in batches:
        commands = [run.command(*each) for each in batch]
        sound = [place for place, each in enumerate(commands) if not isinstance(each, str)]
        results = run.act([commands[place] for place in sound])  # type: ignore[misc]
        done = dict(zip(sound, map(_said, results), strict=True))
        # An amount that is refused before it is a command is refused as well where the id is taken: which of the two is said, only
        # the whole method knows, and that is tested there.
        order = in_turn([batch[place] for place in sound])
        for place in (sound[each] for each in order):
            assert done[place] == run.expect(*batch[place]), (batch, place)
    _compare(run)
    run.close()


@tried(60)
@given(batches=asked())
def test_calls_are_answered_as_the_model_says(database_of_all: str, batches: list[list[Asked]]) -> None:
    run = Run(database_of_all)
    for each in (each for batch in batches for each in batch):
        assert _call(run.stage.payouts, run.payout_id(each[1]), *each) == run.expect(*each)
    _compare(run)
    run.close()


def _call(payouts: PayoutService, payout_id: str, what: str, _: str, value: Any) -> str:
    try:
        match what:
            case "create":
                payouts.create(wanted(payout_id, value))
            case "confirm":
                payouts.confirm(payout_id)
            case "cancel":
                payouts.cancel(payout_id, value)
            case "paid":
                payouts.paid(payout_id, "kari", "a test", "ola")
            case _:
                payouts.republish(payout_id, "kari", "a test")
        return payouts.get(payout_id).status.value
    except KvittError as error:
        return type(error).__name__


def _said(result: Payout | Exception) -> str:
    if isinstance(result, Payout):
        return result.status.value
    assert isinstance(result, KvittError), result
    return type(result).__name__


def _compare(run: Run) -> None:
    """Every payout, every event and every balance."""
    assert run.stage.totals() == run.model.totals()
    sums_are_zero(run.stage.connection)
    for payout_id, known in run.model.payouts.items():
        stands = run.stage.payouts.get(payout_id)
        assert (stands.amount, stands.fee, stands.status, stands.cancel_details) == (known.amount - 20, 25, known.status, known.details)
        heard = statuses(run.stage.published(payout_id))
        assert list(dict.fromkeys(heard)) == known.published
        assert [(event.sequence, event.status.value) for event in run.stage.payouts.events(payout_id)] == known.published
