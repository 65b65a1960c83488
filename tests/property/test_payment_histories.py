"""Arbitrary histories of the single payments of a case, by several callers over HTTP: however receipts come, commits are lost and processes
die, each call is answered as the case stands, and the rail pays what was accepted last of each payment (iverksetting §3).
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import SimpleNamespace
from uuid import UUID

import httpx
import psycopg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from kvitt.errors import ResultUnknown
from kvitt.kernel import fault_points
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.emulator import DamageForm, duplicates
from kvitt.settings import Settings
from kvitt.testing import Hub, TestServer
from support.commit_proxy import Cut, Proxy, proxied
from support.desired import days_between
from support.patience import until
from support.payment_histories import (
    CALLERS,
    PAYMENTS,
    STEPS,
    Answer,
    Answers,
    AsksAtOnce,
    Case,
    Comes,
    Dies,
    Key,
    Leaves,
    Lost,
    PaymentAsk,
    Settles,
    Step,
    Verb,
    Wish,
    after_all,
    spans,
    wish_in,
)
from support.single_payments import supplement, text
from support.tried import tried

_AREA, _BENEFIT = "TILLSTPB", "TILSYN_BARN_AAP"
_REUSED = 409, "Idempotency-Key er brukt i en annen forespørsel"
_LATE_SECONDS = 60.0
_BEHAVED = Answers("00", doubled=False, late=False, damage=None, closed=False)
_IN_TRANSACTION = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start IS NOT NULL
"""
_numbers = count(1)


class Died(BaseException):
    """The process is dead."""


class Request(Struct, frozen=True):
    """A call as it goes over the wire, and what it is to the model."""

    method: str
    path: str
    body: bytes
    said: tuple[Verb, int, Wish, str]

    @property
    def sent(self) -> tuple[str, str, bytes]:
        """What makes it the same request as another one."""
        return self.method, self.path, self.body


class Kept(Struct):
    """What a caller last asked under a key, and what it heard, if that stands."""

    key: str
    request: Request
    heard: httpx.Response | None = None


class PaymentSite:
    """A hub with its REST API behind a proxy, and its callers."""

    def __init__(self, direct: str, conninfo: str, proxy: Proxy) -> None:
        self.hub, self.proxy = Hub(conninfo, Settings()), proxy
        self.store = connect(direct)
        self.callers = [self.hub.rest.client(application=f"payers-{number}") for number in range(CALLERS)]

    def close(self) -> None:
        for caller in self.callers:
            caller.close()
        self.store.close()
        self.hub.close()

    def run(self, *roles: str) -> None:
        """Lets these work until nothing is left, whatever breaks off on the way."""
        for role in roles:
            while True:
                try:
                    self.hub.run(role)
                    break
                except (Died, psycopg.Error, ResultUnknown, ConnectionError):
                    die_at("")
                    until(self._is_alone, what="the server does not notice that a process has died")

    def _is_alone(self) -> bool:
        """Nobody holds what a dead process held: it would be passed by as if somebody were at it."""
        return self.store.execute(_IN_TRANSACTION).fetchone() == (0,)


def die_at(place: str) -> None:
    """Has the next one die who comes to this place; nobody, where there is none."""
    fault_points._place, fault_points._die_at_visit = place, 1
    fault_points._visits.clear()


def _die(*_: object) -> None:
    raise Died


