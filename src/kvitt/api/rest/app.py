"""The REST API as one ASGI app: the gate, the routes of the roles that listen, their description, and bodies checked by their forms."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, Final, get_args, get_origin

import msgspec
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.router import Router
from msgspec import Struct
from psycopg_pool import ConnectionPool

from kvitt.api.rest import approvals as approval_routes
from kvitt.api.rest import consistency as consistency_routes
from kvitt.api.rest import docs_page
from kvitt.api.rest import dry_runs as dry_run_routes
from kvitt.api.rest import iverksetting as iverksetting_routes
from kvitt.api.rest import ledger as ledger_routes
from kvitt.api.rest import moves as move_routes
from kvitt.api.rest import payouts as payout_routes
from kvitt.api.rest import reconciliations as reconciliation_routes
from kvitt.api.rest import simulations as simulation_routes
from kvitt.api.rest import utbetalinger as utbetalinger_routes
from kvitt.api.rest.approvals import ApprovalCalls
from kvitt.api.rest.contract_forms import contract_form
from kvitt.api.rest.decisions import DecisionCalls
from kvitt.api.rest.gate import App, Gate, GateLimits
from kvitt.api.rest.problems import ProblemForms
from kvitt.api.rest.refused_calls import RefusedCalls
from kvitt.api.rest.repeats import IdempotencyKeys, repeat_of
from kvitt.api.rest.routes import CHECK, LOCATION, RouteWork
from kvitt.api.rest.simulations import SimulationCalls
from kvitt.api.rest.tokens import Tokens
from kvitt.contracts.rapid.wire.simulation import PATH as SIMULATIONS
from kvitt.disbursement.reconcile.calls import ReconciliationCalls
from kvitt.disbursement.reconcile.named_lines import ConsistencyCalls
from kvitt.errors import BadRequest, Undecodable
from kvitt.formats.json_members import refuse_repeated
from kvitt.kernel.clock import Clock
from kvitt.ledger.service import LedgerService
from kvitt.payouts.service import PayoutService

THREADS: Final = 64
_JSON: Final = "application/json"
_DESCRIPTION = """Payouts, the double-entry ledger behind them, simulations of payments of benefits, their reconciliation with the
rail, and approvals of what people ask for. Amounts of payouts and of the ledger are whole minor units of a currency, those of
simulations whole kroner.

