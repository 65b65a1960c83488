"""Shares what all routes need: the permission that each needs, cursors, the problems that it may answer, and where work is done."""

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import msgspec
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIType, Operation, Schema
from litestar.openapi.spec import Parameter as HeaderParameter
from litestar.params import Parameter
from msgspec import Struct

from kvitt.api.people.claims import ConsolePerson
from kvitt.api.people.identity import PeopleOfTokens
from kvitt.api.rest.callers import Caller, DecisionAccess, Permission
from kvitt.api.rest.problems import PROBLEM, Problem, problem_of
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.values import Scheme
from kvitt.errors import (
    BadRequest,
    BodyTooLong,
    IssuerUnreachable,
    KeyReused,
    KvittError,
    NeedsSecondPerson,
    NotAuthenticated,
    NotPermitted,
    PlanNotFound,
    ResultUnknown,
    TooManyRequests,
)
from kvitt.formats.json_members import REPEATED
from kvitt.formats.traceparent import TRACEPARENT, trace_parent_of
from kvitt.kernel.actor import REST, Actor
from kvitt.kernel.requests import KEY_HEADER

Found = TypeVar("Found")
Limit = Annotated[int, Parameter(ge=1, le=1000, description="at most so many")]
Cursor = Annotated[str | None, Parameter(max_length=512, description="the `next` of the page before")]
_NOT_ASKED: Final = frozenset(
    {
        *("simulations", "reconciliations", "consistency", "iverksetting", "utbetalinger", "dry_runs", "moves", "approvals"),
        *("calls", "work", "access", "request", "data"),
    }
)
"""Parameters that routes are given and no caller can name."""
CHECK: Final = "check"
"""The option of a route that reads its body itself: what the body must pass before a repeat is looked for."""
LOCATION: Final = "location"
"""The option of a route that makes something: the path of what a request makes, for repeats to hear it too."""
_MEANINGS: Final[Sequence[tuple[str, Exception]]] = (
    ("the request breaks rules", BadRequest(("cash.amount", "Expected `int` >= 1"))),
    ("no valid token", NotAuthenticated("a bearer token is needed")),
    ("the caller may not do this", NotPermitted("payouts:write is needed")),
    ("it is not there", PlanNotFound("sales-17")),
    ("not with this method", HTTPException(status_code=405)),
    ("not in this state, or the key was used otherwise", KeyReused("this Idempotency-Key was used for another request")),
    ("the body is too long", BodyTooLong("a body has at most 1048576 bytes")),
    ("the body is not JSON", HTTPException(status_code=415, detail="the body must be application/json")),
    ("more than the application may ask for", TooManyRequests(2)),
    ("kvitt failed", KvittError("kvitt failed on the request")),
    ("the database or the issuer is away; the request may be made again", IssuerUnreachable("the issuer's keys can not be had")),
    (
        "it is not known whether it was done; `look_at` names the path to ask before it is asked for again",
        ResultUnknown("payout", "p-1"),
    ),
)
"""What each problem means, and one of its kind."""


def _problem_spec(meaning: str, error: Exception) -> tuple[int, ResponseSpec]:
    problem = problem_of(error)
    example = Example(summary=problem.detail, value=msgspec.to_builtins(problem))
    return problem.status, ResponseSpec(Problem, description=meaning, media_type=PROBLEM, generate_examples=False, examples=[example])


PROBLEMS: Final = dict(_problem_spec(*each) for each in _MEANINGS)
PROBLEM_OF: Final[Mapping[int, Problem]] = {problem.status: problem for problem in (problem_of(error) for _, error in _MEANINGS)}
"""One problem of each status, for paths that tell them in a form of their own."""
IDEMPOTENCY_KEY: Final = HeaderParameter(
    KEY_HEADER,
    "header",
    schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=255, pattern="^[ -~]+$"),
    description="the same request with the same key is done once, and answered alike",
)
"""The gate reads the header; no route does."""


@dataclass
class Repeatable(Operation):
    """An operation as described, with the header by which its repeats are recognised."""

    def __post_init__(self) -> None:
        """Adds what no signature has."""
        self.parameters = [*(self.parameters or []), IDEMPOTENCY_KEY]


