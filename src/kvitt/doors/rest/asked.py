"""What is looked at when a route has let a caller in, before it is asked: the body, and whether the request came before."""

from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from kvitt.doors.rest.body_rules import check_body
from kvitt.doors.rest.repeats import repeat_of

_JSON: Final = "application/json"


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
