"""A rail whose answers speak of single transfers: an order is settled once all of it is answered, and what is said on the way is noted."""

import re
from collections.abc import Iterator, Sequence

import pytest

from kvitt.app.ports import ports_of
from kvitt.broker_settings import RapidSettings
from kvitt.contracts.helved import topics
from kvitt.disbursement.cancel.ask import cancel
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.rail import Candidate, Capabilities, Observation, Reason, ReceiptOutcome, Severity
from kvitt.disbursement.states import OrderState
from kvitt.errors import NotInThatState, UnreadableReceipt
from kvitt.kernel.operators import Operator
from kvitt.settings import OpsSettings
from kvitt.testing import Hub, hub
from support.hub_messages import aap
from support.rail_kits import SCHEME
from support.toy_rail import ToyRail

KARI = Operator("kari", "the payee has another account now")
TWO = Operator("kari", "the payee has another account now", "ola")
_ANSWER = re.compile(r"transfer ([0-9a-f-]{36})/(\d+) (\w+)")
_FINAL = {"TAKEN": Severity.OK, "NO": Severity.REJECTED}
_LATER = {
    "PAID": ReceiptOutcome.SETTLED,
    "BACK": ReceiptOutcome.RETURNED,
    "CANCELLED": ReceiptOutcome.CANCELLED,
    "KEPT": ReceiptOutcome.NOTED,
}
_REASONS = {"CANCELLED": Reason.CANCELLED, "KEPT": Reason.NOT_CANCELLED}


class TransferRail(ToyRail):
    """The toy rail, if each line of an order were a transfer: `transfer ORDER/NUMBER CODE` comes back."""

    name = "transfers"
    capabilities = Capabilities(cancels=True, answers_parts=True)

    def read(self, answer: bytes) -> Sequence[Observation]:
        """Each line says something of one transfer."""
        found = [_ANSWER.fullmatch(line) for line in answer.decode().splitlines()]
        if not found or None in found:
            raise UnreadableReceipt("has a line that is no answer")
        said = [each.groups() for each in found if each]
        return [_observation(*each) for each in said]

    def decide(self, observation: Observation, order: Candidate) -> ReceiptOutcome:
        """Accepted once each transfer has its answer and one of them is taken; what is booked, or comes back, is said later.

        A transfer may fail after its order was accepted: nothing is booked of it, as if the money had come back.
        """
        if observation.raw_severity in _LATER:
            return _LATER[observation.raw_severity]
        if order.state is OrderState.ACCEPTED and observation.raw_severity == "NO":
            return ReceiptOutcome.RETURNED
        answers = {each.part: _FINAL[each.raw_severity] for each in (*order.said, observation) if each.raw_severity in _FINAL}
        if observation.raw_severity not in _FINAL or len(answers) < order.message.count(b"="):
            return ReceiptOutcome.NOTED
        return ReceiptOutcome.ACCEPTED if Severity.OK in answers.values() else ReceiptOutcome.REJECTED


def _observation(order: str, part: str, code: str) -> Observation:
    reasons = frozenset(each for each in (_REASONS.get(code),) if each)
    return Observation(None, "", b"", "", _FINAL.get(code, Severity.OK), code, reasons=reasons, order_id=order, part=part)


@pytest.fixture
def site(database: str) -> Iterator[Hub]:
    """A hub whose AAP leaves as transfers; whatever a test did, all of it can be made again from what is stored."""
    ports = ports_of(RapidSettings(), OpsSettings(), further=[TransferRail()], of_scheme={SCHEME: TransferRail.name})
    with hub(conninfo=database, ports=ports) as made:
        yield made
        made.check()


def ask(site: Hub, case: str) -> str:
    """Two transfers of a case; the id of their order."""
    decision = aap(case)
    decision["utbetalinger"] = [
        {**payment, "fom": first, "tom": last, "utbetaltBeløp": amount}
        for payment in decision["utbetalinger"]  # type: ignore[attr-defined]
        for first, last, amount in (("2026-06-01", "2026-06-05", 500), ("2026-06-08", "2026-06-12", 600))
    ]
    site.put(topics.primary_input(SCHEME), case, decision)
    site.run()
    return next(each.order_id for each in site.sent() if each.case_id == case)


def answer(site: Hub, *said: str) -> None:
    site.rail.reply("\n".join(f"transfer {each}" for each in said).encode(), rail=TransferRail.name)
    site.run()


def outcomes(site: Hub) -> list[str]:
    return [str(outcome) for (outcome,) in site.connection.execute("SELECT outcome FROM receipts ORDER BY receipt_no")]


def states(site: Hub) -> dict[str, str]:
    return dict(site.connection.execute("SELECT case_id, state FROM kvitt_views.orders").fetchall())


def last_status(site: Hub, case: str) -> str:
    return str(site.published(topics.STATUSES, case)[-1].json["status"])


