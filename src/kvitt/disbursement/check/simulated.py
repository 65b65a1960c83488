"""Replays dry runs of a case: the questions that were asked of the rail, and what was published of its answers (design §14)."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from kvitt.disbursement.check.made import unequal
from kvitt.disbursement.check.report import Kind
from kvitt.disbursement.events import SimulationEnded
from kvitt.disbursement.rows import SimulationRow
from kvitt.disbursement.simulation_requests import RequestWithQuestions
from kvitt.disbursement.states import OPEN_ORDER, MessageState, What
from kvitt.kernel.audit import AuditRow, digest
from kvitt.kernel.clock import oslo

if TYPE_CHECKING:
    from kvitt.disbursement.check.replay import Replay
    from kvitt.disbursement.check.stored import StoredCase


def questions_of_then(stored: "StoredCase", message_no: int) -> Sequence[bytes] | None:
    """The questions of a dry run that were published for others to ask, as of old; None: kvitt asked them itself."""
    if message_no in stored.simulations:
        return None
    return [each.row.value or b"" for each in stored.published if each.row.message_no == message_no] or None


def look_at_open_orders(replay: "Replay") -> None:
    """Gives the case of a replay what a dry run hears of it."""
    made = [each.made.made_at for each in replay.orders.values() if each.state in OPEN_ORDER]
    replay.case.open_since = min(made, default=None)


def _ended(replay: "Replay", entry: AuditRow) -> None:
    """An entry about what a dry run heard of the rail's answer."""
    replayed, found = replay.message_replays.get(entry.message_no or 0), replay.stored.simulations.get(entry.message_no or 0)
    outcome = found.outcome(replay.simulating) if found and replay.simulating else None
    if replayed is None or outcome is None or replayed.state is not MessageState.DERIVED:
        replay.differs(Kind.ENTRY, entry.seq, f"ends a simulation of message {entry.message_no}, which waits for none")
        return
    event = SimulationEnded(outcome, replay.case.case_id, oslo(entry.at).date())
    published, answer = replay.made_of(replayed, event, entry.at)
    if digest(*[row.value or b"" for row in published]) != entry.digest:
        replay.differs(Kind.ENTRY, entry.seq, "is not what the stored answer of the rail gives")
    replay.published.extend(published)
    replayed.answer = answer or replayed.answer
    replayed.state, replayed.answered_at = MessageState.ANSWERED, entry.at


SIMULATING: Final[Mapping[str, Callable[["Replay", AuditRow], None]]] = {What.SIMULATION_ENDED: _ended}
"""What each of these entries does to a replay."""


def compare_simulations(replay: "Replay") -> None:
    """Notes every question that is not what the replay makes, or that nothing made."""
    made: dict[int, list[SimulationRow]] = {}
    for row in replay.simulations:
        made.setdefault(row.message_no or 0, []).append(row)
    for number in made.keys() | replay.stored.simulations.keys():
        rows, stored = made.get(number, []), replay.stored.simulations.get(number)
        replayed = replay.message_replays.get(number)
        if replayed is not None and not replayed.trusted:
            continue
        stands = _rows(stored) if stored else []
        if len(rows) != len(stands):
            replay.differs(Kind.SIMULATION, number, f"has {len(stands)} questions stored, and {len(rows)} are made")
        for one, other in zip(rows, stands, strict=False):
            if one != other:
                replay.differs(Kind.SIMULATION, number, f"differs in {unequal(one, other)}")
        if stored and not stored.request.is_open and replayed and replayed.state is not MessageState.ANSWERED:
            replay.differs(Kind.SIMULATION, number, "has ended, and nothing was published")


def _rows(stored: RequestWithQuestions) -> list[SimulationRow]:
    """A request as it was made."""
    request = stored.request
    first = SimulationRow(
        name=request.name,
        asker=request.asker.value,
        contract=request.contract,
        message_no=request.message_no,
        caller=request.caller,
        case_no=request.case_no,
        person=request.person,
        rail=request.rail,
        requested_at=request.requested_at,
        deadline=request.deadline,
        place=0,
        area="",
        order_id=None,
        question=b"",
    )
    return [replace(first, place=each.place, area=each.area, order_id=each.order_id, question=each.question) for each in stored.questions]