class FormSchema(Schema):
    """The schema of forms, as their shapes are read, with all that they refer to in place; none refers to itself."""

    forms: tuple[type[Struct], ...]

    @classmethod
    def of(cls, *forms: type[Struct]) -> "FormSchema":
        """The schema of these forms: any of them, where there are several."""
        made = cls()
        made.forms = forms
        return made

    def to_schema(self) -> dict[str, Any]:
        """The schema as it is described."""
        found = [_schema_of(form) for form in self.forms]
        return found[0] if len(found) == 1 else {"anyOf": found}


def _schema_of(form: type[Struct]) -> dict[str, Any]:
    (schema,), components = msgspec.json.schema_components((form,), ref_template="{name}")

    def inlined(value: Any) -> Any:
        if isinstance(value, dict):
            return inlined(components[value["$ref"]]) if "$ref" in value else {name: inlined(each) for name, each in value.items()}
        return [inlined(each) for each in value] if isinstance(value, list) else value

    found: dict[str, Any] = inlined(schema)
    return found


Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Coroutine[Any, Any, None]]
"""It decides without waiting for anything, and so in the loop itself: a thread for each would cost more than all that it does."""


def may(permission: Permission) -> Guard:
    """A guard that lets in who has the permission and asks nothing that the route does not know. Raises NotPermitted, BadRequest."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if permission not in connection.scope["caller"].permissions:  # type: ignore[typeddict-item]
            raise NotPermitted(f"{permission.value} is needed")
        _refuse_strange(connection, handler)
        _refuse_other_digits(connection.scope["path"], connection.path_params)

    return guard


def may_alone(permission: Permission, act: str) -> Guard:
    """As `may`, for an act that takes two people: an application answers for its own. Raises NeedsSecondPerson as well."""
    permitted = may(permission)

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        await permitted(connection, handler)
        if permission in connection.scope["caller"].as_person:  # type: ignore[typeddict-item]
            raise NeedsSecondPerson(f"{act} takes two people: ask for it on a page of the console, or by kvitt {act} --ask")

    return guard


def may_touch(scheme: Scheme) -> Guard:
    """A guard that lets in applications of this scheme, known by the name that their issuer has for them.

    Raises NotAuthenticated, NotPermitted, BadRequest.
    """

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        caller: Caller = connection.scope["caller"]  # type: ignore[typeddict-item]
        if caller.application is None:
            raise NotAuthenticated("the token must name its application as its issuer knows it (azp_name)")
        if scheme not in caller.schemes:
            raise NotPermitted(f"the application is not one of {scheme.value}")
        _refuse_strange(connection, handler)

    return guard


def may_decide(access: DecisionAccess, among: Collection[Scheme]) -> Guard:
    """A guard that lets in applications of one scheme `among` those of the route, with the authority that they have in it (`authority_in`).

    Raises MissingClaim, UnknownApplication, SystemCallRefused, BadRequest.
    """

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        scope, headers = connection.scope, connection.headers
        caller: Caller = scope["caller"]  # type: ignore[typeddict-item]
        scheme = access.scheme(caller, headers, among)
        scope["authority"] = scheme, access.authority(caller, scheme, headers)  # type: ignore[typeddict-unknown-key]
        _refuse_strange(connection, handler)

    return guard


def may_decide_somewhere(access: DecisionAccess) -> Guard:
    """A guard that lets in applications that have a scheme, where only the body says which one is meant (`authority_over`).

    Raises MissingClaim, UnknownApplication, SystemCallRefused, BadRequest.
    """

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        access.schemes(connection.scope["caller"], connection.headers)  # type: ignore[typeddict-item]
        connection.scope["access"] = access  # type: ignore[typeddict-unknown-key]
        _refuse_strange(connection, handler)

    return guard


def may_as_person(people: PeopleOfTokens) -> Guard:
    """A guard that lets in people who are known to pages as well, as who they are (`person_in`); never an application by itself.

    Raises NotAuthenticated, NotPermitted, BadRequest.
    """

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        connection.scope["person"] = people.person(connection.headers["authorization"])  # type: ignore[typeddict-unknown-key]
        _refuse_strange(connection, handler)
        _refuse_other_digits(connection.scope["path"], connection.path_params)

    return guard


def person_in(request: ASGIConnection[Any, Any, Any, Any]) -> ConsolePerson:
    """The person who calls, where `may_as_person` guards."""
    found: ConsolePerson = request.scope["person"]  # type: ignore[typeddict-item]
    return found


def authority_in(request: ASGIConnection[Any, Any, Any, Any]) -> tuple[Scheme, Authority]:
    """The scheme of the caller's application, and their authority in it, where `may_decide` guards."""
    found: tuple[Scheme, Authority] = request.scope["authority"]  # type: ignore[typeddict-item]
    return found


