"""The APIs that listen: Thrift over HTTP and JSON REST, as one role of a process, over the ledger and the payouts (design §9)."""

import resource
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import structlog

from kvitt.api.http_limits import Limits
from kvitt.api.rest.refused_calls import RefusedCalls
from kvitt.api.thrift import ledger as thrift_ledger
from kvitt.api.thrift import payouts as thrift_payouts
from kvitt.api.thrift.server import MAX_BODY as THRIFT_BODY
from kvitt.api.thrift.server import Endpoint, ThriftApp
from kvitt.app.addresses import ApiAddresses
from kvitt.app.parts import payouts_of
from kvitt.app.roles import APPROVALS, has_approvals
from kvitt.disbursement.authority import USUAL_CAPS, DecisionPolicy, TwoPeople
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.values import Scheme
from kvitt.errors import BadSettings
from kvitt.kernel.clock import Clock, utc_now
from kvitt.kernel.database import LOCK_MS, pool
from kvitt.kernel.loop import LoopStep, WakeUp, run_loop
from kvitt.kernel.requests import KeyedRequests
from kvitt.ledger.service import LedgerService
from kvitt.payouts.remote import RemotePayouts, SagaSweeper
from kvitt.payouts.repository import reserved_plans
from kvitt.payouts.service import PayoutService
from kvitt.settings import DecisionSettings, HttpSettings, RestSettings, Settings

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

    from kvitt.api.rest.approvals import ApprovalCalls
    from kvitt.api.rest.callers import DecisionAccess
    from kvitt.api.rest.decisions import DecisionCalls
    from kvitt.api.rest.gate import App
    from kvitt.api.rest.rates import CallRates
    from kvitt.api.rest.simulations import SimulationCalls
    from kvitt.api.rest.tokens import Tokens
    from kvitt.contracts.iverksetting.call import EnactmentTerms
    from kvitt.disbursement.reconcile.calls import ReconciliationCalls
    from kvitt.disbursement.reconcile.named_lines import ConsistencyCalls

_log = structlog.get_logger(__name__)
_CONNECTIONS = 8
_RECONCILING: Final = 2
_REFUSING: Final = 2
_LOOK_SECONDS = 0.5
_APIS = 2
_RESERVED: Final = 256
"""For PostgreSQL, brokers, queues, health and logs; half of all where there are few."""
_ENOUGH: Final = 1_048_576
_USUAL_CONNECTIONS: Final = 2048


class ApiStopped(Exception):
    """A server ended by itself."""


