"""What `app/` plugs into the hub: its contracts (design §3)."""

from msgspec import Struct

from kvitt.hub.contract import Contracts


class Ports(Struct, frozen=True):
    """Everything that the core reaches through a port."""

    contracts: Contracts
