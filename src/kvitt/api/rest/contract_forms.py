"""Problems on the paths of decisions: a refusal in the form of the contract, and 401 without a body (iverksetting §1.13)."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from kvitt.api.rest.problems import FormedProblem, Problem, ProblemForm
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Refusal
from kvitt.errors import MissingClaim, OtherScheme, SystemCallRefused, UnknownApplication

DECISION_PATHS: Final = ("/api/iverksetting", "/utbetalinger")
"""Under these paths lie the calls of decisions."""
JSON: Final = "application/json"
CHALLENGE: Final = 'Bearer realm="Azure AD"'
ACCESS_PAGE: Final = f"{BASE}/async/kom_i_gang"
UNEXPECTED: Final = "Ukjent feil, helved er varslet."
_UNAUTHORIZED, _FAILED = 401, 500
_OF_ACCESS: Final = frozenset({error.code for error in (MissingClaim, UnknownApplication, OtherScheme, SystemCallRefused)})
WriteRefusal = Callable[[Refusal], tuple[str | None, bytes]]
"""Writes a refusal down: the type of content, None for no body at all, and the body."""


def contract_form(write: WriteRefusal) -> ProblemForm:
    """The form of a contract's paths: `write` has its refusals, a missing or wrong token is answered without a body."""

    def formed(problem: Problem, _headers: Mapping[str, str]) -> FormedProblem:
        if problem.status == _UNAUTHORIZED:
            return FormedProblem("", b"", {"www-authenticate": CHALLENGE})
        content_type, body = write(refusal_of(problem))
        return FormedProblem(content_type or "", body)

    return formed


def refusal_of(problem: Problem) -> Refusal:
    """A problem as a refusal: what kvitt says itself, with each field that is wrong, and the page of the contract that explains it."""
    if problem.status == _FAILED:
        return Refusal(problem.status, UNEXPECTED, BASE)
    text = "; ".join([problem.detail, *(f"{each.field}: {each.rule}" for each in problem.errors)])
    return Refusal(problem.status, text, ACCESS_PAGE if problem.code in _OF_ACCESS else BASE)


def api_error(refusal: Refusal) -> tuple[str, bytes]:
    """A refusal as an object with status, text, page and system."""
    return JSON, msgspec.json.encode({"statusCode": refusal.status, "msg": refusal.text, "doc": refusal.doc, "system": refusal.system})
