"""The sweeper: finishes or undoes what was begun at another's ledger and left, so that nothing stays held for ever (design §9)."""

from collections.abc import Iterator
from contextlib import contextmanager

from kvitt.hub.payouts.remote import Remote
from kvitt.kernel.loop import Step, WakeUp

_LOOK_SECONDS = 0.5


class Sweeper:
    """A role over saga steps; any number may run, for each step has one owner at a time."""

    def __init__(self, remote: Remote, wake_up: WakeUp) -> None:
        """`wake_up` ends the wait of a sweeper that has nothing to do."""
        self._remote, self._wake_up = remote, wake_up

    @contextmanager
    def steps(self) -> Iterator[Step]:
        """The step of the loop: one step that is due, or a little wait."""
        yield lambda: self._remote.sweep() or self._nothing_due()

    def _nothing_due(self) -> int:
        self._wake_up.sleep(_LOOK_SECONDS)
        return 0
