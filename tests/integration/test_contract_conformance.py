"""What every contract promises, on topics or called: the same promises and tests, tried on all and on toys (docs/contract-port.md)."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.check import check
from kvitt.disbursement.decisions import DecisionChain
from kvitt.disbursement.derive.micro_chained import NEW_CASE
from kvitt.disbursement.events import Ordered, Queued, Refused, Repeated, Unchanged
from kvitt.disbursement.handle import numbered
from kvitt.disbursement.history import history
from kvitt.disbursement.inbox import IdempotencyRecord, InboxMessage, Incoming, ParsedRecord, Skipped
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.resolve import Resolve
from kvitt.disbursement.states import MessageState, OrderState
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import InvalidForm, Refusal
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings
from kvitt.testing import Hub
from support.contract_kits import KITS, ContractKit, Message, ToyKit
from support.hub_stage import Stage, receipt_with
from support.toy_contract import PAYMENTS, STATUS
from support.tried import tried

TWO = Operator("Kari Nordmann", "the bank said so by phone", "Ola Hansen")
AT = datetime(2026, 7, 1, 8, 0, tzinfo=UTC)
Kit = type[ContractKit]


class Site(Stage):
    """A hub with the contract of a kit, stepped by hand."""

    def __init__(self, conninfo: str, kit: ContractKit) -> None:
        super().__init__(conninfo, kit.ports)
        self.kit = kit
        self.operate, self.resolve = Operate(self.connection, self.clock, kit.ports), Resolve(self.connection, self.clock, kit.ports)
        self._offset = 0

    def record(self, key: bytes | None, body: bytes | None, headers: bytes | None = None) -> Incoming:
        """The next record of the contract's topic, or its next call."""
        self._offset += 1
        return Incoming(self.kit.source, 0, self._offset, key, body, self.kit.asks(1).headers if headers is None else headers)

    def ask(self, *messages: Message) -> list[Outcome]:
        """Hands in messages as one batch."""
        return self.submit([self.record(*each) for each in messages])

    def heard(self) -> list[Answer]:
        """What senders have heard, in the core's words: what was published, in that order; callers hear what is kept of each call."""
        if not self.kit.contract.answers_on:
            return self.kept()
        values = self.bytes("SELECT value FROM outbox WHERE topic = %s ORDER BY outbox_no", self.kit.contract.answers_on)
        return [answer for value in values if (answer := self.kit.contract.published_answer(value))]

    def kept(self) -> list[Answer]:
        """The answer that is kept with each message."""
        return [self.kit.contract.in_short(value) for value in self.bytes("SELECT answer FROM messages ORDER BY message_no")]

    def states(self) -> list[str]:
        """The state of each message."""
        return [str(state) for (state,) in self.rows("SELECT state FROM messages ORDER BY message_no")]

    def orders(self) -> list[str]:
        """The ids of all orders, oldest first."""
        return [str(order_id) for (order_id,) in self.rows("SELECT order_id::text FROM orders ORDER BY message_no, number")]


@pytest.fixture(params=KITS, ids=lambda kit: kit.__name__)
def site(database: str, request: pytest.FixtureRequest) -> Iterator[Site]:
    """A hub of each kit in turn; whatever a test did, all of it can be made again from what is stored."""
    site = Site(database, request.param())
    yield site
    differences = check(database, site.kit.ports).differences
    site.close()
    assert [repr(each) for each in differences] == []


def test_every_record_is_answered_or_kept(site: Site) -> None:
    broken = site.kit.broken()
    records = [
        site.record(*site.kit.asks(1)),
        site.record(*broken),
        site.record(b"\xff\x00", b'{"@behov":["Utbetaling"'),
    ]
    outcomes = site.submit(records)
    assert outcomes[:2] == [Outcome.DERIVED, Outcome.ANSWERED]
    assert outcomes[2] in (Outcome.DEAD, Outcome.ANSWERED)
    if site.kit.contract.answers_on:
        assert site.submit([site.record(broken.key, None)]) == [Outcome.SKIPPED], "a tombstone asks for nothing; a call has a body"
    assert site.heard()[1].status is Status.FAILED
    assert site.rows("SELECT count(*) FROM messages")[0][0] == len(site.kept())
    site.finish()


def test_a_record_handed_in_twice_is_one_message(site: Site) -> None:
    record = site.record(*site.kit.asks(1))
    assert site.submit([record]) == [Outcome.DERIVED]
    assert site.submit([record]) == [Outcome.REPEATED]
    assert len(site.orders()) == 1
    site.finish()


def test_a_repeat_is_answered_and_sends_nothing(site: Site) -> None:
    site.ask(site.kit.asks(1))
    site.finish()
    before = site.heard()[-1]
    assert site.ask(site.kit.asks(1)) == [Outcome.ANSWERED]
    assert site.heard()[-1].status is before.status is Status.OK
    assert len(site.orders()) == 1
    if site.kit.knows_repeats:
        assert site.heard()[-1] == before
        assert site.ask(site.kit.asks_otherwise(1)) == [Outcome.ANSWERED]
        assert site.heard()[-1].status is Status.FAILED


def test_a_busy_case_queues_or_refuses(site: Site) -> None:
    site.ask(site.kit.asks(1))
    outcome = site.ask(site.kit.asks_more(1))
    if site.kit.queues:
        assert outcome == [Outcome.QUEUED]
    else:
        assert outcome == [Outcome.ANSWERED]
        assert site.heard()[-1].status is Status.FAILED
        site.finish()
        site.ask(site.kit.asks_more(1))
    site.finish()
    assert site.order_states(site.kit.case(1)) == ["accepted", "accepted"]
    assert site.heard()[-1].status is Status.OK


