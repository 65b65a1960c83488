"""The port Contract: how the senders of some topics talk to the hub; and the registry by which a record finds its own (design §3).

The core knows no contract by name. Each is one object that `app/` makes and that names its topics; whatever may differ between senders is
asked of it. `docs/contract-port.md` tells how to write one.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Final, Protocol

from kvitt.disbursement import payment_document
from kvitt.disbursement.answers import Answer
from kvitt.disbursement.decisions import DecisionKey, Frame
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.events import (
    Announcement,
    Event,
    OutboxRecord,
    Reply,
)
from kvitt.disbursement.inbox import (
    FAILURE,
    IdempotencyRecord,
    InboxMessage,
    Incoming,
    Interpreted,
    ParsedRecord,
    ReplyTo,
)
from kvitt.disbursement.reconciliation import ReconciliationForm
from kvitt.disbursement.refusals import BASE, USED_OTHERWISE, owned_by_another
from kvitt.disbursement.simulation import ONCE, Again
from kvitt.disbursement.values import Instruction, Order, Payment, Refusal, Scheme
from kvitt.errors import UnknownSource
from kvitt.formats.topics import TopicTerms

DECISIONS: Final = "decisions"
"""The role of a contract that is called: its sources are names of ours, and no topics."""


class WhenOrderIsOpen(Enum):
    """Ways with a message whose case has an open order: it waits its turn, or is handled all the same."""

    QUEUE = "queue"
    HANDLE = "handle"


class Contract(Protocol):
    """All that the hub asks of a contract; where there is an answer here, it is the usual one. All methods are pure functions.

    The moment of what happens is an argument, and so is everything that is stored: `kvitt check` asks again, years later, and must get
    the same bytes.
    """

    name: str
    """What it is called in documentation and logs."""
    sources: Mapping[str, Scheme]
    """The topics on which it is heard, with the scheme of all that stands on each; or under which calls of it are stored (`role`)."""
    topics: Sequence[TopicTerms]
    """All its topics, those too on which it only publishes, and how each is kept."""
    answers_on: str | None
    """The topic on which it answers; None: whoever calls hears the answer, and no topic does."""
    outputs: Sequence[str] = ()
    """The topics on which only the hub publishes."""
    role: str = "intake"
    """The role of a process that reads its topics (`kvitt run`); that of one that is called is `DECISIONS`."""
    lists_on: str | None = None
    """The topic on which it announces the payments of cases (`CaseListed`)."""
    copies_on: str | None = None
    """The topic on which it copies receipts as they come (`ReceiptArrived`)."""
    copies_of: Collection[Scheme | None] = ()
    """The schemes of whose orders it copies receipts; None stands for receipts of which nobody can say whose they are."""
    reconciliation: ReconciliationForm | None = None
    """How its orders are reported to a rail that reconciles; None: they are not."""
    forwards: bool = False
    """Its senders make the order lines themselves; the hub passes them on as they are, and compares lines instead of payments."""
    replies_from_body: bool = False
    """Its replies are made from what was asked: messages come with their body and their orders."""
    answers_invalid: bool = True
    """It answers messages that break rules of their form (`InvalidForm`); else they are stored and hear nothing."""
    callers_choose_ids: bool = False
    """The ids of its payments come with its messages in every scheme, also where the ids of a scheme are derived otherwise."""
    simulates_for: Collection[str] = ()
    """The contracts whose cases its dry runs may be about, beside its own."""
    keeps_chain: bool = False
    """Its decisions form a chain: each names the one before it. The case says where the chain stands (`CaseState.decisions`)."""
    asks_again: Again = ONCE
    """When the simulation of a dry run is asked for once more."""

    def read(self, record: Incoming) -> Interpreted:
        """The instruction in a record, or the refusal to answer with; that it asks for reconciliation; that it is none of ours, or unfit.

        It looks at no state. What it raises becomes an answer that kvitt failed (500), and a dead letter.
        """

    def when_order_is_open(self, message: InboxMessage) -> WhenOrderIsOpen | Refusal:  # noqa: ARG002 - the usual answer looks at nothing
        """Returns what becomes of a message whose case has an open order; a refusal answers it at once."""
        return WhenOrderIsOpen.QUEUE

    def named_simulation(self, message: InboxMessage) -> bytes | None:  # noqa: ARG002 - the usual answer looks at nothing
        """The key of the dry run whose simulation an approver saw, if a message names one; it is refused where that is no more so."""
        return None

    def refused_while_order_is_open(self, message: InboxMessage, text: str) -> Refusal:  # noqa: ARG002 - the usual answer looks at nothing
        """The refusal of a dry run whose case has an open order, or is contradicted; `text` says which, and since when."""
        return Refusal(409, text, BASE)

    def previous_decision(self, instruction: Instruction) -> DecisionKey | None:  # noqa: ARG002 - the usual answer looks at nothing
        """The decision that another one names as the one before it; None: it is the first of its case."""
        return None

    def frame_after(self, message: InboxMessage, case: CaseState) -> Frame | None:  # noqa: ARG002 - as above
        """The frame of the case from now on, where a decision that is received sets one; None: it stays as it is."""
        return None

    def owned_by_another(self, owner: str) -> Refusal:
        """The refusal of a message for a case that another contract opened."""
        return owned_by_another(owner)

    def refused_reuse(self, message: InboxMessage, record: IdempotencyRecord) -> Refusal:  # noqa: ARG002 - the usual answer looks at nothing
        """The refusal of a message that asks for something else under an identity that was used before."""
        return USED_OTHERWISE

    def may_come_again(self, record: IdempotencyRecord) -> bool:  # noqa: ARG002 - the usual answer looks at nothing
        """Whether a repeat of this message is handled as new, as after a final no; else it hears the stored answer."""
        return False

    def replays_on(self, source: str) -> str | None:
        """The topic on which a record of a topic is put once more, where senders keep the first one to themselves; None: on none."""
        return None if self.role == DECISIONS else source

    def derive(self, message: InboxMessage, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
        """The orders that turn what is accepted of a case into what a message asks for; none: nothing differs."""

    def reply(self, event: Event, message: ReplyTo, at: datetime) -> Reply:
        """Returns what is published about an event, and the answer to keep. `message` is a MessageInProgress once it has orders."""

    def announce(self, event: Announcement, at: datetime) -> Sequence[OutboxRecord]:  # noqa: ARG002 - the usual answer looks at nothing
        """Returns what is published about what happens to no message alone."""
        return ()

    def in_short(self, answer: bytes) -> Answer:
        """A kept answer in the core's words."""

    def failure_in(self, answer: bytes) -> Refusal | None:
        """The refusal in an answer which says that kvitt itself failed on the message; None in any other."""
        said = self.in_short(answer)
        return said.error if said.error and said.error.text.startswith(FAILURE) else None

    def published_answer(self, value: bytes) -> Answer | None:
        """The answer in a record on the topic of answers, in the core's words; None for a record that is none."""
        return self.in_short(value)

    def same_answer(self, one: bytes, other: bytes) -> bool:
        """Whether two answers say the same, whatever the words; for records of earlier days."""
        return one == other

    def import_form(self, payment: Payment) -> bytes:
        """A payment that was taken over from the senders' old hub, in the bytes that the first entry of its case is a digest of."""
        return payment_document.encode(payment)


