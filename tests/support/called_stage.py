"""A hub that is called, stepped by hand: the toy contract beside the others, and what becomes of its decisions."""

from kvitt.app.ports import PORTS
from kvitt.disbursement.caller import CallHeaders
from kvitt.disbursement.check.check import check
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.values import Scheme
from support.called_contract import BY_MACHINE, CALLED, CalledContract
from support.hub_stage import Stage

HUB = Ports(contracts=Contracts(*PORTS.contracts, CalledContract()), rails=PORTS.rails)
"""A hub with the toy contract plugged in beside the others."""


class Site(Stage):
    """A hub that is called, stepped by hand."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo, HUB)
        self._calls = 0

    def call(self, body: bytes, by: CallHeaders = BY_MACHINE) -> Incoming:
        """A call as the intake hands it in."""
        self._calls += 1
        return Incoming(CALLED, 0, self._calls, b"key", body, by.encode())

    def decide(self, *bodies: bytes, by: CallHeaders = BY_MACHINE) -> list[str]:
        """What is done of each call of a batch, with the answer."""
        calls = [self.call(body, by) for body in bodies]
        self.submit(calls)
        query = (
            "SELECT d.outcome || ': ' || convert_from(m.answer, 'UTF8') FROM decisions AS d JOIN messages AS m USING (message_no) "
            "WHERE m.source = %s AND m.position >= %s ORDER BY m.position"
        )
        return [str(said) for (said,) in self.rows(query, CALLED, calls[0].position)]

    def owner(self, case: str) -> object:
        """The contract of a case."""
        return self.one("SELECT contract FROM cases WHERE scheme = %s AND case_id = %s", Scheme.VALP.value, case)

    def differences(self) -> list[str]:
        """What the check finds."""
        return [f"{each.kind.value} {each.subject}: {each.text}" for each in check(self.conninfo, HUB).differences]
