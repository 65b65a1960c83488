"""What this hub is plugged together from: one line per contract."""

from typing import Final

from kvitt.config import RapidSettings
from kvitt.hub.contract import Contracts
from kvitt.hub.helved import Helved
from kvitt.hub.ports import Ports
from kvitt.hub.rapid.contract import Rapid


def ports_of(rapid: RapidSettings, *, hears_strays: bool = False) -> Ports:
    """The ports as they are set; `hears_strays`: this process has the rapid, which also hears of receipts that nobody can place."""
    return Ports(
        contracts=Contracts(
            Helved(),
            Rapid(answer_invalid=rapid.answer_invalid_needs, hears_strays=hears_strays),
        ),
    )


PORTS: Final = ports_of(RapidSettings())
"""As they are where nothing is set: for reading, checking, and an operator's acts."""
