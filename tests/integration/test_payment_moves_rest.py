"""Single payments go on in the case streams, moved over HTTP on a hub with the rail: answers, and what follows (iverksetting §8.2)."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import UUID

import httpx
import pytest

from kvitt.contracts.helved.topics import CASES, PAYMENTS, STATUSES, primary_input
from kvitt.disbursement.values import Scheme
from kvitt.settings import Settings
from kvitt.testing import Hub, TestServer
from support.hub_messages import Json, aap, text
from support.patience import PATIENCE_SECONDS
from support.single_payments import Body, days, person_of, single, span, supplement

_numbers = count(1)


class Movers:
    """Callers of one hub whose payments move."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.http = httpx.Client(base_url=hub.rest.url, timeout=PATIENCE_SECONDS)

    def post(self, path: str, body: object, *schemes: Scheme, **headers: str) -> httpx.Response:
        """One call of an application of these schemes, AAP unless said."""
        token = self.hub.rest.token(schemes=schemes or (Scheme.AAP,))
        named = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(f"/utbetalinger/{path}", content=body if isinstance(body, bytes) else text(body), headers=named)

    def headers(self) -> dict[str, str]:
        """The headers of a caller of AAP."""
        return {"authorization": f"Bearer {self.hub.rest.token(schemes=(Scheme.AAP,))}", "content-type": "application/json"}

    def get(self, path: str, scheme: Scheme = Scheme.AAP) -> httpx.Response:
        """A look at a payment."""
        return self.http.get(f"/utbetalinger/{path}", headers={"authorization": f"Bearer {self.hub.rest.token(schemes=(scheme,))}"})

    def pays(self, uid: str, body: Body, scheme: Scheme = Scheme.AAP) -> None:
        """A payment is made, and taken by the rail."""
        assert self.post(uid, body, scheme).status_code == 201
        self.hub.run()

    def stream(self, key: str, body: Json) -> str:
        """The status of a message on the stream, once all is done."""
        self.hub.put(primary_input(Scheme.AAP), key, body)
        self.hub.run()
        return str(self.hub.published(STATUSES, key)[-1].json["status"])


@pytest.fixture(scope="module")
def movers(kvitt_server: TestServer) -> Iterator[Movers]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored, and the rail pays it."""
    with kvitt_server.database() as conninfo:
        hub = Hub(conninfo, Settings())
        made = Movers(hub)
        yield made
        made.http.close()
        hub.check()
        hub.close()


@pytest.fixture
def uid() -> str:
    """A payment of its own."""
    return new_uid()


def new_uid() -> str:
    return str(UUID(int=0x7777 << 96 | 0x4 << 76 | 0x8 << 60 | next(_numbers)))


def case_of(uid: str) -> str:
    return f"MV-{uid[-8:]}"


def paid(uid: str, *spans: Body, **others: Any) -> Body:
    """A payment of AAP in a case of its own."""
    return single(*spans, **{"sakId": case_of(uid), "personident": person_of(uid), **others})


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status and text of a refusal, whose members are all there."""
    body = answer.json()
    assert [*body] == ["statusCode", "msg", "doc", "system"]
    assert body["statusCode"] == answer.status_code
    return answer.status_code, body["msg"]


def test_a_payment_goes_on_in_its_stream_from_its_last_line(movers: Movers, uid: str) -> None:
    to, case = new_uid(), case_of(uid)
    movers.pays(uid, paid(uid, *days(1, 12, weekends=False)))
    (shown,) = movers.post(f"{uid}/migrate/dryrun", {"id": to}).json()
    assert [(each["fom"], each["beløp"], each["fastsattDagsats"]) for each in shown["perioder"]][:1] == [("2026-06-01", 640, 640)]
    assert movers.get(uid).status_code == 200, "nothing was moved"
    before = len(movers.hub.sent())
    for _ in range(2):
        moved = movers.post(f"{uid}/migrate", {"id": to})
        assert (moved.status_code, moved.content) == (200, b"")
    assert said(movers.post(f"{uid}/migrate", {"id": uid})) == (409, f"Utbetalingen er allerede flyttet til {to}")
    assert movers.get(uid).status_code == 404
    headers = {"authorization": f"Bearer {movers.hub.rest.token(schemes=(Scheme.AAP,))}", "content-type": "application/json"}
    put = movers.http.put(f"/utbetalinger/{uid}", content=text(paid(uid, *days(1, 5))), headers=headers)
    assert said(put) == (409, "Saken hører til kontrakten helved, og kan bare endres gjennom den")
    same = aap(case, 640, uid=to, ident=person_of(uid))
    same["utbetalinger"][0]["sats"] = 640
    assert movers.stream(f"same {uid}", same) == "OK"
    assert len(movers.hub.sent()) == before, "the stream says the same, and nothing is sent"
    assert movers.stream(f"less {uid}", aap(case, 600, uid=to, ident=person_of(uid))) == "OK"
    assert b"<refDelytelseId>" in movers.hub.sent()[-1].message, "the line goes on from the last one of the chain"


