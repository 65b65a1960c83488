"""Approvals: one person asks, another one confirms what was shown, and it is done in that transaction (design §11)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.approvable import OrderDecided, OrderNamed, order_acts
from kvitt.disbursement.check import Kind, check
from kvitt.disbursement.rail import ReceiptOutcome
from kvitt.disbursement.values import Scheme
from kvitt.errors import ApprovalLapsed, ApprovalNotFound, EffectChanged, KvittError, NeedsSecondPerson, NotInThatState
from kvitt.kernel.approvals import Approval, Approvals, ApprovalState
from kvitt.kernel.database import connect
from kvitt.kernel.money import Minor
from kvitt.kernel.operators import Operator
from kvitt.ledger.transfer import Transfer
from kvitt.payouts.approvable import PayoutNamed, payout_acts, transfer_act
from support.console_script import inside, kvitt
from support.contradiction_stage import BOTH, Contradicted, contradicted
from support.hub_messages import dp, ts, ts_payment
from support.ledger_stage import clock as payout_clock
from support.payout_stage import payout_stage, wanted

pytestmark = pytest.mark.usefixtures("made_up_people")

DP, TS = Scheme.DAGPENGER, Scheme.TILLEGGSSTONADER
KARI = Operator("Kari Nordmann", "the bank said so by phone")
OLA = "Ola Hansen"
LOOKS_LIKE_KARI = ("Kari Nordmann", "kari  nordmann", "KARI NORDMANN", "Кari Nоrdmann", "Kari\u200b Nordmann")


@pytest.fixture
def stage(database: str) -> Iterator[Contradicted]:
    with contradicted(database) as made:
        yield made


def approvals_on(stage: Contradicted, connection: Any = None) -> Approvals:
    return Approvals(connection or stage.connection, stage.clock, order_acts(stage.clock, PORTS))


def sent_order(stage: Contradicted, case: str = "A") -> str:
    """An order that the rail has, and whose receipt does not come; a message waits behind it."""
    stage.hand_in(DP, (f"{case}-1", dp(case, 500)))
    stage.put()
    stage.hand_in(DP, (f"{case}-2", dp(case, 600)))
    return stage.orders(case)[0]


def asked(stage: Contradicted, order_id: str, *, accepted: bool = True) -> Approval:
    return approvals_on(stage).ask("order decide", OrderDecided(order_id, accepted), KARI)


def acts(stage: Contradicted) -> list[str]:
    """What the operators' chain says was done, oldest first."""
    return [str(what) for (what,) in stage.rows("SELECT what FROM audit WHERE chain = 0 ORDER BY seq")]


def test_what_one_asks_for_another_confirms_and_it_is_done_at_once(stage: Contradicted) -> None:
    order_id = sent_order(stage)
    before = stage.rows("SELECT * FROM outbox ORDER BY outbox_no")
    approval = asked(stage, order_id)
    assert (approval.state, approval.subject, approval.asked_by) == ("asked", order_id, "Kari Nordmann")
    assert f"order {order_id} of DP, 1 line, " in approval.effect
    assert "would be made" in approval.effect, "the message that waits would be derived"
    assert stage.rows("SELECT * FROM outbox ORDER BY outbox_no") == before, "what was looked at is taken back"
    assert stage.order_states("A") == ["sent"]

    done = approvals_on(stage).confirm(approval.approval_no, OLA, seen=approval.seen)
    assert (done.state, done.decided_by, done.outcome) == ("confirmed", OLA, f"order {order_id} is accepted by an operator's word")
    assert stage.order_states("A") == ["accepted", "ready"]
    assert acts(stage) == ["approval asked", "decide accepted", "approval confirmed"]
    query = "SELECT note::jsonb ->> 'by', note::jsonb ->> 'approved_by', note::jsonb ->> 'approval' FROM audit WHERE chain = 0 AND seq = 2"
    (row,) = stage.rows(query)
    assert row == ("Kari Nordmann", OLA, str(approval.approval_no))
    stage.assert_clean()


@pytest.mark.parametrize("name", LOOKS_LIKE_KARI)
def test_whoever_asked_can_not_confirm_under_any_name_that_looks_alike(stage: Contradicted, name: str) -> None:
    approval = asked(stage, sent_order(stage))
    with pytest.raises(NeedsSecondPerson):
        approvals_on(stage).confirm(approval.approval_no, name)
    assert stage.order_states("A") == ["sent"]
    assert approvals_on(stage).find(approval.approval_no).state == "asked"


