"""The doors that listen: Thrift over HTTP and JSON REST, as one role of a process, over the ledger and the payouts (design §9)."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import structlog

from kvitt.app.clock import utc_now
from kvitt.app.payouts import payouts_of
from kvitt.config import Settings, WoodySettings
from kvitt.doors.http_server import Address, HttpDoor
from kvitt.doors.woody import ledger as woody_ledger
from kvitt.doors.woody import payouts as woody_payouts
from kvitt.doors.woody.server import Endpoint, WoodyApp
from kvitt.hub.ledger.service import LedgerService
from kvitt.hub.loop import Step

_log = structlog.get_logger(__name__)
_WOODY_PORT = 8022
_LOOK_SECONDS = 0.5


class DoorStopped(Exception):
    """A server ended by itself."""


class Doors:
    """The listening roles of one process. Their addresses are taken at once; they answer while the steps go on."""

    def __init__(self, conninfo: str, settings: Settings, roles: Sequence[str], stop: threading.Event) -> None:
        """Raises DoorPortTaken."""
        self._conninfo, self._settings, self._roles, self._stop = conninfo, settings, roles, stop
        self.woody = HttpDoor(_address(settings.woody), "woody")

    @contextmanager
    def steps(self) -> Iterator[Step]:
        """Answers from here on; the step looks whether the servers still do."""
        with ExitStack() as opened:
            ledger = LedgerService(self._conninfo, utc_now)
            opened.callback(ledger.close)
            endpoints: dict[str, Endpoint] = {}
            if "ledger" in self._roles:
                endpoints |= woody_ledger.endpoints(ledger)
            if "payouts" in self._roles:
                payouts = opened.enter_context(payouts_of(self._conninfo, self._settings.payouts))
                endpoints |= woody_payouts.endpoints(payouts)
            threads = [opened.enter_context(self.woody.serving(WoodyApp(endpoints)))]
            _log.info("thrift services", url=self.woody.url, paths=sorted(endpoints))
            yield lambda: self._look(threads)

    def close(self) -> None:
        """Gives the addresses up."""
        self.woody.close()

    def _look(self, threads: Sequence[threading.Thread]) -> int:
        if ended := [thread.name for thread in threads if not thread.is_alive()]:
            raise DoorStopped(", ".join(ended))
        self._stop.wait(_LOOK_SECONDS)
        return 0


def _address(settings: WoodySettings) -> Address:
    return Address(settings.host, settings.port, _WOODY_PORT, settings.certificate_file, settings.key_file, settings.client_ca_file)
