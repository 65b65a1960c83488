"""Names who calls by the claims of a checked token: the application, the person behind it, and what both may do (design §11)."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeGuard

from msgspec import Struct

from kvitt.disbursement.authority import Authority, DecisionPolicy, TwoPeople
from kvitt.disbursement.values import Scheme
from kvitt.errors import BadRequest, MissingClaim, NotAuthenticated, OtherScheme, SystemCallRefused, UnknownApplication

_LONGEST_NAME: Final = 255
SCHEME_SCOPE, APPROVER_SCOPE = "scheme:", "approver:"
"""Before the name of a scheme in the scopes of a token that is ours: it may be touched; the person is an approver of it."""
MACHINE_ROLE: Final = "access_as_application"
"""Among the roles of a token that an application has for itself (iverksetting §6.1)."""
SCHEME_HEADER: Final = "fagsystem"


class Permission(StrEnum):
    """Rights that applications and groups can have."""

    PAYOUTS_READ = "payouts:read"
    PAYOUTS_WRITE = "payouts:write"
    LEDGER_READ = "ledger:read"
    LEDGER_WRITE = "ledger:write"
    RECONCILIATION_READ = "reconciliation:read"
    RECONCILIATION_WRITE = "reconciliation:write"


class Caller(Struct, frozen=True):
    """A caller: the application, the person behind it, and what they may do. `subject` keeps the idempotency keys of callers apart.

    `as_person` are permissions that only groups of the caller give: a person's, who does nothing alone that takes two.

    `application` is its name as its issuer knows it (`azp_name`), None where the token has none; `schemes` are those it may touch.
    `person` is None where an application calls for itself; `approver_of` are schemes whose approver the token itself says they are.
    """

    subject: str
    permissions: frozenset[Permission]
    application: str | None = None
    schemes: frozenset[Scheme] = frozenset()
    person: str | None = None
    groups: frozenset[str] = frozenset()
    approver_of: frozenset[Scheme] = frozenset()
    as_person: frozenset[Permission] = frozenset()

    @property
    def named(self) -> str:
        """The application, as its issuer knows it, or as it is called in its token otherwise."""
        return self.application or self.subject.partition("/")[0]


class Grants(Struct, frozen=True):
    """The rights of applications and groups. `by_scope`: the token's own scopes count, for an issuer that is ours.

    `schemes` are those of applications by the name that their issuer knows them by (`azp_name`), or by its last part.
    """

    applications: Mapping[str, Sequence[Permission]] = {}
    groups: Mapping[str, Sequence[Permission]] = {}
    schemes: Mapping[str, Sequence[Scheme]] = {}
    by_scope: bool = False

    def caller(self, claims: Mapping[str, Any]) -> Caller:
        """The caller that claims name. Raises NotAuthenticated where they name none, or two."""
        application, user = _application_in(claims), claims.get("sub") or "-"
        if not _is_name(application) or not _is_name(user):
            raise NotAuthenticated(
                f"the token must name its application (azp or client_id), and its subject, in at most {_LONGEST_NAME} printable signs"
            )
        groups = _texts(claims.get("groups"))
        scopes = _scopes(claims) if self.by_scope else frozenset()
        own = frozenset([*self.applications.get(application, ()), *(right for right in Permission if right in scopes)])
        of_groups = frozenset(right for group in groups for right in self.groups.get(group, ()))
        known_as = claims.get("azp_name") if _is_name(claims.get("azp_name")) else None
        return Caller(
            subject=f"{_escaped(application)}/{_escaped(user)}",
            permissions=own | of_groups,
            application=known_as,
            schemes=self._schemes_of(known_as) | _named_after(SCHEME_SCOPE, scopes),
            person=_person_in(claims),
            groups=groups,
            approver_of=_named_after(APPROVER_SCOPE, scopes),
            as_person=of_groups - own,
        )

    def _schemes_of(self, known_as: str | None) -> frozenset[Scheme]:
        return (
            frozenset() if known_as is None else frozenset({*self.schemes.get(known_as, ()), *self.schemes.get(short_name(known_as), ())})
        )


class DecisionAccess(Struct, frozen=True):
    """Who may send decisions of which scheme, and with what authority. `by_header`: outside production a header names the scheme."""

    policies: Mapping[Scheme, DecisionPolicy] = {}
    by_header: bool = False

    def scheme(self, caller: Caller, headers: Mapping[str, str], among: Iterable[Scheme] = Scheme) -> Scheme:
        """The one scheme that a caller means: that of its application, or the one among several, or any, that the header names.

        `among`: those that what is called has. Raises MissingClaim, UnknownApplication where none of them is the application's,
        and BadRequest where the header is missing, or names no scheme.
        """
        own, named = self._schemes(caller, headers), _named_by(headers)
        schemes = (frozenset({named}) if named in own else own).intersection(among)
        if not schemes:
            raise _of_no_scheme(caller.application or "")
        if len(schemes) > 1:
            raise BadRequest((SCHEME_HEADER, "must name one of the schemes of the application"))
        return next(iter(schemes))

    def authority(self, caller: Caller, scheme: Scheme, headers: Mapping[str, str], *, single: bool = False) -> Authority:
        """With what authority a caller sends decisions of this scheme. `single` payments need an approver only where the scheme names some.

        Raises MissingClaim, UnknownApplication, OtherScheme, SystemCallRefused.
        """
        schemes, policy = self._schemes(caller, headers), self.policies.get(scheme) or DecisionPolicy()
        application = short_name(caller.application or "")
        if scheme not in schemes:
            raise OtherScheme(f"{application} har ikke tilgang til {scheme}")
        if not self._may_call(caller, scheme):
            raise _not_on_the_list(application)
        approver = caller.person is not None and (scheme in caller.approver_of or not caller.groups.isdisjoint(policy.approver_groups))
        free = single and not policy.approver_groups
        return Authority(
            application=application,
            person=caller.person,
            approver=approver,
            opens=approver or free or not policy.approver_opens,
            frames=approver or not policy.approver_frames,
            cap_kroner=None if free else policy.cap_kroner,
            two_people=policy.two_people is TwoPeople.ALL or (policy.two_people is TwoPeople.PERSONS and caller.person is not None),
        )

    def schemes(self, caller: Caller, headers: Mapping[str, str]) -> frozenset[Scheme]:
        """The schemes that a caller may touch, one at least. Raises MissingClaim, UnknownApplication, SystemCallRefused, BadRequest."""
        found = frozenset([scheme for scheme in self._schemes(caller, headers) if self._may_call(caller, scheme)])
        if not found:
            raise _not_on_the_list(short_name(caller.application or ""))
        return found

    def _may_call(self, caller: Caller, scheme: Scheme) -> bool:
        """Whether there is a person behind the call, or the scheme lets the application call for itself."""
        policy = self.policies.get(scheme) or DecisionPolicy()
        return caller.person is not None or policy.system_callers is None or short_name(caller.application or "") in policy.system_callers

    def _schemes(self, caller: Caller, headers: Mapping[str, str]) -> frozenset[Scheme]:
        if caller.application is None:
            raise MissingClaim("missing JWT claim")
        if self.by_header and (named := _named_by(headers, whoever=True)) is not None:
            return frozenset({named})
        if not caller.schemes:
            raise _of_no_scheme(caller.application)
        return caller.schemes


def short_name(known_as: str) -> str:
    """The name of an application without its cluster and team: what is behind the last colon (iverksetting §6.1)."""
    return known_as.rpartition(":")[2]


def _of_no_scheme(known_as: str) -> UnknownApplication:
    return UnknownApplication(f"mangler mapping mellom appname ({short_name(known_as)}) og fagsystem-enum")


def _not_on_the_list(application: str) -> SystemCallRefused:
    return SystemCallRefused(f"Forsøker å gjøre systemkall fra {application} uten å være godkjent app")


def who_tries(claims: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The application and the person that claims name, whatever else is wrong with them; None: nobody."""
    application, person = claims.get("azp_name") or _application_in(claims), claims.get("NAVident") or claims.get("sub")
    return application if _is_name(application) else None, person if _is_name(person) else None