def test_the_status_of_a_call_is_told_after_the_move_and_nothing_else(movers: Movers, uid: str) -> None:
    other, rejected, body = new_uid(), new_uid(), paid(uid, *days(1, 2))
    movers.pays(uid, body)
    for each, day in ((other, 3), (rejected, 5)):
        movers.pays(each, paid(uid, *days(day, day)))
    movers.hub.rail.fault(refuse=1)
    changed = movers.http.put(f"/utbetalinger/{rejected}", content=text(paid(uid, *days(5, 5, 700))), headers=movers.headers())
    movers.hub.run()
    movers.hub.rail.fault()
    assert changed.status_code == 204
    assert movers.post(f"{uid}/migrate", {"id": uid}).status_code == 200
    for _ in range(2):
        assert [movers.get(f"{each}/status").json() for each in (uid, other, rejected)] == ["OK", "OK", "FEILET_MOT_OPPDRAG"]
        assert [movers.get(each).status_code for each in (uid, other, rejected)] == [404] * 3
        assert movers.get(f"{uid}/status", Scheme.TILTAKSPENGER).status_code == 404, "it is another's"
        assert movers.stream(f"status {uid}", aap(case_of(uid), 600, uid=uid, ident=person_of(uid))) == "OK"


def test_what_comes_to_a_stream_is_published_there(movers: Movers, uid: str) -> None:
    to, other, case = new_uid(), new_uid(), case_of(uid)
    movers.pays(uid, paid(uid, *days(1, 2)))
    movers.pays(other, paid(uid, *days(3, 4)))
    assert movers.hub.published(PAYMENTS, to) == []
    assert movers.post(f"{uid}/migrate", {"id": to}).status_code == 200
    movers.hub.run()
    (record,) = movers.hub.published(PAYMENTS, to)
    assert (record.json["uid"], record.json["originalKey"], record.json["action"], record.json["førsteUtbetalingPåSak"]) == (
        to,
        to,
        "CREATE",
        False,
    )
    assert dict(record.headers)["migrated"] == "true"
    listed = [each for each in movers.hub.published(CASES) if each.key and case in each.key.decode()]
    assert [each.json for each in listed] == [[to, other]]
    assert movers.post(f"{other}/migrate", {"id": other}).status_code == 200, "the rest may follow"
    movers.hub.run()
    assert [each.json["uid"] for each in movers.hub.published(PAYMENTS, other)] == [other]
    assert movers.stream(f"ends {uid}", aap(case, utbetalinger=[], ident=person_of(uid))) == "OK"
    listed = [each.json for each in movers.hub.published(CASES) if each.key and case in each.key.decode()]
    assert listed[-1] == []


