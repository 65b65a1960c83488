"""The one act of a process that takes a decision and ends."""

from kvitt.disbursement.decide import DecisionService
from kvitt.kernel.clock import utc_now
from support.called_contract import BY_MACHINE, CALLED, line
from support.called_stage import HUB


def main(conninfo: str, case: str) -> str:
    """Takes the first decision of a case; returns what was done."""
    service = DecisionService(conninfo, utc_now, HUB)
    done = service.decide(CALLED, b"key", line(case, "d1"), BY_MACHINE).result().outcome.value
    service.close()
    return done
