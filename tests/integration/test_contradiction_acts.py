"""Adopting and keeping as whole acts: killed on the way, done by two at once, typed, on the rapid; and what `decide` refuses."""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.resolve import Resolve
from kvitt.disbursement.values import Scheme
from kvitt.errors import NotInThatState
from kvitt.kernel.operators import Operator
from kvitt.ops.alarms import list_alarms
from kvitt.ops.figures import read_figures
from support.console_script import KVITT, PATIENCE_SECONDS, command
from support.contradiction_stage import BOTH, Contradicted, contradicted
from support.hub_messages import dp
from support.rapid_messages import need
from support.rapid_stage import Rapid, following_need, in_short, other_case, rapid_on

pytestmark = pytest.mark.usefixtures("made_up_people")

DP = Scheme.DAGPENGER
WHO = ("--by", "Kari Nordmann", "--approved-by", "Ola Hansen", "--reason", "the bank said so by phone")


@pytest.fixture
def stage(database: str) -> Iterator[Contradicted]:
    with contradicted(database) as made:
        yield made


@pytest.fixture
def rapid(database: str) -> Iterator[Rapid]:
    with rapid_on(database) as made:
        yield made


def at_terminal(conninfo: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A `kvitt` command on this database."""
    return command(*arguments, "--database", conninfo)


def by_itself(conninfo: str, *arguments: str, die_at: str = "") -> subprocess.CompletedProcess[str]:
    """A `kvitt` command of its own process, on this database."""
    typed = [str(KVITT), *arguments, "--database", conninfo]
    environment = {**os.environ, "KVITT_DIE_AT": die_at}
    return subprocess.run(typed, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False, env=environment)


def rejected_by_hand(stage: Contradicted) -> str:
    """An order that an operator has rejected and the rail accepts, with a message that waits behind it."""
    stage.hand_in(DP, ("k1", dp("A", 500)))
    (receipt,) = stage.exchange()
    order_id = stage.orders("A")[0]
    stage.operate.decide(order_id, accepted=False, operator=BOTH)
    assert stage.settle([receipt]) == [ReceiptOutcome.CONTRADICTS]
    stage.hand_in(DP, ("k2", dp("A", 600)))
    return order_id


def test_an_adoption_killed_before_its_commit_has_not_happened_and_can_be_made(stage: Contradicted) -> None:
    order_id = rejected_by_hand(stage)
    before = stage.rows("SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM audit), (SELECT count(*) FROM orders)")
    assert by_itself(stage.conninfo, "order", "adopt", order_id, *WHO, die_at="resolve.before_commit").returncode == -9
    assert stage.rows("SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM audit), (SELECT count(*) FROM orders)") == before
    assert (stage.open_contradictions(), stage.order_states("A")) == (1, ["rejected"])
    stage.assert_clean()
    stage.resolve.adopt(order_id, BOTH)
    stage.assert_clean()


def test_an_adoption_killed_after_its_commit_has_happened_once(stage: Contradicted) -> None:
    order_id = rejected_by_hand(stage)
    assert by_itself(stage.conninfo, "order", "adopt", order_id, *WHO, die_at="resolve.after_commit").returncode == -9
    assert (stage.open_contradictions(), stage.order_states("A")) == (0, ["accepted", "ready"])
    again = at_terminal(stage.conninfo, "order", "adopt", order_id, *WHO)
    assert again.returncode == 2
    assert "resolved before: adopted by Kari Nordmann" in again.stderr
    stage.assert_clean()


def test_of_two_who_resolve_at_once_one_wins_and_the_other_hears_so(stage: Contradicted) -> None:
    order_id = rejected_by_hand(stage)
    acts = ("adopt", "keep", "adopt")
    with ThreadPoolExecutor(len(acts)) as together:
        done = list(together.map(lambda act: by_itself(stage.conninfo, "order", act, order_id, *WHO), acts))
    assert sorted(each.returncode for each in done) == [0, 2, 2]
    assert all("was resolved before" in each.stderr for each in done if each.returncode)
    assert stage.open_contradictions() == 0
    stage.assert_clean()


def test_what_is_contradicted_is_listed_counted_and_an_alarm_until_it_is_resolved(stage: Contradicted) -> None:
    order_id = rejected_by_hand(stage)
    (listed,) = [json.loads(line) for line in at_terminal(stage.conninfo, "order", "list", "--json").stdout.splitlines()]
    assert (listed["order_id"], listed["case_id"], listed["state"], listed["rail_says"]) == (order_id, "A", "rejected", "accepted")
    (alarm,) = list_alarms(stage.connection, cleared=False, limit=10)
    assert (alarm.kind, alarm.order_id, alarm.case_id) == ("contradiction", order_id, "A")
    figures = read_figures(stage.connection, stage.clock())
    assert (figures.contradictions, figures.contradicted_since) == (1, alarm.raised_at)
    page = at_terminal(stage.conninfo, "case", "dp", "A").stdout
    assert f"contradicted: order {order_id} is rejected, and receipt" in page
    shown = json.loads(at_terminal(stage.conninfo, "order", "show", order_id, "--json").stdout)
    assert (shown["state"], shown["decided_by_hand"], shown["rail_says"]) == ("rejected", True, "accepted")
    dry = at_terminal(stage.conninfo, "order", "adopt", order_id, "--dry-run")
    assert (dry.returncode, stage.open_contradictions()) == (0, 1)
    assert "would be accepted" in dry.stdout
    assert "nothing was stored" in dry.stdout
    assert at_terminal(stage.conninfo, "order", "adopt", order_id, *WHO).returncode == 0
    assert at_terminal(stage.conninfo, "order", "list", "--json").stdout == ""
    assert list_alarms(stage.connection, cleared=False, limit=10) == []
    assert read_figures(stage.connection, stage.clock()).contradictions == 0
    assert "adopted the rail's word about order 1" in at_terminal(stage.conninfo, "case", "dp", "A").stdout


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("ready", "has never left"),
        ("withdrawn", "was taken back before it left"),
        ("accepted", "is accepted already"),
        ("rejected", "is rejected already"),
        ("contradicted", "the rail contradicts that"),
    ],
)
def test_an_order_that_can_not_be_decided_says_what_it_is_and_what_can_be_done(stage: Contradicted, state: str, said: str) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    order_id = stage.orders("A")[0]
    if state == "withdrawn":
        stage.operate.withdraw(order_id, BOTH)
    elif state != "ready":
        (receipt,) = stage.exchange()
        stage.operate.decide(order_id, accepted=state == "accepted", operator=BOTH)
        if state == "contradicted":
            stage.settle([receipt])
    before = stage.rows("SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM audit)")
    refused = at_terminal(stage.conninfo, "order", "decide", order_id, "--accepted", *WHO)
    assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    assert stage.rows("SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM audit)") == before


def test_a_decision_and_its_entry_in_the_audit_chain_are_one_transaction(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    stage.exchange()
    order_id = stage.orders("A")[0]
    before = stage.rows("SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM audit WHERE chain = 0)")
    # Killed where the settlement stands and the note stands, and nothing is committed.
    stage.connection.execute("ALTER TABLE operators ADD CONSTRAINT nobody CHECK (audit_seq = 0)")
    with pytest.raises(Exception, match="nobody"):
        stage.operate.decide(order_id, accepted=True, operator=BOTH)
    assert stage.order_states("A") == ["sent"]
    assert stage.rows("SELECT (SELECT count(*) FROM receipts), (SELECT count(*) FROM audit WHERE chain = 0)") == before
    stage.connection.execute("ALTER TABLE operators DROP CONSTRAINT nobody")
    stage.operate.decide(order_id, accepted=True, operator=BOTH)
    stage.assert_clean()


def test_the_words_of_a_reason_do_not_turn_a_decision_round(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    stage.exchange()
    said = "the rail says: DELYTELSE-ID finnes i oppdragsbasen fra før"
    stage.operate.decide(stage.orders("A")[0], accepted=False, operator=Operator("Kari Nordmann", said, "Ola Hansen"))
    assert stage.order_states("A") == ["rejected"]
    stage.assert_clean()


def test_resuming_where_nothing_is_stopped_is_no_success(stage: Contradicted) -> None:
    done = by_itself(stage.conninfo, "sending", "resume", "--all", *WHO)
    assert (done.returncode, done.stderr.strip()) == (1, "nothing was stopped there")


def test_a_need_is_answered_anew_when_the_rails_word_about_its_order_is_adopted(rapid: Rapid) -> None:
    rapid.ask(need())
    (receipt,) = rapid.exchange()
    order_id = str(rapid.one("SELECT order_id::text FROM orders"))
    Operate(rapid.connection, rapid.clock, PORTS).decide(order_id, accepted=False, operator=BOTH)
    rapid.published()
    assert rapid.settle([receipt]) == [ReceiptOutcome.CONTRADICTS]
    assert rapid.heard() == ["raw receipt"]
    effect = Resolve(rapid.connection, rapid.clock, PORTS).adopt(order_id, BOTH)
    seen = [message for _, message in rapid.published()]
    assert [in_short(message) for message in seen] == ["rail AKSEPTERT", "AKSEPTERT"]
    assert "corrected" in seen[-1]["@løsning"]["Utbetaling"]["beskrivelse"]
    assert (effect.state.value, effect.payments) == ("accepted", ())
    # A repeat hears the corrected answer.
    rapid.ask(need())
    assert rapid.heard() == ["AKSEPTERT"]
    assert check(rapid.conninfo, PORTS).differences == ()


def test_needs_of_a_contradicted_case_wait_and_go_on_from_what_was_adopted(rapid: Rapid) -> None:
    rapid.ask(other_case(1))
    (receipt,) = rapid.exchange()
    order_id = str(rapid.one("SELECT order_id::text FROM orders"))
    Operate(rapid.connection, rapid.clock, PORTS).decide(order_id, accepted=False, operator=BOTH)
    rapid.settle([receipt])
    rapid.ask(following_need(1))
    assert rapid.put() == 0
    effect = Resolve(rapid.connection, rapid.clock, PORTS).adopt(order_id, BOTH)
    assert len(effect.derived) == 1
    assert rapid.finish() == [ReceiptOutcome.ACCEPTED]
    assert check(rapid.conninfo, PORTS).differences == ()


def test_an_accepted_need_that_the_rail_rejects_after_all_is_refused_anew(rapid: Rapid) -> None:
    rapid.ask(need())
    (receipt,) = rapid.exchange()
    order_id = str(rapid.one("SELECT order_id::text FROM orders"))
    rapid.settle([receipt])
    rapid.published()
    from support.hub_stage import receipt_with as with_words

    assert rapid.settle([with_words(receipt, "08", "Ugyldig")]) == [ReceiptOutcome.CONTRADICTS]
    Resolve(rapid.connection, rapid.clock, PORTS).adopt(order_id, BOTH)
    assert rapid.heard() == ["raw receipt", "rail AVVIST", "AVVIST"]
    # Said no for good: the need may come again, and is handled as new.
    rapid.ask(need())
    assert rapid.heard() == ["MOTTATT", "ordered"]
    assert check(rapid.conninfo, PORTS).differences == ()


def test_nothing_is_resolved_twice(stage: Contradicted) -> None:
    order_id = rejected_by_hand(stage)
    stage.resolve.keep(order_id, BOTH)
    with pytest.raises(NotInThatState, match="resolved before: kept"):
        stage.resolve.keep(order_id, BOTH)


def test_an_order_that_is_withdrawn_before_ours_is_kept_never_leaves(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 553)))
    (receipt,) = stage.exchange()
    first = stage.orders("A")[0]
    stage.operate.decide(first, accepted=False, operator=BOTH)
    stage.hand_in(DP, ("k2", dp("A", 553)))
    stage.settle([receipt])
    stage.operate.withdraw(stage.orders("A")[1], BOTH)
    stage.resolve.keep(first, BOTH)
    assert stage.put() == 0
    assert stage.order_states("A") == ["rejected", "withdrawn"]
    assert stage.said("k2")[-1] == "FEILET"
    stage.assert_clean()
