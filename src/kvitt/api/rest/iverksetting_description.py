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
from kvitt.api.rest.contract_examples import (
    A_DAY_MORE,
    A_DECISION,
    A_MOVE,
    A_NAME,
    A_STATUS,
    AN_OLD_DECISION,
    OF_DECISIONS,
    OF_SIMULATED_DECISIONS,
    THE_PAYMENTS,
    with_examples,
)
from kvitt.api.rest.contract_forms import TRANSACTION_ID
from kvitt.api.rest.decisions import SEEN
from kvitt.api.rest.routes import IDEMPOTENCY_KEY, FormSchema
from kvitt.contracts.iverksetting.call import SOURCE_OF
from kvitt.contracts.iverksetting.moving import MoveShape
from kvitt.contracts.iverksetting.shapes import LastShape, OldShape, V2Shape
from kvitt.contracts.iverksetting.simulated import SimulatedDecision
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


_OF_SIMULATIONS: Final[Mapping[int, str]] = {
    **{status: meaning for status, meaning in _MEANINGS.items() if status in (400, 403, 413, 415, 429, 500)},
    404: "the rail does not know the person, or the case, or the line before",
    408: "the rail did not answer in time",
    409: "the decision before has not ended well, or the case has an open order, or is another contract's; the rail has the order already; "
    "or the `Transaction-ID` was used for another question",
    422: "the order can not be simulated, or breaks a rule of the rail",
    501: "the scheme's rail does not simulate",
    502: "the rail's simulation is closed, or answers what can not be read",
    503: "the rail's simulation is away; or too many calls wait, or the database or the issuer is away",
    504: "it is not known whether it was asked",
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
    200: ResponseSpec(
        list[SinglePayment],
        description="the payments that they would be",
        media_type=_JSON,
        generate_examples=False,
        examples=[THE_PAYMENTS],
    ),
    **_MOVE_REFUSALS,
}
STATUS: Final = {
    200: ResponseSpec(str, description="how far the decision has come", media_type=_JSON, generate_examples=False, examples=[A_STATUS]),
    **_UNKNOWN,
    **{status: spec for status, spec in REFUSALS.items() if status in (400, 401, 403, 429, 500, 503)},
}
APPROVER: Final = {
    200: ResponseSpec(str, description="the approver's own name", media_type=_JSON, generate_examples=False, examples=[A_NAME]),
    **{status: spec for status, spec in STATUS.items() if status not in (200, 404)},
}
SIMULATED: Final = {
    200: ResponseSpec(
        SimulatedDecision, description="what the decision would lead to", media_type=_JSON, generate_examples=False, examples=[A_DAY_MORE]
    ),
    204: ResponseSpec(None, description="nothing would change"),
    401: ResponseSpec(None, description="no valid token; the answer has no body"),
    **with_examples(
        {status: _refusal(meaning) for status, meaning in _OF_SIMULATIONS.items()}, OF_SIMULATED_DECISIONS, header=TRANSACTION_ID
    ),
}
SCHEME_PARAMETER: Final = HeaderParameter(
    SCHEME_HEADER,
    "header",
    schema=Schema(type=OpenAPIType.STRING, examples=[*SOURCE_OF]),
    description="the scheme, where the application has several; outside production that of whoever calls; else it is not looked at",
)


_SEEN: Final = HeaderParameter(
    SEEN,
    "header",
    schema=Schema(type=OpenAPIType.STRING, min_length=1, max_length=255, pattern="^[ -~]+$"),
    description="the `Transaction-ID` of the dry run whose simulation an approver saw",
)


@dataclass
class SchemeOperation(Operation):
    """An operation with the header that names a scheme."""

    def __post_init__(self) -> None:
        """Adds what no signature has."""
        self.parameters = [*(self.parameters or []), SCHEME_PARAMETER]


@dataclass
class DecisionOperation(SchemeOperation):
    """An operation whose body the route reads by the contract's own rules."""

    names_simulation: ClassVar[bool] = True
    forms: ClassVar[tuple[type[Struct], ...]] = (V2Shape,)
    examples: ClassVar[Mapping[str, Example]] = {"decision": A_DECISION}

    def __post_init__(self) -> None:
        """Adds the body, the header by which repeats are recognised, and the one that names a simulation."""
        super().__post_init__()
        self.parameters = [*(self.parameters or []), IDEMPOTENCY_KEY, *([_SEEN] if self.names_simulation else [])]
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

    names_simulation: ClassVar[bool] = False
    forms: ClassVar[tuple[type[Struct], ...]] = (MoveShape,)
    examples: ClassVar[Mapping[str, Example]] = {"card": A_MOVE}
