"""What is remembered of needs while their case is locked."""

from msgspec import Struct

from kvitt.rules.states import MessageState
from kvitt.wire.rapid import solutions
from kvitt.wire.rapid.solutions import SolutionStatus

Identity = tuple[str, str]
"""Person and payment id: what makes a need the same as another one of its case (rapid §2.3)."""
_AGAIN = frozenset({SolutionStatus.REJECTED, SolutionStatus.FAILED})


class Standing(Struct):
    """The newest need of an identity: what it asked for, how far it has come, and what its sender was told last."""

    message_no: int
    digest: bytes
    state: MessageState
    told: bytes

    @property
    def may_come_again(self) -> bool:
        """Whether a new need of this identity is handled as new: only after the rail, or an operator, said no for good."""
        return self.state is MessageState.ANSWERED and solutions.decode(self.told).status in _AGAIN