class _BySource(dict[str, Contract]):
    def __missing__(self, source: str) -> Contract:
        raise UnknownSource(source)


class Contracts:
    """All contracts of a hub. No two of them share a topic."""

    def __init__(self, *contracts: Contract) -> None:
        self._contracts = contracts
        self.of = _BySource({source: contract for contract in contracts for source in contract.sources})
        """The contract of what comes in on a topic; raises UnknownSource where there is none."""
        self._by_scheme = {scheme: contract for contract in reversed(contracts) for scheme in contract.sources.values()}
        assert len(self.of) == sum(len(contract.sources) for contract in contracts), "two contracts share a topic"
        self.forwarding = frozenset(scheme for scheme, contract in self._by_scheme.items() if contract.forwards)
        """The schemes whose orders are their senders' own."""
        self._by_answers = {contract.answers_on: contract for contract in contracts if contract.answers_on}
        self.bodies_of = [source for source, contract in self.of.items() if contract.replies_from_body]
        """The topics whose messages are answered from their bodies."""

    def __iter__(self) -> Iterator[Contract]:
        return iter(self._contracts)

    def answering_on(self, topic: str) -> Contract | None:
        """The contract whose answers stand on a topic."""
        return self._by_answers.get(topic)

    def scheme_of(self, source: str) -> Scheme:
        """The scheme of what came in on a topic. Raises UnknownSource."""
        return self.of[source].sources[source]

    @property
    def topics(self) -> Sequence[TopicTerms]:
        """The topics of all of them."""
        return [terms for contract in self._contracts for terms in contract.topics]

    def named(self, name: str) -> Sequence[Contract]:
        """The contracts of this name: one may be several, each heard in another way."""
        return [contract for contract in self._contracts if contract.name == name]

    def inputs(self, role: str | None = None) -> Mapping[str, Scheme]:
        """The topics that a process with this role reads, None: all, each with the scheme of what stands there; calls come on none."""
        reading = [contract for contract in self._contracts if role in (None, contract.role) and contract.role != DECISIONS]
        return {source: scheme for contract in reading for source, scheme in contract.sources.items()}

    def input_of(self, scheme: Scheme) -> str:
        """The topic on which the senders of a scheme are heard, the first where there are several."""
        return next(source for source, found in self.inputs().items() if found is scheme)

    def first_owner(self, scheme: Scheme) -> str:
        """The contract to which the cases of a scheme belong that were taken over from its senders' old hub."""
        return self._by_scheme[scheme].name

    def reconciliation(self, scheme: Scheme) -> ReconciliationForm | None:
        """How the orders of a scheme are reported to a rail that reconciles; None: they are not."""
        return self._by_scheme[scheme].reconciliation if scheme in self._by_scheme else None

    def import_form(self, scheme: Scheme) -> Callable[[Payment], bytes]:
        """In what form the payments of a scheme were taken over. Raises KeyError for a scheme that no contract serves."""
        return self._by_scheme[scheme].import_form


def parse_again(contracts: Contracts, record: Incoming) -> ParsedRecord:
    """A stored message, read as it was when it came in; raises what reading raises."""
    found = contracts.of[record.source].read(record)
    assert isinstance(found, ParsedRecord), "what is skipped is no message"
    return found
