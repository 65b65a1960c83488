"""Consistency reconciliation over REST, as its callers know it: they name the lines, in one call or in several (iverksetting §5.6)."""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import JSONBody, Parameter
from litestar.router import Router
from msgspec import Meta, Struct, field

from kvitt.api.rest.callers import Permission
from kvitt.api.rest.problems import FormedProblem, Problem
from kvitt.api.rest.reconciliations import FIRST_DAY, LocalMoment
from kvitt.api.rest.routes import PROBLEM_OF, PROBLEMS, Repeatable, RouteWork, actor_of, may, refuse_flawed
from kvitt.disbursement.reconcile.named_lines import AsSent, ByDecisions, ConsistencyBatch, ConsistencyCalls, NamedDecision, Naming
from kvitt.disbursement.reconciliation import ActiveCase, ActiveLine
from kvitt.disbursement.values import LineId
from kvitt.errors import BadRequest
from kvitt.kernel.money import Kroner
from kvitt.rails.oppdrag.order_xml import RATE_CODES, encode_line_id

BATCH, OLDER_BATCH = "/api/v2/konsistensavstemming", "/api/konsistensavstemming"
PATHS: Final = (BATCH, OLDER_BATCH)
_DONE, _FAILED = "Konsistensavstemming sendt ok", "Konsistensavstemming feilet"
_RATES: Final = {code: rate for rate, code in RATE_CODES.items()}
_JSON: Final = "application/json"
_WRITABLE = r"^[^\x00-\x1f\ufffe\uffff]*$(?!\n)"
"""What XML has characters for; the last part is for readers of patterns to whom a line's end is an end too."""
_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=_WRITABLE)]
"""Of a scheme, a person, an organisation or a decision."""
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
LineAmount = Annotated[int, Meta(ge=-(10**11), le=10**11, description="whole kroner")]
Starts = Annotated[Literal["true", "false"], Parameter(description="whether it is the first batch")]
Ends = Annotated[Literal["true", "false"], Parameter(description="whether it is the last batch")]
Transaction = Annotated[str | None, Parameter(pattern=_UUID, description="the same in all batches of one reconciliation")]


class PeriodsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The lines of a decision by their numbers; `utebetalesTil` is written so."""

    decision_id: Name = field(name="behandlingId")
    numbers: list[Number] = field(name="perioder")
    person: Name | None = field(name="aktivFødselsnummer", default=None)
    recipient: Name | None = field(name="utebetalesTil", default=None)


class NamedLinesBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Lines in force at a local moment, by decisions."""

    scheme: Name = field(name="fagsystem")
    decisions: list[PeriodsBody] = field(name="perioderForBehandlinger")
    at: LocalMoment = field(name="avstemmingstidspunkt")


class SentLineBody(Struct, frozen=True):
    """A line as its caller once had it sent."""

    number: Number = field(name="periodeId")
    decided_on: date = field(name="vedtaksdato")
    class_code: Name = field(name="klassifisering")
    start: date = field(name="fom")
    end: date = field(name="tom")
    amount: LineAmount = field(name="sats")
    rate: Literal["DAG", "DAG7", "MND", "ENG"] = field(name="satstype")
    recipient: Name = field(name="utbetalesTil")
    decision_id: Name = field(name="behandlingId")
    before: Number | None = field(name="forrigePeriodeId", default=None)
    grade: Annotated[int, Meta(ge=0, le=100)] | None = field(name="utbetalingsgrad", default=None)


class SentOrderBody(Struct, frozen=True):
    """A case with its lines, as its caller once had it sent."""

    case_id: Annotated[str, Meta(min_length=1, max_length=25, pattern=_WRITABLE)] = field(name="saksnummer")
    person: Name = field(name="aktør")
    caseworker: Name = field(name="saksbehandlerId")
    lines: list[SentLineBody] = field(name="utbetalingsperiode")

    @property
    def case(self) -> ActiveCase:
        """The case as it is reported."""
        lines = tuple([_line(self, line) for line in self.lines])
        return ActiveCase(self.case_id, self.person, "MND", self.caseworker, None, lines)


class SentOrdersBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Lines in force at a local moment, by cases."""

    scheme: Name = field(name="fagsystem")
    orders: list[SentOrderBody] = field(name="utbetalingsoppdrag")
    at: LocalMoment = field(name="avstemmingstidspunkt")


class ConsistencyAnswer(Struct, frozen=True):
    """The answer to a batch; `feil` says what is wrong with it, `kode` is the stable code of that."""

    data: str | None
    status: Literal["SUKSESS", "FEILET"]
    melding: str
    feil: str | None = None
    kode: str | None = None


def router(calls: ConsistencyCalls, work: RouteWork) -> Router:
    """The routes of consistency reconciliation."""
    dependencies = {
        "consistency": Provide(lambda: calls, sync_to_thread=False, use_cache=True),
        "work": Provide(lambda: work, sync_to_thread=False, use_cache=True),
    }
    return Router("/", route_handlers=[take_named, take_sent], dependencies=dependencies, tags=["reconciliation"])


def consistency_form(problem: Problem, _headers: Mapping[str, str]) -> FormedProblem:
    """A problem in the form of these paths."""
    said = "; ".join([problem.detail, *(f"{each.field}: {each.rule}" for each in problem.errors)])
    return FormedProblem(_JSON, msgspec.json.encode(ConsistencyAnswer(None, "FEILET", _FAILED, said, problem.code)))


def _refused(status: int) -> ResponseSpec:
    """A refusal of these paths, with one of its kind."""
    problem = PROBLEM_OF[status]
    example = Example(summary=problem.detail, value=msgspec.json.decode(consistency_form(problem, {}).body))
    meaning = PROBLEMS[status].description
    return ResponseSpec(ConsistencyAnswer, description=meaning, media_type=_JSON, generate_examples=False, examples=[example])


_ANSWERS: Final = {status: _refused(status) for status in PROBLEMS}


@post(
    BATCH,
    guards=[may(Permission.RECONCILIATION_WRITE)],
    responses=_ANSWERS,
    operation_class=Repeatable,
    status_code=200,
    summary="Report lines in force that the caller names by decisions",
    description="A batch that comes again changes nothing. The messages leave when the last batch of the transaction is here.",
)
async def take_named(
    request: Request[Any, Any, Any],
    data: JSONBody[NamedLinesBody],
    consistency: NamedDependency[ConsistencyCalls],
    work: NamedDependency[RouteWork],
    *,
    sendStartmelding: Starts = "true",  # noqa: N803 - the name on the wire
    sendAvsluttmelding: Ends = "true",  # noqa: N803
    transaksjonsId: Transaction = None,  # noqa: N803
) -> ConsistencyAnswer:
    """That the batch is taken."""
    naming = ByDecisions([NamedDecision(each.decision_id, frozenset(each.numbers), each.person, each.recipient) for each in data.decisions])
    batch = _batch(data, naming, (sendStartmelding, sendAvsluttmelding, transaksjonsId))
    return await _take(request, consistency, work, batch)


@post(
    OLDER_BATCH,
    guards=[may(Permission.RECONCILIATION_WRITE)],
    responses=_ANSWERS,
    operation_class=Repeatable,
    status_code=200,
    summary="Report lines in force that the caller gives itself",
    description="The older call: what is given is reported, and compared with nothing.",
)
async def take_sent(
    request: Request[Any, Any, Any],
    data: JSONBody[SentOrdersBody],
    consistency: NamedDependency[ConsistencyCalls],
    work: NamedDependency[RouteWork],
    *,
    sendStartmelding: Starts = "true",  # noqa: N803 - the name on the wire
    sendAvsluttmelding: Ends = "true",  # noqa: N803
    transaksjonId: Transaction = None,  # noqa: N803
) -> ConsistencyAnswer:
    """That the batch is taken."""
    batch = _batch(data, AsSent([each.case for each in data.orders]), (sendStartmelding, sendAvsluttmelding, transaksjonId))
    return await _take(request, consistency, work, batch)


async def _take(
    request: Request[Any, Any, Any], consistency: ConsistencyCalls, work: RouteWork, batch: ConsistencyBatch
) -> ConsistencyAnswer:
    by = actor_of(request).name
    await work.on_thread(lambda: consistency.take(batch, by))
    return ConsistencyAnswer(_DONE, "SUKSESS", _DONE)


def _batch(data: NamedLinesBody | SentOrdersBody, naming: Naming, asked: tuple[str, str, str | None]) -> ConsistencyBatch:
    starts, ends, transaction = asked
    digest = hashlib.sha256(msgspec.json.encode((asked, data))).digest()
    return ConsistencyBatch(
        scheme=data.scheme,
        at=_moment(data.at),
        digest=digest,
        naming=naming,
        starts=starts == "true",
        ends=ends == "true",
        transaction=UUID(transaction) if transaction else None,
    )


def _moment(text: str) -> datetime:
    """A local moment; of nanoseconds the first six digits. Raises BadRequest for what is none."""
    head, _, fraction = text.partition(".")
    try:
        found = datetime.fromisoformat(f"{head}.{fraction[:6]:0<6}" if fraction else head)
    except ValueError:
        raise BadRequest(("avstemmingstidspunkt", "is no date and time of the calendar")) from None
    refuse_flawed(("avstemmingstidspunkt", f"must not be before {FIRST_DAY}" if found.date() < FIRST_DAY else None))
    return found


def _line(order: SentOrderBody, line: SentLineBody) -> ActiveLine:
    return ActiveLine(
        line_id=_line_id(order, "periodeId", line.number),
        refers_to=None if line.before is None else _line_id(order, "forrigePeriodeId", line.before),
        class_code=line.class_code,
        start=line.start,
        end=line.end,
        amount=Kroner(line.amount),
        rate_type=_RATES[line.rate],
        decided_on=line.decided_on,
        caseworker=order.caseworker,
        approver=order.caseworker,
        recipient=line.recipient,
        decision_id=line.decision_id,
        grade=line.grade,
    )


def _line_id(order: SentOrderBody, name: str, number: int) -> LineId:
    """The id of a line. Raises BadRequest for one that the rail has no room for."""
    line_id = LineId(f"{order.case_id}#{number}")
    try:
        encode_line_id(line_id)
    except ValueError as error:
        raise BadRequest((f"utbetalingsoppdrag.utbetalingsperiode.{name}", f"{line_id}: {error}")) from None
    return line_id
