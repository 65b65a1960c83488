"""Rows of an older system are read as they are meant, or refused by row, field and rule; nothing in them is guessed (iverksetting §9)."""

import json
from collections.abc import Callable
from datetime import date

import pytest

from kvitt.contracts.iverksetting.importing import cases_of
from kvitt.contracts.utbetalinger import importing as single
from kvitt.disbursement.decisions import DecisionState, Frame
from kvitt.disbursement.derive.chained import ChainKey, chain_payment_id
from kvitt.disbursement.take_over import ReadCase, RowRule
from kvitt.disbursement.values import Action, CaseId, RateType, Scheme
from support.iverksetting_bodies import PERSON, dagpenger, days, last, last_day, old, old_day, previous, v2
from support.old_tables import Body, OldRows, entry
from support.single_payments import span

UID, OTHER = "5d0c2e9e-1111-4222-8333-444455556666", "5d0c2e9e-1111-4222-8333-444455557777"
LINE = "850a4857-fa4e-4d0d-934a-240f7c76c8a4"
A, B = entry("2025-02-10", "2025-02-21", 640), entry("2025-02-24", "2025-03-07", 655)
DAYS = span("2025-02-10", "2025-02-21", 640)


def read(rows: OldRows, case_id: str = "S1") -> ReadCase:
    """The one case of the rows about decisions."""
    decided = [(sort, body) for sort, table in enumerate(("iverksetting", "iverksettingsresultat")) for body in rows.bodies(table)]
    (found,) = cases_of(case_id, decided)
    return found


def read_paid(rows: OldRows, case_id: str = "A1") -> ReadCase:
    """The one case of the rows about single payments."""
    (found,) = single.cases_of(case_id, rows.bodies("utbetaling"))
    return found


def test_a_chain_is_taken_over_as_it_is_paid_with_its_last_line_as_it_was_made() -> None:
    rows = OldRows()
    rows.decide("S1", "B1", A, B, enactment="i1")
    rows.decide("S1", "B2", entry("2025-02-10", "2025-02-14", 640), enactment="i2")
    case = read(rows).case
    assert case is not None
    (payment,) = case.payments
    assert payment.payment_id == chain_payment_id(Scheme.TILLEGGSSTONADER, CaseId("S1"), ChainKey("TSTBASISP4-OP"))
    assert (payment.last_line, payment.area, payment.benefit, payment.action) == ("S1#1", "TILLST", "TILSYN_BARN_AAP", Action.CREATE)
    assert [(str(each.start), str(each.end), each.amount, each.line) for each in payment.periods] == [
        ("2025-02-10", "2025-02-14", 640, "S1#0")
    ]
    assert payment.last_sent is not None
    assert (payment.last_sent.start, payment.last_sent.end, payment.last_sent.line) == (date(2025, 2, 24), date(2025, 3, 7), None)
    assert (payment.caseworker, payment.approver, payment.decision_id, payment.person) == ("A100001", "B200002", "B2", PERSON)
    assert [(each.key, each.state) for each in case.decisions] == [
        (("B1", "i1"), DecisionState.ACCEPTED),
        (("B2", "i2"), DecisionState.ACCEPTED),
    ]
    assert (case.numbered, case.frame, case.areas, case.contract) == (2, None, ("TILLST",), "iverksetting")


def test_rates_offices_and_cards_come_along() -> None:
    rows = OldRows()
    terms = {"benefit": "ARBEIDSTRENING", "meldekortId": "M1", "brukersNavKontor": "0311", "barnetillegg": True}
    monthly = entry("2025-03-01", "2025-03-31", 7600, rate="MÅNEDLIG", **terms)
    rows.decide("T1", "B1", entry("2025-02-10", "2025-02-21", 640, **terms), monthly, scheme="TILTAKSPENGER")
    case = read(rows, "T1").case
    assert case is not None
    (payment,) = case.payments
    assert (payment.reporting_card, payment.benefit, payment.rate_type) == ("M1", "ARBEIDSTRENING_BARN", RateType.MONTH)
    assert [(each.rate_type, each.office) for each in payment.periods] == [(RateType.WEEKDAY, "0311"), (None, "0311")]


