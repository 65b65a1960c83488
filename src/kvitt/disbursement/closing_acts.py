"""Acts on what has come to an end: a dead letter and a receipt are closed, the rail is asked a question once more."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from kvitt.disbursement.approvable import Doing
from kvitt.disbursement.dead import DeadLetters
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.simulation_requests import ask_again
from kvitt.kernel.approvals import LOOKING, ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator


class NumberNamed(Struct, frozen=True):
    """The number of what an act is about."""

    number: int


def closing_acts(clock: Clock, ports: Ports) -> Sequence[ApprovableAct[Any]]:
    """All of them."""

    def close_letter(connection: Connection, asked: NumberNamed, operator: Operator) -> str:
        DeadLetters(connection, clock, ports).close(asked.number, operator)
        return f"dead letter {asked.number} is closed"

    def close_receipt(connection: Connection, asked: NumberNamed, operator: Operator) -> str:
        Operate(connection, clock, ports).close_receipt(asked.number, operator)
        return f"receipt {asked.number} is closed"

    def simulate(connection: Connection, asked: NumberNamed, operator: Operator) -> str:
        return f"simulation {ask_again(connection, asked.number, operator, clock())} is asked for"

    acts: Mapping[str, tuple[Doing, str]] = {
        "dead close": (close_letter, "dead letter {} would be closed as dealt with; nothing is sent, and it is not replayed any more"),
        "receipt close": (close_receipt, "receipt {} would be closed as dealt with; no order is changed"),
        "simulation again": (simulate, "the rail would be asked once more what simulation {} asked; nobody else hears the answer"),
    }
    return [_by_number(name, *each) for name, each in acts.items()]


def _by_number(name: str, run: Doing, said: str) -> ApprovableAct[NumberNamed]:
    def preview(connection: Connection, asked: NumberNamed) -> ShownEffect:
        with connection.transaction(force_rollback=True):
            run(connection, asked, LOOKING)
        return ShownEffect.of(said.format(asked.number))

    return ApprovableAct(name, NumberNamed, lambda asked: str(asked.number), preview, run)
