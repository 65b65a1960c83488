"""How a message is kept as it moves on: a new row, or the next step of the one that waited."""

from datetime import datetime

from msgspec.structs import replace

from kvitt.hub.unit_of_work import UnitOfWork
from kvitt.rules.states import MessageState
from kvitt.store.rows import MessageRow, MessageStep


def keep(
    facts: UnitOfWork,
    now: datetime,
    message_no: int,
    record: MessageRow | None,
    *,
    case_no: int | None,
    state: MessageState,
    answer: bytes | None,
) -> None:
    """Stores what became of a message; `record` is its row as far as it was known before, None when it is stored already."""
    derived_at = None if state is MessageState.WAITING else now
    answered_at = now if state is MessageState.ANSWERED else None
    if record is None:
        facts.steps.append(MessageStep(message_no, state.value, derived_at, answered_at, answer))
        return
    moved = replace(record, case_no=case_no, state=state.value, derived_at=derived_at, answered_at=answered_at, answer=answer)
    facts.messages.append(moved)