class Apis:
    """The listening roles of one process. Their addresses are taken at once; they answer while the steps go on."""

    def __init__(
        self,
        conninfo: str,
        settings: Settings,
        roles: Sequence[str],
        stop: threading.Event,
        *,
        ports: Ports,
        clock: Clock = utc_now,
        asked: Callable[[], None] = lambda: None,
        decided: Callable[[], None] = lambda: None,
    ) -> None:
        """`asked` is called when a simulation is asked for, `decided` when decisions were taken. Raises ApiPortTaken, BadSettings."""
        self._conninfo, self._settings, self._roles, self._stop, self._clock = conninfo, settings, roles, stop, clock
        self._ports, self._asked, self._decided = ports, asked, decided
        if APPROVALS in roles and not has_approvals(settings):
            raise BadSettings("[rest] issuer, [console] issuer: approvals are of people that the console knows; both name one issuer")
        self._descriptors = _raise_limit()
        self._limits = _limits_of(settings.http, self._descriptors, _APIS)
        self.addresses = ApiAddresses(settings, roles, self._limits)
        self.listening = threading.Event()
        """Set once calls are answered."""

    @contextmanager
    def steps(self) -> Iterator[LoopStep]:
        """Answers from here on; the step looks whether the servers still do."""
        with ExitStack() as opened:
            ledger = LedgerService(self._conninfo, self._clock, None if self._settings.payouts.plans_of_others else reserved_plans)
            opened.callback(ledger.close)
            endpoints: dict[str, Endpoint] = {}
            if "ledger" in self._roles:
                endpoints |= thrift_ledger.endpoints(ledger)
            payouts = None
            if "payouts" in self._roles:
                payouts = opened.enter_context(payouts_of(self._conninfo, self._settings.payouts, self._clock))
                endpoints |= thrift_payouts.endpoints(payouts)
            refused = self._refused_calls(opened)
            rest, rest_body = self._rest_app(opened, payouts, ledger if "ledger" in self._roles else None, refused)
            at = self.addresses
            served = ((at.thrift, ThriftApp(endpoints), THRIFT_BODY), (at.rest, rest, rest_body))
            threads = [opened.enter_context(api.serving(app, max_body)) for api, app, max_body in served]
            if payouts and payouts.remote:
                threads.append(opened.enter_context(_sweeping(payouts.remote)))
            for api, _, _ in served:
                opened.callback(api.end_soon)
            _log.info("apis listen", thrift=at.thrift.url, rest=at.rest.url, paths=sorted(endpoints), connections=self._limits.connections)
            self._warn_of_fewer()
            self.listening.set()
            # The first look is at once: until then the process is not ready.
            rounds = count()
            yield lambda: self._look(threads, refused, rest_first=next(rounds) > 0)

    def close(self) -> None:
        """Gives up the addresses."""
        self.addresses.close()

    def _refused_calls(self, opened: ExitStack) -> RefusedCalls:
        writing = pool(self._conninfo, application="kvitt rest", size=_REFUSING, lock_timeout_ms=LOCK_MS)
        refused = RefusedCalls(opened.enter_context(writing), self._clock)
        opened.callback(refused.flush, all_of_them=True)
        return refused

    def _rest_app(
        self, opened: ExitStack, payouts: PayoutService | None, ledger: LedgerService | None, refused: RefusedCalls
    ) -> "tuple[App, int]":
        """The app, and how long a body it takes."""
        # Imported here: it takes a while to load.
        from kvitt.api.rest.app import THREADS, make_app
        from kvitt.api.rest.contract_forms import DECISION_PATHS, TRANSACTION_ID
        from kvitt.api.rest.dry_runs import DECISION_PATH, PATHS
        from kvitt.api.rest.gate import GateLimits

        threads = opened.enter_context(ThreadPoolExecutor(THREADS, thread_name_prefix="rest"))
        looks = opened.enter_context(pool(self._conninfo, application="kvitt rest", size=_CONNECTIONS, lock_timeout_ms=LOCK_MS))
        requests = KeyedRequests(self._conninfo, self._clock)
        opened.callback(requests.close)
        simulations = self._simulations(opened) if "simulations" in self._roles else None
        asked = self._reconciliations(opened) if "reconciliations" in self._roles else None
        dry_runs = (DECISION_PATH, *PATHS)
        bodies = dict.fromkeys((*DECISION_PATHS, *dry_runs), self._settings.rest.decision_bytes)
        limits = GateLimits(bodies, rates_of(self._settings.rest), dict.fromkeys(dry_runs, TRANSACTION_ID))
        tokens = tokens_of(self._settings)
        app = make_app(
            tokens,
            requests,
            threads,
            refused=refused,
            payouts=payouts,
            ledger=ledger,
            simulations=simulations,
            reconciliations=asked and asked[0],
            consistency=asked and asked[1],
            limits=limits,
            decisions=self._decisions(opened, looks) if "decisions" in self._roles else None,
            approvals=self._approvals(looks, tokens) if APPROVALS in self._roles else None,
            docs=self._settings.rest.docs,
        )
        return app, limits.longest_body

    def _decisions(self, opened: ExitStack, looks: "ConnectionPool[Any]") -> "DecisionCalls":
        from kvitt.api.rest.decisions import DecisionCalls
        from kvitt.disbursement.decide import DecisionService

        rest, clock = self._settings.rest, self._clock
        service = DecisionService(
            self._conninfo, clock, self._ports, writers=rest.decision_writers, seconds=rest.decision_seconds, after=self._decided
        )
        opened.callback(service.close)
        access = decision_access(self._settings)
        simulation, terms = self._settings.simulation, enactment_terms(self._settings)
        return DecisionCalls(
            service, access, self._ports, looks, terms, dry_runs=simulation.calls, dry_run_seconds=simulation.dry_run_seconds, clock=clock
        )

    def _approvals(self, pool: "ConnectionPool[Any]", tokens: "Tokens") -> "ApprovalCalls":
        from kvitt.api.people.approving import StepUp
        from kvitt.api.people.claims import ISSUER
        from kvitt.api.people.identity import PeopleOfTokens, claims_of
        from kvitt.api.rest.approvals import ApprovalCalls
        from kvitt.app.approvals import approvals_of

        console, clock = self._settings.console, self._clock
        people = PeopleOfTokens(tokens, claims_of(console), console.issuer or ISSUER, clock)
        return ApprovalCalls(
            pool, lambda connection: approvals_of(self._settings, connection, clock), people, clock, StepUp(console.step_up)
        )

    def _simulations(self, opened: ExitStack) -> "SimulationCalls":
        from kvitt.api.rest.simulations import SimulationCalls

        settings = self._settings.simulation
        questions = opened.enter_context(pool(self._conninfo, application="kvitt rest", size=_CONNECTIONS, lock_timeout_ms=LOCK_MS))
        return SimulationCalls(
            questions, self._ports.rails, self._clock, most=settings.calls, seconds=settings.call_seconds, asked=self._asked
        )

    def _reconciliations(self, opened: ExitStack) -> "tuple[ReconciliationCalls, ConsistencyCalls]":
        from kvitt.contracts.helved.contract import Helved
        from kvitt.disbursement.reconcile.calls import ReconciliationCalls
        from kvitt.disbursement.reconcile.named_lines import ConsistencyCalls

        first_day = self._settings.reconciliation.first_day
        made = opened.enter_context(pool(self._conninfo, application="kvitt rest", size=_RECONCILING, lock_timeout_ms=LOCK_MS))
        calls = ReconciliationCalls(made, self._ports, self._clock, {*Helved.sources.values()}, first_day)
        return calls, ConsistencyCalls(made, self._ports, self._clock)

    def _warn_of_fewer(self) -> None:
        if (wanted := self._settings.http.connections) and wanted > (had := self._limits.connections):
            _log.warning("fewer connections than are set", wanted=wanted, had=had, descriptors=self._descriptors)

    def _look(self, threads: Sequence[threading.Thread], refused: RefusedCalls, *, rest_first: bool) -> int:
        if rest_first:
            self._stop.wait(_LOOK_SECONDS)
        refused.flush()
        if ended := [thread.name for thread in threads if not thread.is_alive()]:
            raise ApiStopped(", ".join(ended))
        return 0