def authority_over(request: ASGIConnection[Any, Any, Any, Any], scheme: Scheme) -> Authority:
    """The caller's authority over single payments of a scheme, where `may_decide_somewhere` guards.

    Raises OtherScheme, SystemCallRefused.
    """
    access: DecisionAccess = request.scope["access"]  # type: ignore[typeddict-item]
    return access.authority(request.scope["caller"], scheme, request.headers, single=True)  # type: ignore[typeddict-item]


def _refuse_strange(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A name that is misspelt would otherwise be no condition at all."""
    if not connection.scope["query_string"]:
        return
    known = handler.parsed_fn_signature.parameters.keys() - _NOT_ASKED - connection.path_params.keys()
    if strange := sorted(connection.query_params.keys() - known):
        raise BadRequest(*((name, "is no parameter here") for name in strange))
    if repeated := sorted(name for name in connection.query_params if len(connection.query_params.getall(name)) > 1):
        raise BadRequest(*((name, REPEATED) for name in repeated))


def _refuse_other_digits(path: str, found: Mapping[str, Any]) -> None:
    """A number stands in a path in one way, so that nothing has two addresses: not as `1_0`, `+1`, `01`, or in digits of other scripts."""
    segments = path.split("/")
    if wrong := [name for name, value in found.items() if isinstance(value, int) and str(value) not in segments]:
        raise BadRequest(*((name, "must be written in the digits 0 to 9, without blanks or zeros in front") for name in wrong))


def refuse_flawed(*named: tuple[str, str | None]) -> None:
    """Raises BadRequest naming each field whose rule is broken; None: it keeps them."""
    if wrong := [(field, rule) for field, rule in named if rule is not None]:
        raise BadRequest(*wrong)


class RouteWork:
    """Has the work of routes done on threads, so that the event loop never waits."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads

    async def on_thread(self, do: Callable[[], Found]) -> Found:
        """Runs `do` on a thread and returns its result; a request that is given up leaves it to be finished."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, do)


def actor_of(request: ASGIConnection[Any, Any, Any, Any]) -> Actor:
    """The actor, as the rows of what is done name it: the token's subject, the caller's address, and the id of its own trace."""
    caller, client = request.scope["caller"], request.scope.get("client")  # type: ignore[typeddict-item]
    trace = request.headers.get(TRACEPARENT) or request.headers.get("x-request-id")
    return Actor(REST, caller.subject, client[0] if client else None, trace)


def trace_of(request: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """The trace that a caller is in, in the words of its header; None where it names none."""
    named = request.headers.get(TRACEPARENT)
    return named if trace_parent_of(named) else None


def _encode_cursor(parts: Sequence[str | int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, kinds: Sequence[type], place: Callable[..., Found]) -> Found | None:
    """The place that a cursor names, made of its parts; None: the beginning. Raises BadRequest for what was never given out.

    `place` raises ValueError for parts that are none of a place.
    """
    if cursor is None:
        return None
    try:
        parts = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if isinstance(parts, list) and [*map(type, parts)] == [*kinds]:
            return place(*parts)
    except (binascii.Error, ValueError, RecursionError):
        pass
    raise BadRequest(("after", "is the `next` of a page before"))


def cut(found: Sequence[Found], limit: int, place: Callable[[Found], Sequence[str | int]]) -> tuple[Sequence[Found], str | None]:
    """A page of what was found by asking for one more than `limit`, and the cursor of the page behind, if there is one."""
    return (found[:limit], _encode_cursor(place(found[limit - 1]))) if len(found) > limit else (found, None)
