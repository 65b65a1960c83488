"""Places at which a process can be made to die, so that survival is proved where it is hardest (design §13).

Nothing happens unless the environment names a place: `KVITT_DIE_AT=sender.after_put:3` kills the process with SIGKILL when it
reaches that place for the third time.
"""

import os
import signal
from collections import Counter

FAULT_POINTS = (
    "submit.before_commit",
    "submit.after_commit",
    "send.before_dequeue_commit",
    "send.after_dequeue_commit",
    "send.after_put",
    "send.after_sent_commit",
    "settle.before_commit",
    "settle.after_commit",
    "receive.after_acknowledge",
    "relay.before_commit",
    "relay.after_commit",
)
OF_SIMULATIONS = (
    "simulate.before_take_commit",
    "simulate.after_take_commit",
    "simulate.before_end_commit",
    "simulate.after_end_commit",
)
"""Those that only a dry run comes to."""
OF_RECONCILIATION = (
    "reconcile.before_dequeue_commit",
    "reconcile.after_dequeue_commit",
    "reconcile.after_sent_commit",
)
"""Those that only a message of reconciliation comes to."""
OF_CANCELLATIONS = (
    "cancel.before_dequeue_commit",
    "cancel.after_dequeue_commit",
    "cancel.after_sent_commit",
)
"""Those that only a request to cancel an order comes to."""
_place, _, _times = os.environ.get("KVITT_DIE_AT", "").partition(":")
_die_at_visit = int(_times or 1)
_visits: Counter[str] = Counter()


def fault_point(place: str) -> None:
    """Dies here if the environment says so; costs one comparison otherwise."""
    if place != _place:
        return
    _visits[place] += 1
    if _visits[place] >= _die_at_visit:
        os.kill(os.getpid(), signal.SIGKILL)
