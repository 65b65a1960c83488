"""A queue whose connection ends as a test says."""

from collections.abc import Mapping, Sequence

from kvitt.kernel.queue import Delivery, NotPut, Outgoing


class Weak:
    """A queue whose ends are drawn: what each put does before its connection ends."""

    def __init__(self, fates: list[str], *, drops_repeats: bool = True) -> None:
        self.fates, self.had, self._drops = fates, list[str](), drops_repeats
        self.given: list[bytes] = []
        """The bytes of all that was handed to it, whatever became of it."""

    @property
    def drops_repeats(self) -> bool:
        return self._drops

    def connect(self) -> None:
        if self.fates and self.fates[0] == "down":
            self.fates.pop(0)
            raise ConnectionError("down")

    def put(self, messages: Sequence[Outgoing]) -> None:
        fate = self.fates.pop(0) if self.fates else "well"
        self.given += [message.body for message in messages]
        if fate == "before":
            raise NotPut("ended before the commit")
        if fate in ("well", "after"):
            self.had += [message.message_id for message in messages if not self._drops or message.message_id not in self.had]
        if fate != "well":
            raise ConnectionError("ended in the commit")

    def was_put(self, message_ids: Sequence[str]) -> Mapping[str, bool] | None:  # noqa: ARG002 - the port's signature
        return None

    def receive(self, limit: int, wait_seconds: float) -> Sequence[Delivery]:  # noqa: ARG002 - the port's signature
        raise AssertionError("a sender receives nothing")

    def acknowledge(self) -> None:
        raise AssertionError("a sender acknowledges nothing")

    def release(self) -> None:
        raise AssertionError("a sender holds nothing")

    def close(self) -> None:
        """Nothing is open."""
