"""The request to cancel an order, as a rail makes bytes of it: all that it says is stored with it, so that it can be made again."""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from kvitt.kernel.identifiers import named_uuid

_REQUESTS: Final = UUID("5b0d7a46-6c4f-5d0e-8f0b-2f6f4c1f1d27").bytes


class CancellationRequest(Struct, frozen=True):
    """A request to cancel an order. `message` are the order's bytes as they left, `reason` is what the rail hears.

    `number` counts the requests about one order: a further one is made where the rail has refused the one before.
    """

    order_id: str
    number: int
    message: bytes
    reason: str
    asked_at: datetime

    @property
    def cancellation_id(self) -> str:
        """The id of the request, on the queue too; the same request always has the same."""
        return named_uuid(_REQUESTS, f"{self.order_id}\0{self.number}")
