"""The simulation that an approver saw, named with a decision: where the rail would do something else now, the decision is refused."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.calendar import working_days_after
from kvitt.disbursement.case import Case
from kvitt.disbursement.case_queue import dequeue_next
from kvitt.disbursement.compared_pay import PictureChange, picture_changes
from kvitt.disbursement.events import OrderWithdrawn
from kvitt.disbursement.holding import NAMED_ALONE
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.receipts import lock_messages, progress_of
from kvitt.disbursement.refusals import SIMULATION_STALE, SIMULATION_UNKNOWN, simulated_otherwise
from kvitt.disbursement.rows import MessageStep
from kvitt.disbursement.simulation import NothingComputed, SimulationFailure, SimulationOutcome
from kvitt.disbursement.simulation_check import CheckedOrder, is_refusal, own_figures, staleness
from kvitt.disbursement.simulation_requests import read_all
from kvitt.disbursement.states import MessageState, What
from kvitt.disbursement.unit_of_work import OutboxWriter, UnitOfWork
from kvitt.disbursement.values import Area, Refusal
from kvitt.kernel.audit import digest
from kvitt.kernel.fetch import fetch, fetch_one
from kvitt.kernel.queries import load

_SQL, _ORDERS = load("order_checks", "kvitt.disbursement"), load("orders", "kvitt.disbursement")


class Seen(Struct, frozen=True):
    """The key of the dry run that was seen, which message names it, and the moment; it holds for so many working days."""

    key: bytes
    message_no: int
    now: datetime
    valid_days: int


class _SeenRequest(NamedTuple):
    request_no: int
    requested_at: datetime
    orders_since: int


class _RefusedOrder(NamedTuple):
    order_id: str
    number: int
    area: str


def refusal_by_seen(
    cursor: psycopg.Cursor[Any], ports: Ports, case: Case, seen: Seen, said: Mapping[str, SimulationOutcome]
) -> Refusal | None:
    """Why a message is refused whose sender names what an approver saw; None where the rail still says that. `said` by area.

    What the rail does not say just now is no difference: whether the order leaves all the same is its scheme's policy.
    """
    named = {"case_no": case.case_no, "key": seen.key, "message_no": seen.message_no}
    found = fetch_one(cursor, _SeenRequest, _SQL.seen_simulation, named)
    rail = ports.rails.simulating(case.scheme)
    if found is None or rail is None:
        return SIMULATION_UNKNOWN
    until = working_days_after(found.requested_at, seen.valid_days)
    if staleness(seen.now, until, orders_then=0, orders_now=found.orders_since):
        return SIMULATION_STALE
    (request,) = read_all(cursor, [found.request_no])
    then = {each.area: each.outcome(rail) for each in request.questions}
    parts = [part for area, outcome in said.items() for part in _changes(CheckedOrder(area, case.case_id, False), then.get(area), outcome)]
    more = len(parts) - NAMED_ALONE
    return simulated_otherwise([*parts[:NAMED_ALONE], *([f"og {more} til"] if more > 0 else [])]) if parts else None


def _changes(order: CheckedOrder, then: SimulationOutcome | None, now: SimulationOutcome) -> Iterator[str]:
    """How two outcomes of one order differ, a text for each stretch of days."""
    if isinstance(now, SimulationFailure):
        if is_refusal(now):
            yield now.text or now.reason.value
        return
    before = NothingComputed() if then is None or isinstance(then, SimulationFailure) else then
    for each in picture_changes(own_figures(before, order), own_figures(now, order)):
        yield _text(each)


def _text(change: PictureChange) -> str:
    days = f"{change.class_code} {change.first_day}–{change.last_day}"
    recovers = change.seen_recovers_kroner or change.now_recovers_kroner
    back = f", feilutbetalt {change.seen_recovers_kroner} da, {change.now_recovers_kroner} nå" if recovers else ""
    return f"{days}: utbetalt {change.seen_pays_kroner} da, {change.now_pays_kroner} nå{back}"


def refuse_message(cursor: psycopg.Cursor[Any], work: UnitOfWork, case: Case, refused: tuple[int, Refusal, datetime], ports: Ports) -> None:
    """Takes back the orders of a message, none of which has left, and answers it with a refusal; the case goes on."""
    message_no, refusal, now = refused
    orders = fetch(cursor, _RefusedOrder, _SQL.refuse_orders, {"message_no": message_no, "now": now, "refusal": refusal.text})
    cursor.execute(_ORDERS.drop_payments, [[each.order_id for each in orders]], binary=True)
    progress = progress_of(cursor, [message_no]).get(message_no)
    asked = lock_messages(cursor, [message_no], ports.contracts)[message_no]
    writer = OutboxWriter(ports.contracts, work)
    last = False
    for place, each in enumerate(orders, 1):
        last = place == len(orders) and not (progress and progress.still_open)
        value = writer.publish(OrderWithdrawn(each.order_id, Area(each.area), last, refusal), asked, now)
        asked = replace(asked, answer=value or asked.answer)
        case.open_orders -= 1
        case.note(work, now, What.WITHDRAWN, digest(value or b""), message_no=message_no, order_id=each.order_id)
    state = MessageState.ANSWERED if last else MessageState.DERIVED
    work.steps.append(MessageStep(message_no, state.value, None, now if last else None, asked.answer))
    dequeue_next(cursor, work, {case.key: case}, now, ports)
