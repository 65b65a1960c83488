"""The decisions that a case has received, as its contract's rules see them: a chain, a frame, and what became of each (design §16)."""

from datetime import date
from enum import Enum, StrEnum

from msgspec import Struct

from kvitt.kernel.money import Kroner

DecisionKey = tuple[str, str]
"""By what a decision is known in its case: the two names of its message's identity."""


class DecisionState(StrEnum):
    """How far a received decision has come; `rejected` is one of whose orders the rail took none."""

    OPEN = "open"
    ACCEPTED = "accepted"
    WITHOUT_PAYMENT = "without_payment"
    REJECTED = "rejected"


class ReceivedDecision(Struct, frozen=True):
    """A decision that was received for good: a refused one leaves none.

    One that was taken over with its case is no message; a repeat of it is known by its `digest`, and hears its `answer`.
    """

    key: DecisionKey
    message_no: int
    state: DecisionState
    digest: bytes | None = None
    answer: bytes | None = None


class ChainFault(Enum):
    """Faults of a decision that does not go on from where its chain stands, in the order in which they are looked for."""

    UNKNOWN = "unknown"
    """The one that it names as previous was never received."""
    NOT_NEWEST = "not_newest"
    NOT_FINISHED = "not_finished"


class DecisionChain(Struct, frozen=True):
    """The chain as a new decision finds it: the newest one, the newest that is in force, and the one that is named as previous.

    All in between the one in force and the newest were rejected by the rail, or taken back, so that what is accepted is the state of
    the one in force.
    """

    newest: ReceivedDecision | None = None
    in_force: ReceivedDecision | None = None
    named: ReceivedDecision | None = None

    def fault(self, previous: DecisionKey | None) -> ChainFault | None:
        """The first fault of a decision that names this one as previous, None the first of its case (design §12).

        A rejected decision blocks nothing: it may be named, and so may what it was built on.
        """
        if previous is not None and self.named is None:
            return ChainFault.UNKNOWN
        if self.newest is None:
            return None
        if not self._goes_on():
            return ChainFault.NOT_NEWEST
        return ChainFault.NOT_FINISHED if self.newest.state is DecisionState.OPEN else None

    def _goes_on(self) -> bool:
        assert self.newest is not None, "of an empty chain nobody asks"
        named = self.named.message_no if self.named else 0
        if named == self.newest.message_no:
            return True
        return self.newest.state is DecisionState.REJECTED and named >= (self.in_force.message_no if self.in_force else 0)


class Frame(Struct, frozen=True):
    """The frame that an approver's decision set: nothing before `start`, and no more than `cap_kroner` a day, but by an approver."""

    start: date | None = None
    cap_kroner: Kroner | None = None

    @property
    def says_anything(self) -> bool:
        """Whether anything is set."""
        return self.start is not None or self.cap_kroner is not None


class DecisionOutcome(StrEnum):
    """Outcomes of a message that came in by a call; the value stands in the store."""

    ORDERED = "ordered"
    UNCHANGED = "unchanged"
    """Nothing differs from what is accepted, or nothing is to be paid."""
    REPEATED = "repeated"
    REFUSED = "refused"
    QUEUED = "queued"
    SIMULATED = "simulated"


RECEIVED = frozenset({DecisionOutcome.ORDERED, DecisionOutcome.UNCHANGED})
"""The outcomes of what is received for good."""