BODIES: dict[str, Body] = {
    "v2": v2("S1", "B1", [days("2025-02-10", "2025-02-21")]),
    "the last form": last("S1", "B1", [days("2025-02-10", "2025-02-21")]),
    "a frame": v2("S1", "B1", [days("2025-02-10", "2025-02-21")], virkningstidspunkt="2025-02-01", maksbeløpPerDag=900),
}


@pytest.mark.parametrize("form", BODIES)
def test_the_data_of_a_decision_may_be_its_body(form: str) -> None:
    rows = OldRows()
    rows.decide("S1", "B1", A)
    rows.rows[0][1]["data"] = BODIES[form]
    found = read(rows)
    assert found.findings == ()
    assert found.case is not None
    assert found.case.frame == (Frame(date(2025, 2, 1), 900) if form == "a frame" else None)  # type: ignore[arg-type]


def test_a_body_without_payments_is_of_the_scheme_of_its_result_and_one_of_days_of_dagpenger() -> None:
    rows = OldRows()
    rows.decide("D1", "B1", scheme="DAGPENGER")
    rows.rows[0][1]["data"] = v2("D1", "B1")
    found = read(rows, "D1").case
    assert found is not None
    assert found.scheme is Scheme.DAGPENGER
    rows.rows[0][1]["data"] = last("D1", "B1", [last_day("2025-02-10")])
    assert read(rows, "D1").findings == ()


def test_the_first_form_is_of_the_name_that_the_rail_has() -> None:
    rows, decision = OldRows(), "3c1d7d0e-6a5f-4c39-9d5b-0f6f5d1c7a02"
    rows.decide("S900", decision, scheme="DAGPENGER")
    rows.rows[0][1]["data"] = old(decision, [old_day("2025-02-10")])
    assert read(rows, "S900").findings == ()
    rows.rows[0][1]["data"] = old(decision, [old_day("2025-02-10")], saksreferanse=None, sakId=UID)
    assert [each.rule for each in read(rows, UID).findings] == [RowRule.CASE_ID]


def _at(row: int, *path: str | int, value: object = None) -> Callable[[OldRows], None]:
    """Changes a member of a row; None takes it away."""

    def change(rows: OldRows) -> None:
        place = rows.rows[row][1]
        for name in path[:-1]:
            place = place[name]  # type: ignore[index]
        if value is None:
            del place[path[-1]]  # type: ignore[arg-type]
        else:
            place[path[-1]] = value  # type: ignore[index]

    return change


