"""The frame of all pages: a page is a path, a function that reads what it shows, and a template (design §17).

`read` runs on a thread, in one transaction of one moment, with the person who looks; what it notes of their look commits before anything
is sent. It reads views only. Docs: docs/console.md tells how to add a page.
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import psycopg
import structlog
from litestar import MediaType, Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct
from psycopg_pool import ConnectionPool

from kvitt.api.console.bell import waiting_for
from kvitt.api.console.keyset import PAGE_ROWS, refuse_persons, trail_in
from kvitt.api.console.operations import Operations
from kvitt.api.console.rendering import rendered
from kvitt.api.console.sessions import Session, hash_of, new_id
from kvitt.api.people.claims import ConsolePerson, ConsoleRole
from kvitt.api.people.identity import ROLES_LAST, need_role
from kvitt.error_tree import BadRequest, KvittError, NotAvailable, NotPermitted
from kvitt.errors import ResultUnknown
from kvitt.kernel.clock import Clock
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection, may_pass
from kvitt.kernel.fetch import fetch_value, fetch_values
from kvitt.kernel.queries import load

if TYPE_CHECKING:
    from kvitt.transports.kafka.browse import KafkaBrowser

_log = structlog.get_logger(__name__)
_SQL, _LOOKS = load("sessions", "kvitt.api.console"), load("people", "kvitt.api.people")
BY_ITSELF: Final = "kvitt-live"
"""The header of a page that fetches itself anew, which nobody has asked for; it names the version that the browser has."""
_MOST_FIELDS: Final = 50
_ACTING: Final = frozenset({ConsoleRole.ACT, ConsoleRole.APPROVE})
Values = Mapping[str, Any]


class Redirect(Struct, frozen=True):
    """Another page is the answer; `path` holds nothing but keys of ours."""

    path: str


class Visit:
    """One request of a person who is logged in, and the transaction in which it is answered.

    `path` are the parts of the address by name, `query` and `form` what was asked, each name once; `page_rows` how many rows a list shows.
    One that `takes_out` a list gets all of it that a file has room for. `version` is that of what is shown, where its page has one.
    """

    def __init__(
        self, session: Session, connection: Connection, now: datetime, asked: "PageRequest", operations: Operations | None = None
    ) -> None:
        self.session, self.connection, self.now, self._operations = session, connection, now, operations
        self.path, self.query, self.form, self.known = asked.path, asked.query, asked.form, asked.version
        self.version = ""
        self.reveals = False
        self.persons: Sequence[str] = ()
        self.answer_status = 200
        self.page_rows = PAGE_ROWS
        self.takes_out = False

    @property
    def who(self) -> ConsolePerson:
        """The person who looks."""
        return self.session.who

    @property
    def operations(self) -> Operations:
        """The acts of the installation."""
        assert self._operations, "a console that acts is given its acts"
        return self._operations

    @property
    def browser(self) -> "KafkaBrowser | None":
        """Returns what looks at topics where they are at brokers; None where the log is embedded."""
        return self._operations.browser if self._operations else None

    def may(self, role: ConsoleRole) -> bool:
        """Whether this person has the role."""
        return role in self.who.roles

    def look(self, what: str, case_no: int | None = None) -> None:
        """Notes that this person looks at what is about somebody."""
        who = self.who
        looked = {"now": self.now, "issuer": who.issuer, "person": who.person, "name": who.name, "what": what, "case_no": case_no}
        self.connection.execute(_LOOKS.add_look, looked)

    def look_at_case(self, what: str, case_no: int) -> None:
        """Notes a look at a case, and lets the page show its person if this session has asked for that."""
        about = {"session_hash": self.session.session_hash, "case_no": case_no}
        self.persons = [each for each in fetch_values(self.connection, _SQL.persons_of_case, about) if each]
        self.reveals = self.may(ConsoleRole.PERSONS) and bool(fetch_value(self.connection, _SQL.is_revealed, about))
        self.look(f"{what}, with the person" if self.reveals else what, case_no)

    def reveal(self, case_no: int) -> None:
        """Has this session show the person of a case from now on. Raises NotPermitted."""
        self.need(ConsoleRole.PERSONS)
        self.connection.execute(_SQL.reveal_case, {"session_hash": self.session.session_hash, "case_no": case_no, "now": self.now})

    def need(self, role: ConsoleRole) -> None:
        """Raises NotPermitted unless this person has the role."""
        need_role(self.who, role)


class PageRequest(Struct, frozen=True):
    """All that a request asks beside its method and route; `version` is the one that the browser has."""

    path: Mapping[str, Any] = {}
    query: Mapping[str, str] = {}
    form: Mapping[str, str] = {}
    version: str = ""


class ConsolePage(Struct, frozen=True):
    """A page. `nav` is its name in the navigation, if it is there, and `key` the letter that leads to it after `g`.

    `role` is what whoever looks must have. A `posted` page answers a form, and may change something. One that `acts` does what the hub's
    operators do, or shows what that would do: it sees what others commit meanwhile, and its form acts once, however often it is sent.

    `live` names the parts of `kvitt_views.changes`, with blanks between, at whose changes an open page fetches itself anew. `version` says
    cheaply which version of what it shows there is: the one that the browser has is not read again, and nobody looks at it again. A page
    that `acts` has somebody at its form, so it never fetches itself: it says that it has changed.
    """

    path: str
    title: str
    template: str
    read: Callable[[Visit], Values | Redirect]
    nav: str = ""
    key: str = ""
    role: ConsoleRole = ConsoleRole.LOOK
    posted: bool = False
    acts: bool = False
    live: str = ""
    version: Callable[[Visit], str] | None = None


class Surroundings(Struct, frozen=True):
    """Facts that stand on every page: the environment, and what the rail is."""

    environment: str
    rail: str


class PageFrame:
    """Answers the requests of pages; `pages` are all of them, in the order of the navigation."""

    def __init__(
        self,
        pool: ConnectionPool[Any],
        clock: Clock,
        threads: ThreadPoolExecutor,
        pages: Sequence[ConsolePage],
        around: Surroundings,
        *,
        operations: Operations | None = None,
    ) -> None:
        self._pool, self._clock, self._threads, self._pages, self._around = pool, clock, threads, pages, around
        self._operations = operations

    def handlers(self) -> Sequence[HTTPRouteHandler]:
        """The routes of all pages."""
        return [self._handler(page) for page in self._pages]

    def _handler(self, page: ConsolePage) -> HTTPRouteHandler:
        async def answer(request: Request[Any, Any, Any]) -> Response[bytes]:
            scope: Any = request.scope
            version = request.headers.get(BY_ITSELF, "")
            asked = PageRequest(request.path_params, read_once(scope["query_string"]), scope.get("form") or {}, version)
            answered: Response[bytes] = await on_thread(self._threads, partial(self.answer, page, scope["session"], asked))
            return answered

        return (post if page.posted else get)(page.path)(answer)

    def answer(self, page: ConsolePage, session: Session, asked: PageRequest) -> Response[bytes]:
        """The answer to a request of somebody who is logged in. Raises NotPermitted, BadRequest, and what the page raises."""
        need_role(session.who, page.role)
        refuse_persons(asked.query)
        now = self._clock()
        if page.role in _ACTING and now - session.began_at > ROLES_LAST:
            raise NotPermitted("what your groups let you do was looked up too long ago: log in again; nothing was done")
        with self._pool.connection() as connection:
            visit = Visit(session, connection, now, asked, self._operations)
            values = _act(page, visit) if page.acts else _look(page, visit)
            bell = waiting_for(connection, session.who, now)
        if isinstance(values, HTTPStatus):
            return Response(b"", status_code=values)
        if isinstance(values, Redirect):
            return Response(b"", status_code=303, headers={"location": values.path})
        around = {**self.common(session), "page": page, "now": now, "bell": bell}
        of_visit = {"reveals": visit.reveals, "persons": visit.persons, "page_version": visit.version, "trail": trail_in(asked.query)}
        shown = {**around, **of_visit, **values}
        return Response(rendered(page.template, shown), status_code=visit.answer_status, media_type=MediaType.HTML)

    def common(self, session: Session | None) -> Values:
        """Values that the layout of every page wants."""
        roles = session.who.roles if session else frozenset()
        nav = [page for page in self._pages if page.nav and page.role in roles]
        who, csrf = (session.who, session.csrf) if session else (None, "")
        return {
            "around": self._around,
            "nav": nav,
            "who": who,
            "csrf": csrf,
            "page": None,
            "now": self._clock(),
            "once": new_id(),
            "page_version": "",
            "bell": None,
        }

    def refused(self, status: int, text: str, session: Session | None = None, look_at: str = "") -> bytes:
        """The page of an error; `look_at` is where it is seen whether something was done all the same."""
        values = {"reveals": False, "persons": (), **self.common(session), "status": status, "text": text, "look_at": look_at}
        return rendered("error.html", values)

    def failed(self, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        """The page of whatever was raised."""
        scope: Any = request.scope
        status, text = fault_of(error)
        look_at = error.identity if isinstance(error, ResultUnknown) else ""
        return Response(self.refused(status, text, scope.get("session"), look_at), status_code=status, media_type=MediaType.HTML)


@contextmanager
def page_begun(connection: Connection) -> Iterator[None]:
    """One transaction of one moment, in which a page is read."""
    with connection.transaction():
        connection.execute(_SQL.begin_page)
        yield


def _look(page: ConsolePage, visit: Visit) -> Values | Redirect | HTTPStatus:
    """All that a page shows, unless the browser has it."""
    with page_begun(visit.connection):
        return HTTPStatus.NOT_MODIFIED if _has_it(page, visit) else page.read(visit)


def _has_it(page: ConsolePage, visit: Visit) -> bool:
    """Whether the browser has what there is."""
    visit.version = page.version(visit) if page.version else ""
    return visit.version != "" and visit.version == visit.known


def _act(page: ConsolePage, visit: Visit) -> Values | Redirect | HTTPStatus:
    """Does what a form says, once: who sends it again is led to where it led. Raises BadRequest, and what the page raises."""
    with transaction(visit.connection, "what became of it at", _where_to_look(page, visit)):
        visit.connection.execute(_SQL.begin_act)
        if not page.posted:
            has_it = _has_it(page, visit)
            return (HTTPStatus.NOT_MODIFIED if has_it else HTTPStatus.NO_CONTENT) if visit.known else page.read(visit)
        if "once" not in visit.form:
            raise BadRequest(("once", "is missing: open the page again; nothing was done"))
        form_hash = hash_of(f"{page.path} {visit.form['once']}")
        form = {"session_hash": visit.session.session_hash, "form_hash": form_hash, "now": visit.now}
        if fetch_value(visit.connection, _SQL.begin_form, form) is None:
            return Redirect(fetch_value(visit.connection, _SQL.answer_of_form, form) or "/")
        values = page.read(visit)
        visit.connection.execute(_SQL.count_soon)
        if isinstance(values, Redirect):
            visit.connection.execute(_SQL.answer_form, {**form, "answer": values.path})
        else:
            visit.connection.execute(_SQL.give_up_form, form)
        return values


def _where_to_look(page: ConsolePage, visit: Visit) -> str:
    """The page of what a form is about, which is the one above it."""
    return re.sub(r"\{(\w+):\w+\}", lambda part: str(visit.path[part[1]]), page.path).rpartition("/")[0]


def fault_of(error: Exception) -> tuple[int, str]:
    """The status of an error, and how it is said to people."""
    if isinstance(error, BadRequest):
        return error.status, "; ".join(f"{field} {rule}" for field, rule in error.wrong)
    if isinstance(error, KvittError):
        return error.status, str(error)
    if isinstance(error, HTTPException):
        return error.status_code, "there is no such page" if error.status_code == 404 else error.detail
    if isinstance(error, psycopg.errors.QueryCanceled):
        return NotAvailable.status, "this took too long, and was given up; ask for less"
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return NotAvailable.status, "somebody else is at this right now; nothing was done, try again"
    if isinstance(error, psycopg.Error) and may_pass(error):
        return NotAvailable.status, "the database is away; nothing was done"
    _log.error("a page failed", error=type(error).__name__)
    return KvittError.status, "kvitt failed on this page; the log says more"


async def on_thread(threads: ThreadPoolExecutor, do: Callable[[], Any]) -> Any:
    """Runs `do` on a thread and returns its result."""
    return await asyncio.get_running_loop().run_in_executor(threads, do)


def read_once(query: bytes) -> Mapping[str, str]:
    """The names and values of a query or a form, without those that say nothing. Raises BadRequest for one that says a thing twice."""
    try:
        said = parse_qs(query.decode("ascii"), max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise BadRequest(("", "is no query")) from None
    if repeated := sorted(name for name, values in said.items() if len(values) > 1):
        raise BadRequest(*((name, "is there twice") for name in repeated))
    return {name: value for name, (value,) in said.items()}
