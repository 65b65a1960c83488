"""Problems on the paths of decisions: a refusal in the form of the contract, and 401 without a body (iverksetting §1.13)."""

import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from kvitt.api.rest.problems import FormedProblem, Problem, ProblemForm
from kvitt.disbursement.refusals import BASE
from kvitt.disbursement.values import Refusal
from kvitt.errors import MissingClaim, OtherScheme, SystemCallRefused, UnknownApplication

DECISION_PATHS: Final = ("/api/iverksetting", "/utbetalinger")
"""Under these paths lie the calls of decisions."""
TRANSACTION_ID: Final = "Transaction-ID"
"""By this header repeats of dry runs are recognised."""
JSON: Final = "application/json"
CHALLENGE: Final = 'Bearer realm="Azure AD"'
ACCESS_PAGE: Final = f"{BASE}/async/kom_i_gang"
UNEXPECTED: Final = "Ukjent feil, helved er varslet."
_UNAUTHORIZED, _FAILED = 401, 500
_WORDS: Final = (
    ("the request breaks rules", "Forespørselen bryter regler"),
    ("the body breaks off", "Forespørselen er avbrutt"),
    ("the JSON is nested too deeply", "JSON-meldingen har for mange nivåer"),
    (r"a body has at most (\d+) bytes", "En forespørsel kan ha høyst {} bytes"),
    ("the body must be application/json", "Innholdet må være application/json"),
    ("is there more than once", "forekommer mer enn én gang"),
    ("is no parameter here", "er ikke en parameter her"),
    (r"has 1 to (\d+) printable characters", "må ha 1 til {} skrivbare tegn"),
    ("must name one of the schemes of the application", "må være et av fagsystemene til applikasjonen"),
    ("names no scheme", "er ikke et fagsystem"),
    (r"the (\S+) was used for another request", "{} er brukt i en annen forespørsel"),
    (r"a request with this (\S+) is being answered", "En forespørsel med denne {} er under behandling"),
    (r"the application asks too often; it may again in (\d+) seconds", "Applikasjonen spør for ofte, og kan spørre igjen om {} sekunder"),
    ("Not Found", "Fant ikke siden"),
    ("Method Not Allowed", "Metoden er ikke tillatt her"),
    ("the database is away; the request may be made again", "Databasen er utilgjengelig. Prøv igjen senere."),
    ("the keys of the token issuer can not be had", "Nøklene til utstederen av tokenet er utilgjengelige. Prøv igjen senere."),
    (r"it is not known whether this was done; .*", "Det er uvisst om dette ble gjort. Se etter før det sendes igjen."),
)
"""Texts of kvitt's own about requests, as patterns, and how callers of these paths read them."""
_NORWEGIAN: Final = tuple((re.compile(said), words) for said, words in _WORDS)
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
    text = "; ".join([_in_norwegian(problem.detail), *(f"{each.field}: {_in_norwegian(each.rule)}" for each in problem.errors)])
    return Refusal(problem.status, text, ACCESS_PAGE if problem.code in _OF_ACCESS else BASE)


def _in_norwegian(text: str) -> str:
    """A text of kvitt's own as callers of a contract's paths read it; those of the contract stay as they are."""
    found = ((each, words) for said, words in _NORWEGIAN if (each := said.fullmatch(text)))
    return next((words.format(*each.groups()) for each, words in found), text)


def api_error(refusal: Refusal) -> tuple[str, bytes]:
    """A refusal as an object with status, text, page and system."""
    return JSON, msgspec.json.encode({"statusCode": refusal.status, "msg": refusal.text, "doc": refusal.doc, "system": refusal.system})