def test_what_is_said_on_the_way_is_kept_and_changes_nothing(site: Hub) -> None:
    order = ask(site, "A")
    answer(site, f"{order}/0 WAITS", f"{order}/1 WAITS")
    answer(site, f"{order}/0 TAKEN")
    assert (outcomes(site), states(site), last_status(site, "A")) == (["noted"] * 3, {"A": "sent"}, "HOS_OPPDRAG")
    assert Operate(site.connection, site.clock, site.ports).odd_receipts() == []
    answer(site, f"{order}/1 TAKEN")
    assert (outcomes(site)[3:], states(site), last_status(site, "A")) == (["accepted"], {"A": "accepted"}, "OK")
    answer(site, f"{order}/0 WAITS")
    assert (outcomes(site)[4:], states(site)) == (["noted"], {"A": "accepted"}), "what comes late is noted, too"


def test_each_transfer_has_its_answer_and_one_answer_may_speak_of_many_orders(site: Hub) -> None:
    first, second, third = ask(site, "A"), ask(site, "B"), ask(site, "C")
    answer(site, f"{first}/0 TAKEN", f"{second}/0 NO", f"{first}/1 NO", f"{third}/1 NO")
    answer(site, f"{second}/1 NO", f"{third}/0 TAKEN")
    assert states(site) == {"A": "accepted", "B": "rejected", "C": "accepted"}
    assert [last_status(site, case) for case in "ABC"] == ["OK", "FEILET", "OK"]
    assert outcomes(site) == ["noted", "noted", "accepted", "noted", "rejected", "accepted"]


def test_money_that_came_back_waits_for_a_person(site: Hub) -> None:
    order = ask(site, "A")
    answer(site, f"{order}/0 TAKEN", f"{order}/1 TAKEN")
    answer(site, f"{order}/0 PAID", f"{order}/1 PAID")
    answer(site, f"{order}/1 BACK")
    assert (outcomes(site), states(site)) == (["noted", "accepted", "settled", "settled", "returned"], {"A": "accepted"})
    operate = Operate(site.connection, site.clock, site.ports)
    (waiting,) = operate.odd_receipts()
    assert (waiting.outcome, waiting.order_id) == ("returned", order)
    assert site.connection.execute("SELECT what, case_id, ends_by FROM kvitt_views.stuck").fetchall() == [
        ("receipt returned", "A", "kvitt receipt close")
    ]
    operate.close_receipt(waiting.receipt_no, KARI)
    assert operate.odd_receipts() == []
    assert [each.is_open for each in operate.odd_receipts(everything=True)] == [False]


def test_a_transfer_that_fails_after_its_order_was_accepted_waits_for_a_person_and_contradicts_nothing(site: Hub) -> None:
    order = ask(site, "A")
    answer(site, f"{order}/0 TAKEN", f"{order}/1 TAKEN")
    answer(site, f"{order}/0 PAID", f"{order}/1 NO")
    assert (outcomes(site), states(site)) == (["noted", "accepted", "settled", "returned"], {"A": "accepted"})
    assert site.connection.execute("SELECT count(*) FROM contradictions").fetchone() == (0,)
    assert [each.outcome for each in Operate(site.connection, site.clock, site.ports).odd_receipts()] == ["returned"]


def test_money_that_comes_back_before_anybody_has_accepted_it_leaves_its_order_unknown(site: Hub) -> None:
    order = ask(site, "A")
    answer(site, f"{order}/1 BACK")
    assert (outcomes(site), states(site)) == (["unclear"], {"A": "unknown"})
    answer(site, f"{order}/0 TAKEN", f"{order}/1 TAKEN")
    assert (outcomes(site)[1:], states(site)) == (["noted", "accepted"], {"A": "accepted"})


def test_each_transfer_is_cancelled_or_kept_and_what_is_kept_may_be_asked_for_anew(site: Hub) -> None:
    order = ask(site, "A")
    answer(site, f"{order}/0 TAKEN", f"{order}/1 TAKEN")
    cancel(site.connection, site.clock, site.ports, order, TWO)
    site.run()
    answer(site, f"{order}/0 CANCELLED", f"{order}/1 KEPT")
    assert (outcomes(site)[2:], requests(site), states(site)) == (["cancelled", "noted"], ["agreed"], {"A": "accepted"})
    with pytest.raises(NotInThatState, match="is accepted; only one that is sent or unknown"):
        Operate(site.connection, site.clock, site.ports).resend(order, TWO)
    site.clock.advance(hours=1)
    cancel(site.connection, site.clock, site.ports, order, TWO)
    site.run()
    answer(site, f"{order}/1 CANCELLED")
    assert (outcomes(site)[4:], requests(site)) == (["cancelled"], ["agreed", "agreed"])


@pytest.mark.parametrize("other", ["settled", "cancelled", "noted", "repeat"])
def test_the_check_finds_a_receipt_that_is_taken_for_another_word_than_its_rails(site: Hub, other: str) -> None:
    order = ask(site, "A")
    answer(site, f"{order}/0 TAKEN", f"{order}/1 TAKEN")
    answer(site, f"{order}/1 BACK")
    site.connection.execute("UPDATE receipts SET outcome = %s WHERE receipt_no = 3", [other])
    assert any(f"is {other}, which its words do not say" in each for each in site.findings())
    site.connection.execute("UPDATE receipts SET outcome = 'returned' WHERE receipt_no = 3")


def requests(site: Hub) -> list[str]:
    return [str(state) for (state,) in site.connection.execute("SELECT state FROM cancellations ORDER BY number")]
