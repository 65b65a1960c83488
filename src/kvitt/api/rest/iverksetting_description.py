"""How the routes of decisions are described: bodies as the contract reads them, and what is answered (iverksetting §1)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.openapi.spec import Parameter as HeaderParameter
from msgspec import Struct

from kvitt.api.rest.callers import SCHEME_HEADER
from kvitt.api.rest.contract_examples import A_DECISION, A_MOVE, AN_OLD_DECISION, OF_DECISIONS, with_examples
from kvitt.api.rest.routes import FormSchema
from kvitt.contracts.iverksetting.call import SOURCE_OF
from kvitt.contracts.iverksetting.moving import MoveShape
from kvitt.contracts.iverksetting.shapes import LastShape, OldShape, V2Shape
from kvitt.contracts.utbetalinger.shapes import SinglePayment

_JSON: Final = "application/json"


class ApiErrorShape(Struct, frozen=True):
    """A refusal as the newest generation writes it."""

    status_code: int = msgspec.field(name="statusCode")
    msg: str
    doc: str
    system: str


_MEANINGS: Final[Mapping[int, str]] = {
    400: "the body is none of this form, or the decision breaks a rule by itself, or does not go on from the latest one",
    403: "the application has no scheme, or another one; or the decision needs an approver, or two people",
    409: "another decision has these ids, or the case belongs to another contract",
    413: "the body is too long",
    415: "the body is not JSON",
    423: "the decision before has an order without a receipt",
    429: "the application asks too often",
    500: "kvitt failed",
    503: "decisions of the scheme are switched off; or the database or the issuer is away, and the request may be made again",
    504: "it is not known whether it was received",
}


def _refusal(meaning: str) -> ResponseSpec:
    return ResponseSpec(ApiErrorShape, description=meaning, media_type=_JSON, generate_examples=False)


REFUSALS: Final = {
    401: ResponseSpec(None, description="no valid token; the answer has no body"),
    **with_examples({status: _refusal(meaning) for status, meaning in _MEANINGS.items()}, OF_DECISIONS),
}
RECEIVED: Final = {202: ResponseSpec(None, description="received, or received before"), **REFUSALS}
_UNKNOWN: Final = with_examples({404: _refusal("no such decision was received")}, OF_DECISIONS)
_MOVE_REFUSALS: Final = {**with_examples({501: _refusal("cases of the scheme are not moved")}, OF_DECISIONS), **_UNKNOWN, **REFUSALS}
MOVED: Final = {200: ResponseSpec(None, description="moved, or moved before"), **_MOVE_REFUSALS}
WOULD_MOVE: Final = {
    200: ResponseSpec(list[SinglePayment], description="the payments that they would be", media_type=_JSON, generate_examples=False),
    **_MOVE_REFUSALS,
}
STATUS: Final = {
    200: ResponseSpec(str, description="how far the decision has come", media_type=_JSON, generate_examples=False),
    **_UNKNOWN,
    **{status: spec for status, spec in REFUSALS.items() if status in (400, 401, 403, 429, 500, 503)},
}
_HEADER: Final = HeaderParameter(
    SCHEME_HEADER,
    "header",
    schema=Schema(type=OpenAPIType.STRING, enum=[*SOURCE_OF]),
    description="the scheme, where the application has several; outside production that of whoever calls",
)


@dataclass
class SchemeOperation(Operation):
    """An operation with the header that names a scheme."""

    def __post_init__(self) -> None:
        """Adds what no signature has."""
        self.parameters = [*(self.parameters or []), _HEADER]


@dataclass
class DecisionOperation(SchemeOperation):
    """An operation whose body the route reads by the contract's own rules."""

    forms: ClassVar[tuple[type[Struct], ...]] = (V2Shape,)
    examples: ClassVar[Mapping[str, Example]] = {"decision": A_DECISION}

    def __post_init__(self) -> None:
        """Adds the body."""
        super().__post_init__()
        media = OpenAPIMediaType(schema=FormSchema.of(*self.forms), examples={**self.examples})
        self.request_body = RequestBody(content={_JSON: media}, required=True)


@dataclass
class OlderDecisionOperation(DecisionOperation):
    """The same for the older forms."""

    forms: ClassVar[tuple[type[Struct], ...]] = (OldShape, LastShape)
    examples: ClassVar[Mapping[str, Example]] = {"first": AN_OLD_DECISION}


@dataclass
class MoveOperation(DecisionOperation):
    """The same for a move."""

    forms: ClassVar[tuple[type[Struct], ...]] = (MoveShape,)
    examples: ClassVar[Mapping[str, Example]] = {"card": A_MOVE}
