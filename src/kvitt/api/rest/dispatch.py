"""Calls the routes that Litestar declares and describes: finds one by its path, lets the caller in, reads the body, and answers.

Litestar would do it in many layers, each with objects of its own for each call; here it is one pass, the same for all routes.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from litestar.utils import normalize_path
from msgspec import Struct

from kvitt.api.http_headers import AsgiMessage, AsgiSend, Receive
from kvitt.api.rest.bodies import body_reader
from kvitt.api.rest.problems import ProblemForms, refuse
from kvitt.api.rest.repeats import Scope, repeat_of
from kvitt.api.rest.routes import CHECK, LOCATION
from kvitt.kernel.requests import StoredAnswer

_JSON: Final = "application/json"


class AnswerBroken(Exception):
    """An answer that had begun could not be finished; its cause says why."""


class RestRequest(Request[Any, Any, Any]):
    """A request whose body is whole before its route is called. `read` is the body as its route wants it."""

    whole: bytes = b""
    read: Any = None

    async def body(self) -> bytes:
        """The whole body."""
        return self.whole

    async def json(self) -> Any:
        """The body as it was read."""
        return await super().json() if self.read is None else self.read


class JsonAnswer(Struct, frozen=True):
    """An answer in JSON, as it is sent."""

    status: int
    body: bytes

    async def __call__(self, _scope: Scope, _receive: Receive, send: AsgiSend) -> None:
        """Sends it."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


AsgiAnswer = Callable[[Scope, Receive, AsgiSend], Awaitable[None]]


class Dispatch:
    """The routes of a Litestar app, as an ASGI app."""

    def __init__(self, app: Litestar, forms: ProblemForms) -> None:
        self._app, self._forms, self._find = app, forms, app.asgi_router.handle_routing
        http_routes = [route for route in app.routes if isinstance(route, HTTPRoute)]
        self._calls = {
            (route.path_format, method): RouteCall(app, handler, model)
            for route in http_routes
            for method, (handler, model) in route.route_handler_map.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        """One request. What is raised before the answer begins is answered as a problem."""
        try:
            answer = await self._found(scope).answer(RestRequest(scope, receive, send))  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - whatever it is, its caller hears so
            await refuse(self._forms, scope, send, error)
            return
        try:
            await answer(scope, receive, send)
        except Exception as error:
            raise AnswerBroken from error

    def _found(self, scope: Scope) -> "RouteCall":
        """The route of a request, which the scope names from here on. Raises NotFoundException, MethodNotAllowedException."""
        found = self._find(path=normalize_path(scope["path"]), method=scope["method"])
        _, scope["route_handler"], scope["path"], scope["path_params"], scope["path_template"] = found
        scope["app"] = scope["litestar_app"] = self._app
        return self._calls[scope["path_template"], scope["method"]]


class RouteCall:
    """Calls one route. What it is given besides the request is the same for every call."""

    def __init__(self, app: Litestar, handler: HTTPRouteHandler, model: Any) -> None:
        """`model` reads the parameters of the route from a request."""
        self._app, self._handler, self._model, self._guards = app, handler, model, handler.resolve_guards()
        parameters = handler.parsed_fn_signature.parameters
        self._given = {name: given.dependency() for name, given in handler.resolve_dependencies().items() if name in parameters}
        data = parameters.get("data")
        self._read = body_reader(handler.opt.get(CHECK), None if data is None else data.annotation)

    async def answer(self, request: RestRequest) -> AsgiAnswer:
        """The answer to a request, or to the same one before. Raises what the guards, the body or the route refuse it for."""
        for guard in self._guards:
            await guard(request, self._handler)  # type: ignore[misc]
        message: AsgiMessage = await request.receive()  # type: ignore[assignment]
        request.whole = body = message["body"]
        if self._read is not None:
            _check_type(request, body)
            request.read = self._read(body)
        repeat = repeat_of(request)
        answered = await repeat.begin(body) if repeat else None
        result = await self._result(request) if answered is None else _answered_before(request, answered)
        if isinstance(result, Struct):
            return JsonAnswer(self._handler.status_code, msgspec.json.encode(result))
        return await self._handler.to_response(app=self._app, data=result, request=request)  # type: ignore[return-value]

    async def _result(self, request: RestRequest) -> Any:
        handler = self._handler
        given = {**await self._model.to_kwargs(request), **self._given}
        parsed = handler.signature_model.parse_values_from_connection_kwargs(connection=request, kwargs=given)
        return handler.fn(**parsed) if handler.has_sync_callable else await handler.fn(**parsed)


def _check_type(request: RestRequest, body: bytes) -> None:
    """Raises HTTPException (415) for a body that is said to be something else than JSON."""
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and named != _JSON:
        raise HTTPException(status_code=415, detail=f"the body must be {_JSON}")


def _answered_before(request: RestRequest, answered: StoredAnswer) -> Response[bytes]:
    headers: Mapping[str, str] = {"idempotency-replayed": "true"}
    if answered.status == HTTPStatus.CREATED and (path_of := request.route_handler.opt.get(LOCATION)):
        headers = {**headers, LOCATION: path_of(request)}
    return Response(answered.body, status_code=answered.status, media_type=answered.content_type, headers=headers)
