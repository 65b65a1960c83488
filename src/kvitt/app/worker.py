"""A worker: a process that plays some roles of a hub, started by the hub's first process, to which it reports, and with which it ends.

What it shall do comes as a line of JSON on a socket that it has inherited, named by its number; on the same socket its reports go back, a
line each. A further argument says to whoever lists processes which worker this is.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from socket import socket
from typing import Final

import msgspec
import psycopg
import structlog

from kvitt import logs
from kvitt.app.hub import HubProcess
from kvitt.app.work_order import STOP_SECONDS, WorkOrder, decoded
from kvitt.errors import KvittError
from kvitt.kernel.loop import WakeLine
from kvitt.kernel.metrics import METRICS
from kvitt.ops.readiness import WorkerReport

_LOOK_SECONDS: Final = 0.1
_REPORT_LOOKS: Final = 5
"""A report goes out after so many looks, or when something has changed."""
_FAILED: Final = 1
_log = structlog.get_logger(__name__)


def main() -> None:
    """Plays the roles until asked to stop; ends by 1 when something hung, and at once with the process that began it."""
    # An interrupt of the terminal is heard by whoever began us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    control = socket(fileno=int(sys.argv[1]))
    line = control.makefile("rb").readline()
    if not line:
        return
    order = decoded(line)
    threading.Thread(target=_end_with, args=(control,), name="life", daemon=True).start()
    logs.set_up(order.log.data, level=order.log.level, form=order.log.form, worker=order.worker)
    try:
        hanging = _work(order, control, stop)
    except (KvittError, psycopg.OperationalError) as error:
        _log.error("worker can not begin", error=type(error).__name__, reason=str(error).partition("\n")[0])
        sys.exit(_FAILED)
    if hanging:
        _log.error("roles did not end in time: nothing is lost, others take over", roles=hanging)
        # Threads that hang would keep the interpreter from ending.
        os._exit(_FAILED)


def _end_with(control: socket) -> None:
    """Dies when the other end is closed: whoever began us is gone, and may be begun again at any moment."""
    with suppress(OSError):
        while control.recv(1):
            pass
    os.kill(os.getpid(), signal.SIGKILL)


def _work(order: WorkOrder, control: socket, stop: threading.Event) -> list[str]:
    """Returns the names of what did not end."""
    line = WakeLine(socket(fileno=order.hears), [socket(fileno=number) for number in order.says])
    hub = HubProcess(order.conninfo, order.settings, order.roles, owner=order.owner, line=line)
    hub.start()
    reports = threading.Thread(target=_report, args=(hub, control, stop), name="reports", daemon=True)
    reports.start()
    stop.wait()
    hanging = hub.stop(STOP_SECONDS)
    reports.join(_LOOK_SECONDS)
    with suppress(OSError):
        control.sendall(_report_of(hub))
    return hanging


def _report(hub: HubProcess, control: socket, stop: threading.Event) -> None:
    looks, said = 0, None
    with suppress(OSError):
        while not stop.wait(_LOOK_SECONDS if looks else 0):
            now = [each.condition for each in hub.board.states()], _listens(hub)
            if now != said or looks % _REPORT_LOOKS == 0:
                control.sendall(_report_of(hub))
            looks, said = looks + 1, now


def _report_of(hub: HubProcess) -> bytes:
    return msgspec.json.encode(WorkerReport(tuple(hub.board.states()), METRICS.tally(), _listens(hub))) + b"\n"


def _listens(hub: HubProcess) -> bool:
    """Whether it answers everybody whom its roles answer."""
    return all(each.listening.is_set() for each in (hub.apis, hub.console) if each)


if __name__ == "__main__":
    main()
