"""The root of the tree of errors, its branches, and those that every API shares; `errors.py` draws it."""

import re
from typing import ClassVar


class KvittError(Exception):
    """The root of everything that kvitt itself raises."""

    code: ClassVar[str] = "kvitt_error"
    status: ClassVar[int] = 500
    who: ClassVar[str] = "kvitt"
    doc: ClassVar[str] = "errors#kvitt-error"

    def __init_subclass__(cls, *, status: int | None = None, who: str | None = None) -> None:
        """Takes what is not said from the branch."""
        cls.code = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.doc = f"errors#{cls.code.replace('_', '-')}"
        cls.status = cls.status if status is None else status
        cls.who = cls.who if who is None else who


class NamesField(Exception):
    """`field` breaks `rule`; the error holds no value of what was said."""

    def __init__(self, field: str, rule: str) -> None:
        self.field, self.rule = field, rule
        super().__init__(f"{field or 'message'} {rule}")


class NamesEach(Exception):
    """Rules are broken in several places: `wrong` has each place with its rule."""

    summary: ClassVar[str]

    def __init__(self, *wrong: tuple[str, str]) -> None:
        self.wrong = wrong
        super().__init__(self.summary)


class InvalidInput(KvittError, status=400, who="caller"):
    """The input breaks a rule; it has to be said otherwise."""


class AccessRefused(KvittError, status=403, who="caller"):
    """Whoever asks is not known, or may not do this, or not alone."""


class NotFound(KvittError, status=404, who="caller"):
    """There is nothing with this name."""


class Conflict(KvittError, status=409, who="caller"):
    """It can not be done as things stand; look at them again."""


class NotAvailable(KvittError, status=503, who="operator"):
    """Something that this needs is away, or not as it must be; nothing was done."""


class OutcomeUnknown(KvittError, status=504, who="operator"):
    """No answer came in time, and the thing may be done all the same; look before asking again."""


class Failed(KvittError, status=500, who="kvitt"):
    """It was tried and did not succeed, through no fault of whoever asked."""


class BadRequest(NamesEach, InvalidInput):
    """A request breaks rules; `wrong` names each field and its rule."""

    summary = "the request breaks rules"


class BodyTooLong(InvalidInput, status=413):
    """The body of a request is longer than any that can be meant."""


class NeedsSecondPerson(AccessRefused, who="operator"):
    """An act that moves money needs the name of a second person who approves it."""


class NotAuthenticated(AccessRefused, status=401):
    """The request has no token, or one that is not valid here; the message says what is wrong with it, and not what it holds.

    `application` and `person` are known of a token that its issuer has signed, although it is not valid here.
    """

    def __init__(self, rule: str, application: str | None = None, person: str | None = None) -> None:
        self.application, self.person = application, person
        super().__init__(rule)


class NotPermitted(AccessRefused):
    """The caller is known, and may not do this; the message names the permission that it lacks."""


class KeyReused(Conflict):
    """The Idempotency-Key was used for another request; use a new one for each."""


class RequestInProgress(Conflict):
    """A request with this Idempotency-Key is being answered; ask again in a moment."""


class IssuerUnreachable(NotAvailable):
    """The issuer's keys can not be had, so nobody can be let in; try again."""


class PreconditionFailed(Conflict, status=412):
    """The thing that a request would change is not as its `If-Match` says; read it again."""


class TooManyRequests(NotAvailable, status=429, who="caller"):
    """The application has asked more often than it may; `seconds` later it may ask again."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"the application asks too often; it may again in {seconds} seconds")


class MissingClaim(NotPermitted):
    """The token does not name its application as its issuer knows it (iverksetting §6.1)."""


class UnknownApplication(NotPermitted):
    """The application belongs to no scheme (iverksetting §6.2)."""


class OtherScheme(NotPermitted):
    """The application belongs to another scheme than that of what it asks for (iverksetting §6.2)."""


class SystemCallRefused(NotPermitted):
    """The application calls for itself, and is none of those that may in this scheme (iverksetting §1.6)."""