@contextmanager
def _sweeping(remote: RemotePayouts) -> Iterator[threading.Thread]:
    """A thread that finishes or undoes what payouts have begun at another's ledger."""
    stop, wake_up = threading.Event(), WakeUp()
    thread = threading.Thread(target=run_loop, args=("sweeper", SagaSweeper(remote, wake_up).steps, stop), name="sweeper", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        wake_up.notify()
        thread.join()


def tokens_of(settings: Settings) -> "Tokens":
    """Whose tokens let in: those of the issuer that is set, else those of the data directory's own."""
    from kvitt.api.rest.callers import Grants, Permission
    from kvitt.api.rest.local_issuer import ISSUER, LocalIssuer
    from kvitt.api.rest.tokens import Tokens, fetched_from, read_from

    rest = settings.rest
    if not rest.issuer:
        return Tokens(ISSUER, rest.audience, LocalIssuer(settings.data).keys, Grants(by_scope=True))
    applications, groups = (
        {name: [Permission(each) for each in given] for name, given in table.items()} for table in (rest.applications, rest.groups)
    )
    fetch = read_from(rest.jwks_file) if rest.jwks_file else fetched_from(rest.jwks_url, rest.ca_file)
    schemes = {name: [Scheme(each) for each in given] for name, given in rest.schemes.items()}
    return Tokens(rest.issuer, rest.audience, fetch, Grants(applications, groups, schemes))


def rates_of(settings: RestSettings) -> "CallRates":
    """How often applications may call."""
    from kvitt.api.rest.rates import CallRate, CallRates

    usual = CallRate(settings.calls_per_second, settings.burst)
    return CallRates(usual, {name: CallRate(each.calls_per_second, each.burst) for name, each in settings.rates.items()})


def decision_access(settings: Settings) -> "DecisionAccess":
    """Who may send decisions. On a database of its own, without an issuer, the header that names a scheme counts unless that is set."""
    from kvitt.api.rest.callers import DecisionAccess

    by_header = settings.rest.scheme_header
    usual = settings.database_url is None and not settings.rest.issuer
    return DecisionAccess({scheme: _policy(settings, scheme) for scheme in Scheme}, usual if by_header is None else by_header)


def enactment_terms(settings: Settings) -> "Mapping[Scheme, EnactmentTerms]":
    """The terms of the chained decisions of each scheme, as they are set."""
    from kvitt.contracts.iverksetting.call import EnactmentTerms
    from kvitt.contracts.iverksetting.decision import Generation

    given = {scheme: settings.decisions.get(scheme.value, DecisionSettings()) for scheme in Scheme}
    return {
        scheme: EnactmentTerms(Generation(each.answers_as), each.may_lack_payments, each.status_topic) for scheme, each in given.items()
    }


def _policy(settings: Settings, scheme: Scheme) -> DecisionPolicy:
    given = settings.decisions.get(scheme.value, DecisionSettings())
    return DecisionPolicy(
        approver_groups=frozenset(given.approver_groups),
        system_callers=None if given.system_callers is None else frozenset(given.system_callers),
        approver_opens=given.approver_opens,
        approver_frames=given.approver_frames,
        cap_kroner=USUAL_CAPS.get(scheme) if given.cap_kroner is None else given.cap_kroner or None,
        two_people=TwoPeople(given.two_people),
    )


def _raise_limit() -> int:
    """Raises the soft limit of descriptors to the hard one, where that is allowed; returns how many there may be now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def _limits_of(settings: HttpSettings, descriptors: int, apis: int) -> Limits:
    """The limits of each of so many APIs: what is set, but never more connections than descriptors are left for them."""
    free = descriptors - min(_RESERVED, descriptors // 2)
    connections = max(1, min(settings.connections or _USUAL_CONNECTIONS, free // apis))
    return Limits(
        connections=connections,
        connections_per_address=min(connections, settings.connections_per_address or max(1, connections // 2)),
        header_seconds=settings.header_seconds,
        body_seconds=settings.body_seconds,
        idle_seconds=settings.idle_seconds,
        answer_seconds=settings.answer_seconds,
        request_line_bytes=settings.request_line_bytes,
        headers=settings.headers,
        header_bytes=settings.header_bytes,
        body_memory_bytes=settings.body_memory_bytes,
    )
