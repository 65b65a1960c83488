"""The REST door as one ASGI app: the gate, the routes of the roles that listen, and their description."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.router import Router
from psycopg_pool import ConnectionPool

from kvitt.api.rest import ledger as ledger_routes
from kvitt.api.rest import payouts as payout_routes
from kvitt.api.rest.body_rules import check_body
from kvitt.api.rest.gate import MAX_BODY, Gate
from kvitt.api.rest.problems import answer
from kvitt.api.rest.repeats import IdempotencyKeys, repeat_of
from kvitt.api.rest.routes import RouteWork
from kvitt.api.rest.tokens import Tokens
from kvitt.kernel.clock import Clock
from kvitt.ledger.service import LedgerService
from kvitt.payouts.service import PayoutService

THREADS: Final = 64
_JSON: Final = "application/json"
_DESCRIPTION = """Payouts, and the double-entry ledger behind them. Amounts are whole minor units of a currency.

Every request needs a bearer token. A POST may carry an `Idempotency-Key`: the same request with the same key is done once, and its
repeats are answered with the first answer and `Idempotency-Replayed: true`; another request under that key is refused with 409.
Problems have the form of RFC 9457."""


def make_app(
    tokens: Tokens,
    pool: ConnectionPool[Any],
    clock: Clock,
    threads: ThreadPoolExecutor,
    *,
    payouts: PayoutService | None,
    ledger: LedgerService | None,
) -> Gate:
    """The app with the routes of what is given; `pool` is for requests that may be repeated, `threads` is where routes work."""
    work = RouteWork(threads)
    routers: Sequence[Router] = [
        *([payout_routes.router(payouts, work)] if payouts else []),
        *(ledger_routes.router(ledger, work) if ledger else []),
    ]
    described = OpenAPIConfig(
        title="kvitt",
        version="1",
        description=_DESCRIPTION,
        path="/schema",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}),
        security=[{"token": []}],
    )
    app = Litestar(
        route_handlers=routers,
        openapi_config=described,
        before_request=look,
        exception_handlers={Exception: answer},
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )
    return Gate(app, tokens, IdempotencyKeys(pool, clock, threads))


async def look(request: Request[Any, Any, Any]) -> Response[bytes] | None:
    """The answer that the same request had before; None: the route is asked.

    Litestar would take a number written as text, and any type of content; here a body is what the description says. Raises BadRequest
    naming fields and rules, HTTPException (415), KeyReused, RequestInProgress, and psycopg errors.
    """
    data = request.route_handler.parsed_fn_signature.parameters.get("data")
    if data is not None:
        body = await request.body()
        _check_type(request, body)
        check_body(body, data.annotation)
    repeat = repeat_of(request)
    answered = await repeat.begin() if repeat else None
    if answered is None:
        return None
    headers = {"idempotency-replayed": "true"}
    return Response(answered.body, status_code=answered.status, media_type=answered.content_type, headers=headers)


def _check_type(request: Request[Any, Any, Any], body: bytes) -> None:
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and named != _JSON:
        raise HTTPException(status_code=415, detail=f"the body must be {_JSON}")
