"""The tables and examples of decisions and single payments, each through HTTP on a hub with the rail (iverksetting §1, §3)."""

import base64
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from kvitt.contracts.iverksetting.decision import DecisionForm
from kvitt.contracts.iverksetting.texts import NOT_READ
from kvitt.disbursement.values import Scheme
from kvitt.testing import TestServer
from support.contract_calls import called, found, leaves, said, without
from support.contract_tables import BROKEN, BROKEN_PAYMENTS, DP, JOINED, TP, TS, V2
from support.iverksetting_bodies import Body, dagpenger, days, last, last_day, old, old_day, person_of, previous, tiltakspenger, v2
from support.iverksetting_stage import OLD, DecisionSite, decision_site
from support.iverksetting_stage import V2 as V2_PATH
from support.single_payments import days as single_days
from support.single_payments import single, span, supplement

AAP = Scheme.AAP
BASE = "https://helved-docs.ansatt.dev.nav.no"
CREATE, CHANGE = f"{BASE}/async/kom_i_gang/opprett_utbetaling", f"{BASE}/async/kom_i_gang/endre_utbetaling"
ONE, TWO = "0f3e19aa-6d55-4d7d-9f0f-88b0c0de0001", "5b0f7a52-2f0e-4f0a-8a7e-3c1f40a1b001"
_numbers = count(1)
_people = iter(range(2500, 3400))


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DecisionSite]:
    """One hub for all of these tests; whatever they did, all of it can be made again from what is stored."""
    directory: Path = tmp_path_factory.mktemp("tables")
    with kvitt_server.database() as conninfo, decision_site(conninfo, directory) as site:
        yield site
        site.hub.run()
        assert site.hub.findings() == []


@pytest.fixture
def person() -> str:
    return person_of(next(_people))


@pytest.fixture
def uid() -> str:
    """A payment of its own."""
    return str(UUID(int=0x6666 << 96 | 0x4 << 76 | 0x8 << 60 | next(_numbers)))


@pytest.mark.parametrize(("form", "scheme", "body", "newest", "older"), BROKEN)
def test_each_rule_of_a_decision(
    site: DecisionSite, *, form: DecisionForm, scheme: Scheme, body: Body, newest: str, older: str | None
) -> None:
    del older
    status, message, _ = said(site.post(body, scheme, path=V2_PATH if form is V2 else OLD))
    assert (status, message.startswith(newest)) == (403 if "hører ikke til" in newest else 400, True), message


@pytest.mark.parametrize(
    "path",
    [
        *("sakId", "behandlingId", "personident", "vedtak"),
        *(f"vedtak.{name}" for name in ("vedtakstidspunkt", "saksbehandlerId", "beslutterId", "utbetalinger")),
        *(f"vedtak.utbetalinger.0.{name}" for name in ("beløp", "satstype", "fraOgMedDato", "tilOgMedDato", "stønadsdata")),
        *(f"vedtak.utbetalinger.0.stønadsdata.{name}" for name in ("stønadstype", "meldekortId", "fastsattDagsats")),
    ],
)
def test_each_member_that_a_decision_must_have(site: DecisionSite, path: str) -> None:
    body = without(v2("T0", spans=[dagpenger("2026-05-04")]), path)
    assert said(site.post(body, DP)) == (400, NOT_READ, CREATE)


@pytest.mark.parametrize("number", ["01820390013", "0182039001", "889640782"])
def test_a_person_is_eleven_digits_that_check(site: DecisionSite, number: str) -> None:
    assert said(site.post(v2("T0", personident=number)))[:2] == (400, NOT_READ)
    assert said(site.post(v2("T0", personident={"verdi": number})))[:2] == (400, NOT_READ)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"saksreferanse": None}, "SakIdentifikator må ha enten sakId eller saksreferanse"),
        ({"saksreferanse": ""}, "saksreferanse kan ikke være en tom streng"),
        ({"saksreferanse": "S" * 21}, "saksreferanse kan ikke være mer enn 20 tegn"),
    ],
)
def test_a_case_of_the_first_form_is_named(site: DecisionSite, members: Body, message: str) -> None:
    assert said(site.post(old(ONE, **members), DP, path=OLD))[:2] == (400, message)


