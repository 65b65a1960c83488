"""One dry run at the end of the demo: what more money for a case would lead to, by the rail itself, before anything is sent."""

import json
import time
from typing import Final

from msgspec import Struct

from kvitt.cli.ids import SHORT
from kvitt.cli.simulation_page import simulation_lines
from kvitt.cli.submit import Client
from kvitt.cli.wiring import wiring
from kvitt.contracts.helved.topics import primary_input
from kvitt.demo.cases import Life
from kvitt.demo.feed import PATIENCE_SECONDS, key_for
from kvitt.demo.forms import body_of
from kvitt.disbursement.simulation_requests import RequestWithQuestions, SimulationState, listing, wait
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import Connection
from kvitt.settings import Settings
from kvitt.transports.log.embedded_log import NewRecord

_MORE: Final = 100
_LOOK_SECONDS: Final = 0.02
_AS_IT_SHOULD_BE: Final = frozenset({SimulationState.ANSWERED, SimulationState.CLOSED})
"""A rail is closed at night and on Sundays; the emulator keeps open unless it is made to keep hours."""


class DryRunStory(Struct, frozen=True):
    """The dry run as lines of text, and what is wrong with it."""

    lines: tuple[str, ...]
    wrong: tuple[str, ...]


def ask_for_more(conninfo: str, connection: Connection, settings: Settings, life: Life) -> DryRunStory:
    """Asks what it would lead to that a case of dagpenger gets 100 kroner more for each day that its first message named."""
    scheme = Scheme(SHORT[life.scheme])
    client = Client(conninfo, settings)
    try:
        before = {each.request_no for each in listing(connection, key=(scheme, life.case_id))}
        client.send([NewRecord(primary_input(scheme), key_for(f"dry run/{life.scheme}/{life.case_id}", 0), _body(life))])
        found = _awaited(connection, scheme, life.case_id, before)
    finally:
        client.close()
    if found is None or found.request.state not in _AS_IT_SHOULD_BE:
        return DryRunStory((), (f"a dry run is {found.request.state.value if found else 'not taken in'}",))
    rail = wiring().ports.rails.simulating(scheme)
    assert rail is not None, "what was asked about has a rail that simulates"
    return DryRunStory(("One dry run, before anything is sent:\n", *simulation_lines(found, found.outcome(rail)), ""), ())


def _body(life: Life) -> bytes:
    document = json.loads(body_of(life, 0))
    for day in document["utbetalinger"]:
        day["utbetaltBeløp"] += _MORE
        day["sats"] += _MORE
    return json.dumps({**document, "behandlingId": "dry-run", "dryrun": True}, ensure_ascii=False).encode()


def _awaited(connection: Connection, scheme: Scheme, case_id: str, before: set[int]) -> RequestWithQuestions | None:
    """The request of the dry run at its end, or as it stands when the time is over; None when there is none."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for each in listing(connection, key=(scheme, case_id)):
            if each.request_no not in before:
                return wait(connection, each.request_no, deadline - time.monotonic())
        time.sleep(_LOOK_SECONDS)
    return None
