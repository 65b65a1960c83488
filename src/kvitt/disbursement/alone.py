"""Acts that one person does alone, with what each would do: nothing is paid by them that its sender did not ask for (design §11)."""

from kvitt.disbursement.approvable import OrderNamed, effect_on_order
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.ports import Ports
from kvitt.kernel.approvals import ApprovableAct
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator


def withdraw_act(clock: Clock, ports: Ports) -> ApprovableAct[OrderNamed]:
    """An order that has not left is taken back; its sender hears so."""

    def run(connection: Connection, asked: OrderNamed, operator: Operator) -> str:
        Operate(connection, clock, ports).withdraw(asked.order_id, operator)
        return f"order {asked.order_id} is withdrawn"

    return ApprovableAct("order withdraw", OrderNamed, lambda asked: asked.order_id, lambda *asked: effect_on_order(run, *asked), run)