PAID = "tilkjentytelseforutbetaling"
KEY = json.dumps({"@type": "standard", "klassifiseringskode": "TSTBASISP4-OP"})
_WRONG: dict[str, tuple[Callable[[OldRows], None], RowRule, str]] = {
    "no data": (_at(2, "data"), RowRule.UNREADABLE, "iverksetting 3 data is missing"),
    "no decision": (_at(2, "data", value={"sakId": "S1"}), RowRule.UNREADABLE, "data is no decision"),
    "no person": (_at(2, "data", "søker", "personident"), RowRule.UNREADABLE, "søker.personident is missing"),
    "another decision": (_at(2, "behandling_id", value="B7"), RowRule.UNREADABLE, "behandling_id is not that of the data"),
    "no moment": (_at(0, "mottatt_tidspunkt"), RowRule.ORDER_UNKNOWN, "iverksetting 3"),
    "one moment": (_at(2, "mottatt_tidspunkt", value="2025-03-03T00:00:01"), RowRule.ORDER_UNKNOWN, "iverksetting 3"),
    "no scheme": (_at(3, "fagsystem"), RowRule.UNREADABLE, "fagsystem is missing"),
    "an unknown scheme": (_at(3, "fagsystem", value="BARNETRYGD"), RowRule.SCHEME, "iverksettingsresultat 4"),
    "a scheme without decisions": (_at(3, "fagsystem", value="HISTORISK"), RowRule.NO_RESULT, "iverksetting 3"),
    "no result": (_at(3, "behandling_id", value="B7"), RowRule.NO_DECISION, "iverksettingsresultat 4"),
    "no state": (_at(3, "oppdragresultat"), RowRule.OPEN, "iverksettingsresultat 4"),
    "queued": (_at(3, "oppdragresultat", "oppdragStatus", value="LAGT_PÅ_KØ"), RowRule.OPEN, "iverksettingsresultat 4"),
    "an older one queued": (_at(1, "oppdragresultat", "oppdragStatus", value="LAGT_PÅ_KØ"), RowRule.OPEN, "iverksettingsresultat 2"),
    "unknown": (_at(3, "oppdragresultat", "oppdragStatus", value="KVITTERT_UKJENT"), RowRule.NOT_UNDERSTOOD, "iverksettingsresultat 4"),
    "another state": (_at(3, "oppdragresultat", "oppdragStatus", value="JA"), RowRule.UNREADABLE, "oppdragStatus is not a known word"),
    "no payments": (_at(3, PAID), RowRule.LINES, "has no tilkjentytelseforutbetaling"),
    "no number": (
        _at(3, PAID, "andelerTilkjentYtelse", 0, "periodeId"),
        RowRule.UNREADABLE,
        "andelerTilkjentYtelse[0].periodeId is missing",
    ),
    "a number too high": (_at(3, PAID, "andelerTilkjentYtelse", 0, "periodeId", value=10_000), RowRule.UNREADABLE, "from 0 to 9999"),
    "a number behind the last": (
        _at(3, PAID, "andelerTilkjentYtelse", 0, "periodeId", value=7),
        RowRule.LINES,
        "line 7 is not as the last",
    ),
    "no last line": (_at(3, PAID, "sisteAndelPerKjede", value={}), RowRule.LINES, "has no last line of TSTBASISP4-OP"),
    "a key that is none": (
        _at(3, PAID, "sisteAndelPerKjede", value={"TS": {**B, "periodeId": 1}}),
        RowRule.UNREADABLE,
        "klassifiseringskode",
    ),
    "another key": (
        _at(3, PAID, "sisteAndelPerKjede", value={KEY.replace("4", "2"): {**B, "periodeId": 1}}),
        RowRule.LINES,
        "has no last line",
    ),
    "an amount of nothing": (_at(3, PAID, "andelerTilkjentYtelse", 0, "beløp", value=0), RowRule.AMOUNT, "iverksettingsresultat 4"),
    "days backwards": (
        _at(3, PAID, "andelerTilkjentYtelse", 0, "periode", "tom", value="2025-01-01"),
        RowRule.OVERLAP,
        "iverksettingsresultat 4",
    ),
    "days over days": (
        _at(3, PAID, "andelerTilkjentYtelse", 0, "periode", "tom", value="2025-02-24"),
        RowRule.OVERLAP,
        "iverksettingsresultat 4",
    ),
    "a benefit that nobody knows": (
        _at(3, PAID, "andelerTilkjentYtelse", 0, "stønadsdata", "stønadstype", value="BARNETRYGD"),
        RowRule.UNREADABLE,
        "stønadstype is not a known word",
    ),
    "a rate that nobody knows": (_at(3, PAID, "andelerTilkjentYtelse", 0, "satstype", value="DAG"), RowRule.UNREADABLE, "satstype"),
    "another previous": (_at(2, "data", "behandling", "forrigeBehandlingId", value="B7"), RowRule.CHAIN, "iverksetting 3"),
    "no previous": (_at(2, "data", "behandling", "forrigeBehandlingId"), RowRule.CHAIN, "iverksetting 3"),
    "another person": (_at(2, "data", "søker", "personident", value="01820390013"), RowRule.PERSONS, ""),
}


@pytest.mark.parametrize("what", _WRONG)
def test_a_case_is_left_out_with_the_row_and_the_rule(what: str) -> None:
    rows = OldRows()
    rows.decide("S1", "B1", A)
    rows.decide("S1", "B2", A, B)
    change, rule, said = _WRONG[what]
    change(rows)
    found = read(rows) if rule is not RowRule.NO_RESULT else _of_scheme(rows, Scheme.TILLEGGSSTONADER)
    assert found.case is None
    (finding,) = [each for each in found.findings if each.rule is rule]
    assert finding.case == "TILLEGGSSTØNADER S1"
    assert said in finding.subject


def _of_scheme(rows: OldRows, scheme: Scheme) -> ReadCase:
    decided = [(sort, body) for sort, table in enumerate(("iverksetting", "iverksettingsresultat")) for body in rows.bodies(table)]
    return next(each for each in cases_of("S1", decided) if each.scheme is scheme)


