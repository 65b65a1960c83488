"""Queues that break while messages are put, and such as can not tell what came to them."""

from collections.abc import Mapping, Sequence

from kvitt.kernel.queue import Outgoing
from kvitt.transports.queue.table_queue import TableQueue


class Dying(ConnectionError):
    """The connection ended while messages were put."""


class Losing(TableQueue):
    """A queue to which nothing comes."""

    def put(self, messages: Sequence[Outgoing]) -> None:  # noqa: ARG002 - they are lost
        raise Dying


class Put(TableQueue):
    """A queue to which all comes, and that does not say so."""

    def put(self, messages: Sequence[Outgoing]) -> None:
        super().put(messages)
        raise Dying


class Forgetful(TableQueue):
    """A queue that can not tell what came to it, and drops no repeat."""

    drops_repeats = False

    def was_put(self, queue_ids: Sequence[str]) -> Mapping[str, bool] | None:  # noqa: ARG002 - it can not tell
        return None


class LosingAndForgetful(Losing, Forgetful):
    """Both."""


class PutAndForgetful(Put, Forgetful):
    """All comes, and it never says so."""
