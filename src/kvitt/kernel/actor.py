"""Who asked for an act by an API; kept with the rows that the act made, in the same transaction (design §11)."""

from typing import Final

from msgspec import Struct, field, json

CLI, REST, THRIFT = "cli", "rest", "thrift"
UNNAMED: Final = "unnamed"
_LONGEST: Final = 255


class Actor(Struct, frozen=True, omit_defaults=True):
    """Who asked: `name` is proved by a token over REST, and only said by the caller over Thrift and on the command line.

    `channel` is stored as `door`. `address` is where the call came from, `trace` the id under which the caller's own logs have it.
    """

    channel: str = field(name="door")
    name: str
    address: str | None = None
    trace: str | None = None


def encode(actor: Actor | None) -> str | None:
    """As it is stored: a JSON object; None for what was done without a caller."""
    if actor is None:
        return None
    said = (actor.name, actor.address, actor.trace)
    name, address, trace = (None if text is None else text.replace("\0", "")[:_LONGEST] for text in said)
    return json.encode(Actor(actor.channel, name or UNNAMED, address, trace)).decode()


def decode(stored: str | None) -> Actor | None:
    """As it was stored."""
    return None if stored is None else json.decode(stored, type=Actor)
