"""Under which key an order is published when the sender's own is taken: each order of a message has one of its own (helved §1.2).

The topics of orders and of requests to simulate are compacted by key, so two orders of one message under one key would leave the second
only. The first order has the sender's key, as readers know it; a further one has a UUID made of that key and its area. The header
`original-key` names the sender's key on all of them, and all of them lie in the partition of the sender's key, in the order of publishing.
"""

from itertools import count
from uuid import UUID

from kvitt.disbursement.values import Area
from kvitt.formats.topics import partition_of
from kvitt.kernel.identifiers import named_uuid

_NAMESPACE = UUID("c1a4c0a8-6a0a-5f35-8f0b-6c52d0a1c0de").bytes


def further_key(key: bytes, area: Area) -> bytes:
    """The key of a further order of the message under `key`, in `area`; a function of both, in the partition of `key`."""
    made = (named_uuid(_NAMESPACE, f"{key.decode()}\0{area}\0{attempt}").encode() for attempt in count())
    return next(each for each in made if partition_of(each) == partition_of(key))