def _named_by(headers: Mapping[str, str], *, whoever: bool = False) -> Scheme | None:
    """The scheme that the header names; also one whose UTF-8 was read as Latin-1. What is none names nothing.

    `whoever`: the header decides, whoever calls. Then it raises BadRequest for what is none.
    """
    if (given := headers.get(SCHEME_HEADER)) is None:
        return None
    for text in (given, given.encode("latin-1", "replace").decode("utf-8", "replace")):
        if text.upper() in set(Scheme):
            return Scheme(text.upper())
    if whoever:
        raise BadRequest((SCHEME_HEADER, "names no scheme"))
    return None


def _application_in(claims: Mapping[str, Any]) -> object:
    return claims.get("azp") or claims.get("client_id") or claims.get("azp_name")


def _person_in(claims: Mapping[str, Any]) -> str | None:
    """The person behind a call. Raises NotAuthenticated for a claim that is no name, and for a person who is a machine as well."""
    if (person := claims.get("NAVident")) is None:
        return None
    if not _is_name(person):
        raise NotAuthenticated("the token names no person (NAVident)")
    if MACHINE_ROLE in _texts(claims.get("roles")):
        raise NotAuthenticated("ambiguous token: it is a person's (NAVident) and an application's own (roles)")
    return person


def _texts(claim: object) -> frozenset[str]:
    return frozenset(map(str, claim)) if isinstance(claim, list) else frozenset({claim}) if isinstance(claim, str) else frozenset()


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scope = claims.get("scope")
    return frozenset(scope.split()) if isinstance(scope, str) else frozenset()


def _named_after(prefix: str, scopes: frozenset[str]) -> frozenset[Scheme]:
    return frozenset([scheme for scheme in Scheme if f"{prefix}{scheme}" in scopes])


def _is_name(claim: object) -> TypeGuard[str]:
    return isinstance(claim, str) and 1 <= len(claim) <= _LONGEST_NAME and claim.isprintable()


def _escaped(name: str) -> str:
    """Without a slash, so that no two pairs of names are one subject."""
    return name.replace("%", "%25").replace("/", "%2F")