def test_of_several_results_the_one_that_changed_last_counts() -> None:
    rows = OldRows()
    rows.decide("S1", "B1", A)
    rows.add(**{"table": "iverksettingsresultat", **{name: value for name, value in rows.rows[1][1].items() if name != "id"}})
    assert [each.rule for each in read(rows).findings] == [RowRule.SEVERAL_RESULTS]
    rows.rows[2][1]["oppdragresultat"] = {"oppdragStatus": "LAGT_PÅ_KØ", "oppdragStatusOppdatert": "2025-03-03T13:05:59"}
    assert read(rows).findings == ()


def test_what_stood_before_a_rejected_decision_is_taken_over_and_its_numbers_are_used() -> None:
    rows = OldRows()
    rows.decide("S1", "B1", A)
    rows.decide("S1", "B2", A, B, state="KVITTERT_TEKNISK_FEIL")
    found = read(rows)
    assert found.case is not None
    assert [each.rule for each in found.findings] == [RowRule.REJECTED]
    assert [(each.last_line, len(each.periods)) for each in found.case.payments] == [("S1#0", 1)]
    assert (found.case.numbered, found.case.decisions[-1].state) == (2, DecisionState.REJECTED)


def test_aap_of_both_class_codes_is_left_out() -> None:
    rows = OldRows()
    terms = {"benefit": "AAP_UNDER_ARBEIDSAVKLARING"}
    rows.decide("S1", "B1", entry("2025-02-10", "2025-02-21", 640, **terms), scheme="AAP")
    last_lines = rows.rows[1][1][PAID]["sisteAndelPerKjede"]
    ((key, line),) = last_lines.items()
    last_lines[key.replace("AAPOR", "AAPUAA")] = {**line, "periodeId": 1}
    assert [each.rule for each in read(rows).findings] == [RowRule.CLASS_CODES]


def test_names_that_are_too_long_give_way_and_two_schemes_of_one_id_are_two_cases() -> None:
    rows = OldRows()
    terms = {"benefit": "DAGPENGER_ARBEIDSSØKER_ORDINÆR", "meldekortId": "M1", "fastsattDagsats": 900}
    rows.decide("S1", "B1", A, of_decision={"beslutterId": "tilleggsstonader"})
    rows.decide("S1", "B1", entry("2025-02-10", "2025-02-21", 640, **terms), scheme="DAGPENGER")
    decided = [(sort, body) for sort, table in enumerate(("iverksetting", "iverksettingsresultat")) for body in rows.bodies(table)]
    found = cases_of("S1", decided)
    assert [(each.scheme, each.rows, [finding.rule for finding in each.findings]) for each in found] == [
        (Scheme.DAGPENGER, 2, []),
        (Scheme.TILLEGGSSTONADER, 2, [RowRule.NAMES]),
    ]
    assert found[1].case is not None
    assert [each.approver for each in found[1].case.payments] == ["ts"]


def test_a_single_payment_is_taken_over_in_its_last_accepted_version() -> None:
    rows = OldRows()
    rows.pay(UID, "A1", DAYS, line=LINE, kind="DAG", avvent={"fom": "2025-02-10", "tom": "2025-02-21"})
    rows.pay(UID, "A1", span("2025-02-10", "2025-02-14", 640), line=LINE, last=DAYS, status="FEILET_MOT_OPPDRAG")
    found = read_paid(rows)
    assert found.case is not None
    (payment,) = found.case.payments
    assert [each.rule for each in found.findings] == [RowRule.REJECTED]
    assert (payment.payment_id, payment.last_line, payment.rate_type, payment.area) == (UID, LINE, RateType.DAY, "AAP")
    assert [(str(each.start), str(each.end), each.amount) for each in payment.periods] == [("2025-02-10", "2025-02-21", 640)]
    assert payment.last_sent is not None
    assert payment.hold_back is not None
    assert (found.case.callers_chose, found.case.contract, found.case.decisions) == (True, "utbetalinger", ())


@pytest.mark.parametrize(
    ("written", "raw"),
    [(LINE, LINE), (LINE.upper(), LINE), ("hQpIV/pOTQ2TSiQPfHbIpA==", LINE), ("A1#7", "A1#7")],
    ids=["UUID", "capitals", "as on the wire", "a number"],
)
def test_a_line_is_known_however_its_id_is_written(written: str, raw: str) -> None:
    rows = OldRows()
    rows.pay(UID, "A1", DAYS, line=written)
    found = read_paid(rows).case
    assert found is not None
    assert [each.last_line for each in found.payments] == [raw]


