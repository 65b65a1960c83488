"""A hub whose single payments are called without HTTP, as the intake of calls hands them in."""

from kvitt.contracts.utbetalinger.contract import NAME, SOURCES
from kvitt.contracts.utbetalinger.lookup import look_up
from kvitt.disbursement.caller import CallHeaders
from kvitt.disbursement.catalogue import BENEFITS
from kvitt.disbursement.check.check import check
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.values import PaymentId, Scheme
from support.hub_stage import Stage, receipt_with
from support.single_payments import UID, Body, text

_HEADERS = frozenset({"if_match"})
"""Parts of a policy that have the names of headers."""
Done = tuple[object, ...]
"""Outcome of a call, and status and text of its refusal."""
ORDERED: Done = ("ordered", None, None)


class CalledStage(Stage):
    """A hub with single payments, stepped by hand."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo)
        self._calls = 0

    def call(self, operation: str, body: Body, uid: str = UID, scheme: Scheme | None = None, **policy: str) -> Incoming:
        """A call as the intake hands it in, of the scheme of its benefit and by one who may open cases, unless said otherwise."""
        self._calls += 1
        said = {name.replace("_", "-") if name in _HEADERS else name: value for name, value in policy.items()}
        headers = CallHeaders(operation, "v1", "payers", policy={"opens": "yes", **said})
        source = SOURCES[scheme or BENEFITS[body["stønad"]].scheme]
        return Incoming(source, 0, self._calls, uid.encode(), text(body), headers.encode())

    def act(self, *calls: Incoming) -> list[Done]:
        """Hands calls in as one batch; what is done of each at once."""
        self.submit(calls)
        query = (
            "SELECT d.outcome, d.refused_status, d.refused_text FROM decisions AS d JOIN messages AS m USING (message_no) "
            "WHERE (m.source, m.position) IN (SELECT * FROM unnest(%s::text[], %s::bigint[])) ORDER BY m.position"
        )
        return self.rows(query, [each.source for each in calls], [each.position for each in calls])

    def done(self, operation: str, body: Body, uid: str = UID, **policy: str) -> Done:
        """One call by itself."""
        (done,) = self.act(self.call(operation, body, uid, **policy))
        return done

    def status(self, uid: str = UID) -> str | None:
        """How far the last change of a payment has come; None: there is none."""
        found = look_up(self.connection, NAME, PaymentId(uid), list(Scheme))
        return found.status.value if found else None

    def shown(self, uid: str = UID) -> list[tuple[str, str, int]] | None:
        """The joined periods of a payment as its caller sees it; None: it is not there."""
        found = look_up(self.connection, NAME, PaymentId(uid), list(Scheme))
        return [(str(each.start), str(each.end), each.amount) for each in found.shown.periods] if found and found.shown else None

    def answered(self, severity: str, words: str = "Nei") -> None:
        """Has the rail answer what is ready with this severity."""
        self.settle([receipt_with(each, severity, words) for each in self.exchange()])

    def differences(self) -> list[str]:
        """What the check finds."""
        return [f"{each.kind.value} {each.subject}: {each.text}" for each in check(self.conninfo, self.ports).differences]
