"""Single payments over HTTP on a hub with the rail: calls, their answers to the letter, and the orders that leave (iverksetting §3)."""

import json
from collections.abc import Iterator, Sequence
from itertools import count
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.disbursement.values import Scheme
from kvitt.rails.oppdrag.order_xml import validate
from kvitt.settings import Settings
from kvitt.testing import Hub, TestServer
from support.payers import JSON, Payers, case_of, error, paid
from support.single_payments import Body, days, person_of, single, span, spans_of
from support.tried import tried

_BASE = "https://helved-docs.ansatt.dev.nav.no"
_numbers = count(1)


@pytest.fixture(scope="module")
def payers(kvitt_server: TestServer) -> Iterator[Payers]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored, and the rail pays it."""
    with kvitt_server.database() as conninfo:
        hub = Hub(conninfo, Settings())
        made = Payers(hub)
        yield made
        made.http.close()
        hub.run()
        findings = hub.findings()
        hub.close()
        assert findings == []


@pytest.fixture
def uid() -> str:
    """A payment of its own."""
    return new_uid()


def new_uid() -> str:
    return str(UUID(int=0x5555 << 96 | 0x4 << 76 | 0x8 << 60 | next(_numbers)))


def test_a_payment_is_made_read_changed_and_ceased(payers: Payers, uid: str) -> None:
    spans = [span(f"2026-06-0{day}", fastsattDagsats=1180) for day in (1, 2)]
    body = single(*spans, sakId=case_of(uid), personident=person_of(uid))
    made = payers.call("POST", uid, body)
    assert (made.status_code, made.headers["location"], made.content) == (201, f"/utbetalinger/{uid}", b"")
    assert payers.call("GET", f"{uid}/status").content.decode() == '"IKKE_PÅBEGYNT"'
    assert payers.call("GET", uid).json() == {
        **body,
        "erFørsteUtbetaling": None,
        "perioder": [{**each, "betalendeEnhet": None} for each in spans],
    }
    assert error(payers.call("PUT", uid, body))[:2] == (423, "Utbetalingen har et pågående oppdrag, vent til dette er ferdig")
    payers.hub.run("sender")
    assert payers.call("GET", f"{uid}/status").json() == "SENDT_TIL_OPPDRAG"
    payers.hub.run()
    assert payers.call("GET", f"{uid}/status").json() == "OK"
    assert error(payers.call("PUT", uid, body)) == (
        409,
        "Ingen reell endring",
        f"{_BASE}/async/kom_i_gang/endre_utbetaling#minimum-changes",
    )
    shorter = {**body, "perioder": spans[:1]}
    payers.done("PUT", uid, shorter)
    assert error(payers.call("DELETE", uid, body))[1] == "Periodene i utbetalingen samsvarer ikke med det som er lagret hos utsjekk."
    payers.done("DELETE", uid, shorter)
    assert error(payers.call("GET", uid)) == (404, f"Fant ikke utbetaling med uid {uid}", _BASE)
    assert payers.call("GET", f"{uid}/status").json() == "OK"
    payers.done("POST", uid, body)


def test_what_is_not_there_is_not_found(payers: Payers, uid: str) -> None:
    assert error(payers.call("GET", uid)) == (404, f"Fant ikke utbetaling med uid {uid}", _BASE)
    assert error(payers.call("GET", f"{uid}/status")) == (404, f"Fant ikke status for utbetaling med uid {uid}", _BASE)
    assert error(payers.call("PUT", uid, paid(uid, span("2026-06-01"))))[0] == 404
    assert error(payers.call("DELETE", uid, paid(uid, span("2026-06-01"))))[:2] == (404, f"Fant ikke utbetaling med uid {uid}")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_an_id_that_is_none_is_refused_first(payers: Payers, method: str) -> None:
    body = None if method == "GET" else b"{"
    assert error(payers.call(method, "1234", body)) == (400, "Path param må være UUID", _BASE)


def test_who_calls_is_known_before_anything_is_read(payers: Payers, uid: str) -> None:
    bare = httpx.post(f"{payers.rest.url}/utbetalinger/{uid}", content=b"{", headers=JSON)
    assert (bare.status_code, bare.content, bare.headers["www-authenticate"]) == (401, b"", 'Bearer realm="Azure AD"')
    of_aap = payers.headers(Scheme.AAP)
    other = payers.call("POST", uid, paid(uid, span("2026-06-01", amount=0)), **{k: v for k, v in of_aap.items() if k != "content-type"})
    assert error(other)[0] == 403
    assert payers.call("GET", uid).status_code == 404
    payers.done("POST", uid, paid(uid, span("2026-06-01")))
    seen = payers.call("GET", uid, authorization=of_aap["authorization"])
    assert error(seen)[:2] == (404, f"Fant ikke utbetaling med uid {uid}")


@pytest.mark.parametrize(
    ("spans", "message", "doc"),
    [
        ([], "Mangler perioder", "#mangler-perioder"),
        ([span("2026-06-02", "2026-06-01")], "Tom må være >= fom", "#ugyldig-periode"),
        ([span("2026-06-01"), span("2026-06-01")], "Kan ikke sende inn duplikate perioder", "#duplikate-perioder"),
        ([span("2026-06-01", amount=0)], "Beløp må være > 0", "#ugyldig-belop"),
    ],
)
def test_the_first_broken_rule_is_the_answer(payers: Payers, uid: str, spans: list[Body], message: str, doc: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = payers.call(method, uid, paid(uid, *spans))
        assert error(answer) == (400, message, f"{_BASE}/async/kom_i_gang/opprett_utbetaling{doc}")


def test_other_bodies_than_json_are_not_read(payers: Payers, uid: str) -> None:
    assert error(payers.call("POST", uid, b"a=1", content_type="application/x-www-form-urlencoded"))[0] == 415
    unreadable = error(payers.call("POST", uid, b"{}"))
    assert (unreadable[0], unreadable[1].startswith("Klarte ikke lese json meldingen."), unreadable[2]) == (400, True, _BASE)
    assert error(payers.call("POST", uid, b'{"sakId": 1, "sakId": 2}'))[0] == 400


def test_who_has_seen_another_state_changes_nothing(payers: Payers, uid: str) -> None:
    payers.done("POST", uid, paid(uid, *days(1, 5)))
    tag = payers.call("GET", uid).headers["etag"]
    payers.done("PUT", uid, paid(uid, *days(1, 4)))
    assert error(payers.call("PUT", uid, paid(uid, *days(1, 3)), if_match=tag))[0] == 412
    tag = payers.call("GET", uid).headers["etag"]
    assert payers.call("PUT", uid, paid(uid, *days(1, 3)), if_match=tag).status_code == 204
    payers.hub.run()


def test_a_key_has_a_call_done_once_and_what_was_refused_may_be_asked_again(payers: Payers, uid: str) -> None:
    body = paid(uid, *days(1, 5))
    first, again = (payers.call("POST", uid, body, idempotency_key=uid) for _ in range(2))
    assert (first.status_code, again.status_code, again.headers["idempotency-replayed"]) == (201, 201, "true")
    shorter = paid(uid, *days(1, 4))
    busy = payers.call("PUT", uid, shorter, idempotency_key=f"put {uid}")
    assert (busy.status_code, "retry-after" in busy.headers) == (423, True)
    payers.hub.run()
    assert payers.call("PUT", uid, shorter, idempotency_key=f"put {uid}").status_code == 204
    payers.hub.run()
    assert payers.call("PUT", uid, shorter, idempotency_key=f"put {uid}").status_code == 204, "the stored answer"
    assert error(payers.call("PUT", uid, body, idempotency_key=f"put {uid}"))[0] == 409


def test_who_repeats_what_made_a_payment_hears_its_path_again(payers: Payers, uid: str) -> None:
    answers = [payers.call("POST", uid, paid(uid, span("2026-06-01")), Idempotency_Key=f"path-{uid}") for _ in range(2)]
    assert [(each.status_code, each.headers["location"], each.content) for each in answers] == [(201, f"/utbetalinger/{uid}", b"")] * 2
    assert [each.headers.get("idempotency-replayed") for each in answers] == [None, "true"]
    payers.hub.run()


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [("DAG", "9999-12-30", "9999-12-31"), ("UKEDAG", "9999-12-30", "9999-12-31"), ("MND", "9999-11-01", "9999-12-01")],
)
def test_the_last_day_of_the_calendar_is_shown_and_ceased_like_others(payers: Payers, uid: str, kind: str, first: str, last: str) -> None:
    spans = [span(first, "9999-11-30"), span(last, "9999-12-31")] if kind == "MND" else [span(first), span(last)]
    payers.done("POST", uid, paid(uid, *spans, kind=kind))
    shown = payers.call("GET", uid)
    assert [(each["fom"], each["tom"]) for each in shown.json()["perioder"]] == [(each["fom"], each["tom"]) for each in spans]
    assert error(payers.call("PUT", uid, shown.content))[:2] == (409, "Ingen reell endring")
    payers.done("DELETE", uid, shown.json())


def test_what_kvitt_says_itself_is_said_in_the_words_of_the_contracts_callers(payers: Payers, uid: str) -> None:
    body, rules = paid(uid, span("2026-06-01")), "Forespørselen bryter regler; "
    payers.call("POST", uid, body, Idempotency_Key=f"words-{uid}")
    said = [
        payers.call("PUT", uid, body, Idempotency_Key=f"words-{uid}"),
        payers.call("PUT", uid, body, Idempotency_Key="x" * 256),
        payers.call("GET", f"{uid}?all=1"),
        payers.call("PATCH", uid, body),
        payers.call("GET", f"{uid}/nothing"),
        payers.call("PUT", uid, body, content_type="text/plain"),
        payers.call("PUT", uid, b" " * 10_000_000),
    ]
    assert [error(each) for each in said] == [
        (409, "Idempotency-Key er brukt i en annen forespørsel", _BASE),
        (400, f"{rules}Idempotency-Key: må ha 1 til 255 skrivbare tegn", _BASE),
        (400, f"{rules}all: er ikke en parameter her", _BASE),
        (405, "Metoden er ikke tillatt her", _BASE),
        (404, "Fant ikke siden", _BASE),
        (415, "Innholdet må være application/json", _BASE),
        (413, "En forespørsel kan ha høyst 8388608 bytes", _BASE),
    ]
    payers.hub.run()


def test_what_the_rail_refuses_may_be_made_again(payers: Payers, uid: str) -> None:
    payers.hub.rail.fault(refuse=1)
    assert payers.call("POST", uid, paid(uid, *days(1, 5))).status_code == 201
    payers.hub.run()
    payers.hub.rail.fault()
    assert payers.call("GET", f"{uid}/status").json() == "FEILET_MOT_OPPDRAG"
    assert payers.call("GET", uid).status_code == 404
    never = error(payers.call("PUT", uid, paid(uid, *days(1, 4))))
    assert (never[0], "POST" in never[1]) == (404, True)
    payers.done("POST", uid, paid(uid, *days(1, 5)))


Spans = Sequence[tuple[int, int, int]]
"""Periods of June 2026: first and last day, amount."""
CHANGES: dict[str, tuple[Spans, Spans, Sequence[tuple[int | None, int, int, int]]]] = {
    "M1": ([(1, 12, 640)], [(1, 12, 710)], [(None, 1, 12, 710)]),
    "M2": ([(1, 12, 640)], [(8, 12, 640)], [(1, 1, 12, 640), (None, 8, 12, 640)]),
    "M3": ([(1, 5, 640), (8, 12, 710)], [(1, 5, 640), (8, 12, 710), (15, 19, 720)], [(None, 15, 19, 720)]),
    "M4": ([(1, 12, 640)], [(1, 5, 640)], [(6, 1, 12, 640)]),
    "M5": ([(1, 5, 640), (8, 12, 710)], [(1, 5, 640)], [(6, 8, 12, 710)]),
    "M6": ([(1, 10, 640), (11, 19, 710)], [(1, 5, 640), (11, 19, 710)], [(6, 11, 19, 710), (None, 11, 19, 710)]),
    "M7": ([(1, 10, 640), (11, 19, 710)], [(1, 5, 640), (6, 19, 710)], [(None, 6, 19, 710)]),
    "M8": (
        [(1, 5, 640), (6, 15, 710), (16, 24, 640)],
        [(1, 5, 640), (10, 15, 710), (16, 24, 640)],
        [(6, 16, 24, 640), (None, 10, 15, 710), (None, 16, 24, 640)],
    ),
    "M9": (
        [(1, 5, 640), (6, 10, 710), (11, 15, 720)],
        [(1, 5, 640), (11, 15, 720)],
        [(6, 11, 15, 720), (None, 11, 15, 720)],
    ),
    "M10": ([(1, 12, 640)], [(1, 19, 640)], [(None, 1, 19, 640)]),
    "M11": ([(8, 12, 640)], [(1, 12, 640)], [(None, 1, 12, 640)]),
    "M12": ([(1, 12, 640)], [(1, 5, 710), (6, 12, 640)], [(None, 1, 5, 710), (None, 6, 12, 640)]),
    "M13": ([(1, 12, 640)], [(1, 5, 640), (6, 12, 710)], [(None, 6, 12, 710)]),
    "M14": ([(1, 12, 640)], [(1, 3, 640), (4, 8, 710), (9, 12, 640)], [(None, 4, 8, 710), (None, 9, 12, 640)]),
    "M15": ([(1, 12, 640)], [(1, 3, 640), (9, 12, 640)], [(4, 1, 12, 640), (None, 9, 12, 640)]),
    "M16": ([(1, 12, 640)], [(1, 5, 710)], [(None, 1, 5, 710)]),
    "M17": ([(1, 12, 640)], [(3, 8, 640)], [(1, 1, 12, 640), (None, 3, 8, 640)]),
    "M18": ([(1, 5, 640), (10, 12, 640)], [(1, 5, 640), (10, 12, 640), (22, 24, 640)], [(None, 22, 24, 640)]),
    "M19": ([(1, 5, 640), (10, 12, 640)], [(1, 5, 640), (6, 9, 500), (10, 12, 640)], [(None, 6, 9, 500), (None, 10, 12, 640)]),
    "M20": ([(10, 12, 640)], [(1, 5, 500), (10, 12, 640)], [(None, 1, 5, 500), (None, 10, 12, 640)]),
}
"""The table of micro-chaining: what is paid, what shall be, and the lines; each with the day from which it ends, or new."""


def _june(day: int) -> str:
    return f"2026-06-{day:02d}"


def _days_of(spans: Spans) -> list[Body]:
    return [each for first, last, amount in spans for each in days(first, last, amount)]


@pytest.mark.parametrize("name", CHANGES)
def test_changes_lead_to_the_lines_of_the_table(payers: Payers, uid: str, name: str) -> None:
    stored, wanted, lines = CHANGES[name]
    payers.done("POST", uid, paid(uid, *_days_of(stored)))
    before = payers.lines()
    assert [line[1:4] for line in before] == [(_june(first), _june(last), amount) for first, last, amount in stored]
    payers.done("PUT", uid, paid(uid, *_days_of(wanted)))
    made = payers.lines()
    expected = [("NY" if ends is None else _june(ends), _june(first), _june(last), amount) for ends, first, last, amount in lines]
    assert [line[:4] for line in made] == expected
    assert [line[4] is not None for line in made] == [line[0] == "NY" for line in made], "new lines go on from the chain, ends do not"
    assert payers.call("GET", uid).json()["perioder"] == [{**each, **_NULLS} for each in _days_of(wanted)]


_NULLS = {"betalendeEnhet": None, "fastsattDagsats": None}


def test_two_cuts_in_a_row_end_the_same_line(payers: Payers, uid: str) -> None:
    april, may, october = (span(f"2026-{month}-01", f"2026-{month}-{last}", 7600) for month, last in (("04", 30), ("05", 31), ("10", 31)))
    payers.done("POST", uid, paid(uid, april, may, october, kind="MND"))
    payers.done("PUT", uid, paid(uid, april, may, kind="MND"))
    assert payers.lines() == [("2026-06-01", "2026-10-01", "2026-10-31", 7600, None)]
    payers.done("PUT", uid, paid(uid, april, kind="MND"))
    assert payers.lines() == [("2026-05-01", "2026-10-01", "2026-10-31", 7600, None)]
    assert payers.call("GET", uid).json()["perioder"] == [{**april, **_NULLS}]


def test_the_first_order_of_a_case_is_new_and_the_others_change_it(payers: Payers, uid: str) -> None:
    other = new_uid()
    payers.done("POST", uid, paid(uid, *days(1, 5)))
    assert b"<kodeEndring>NY<" in payers.hub.sent()[-1].message
    payers.done(
        "POST", other, {**paid(uid, *days(8, 9)), "avvent": {"fom": "2026-06-08", "tom": "2026-06-09", "årsak": "AVVENT_AVREGNING"}}
    )
    xml = payers.hub.sent()[-1].message
    assert b"<kodeEndring>ENDR<" in xml
    assert b"<kodeArsak>AVAV<" in xml


@given(st.data())
@tried(6)
def test_what_was_put_is_what_is_shown_and_what_is_shown_changes_nothing(payers: Payers, data: st.DataObject) -> None:
    uid, kind = new_uid(), data.draw(st.sampled_from(["UKEDAG", "DAG", "MND", "EN_GANG"]))
    payers.done("POST", uid, paid(uid, *data.draw(spans_of(kind)), kind=kind))
    for spans in data.draw(st.lists(spans_of(kind), max_size=3)):
        answer = payers.call("PUT", uid, paid(uid, *spans, kind=kind))
        payers.hub.run()
        shown = payers.call("GET", uid).json()
        expected = sorted(({**each, "fastsattDagsats": None} for each in spans), key=lambda each: str(each["fom"]))
        assert (answer.status_code in (204, 409), shown["perioder"]) == (True, expected)
        assert error(payers.call("PUT", uid, shown))[:2] == (409, "Ingen reell endring")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.sampled_from(["2026-06-01", "DAG"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
@tried(150)
def test_whatever_a_body_is_kvitt_does_not_fail_on_it(payers: Payers, data: st.DataObject) -> None:
    plain = single(span("2026-06-01"), sakId="FUZZ")
    members = data.draw(st.dictionaries(st.sampled_from([*plain]), _VALUES, max_size=3))
    spans = data.draw(st.lists(st.dictionaries(st.sampled_from(["fom", "tom", "beløp", "betalendeEnhet"]), _VALUES), max_size=2))
    whole = {**plain, **({"perioder": spans} if data.draw(st.booleans()) else {}), **members}
    body = data.draw(st.sampled_from([json.dumps(whole).encode(), json.dumps(members).encode(), data.draw(st.binary(max_size=40))]))
    answer = payers.call(data.draw(st.sampled_from(["POST", "PUT", "DELETE"])), new_uid(), body)
    assert answer.status_code in (201, 400, 403, 404, 409, 415, 423)


def test_a_hold_back_that_was_registered_by_mistake_is_corrected(payers: Payers, uid: str) -> None:
    held = {"fom": "2026-06-01", "tom": "2026-06-05"}
    asked = {
        "stønad": "TILSYN_BARN_AAP",
        "sakId": case_of(uid),
        "personident": person_of(uid),
        "saksbehandlerId": "A100001",
        "avvent": held,
    }
    known = {**asked, "avvent": {**held, "feilregistrering": True, "overføres": "2026-07-01"}}
    assert error(payers.call("POST", f"{uid}/avvent", asked))[:2] == (400, "feilregistrering må være satt til true")
    asked["avvent"] = {**held, "feilregistrering": True}
    assert error(payers.call("POST", f"{uid}/avvent", asked))[:2] == (400, "overføres må være satt")
    assert error(payers.call("POST", f"{uid}/avvent", known))[:2] == (404, f"Fant ikke utbetaling med uid {uid}")
    assert payers.call("POST", uid, paid(uid, *days(1, 5))).status_code == 201
    none = error(payers.call("GET", f"{uid}/avvent/status"))
    assert none[:2] == (404, f"Fant ikke status for retting av avvent for utbetaling med uid {uid}")
    waits = payers.call("POST", f"{uid}/avvent", known)
    assert (waits.status_code, waits.content) == (201, b"")
    assert payers.call("GET", f"{uid}/avvent/status").json() == "IKKE_PÅBEGYNT"
    payers.hub.run()
    assert payers.call("GET", f"{uid}/avvent/status").json() == "OK"
    xml = payers.hub.sent()[-1].message
    validate(xml)
    assert (b"<feilreg>J<" in xml, b"oppdrags-linje-150" in xml, b"avstemming-115" in xml) == (True, False, False)
    assert payers.call("GET", f"{uid}/status").json() == "OK"
    of_aap = payers.headers(Scheme.AAP)["authorization"]
    assert error(payers.call("POST", f"{uid}/avvent", known, authorization=of_aap))[0] == 403
