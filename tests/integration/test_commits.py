"""A connection that ends during COMMIT: the answer is what was done, over every API, and nobody pays or makes twice because of it."""

import contextlib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg.errors import UniqueViolation

from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.send import Send
from kvitt.disbursement.settle import Settle
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.disbursement.values import Scheme
from kvitt.errors import ResultUnknown
from kvitt.kernel import commits
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import connect
from kvitt.kernel.queue import Outgoing
from kvitt.payouts.service import PayoutService
from kvitt.transports.log.embedded_log import LogRelay, make_topics
from support.commit_apis import ACCOUNT_ASKS, AMOUNT, MONEY_ASKS, TAKEN, Apis, Ask, rest_create, rest_hold, thrift_create, thrift_hold
from support.commit_proxy import Cut, Proxy, proxied
from support.hub_messages import dp
from support.hub_stage import REPLIES, staged
from support.ledger_stage import clock, sums_are_zero
from support.payout_stage import PayoutStage, payout_stage, wanted
from support.topics import TOPICS

pytestmark = pytest.mark.usefixtures("made_up_people")

HELD = 100_005
"""The shop's fee of 5 is held on top."""


@pytest.fixture
def stage(database: str) -> Iterator[PayoutStage]:
    with payout_stage(database, 1_000_000) as stage:
        yield stage


@pytest.fixture
def way(database: str) -> Iterator[tuple[Proxy, str]]:
    with proxied(database) as found:
        yield found


@pytest.fixture
def behind(stage: PayoutStage, way: tuple[Proxy, str]) -> Iterator[PayoutService]:
    """Payouts that reach the server through the proxy."""
    payouts = PayoutService(way[1], clock, stage.terms)
    yield payouts
    payouts.close()


@contextlib.contextmanager
def soon_given_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setattr(commits, "LOOK_SECONDS", 0.3)
        yield


def least(stage: PayoutStage) -> int:
    return stage.totals()[0][1]


# The one place


def test_what_was_committed_is_done_though_the_answer_was_lost(way: tuple[Proxy, str], database: str) -> None:
    proxy, conninfo = way
    with connect(conninfo) as connection, connect(database) as other:
        proxy.cut(Cut.AFTER)
        with transaction(connection):
            connection.execute("CREATE TABLE done (x int)")
        assert proxy.cuts == 1
        assert connection.closed
        assert other.execute("SELECT to_regclass('done') IS NOT NULL").fetchone() == (True,)


def test_a_commit_that_never_arrived_did_nothing_and_says_so(way: tuple[Proxy, str], database: str) -> None:
    proxy, conninfo = way
    with connect(conninfo) as connection, connect(database) as other:
        proxy.cut(Cut.BEFORE)
        with pytest.raises(psycopg.OperationalError), transaction(connection):
            connection.execute("CREATE TABLE done (x int)")
        assert proxy.cuts == 1
        assert other.execute("SELECT to_regclass('done') IS NULL").fetchone() == (True,)


