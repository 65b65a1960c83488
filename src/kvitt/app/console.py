"""The role `console`: its address, its issuer or made-up people, and its pages, as a loop of a process (design §17)."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Final

import structlog

from kvitt.api.http_limits import Limits
from kvitt.api.http_server import HttpListener, ListenAddress
from kvitt.app.roles import CONSOLE, has_console
from kvitt.errors import BadSettings
from kvitt.kernel.clock import Clock, utc_now
from kvitt.kernel.database import LOCK_MS, pool
from kvitt.kernel.loop import LoopStep
from kvitt.settings import Settings

if TYPE_CHECKING:
    from kvitt.api.console.app import ConsoleTerms
    from kvitt.api.rest.local_issuer import LocalIssuer
    from kvitt.api.rest.tokens import Tokens
    from kvitt.transports.kafka.browse import KafkaBrowser

_log = structlog.get_logger(__name__)
_PORT: Final = 8088
_CONNECTIONS: Final = 256
_LOOK_SECONDS: Final = 0.5


class ConsoleStopped(Exception):
    """The server ended by itself."""


class Console:
    """The console of one process. Its address is taken at once; it answers while the steps go on."""

    def __init__(self, conninfo: str, settings: Settings, stop: threading.Event, *, clock: Clock = utc_now, kept: bool = False) -> None:
        """`kept`: the address is for the worker that answers.

        Raises ApiPortTaken, and BadSettings where nobody could log in, or anybody from anywhere.
        """
        given = settings.console
        if not has_console(settings):
            raise BadSettings("[console] issuer: people log in at one; see docs/console.md")
        if not given.issuer and not _is_loopback(given.host):
            raise BadSettings("[console] host, local_people: made-up people are let in from this machine only")
        self._conninfo, self._settings, self._stop, self._clock = conninfo, settings, stop, clock
        shared = settings.http.shared_ports
        files = given.certificate_file, given.key_file
        address = ListenAddress(given.host, given.port, _PORT, *files, shared=shared or kept, kept=kept and not shared)
        limits = Limits(connections=_CONNECTIONS, connections_per_address=_CONNECTIONS)
        self.listener = HttpListener(address, "console", limits)
        self.listening = threading.Event()
        """Set once pages are answered."""

    @property
    def url(self) -> str:
        """The address by which browsers know it."""
        return self._settings.console.url or self.listener.url

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Answers from here on; the step looks whether the server still does."""
        # Imported here: a process that answers no browser need not wait for it.
        from kvitt.api.console.app import CONNECTIONS, LONGEST_BODY, THREADS, make_console
        from kvitt.api.console.local_people import LocalPeople
        from kvitt.api.console.operations import Operations
        from kvitt.api.console.watch import StoreWatch
        from kvitt.api.people.approving import StepUp
        from kvitt.api.people.identity import refuse_made_up_people
        from kvitt.api.rest.local_issuer import LocalIssuer
        from kvitt.app.approvals import approvals_of, reconcile_of
        from kvitt.app.ports import limits_of, ports_as_set

        with ExitStack() as opened:
            threads = opened.enter_context(ThreadPoolExecutor(THREADS, thread_name_prefix="console"))
            looks = opened.enter_context(pool(self._conninfo, application="kvitt console", size=CONNECTIONS, lock_timeout_ms=LOCK_MS))
            if not self._settings.console.issuer and self._settings.database_url:
                with looks.connection() as connection:
                    refuse_made_up_people(connection)
            terms = self._terms()
            watch = StoreWatch(self._conninfo, self._clock, terms.sessions.idle)
            opened.callback(watch.close)
            issuer = None if self._settings.console.issuer else LocalIssuer(self._settings.data)
            local = LocalPeople(issuer, terms.client.client_id, terms.client.redirect_url) if issuer else None
            browser = self._browser()
            if browser:
                opened.callback(browser.close)
            rails = ports_as_set(self._settings, [CONSOLE]).rails
            operations = Operations(
                lambda connection: approvals_of(self._settings, connection, self._clock),
                {rail.name: rail.schedule for rail in rails},
                lambda connection: reconcile_of(self._settings, connection, self._clock),
                StepUp(self._settings.console.step_up),
                limits_of(self._settings.limits),
                browser,
                rails.cancelling,
            )
            tokens = self._tokens(terms, issuer)
            app = make_console(terms, tokens, looks, self._clock, threads, operations=operations, local=local, watch=watch)
            thread = opened.enter_context(self.listener.serving(app, LONGEST_BODY))
            # Streams end before their listener, which waits for what it is answering.
            opened.callback(watch.close)
            _log.info("the console listens", url=self.url, people="made up" if local else "of the issuer")
            self.listening.set()
            rounds = count()
            yield lambda: self._look([thread], first=next(rounds) == 0)

    def close(self) -> None:
        """Gives up the address."""
        self.listener.close()

    def _browser(self) -> "KafkaBrowser | None":
        """Returns what looks at topics where they are at brokers; None where the log is embedded."""
        if self._settings.kafka is None:
            return None
        from kvitt.app.ports import PORTS
        from kvitt.app.transports import topics_of
        from kvitt.transports.kafka.browse import KafkaBrowser

        return KafkaBrowser(self._settings.kafka, [terms.name for terms in topics_of(PORTS.contracts)])

    def _terms(self) -> "ConsoleTerms":
        from kvitt.api.console.app import ConsoleTerms
        from kvitt.api.console.frame import Surroundings
        from kvitt.api.console.gate import Hosts
        from kvitt.api.console.local_people import AUTHORIZE, TOKEN
        from kvitt.api.console.login import CALLBACK, ClientTerms
        from kvitt.api.console.sessions import SessionTerms
        from kvitt.api.people.claims import ISSUER
        from kvitt.api.people.identity import claims_of

        given, local = self._settings.console, not self._settings.console.issuer
        client = ClientTerms(
            issuer=ISSUER if local else given.issuer,
            client_id=given.client_id,
            client_secret="" if local else given.client_secret,
            authorize_url=f"{self.url}{AUTHORIZE}" if local else given.authorize_url,
            token_url=f"{self.listener.url}{TOKEN}" if local else given.token_url,
            scope=given.scope,
            redirect_url=f"{self.url}{CALLBACK}",
            ca_file=given.ca_file,
        )
        environment = given.environment or ("demo" if local else "production")
        around = Surroundings(environment, "emulator" if self._settings.emulator and self._settings.queue.kind == "table" else "real")
        lasts = SessionTerms(timedelta(minutes=given.idle_minutes), timedelta(hours=given.session_hours))
        return ConsoleTerms(Hosts(self.url, local), client, claims_of(given), lasts, around)

    def _tokens(self, terms: "ConsoleTerms", issuer: "LocalIssuer | None") -> "Tokens":
        from kvitt.api.rest.callers import Grants
        from kvitt.api.rest.tokens import Tokens, fetched_from

        fetch = issuer.keys if issuer else fetched_from(self._settings.console.jwks_url, self._settings.console.ca_file)
        return Tokens(terms.client.issuer, terms.client.client_id, fetch, Grants())

    def _look(self, threads: Sequence[threading.Thread], *, first: bool) -> int:
        if not first:
            self._stop.wait(_LOOK_SECONDS)
        if ended := [thread.name for thread in threads if not thread.is_alive()]:
            raise ConsoleStopped(", ".join(ended))
        return 0


def _is_loopback(host: str) -> bool:
    from kvitt.api.console.local_people import is_loopback

    return is_loopback(host)
