"""Arbitrary histories of decisions by several callers: late, doubled and refusing receipts, lost commits and processes that begin anew.

An independent model says what each call is answered. However it goes, a case has one open decision at most, its chain never forks, and the
rail pays what the last accepted decision says.
"""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from itertools import count

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from kvitt.contracts.iverksetting.call import SOURCE_OF, EnactmentCall
from kvitt.contracts.iverksetting.decision import DecisionForm, Generation
from kvitt.contracts.iverksetting.read import ReadingTerms
from kvitt.disbursement.authority import Authority
from kvitt.disbursement.caller import CallHeaders
from kvitt.disbursement.decide import Decided, DecisionService
from kvitt.disbursement.decisions import DecisionOutcome
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.comparison import compare
from kvitt.rails.oppdrag.emulator import Chance, Faults, set_faults
from kvitt.testing import TestServer
from support.called_contract import BY_MACHINE, CALLED, line
from support.called_stage import HUB, Site
from support.commit_proxy import Cut, Proxy, proxied
from support.hub_stage import again
from support.iverksetting_bodies import days, encoded, person_of, previous, v2
from support.tried import tried

CASES = 2
SECONDS = 60.0
_numbers = count()


class Asking(Struct, frozen=True):
    """How decisions of a contract are sent: under which source, with what headers, and the body of one that pays so much a day."""

    source: str
    call: CallHeaders
    body: Callable[[str, str, str, int], bytes]


def _enactment(case: str, decision: str, before: str, kroner: int) -> bytes:
    spans = [days("2026-05-04", "2026-05-08", kroner)] if kroner else []
    # A person for each case: else orders were held for what another case pays.
    history, place = case[1:].split("-")
    number = CASES * int(history) + int(place)
    return encoded(v2(case, decision, spans, after=previous(before) if before else None, personident=person_of(number)))


_BY = Authority(application="ts-sak", opens=True, frames=True)
CONTRACTS = {
    "toy": Asking(CALLED, BY_MACHINE, line),
    "iverksetting": Asking(
        SOURCE_OF[Scheme.TILLEGGSSTONADER], EnactmentCall(ReadingTerms(DecisionForm.V2, Generation.THIRD), _BY).headers, _enactment
    ),
}


class Previous(Enum):
    """Which decision a call names as the one before it."""

    NEWEST = "newest"
    IN_FORCE = "in force"
    OLDEST = "oldest"
    NONE = "none"
    STRAY = "stray"


class Name(Enum):
    """Whether a call is new, the same as an earlier one, or another under the name of an earlier one."""

    NEW = "new"
    SAME = "same"
    REUSED = "reused"


class Call(Struct, frozen=True):
    """A call about a case."""

    case: int
    name: Name
    previous: Previous
    kroner: int


class AtOnce(Struct, frozen=True):
    """Calls that are handed in before any of them is answered."""

    calls: tuple[Call, ...]


class Send(Struct, frozen=True):
    """What is ready goes to the rail, which takes it or refuses it; its receipts are on their way."""

    refused: bool


class Settle(Struct, frozen=True):
    """All receipts come that are on their way, some twice."""

    doubled: bool


class Lost(Struct, frozen=True):
    """The next commit is cut off, before or after it is done; or the process begins anew."""

    cut: Cut | None


class Modelled(Struct):
    """A decision that was received."""

    name: str
    body: bytes
    kroner: int
    state: str
    sent: bool = False
    refused: bool = False


class Chain:
    """The chain of one case, as its rules would have it."""

    def __init__(self, case: str) -> None:
        self.case = case
        self.received: list[Modelled] = []
        self.paid: int | None = None
        self._names = count(1)
        self.bodies: list[tuple[str, str, int]] = []
        """Whatever was asked: name, previous one, kroner."""

    def resolve(self, call: Call) -> tuple[str, str, int]:
        """What a call says: its name, the one that it names, and how much it pays a day."""
        if call.name is not Name.NEW and self.bodies:
            name, previous, kroner = self.bodies[-1]
            return (name, previous, kroner) if call.name is Name.SAME else (name, previous, kroner + 1)
        said = f"d{next(self._names)}", self._named(call.previous), call.kroner
        self.bodies.append(said)
        return said

    def _named(self, previous: Previous) -> str:
        names = [each.name for each in self.received]
        in_force = [each.name for each in self.received if each.state in ("accepted", "without_payment")]
        found = {Previous.NEWEST: names[-1:], Previous.IN_FORCE: in_force[-1:], Previous.OLDEST: names[:1], Previous.STRAY: ["x"]}
        return next(iter(found.get(previous, [])), "")

    def answer(self, name: str, previous: str, kroner: int, body: bytes) -> tuple[DecisionOutcome, int | None]:
        """What a call is answered, and the status of a refusal; takes in what is received."""
        if known := next((each for each in self.received if each.name == name), None):
            return (DecisionOutcome.REPEATED, None) if known.body == body else (DecisionOutcome.REFUSED, 409)
        names = [each.name for each in self.received]
        if previous and previous not in names:
            return DecisionOutcome.REFUSED, 400
        if not self._follows(names, previous):
            return DecisionOutcome.REFUSED, 400
        if self.received and self.received[-1].state == "open":
            return DecisionOutcome.REFUSED, 423
        changes = kroner != (self.paid or 0)
        self.received.append(Modelled(name, body, kroner, "open" if changes else "without_payment"))
        return (DecisionOutcome.ORDERED if changes else DecisionOutcome.UNCHANGED), None

    def _follows(self, names: Sequence[str], previous: str) -> bool:
        """The newest is named; or, behind one that was refused, anything back to what is in force."""
        if not names or previous == names[-1]:
            return not names or bool(previous)
        back = len(names)
        while back and self.received[back - 1].state == "rejected":
            back -= 1
        if back == len(names):
            return False
        return previous in names[max(0, back - 1) :] if back else not previous or previous in names

    def send(self, *, refused: bool) -> None:
        """What is open and has not left leaves."""
        if self.received and self.received[-1].state == "open" and not self.received[-1].sent:
            self.received[-1].sent, self.received[-1].refused = True, refused

    def settle(self) -> None:
        """What has left is settled."""
        if self.received and self.received[-1].state == "open" and self.received[-1].sent:
            last = self.received[-1]
            last.state = "rejected" if last.refused else "accepted"
            self.paid = self.paid if last.refused else last.kroner


