"""The pages before a session: to log in, to come back from the issuer, to choose a made-up person; and the one that ends a session."""

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlencode

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler

from kvitt.api.console.frame import PageFrame, on_thread, read_once
from kvitt.api.console.gate import BROWSER, SESSION, cookie
from kvitt.api.console.local_people import AUTHORIZE, CHOSEN, PEOPLE, TOKEN, LocalPeople
from kvitt.api.console.login import CALLBACK, Logins, own_path, said_in
from kvitt.api.console.rendering import rendered
from kvitt.api.console.sessions import LOGIN_LASTS, Sessions

AnyRequest = Request[Any, Any, Any]


class Entrance:
    """The routes by which people come in and go out."""

    def __init__(
        self, frame: PageFrame, logins: Logins, sessions: Sessions, threads: ThreadPoolExecutor, local: LocalPeople | None
    ) -> None:
        self._frame, self._logins, self._sessions, self._threads, self._local = frame, logins, sessions, threads, local

    def handlers(self) -> Sequence[HTTPRouteHandler]:
        """Those that there are; made-up people only where they are let in."""
        routes = [
            self._get("/login", self._login),
            self._get("/login/begin", self._begin),
            self._get(CALLBACK, self._end),
            self._post("/logout", self._out),
        ]
        if self._local:
            routes += [self._get(AUTHORIZE, self._choose), self._get(CHOSEN, self._chosen), self._post(TOKEN, self._token)]
        return routes

    def _login(self, request: AnyRequest) -> Response[Any]:
        next_path = own_path(read_once(request.scope["query_string"]).get("next", "/"))
        return self._shown("login.html", begin=f"/login/begin?{urlencode({'next': next_path})}")

    def _begin(self, request: AnyRequest) -> Response[Any]:
        asked = read_once(request.scope["query_string"])
        begun, address = self._logins.begin(asked.get("next", "/"), anew="anew" in asked)
        kept = cookie(BROWSER, begun.browser, int(LOGIN_LASTS.total_seconds()))
        return _redirect(address, kept)

    def _end(self, request: AnyRequest) -> Response[Any]:
        cookies: Any = request.scope["cookies"]  # type: ignore[typeddict-item]
        who, next_path = self._logins.end(cookies.get(BROWSER), said_in(request.scope["query_string"]))
        session_id = self._sessions.begin(who, cookies.get(SESSION))
        return _redirect(next_path, cookie(SESSION, session_id), cookie(BROWSER, "", 0))

    def _out(self, request: AnyRequest) -> Response[Any]:
        session: Any = request.scope["session"]
        self._sessions.end(session)
        return _redirect("/login", cookie(SESSION, "", 0))

    def _choose(self, request: AnyRequest) -> Response[Any]:
        assert self._local is not None
        asked = self._local.asked(said_in(request.scope["query_string"]))
        people = [(each, f"{CHOSEN}?{urlencode({**asked, 'person': each.person})}") for each in PEOPLE]
        return self._shown("local_people.html", people=people)

    def _chosen(self, request: AnyRequest) -> Response[Any]:
        assert self._local is not None
        return _redirect(self._local.chosen(said_in(request.scope["query_string"])))

    def _token(self, request: AnyRequest) -> Response[Any]:
        assert self._local is not None
        form: Any = request.scope["form"]  # type: ignore[typeddict-item]
        return Response(self._local.token(form), status_code=200, media_type="application/json")

    def _shown(self, template: str, **values: object) -> Response[bytes]:
        shown = {"reveals": False, "persons": (), **self._frame.common(None), **values}
        return Response(rendered(template, shown), status_code=200, media_type=MediaType.HTML)

    def _get(self, path: str, do: Callable[[AnyRequest], Response[Any]]) -> HTTPRouteHandler:
        return get(path)(self._answering(do))

    def _post(self, path: str, do: Callable[[AnyRequest], Response[Any]]) -> HTTPRouteHandler:
        return post(path)(self._answering(do))

    def _answering(self, do: Callable[[AnyRequest], Response[Any]]) -> Callable[[AnyRequest], Awaitable[Response[Any]]]:
        """Answers on a thread: issuers and databases are waited for."""

        async def answer(request: Request[Any, Any, Any]) -> Response[Any]:
            answered: Response[Any] = await on_thread(self._threads, partial(do, request))
            return answered

        return answer


def _redirect(address: str, *cookies: Cookie) -> Response[bytes]:
    return Response(b"", status_code=303, headers={"location": address}, cookies=cookies)
