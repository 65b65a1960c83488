"""A process that serves a ledger over its own PostgreSQL on two pipes, for the tests that kill it: `python ledger_circle_server.py <data>`.

It tells the server's conninfo, then takes `<operation> <plan> <source> <target>` per line, in any number at once, and answers `ok <line>`
when the call is durable and `again <line>` when the database was away. Anything else is told as it is.
"""

import sys
import threading
from concurrent.futures import Future
from pathlib import Path

import psycopg

from kvitt.kernel.clock import utc_now
from kvitt.kernel.migrate import upgrade
from kvitt.kernel.postgres import EmbeddedServer
from kvitt.ledger.calls import Call, Done, LedgerResult
from kvitt.ledger.rules import Batch, Operation, Posting
from kvitt.ledger.service import LedgerService
from kvitt.logs import set_up

AMOUNT = 1000
_one_at_a_time = threading.Lock()


def _tell(line: str) -> None:
    with _one_at_a_time:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _call(line: str) -> Call:
    operation, plan_id, source, target = line.split()
    return Call(plan_id, Operation(operation), (Batch(1, (Posting(int(source), int(target), AMOUNT, "RUB", "circle"),)),))


def _answer(line: str, future: "Future[LedgerResult | Exception]") -> None:
    error = future.exception()
    result = error or future.result()
    if isinstance(result, Done):
        _tell(f"ok {line}")
    elif isinstance(result, psycopg.OperationalError):
        _tell(f"again {line}")
    else:
        _tell(f"refused {line}: {result!r}")


def main() -> None:
    """Serves until its input ends."""
    set_up(Path(sys.argv[1]))
    with EmbeddedServer(Path(sys.argv[1])) as server:
        upgrade(server.conninfo)
        service = LedgerService(server.conninfo, utc_now)
        _tell(server.conninfo)
        for each in sys.stdin:
            line = each.rstrip("\n")
            service.submit(_call(line)).add_done_callback(lambda future, line=line: _answer(line, future))  # type: ignore[misc]
        service.close()


if __name__ == "__main__":
    main()