class Play:
    """One history, in a case and of a person of its own."""

    def __init__(self, site: PaymentSite) -> None:
        self._site, self._number = site, next(_numbers)
        self.case_id, self._person = f"PH-{self._number}", f"{self._number:011d}"
        self._uids = [str(UUID(int=0x7777 << 96 | 0x4 << 76 | 0x8 << 60 | self._number << 8 | each)) for each in range(PAYMENTS)]
        self.worlds = [Case()]
        """The case in each way in which it may stand: of calls at once nobody knows which was first."""
        self._rail, self._keys = _BEHAVED, [list[Kept]() for _ in range(CALLERS)]
        self._names = count(1)

    def run(self, history: Sequence[Step]) -> None:
        """Plays it, and lets all of it be settled in the end."""
        self._faults(_BEHAVED)
        for step in history:
            self._step(step)
            open_orders = self._site.store.execute("SELECT open_orders FROM cases WHERE case_id = %s", (self.case_id,)).fetchall()
            assert open_orders in ([], [(0,)], [(1,)])
        self._site.proxy.cut(Cut.AFTER, lambda _: False)
        die_at("")
        self._faults(_BEHAVED)
        while any(world.open for world in self.worlds):
            self._leave()
            self._come()

    def judge(self) -> None:
        """What must hold at the end."""
        self._look()
        pays = self._site.hub.rail.pays(_AREA, self.case_id)
        paid = [(str(day), span.amount) for span in pays for day in days_between(span.start, span.end)]
        (days,) = {tuple(sorted(world.days().items())) for world in self.worlds}
        assert sorted(paid) == list(days)
        chains = {(span.start.month, span.chain_first_line_id) for span in pays}
        assert len(chains) == len({month for month, _ in chains}), "each payment is one chain"
        decided = "SELECT count(*) FROM decisions AS d JOIN cases AS c USING (case_no) WHERE c.case_id = %s AND d.outcome <> 'repeated'"
        assert self._site.store.execute(decided, (self.case_id,)).fetchone() == (self.worlds[0].handled,)
        for caller, kept in enumerate(self._keys):
            for each in kept:
                if each.heard:
                    again = self._send(caller, each.request, each.key)
                    assert (again.status_code, again.content) == (each.heard.status_code, each.heard.content)
        for uid in self._uids:
            shown = self._get(uid)
            if shown.status_code == 200:
                same = self._site.callers[0].put(f"/utbetalinger/{uid}", json=shown.json(), headers={"if-match": shown.headers["etag"]})
                assert _heard(same) == (409, "Ingen reell endring")

    def _step(self, step: Step) -> None:
        match step:
            case PaymentAsk():
                self._ask(step)
            case AsksAtOnce(asks=asks):
                self._ask_at_once(asks)
            case Answers():
                self._faults(step)
                return
            case Leaves():
                self._leave()
            case Comes():
                self._come()
            case Settles():
                self._leave()
                self._come()
            case Lost(cut=cut):
                self._site.proxy.cut(cut)
                return
            case Dies(place=place):
                die_at(place)
                return
        self._look()

    def _ask(self, ask: PaymentAsk) -> None:
        request, of_caller = self._request(ask), self._keys[ask.caller]
        if ask.key is Key.NONE:
            self._expect([request], [self._send(ask.caller, request)])
            return
        if ask.key is Key.NEW or not of_caller:
            of_caller.append(Kept(f"{self.case_id}/{next(self._names)}", request))
        kept = of_caller[-1]
        request = kept.request if ask.key is Key.SAME else request
        heard = self._send(ask.caller, request, kept.key)
        if request.sent != kept.request.sent:
            assert _heard(heard) == _REUSED
        elif kept.heard:
            assert heard.headers["idempotency-replayed"] == "true"
            assert (heard.status_code, heard.content) == (kept.heard.status_code, kept.heard.content)
        else:
            self._expect([request], [heard])
            kept.heard = None if "retry-after" in heard.headers else heard
            if ask.unheard and heard.is_success:
                self._lose_answer(ask.caller, kept, heard)

    def _request(self, ask: PaymentAsk) -> Request:
        uid = self._uids[ask.payment]
        if ask.verb is Verb.AVVENT:
            held = {"fom": "2026-06-01", "tom": "2026-06-12", "overføres": "2026-07-01", "feilregistrering": True}
            said = {"stønad": _BENEFIT, "sakId": self.case_id, "personident": self._person, "saksbehandlerId": "A100001", "avvent": held}
            return Request("POST", f"{uid}/avvent", text(said), (ask.verb, ask.payment, ask.wish, uid))
        shown = self._get(uid)
        there = shown.status_code == 200
        wish = wish_in(ask.payment, shown.json()["perioder"]) if ask.shown and there else ask.wish
        verb = (Verb.PUT if there else Verb.POST) if ask.verb is Verb.FITS else ask.verb
        body = supplement(*spans(ask.payment, wish), sakId=self.case_id, personident=self._person, behandlingId=f"B{next(self._names)}")
        return Request(verb.value, uid, text(body), (verb, ask.payment, wish, uid))

    def _send(self, caller: int, request: Request, key: str | None = None) -> httpx.Response:
        headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
        return self._site.callers[caller].request(request.method, f"/utbetalinger/{request.path}", content=request.body, headers=headers)

    def _expect(self, requests: Sequence[Request], heard: Sequence[httpx.Response]) -> None:
        """They were answered as in one of the ways in which the case may stand."""
        answers, said = [_heard(each) for each in heard], [each.said for each in requests]
        self.worlds = after_all(self.worlds, said, answers)
        assert self.worlds, (said, answers)

    def _ask_at_once(self, asks: Sequence[PaymentAsk]) -> None:
        requests = [self._request(each) for each in asks]
        with ThreadPoolExecutor(len(asks)) as threads:
            heard = list(threads.map(self._send, [each.caller for each in asks], requests))
        self._expect(requests, heard)

    def _lose_answer(self, caller: int, kept: Kept, heard: httpx.Response) -> None:
        """As if the process had died then; the time is over in which another one leaves the call to it."""
        forget = "UPDATE rest.requests SET status = NULL, body = NULL, busy_until = '-infinity' WHERE key = %s"
        self._site.store.execute(forget, (kept.key,))
        assert _heard(self._send(caller, kept.request, kept.key)) == _heard(heard)

    def _faults(self, answers: Answers) -> None:
        self._rail = answers
        refused = answers.severity in ("08", "12")
        self._site.hub.rail.fault(
            refuse=float(refused),
            severity=answers.severity if refused else "08",
            warn=float(answers.severity == "04"),
            double=float(answers.doubled),
            delay=float(answers.late),
            delay_seconds=_LATE_SECONDS,
            damage=float(answers.damage is not None),
            damage_forms=(answers.damage or DamageForm.TRAILING_BLANKS,),
            closed=answers.closed,
        )

    def _leave(self) -> None:
        self._site.run("sender")
        for world in self.worlds:
            world.leave()
        self._read()

    def _read(self) -> None:
        self._site.run("emulator")
        if not self._rail.closed:
            for world in self.worlds:
                world.read(refused=self._rail.severity in ("08", "12"))

    def _come(self) -> None:
        self._read()
        self._site.hub.clock.advance(seconds=2 * _LATE_SECONDS)
        self._site.run("emulator", "receiver", "resume")
        for world in self.worlds:
            world.settle()

    def _get(self, uid: str) -> httpx.Response:
        return self._site.callers[-1].get(f"/utbetalinger/{uid}")

    def _look(self) -> None:
        """GET shows each payment as it stands in one of the ways in which the case may stand."""
        status = [self._site.callers[0].get(f"/utbetalinger/{uid}/status") for uid in self._uids]
        said = [each.json() if each.status_code == 200 else None for each in status]
        shown = [self._get(uid) for uid in self._uids]
        wishes = [wish_in(n, each.json()["perioder"]) if each.status_code == 200 else None for n, each in enumerate(shown)]
        before, self.worlds = (
            self.worlds,
            [world for world in self.worlds if (world.status, [world.shown(n) for n in range(PAYMENTS)]) == (said, wishes)],
        )
        assert self.worlds, (said, wishes, before)


def _heard(answer: httpx.Response) -> Answer:
    return answer.status_code, answer.json()["msg"] if answer.content else ""


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[PaymentSite]:
    """One hub for all histories; whatever was done, all of it can be made again from what is stored."""
    with kvitt_server.database() as direct, proxied(direct) as (proxy, conninfo), pytest.MonkeyPatch.context() as patch:
        patch.setattr(fault_points, "os", SimpleNamespace(kill=_die, getpid=os.getpid))
        made = PaymentSite(direct, conninfo, proxy)
        try:
            yield made
            assert made.hub.findings() == []
            assert duplicates(made.store).lines == ()
        finally:
            die_at("")
            made.close()


def test_each_call_is_answered_as_its_case_stands_and_the_rail_pays_what_was_accepted_last(site: PaymentSite) -> None:
    @settings(tried(15), phases=(Phase.generate, Phase.shrink))
    @given(st.lists(STEPS, min_size=10, max_size=30))
    def holds(history: Sequence[Step]) -> None:
        play = Play(site)
        play.run(history)
        play.judge()

    holds()