def test_the_example_of_the_first_form(site: DecisionSite, person: str) -> None:
    """Behind a frame decision, as its members say (iverksetting §1.2)."""
    site.take(old(ONE, vedtakstype="RAMMEVEDTAK", saksreferanse="DP-2023-0099", personIdent=person), DP, path=OLD)
    site.hub.run()
    example = {
        "saksreferanse": "DP-2023-0099",
        "behandlingId": TWO,
        "personIdent": person,
        "vedtak": {
            "vedtakstype": "UTBETALINGSVEDTAK",
            "vedtakstidspunkt": "2023-09-04T09:12:00",
            "resultat": "INNVILGET",
            "saksbehandlerId": "A100001",
            "beslutterId": "B200002",
            "utbetalinger": [
                {
                    "belopPerDag": 1290,
                    "fraOgMedDato": "2023-08-21",
                    "tilOgMedDato": "2023-09-01",
                    "stonadstype": "DAGPENGER_ARBEIDSSOKER_ORDINAER",
                    "ferietillegg": None,
                }
            ],
            "vedtaksperioder": [],
        },
        "forrigeIverksetting": {"behandlingId": ONE, "utbetalinger": []},
    }
    site.take(example, DP, path=OLD, approver=False)
    order = leaves(site)
    wanted = {".//fagsystemId": "DP-2023-0099", ".//sats": "1290", ".//kodeKlassifik": "DPORAS", ".//typeSats": "DAG"}
    assert found(order, wanted) == wanted
    assert site.status("DP-2023-0099", TWO, scheme=DP).json() == "OK"


@pytest.mark.parametrize(
    ("scheme", "members", "code"),
    [
        (DP, {"spans": [last_day("2024-05-06", amount=4999, ferietillegg="ORDINÆR")]}, "DPORASFE"),
        (TP, {"spans": [last_day("2024-05-06", benefit="JOBBKLUBB")], "brukersNavKontor": {"enhet": "0311"}}, "TPTPJK2009"),
        (TS, {"spans": [{**days("2024-05-01", "2024-05-31", 7600, rate="MÅNEDLIG"), "brukersNavKontor": "0311"}]}, "TSTBASISP4-OP"),
    ],
)
def test_the_last_form_of_each_scheme(site: DecisionSite, person: str, scheme: Scheme, members: Body, code: str) -> None:
    site.take(last(f"L-{scheme.name[:4]}", personident={"verdi": person}, **members), scheme, path=OLD)
    assert leaves(site).findtext(".//kodeKlassifik") == code


def test_the_example_of_today_and_the_order_that_it_becomes(site: DecisionSite, person: str) -> None:
    """Each element that the contract's table has (iverksetting §1.4, §1.11)."""
    site.take(v2("TS-70412", "20101", iverksettingId="8c0e", personident=person))
    example = {
        "sakId": "TS-70412",
        "behandlingId": "20117",
        "iverksettingId": "9d0f",
        "personident": person,
        "vedtak": {
            "vedtakstidspunkt": "2025-03-03T13:05:00",
            "saksbehandlerId": "A100001",
            "beslutterId": "B200002",
            "utbetalinger": [
                {
                    "beløp": 1310,
                    "satstype": "DAGLIG",
                    "fraOgMedDato": "2025-03-03",
                    "tilOgMedDato": "2025-03-03",
                    "stønadsdata": {"stønadstype": "TILSYN_BARN_AAP", "brukersNavKontor": None},
                }
            ],
        },
        "forrigeIverksetting": {"behandlingId": "20101", "iverksettingId": "8c0e"},
    }
    site.take(example)
    order = leaves(site)
    head, line = order.find(".//oppdrag-110"), order.find(".//oppdrags-linje-150")
    assert head is not None
    assert line is not None
    wanted = {
        "kodeAksjon": "1",
        "kodeEndring": "NY",
        "kodeFagomraade": "TILLST",
        "fagsystemId": "TS-70412",
        "utbetFrekvens": "MND",
        "oppdragGjelderId": person,
        "datoOppdragGjelderFom": "2000-01-01+01:00",
        "saksbehId": "A100001",
        "avstemming-115/kodeKomponent": "TILLST",
        "oppdrags-enhet-120/typeEnhet": "BOS",
        "oppdrags-enhet-120/enhet": "8020",
        "oppdrags-enhet-120/datoEnhetFom": "1970-01-01+01:00",
    }
    assert found(head, wanted) == wanted
    assert len(head.findall("oppdrags-enhet-120")) == 1
    key = head.findtext("avstemming-115/nokkelAvstemming") or ""
    assert (len(key), key[10:]) == (26, "-10.10.00.000000")
    wanted = {
        "kodeEndringLinje": "NY",
        "kodeStatusLinje": None,
        "vedtakId": "2025-03-03",
        "delytelseId": "TS-70412#0",
        "kodeKlassifik": "TSTBASISP4-OP",
        "datoKlassifikFom": "2025-03-03+01:00",
        "datoVedtakFom": "2025-03-03+01:00",
        "datoVedtakTom": "2025-03-03+01:00",
        "sats": "1310",
        "fradragTillegg": "T",
        "typeSats": "DAG",
        "brukKjoreplan": "N",
        "saksbehId": "A100001",
        "utbetalesTilId": person,
        "henvisning": "20117",
        "refDelytelseId": None,
        "refFagsystemId": None,
        "vedtakssats-157/vedtakssats": None,
        "attestant-180/attestantId": "B200002",
    }
    assert found(line, wanted) == wanted
    assert site.status("TS-70412", "20117", "9d0f").json() == "OK"


