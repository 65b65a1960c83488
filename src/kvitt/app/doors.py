"""The doors that listen: Thrift over HTTP and JSON REST, as one role of a process, over the ledger and the payouts (design §9)."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import structlog

from kvitt.app.clock import utc_now
from kvitt.app.payouts import payouts_of
from kvitt.config import RestSettings, Settings, WoodySettings
from kvitt.doors.http_server import Address, HttpDoor
from kvitt.doors.woody import ledger as woody_ledger
from kvitt.doors.woody import payouts as woody_payouts
from kvitt.doors.woody.server import Endpoint, WoodyApp
from kvitt.errors import BadSettings
from kvitt.hub.ledger.service import LedgerService
from kvitt.hub.loop import Bell, Step, run_loop
from kvitt.hub.payouts.payouts import Payouts
from kvitt.hub.payouts.remote import Remote
from kvitt.hub.payouts.sweeper import Sweeper
from kvitt.store.database import LOCK_MS, pool

if TYPE_CHECKING:
    from kvitt.doors.rest.gate import Gate
    from kvitt.doors.rest.tokens import Tokens

_log = structlog.get_logger(__name__)
_WOODY_PORT, _REST_PORT = 8022, 8080
_CONNECTIONS = 8
_LOOK_SECONDS = 0.5


class DoorStopped(Exception):
    """A server ended by itself."""


class Doors:
    """The listening roles of one process. Their addresses are taken at once; they answer while the steps go on."""

    def __init__(self, conninfo: str, settings: Settings, roles: Sequence[str], stop: threading.Event) -> None:
        """Raises DoorPortTaken, BadSettings."""
        if settings.payouts.plans_of_others and "payouts" in roles and not settings.payouts.ledger_url:
            raise BadSettings("[payouts] plans_of_others: a ledger that serves another's payouts has none of its own; see the role payouts")
        self._conninfo, self._settings, self._roles, self._stop = conninfo, settings, roles, stop
        self.woody = HttpDoor(_woody_address(settings.woody), "woody")
        self.rest = HttpDoor(_rest_address(settings.rest), "rest")

    @contextmanager
    def steps(self) -> Iterator[Step]:
        """Answers from here on; the step looks whether the servers still do."""
        with ExitStack() as opened:
            ledger = LedgerService(self._conninfo, utc_now, payout_plans=self._settings.payouts.plans_of_others)
            opened.callback(ledger.close)
            endpoints: dict[str, Endpoint] = {}
            if "ledger" in self._roles:
                endpoints |= woody_ledger.endpoints(ledger)
            payouts = None
            if "payouts" in self._roles:
                payouts = opened.enter_context(payouts_of(self._conninfo, self._settings.payouts))
                endpoints |= woody_payouts.endpoints(payouts)
            rest = self._rest_app(opened, payouts, ledger if "ledger" in self._roles else None)
            threads = [opened.enter_context(door.serving(app)) for door, app in ((self.woody, WoodyApp(endpoints)), (self.rest, rest))]
            if payouts and payouts.remote:
                threads.append(opened.enter_context(_sweeping(payouts.remote)))
            _log.info("doors", thrift=self.woody.url, rest=self.rest.url, paths=sorted(endpoints))
            yield lambda: self._look(threads)

    def close(self) -> None:
        """Gives the addresses up."""
        self.woody.close()
        self.rest.close()

    def _rest_app(self, opened: ExitStack, payouts: Payouts | None, ledger: LedgerService | None) -> "Gate":
        # Imported here: it takes a while to load.
        from kvitt.doors.rest.app import THREADS, make_app

        threads = opened.enter_context(ThreadPoolExecutor(THREADS, thread_name_prefix="rest"))
        requests = opened.enter_context(pool(self._conninfo, application="kvitt rest", size=_CONNECTIONS, lock_timeout_ms=LOCK_MS))
        return make_app(tokens_of(self._settings), requests, utc_now, threads, payouts=payouts, ledger=ledger)

    def _look(self, threads: Sequence[threading.Thread]) -> int:
        if ended := [thread.name for thread in threads if not thread.is_alive()]:
            raise DoorStopped(", ".join(ended))
        self._stop.wait(_LOOK_SECONDS)
        return 0


@contextmanager
def _sweeping(remote: Remote) -> Iterator[threading.Thread]:
    """A thread that finishes or undoes what payouts have begun at another's ledger."""
    stop, bell = threading.Event(), Bell()
    thread = threading.Thread(target=run_loop, args=("sweeper", Sweeper(remote, bell).steps, stop), name="sweeper", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        bell.ring()
        thread.join()


def tokens_of(settings: Settings) -> "Tokens":
    """Whose tokens let in: those of the issuer that is set, else those of the data directory's own."""
    from kvitt.doors.rest.keys import fetched_from
    from kvitt.doors.rest.local_issuer import ISSUER, LocalIssuer
    from kvitt.doors.rest.tokens import Grants, Permission, Tokens, read_from

    rest = settings.rest
    if not rest.issuer:
        return Tokens(ISSUER, rest.audience, LocalIssuer(settings.data).keys, Grants(by_scope=True))
    applications, groups = (
        {name: [Permission(each) for each in given] for name, given in table.items()} for table in (rest.applications, rest.groups)
    )
    fetch = read_from(rest.jwks_file) if rest.jwks_file else fetched_from(rest.jwks_url, rest.ca_file)
    return Tokens(rest.issuer, rest.audience, fetch, Grants(applications, groups))


def _woody_address(settings: WoodySettings) -> Address:
    return Address(settings.host, settings.port, _WOODY_PORT, settings.certificate_file, settings.key_file, settings.client_ca_file)


def _rest_address(settings: RestSettings) -> Address:
    return Address(settings.host, settings.port, _REST_PORT, settings.certificate_file, settings.key_file)
