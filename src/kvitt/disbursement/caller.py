"""Headers of a message that came in by a call: what was asked for, and what authority found about who asked (design §11, §16).

They stand in the store with the message, so that it can be handled again without its token, and without the settings of that day.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from msgspec import Struct, json

from kvitt.disbursement.decisions import DecisionOutcome
from kvitt.disbursement.inbox import InboxMessage
from kvitt.disbursement.rows import DecisionRow
from kvitt.disbursement.values import Refusal
from kvitt.formats.topics import decode_headers, encode_headers

_OPERATION: Final = "operation"
_GENERATION: Final = "generation"
_APPLICATION: Final = "application"
_PERSON: Final = "person"
_APPROVER: Final = "approver"
_POLICY: Final = "policy."
_TRACEPARENT: Final = "traceparent"


class CallHeaders(Struct, frozen=True):
    """A call in words: what to do, in which generation of its contract, and who asks.

    `person` is the caseworker behind the token, None for a machine; `approver`: a person who may approve in the scheme. `policy` is what
    the contract was set to that day and judged by, in its own words; `traceparent`, the trace that the caller is in, where one was named.
    """

    operation: str
    generation: str
    application: str
    person: str | None = None
    approver: bool = False
    policy: Mapping[str, str] = {}
    traceparent: str | None = None

    def encode(self) -> bytes:
        """The headers as the store keeps them."""
        pairs = [(_OPERATION, self.operation), (_GENERATION, self.generation), (_APPLICATION, self.application)]
        if self.person is not None:
            pairs.append((_PERSON, self.person))
        pairs.append((_APPROVER, "yes" if self.approver else "no"))
        pairs += [(_POLICY + name, value) for name, value in sorted(self.policy.items())]
        if self.traceparent is not None:
            pairs.append((_TRACEPARENT, self.traceparent))
        return encode_headers(pairs)


@lru_cache(maxsize=1024)
def call_headers(stored: bytes | None) -> CallHeaders:
    """The headers of a stored message; those of one caller are mostly the same. Raises KeyError for those that are none of a call."""
    found = dict(decode_headers(stored))
    policy = {name.removeprefix(_POLICY): value for name, value in found.items() if name.startswith(_POLICY)}
    return CallHeaders(found[_OPERATION], found[_GENERATION], found[_APPLICATION], found.get(_PERSON), found[_APPROVER] == "yes", policy)


class NotedCall(Struct, frozen=True, omit_defaults=True):
    """Who called, as the chain of a case names them: `by` is the person, or else the application; `refused` are the words of a refusal."""

    by: str
    application: str
    operation: str
    approver: bool = False
    refused: str | None = None


def noted_call(message: InboxMessage, refusal: Refusal | None = None) -> str:
    """Who called, for the chain of the case. Raises KeyError for headers that are none of a call."""
    call = call_headers(message.headers)
    by, refused = call.person or call.application, f"{refusal.status} {refusal.text}" if refusal else None
    return json.encode(NotedCall(by, call.application, call.operation, call.approver, refused)).decode()


def decision_row(
    contract: str, case_no: int | None, message: InboxMessage, outcome: DecisionOutcome, refusal: Refusal | None
) -> DecisionRow:
    """The row of a message that came in by a call. Raises KeyError for headers that are none of a call."""
    call = call_headers(message.headers)
    return DecisionRow(
        message_no=message.message_no,
        case_no=case_no,
        contract=contract,
        operation=call.operation,
        application=call.application,
        person=call.person,
        by_approver=call.approver,
        outcome=outcome.value,
        refused_status=refusal.status if refusal else None,
        refused_text=refusal.text if refusal else None,
        refused_doc=refusal.doc if refusal else None,
        refused_system=refusal.system if refusal else None,
    )