class Play:
    """A history that is played on a hub."""

    def __init__(self, site: Site, conninfo: str, proxy: Proxy, asking: Asking) -> None:
        self._site, self._conninfo, self._proxy, self._asking = site, conninfo, proxy, asking
        number = next(_numbers)
        self.chains = [Chain(f"H{number}-{place}") for place in range(CASES)]
        self._late: list[RawReceipt] = []
        self.service = self._new()

    def _new(self) -> DecisionService:
        return DecisionService(self._conninfo, self._site.clock, HUB, seconds=SECONDS)

    def run(self, history: Sequence[Call | AtOnce | Send | Settle | Lost]) -> None:
        """Plays it, and lets all of it be settled in the end."""
        try:
            for step in (*history, Send(refused=False), Settle(doubled=False)):
                self._step(step)
                assert self._site.one("SELECT coalesce(max(open_orders), 0) FROM cases") in (0, 1)
        finally:
            self._proxy.cut(Cut.AFTER, lambda _: False)
            self.service.close()

    def _step(self, step: Call | AtOnce | Send | Settle | Lost) -> None:
        match step:
            case Call():
                self._call([step])
            case AtOnce(calls=calls):
                self._call(calls)
            case Send(refused=refused):
                set_faults(self._site.connection, Faults(refuse=Chance(1.0)) if refused else Faults())
                self._late += self._site.exchange()
                for chain in self.chains:
                    chain.send(refused=refused)
            case Settle(doubled=doubled):
                self._site.settle(self._late + (again(self._late) if doubled else []))
                self._late = []
                for chain in self.chains:
                    chain.settle()
            case Lost(cut=None):
                self.service.close()
                self.service = self._new()
            case Lost(cut=cut):
                assert cut is not None, "the other one begins anew"
                self._proxy.cut(cut)

    def _call(self, calls: Sequence[Call]) -> None:
        said = [(self.chains[call.case], self.chains[call.case].resolve(call)) for call in calls]
        asking = self._asking
        bodies = [asking.body(chain.case, name, previous, kroner) for chain, (name, previous, kroner) in said]
        handed = [self.service.decide(asking.source, b"key", body, asking.call, identity="d") for body in bodies]
        wanted = [chain.answer(*each, body) for (chain, each), body in zip(said, bodies, strict=True)]
        assert [_heard(future.result(SECONDS)) for future in handed] == wanted


def _heard(decided: Decided) -> tuple[DecisionOutcome, int | None]:
    return decided.outcome, decided.refusal.status if decided.refusal else None


def calls() -> st.SearchStrategy[Call]:
    previous = st.sampled_from([*[Previous.NEWEST] * 4, *Previous])
    names = st.sampled_from([*[Name.NEW] * 4, *Name])
    return st.builds(Call, st.integers(0, CASES - 1), names, previous, st.sampled_from([0, 400, 500, 600]))


STEPS = st.one_of(
    calls(),
    calls(),
    st.builds(AtOnce, st.lists(calls(), min_size=2, max_size=6).map(tuple)),
    st.builds(Send, st.sampled_from([False, False, True])),
    st.builds(Settle, st.booleans()),
    st.builds(Settle, st.booleans()),
    st.builds(Lost, st.sampled_from([*Cut, None])),
)


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Site]:
    """One hub for all histories; each has cases of its own."""
    with kvitt_server.database() as conninfo:
        site = Site(conninfo)
        yield site
        site.close()


@pytest.mark.parametrize("contract", CONTRACTS)
def test_each_call_is_answered_as_its_chain_stands_and_the_rail_pays_what_was_accepted_last(site: Site, contract: str) -> None:
    with proxied(site.conninfo) as (proxy, conninfo):

        @settings(tried(15), phases=(Phase.generate, Phase.shrink))
        @given(st.lists(STEPS, min_size=4, max_size=16))
        def holds(history: Sequence[Call | AtOnce | Send | Settle | Lost]) -> None:
            play = Play(site, conninfo, proxy, CONTRACTS[contract])
            play.run(history)
            for chain in play.chains:
                assert_as_modelled(site, chain)

        holds()


def assert_as_modelled(site: Site, chain: Chain) -> None:
    """The store has the chain of the model, and the rail pays what was accepted last."""
    shown = site.rows(
        "SELECT decision_id, state FROM kvitt_views.decisions WHERE case_id = %s AND state IS NOT NULL ORDER BY message_no", chain.case
    )
    assert shown == [(each.name, each.state) for each in chain.received]
    areas = site.rows("SELECT DISTINCT o.area FROM orders AS o JOIN cases AS c USING (case_no) WHERE c.case_id = %s", chain.case)
    pays = [each.amount for (area,) in areas for each in site.hub.rail.pays(str(area), chain.case)]
    assert pays == ([chain.paid] if chain.paid else []), "once"


def test_all_of_it_can_be_made_again(site: Site) -> None:
    assert site.differences() == []
    assert compare(site.connection, HUB.contracts).differences == ()