@pytest.mark.parametrize(
    ("rate", "ends", "code"), [("DAGLIG", "05-04", "DAG"), ("DAGLIG_INKL_HELG", "05-04", "DAG7"), ("ENGANGS", "05-04", "ENG")]
)
def test_each_rate_has_its_code(site: DecisionSite, person: str, rate: str, ends: str, code: str) -> None:
    site.take(v2(f"R-{code}", spans=[days("2026-05-04", f"2026-{ends}", rate=rate)], personident=person))
    assert leaves(site).findtext(".//typeSats") == code


def test_an_office_and_a_decided_rate_stand_in_the_order(site: DecisionSite, person: str) -> None:
    spans = [tiltakspenger("2026-05-04", "2026-05-05"), tiltakspenger("2026-05-06", brukersNavKontor="4488")]
    site.take(v2("O1", spans=spans, personident=person), TP)
    offices = [(each.findtext("typeEnhet"), each.findtext("enhet")) for each in leaves(site).iter("oppdrags-enhet-120")]
    assert offices == [("BOS", "4488"), ("BEH", "8020")], "the newest one"
    site.take(v2("O2", spans=[dagpenger("2026-05-04", fastsattDagsats=1180)], personident=person_of(next(_people))), DP)
    assert leaves(site).findtext(".//vedtakssats-157/vedtakssats") == "1180"


@pytest.mark.parametrize(
    ("severity", "status"),
    [("00", "OK"), ("04", "OK"), ("08", "FEILET_MOT_OPPDRAG"), ("12", "FEILET_MOT_OPPDRAG"), ("", "FEILET_MOT_OPPDRAG")],
)
def test_each_receipt_is_a_status(site: DecisionSite, person: str, uid: str, severity: str, status: str) -> None:
    """Of decisions and of single payments; a receipt with a note is accepted (iverksetting §1.9, §3.8)."""
    case = f"ST-{severity or 'none'}"
    site.hub.run()
    site.take(v2(case, spans=[days("2026-05-04")], personident=person))
    payment = supplement(span("2026-06-01"), sakId=f"P{case}", personident=person)
    assert called(site, "POST", uid, payment).status_code == 201
    asked = lambda: site.client.get(f"/utbetalinger/{uid}/status", headers=site.headers(TS)).json()  # noqa: E731
    assert (site.status(case, "B1").json(), asked()) == ("SENDT_TIL_OPPDRAG", "IKKE_PÅBEGYNT")
    site.hub.rail.fault(warn=float(severity == "04"), refuse=float(severity not in ("00", "04")), severity=severity)
    site.hub.run()
    site.hub.rail.fault()
    assert (site.status(case, "B1").json(), asked()) == (status, status)