def test_several_payments_of_a_case_move_together_or_not_at_all(movers: Movers, uid: str) -> None:
    second, third = new_uid(), new_uid()
    movers.pays(uid, paid(uid, *days(1, 2)))
    movers.pays(second, paid(uid, *days(3, 4)))
    movers.pays(third, paid(third, *days(1, 2)))
    items = [{"uid": second, "id": new_uid()}, {"uid": uid, "id": new_uid()}]
    shown = movers.post("migrate/dryrun", {"items": items}).json()
    assert [each["perioder"][0]["fom"] for each in shown] == ["2026-06-03", "2026-06-01"]
    mixed = movers.post("migrate", {"items": [*items, {"uid": third, "id": new_uid()}]})
    assert said(mixed) == (400, f"alle utbetalinger må tilhøre samme sak, fant: [{case_of(uid)}, {case_of(third)}]")
    nobody = new_uid()
    assert said(movers.post("migrate", {"items": [*items, {"uid": nobody, "id": nobody}]})) == (404, f"Utbetaling {nobody}")
    assert movers.get(uid).status_code == 200, "nothing was moved"
    for _ in range(2):
        assert movers.post("migrate", {"items": items}, idempotency_key=uid).status_code == 200
    assert movers.get(uid).status_code == movers.get(second).status_code == 404
    assert [each["perioder"][0]["fom"] for each in movers.post("migrate/dryrun", {"items": items}).json()] == ["2026-06-03", "2026-06-01"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"items": []}, "items kan ikke være tom"),
        ({"items": [{"uid": UUID(int=1), "id": UUID(int=2)}, {"uid": UUID(int=1), "id": UUID(int=3)}]}, "samme uid eller id"),
        ({"items": [{"uid": UUID(int=1), "id": UUID(int=3)}, {"uid": UUID(int=2), "id": UUID(int=3)}]}, "samme uid eller id"),
        ({"items": [{"uid": "x", "id": UUID(int=3)}]}, "Klarte ikke lese json meldingen."),
        ({}, "Klarte ikke lese json meldingen."),
        (b'{"items": [], "items": []}', "Feltet items kan bare forekomme"),
    ],
)
def test_what_is_no_list_of_moves_is_refused(movers: Movers, body: object, words: str) -> None:
    asked = (
        body
        if isinstance(body, bytes)
        else {name: [{k: str(v) for k, v in each.items()} for each in items] for name, items in body.items()}
    )  # type: ignore[attr-defined]
    for path in ("migrate", "migrate/dryrun"):
        status, text_of = said(movers.post(path, asked))
        assert (status, text_of.startswith(words)) == (400, True), text_of


def test_an_open_order_and_other_payments_than_the_stream_has_stay(movers: Movers, uid: str) -> None:
    assert movers.post(uid, paid(uid, *days(1, 2))).status_code == 201
    busy = movers.post(f"{uid}/migrate", {"id": uid})
    assert (*said(busy), "retry-after" in busy.headers) == (423, "Utbetalingen har et pågående oppdrag, vent til dette er ferdig", True)
    movers.hub.run()
    monthly, supplements = new_uid(), new_uid()
    movers.pays(monthly, paid(monthly, span("2026-06-01", "2026-06-30", 7600), kind="MND"))
    assert said(movers.post(f"{monthly}/migrate", {"id": monthly})) == (400, "Kan bare migrere utbetalinger med periodeType UKEDAG")
    of_supplements = supplement(*days(1, 2), kind="UKEDAG", sakId=case_of(supplements), personident=person_of(supplements))
    movers.pays(supplements, of_supplements, Scheme.TILLEGGSSTONADER)
    refused = movers.post(f"{supplements}/migrate", {"id": supplements}, Scheme.TILLEGGSSTONADER)
    assert said(refused) == (501, "kan ikke migrere TILLEGGSSTØNADER enda")
    assert said(movers.post(f"{supplements}/migrate", {"id": supplements})) == (404, f"Utbetaling {supplements}"), "it is another's"
    assert said(movers.post("1234/migrate", {"id": uid})) == (400, "Path param må være UUID")
    assert said(movers.post(f"{uid}/migrate", {"id": "1234"}))[0] == 400
    assert said(movers.post(f"{uid}/migrate", b"id=1", content_type="text/plain"))[0] == 415


def test_an_id_that_another_case_has_is_not_given_twice(movers: Movers, uid: str) -> None:
    other = new_uid()
    movers.pays(uid, paid(uid, *days(1, 2)))
    movers.pays(other, paid(other, *days(1, 2)))
    for path in ("migrate/dryrun", "migrate"):
        assert said(movers.post(f"{uid}/{path}", {"id": other})) == (409, "En annen sak har en utbetaling med denne uid-en")
    assert movers.get(uid).status_code == 200


def test_a_payment_that_was_ceased_moves_as_such_and_keeps_its_id_if_asked(movers: Movers, uid: str) -> None:
    body = paid(uid, *days(1, 2))
    movers.pays(uid, body)
    headers = {"authorization": f"Bearer {movers.hub.rest.token(schemes=(Scheme.AAP,))}", "content-type": "application/json"}
    assert movers.http.request("DELETE", f"/utbetalinger/{uid}", content=text(body), headers=headers).status_code == 204
    movers.hub.run()
    assert movers.post(f"{uid}/migrate", {"id": uid}).status_code == 200
    movers.hub.run()
    assert [each.json["action"] for each in movers.hub.published(PAYMENTS, uid)] == ["DELETE"]
    assert movers.stream(f"again {uid}", aap(case_of(uid), 700, uid=uid, ident=person_of(uid))) == "OK"
