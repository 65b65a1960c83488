"""What `app/` plugs into the hub: its contracts and its rails (design §3)."""

from msgspec import Struct

from kvitt.hub.contract import Contracts
from kvitt.rules.rail_port import Rails


class Ports(Struct, frozen=True):
    """Everything that the core reaches through a port."""

    contracts: Contracts
    rails: Rails
