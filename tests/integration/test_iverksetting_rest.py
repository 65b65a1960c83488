"""Decisions over HTTP: each refusal with its code and body, repeats, statuses, who may, and a scheme that is switched off."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from kvitt.contracts.iverksetting.texts import NOT_READ
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Scheme
from kvitt.kernel.operators import Operator
from kvitt.testing import TestServer
from support.fuzzed_bodies import fuzzed
from support.issuer import WRONG_TOKENS
from support.iverksetting_bodies import Body, dagpenger, days, encoded, last, last_day, old, old_day, person_of, previous, tiltakspenger, v2
from support.iverksetting_stage import OLD, V2, DecisionSite, decision_site
from support.patience import until

TS, DP, TP, AAP = Scheme.TILLEGGSSTONADER, Scheme.DAGPENGER, Scheme.TILTAKSPENGER, Scheme.AAP
WEEK = [days("2026-05-04", "2026-05-08")]
ONE, TWO = "0f3e19aa-6d55-4d7d-9f0f-88b0c0de1001", "0f3e19aa-6d55-4d7d-9f0f-88b0c0de1002"


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecisionSite]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    directory: Path = tmp_path_factory.mktemp("decisions")
    with kvitt_server.database() as conninfo, decision_site(conninfo, directory, status_topic=True) as site:
        yield site
        assert site.hub.findings() == []


def said(answer: httpx.Response) -> tuple[int, str]:
    """The code and the text of a refusal of the newest generation."""
    body = answer.json()
    assert [*body] == ["statusCode", "msg", "doc", "system"]
    assert body["statusCode"] == answer.status_code
    assert body["doc"].startswith("https://helved-docs.ansatt.dev.nav.no")
    return answer.status_code, body["msg"]


_people = iter(range(1000, 3000))


def begun(site: DecisionSite, case: str, spans: Sequence[Body] = WEEK, *, settled: bool = True) -> str:
    """A case with one decision, and its person."""
    person = person_of(next(_people))
    site.take(v2(case, "B1", spans, personident=person))
    if settled:
        site.hub.run()
    return person


def test_a_repeat_hears_the_same_and_another_decision_under_its_ids_is_refused(site: DecisionSite) -> None:
    person = begun(site, "R1", settled=False)
    again = v2("R1", "B1", WEEK, personident=person)
    assert site.post(again).status_code == 202
    assert site.post(json.dumps(again, indent=2).encode()).status_code == 202
    site.hub.run()
    assert site.post(again).status_code == 202
    other = v2("R1", "B1", [*WEEK, *[days("2026-05-11")]], personident=person, beslutterId="C300003")
    text = "Iverksettingen er allerede mottatt, med et annet innhold i: vedtak.beslutterId, vedtak.utbetalinger"
    assert said(site.post(other)) == (409, text)
    assert len([order for order in site.hub.sent() if order.case_id == "R1"]) == 1


def test_fifty_equal_decisions_at_once_are_one(site: DecisionSite) -> None:
    body = v2("R2", "B1", WEEK, personident=person_of(next(_people)))
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: site.post(body), range(50)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b"")}
    site.hub.run()
    assert len([order for order in site.hub.sent() if order.case_id == "R2"]) == 1


def test_of_two_decisions_at_once_one_wins(site: DecisionSite) -> None:
    person = begun(site, "R3")
    bodies = [
        v2("R3", f"B{number}", [days("2026-05-04", amount=700 + number)], after=previous("B1"), personident=person) for number in (2, 3)
    ]
    with ThreadPoolExecutor(2) as threads:
        codes = sorted(answer.status_code for answer in threads.map(site.post, bodies))
    assert codes in ([202, 400], [202, 423])


def test_each_rule_of_the_chain_in_its_order(site: DecisionSite) -> None:
    person = begun(site, "C1")
    after = previous("B1")
    unknown = v2("C1", "B2", WEEK, after=previous("B9"), personident=person)
    assert said(site.post(unknown)) == (400, "Fant ikke iverksetting med sakId C1 og behandlingId B9 og iverksettingId null")
    begun(site, "C2")
    elsewhere = v2("C2", "B2", WEEK, after=previous("B1", "i"), iverksettingId="j", personident=person)
    assert said(site.post(elsewhere)) == (400, "Fant ikke iverksetting med sakId C2 og behandlingId B1 og iverksettingId i")
    start = (
        "Forrige iverksetting stemmer ikke med siste mottatte iverksetting på saken. "
        "BehandlingId/IverksettingId forrige iverksetting: {}, behandlingId/iverksettingId siste mottatte iverksetting: {}"
    )
    assert said(site.post(v2("C1", "B2", WEEK, personident=person))) == (400, start.format("null/null", "B1/null"))
    longer = [*WEEK, days("2026-05-11", amount=650)]
    site.take(v2("C1", "B2", longer, after=after, personident=person))
    assert said(site.post(v2("C1", "B3", WEEK, after=after, personident=person))) == (400, start.format("B1/null", "B2/null"))
    unfinished = v2("C1", "B3", WEEK, after=previous("B2"), personident=person)
    assert said(site.post(unfinished)) == (423, "Forrige iverksetting er ikke ferdig iverksatt mot Oppdragssystemet")
    site.hub.run()
    site.take(unfinished)


def test_what_was_too_early_is_heard_again_under_its_key_once_the_receipt_is_there(site: DecisionSite) -> None:
    person = begun(site, "C9", settled=False)
    headers = {**site.headers(TS), "content-type": "application/json", "idempotency-key": "C9"}
    move = {"sakId": "C9", "behandlingId": "B1", "uidToStønad": {"first": str(uuid4()), "second": "TILSYN_BARN_AAP"}}
    body = encoded(v2("C9", "B2", [*WEEK, days("2026-05-11")], after=previous("B1"), personident=person))
    moves = site.client.post(f"{V2}/migrate", content=encoded(move), headers={**headers, "idempotency-key": "C9 moves"})
    early = site.client.post(V2, content=body, headers=headers)
    assert [(each.status_code, each.headers["retry-after"]) for each in (moves, early)] == [(423, "1")] * 2
    site.hub.run()
    assert site.client.post(V2, content=body, headers=headers).status_code == 202


def test_the_first_decision_of_a_case_names_none(site: DecisionSite) -> None:
    body = v2("C3", "B1", WEEK, after=previous("B0"))
    assert said(site.post(body)) == (400, "Fant ikke iverksetting med sakId C3 og behandlingId B0 og iverksettingId null")


def test_a_decision_with_a_note_of_the_rail_is_ok_and_blocks_nothing(site: DecisionSite) -> None:
    person = person_of(next(_people))
    site.hub.run()
    site.take(v2("C4", "B1", WEEK, personident=person))
    site.hub.rail.fault(warn=1)
    site.hub.run()
    site.hub.rail.fault()
    assert site.status("C4", "B1").json() == "OK"
    site.take(v2("C4", "B2", [], after=previous("B1"), personident=person))


@pytest.mark.parametrize("names", ["B2", "B1"])
def test_after_a_rejected_decision_one_names_it_or_its_predecessor(site: DecisionSite, names: str) -> None:
    case = f"C5-{names}"
    person = begun(site, case)
    site.take(v2(case, "B2", [days("2026-05-04", "2026-05-12", 700)], after=previous("B1"), personident=person))
    site.hub.rail.fault(refuse=1)
    site.hub.run()
    site.hub.rail.fault()
    assert site.status(case, "B2").json() == "FEILET_MOT_OPPDRAG"
    site.take(v2(case, "B3", [days("2026-05-04", "2026-05-12", 710)], after=previous(names), personident=person))
    site.hub.run()
    assert site.status(case, "B3").json() == "OK"


def test_statuses_from_the_decision_to_the_receipt(site: DecisionSite) -> None:
    person = person_of(next(_people))
    site.take(v2("S1", "B1", WEEK, personident=person, iverksettingId="i"))
    assert site.status("S1", "B1", "i").json() == "SENDT_TIL_OPPDRAG"
    site.hub.run()
    assert site.status("S1", "B1").text == '"OK"'
    site.take(v2("S1", "B1", WEEK, after=previous("B1", "i"), personident=person, iverksettingId="j"))
    assert site.status("S1", "B1").json() == "OK_UTEN_UTBETALING"
    assert site.status("S1", "B1", "i").json() == "OK"
    published = [record.json for record in site.hub.published("helved.iverksetting-status-v1", person)]
    assert [(each["iverksettingId"], each["status"]) for each in published] == [
        ("i", "SENDT_TIL_OPPDRAG"),
        ("i", "OK"),
    ]
    site.hub.run()
    *_, newest = site.hub.published("helved.iverksetting-status-v1", person)
    assert [name for name, _ in newest.headers] == ["event-id", "x-ts", "x-st", "x-sy"]
    assert newest.value == (
        b'{"sakId":"S1","behandlingId":"B1","iverksettingId":"j","fagsystem":"TILLEGGSST\xc3\x98NADER","status":"OK_UTEN_UTBETALING"}'
    )


def test_what_nobody_sent_has_no_status(site: DecisionSite) -> None:
    assert said(site.status("S9", "B1")) == (404, "Fant ikke status utbetaling med sakId S9 og behandlingId B1")
    text = "Fant ikke status utbetaling med sakId S9, behandlingId B1 og iverksettingId i"
    assert said(site.status("S9", "B1", "i")) == (404, text)
    assert said(site.status(ONE)) == (404, f"Fant ikke status utbetaling med sakId null og behandlingId {ONE}")
    assert [site.status(*names).status_code for names in (["%00"], ["S9", "%00"], ["S9", "B1", "%00"])] == [404] * 3


def test_a_scheme_sees_its_own_cases_only(site: DecisionSite) -> None:
    begun(site, "S2")
    assert site.status("S2", "B1", scheme=DP).status_code == 404
    answer = site.post(v2("S3", "B1", WEEK), DP)
    assert said(answer) == (403, "Stønadstypen TILSYN_BARN_AAP hører ikke til fagsystemet DAGPENGER")


def test_a_body_that_is_none_has_one_text(site: DecisionSite) -> None:
    for body in (b"", b"{", b"[]", b'{"sakId":"S"}', b'{"vedtak":1}'):
        for path in (V2, OLD):
            answer = site.post(body, path=path)
            assert said(answer) == (400, NOT_READ)
            assert answer.json()["doc"].endswith("/async/kom_i_gang/opprett_utbetaling")


def test_a_rule_of_the_body_comes_before_the_case(site: DecisionSite) -> None:
    assert said(site.post(v2("S" * 26, "B1", WEEK))) == (400, "Sak-ID må være mellom 1 og 25 tegn")
    assert said(site.post(v2("S", "B1", [days("2026-05-04", amount=0)]))) == (400, "Beløp må være > 0")


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
def test_a_wrong_token_is_answered_without_a_body(site: DecisionSite, wrong: str) -> None:
    token = site.issuer.token(**{"azp_name": "prod:team:ts-sak", **WRONG_TOKENS[wrong]})
    for method, path in (("POST", V2), ("POST", OLD), ("GET", f"{OLD}/S1/B1/status")):
        answer = site.client.request(method, path, content=b"not read", headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.content) in ((401, b""), (403, answer.content))
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"] == 'Bearer realm="Azure AD"'


def test_an_unknown_application_is_refused_before_its_body(site: DecisionSite) -> None:
    token = site.issuer.token(azp_name="prod:team:others", azp="others")
    answer = site.client.post(V2, content=b"{", headers={"authorization": f"Bearer {token}", "content-type": "application/json"})
    assert said(answer) == (403, "mangler mapping mellom appname (others) og fagsystem-enum")


@pytest.mark.parametrize(
    ("members", "place"), [({"iverksettingId": ""}, ""), ({"iverksettingId": "i" * 256}, ""), ({"sakId": "S\u200b"}, "#ugyldig-sak-id")]
)
def test_a_refused_id_leads_to_what_explains_it(site: DecisionSite, members: Body, place: str) -> None:
    refused = site.post({**v2("S5", "B1", WEEK), **members})
    (field,) = members
    assert (refused.status_code, field in refused.json()["msg"]) == (400, True)
    assert refused.json()["doc"].endswith(f"/async/kom_i_gang/opprett_utbetaling{place}")


def test_in_production_a_header_is_nothing_to_an_application_of_one_scheme(site: DecisionSite) -> None:
    body = encoded(v2("S4", "B1", WEEK, personident=person_of(next(_people))))
    for scheme in ("TULL", "DAGPENGER"):
        headers = {**site.headers(TS), "content-type": "application/json", "fagsystem": scheme}
        assert site.client.post(V2, content=body, headers=headers).status_code == 202


def test_a_machine_opens_no_case_and_pays_within_its_frame(site: DecisionSite) -> None:
    person, card = person_of(next(_people)), {"card": "M1"}

    def body(number: int, spans: Sequence[Body], **members: Any) -> Body:
        after = previous(f"B{number - 1}") if number > 1 else None
        return v2("M1", f"B{number}", spans, after=after, personident=person, **members)

    def sent(number: int, spans: Sequence[Body], *, approver: bool = False, **members: Any) -> httpx.Response:
        return site.post(body(number, spans, **members), DP, approver=approver)

    assert said(sent(1, [])) == (403, "Første vedtak på en sak må sendes av en ansatt med beslutter-rolle")
    assert sent(1, [], approver=True, virkningstidspunkt="2026-05-04", maksbeløpPerDag=1700).status_code == 202
    early = [dagpenger("2026-05-01", "2026-05-08", 1650, **card)]
    text = "Utbetaling fra 2026-05-01 er før virkningstidspunktet 2026-05-04, og må sendes av en ansatt med beslutter-rolle"
    assert said(sent(2, early)) == (403, text)
    high = [dagpenger("2026-05-04", "2026-05-08", 1701, **card)]
    assert said(sent(2, high)) == (403, "Beløp over maksgrensen på 1700 kr per dag må sendes av en ansatt med beslutter-rolle")
    within = [dagpenger("2026-05-04", "2026-05-08", 1700, **card)]
    refused = said(sent(2, within, virkningstidspunkt="2026-01-01"))
    assert refused == (403, "Rammevedtak må sendes av en ansatt med beslutter-rolle")
    assert sent(2, within).status_code == 202
    site.hub.run()
    assert sent(3, early, approver=True).status_code == 202
    site.hub.run()
    assert sent(4, [*early, dagpenger("2026-05-11", amount=1700, **card)]).status_code == 202
    site.hub.run()
    assert site.status("M1", "B4", scheme=DP).json() == "OK"


def test_one_person_does_not_decide_and_attest(site: DecisionSite) -> None:
    body = v2("M2", "B1", WEEK, saksbehandlerId="b200002", beslutterId="B200002")
    assert said(site.post(body)) == (403, "Saksbehandler og beslutter kan ikke være samme person")


def test_an_approver_is_named(site: DecisionSite) -> None:
    answer = site.client.get(f"{OLD}/rammevedtak", headers=site.headers(DP))
    assert (answer.status_code, answer.json()) == (200, "B200002")
    refused = site.client.get(f"{OLD}/rammevedtak", headers=site.headers(DP, approver=False))
    assert said(refused) == (403, "Varsel om rammevedtak kommer ikke fra beslutter")


def test_every_scheme_and_both_older_forms(site: DecisionSite) -> None:
    for scheme, spans in (
        (TP, [tiltakspenger("2026-05-04", "2026-05-15"), tiltakspenger("2026-05-04", "2026-05-15", 55, barnetillegg=True)]),
        (AAP, [days("2026-05-04", "2026-05-15", benefit="AAP_UNDER_ARBEIDSAVKLARING", fastsattDagsats=1180)]),
        (DP, [dagpenger("2026-05-04", ferietillegg="ORDINÆR")]),
        (TS, [days("2026-05-04", rate="ENGANGS", benefit="BOUTGIFTER_AAP"), days("2026-05-01", "2026-06-30", 7600, rate="MÅNEDLIG")]),
    ):
        case = f"E1-{scheme.name[:4]}"
        site.take(v2(case, "B1", spans, personident=person_of(next(_people))), scheme)
        site.hub.run()
        assert site.status(case, "B1", scheme=scheme).json() == "OK"
    site.take(last("E2", "B1", [last_day("2026-05-04", "2026-05-08")], personident=person_of(next(_people))), DP, path=OLD)
    frame = old(ONE, vedtakstype="RAMMEVEDTAK", saksreferanse="E3", personIdent=person_of(next(_people)))
    site.take({**frame, "behandlingId": ONE.upper()}, DP, path=OLD)
    assert site.status(ONE.upper(), scheme=DP).json() == site.status(ONE, scheme=DP).json() == "OK_UTEN_UTBETALING"
    unlike = old(TWO, [old_day("2026-05-04")], after=(ONE, [old_day("2026-05-05")]), saksreferanse="E3", personIdent=frame["personIdent"])
    assert said(site.post(unlike, DP, path=OLD)) == (400, "Mottatt og faktisk forrige iverksatting er ikke konsistente")
    no_frame = old(TWO, [old_day("2026-05-04")], saksreferanse="E4")
    assert said(site.post(no_frame, DP, path=OLD)) == (409, "Stønadsmottaker har ikke iverksatt rammevedtak")
    site.hub.run()


def test_a_case_of_another_contract_is_refused_by_name(site: DecisionSite) -> None:
    site.take(v2("OWNED", "B1", [], personident=person_of(next(_people))), AAP)
    site.hub.put(
        "helved.utbetalinger-aap.v1",
        "k",
        {"sakId": "OWNED", "behandlingId": "1", "ident": person_of(1), "utbetalinger": [], "vedtakstidspunktet": "2026-05-04T09:00:00"},
    )
    site.hub.run()
    (answer,) = site.hub.published("helved.status.v1", "k")
    assert answer.json["error"]["statusCode"] == 409
    assert "iverksetting" in answer.json["error"]["msg"]


def test_a_scheme_that_is_stopped_by_name_takes_no_decision(site: DecisionSite) -> None:
    operate, by = Operate(site.hub.connection, site.hub.clock, site.hub.ports), Operator("kari", "rates are wrong")
    body = v2("K1", "B1", [], personident=person_of(next(_people)))
    operate.stop(["TILTPENG"], by)
    try:
        until(lambda: site.post(body, TP).status_code == 503)
        answer = site.post(body, TP)
        assert answer.json() == "Iverksetting er skrudd av for fagsystem TILTAKSPENGER"
        assert site.post(v2("K1", "B1", [], personident=person_of(next(_people))), AAP).status_code == 202
    finally:
        operate.resume(["TILTPENG"], by)
    until(lambda: site.post(body, TP).status_code == 202)


def moved(site: DecisionSite, body: Body, scheme: Scheme = TS, *, dry_run: bool = False) -> httpx.Response:
    """The answer to a move that is asked for."""
    return site.post(body, scheme, path=f"{V2}/migrate/dryrun" if dry_run else f"{V2}/migrate")


def test_a_case_moves_to_single_payments_with_its_lines(site: DecisionSite) -> None:
    uid, other = "5f0d3c0e-0000-4000-8000-000000000001", "5f0d3c0e-0000-4000-8000-000000000002"
    body = {"sakId": "MOVE1", "behandlingId": "B1", "uidToStønad": {"first": uid, "second": "TILSYN_BARN_AAP"}}
    unknown = "iverksetting for (sak=MOVE1 fagsystem=TILLEGGSSTØNADER)"
    assert said(moved(site, body)) == (404, unknown)
    person = begun(site, "MOVE1", settled=False)
    assert said(moved(site, body)) == (423, unknown)
    site.hub.run()
    (shown,) = moved(site, body, dry_run=True).json()
    days_paid = [(each["fom"], each["beløp"]) for each in shown["perioder"]]
    assert days_paid == [(f"2026-05-{day:02}", 640) for day in range(4, 9)]
    assert shown["stønad"] == "TILSYN_BARN_AAP"
    for _ in range(2):
        answer = moved(site, body)
        assert (answer.status_code, answer.content) == (200, b"")
    seen = [site.client.get(f"/utbetalinger/{path}", headers=site.headers(TS)) for path in (uid, f"{uid}/status")]
    assert (seen[0].json(), seen[1].json()) == (shown, "OK")
    assert said(moved(site, {**body, "uidToStønad": {"first": other, "second": "TILSYN_BARN_AAP"}}))[0] == 409
    refused = said(site.post(v2("MOVE1", "B2", [], after=previous("B1"), personident=person)))
    assert refused == (409, "Saken hører til kontrakten utbetalinger, og kan bare endres gjennom den")


def test_a_reporting_card_moves_with_all_its_chains(site: DecisionSite) -> None:
    spans = [tiltakspenger("2026-05-04", card="M7"), tiltakspenger("2026-05-04", amount=55, card="M7", barnetillegg=True)]
    site.take(v2("MOVE2", "B1", spans, personident=person_of(next(_people))), TP)
    site.hub.run()
    text = "Fant ikke siste andeler for (sak=MOVE2 fagsystem=TILTAKSPENGER)"
    body = {"sakId": "MOVE2", "behandlingId": "B1", "meldeperiode": "M7"}
    assert said(moved(site, {**body, "meldeperiode": "M8"}, TP)) == (400, text)
    assert {each["stønad"] for each in moved(site, body, TP, dry_run=True).json()} == {"ARBEIDSTRENING", "ARBEIDSTRENING_BARN"}
    assert moved(site, body, TP).status_code == 200
    assert said(moved(site, body, DP)) == (501, "kan ikke migrere DAGPENGER enda")


def test_damaged_bodies_over_http_are_never_a_failure(site: DecisionSite) -> None:
    bodies = [v2("F1", "B1", [*WEEK, days("2026-05-11")], after=previous("B0", "i"), iverksettingId="j"), v2("F2", "B1", WEEK)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(site.post, fuzzed(bodies, 400, seed=7)))
    assert {answer.status_code for answer in answers} <= {202, 400, 403, 409, 423}
    site.hub.run()
