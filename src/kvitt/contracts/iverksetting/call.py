"""Calls of the contract as the store keeps them: in what form and generation, by whom, and what was set on that day.

All that the handling of a decision depends on besides its bytes and its case stands in the headers of its record, so that it can be
handled again years later.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct

from kvitt.contracts.iverksetting.decision import DecisionForm, Generation
from kvitt.contracts.iverksetting.read import ReadingTerms
from kvitt.disbursement.authority import Authority, authority_of
from kvitt.disbursement.caller import CallHeaders, call_headers
from kvitt.disbursement.values import Scheme

POST: Final = "post"
SOURCES: Final[Mapping[str, Scheme]] = {
    f"rest.iverksetting.{scheme}": scheme for scheme in (Scheme.DAGPENGER, Scheme.AAP, Scheme.TILLEGGSSTONADER, Scheme.TILTAKSPENGER)
}
"""Under which calls are stored, by scheme."""
SOURCE_OF: Final = {scheme: source for source, scheme in SOURCES.items()}
_FORM, _MAY_LACK_SPANS, _PUBLISHES, _SEEN, _YES = "form", "may_lack_spans", "publishes", "simulation", "yes"


class EnactmentTerms(Struct, frozen=True):
    """Terms of a scheme: which generation answers, whether a list of payments may be missing, whether statuses are published."""

    generation: Generation = Generation.THIRD
    may_lack_spans: bool = False
    publishes: bool = False


class EnactmentCall(Struct, frozen=True):
    """A call: how its body is to be read, with what authority it came, and whether its status is published.

    `seen` is the key of the dry run whose simulation an approver saw, where the caller names one.
    """

    terms: ReadingTerms
    by: Authority
    publishes: bool = False
    seen: str | None = None

    @property
    def headers(self) -> CallHeaders:
        """The headers of its record."""
        switches = {_MAY_LACK_SPANS: self.terms.may_lack_spans, _PUBLISHES: self.publishes}
        policy = {_FORM: self.terms.form.value, **{name: _YES for name, on in switches.items() if on}, **self.by.rules()}
        policy |= {_SEEN: self.seen} if self.seen else {}
        by = self.by
        return CallHeaders(POST, self.terms.generation.value, by.application, by.person, approver=by.approver, policy=policy)


@lru_cache(maxsize=1024)
def enactment_call(headers: bytes | None) -> EnactmentCall:
    """The call in the headers of a record. Raises KeyError and ValueError for what is none."""
    found = call_headers(headers)
    policy = found.policy
    terms = ReadingTerms(DecisionForm(policy[_FORM]), Generation(found.generation), policy.get(_MAY_LACK_SPANS) == _YES)
    by = authority_of(found.application, found.person, policy, approver=found.approver)
    return EnactmentCall(terms, by, policy.get(_PUBLISHES) == _YES, policy.get(_SEEN))