def test_what_is_decided_is_not_decided_again(stage: Contradicted) -> None:
    approvals, order_id = approvals_on(stage), sent_order(stage)
    confirmed, refused = asked(stage, order_id).approval_no, asked(stage, order_id, accepted=False).approval_no
    approvals.refuse(refused, "Kari Nordmann", "a slip of the finger")
    approvals.confirm(confirmed, OLA)
    for number in (confirmed, refused):
        with pytest.raises(NotInThatState):
            approvals.confirm(number, "Per Olsen")
        with pytest.raises(NotInThatState):
            approvals.refuse(number, "Per Olsen", "too late for that")
    with pytest.raises(ApprovalNotFound):
        approvals.confirm(1000, OLA)
    assert [each.state for each in approvals.listed(None)] == ["refused", "confirmed"]
    assert approvals.listed() == []
    stage.assert_clean()


def test_an_approval_lapses(stage: Contradicted) -> None:
    approvals, order_id = approvals_on(stage), sent_order(stage)
    first, second = asked(stage, order_id), asked(stage, order_id)
    stage.clock.set(first.lapses_at - timedelta(seconds=1))
    assert approvals.lapse() == 0
    stage.clock.set(second.lapses_at)
    with pytest.raises(ApprovalLapsed):
        approvals.confirm(second.approval_no, OLA)
    assert (approvals.lapse(), approvals.lapse()) == (1, 0)
    assert [each.state for each in approvals.listed(None)] == ["lapsed", "lapsed"]
    assert stage.order_states("A") == ["sent"]
    stage.assert_clean()


def test_what_would_do_something_else_by_now_is_shown_and_confirmed_anew(stage: Contradicted) -> None:
    """Between asking and confirming another message came in, which would be derived, too."""
    approvals, order_id = approvals_on(stage), sent_order(stage)
    approval = asked(stage, order_id)
    assert approvals.effect_now(approval).basis == approval.basis
    stage.hand_in(DP, ("A-3", dp("A", 700)))
    assert approvals.effect_now(approval).basis != approval.basis
    with pytest.raises(EffectChanged):
        approvals.confirm(approval.approval_no, OLA)
    assert stage.order_states("A") == ["sent"]
    shown = approvals.find(approval.approval_no)
    assert shown.changed_at is not None
    assert (shown.state, shown.seen == approval.seen) == ("asked", False)
    with pytest.raises(EffectChanged):
        approvals.confirm(approval.approval_no, OLA, seen=approval.seen)
    assert approvals.confirm(approval.approval_no, OLA, seen=shown.seen).state == "confirmed"
    stage.assert_clean()


def test_what_can_not_be_done_any_more_has_failed_with_the_reason(stage: Contradicted) -> None:
    order_id = sent_order(stage)
    approval = asked(stage, order_id)
    stage.operate.decide(order_id, accepted=False, operator=BOTH)
    done = approvals_on(stage).confirm(approval.approval_no, OLA)
    assert (done.state, done.decided_by) == ("failed", OLA)
    assert "is rejected already" in str(done.outcome)
    assert stage.order_states("A")[0] == "rejected"
    stage.assert_clean()


def test_what_can_not_be_done_is_not_asked_for(stage: Contradicted) -> None:
    stage.hand_in(DP, ("k1", dp("A", 500)))
    with pytest.raises(NotInThatState):
        asked(stage, stage.orders("A")[0])
    assert approvals_on(stage).listed(None) == []


def test_two_who_confirm_at_once_do_it_once(stage: Contradicted) -> None:
    approval = asked(stage, sent_order(stage))

    def confirm(name: str) -> str:
        with connect(stage.conninfo) as connection:
            try:
                return approvals_on(stage, connection).confirm(approval.approval_no, name).state
            except KvittError as error:
                return error.code

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(confirm, (OLA, "Per Olsen")))
    assert results == ["confirmed", "not_in_that_state"]
    assert acts(stage).count("decide accepted") == 1
    stage.assert_clean()


