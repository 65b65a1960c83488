"""Messages as they come in and as their contract reads them, before any state is looked at (design §4 step 2)."""

from datetime import date, datetime
from typing import NamedTuple

from msgspec import Struct

from kvitt.disbursement.editions import CURRENT, Edition
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.states import MessageState
from kvitt.disbursement.values import (
    Instruction,
    PaymentId,
    Refusal,
    Scheme,
)
from kvitt.kernel.fetch import Source, fetch_one
from kvitt.kernel.leases import Lease
from kvitt.kernel.queries import load

_SQL = load("cases", "kvitt.disbursement")
_REASON_CHARACTERS = 500
Content = Instruction | Refusal
"""What a message asks for, in the values of its contract, or why nothing can be made of it."""
IdempotencyKey = tuple[str, str]
"""By what a message is the same as another one of its case: two names that its contract chooses."""


class Incoming(Struct, frozen=True):
    """A record of an input topic under the identity that its edge gave it. `lease` is None for sources without a position to keep.

    `follows` is how far the partition had been read before it, where that is not its own position (None): sources may leave
    positions out. A record is only handled when everything before it is. `edition` is that of the day on which it came in.
    """

    source: str
    partition: int
    position: int
    key: bytes | None
    body: bytes | None
    headers: bytes | None = None
    lease: Lease | None = None
    follows: int | None = None
    edition: Edition = CURRENT


class StoredRecord(NamedTuple):
    """A record of an input topic as a row has it."""

    source: str
    partition: int
    position: int
    key: bytes | None
    body: bytes
    headers: bytes | None

    def incoming(self, edition: int = CURRENT) -> Incoming:
        """The record as it came in, on a day of that edition."""
        return Incoming(self.source, self.partition, self.position, self.key, self.body, self.headers, edition=Edition(edition))


class Identity(Struct, frozen=True):
    """Identifies a repeat: the same `key` within its case; `digest` says whether it asks for the same."""

    key: IdempotencyKey
    digest: bytes


class IdempotencyRecord(Struct):
    """The newest message of an identity: what it asked for, how far it has come, and the answer that its sender had last."""

    message_no: int
    digest: bytes
    state: MessageState
    answer: bytes | None


class ReplyTo(Struct, frozen=True):
    """A stored message as its answers need it: where it came in, under which key, and what was asked.

    `body` is empty where the contract's answers do not need it (`Contract.replies_from_body`).
    """

    message_no: int
    source: str
    partition: int
    position: int
    key: bytes | None
    headers: bytes | None
    scheme: Scheme
    body: bytes
    received_at: datetime
    edition: int


class InboxMessage(ReplyTo, frozen=True):
    """A message that has a number, read as far as it can be."""

    content: Content
    dry_run: bool = False
    identity: Identity | None = None


class Skipped(Struct, frozen=True):
    """A record that is no message: passed by, or `kept` as a dead letter with the reason. `unaddressed`: nobody could be answered."""

    incoming: Incoming
    reason: str
    kept: bool
    unaddressed: bool = False


class ParsedRecord(Struct, frozen=True):
    """A record read as far as it can be.

    `case_key` names its case; it is None for one that is refused before its case matters. `identity` is given where a repeat shall hear the
    stored answer.
    `chosen_ids` are payment ids that the sender chose, and that no other case may have. `dead` says why it is kept as a dead letter, too.
    """

    incoming: Incoming
    scheme: Scheme
    content: Content
    dry_run: bool = False
    case_key: tuple[Scheme, str] | None = None
    identity: Identity | None = None
    chosen_ids: tuple[PaymentId, ...] = ()
    dead: str | None = None


class ReconciliationTrigger(Struct, frozen=True):
    """A record that asks for reconciliation up to a day, that one included. It is no message: it has no case, and hears nothing."""

    incoming: Incoming
    up_to: date


Interpreted = ParsedRecord | ReconciliationTrigger | Skipped
"""A record as its contract reads it."""


class EdgeAnswer(NamedTuple):
    """The message that came in under an edge identity, and its answer so far."""

    message_no: int
    digest: bytes
    state: str
    answer: bytes | None


def answer_of_edge(source: Source, topic: str, place: tuple[int, int]) -> EdgeAnswer | None:
    """The message that a record at a place (partition, position) of a topic became; None while it has not come in."""
    return fetch_one(source, EdgeAnswer, _SQL.answer_of_edge, (topic, *place))


def failure(incoming: Incoming, error: Exception) -> Refusal:
    """Returns what the sender hears when kvitt itself failed on its message (helved §3.8)."""
    said = " ".join(str(error).split())[:_REASON_CHARACTERS]
    where = f"(partition={incoming.partition}, offset={incoming.position})"
    return Refusal(500, f"{FAILURE}{incoming.source} {where}: {type(error).__name__}: {said}", BASE)


FAILURE = "Feil ved prosessering av melding fra "
"""How the text of every such refusal begins; by it a stored one is known."""


def failed(record: Incoming, scheme: Scheme, error: Exception, *, dry_run: bool = False) -> ParsedRecord:
    """A record on which kvitt itself failed: it is refused before its case matters, and kept as a dead letter."""
    return ParsedRecord(record, scheme, failure(record, error), dry_run, dead=f"{type(error).__name__}: {error}")