def test_a_repeat_is_answered_while_its_case_is_busy(site: Site) -> None:
    site.ask(site.kit.asks(1))
    assert site.ask(site.kit.asks(1)) == [Outcome.ANSWERED if site.kit.knows_repeats else Outcome.QUEUED]
    assert site.heard()[0].status is site.heard()[-1].status is Status.RECEIVED
    site.finish()
    assert len(site.orders()) == 1


def test_a_receipt_settles_and_the_last_answer_is_kept(site: Site) -> None:
    site.ask(site.kit.asks(1), site.kit.asks(2))
    first, second = site.exchange()
    site.settle([first, receipt_with(second, "08", "Ugyldig")])
    assert [each.status for each in site.kept()] == [Status.OK, Status.FAILED]
    assert [each.status for each in site.heard()[-2:]] == [Status.OK, Status.FAILED]
    assert "Ugyldig" in str(site.kept()[1].error)
    assert site.states() == ["answered", "answered"]


def test_what_is_unclear_is_reported_and_may_be_settled_later(site: Site) -> None:
    site.ask(site.kit.asks(1))
    (receipt,) = site.exchange()
    site.settle([receipt_with(receipt, "99", "hva som helst")])
    assert site.heard()[-1].status is Status.FAILED
    assert site.states() == ["derived"]
    site.settle([receipt])
    assert site.heard()[-1].status is site.kept()[0].status is Status.OK


def test_an_order_taken_back_is_reported(site: Site) -> None:
    site.ask(site.kit.asks(1))
    site.operate.withdraw(site.orders()[0], TWO)
    assert site.heard()[-1].status is site.kept()[0].status is Status.FAILED
    site.ask(site.kit.asks_more(1))
    site.finish()


def test_a_word_that_was_adopted_is_published_anew(site: Site) -> None:
    site.ask(site.kit.asks(1))
    (receipt,) = site.exchange()
    site.operate.decide(site.orders()[0], accepted=False, operator=TWO)
    assert site.heard()[-1].status is Status.FAILED
    site.settle([receipt])
    site.resolve.adopt(site.orders()[0], TWO)
    assert site.heard()[-1].status is site.kept()[0].status is Status.OK
    assert site.order_states(site.kit.case(1)) == [OrderState.ACCEPTED]


def test_an_operator_sees_its_answers_in_the_words_of_all(site: Site) -> None:
    site.ask(site.kit.asks(1))
    site.finish()
    seen = history(site.conninfo, site.kit.ports, site.kit.scheme, site.kit.case(1))
    assert seen.messages[0].answer == site.heard()[-1]
    assert [each.answer for each in seen.published[-1:]] == (site.heard()[-1:] if site.kit.contract.answers_on else [])


def message_of(kit: ContractKit, number: int) -> InboxMessage:
    parsed = kit.contract.read(Incoming(kit.source, 0, number, *kit.asks(number)))
    assert isinstance(parsed, ParsedRecord)
    return numbered(parsed, number, AT)


@pytest.mark.parametrize("made", KITS)
def test_a_reply_is_a_function_of_the_event_and_the_stored_rows(made: Kit) -> None:
    kit = made()
    message, again = message_of(kit, 1), message_of(kit, 1)
    case = replace(NEW_CASE, decisions=DecisionChain()) if kit.contract.keeps_chain else NEW_CASE
    orders = kit.contract.derive(message, case, AT)
    assert not isinstance(orders, Refusal)
    encoded = [kit.ports.rails.of[kit.scheme].encode(order).message for order in orders]
    repeated = Repeated(
        IdempotencyRecord(1, b"", MessageState.DERIVED, kit.contract.reply(Ordered(1, orders, encoded), message, AT).answer)
    )
    refused = Refused(Refusal(400, "no", "errors"))
    for event in (Queued(), refused, Unchanged(), Ordered(1, orders, encoded), *((repeated,) if kit.knows_repeats else ())):
        assert kit.contract.reply(event, message, AT) == kit.contract.reply(event, again, AT)
    assert orders == kit.contract.derive(again, case, AT)


@pytest.mark.parametrize("made", KITS)
@tried(200)
@given(key=st.none() | st.binary(max_size=20), body=st.none() | st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_reading_never_fails(made: Kit, key: bytes | None, body: bytes | None) -> None:
    kit = made()
    found = kit.contract.read(Incoming(kit.source, 0, 1, key, body, kit.asks(1).headers))
    assert isinstance(found, ParsedRecord | Skipped)
    if isinstance(found, ParsedRecord):
        assert found.scheme is kit.scheme


def test_the_toy_goes_the_whole_way_in_a_hub_that_it_is_plugged_into(database: str) -> None:
    kit = ToyKit()
    hub = Hub(database, Settings(), ports=kit.ports)
    for message in (kit.asks(1), kit.asks(1), kit.broken()):
        hub.put(PAYMENTS, message.key, message.body)
    hub.run()
    assert [each.value for each in hub.published(STATUS, b"key-1")] == [b"received", b"received", b"paid"]
    assert [each.value for each in hub.published(STATUS, b"key")] == [b"refused a line is case,payment,person,from,to,kroner"]
    assert hub.findings() == []
    hub.close()


@pytest.mark.parametrize("made", KITS)
def test_a_form_that_is_broken_may_stay_unanswered_where_that_is_set(made: Kit) -> None:
    kit = made()
    found = kit.contract.read(Incoming(kit.source, 0, 1, *kit.broken()))
    assert isinstance(found, ParsedRecord)
    assert isinstance(found.content, Refusal)
    assert kit.contract.answers_invalid or isinstance(found.content, InvalidForm)
