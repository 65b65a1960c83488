"""The console as one ASGI app: the gate, the entrance, and all pages (design §17)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from litestar import Litestar
from msgspec import Struct
from psycopg_pool import ConnectionPool

from kvitt.api.console.entrance import Entrance
from kvitt.api.console.exports import Exports
from kvitt.api.console.frame import PageFrame, Surroundings
from kvitt.api.console.gate import MAX_BODY, ConsoleGate, Hosts
from kvitt.api.console.live import LiveStreams
from kvitt.api.console.local_people import LocalPeople
from kvitt.api.console.login import ClientTerms, Logins
from kvitt.api.console.operations import Operations
from kvitt.api.console.pages import PAGES
from kvitt.api.console.pages.lists import LISTS
from kvitt.api.console.sessions import Sessions, SessionTerms
from kvitt.api.console.watch import StoreWatch
from kvitt.api.people.claims import Claims
from kvitt.api.rest.tokens import Tokens
from kvitt.kernel.clock import Clock

THREADS: Final = 16
CONNECTIONS: Final = 8
LONGEST_BODY: Final = MAX_BODY


class ConsoleTerms(Struct, frozen=True):
    """All that an installation says about its console."""

    hosts: Hosts
    client: ClientTerms
    claims: Claims
    sessions: SessionTerms
    around: Surroundings


def make_console(
    terms: ConsoleTerms,
    tokens: Tokens,
    pool: ConnectionPool[Any],
    clock: Clock,
    threads: ThreadPoolExecutor,
    *,
    operations: Operations,
    local: LocalPeople | None,
    watch: StoreWatch,
) -> ConsoleGate:
    """The app; `tokens` checks ID tokens, `local` is the issuer of made-up people, where there is no other, `watch` feeds live pages."""
    sessions = Sessions(pool, clock, terms.sessions, terms.client.issuer)
    frame = PageFrame(pool, clock, threads, PAGES, terms.around, operations=operations)
    entrance = Entrance(frame, Logins(terms.client, tokens, terms.claims, sessions), sessions, threads, local)
    app = Litestar(
        route_handlers=[*entrance.handlers(), *frame.handlers(), *Exports(pool, clock, threads, LISTS).handlers()],
        openapi_config=None,
        exception_handlers={Exception: frame.failed},
        request_max_body_size=None,
        logging_config=None,
    )
    return ConsoleGate(app, frame, sessions, threads, hosts=terms.hosts, streams=LiveStreams(watch, clock))
