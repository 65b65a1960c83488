"""A process that takes one decision and ends: decide_process.py CONNINFO CASE; it prints what was done."""

import sys

from kvitt.disbursement.decide import DecisionService
from kvitt.kernel.clock import utc_now
from support.called_contract import BY_MACHINE, CALLED, line
from support.called_stage import HUB


def main(conninfo: str, case: str) -> None:
    """Takes the first decision of a case."""
    service = DecisionService(conninfo, utc_now, HUB)
    sys.stdout.write(service.decide(CALLED, b"key", line(case, "d1"), BY_MACHINE).result().outcome.value)
    service.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