@pytest.mark.parametrize(("body", "message", "doc"), BROKEN_PAYMENTS)
def test_each_rule_of_a_payment(site: DecisionSite, uid: str, body: Body, message: str, doc: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert said(called(site, method, uid, body)) == (400, message, doc)


@pytest.mark.parametrize(("kind", "given", "made"), JOINED)
def test_periods_are_joined_on_the_way_to_the_rail(
    site: DecisionSite, person: str, uid: str, *, kind: str, given: list[Body], made: list[tuple[str, str, int]]
) -> None:
    assert called(site, "POST", uid, single(*given, kind=kind, sakId=f"J{uid[-6:]}", personident=person)).status_code == 201
    lines = list(leaves(site).iter("oppdrags-linje-150"))
    shown = [
        (line.findtext("datoVedtakFom", "")[:10], line.findtext("datoVedtakTom", "")[:10], int(line.findtext("sats", ""))) for line in lines
    ]
    assert shown == made
    ids = [line.findtext("delytelseId", "") for line in lines]
    assert [len(base64.b64decode(each)) for each in ids] == [16] * len(ids), "UUIDs, each in 24 signs"
    assert [line.findtext("refDelytelseId") for line in lines] == [None, *ids[:-1]]


@pytest.mark.parametrize(
    ("kind", "spans", "code"),
    [
        ("UKEDAG", [span("2026-06-01")], "DAG"),
        ("DAG", [span("2026-06-06")], "DAG7"),
        ("MND", [span("2026-06-01", "2026-06-30")], "MND"),
        ("EN_GANG", [span("2026-06-01", "2026-06-10")], "ENG"),
    ],
)
def test_each_kind_of_period_has_its_rate(site: DecisionSite, person: str, uid: str, *, kind: str, spans: list[Body], code: str) -> None:
    assert called(site, "POST", uid, supplement(*spans, kind=kind, sakId=f"K-{kind}", personident=person)).status_code == 201
    assert leaves(site).findtext(".//typeSats") == code


def test_the_example_of_a_payment(site: DecisionSite, person: str, uid: str) -> None:
    body = single(*[span(f"2026-06-0{day}", fastsattDagsats=1180) for day in (1, 2)], personident=person)
    assert called(site, "POST", uid, body).status_code == 201
    order = leaves(site)
    wanted = {
        ".//kodeEndring": "NY",
        ".//kodeFagomraade": "AAP",
        ".//fagsystemId": "AAP-81020",
        ".//henvisning": "44",
        ".//sats": "940",
        ".//vedtakssats-157/vedtakssats": "1180",
        ".//oppdrags-enhet-120/enhet": "8020",
        ".//attestant-180/attestantId": "B200002",
    }
    assert found(order, wanted) == wanted
    assert len(list(order.iter("oppdrags-linje-150"))) == 1


def test_the_office_of_a_payment_stands_beside_that_which_handles_it(site: DecisionSite, person: str, uid: str) -> None:
    body = supplement(*single_days(1, 2, betalendeEnhet="4488"), sakId=f"OF{uid[-6:]}", personident=person)
    assert called(site, "POST", uid, body).status_code == 201
    offices = [(each.findtext("typeEnhet"), each.findtext("enhet")) for each in leaves(site).iter("oppdrags-enhet-120")]
    assert offices == [("BOS", "4488"), ("BEH", "8020")]


def test_whether_an_order_is_the_first_of_its_case_may_be_said(site: DecisionSite, person: str, uid: str) -> None:
    body = supplement(*single_days(1, 2), sakId=f"FI{uid[-6:]}", personident=person, erFørsteUtbetaling=False)
    assert called(site, "POST", uid, body).status_code == 201
    before = len(site.hub.sent())
    site.hub.run()
    assert b"<kodeEndring>ENDR<" in site.hub.sent()[before].message


def test_a_case_that_the_rail_has_gets_no_second_first_order_whatever_is_said(site: DecisionSite, person: str, uid: str) -> None:
    body = supplement(*single_days(1, 2), sakId=f"FS{uid[-6:]}", personident=person, erFørsteUtbetaling=True)
    other = str(uuid4())
    before = len(site.hub.sent())
    for each, spans in ((uid, body), (other, {**body, "perioder": single_days(8, 9)})):
        assert called(site, "POST", each, spans).status_code == 201
        site.hub.run()
        assert called(site, "GET", f"{each}/status", spans).json() == "OK"
    first, second = [order.message for order in site.hub.sent()[before:]]
    assert (b"<kodeEndring>NY<" in first, b"<kodeEndring>ENDR<" in second) == (True, True)


def test_each_rule_of_a_change_in_its_order(site: DecisionSite, person: str, uid: str) -> None:
    body = supplement(*single_days(1, 5), sakId=f"CH{uid[-6:]}", personident=person)
    assert said(called(site, "PUT", uid, body))[0] == 404
    assert said(called(site, "DELETE", uid, body)) == (404, f"Fant ikke utbetaling med uid {uid}", BASE)
    assert called(site, "POST", uid, body).headers["location"] == f"/utbetalinger/{uid}"
    other = {**body, "sakId": "OTHER", "personident": person_of(next(_people)), "stønad": "LÆREMIDLER_AAP"}
    for method, letter in (("PUT", "U"), ("DELETE", "u")):
        assert said(called(site, method, uid, {**other, "sakId": body["sakId"]})) == (
            423,
            f"{letter}tbetalingen har et pågående oppdrag, vent til dette er ferdig",
            BASE,
        )
    site.hub.run()
    months = supplement(span("2026-06-01", "2026-06-30"), kind="MND", sakId=body["sakId"], personident=person)
    for method in ("PUT", "DELETE"):
        for member in ("sakId", "personident", "stønad"):
            assert said(called(site, method, uid, other)) == (400, f"Kan ikke endre '{member}'", f"{CHANGE}#immutable-field")
            other[member] = body[member]
        assert said(called(site, method, uid, months)) == (400, "Kan ikke ha forskjellige satstyper", BASE)
        other = {**body, "sakId": "OTHER", "personident": person_of(next(_people)), "stønad": "LÆREMIDLER_AAP"}
    later = {**body, "behandlingId": "45", "vedtakstidspunkt": "2026-06-16T09:00:00"}
    assert said(called(site, "PUT", uid, later)) == (409, "Ingen reell endring", f"{CHANGE}#minimum-changes")
    shorter = {**later, "perioder": single_days(1, 4)}
    unequal = "Periodene i utbetalingen samsvarer ikke med det som er lagret hos utsjekk."
    assert said(called(site, "DELETE", uid, shorter)) == (400, unequal, BASE)
    gone = called(site, "DELETE", uid, later)
    assert (gone.status_code, gone.content) == (204, b"")
    assert leaves(site).findtext(".//kodeStatusLinje") == "OPPH"
    assert called(site, "POST", uid, body).status_code == 201


def test_names_of_older_decisions_are_no_benefits_of_a_payment(site: DecisionSite, uid: str) -> None:
    body = single(span("2026-06-01"), stønad="DAGPENGER_ARBEIDSSØKER_ORDINÆR", sakId="OLDER")
    assert said(called(site, "POST", uid, body))[1].startswith("Klarte ikke lese json meldingen.")


@pytest.mark.parametrize("amount", [4999, 5000])
def test_what_a_day_of_the_first_form_pays_is_capped(site: DecisionSite, person: str, amount: int) -> None:
    decision = str(UUID(int=0x7000 + amount))
    body = old(
        decision, [old_day("2023-08-21", amount=amount)], vedtakstype="RAMMEVEDTAK", saksreferanse=f"CAP-{amount}", personIdent=person
    )
    answer = site.post(body, DP, path=OLD)
    assert answer.status_code == (202 if amount < 5000 else 400)


def test_a_case_that_was_ceased_goes_on_from_its_last_line(site: DecisionSite, person: str) -> None:
    """All that has ceased may be decided anew; an empty list ceases everything (iverksetting §1.4)."""
    week = [days("2026-05-04", "2026-05-08")]
    site.take(v2("EMPTY", "B1", week, personident=person))
    site.hub.run()
    site.take(v2("EMPTY", "B2", [], after=previous("B1"), personident=person))
    assert leaves(site).findtext(".//kodeStatusLinje") == "OPPH"
    site.take(v2("EMPTY", "B3", week, after=previous("B2"), personident=person))
    assert leaves(site).findtext(".//refDelytelseId") == "EMPTY#0"