Every request needs a bearer token. A POST, PUT or DELETE may carry an `Idempotency-Key`: the same request with the same key is done once,
and its repeats are answered with the first answer and `Idempotency-Replayed: true`; another request under that key is refused with 409.
Problems have the form of RFC 9457, those of a path that another service had before the form of that one."""


def make_app(
    tokens: Tokens,
    pool: ConnectionPool[Any],
    clock: Clock,
    threads: ThreadPoolExecutor,
    *,
    payouts: PayoutService | None,
    ledger: LedgerService | None,
    simulations: SimulationCalls | None = None,
    reconciliations: ReconciliationCalls | None = None,
    consistency: ConsistencyCalls | None = None,
    limits: GateLimits | None = None,
    decisions: DecisionCalls | None = None,
    approvals: ApprovalCalls | None = None,
    refused: RefusedCalls | None = None,
    docs: bool = True,
) -> App:
    """The app with the routes of what is given; `pool` is for requests that may be repeated, `threads` is where routes work.

    With `docs` anybody may read how it is described.
    """
    work = RouteWork(threads)
    routers: Sequence[Router] = [
        *([payout_routes.router(payouts, work)] if payouts else []),
        *(ledger_routes.router(ledger, work) if ledger else []),
        *([simulation_routes.router(simulations, work)] if simulations else []),
        *([reconciliation_routes.router(reconciliations, work)] if reconciliations else []),
        *([consistency_routes.router(consistency, work)] if consistency else []),
        *([iverksetting_routes.router(decisions, work)] if decisions else []),
        *([utbetalinger_routes.router(decisions, work), move_routes.router(decisions, work)] if decisions else []),
        *(dry_run_routes.routers(decisions, work) if decisions else []),
        *([approval_routes.router(approvals, work)] if approvals else []),
    ]
    forms = ProblemForms(
        {
            **({SIMULATIONS: simulation_routes.service_form} if simulations else {}),
            **(dict.fromkeys(consistency_routes.PATHS, consistency_routes.consistency_form) if consistency else {}),
        },
        {
            **dict.fromkeys(
                (iverksetting_routes.PATH, dry_run_routes.DECISION_PATH), iverksetting_routes.problem_form(decisions.iverksetting)
            ),
            **dict.fromkeys((utbetalinger_routes.PATH, *dry_run_routes.PATHS), contract_form(utbetalinger_routes.write_refusal)),
        }
        if decisions
        else {},
    )
    described = OpenAPIConfig(
        title="kvitt",
        version="1",
        description=_DESCRIPTION,
        path="/schema",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}),
        security=[{"token": []}],
    )
    app = Litestar(
        route_handlers=routers,
        openapi_config=described,
        before_request=look,
        exception_handlers={Exception: forms.response},
        request_max_body_size=None,
        logging_config=None,
    )
    gate = Gate(app, tokens, IdempotencyKeys(pool, clock, threads), forms, limits=limits, refused=refused)
    return docs_page.PublicPages(gate, lambda: _pages(app.openapi_schema.to_schema()), threads) if docs else gate


def _pages(described: Mapping[str, Any]) -> Mapping[str, docs_page.PublicPage]:
    return {
        docs_page.DESCRIPTION: docs_page.PublicPage(
            {"content-type": _JSON, "x-content-type-options": "nosniff"}, msgspec.json.encode(described)
        ),
        docs_page.PATH: docs_page.PublicPage(docs_page.headers(), docs_page.page_of(described)),
    }


async def look(request: Request[Any, Any, Any]) -> Response[bytes] | None:
    """The answer that the same request had before; None: the route is asked.

    Litestar would take a number written as text, and any type of content; here a body is what the description says. Raises BadRequest
    naming fields and rules, InvalidInput, HTTPException (415), KeyReused, RequestInProgress, and psycopg errors.
    """
    body = await request.body()
    if check := _check_of(request.route_handler):
        _check_type(request, body)
        check(body)
    repeat = repeat_of(request)
    answered = await repeat.begin(body) if repeat else None
    if answered is None:
        return None
    headers = {"idempotency-replayed": "true"}
    if answered.status == HTTPStatus.CREATED and (path_of := request.route_handler.opt.get(LOCATION)):
        headers[LOCATION] = path_of(request)
    return Response(answered.body, status_code=answered.status, media_type=answered.content_type, headers=headers)


def _check_of(handler: BaseRouteHandler) -> Callable[[bytes], None] | None:
    """The check that a body must pass: the one that the route names, or that of the form in which the route gets it."""
    named: Callable[[bytes], None] | None = handler.opt.get(CHECK)
    data = handler.parsed_fn_signature.parameters.get("data")
    return named or (partial(check_body, form=data.annotation) if data is not None else None)


def _check_type(request: Request[Any, Any, Any], body: bytes) -> None:
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and named != _JSON:
        raise HTTPException(status_code=415, detail=f"the body must be {_JSON}")


_MOST_WRONGS: Final = 100
_PLACE = re.compile(r"(?P<rule>.*?)(?: - at `\$\.?(?P<field>.*)`)?", re.DOTALL)
_NAMED = re.compile(r"Object (?:missing required|contains unknown) field `(?P<name>.*)`", re.DOTALL)
WrongField = tuple[str, str]


def check_body(body: bytes, form: Any) -> None:
    """Raises BadRequest with all that is wrong, up to a bound; or with the one rule that JSON itself breaks."""
    try:
        _decoder(form).decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(*_all_wrong(body, form) or [_said(str(error))]) from None
    except msgspec.DecodeError as error:
        raise BadRequest(("", str(error))) from None
    except UnicodeDecodeError:
        raise BadRequest(("", "the JSON is not UTF-8")) from None
    try:
        refuse_repeated(body)
    except Undecodable as repeated:
        raise BadRequest((repeated.field, repeated.rule)) from None


@cache
def _decoder(form: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(form)


def _all_wrong(body: bytes, form: Any) -> list[WrongField]:
    """Nothing for what can't be read without its form: then the first thing wrong must do."""
    try:
        return list(islice(_wrongs(form, msgspec.json.decode(body), ""), _MOST_WRONGS))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _wrongs(form: Any, value: object, field: str) -> Iterator[WrongField]:
    """msgspec stops at the first; so each field and item is looked at by itself."""
    bare, *limits = get_args(form) if get_origin(form) is Annotated else (form,)
    if isinstance(bare, type) and issubclass(bare, Struct) and isinstance(value, dict):
        yield from _wrong_fields(bare, value, field)
        return
    items: Sequence[object] = ()
    if get_origin(bare) is Sequence and isinstance(value, list):
        items, form = value, Annotated[list[Any], *limits] if limits else list[Any]
    try:
        msgspec.convert(value, form)
    except msgspec.ValidationError as error:
        inner, rule = _said(str(error))
        yield f"{field}.{inner}".strip("."), rule
    for number, item in enumerate(items):
        yield from _wrongs(get_args(bare)[0], item, f"{field}[{number}]")


def _wrong_fields(form: type[Struct], value: Mapping[str, object], field: str) -> Iterator[WrongField]:
    known = {each.encode_name: each for each in msgspec.structs.fields(form)}
    for name in (name for name in value if name not in known):
        yield f"{field}.{name}".lstrip("."), "is no field here"
    for name, each in known.items():
        place = f"{field}.{name}".lstrip(".")
        if name in value:
            yield from _wrongs(each.type, value[name], place)
        elif each.required:
            yield place, "is required"


def _said(text: str) -> WrongField:
    """Field and rule of a text such as ``Expected `int`, got `str` - at `$.cash.amount` ``."""
    found = _PLACE.fullmatch(text)
    assert found is not None, "anything matches"
    rule, field = found["rule"], found["field"] or ""
    if (named := _NAMED.fullmatch(rule)) is not None:
        field = f"{field}.{named['name']}".lstrip(".")
    return field, rule
