"""Lets requests in: to which host, from which page, of whose session. All of it is around the pages, so that none can be forgotten.

An unsafe request has to come from a page of this console and carry what the session's forms carry (design §11, §17).
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final
from urllib.parse import quote, urlsplit

from litestar.datastructures import Cookie
from msgspec import Struct

from kvitt.api.console.frame import BY_ITSELF, PageFrame, fault_of, on_thread, read_once
from kvitt.api.console.live import PATH, LiveStreams
from kvitt.api.console.local_people import TOKEN, is_loopback
from kvitt.api.console.rendering import STATIC_TYPES, static_file
from kvitt.api.console.sessions import Session, Sessions
from kvitt.api.http_headers import AsgiMessage, BodyOverLimit, CallerGone, Receive, headers_of, whole_body
from kvitt.errors import BodyTooLong, NotAuthenticated, NotPermitted

MAX_BODY: Final = 65_536
SESSION: Final = "__Host-kvitt"
BROWSER: Final = "__Host-kvitt-login"
_SAFE: Final = frozenset({"GET", "HEAD"})
_OPEN: Final = ("/login", "/login/begin", "/login/callback")
_HTML: Final = "text/html; charset=utf-8"
_LOCAL: Final = "/local/"
_STATIC: Final = "/static/"
_SECURE: Final[Mapping[str, str]] = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_KEPT: Final = "public, max-age=31536000, immutable"
_NOT_KEPT: Final = "no-store"
SendMessage = Callable[[AsgiMessage], Awaitable[None]]


class Hosts(Struct, frozen=True):
    """The address of the console. On the loopback its other names lead there; nothing else is answered, whatever name leads here."""

    url: str
    local: bool

    @property
    def host(self) -> str:
        """The name that browsers send as the host."""
        return urlsplit(self.url).netloc

    def leads_here(self, host: str) -> bool:
        """Whether another name is one of this very address."""
        given, ours = urlsplit(f"//{host}"), urlsplit(self.url)
        try:
            return self.local and is_loopback(given.hostname or "") and given.port == ours.port
        except ValueError:
            return False


class ConsoleGate:
    """An ASGI app around the pages. What it found out stands in the scope: `session`, `cookies`, and `form` of an unsafe request."""

    def __init__(
        self, app: Any, frame: PageFrame, sessions: Sessions, threads: ThreadPoolExecutor, *, hosts: Hosts, streams: LiveStreams
    ) -> None:
        self._app, self._frame, self._sessions, self._threads, self._hosts = app, frame, sessions, threads, hosts
        self._streams = streams

    async def __call__(self, scope: Any, receive: Receive, send: SendMessage) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope["headers"])
        host = headers.get("host", "")
        if host != self._hosts.host:
            await self._other_address(scope, host, send)
        elif scope["path"].startswith(_STATIC):
            await self._static(scope, send)
        elif scope["method"] == "GET" and (scope["path"] == PATH or BY_ITSELF in headers):
            await self._by_itself(scope, headers, receive, _with_headers(send))
        else:
            await self._page(scope, headers, receive, _with_headers(send))

    async def _other_address(self, scope: Any, host: str, send: SendMessage) -> None:
        if scope["method"] in _SAFE and self._hosts.leads_here(host):
            await _send(send, 307, b"", {"location": self._hosts.url + _target(scope), "cache-control": _NOT_KEPT})
        else:
            await _send(send, 421, b"this console is at another address\n", {"content-type": "text/plain; charset=utf-8"})

    async def _static(self, scope: Any, send: SendMessage) -> None:
        name = scope["path"].removeprefix(_STATIC)
        if scope["method"] not in _SAFE or name not in STATIC_TYPES:
            await _send(_with_headers(send), 404, b"", {})
            return
        shown = {**_SECURE, "content-type": STATIC_TYPES[name], "cache-control": _KEPT}
        await _send(send, 200, static_file(name), shown)

    async def _page(self, scope: Any, headers: Mapping[str, str], receive: Receive, send: SendMessage) -> None:
        scope["cookies"] = cookies = cookies_in(headers.get("cookie", ""))
        session: Session | None = None
        try:
            session = scope["session"] = await on_thread(self._threads, partial(self._sessions.find, cookies.get(SESSION)))
            if scope["path"] in _OPEN or (self._hosts.local and scope["path"].startswith(_LOCAL)):
                await self._open(scope, headers, receive, send)
            elif session is None:
                await self._to_login(scope, send)
            else:
                await self._with_session(scope, session, headers, receive, send)
        except CallerGone:
            return
        except Exception as error:  # noqa: BLE001 - it is shown, and logged where it is no refusal
            status, text = fault_of(error)
            await _send(send, status, self._frame.refused(status, text, session), {"content-type": _HTML})

    async def _by_itself(self, scope: Any, headers: Mapping[str, str], receive: Receive, send: SendMessage) -> None:
        """A request that no person has made: it keeps no session from ending, and is led to no login."""
        scope["cookies"] = cookies = cookies_in(headers.get("cookie", ""))
        try:
            session = scope["session"] = await on_thread(self._threads, partial(self._lasting, cookies.get(SESSION)))
            if scope["path"] == PATH:
                await self._streams.answer(session, receive, send)
            else:
                await self._app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - it is shown, and logged where it is no refusal
            status, text = fault_of(error)
            await _send(send, status, text.encode(), {"content-type": "text/plain; charset=utf-8"})

    def _lasting(self, session_id: str | None) -> Session:
        """The session with this id, as it is. Raises NotAuthenticated."""
        if (session := self._sessions.find(session_id, in_use=False)) is None:
            raise NotAuthenticated("the session has ended: log in again")
        return session

    async def _open(self, scope: Any, headers: Mapping[str, str], receive: Receive, send: SendMessage) -> None:
        """Pages without a session: they are only read, whoever reads; those of made-up people on this machine only."""
        if scope["path"].startswith(_LOCAL) and not is_loopback(str((scope.get("client") or ("",))[0])):
            raise NotPermitted("made-up people are for this machine only")
        if scope["method"] not in _SAFE:
            if scope["path"] != TOKEN:
                raise NotPermitted("nothing can be changed without a login")
            scope["form"] = read_once(await _body(receive, headers))
        await self._app(scope, receive, send)

    async def _to_login(self, scope: Any, send: SendMessage) -> None:
        if scope["method"] not in _SAFE:
            raise NotPermitted("the session has ended: log in again; nothing was done")
        await _send(send, 303, b"", {"location": f"/login?next={quote(_target(scope), safe='/')}"})

    async def _with_session(self, scope: Any, session: Session, headers: Mapping[str, str], receive: Receive, send: SendMessage) -> None:
        if scope["method"] not in _SAFE:
            self._refuse_other_pages(headers)
            form = read_once(await _body(receive, headers))
            if not hmac.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
                raise NotPermitted("this form is not of your session: open the page again; nothing was done")
            scope["form"] = {name: value for name, value in form.items() if name != "csrf"}
        await self._app(scope, receive, send)

    def _refuse_other_pages(self, headers: Mapping[str, str]) -> None:
        """Raises NotPermitted unless the browser says that the request comes from a page of this console.

        Its origin is `null` where pages may not say where they come from, as ours: then the site alone says so.
        """
        site, origin, ours = headers.get("sec-fetch-site"), headers.get("origin"), self._hosts.url
        if site not in (None, "same-origin") or origin not in ((ours,) if site is None else (None, "null", ours)):
            raise NotPermitted("this form was sent by a page of somebody else; nothing was done")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            raise NotPermitted("this is no form of this console; nothing was done")


def cookies_in(header: str) -> Mapping[str, str]:
    """The cookies of a request; one that is there twice is none, for nobody can say which is ours."""
    pairs = [each.strip().partition("=") for each in header.split(";")]
    names = [name for name, _, _ in pairs]
    return {name: value for name, _, value in pairs if names.count(name) == 1}


def cookie(name: str, value: str, seconds: int | None = None) -> Cookie:
    """A cookie for this host alone, over TLS or the loopback, that no script reads and no other site sends but by a link."""
    return Cookie(name, value=value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


async def _body(receive: Receive, headers: Mapping[str, str]) -> bytes:
    try:
        return await whole_body(receive, headers, MAX_BODY)
    except BodyOverLimit:
        raise BodyTooLong(f"a form has at most {MAX_BODY} bytes") from None


def _target(scope: Any) -> str:
    """The path and query of a request, as they came."""
    path = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "replace")
    query = scope["query_string"].decode("ascii", "replace")
    return f"{path}?{query}" if query else path


def _with_headers(send: SendMessage) -> SendMessage:
    """Has every answer carry what keeps it safe."""

    async def safe(message: AsgiMessage) -> None:
        if message["type"] == "http.response.start":
            added = {**_SECURE, "cache-control": _NOT_KEPT}
            came = [each for each in message.get("headers", []) if each[0].decode("latin-1").lower() not in added]
            message["headers"] = [*came, *((name.encode(), value.encode()) for name, value in added.items())]
        await send(message)

    return safe


async def _send(send: SendMessage, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in {**headers, "content-length": str(len(body))}.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