def test_acts_of_orders_are_the_same_by_approval(stage: Contradicted) -> None:
    """Resending, releasing, adopting and keeping."""
    approvals = approvals_on(stage)
    order_id = sent_order(stage)
    resent = approvals.ask("order resend", OrderNamed(order_id), KARI)
    assert "to be sent once more" in resent.effect
    approvals.confirm(resent.approval_no, OLA)
    assert stage.order_states("A") == ["ready"]

    stage.hand_in(TS, ("t1", ts("T", ts_payment("11111111-1111-4111-8111-111111111111"))))
    stage.finish()
    stage.hand_in(TS, ("t2", ts("T", ts_payment("22222222-2222-4222-8222-222222222222"))))
    held = stage.orders("T")[1]
    released = approvals.ask("order release", OrderNamed(held), KARI)
    assert "it would be sent" in released.effect
    approvals.confirm(released.approval_no, OLA)
    stage.finish()
    assert stage.order_states("T") == ["accepted", "accepted"]

    stage.hand_in(DP, ("b1", dp("B", 500)))
    (receipt,) = stage.exchange()
    stage.operate.decide(stage.orders("B")[0], accepted=False, operator=BOTH)
    assert stage.settle([receipt]) == [ReceiptOutcome.CONTRADICTS]
    kept = approvals.ask("order keep", OrderNamed(stage.orders("B")[0]), KARI)
    adopted = approvals.ask("order adopt", OrderNamed(stage.orders("B")[0]), KARI)
    assert "is rejected and would be accepted" in adopted.effect
    assert approvals.confirm(adopted.approval_no, OLA).state == "confirmed"
    assert stage.order_states("B") == ["accepted"]
    assert approvals.confirm(kept.approval_no, OLA).state == "failed"
    stage.assert_clean()


def test_payouts_and_transfers_are_done_by_approval(database: str) -> None:
    with payout_stage(database) as stage:
        payouts = stage.payouts
        payouts.create(wanted())
        approvals = Approvals(stage.connection, payout_clock, [*payout_acts(payout_clock), transfer_act(payout_clock)])
        approval = approvals.ask("payout confirm", PayoutNamed("p-1"), KARI)
        assert "payout p-1 of party party-1, shop shop-1, would be confirmed" in approval.effect
        assert payouts.get("p-1").status.value == "unpaid"
        assert approvals.confirm(approval.approval_no, OLA).outcome == "payout p-1 is confirmed"
        assert payouts.get("p-1").status.value == "confirmed"
        with pytest.raises(NotInThatState):
            approvals.ask("payout confirm", PayoutNamed("p-1"), KARI)
        asked_for = Transfer("sales", stage.bank, stage.settlement, Minor(7), "RUB", "sales")
        moved = approvals.ask("ledger transfer", asked_for, KARI)
        before = stage.totals()
        approvals.confirm(moved.approval_no, OLA)
        assert stage.totals() != before
    assert check(database, PORTS).clean


def test_the_check_finds_an_approval_by_one_person_and_one_without_its_act(stage: Contradicted) -> None:
    approval = asked(stage, sent_order(stage))
    approvals_on(stage).confirm(approval.approval_no, OLA)
    stage.connection.execute("UPDATE approvals SET decided_by = 'kari nordmann'")
    found = check(stage.conninfo, PORTS)
    assert found.by_kind.keys() == {Kind.APPROVAL}
    assert "was confirmed by the person who asked for it" in {each.text for each in found.differences}
    stage.connection.execute("UPDATE approvals SET decided_by = %s, entries = 2", (OLA,))
    assert check(stage.conninfo, PORTS).by_kind == {Kind.APPROVAL: 1}
    stage.connection.execute("UPDATE approvals SET state = 'asked', decided_at = NULL, decided_by = NULL, entries = NULL")
    assert check(stage.conninfo, PORTS).by_kind.keys() == {Kind.APPROVAL}


def test_on_the_command_line_one_asks_and_another_confirms(stage: Contradicted, tmp_path: Path) -> None:
    order_id = sent_order(stage)
    by = ("--by", "kari", "--reason", "the bank said so by phone")
    here = ("--database", stage.conninfo)
    published = kvitt(tmp_path, "order", "decide", order_id[:8], "--accepted", *by, "--ask", *here)
    assert published.returncode == 0, published.stderr
    assert "kvitt approve yes 1 --by NAME" in published.stdout
    both = inside(tmp_path, "order", "decide", order_id, "--accepted", *by, "--approved-by", "ola", "--ask", *here)
    assert (both.returncode, "leave --approved-by out" in both.stderr) == (2, True)
    listed = inside(tmp_path, "approve", "list", *here).stdout
    assert "order decide" in listed
    assert "would be accepted" in inside(tmp_path, "approve", "show", "1", *here).stdout
    alone = inside(tmp_path, "approve", "yes", "1", "--by", "KARI", *here)
    assert (alone.returncode, "needs_second_person" in alone.stderr) == (2, True)
    done = kvitt(tmp_path, "approve", "yes", "1", "--by", "ola", *here)
    assert (done.returncode, "is confirmed" in done.stdout) == (0, True)
    again = inside(tmp_path, "approve", "yes", "1", "--by", "ola", *here)
    assert (again.returncode, "not_in_that_state" in again.stderr) == (2, True)
    assert stage.order_states("A")[0] == "accepted"
    assert [each.state for each in approvals_on(stage).listed([ApprovalState.CONFIRMED])] == ["confirmed"]
