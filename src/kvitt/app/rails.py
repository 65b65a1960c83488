"""Which rails there are: one line each. Importing this makes them known (design §3)."""

from kvitt.config import OpsSettings
from kvitt.rail.oppdrag import Oppdrag
from kvitt.rules.opening_hours import OpeningHours
from kvitt.rules.rail_port import plug_in


def plug_in_rails(ops: OpsSettings) -> None:
    """Makes every rail known, the default one first, with the hours that are set."""
    plug_in(
        Oppdrag(OpeningHours(ops.rail_opens, ops.rail_closes, ops.rail_every_day)),
    )


plug_in_rails(OpsSettings())