def test_a_commit_of_which_nothing_can_be_found_out_is_unknown_with_what_to_look_for(
    way: tuple[Proxy, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, conninfo = way
    with soon_given_up(monkeypatch), connect(conninfo) as connection:
        proxy.cut(Cut.AFTER, shut=True)
        with pytest.raises(ResultUnknown, match="order 7") as heard, transaction(connection, "order", "7"):
            connection.execute("CREATE TABLE done (x int)")
        assert (heard.value.kind, heard.value.identity) == ("order", "7")


@pytest.mark.parametrize("refusal", ["RAISE EXCEPTION 'no'", "PERFORM pg_terminate_backend(pg_backend_pid())"])
def test_what_the_server_refuses_or_ends_while_it_commits_did_nothing(database: str, refusal: str) -> None:
    with connect(database) as connection, connect(database) as other:
        connection.execute(f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {refusal}; RETURN NULL; END $$")
        connection.execute("CREATE TABLE kept (x int)")
        connection.execute(
            "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON kept DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        with pytest.raises(psycopg.Error), transaction(connection):
            connection.execute("INSERT INTO kept VALUES (1)")
        assert other.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_transaction_that_is_still_open_at_the_server_is_waited_for(database: str) -> None:
    """The row that tells is locked until it is over: no look comes too early."""
    with connect(database) as connection, connect(database) as stalled:
        with transaction(connection):
            connection.execute("SELECT 1")
        marker = commits._markers[connection]
        stalled.execute("BEGIN")
        stalled.execute("UPDATE commit_markers SET number = %s WHERE connection = %s", (marker.number + 1, marker.key))
        assert commits._look(marker, marker.number + 1, 0.3) is None
        stalled.execute("COMMIT")
        assert commits._look(marker, marker.number + 1, 30.0) is True
        assert commits._look(marker, marker.number + 2, 30.0) is False


@pytest.mark.parametrize("nested", [False, True])
def test_what_a_transaction_begins_with_is_a_part_of_it(database: str, nested: bool) -> None:
    with connect(database) as connection, connect(database) as other:
        connection.execute("CREATE TABLE begun (number integer UNIQUE)")
        with contextlib.ExitStack() as stack:
            if nested:
                stack.enter_context(transaction(connection))
            with transaction(connection, first=lambda: connection.execute("INSERT INTO begun VALUES (1)")):
                assert connection.execute("SELECT count(*) FROM begun").fetchone() == (1,)
                assert other.execute("SELECT count(*) FROM begun").fetchone() == (0,)
        with pytest.raises(UniqueViolation), transaction(connection, first=lambda: connection.execute("INSERT INTO begun VALUES (2), (1)")):
            pytest.fail("what it begins with is refused")
        assert other.execute("SELECT number FROM begun").fetchall() == [(1,)]


def test_a_transaction_inside_another_one_begins_with_one_message_where_nothing_is_sent_with_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(database) as connection, transaction(connection):
        monkeypatch.setattr(connection, "pipeline", lambda: pytest.fail("a pipeline ends with a round trip of its own"))
        with transaction(connection):
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_markers_that_nobody_uses_any_more_are_taken_over(database: str) -> None:
    with connect(database) as connection:
        connection.execute("INSERT INTO commit_markers VALUES (gen_random_uuid(), 7, now() - interval '2 days')")
        with transaction(connection):
            connection.execute("SELECT 1")
        assert connection.execute("SELECT number FROM commit_markers").fetchall() == [(1,)]


# Payouts and the ledger, cut at each message


@pytest.mark.parametrize("cut", Cut)
def test_wherever_a_payout_is_cut_off_it_is_held_once_or_not_at_all_as_answered(
    stage: PayoutStage, way: tuple[Proxy, str], behind: PayoutService, cut: Cut
) -> None:
    proxy = way[0]
    heard: set[str] = set()
    for number in count(1):
        before, seen = least(stage), count(1)
        proxy.cut(cut, lambda _, seen=seen, number=number: next(seen) == number)  # type: ignore[misc]
        done = proxy.cuts
        try:
            made = behind.create(wanted(None, 100))
        except psycopg.OperationalError:
            heard.add("not done")
            assert least(stage) == before
        else:
            heard.add("done")
            assert (least(stage), len(stage.published(made.payout_id))) == (before - 105, 1)
        if proxy.cuts == done:
            break
    assert heard == {"done", "not done"}
    sums_are_zero(stage.connection)


@pytest.mark.parametrize("cut", Cut)
def test_a_caller_that_repeats_what_was_answered_as_not_done_holds_once(
    stage: PayoutStage, way: tuple[Proxy, str], behind: PayoutService, cut: Cut
) -> None:
    proxy = way[0]
    behind.create(wanted(None, 100))
    before = least(stage)
    proxy.cut(cut)
    for _ in range(2):
        with contextlib.suppress(psycopg.OperationalError):
            behind.create(wanted(None, AMOUNT))
            break
    assert proxy.cuts == 1
    assert before - least(stage) == HELD


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("act", ["confirm", "cancel"])
def test_what_ends_a_payout_is_done_once(stage: PayoutStage, way: tuple[Proxy, str], behind: PayoutService, cut: Cut, act: str) -> None:
    proxy, made = way[0], behind.create(wanted(None, AMOUNT))
    proxy.cut(cut)
    for _ in range(2):
        with contextlib.suppress(psycopg.OperationalError):
            behind.confirm(made.payout_id) if act == "confirm" else behind.cancel(made.payout_id, "no longer wanted")
            break
    assert proxy.cuts == 1
    assert stage.totals()[0] == ((1_000_000 - HELD,) * 3 if act == "confirm" else (1_000_000,) * 3)
    assert len(stage.published(made.payout_id)) == 2


# The apis. The example's shop pays 500 on 100,000.

FUNDS, UNKNOWN = 10_000_000, (504, "Result Unknown")


@pytest.fixture
def apis(way: tuple[Proxy, str], database: str, tmp_path: Path) -> Iterator[Apis]:
    made = Apis(*way, database, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("ask", MONEY_ASKS)
def test_a_caller_that_repeats_while_it_hears_that_nothing_was_done_pays_once(apis: Apis, ask: Ask, cut: Cut) -> None:
    apis.proxy.cut(cut)
    answers = [ask(apis)]
    while answers[-1].status_code == 503 and len(answers) < 5:
        answers.append(ask(apis))
    assert apis.proxy.cuts == 1
    assert answers[-1].status_code in (200, 201), answers[-1].text
    assert len(answers) == (1 if cut is Cut.AFTER else 2)
    assert apis.least() == FUNDS - TAKEN


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("ask", ACCOUNT_ASKS)
def test_a_caller_that_repeats_while_it_hears_that_nothing_was_done_makes_one_account(apis: Apis, ask: Ask, cut: Cut) -> None:
    before = apis.accounts()
    apis.proxy.cut(cut)
    answers = [ask(apis)]
    while answers[-1].status_code == 503 and len(answers) < 5:
        answers.append(ask(apis))
    assert answers[-1].status_code in (200, 201), answers[-1].text
    assert (apis.proxy.cuts, apis.accounts()) == (1, before + 1)


@pytest.mark.parametrize("ask", [*MONEY_ASKS, *ACCOUNT_ASKS])
def test_while_nobody_can_be_asked_the_result_is_unknown_and_what_to_look_for_is_named(
    apis: Apis, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = apis.accounts()
    with soon_given_up(monkeypatch):
        apis.proxy.cut(Cut.AFTER, shut=True)
        heard = ask(apis)
    assert heard.status_code == 504
    assert "retry-after" not in heard.headers
    done = apis.accounts() == before + 1 if ask in ACCOUNT_ASKS else apis.least() == FUNDS - TAKEN
    assert done, "it was done, and nobody was told that it was not"
    if "woody.error-class" in heard.headers:
        assert (heard.status_code, heard.headers["woody.error-class"]) == UNKNOWN
        named = heard.headers["woody.error-reason"]
    else:
        problem = heard.json()
        assert problem["code"] == "result_unknown"
        apis.proxy.shut = False
        assert apis.rest.get(problem["look_at"]).status_code == 200
        named = problem["detail"]
    kinds = {"payout": [thrift_create, rest_create], "plan plan-1": [thrift_hold, rest_hold], "account": ACCOUNT_ASKS}
    assert next(kind for kind, asks in kinds.items() if ask in asks) in named


def test_a_keyed_request_whose_answer_could_not_be_kept_is_answered_with_what_was_done(apis: Apis) -> None:
    asked = {"currency": "RUB", "description": "kept once"}
    for times, repeats in ((1, (201, None)), (2, (409, "request_in_progress"))):
        apis.proxy.cut(Cut.BEFORE, lambda message: b"rest.requests SET status" in message, times=times)
        first, second = (apis.rest.post("/accounts", json=asked, headers={"idempotency-key": f"k-{times}"}) for _ in range(2))
        assert first.status_code == 201
        assert (second.status_code, second.json().get("code")) == repeats, f"cut {times} times"
    assert apis.proxy.cuts == 3


# Commands


def test_an_operators_act_is_reported_as_it_is(
    way: tuple[Proxy, str], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, conninfo = way
    stop = ["sending", "stop", "--all", "--by", "kari", "--reason", "the rail is moved", "--database", conninfo, "--data", str(tmp_path)]
    proxy.cut(Cut.AFTER)
    done = CliRunner().invoke(main, stop)
    assert (done.exit_code, proxy.cuts) == (0, 1), done.output
    with soon_given_up(monkeypatch):
        proxy.cut(Cut.AFTER, shut=True)
        unknown = CliRunner().invoke(main, stop)
    assert unknown.exit_code == 2
    assert "it is not known whether this was done" in unknown.output
    assert "kvitt sending list" in unknown.output
    proxy.shut = False
    proxy.cut(Cut.BEFORE)
    undone = CliRunner().invoke(main, stop)
    assert (undone.exit_code, "database_unreachable" in undone.output) == (2, True)
    with connect(database) as connection:
        heard = connection.execute("SELECT count(*) FROM audit WHERE chain = 0 AND what = 'stop'").fetchone()
    assert heard == (2,)


# The edges tell nobody that something was not done: they do it again, and what was done stays so.


def test_what_intake_sender_receiver_and_relay_committed_unseen_is_not_done_twice(way: tuple[Proxy, str], database: str) -> None:
    proxy, conninfo = way
    with staged(database) as stage:
        record = stage.incoming(Scheme.DAGPENGER, "k-1", dp("sak-1"))

        def unseen(step: Callable[[psycopg.Connection[tuple[object, ...]]], object]) -> None:
            cuts = proxy.cuts
            proxy.cut(Cut.AFTER)
            with connect(conninfo) as connection, pytest.raises(psycopg.OperationalError):
                step(connection)
            assert proxy.cuts == cuts + 1

        unseen(lambda connection: Submit(connection, stage.clock, PORTS).execute([record]))
        assert stage.submit([record]) == [Outcome.REPEATED]
        orders = stage.sender.dequeue(10)
        stage.requests.put([Outgoing(order.order_id, order.message, REPLIES, order.priority) for order in orders])
        sent = [(order.order_id, order.message_no) for order in orders]
        unseen(lambda connection: Send(connection, stage.clock, PORTS, stage.lease).sent(sent))
        assert stage.new_sender().mark_unknown() == []
        receipts = stage.rail()
        unseen(lambda connection: Settle(connection, stage.clock, PORTS).execute(receipts))
        assert stage.settle(receipts) == [ReceiptOutcome.REPEAT]
        assert stage.said("k-1") == ["MOTTATT", "HOS_OPPDRAG", "OK"]
        held = stage.keeper.acquire(stage.connection, "relay")
        assert held
        make_topics(stage.connection, TOPICS)
        unseen(lambda connection: LogRelay(connection, stage.clock, held.lease).step())
        assert LogRelay(stage.connection, stage.clock, held.lease).step() == 0
        assert stage.one("SELECT count(*) FROM log_records") == stage.one("SELECT count(*) FROM outbox")
        assert stage.order_states("sak-1") == ["accepted"]
