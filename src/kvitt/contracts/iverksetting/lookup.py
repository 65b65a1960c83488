"""Looks up how far decisions have come, and whether those of a scheme are switched off (iverksetting §1.5, §1.9)."""

from typing import Final, NamedTuple
from uuid import UUID

from kvitt.contracts.iverksetting.answers import EnactmentStatus, decode_document
from kvitt.contracts.iverksetting.call import SOURCE_OF
from kvitt.contracts.iverksetting.decision import NO_ENACTMENT, CaseDecision, EnactmentKey, Generation
from kvitt.contracts.iverksetting.read import short_id
from kvitt.contracts.iverksetting.texts import OTHER_CASE, RECEIVED_ALREADY
from kvitt.disbursement.catalogue import DECISION_AREAS, SCHEMES
from kvitt.disbursement.values import Refusal, Scheme
from kvitt.kernel.fetch import Source, fetch, fetch_one, fetch_values
from kvitt.kernel.queries import load

_SQL: Final = load("statuses", "kvitt.contracts.iverksetting")
_EVERYWHERE: Final = "*"
_NUL: Final = "\0"
"""Nothing that is stored has it."""


class _FoundAnswer(NamedTuple):
    state: str
    answer: bytes | None


class _SwitchedOffArea(NamedTuple):
    rail: str
    area: str


def status_of(source: Source, scheme: Scheme, case_name: str, decision_id: str, enactment_id: str | None) -> EnactmentStatus | None:
    """The status of a decision, by the names that its sender has for it; None: no such decision was received.

    Without the id of an enactment it is the newest one of its behandling.
    """
    if _NUL in f"{case_name}{decision_id}{enactment_id}":
        return None
    arguments = {
        "source": SOURCE_OF[scheme],
        "scheme": scheme.value,
        "cases": _as_written(case_name),
        "decision": decision_id,
        "enactment": enactment_id,
    }
    return _status(fetch_one(source, _FoundAnswer, _SQL.status_of_decision, arguments))


def status_in_any_case(source: Source, scheme: Scheme, decision_id: str) -> EnactmentStatus | None:
    """The status of a decision of the first form, which is looked up without its case; None: no such decision was received."""
    if _NUL in decision_id:
        return None
    return _status(_found_call(source, scheme, decision_id) or _found_call(source, scheme, _as_uuid(decision_id)))


def refused_in_other_case(source: Source, decision: CaseDecision, scheme: Scheme) -> Refusal | None:
    """The refusal of the first generation, for which ids of the first form are of one case only (iverksetting §1.5).

    The decision was received in another case, or the one before it was. None: neither, or in this case too.
    """
    own = {*_as_written(decision.case_name)}
    if (cases := _cases_of(source, scheme, decision.key.decision_id)) and own.isdisjoint(cases):
        return RECEIVED_ALREADY.refusal(Generation.FIRST, decision=decision.key.decision_id)
    previous = decision.previous
    if previous and (cases := _cases_of(source, scheme, previous.decision_id)) and own.isdisjoint(cases):
        return OTHER_CASE.refusal(Generation.FIRST)
    return None


def _cases_of(source: Source, scheme: Scheme, decision_id: str) -> list[str]:
    arguments = {
        "source": SOURCE_OF[scheme],
        "scheme": scheme.value,
        "decision": decision_id,
        "key": call_key(EnactmentKey(decision_id)),
    }
    return fetch_values(source, _SQL.cases_of_call, arguments)


def _found_call(source: Source, scheme: Scheme, decision_id: str) -> _FoundAnswer | None:
    key = call_key(EnactmentKey(decision_id))
    arguments = {"source": SOURCE_OF[scheme], "scheme": scheme.value, "decision": decision_id, "key": key}
    return fetch_one(source, _FoundAnswer, _SQL.status_of_call, arguments)


def _as_uuid(decision_id: str) -> str:
    """The id as those of the first form are kept, which are UUIDs in whatever way they are written."""
    try:
        return str(UUID(decision_id))
    except ValueError:
        return decision_id


def call_key(key: EnactmentKey) -> bytes:
    """The key under which the call of a decision is stored."""
    return f"{key.decision_id}\0{key.enactment_id or NO_ENACTMENT}".encode()


def is_switched_off(source: Source, scheme: Scheme) -> bool:
    """Whether decisions of a scheme are refused: an operator has stopped its area by name, and not all that leaves on a rail."""
    rails, area = (SCHEMES[scheme].rail, _EVERYWHERE), DECISION_AREAS[scheme]
    return any(each.rail in rails and each.area == area for each in fetch(source, _SwitchedOffArea, _SQL.stopped_areas, ()))


def _as_written(case_name: str) -> list[str]:
    """A case of the first form may be a UUID, which has a shorter name at the rail."""
    try:
        return [case_name, short_id(UUID(case_name))]
    except ValueError:
        return [case_name]


def _status(found: _FoundAnswer | None) -> EnactmentStatus | None:
    if found is None:
        return None
    document = decode_document(found.answer) if found.answer else None
    return document.status if document and document.status else EnactmentStatus.NOT_BEGUN
