"""The REST API as one ASGI app: the gate, the routes of the roles that listen, their description, and bodies checked by their forms."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.router import Router

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
from kvitt.api.rest.dispatch import Dispatch
from kvitt.api.rest.gate import App, Gate, GateLimits
from kvitt.api.rest.problems import ProblemForms
from kvitt.api.rest.refused_calls import RefusedCalls
from kvitt.api.rest.routes import RouteWork
from kvitt.api.rest.simulations import SimulationCalls
from kvitt.api.rest.tokens import Tokens
from kvitt.contracts.rapid.wire.simulation import PATH as SIMULATIONS
from kvitt.disbursement.reconcile.calls import ReconciliationCalls
from kvitt.disbursement.reconcile.named_lines import ConsistencyCalls
from kvitt.kernel.requests import KeyedRequests
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
    requests: KeyedRequests,
    threads: ThreadPoolExecutor,
    *,
    refused: RefusedCalls,
    payouts: PayoutService | None,
    ledger: LedgerService | None,
    simulations: SimulationCalls | None = None,
    reconciliations: ReconciliationCalls | None = None,
    consistency: ConsistencyCalls | None = None,
    limits: GateLimits | None = None,
    decisions: DecisionCalls | None = None,
    approvals: ApprovalCalls | None = None,
    docs: bool = True,
) -> App:
    """The app with the routes of what is given; `requests` knows those that may be repeated, `threads` is where routes work.

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
        logging_config=None,
    )
    gate = Gate(Dispatch(app, forms), tokens, requests, forms, threads, refused=refused, limits=limits)
    return docs_page.PublicPages(gate, lambda: _pages(app.openapi_schema.to_schema()), threads) if docs else gate


def _pages(described: Mapping[str, Any]) -> Mapping[str, docs_page.PublicPage]:
    return {
        docs_page.DESCRIPTION: docs_page.PublicPage(
            {"content-type": _JSON, "x-content-type-options": "nosniff"}, msgspec.json.encode(described)
        ),
        docs_page.PATH: docs_page.PublicPage(docs_page.headers(), docs_page.page_of(described)),
    }
