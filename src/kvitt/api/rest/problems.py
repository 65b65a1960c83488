"""Makes problems of failures, in the form of RFC 9457 with the page that explains it, or in that of a contract which has one of its own."""

import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import psycopg
import structlog
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct
from msgspec.structs import replace

from kvitt.api.http_headers import AsgiSend, CallerGone, headers_of
from kvitt.errors import BadRequest, InvalidPayout, KvittError, PostingsRefused, RequestInProgress, ResultUnknown, TooManyRequests
from kvitt.kernel.database import may_pass
from kvitt.kernel.group_commit import GroupCommitClosed

_log = structlog.get_logger(__name__)
Found = TypeVar("Found")
PROBLEM = "application/problem+json"
RETRY_SECONDS = "1"
REFUSED_BY = "refused_by"
"""In the scope of a request: the error with which it ends."""
_UNAUTHORIZED, _UNAVAILABLE = 401, 503
_COLLECTION = {"payout": "payouts", "account": "accounts", "plan": "plans", "approval": "approvals"}
_MISSING = re.compile(r"Missing required \w+ parameter '(?P<name>\w+)'")


class Wrong(Struct, frozen=True):
    """One thing that is wrong: where, and which rule it breaks."""

    field: str
    rule: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """A problem. `type` is where it is explained; `code` does not change."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: Sequence[Wrong] = ()
    look_at: str | None = None
    """The path that shows whether it was done, when that is not known."""


class FormedProblem(Struct, frozen=True):
    """A problem as it is sent; one without a body has no type of content. Names of headers are in small letters."""

    content_type: str
    body: bytes
    headers: Mapping[str, str] = {}


ProblemForm = Callable[[Problem, Mapping[str, str]], FormedProblem]
"""Writes a problem in answer to a request with these headers."""


def rfc_9457(problem: Problem, _headers: Mapping[str, str]) -> FormedProblem:
    """The form of all routes that have no other."""
    return FormedProblem(PROBLEM, msgspec.json.encode(problem))


class ProblemForms:
    """The form in which each path tells its problems, also those of requests that no route ever sees."""

    def __init__(self, forms: Mapping[str, ProblemForm], below: Mapping[str, ProblemForm] | None = None) -> None:
        """`forms` are those of single paths; those of `below` hold for a path and for all under it, unless a longer one has its own."""
        self._forms = forms
        self._below = below or {}

    def answered(self, path: str, error: Exception, headers: Mapping[str, str]) -> tuple[int, FormedProblem]:
        """The status and the answer to a request on which this was raised. Headers of the form win over the usual ones."""
        problem = problem_of(error)
        formed = self._form(path)(problem, headers)
        return problem.status, replace(formed, headers={**_further(problem, error), **formed.headers})

    def _form(self, path: str) -> ProblemForm:
        return self._forms.get(path.rstrip("/")) or longest_of(self._below, path) or rfc_9457


async def refuse(forms: ProblemForms, scope: MutableMapping[str, Any], send: AsgiSend, error: Exception) -> None:
    """Answers a request with a problem; the gate finds in the scope why."""
    scope[REFUSED_BY] = error
    status, formed = forms.answered(scope["path"], error, headers_of(scope["headers"]))
    shown = {**formed.headers, "content-type": formed.content_type, "content-length": str(len(formed.body))}
    if not formed.body:
        del shown["content-type"]
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in shown.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": formed.body})


def longest_of(by_path: Mapping[str, Found], path: str) -> Found | None:
    """The value of the longest path that this one is, or lies under."""
    bare = path.rstrip("/")
    return by_path[max(over, key=len)] if (over := [each for each in by_path if bare == each or bare.startswith(f"{each}/")]) else None


def _further(problem: Problem, error: Exception) -> Mapping[str, str]:
    """Headers that belong to a problem, whatever its form."""
    headers = {"www-authenticate": 'Bearer realm="kvitt"'} if problem.status == _UNAUTHORIZED else {}
    if isinstance(error, TooManyRequests):
        headers["retry-after"] = str(error.seconds)
    elif problem.status == _UNAVAILABLE or problem.code == RequestInProgress.code:
        headers["retry-after"] = RETRY_SECONDS
    if isinstance(error, HTTPException) and error.headers:
        headers |= dict(error.headers)
    return headers


def problem_of(error: Exception) -> Problem:
    """The problem that an exception is to the caller."""
    if isinstance(error, KvittError):
        return _known(error)
    if isinstance(error, GroupCommitClosed) or (isinstance(error, psycopg.Error) and may_pass(error)):
        return _problem(503, "database_unreachable", "the database is away; the request may be made again")
    if isinstance(error, ValidationException):
        return _problem(400, BadRequest.code, "the request breaks rules", _wrongs(error))
    if isinstance(error, CallerGone):
        return _problem(400, BadRequest.code, "the body breaks off")
    if isinstance(error, RecursionError):
        return _problem(400, BadRequest.code, "the JSON is nested too deeply")
    if isinstance(error, HTTPException):
        return _problem(error.status_code, _code(error.status_code), error.detail or HTTPStatus(error.status_code).phrase)
    _log.error("request failed", error=type(error).__name__)
    return _problem(500, "kvitt_error", "kvitt failed on the request")


def _known(error: KvittError) -> Problem:
    wrongs: Sequence[Wrong] = ()
    if isinstance(error, InvalidPayout):
        wrongs = [Wrong("", text) for text in error.errors]
    if isinstance(error, PostingsRefused | BadRequest):
        wrongs = [Wrong(field, rule) for field, rule in error.wrong]
    problem = _problem(error.status, error.code, str(error), wrongs, doc=error.doc)
    return replace(problem, look_at=_path(error)) if isinstance(error, ResultUnknown) else problem


def _path(unknown: ResultUnknown) -> str | None:
    """The path at which this API shows what an unknown result was about."""
    return f"/{_COLLECTION[unknown.kind]}/{quote(unknown.identity, safe='')}" if unknown.kind in _COLLECTION else None


def _wrongs(error: ValidationException) -> list[Wrong]:
    if (missing := _MISSING.match(error.detail)) is not None:
        return [Wrong(missing["name"], "is required")]
    extra = error.extra if isinstance(error.extra, list) else []
    return [Wrong(str(each.get("key", "")), str(each.get("message", ""))) for each in extra if isinstance(each, Mapping)]


def _code(status: int) -> str:
    return HTTPStatus(status).phrase.lower().replace(" ", "_")


def _problem(status: int, code: str, detail: str, wrongs: Sequence[Wrong] = (), *, doc: str | None = None) -> Problem:
    page, _, anchor = (doc or f"errors#{code.replace('_', '-')}").partition("#")
    return Problem(type=f"docs/{page}.md#{anchor}", title=HTTPStatus(status).phrase, status=status, detail=detail, code=code, errors=wrongs)
