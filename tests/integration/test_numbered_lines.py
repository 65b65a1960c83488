"""Lines that are numbered through their case stand in the store, come to the rail and back, and no number comes twice."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

import pytest
from msgspec.structs import replace

from kvitt.app.ports import PORTS
from kvitt.disbursement import payment_document
from kvitt.disbursement.check.check import check
from kvitt.disbursement.contract import Contracts
from kvitt.disbursement.derive.chained import derive
from kvitt.disbursement.derive.micro_chained import CaseState
from kvitt.disbursement.inbox import Identity, InboxMessage, Incoming, ParsedRecord
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.values import CaseId, DecisionId, Instruction, Order, Refusal, Scheme
from kvitt.kernel.clock import oslo
from kvitt.rails.oppdrag.comparison import compare
from kvitt.testing import TestServer
from support.called_contract import BY_MACHINE, CalledContract
from support.decided_case import read_state
from support.hub_messages import person_of
from support.hub_stage import Stage, receipt_with
from support.strategies import DECISION

SOURCES = {scheme: f"rest.chained.{scheme.name}" for scheme in (Scheme.TILTAKSPENGER, Scheme.DAGPENGER)}


class CompleteState(Instruction, frozen=True):
    """The complete state of a case, as it was written."""

    case: str
    state: str


class ChainedContract(CalledContract):
    """One line: `case,decision,state`. It keeps no chain of decisions."""

    name = "chained"
    sources: Mapping[str, Scheme] = {source: scheme for scheme, source in SOURCES.items()}
    keeps_chain = False

    def read(self, record: Incoming) -> ParsedRecord:
        case, decision, state = (record.body or b"").decode().split(",")
        scheme = self.sources[record.source]
        identity = Identity((decision, ""), hashlib.sha256(record.body or b"").digest())
        return ParsedRecord(record, scheme, CompleteState(case, state), case_key=(scheme, case), identity=identity)

    def derive(self, message: InboxMessage, case: CaseState, at: datetime) -> Sequence[Order] | Refusal:
        asked = message.content
        assert isinstance(asked, CompleteState)
        person = person_of(asked.case)
        decision = replace(DECISION, scheme=message.scheme, case_id=CaseId(asked.case), person=person, decision_id=DecisionId("BEH-1"))
        return derive(decision, read_state(asked.state, message.scheme), case, oslo(at))


HUB = Ports(contracts=Contracts(*PORTS.contracts, ChainedContract()), rails=PORTS.rails)


class Site(Stage):
    """A hub that is called with complete states."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo, HUB)
        self._calls = 0

    def decide(self, case: str, state: str, scheme: Scheme = Scheme.TILTAKSPENGER) -> None:
        """Hands in one decision."""
        self._calls += 1
        body = f"{case},d{self._calls},{state}".encode()
        self.submit([Incoming(SOURCES[scheme], 0, self._calls, b"key", body, BY_MACHINE.encode())])

    def lines(self, case: str) -> list[tuple[object, ...]]:
        """All lines of a case, oldest first."""
        query = (
            "SELECT line_id, refers_to, ceased_from FROM kvitt_views.order_lines JOIN orders USING (order_id) JOIN cases USING (case_no)"
        )
        return self.rows(f"{query} WHERE case_id = %s ORDER BY scheme, number, position", case)


@pytest.fixture(scope="module")
def hub(kvitt_server: TestServer) -> Iterator[Site]:
    """One hub for all of these tests; in the end all is made again from what is stored, and compared with what the rail pays."""
    with kvitt_server.database() as conninfo:
        site = Site(conninfo)
        yield site
        site.finish()
        found = [f"{each.kind.value} {each.subject}: {each.text}" for each in check(conninfo, HUB).differences]
        compared = compare(site.connection, HUB.contracts)
        site.close()
        assert found == []
        assert (compared.differences, compared.in_motion) == ((), 0)
        assert compared.payments > 0


def test_cases_that_two_schemes_call_alike_have_equal_line_ids(hub: Site) -> None:
    for scheme in SOURCES:
        hub.decide("N1", "1-12@640 b:1-5@70", scheme)
    hub.finish()
    assert hub.order_states("N1") == ["accepted", "accepted"]
    assert hub.lines("N1") == [("N1#0", None, None), ("N1#1", None, None)] * 2


def test_corrections_go_on_from_the_last_line_of_their_chain(hub: Site) -> None:
    for state in ("1-12@640 b:1-5@70", "1-5@640 b:1-5@70", "1-5@640", "1-5@640 15-19@640"):
        hub.decide("N2", state)
        hub.finish()
    assert hub.lines("N2") == [
        ("N2#0", None, None),
        ("N2#1", None, None),
        ("N2#0", None, date(2026, 6, 6)),
        ("N2#1", None, date(2026, 6, 1)),
        ("N2#2", "N2#0", None),
    ]


def test_numbers_of_a_rejected_order_are_not_used_again(hub: Site) -> None:
    hub.decide("N3", "1-5@640")
    hub.finish()
    hub.decide("N3", "1-5@640 8-9@640 11-12@640")
    hub.settle([receipt_with(each, "08", "Nei") for each in hub.exchange()])
    hub.decide("N3", "1-5@640 8-9@640")
    assert hub.lines("N3") == [
        ("N3#0", None, None),
        ("N3#1", "N3#0", None),
        ("N3#2", "N3#1", None),
        ("N3#3", "N3#0", None),
    ]


def test_no_row_takes_a_number_twice(hub: Site) -> None:
    hub.decide("N4", "1-5@640")
    again = "INSERT INTO order_lines SELECT (jsonb_populate_record(l, '{\"position\": 9}')).* FROM order_lines AS l WHERE line_id = 'N4#0'"
    with pytest.raises(Exception, match="order_lines_numbered"):
        hub.connection.execute(again.encode())


def test_each_period_in_force_is_shown_with_its_rate_type_and_line(hub: Site) -> None:
    hub.decide("N5", "1-5@640 8-12@650")
    hub.finish()
    (document,) = hub.bytes("SELECT document FROM payments JOIN cases USING (case_no) WHERE case_id = 'N5'")
    assert [each.line for each in payment_document.decode(document).periods] == ["N5#0", "N5#1"]
    query = "SELECT rate_type, line_id FROM kvitt_views.payment_periods WHERE case_id = 'N5' ORDER BY start_on"
    assert hub.rows(query) == [("weekday", "N5#0"), ("weekday", "N5#1")]