def _last_data(*path: str | int, value: object = None) -> Callable[[OldRows], None]:
    return _at(-1, "data", *path, value=value)


_WRONG_PAYMENTS: dict[str, tuple[Callable[[OldRows], None], RowRule, str]] = {
    "open": (_at(-1, "status", value="SENDT_TIL_OPPDRAG"), RowRule.OPEN, "utbetaling 2"),
    "not begun": (_at(-1, "status", value="IKKE_PÅBEGYNT"), RowRule.OPEN, "utbetaling 2"),
    "another status": (_at(-1, "status", value="JA"), RowRule.NOT_UNDERSTOOD, "utbetaling 2"),
    "one moment": (_at(-1, "created_at", value="2025-03-03T00:00:01"), RowRule.ORDER_UNKNOWN, "utbetaling 2"),
    "no moment": (_at(-1, "created_at"), RowRule.UNREADABLE, "created_at is missing"),
    "another case": (_last_data("sakId", "id", value="A2"), RowRule.COLUMNS, "utbetaling 2"),
    "another person": (_last_data("personident", value="1"), RowRule.COLUMNS, "utbetaling 2"),
    "no line": (_last_data("lastPeriodeId"), RowRule.UNREADABLE, "data.lastPeriodeId is missing"),
    "a line that is too long": (_last_data("lastPeriodeId", value="x" * 31), RowRule.LINE_ID, "utbetaling 2"),
    "no rate": (_last_data("satstype"), RowRule.UNREADABLE, "data.satstype is missing"),
    "a rate that nobody knows": (_last_data("satstype", value="UKE"), RowRule.UNREADABLE, "data.satstype is not a known word"),
    "no periods": (_last_data("perioder", value=[]), RowRule.UNREADABLE, "data.perioder is empty"),
    "an amount of nothing": (_last_data("perioder", 0, "beløp", value=0), RowRule.AMOUNT, "utbetaling 2"),
    "days backwards": (_last_data("perioder", 0, "tom", value="2025-01-01"), RowRule.OVERLAP, "utbetaling 2"),
    "no moment of the decision": (_last_data("vedtakstidspunkt", value="i går"), RowRule.UNREADABLE, "data.vedtakstidspunkt"),
}


@pytest.mark.parametrize("what", _WRONG_PAYMENTS)
def test_a_case_of_payments_is_left_out_with_the_row_and_the_rule(what: str) -> None:
    rows = OldRows()
    rows.pay(UID, "A1", DAYS)
    rows.pay(UID, "A1", DAYS, span("2025-02-24", "2025-03-07", 640))
    change, rule, said = _WRONG_PAYMENTS[what]
    change(rows)
    found = read_paid(rows)
    assert found.case is None
    (finding,) = found.findings
    assert (finding.rule, finding.case) == (rule, "AAP A1")
    assert said in finding.subject


def test_what_is_no_json_and_no_case_is_refused_by_its_table() -> None:
    (decided,) = cases_of("S1", [(0, "{"), (1, "{}")])
    (paid,) = single.cases_of("A1", ["[]"])
    assert [str(each.subject) for each in (*decided.findings, *paid.findings)] == [
        "S1, iverksetting message is not JSON",
        "S1, iverksettingsresultat fagsystem is missing",
        "A1, utbetaling message must be object, not array",
    ]


def test_dagpenger_of_v2_bodies_have_their_cards() -> None:
    rows = OldRows()
    terms = {"benefit": "DAGPENGER_ARBEIDSSØKER_ORDINÆR", "meldekortId": "M1", "fastsattDagsats": 1000}
    rows.decide("D1", "B1", entry("2025-02-10", "2025-02-21", 640, **terms), scheme="DAGPENGER")
    rows.decide("D1", "B2", entry("2025-02-10", "2025-02-14", 640, **terms), scheme="DAGPENGER")
    rows.rows[2][1]["data"] = v2("D1", "B2", [dagpenger("2025-02-10", "2025-02-14", card="M1")], after=previous("B1"))
    found = read(rows, "D1").case
    assert found is not None
    assert [each.reporting_card for each in found.payments] == ["M1"]
