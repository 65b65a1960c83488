"""`kvitt check` knows payments that were taken over: clean as they came and whatever follows on them, and every change of them is found.

The rail is the emulator, which has taken the same chains from the other hub; so what is derived on them is judged by it as well.
"""

import json
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Kind, Report, check
from kvitt.disbursement.imported import Discrepancy
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Scheme
from kvitt.errors import NotInThatState
from kvitt.formats.topics import StateRecord
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.comparison import compare
from kvitt.testing import TestServer
from support.emulator_orders import Line
from support.hub_messages import Json, aap, payment_uid, ts, ts_payment
from support.hub_stage import Stage, receipt_with, staged
from support.state_records import CONTRACT, LINE, case_list, payment, period, run, sent_before, utbetaling

OLD = "200001343#0"
CHILD_CARE = {"stønad": "TILSYN_BARN_AAP", "fagsystem": "TILLSTPB"}
STUDY = {"stønad": "LÆREMIDLER_AAP", "fagsystem": "TILLSTLM"}


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


def found(report: Report) -> list[str]:
    return [f"{each.kind.value}: {each.subject} {each.text}" for each in report.differences]


def assert_proved(stage: Stage) -> Report:
    """The check finds nothing, and the rail pays what the store has."""
    report = check(stage.conninfo, PORTS)
    assert found(report) == []
    compared = compare(stage.connection, PORTS.contracts)
    assert compared.differences == ()
    return report


def days(
    starts: int, ends: int, amount: int = 500, *, month: str = "2026-06", line_id: str = LINE, class_code: str = "AAPOR", ceased: str = ""
) -> Line:
    """A line by weekday, of AAP unless changed; `ceased` ends it from that day."""
    return Line(line_id, f"{month}-{starts:02}", f"{month}-{ends:02}", amount, rate_code="DAG", class_code=class_code, ceased_from=ceased)


def dagpenger(amounts: dict[int, int]) -> Json:
    """The message whose only payment is that of the contract: an amount for days of August 2025."""
    entries = [
        {
            "meldeperiode": "2025-08-01/2025-08-14",
            "dato": f"2025-08-{day:02}",
            "sats": 1077,
            "utbetaltBeløp": amount,
            "utbetalingstype": "Dagpenger",
        }
        for day, amount in amounts.items()
    ]
    head = {"sakId": "rsid3", "behandlingId": "AZ223", "ident": "01020312345", "vedtakstidspunktet": "2025-09-04T09:15:30"}
    return {**head, "utbetalinger": entries}


FORTNIGHT = (1, 4, 5, 6, 7, 8, 11, 12, 13, 14)
SAME = dagpenger(dict.fromkeys(FORTNIGHT, 553))
HIGHER = dagpenger(dict.fromkeys(FORTNIGHT, 700))
SHORTER = dagpenger(dict.fromkeys(FORTNIGHT[:6], 553))
NOTHING = dagpenger({})


@pytest.mark.parametrize(
    ("messages", "orders"),
    [([SAME], 0), ([HIGHER], 1), ([SHORTER], 1), ([NOTHING], 1), ([NOTHING, NOTHING], 1), ([SHORTER, SAME, HIGHER, NOTHING, SAME], 5)],
    ids=["duplicate", "correction", "shortening", "cessation", "cessation twice", "all of it"],
)
def test_the_payment_of_the_contract_goes_on_and_every_step_is_clean(stage: Stage, messages: list[Json], orders: int) -> None:
    document = json.loads(CONTRACT)
    sent_before(stage, "rsid3", [days(1, 14, 553, month="2025-08", class_code="DAGPENGER")], area="DP")
    run(stage, payment(document), case_list("rsid3", document["uid"], scheme="DAGPENGER"))
    assert_proved(stage)
    for number, message in enumerate(messages):
        stage.hand_in(Scheme.DAGPENGER, (f"k{number}", message))
        assert found(check(stage.conninfo, PORTS)) == []
        stage.finish()
        assert stage.final(f"k{number}").status.value == "OK", stage.answers(f"k{number}")
        counts = assert_proved(stage).counts
    assert (counts.cases, counts.orders, counts.payments) == (1, orders, orders + 1)


def test_a_chain_that_was_shortened_before_is_ceased_and_begun_again(stage: Stage) -> None:
    uid = payment_uid("C1")
    cut = days(1, 26, line_id=OLD, ceased="2026-06-13")
    sent_before(stage, "C1", [days(1, 26, line_id=OLD)], [cut])
    run(stage, payment(utbetaling("C1", uid, period(1, 12), lastPeriodeId=OLD, sistePeriode=period(1, 26))), case_list("C1", uid))
    assert_proved(stage)
    for number, message in enumerate([aap("C1", 500), aap("C1", utbetalinger=[]), aap("C1", 900), aap("C1", 500)]):
        stage.hand_in(Scheme.AAP, (f"k{number}", message))
        stage.finish()
        assert stage.final(f"k{number}").error is None
        assert_proved(stage)


def test_messages_that_wait_and_orders_that_are_rejected_on_an_imported_case_are_clean(stage: Stage) -> None:
    uid = payment_uid("C1")
    run(stage, payment(utbetaling("C1", uid, period(1, 12))), case_list("C1", uid))
    stage.hand_in(Scheme.AAP, ("more", aap("C1", 700)), ("same", aap("C1", 500)), ("look", aap("C1", 600, dryrun=True)))
    assert found(check(stage.conninfo, PORTS)) == []
    # The rail has never heard of this case, so it takes nothing of it.
    stage.finish()
    assert (stage.final("more").status.value, stage.final("same").status.value) == ("FEILET", "OK")
    assert found(check(stage.conninfo, PORTS)) == []


def test_a_case_without_payments_and_one_that_had_ceased_are_clean(stage: Stage) -> None:
    uid = payment_uid("C1")
    sent_before(stage, "C1", [days(1, 12)], [days(1, 12, ceased="2026-06-01")])
    run(stage, payment(utbetaling("C1", uid, period(1, 12), action="DELETE")), case_list("C1"), case_list("C2"))
    counts = assert_proved(stage).counts
    assert (counts.cases, counts.payments, counts.audit_entries) == (2, 1, 3)
    stage.hand_in(Scheme.AAP, ("one", aap("C1", 500)))
    stage.finish()
    assert stage.final("one").status.value == "OK"
    assert_proved(stage)


def test_a_payment_equal_to_an_imported_one_of_its_case_is_held_back_until_an_operator_lets_it_go(stage: Stage) -> None:
    uids = [payment_uid("T1", number) for number in (3, 1, 2)]
    lines = [f"{LINE[:-1]}{number}" for number in range(3)]
    terms = [CHILD_CARE, STUDY, CHILD_CARE]
    records = [
        payment(utbetaling("T1", uid, _span(number), lastPeriodeId=line, **each))
        for number, (uid, line, each) in enumerate(zip(uids, lines, terms, strict=True))
    ]
    sent_before(stage, "T1", [_ts_line(0, lines[0]), _ts_line(2, lines[2])], area="TILLSTPB")
    sent_before(stage, "T1", [_ts_line(1, lines[1], "TSLMASISP3-OP")], area="TILLSTLM")
    run(stage, *records, case_list("T1", *uids, scheme="TILLEGGSSTØNADER"))
    assert_proved(stage)
    same = [ts_payment(uid, 500 + number, benefit=each["stønad"]) for number, (uid, each) in enumerate(zip(uids, terms, strict=True))]
    doubled = ts_payment(payment_uid("T1", 4), 500)
    stage.hand_in(Scheme.TILLEGGSSTONADER, ("same", ts("T1", *same)), ("twice", ts("T1", *same, doubled)))
    assert stage.said("same") == ["OK"]
    assert stage.finish() == []
    assert found(check(stage.conninfo, PORTS)) == []
    order_id = stage.one("SELECT order_id::text FROM orders WHERE held_for <> '[]'")
    Operate(stage.connection, stage.clock, PORTS).release(str(order_id), Operator("Kari", "two children", "Ola"))
    stage.finish()
    assert stage.final("twice").status.value == "OK"
    assert_proved(stage)


def _span(number: int) -> Json:
    return {**period(1, 5, 500 + number), "vedtakssats": None}


def _ts_line(number: int, line_id: str, class_code: str = "TSTBASISP4-OP") -> Line:
    return days(1, 5, 500 + number, line_id=line_id, class_code=class_code)


# What was changed, and the kind of difference that must tell of it.
TAMPERED = {
    "a document": (Kind.ENTRY, "UPDATE payments SET document = replace(convert_from(document, 'UTF8'), '500', '900')::bytea WHERE {one}"),
    "a document, unreadable": (Kind.ENTRY, "UPDATE payments SET document = 'x' WHERE {one}"),
    "a superseded document": (
        Kind.ENTRY,
        "UPDATE payments SET document = replace(convert_from(document, 'UTF8'), '500', '900')::bytea WHERE {two}",
    ),
    "a document's layout": (Kind.PAYMENT, "UPDATE payments SET document = document || ' ' WHERE {two}"),
    "a version 0, gone": (Kind.ENTRY, "DELETE FROM payments WHERE {one}"),
    "all versions 0, gone": (Kind.ENTRY, "DELETE FROM payments WHERE version = 0 AND case_no = 1"),
    "a version 0 too many": (Kind.ENTRY, "UPDATE payments SET case_no = 1, position_in_case = 9 WHERE case_no = 2"),
    "the case of all": (Kind.ORPHAN, "UPDATE payments SET case_no = 99 WHERE {one}"),
    "a version": (Kind.ENTRY, "UPDATE payments SET version = 7 WHERE {one}"),
    "the order in the list": (Kind.ENTRY, "UPDATE payments SET position_in_case = 1 - position_in_case WHERE version = 0 AND case_no = 1"),
    "a place in the list": (Kind.PAYMENT, "UPDATE payments SET position_in_case = position_in_case + 5 WHERE {one}"),
    "a payment's id": (Kind.PAYMENT, "UPDATE payments SET payment_id = gen_random_uuid() WHERE {one}"),
    "an order": (Kind.PAYMENT, "UPDATE payments SET order_id = gen_random_uuid() WHERE {one}"),
    "an area": (Kind.PAYMENT, "UPDATE payments SET area = 'DP' WHERE {one}"),
    "a last line": (Kind.PAYMENT, "UPDATE payments SET last_line = 'x' WHERE {one}"),
    "a state": (Kind.PAYMENT, "UPDATE payments SET state = 'dropped' WHERE {one}"),
    "what was superseded": (Kind.PAYMENT, "UPDATE payments SET superseded = true WHERE {one}"),
    "the case's person": (Kind.CASE, "UPDATE cases SET person = '10987654321' WHERE case_no = 1"),
    "the case's areas": (Kind.CASE, "UPDATE cases SET areas = '{{}}' WHERE case_no = 1"),
    "the entry's time": (Kind.CHAIN, "UPDATE audit SET at = at + interval '1 second' WHERE chain = 1 AND seq = 1"),
    "the entry's digest": (Kind.ENTRY, "UPDATE audit SET digest = sha256('') WHERE chain = 1 AND seq = 1"),
    "the entry, which tells of something else": (Kind.ORPHAN, "UPDATE audit SET what = 'answered' WHERE chain = 1 AND seq = 1"),
    "the entry, gone": (Kind.ORPHAN, "DELETE FROM audit WHERE chain = 1 AND seq = 1"),
}
ONE, TWO = payment_uid("C1", 1), payment_uid("C1", 2)


@pytest.fixture(scope="module")
def clean(kvitt_server: TestServer) -> Iterator[str]:
    """A database with imported cases on which something followed, to be copied."""
    with kvitt_server.database() as conninfo:
        with staged(conninfo) as stage:
            _follow(stage)
            stage.connection.execute("DROP INDEX payments_current_once")
        yield conninfo


def _follow(stage: Stage) -> None:
    other = payment_uid("C2")
    old = [payment(utbetaling("C1", ONE, period(1, 12))), payment(utbetaling("C1", TWO, period(15, 19)))]
    run(stage, *old, payment(utbetaling("C2", other, period(1, 12))), case_list("C1", ONE, TWO), case_list("C2", other))
    numbers = {str(case_id): case_no for case_no, case_id in stage.rows("SELECT case_no, case_id FROM cases")}
    assert numbers == {"C1": 1, "C2": 2}
    stage.hand_in(Scheme.AAP, ("more", aap("C1", utbetalinger=[_entry(ONE, 1, 12, 500), _entry(TWO, 15, 19, 700)])))
    stage.settle([receipt_with(receipt, "00") for receipt in stage.exchange()])
    assert found(check(stage.conninfo, PORTS)) == []


@pytest.mark.parametrize("what", TAMPERED)
def test_it_finds_a_change_of(kvitt_server: TestServer, clean: str, what: str) -> None:
    kind, statement = TAMPERED[what]
    names = {"one": f"version = 0 AND payment_id = '{ONE}'", "two": f"version = 0 AND payment_id = '{TWO}'"}
    with kvitt_server.copy(clean) as changed:
        with connect(changed) as connection:
            assert connection.execute(statement.format(**names).encode()).rowcount > 0
        report = check(changed, PORTS)
    assert kind in report.by_kind, found(report)


def _entry(uid: str, first: int, last: int, amount: int) -> Json:
    return {"id": uid, "fom": f"2026-06-{first:02}", "tom": f"2026-06-{last:02}", "sats": 1000, "utbetaltBeløp": amount}


def test_an_imported_case_that_is_gone_with_all_its_rows_is_missed(stage: Stage) -> None:
    uids = [payment_uid("C1"), payment_uid("C2")]
    run(stage, *[payment(utbetaling(f"C{number}", uid, period(1, 12))) for number, uid in enumerate(uids, 1)])
    assert found(check(stage.conninfo, PORTS)) == []
    for table, column in (("payments", "case_no"), ("audit", "chain"), ("cases", "case_no")):
        stage.connection.execute(f"DELETE FROM {table} WHERE {column} = 2".encode())
    assert check(stage.conninfo, PORTS).by_kind == {Kind.CASE: 1}


def test_a_version_0_that_no_import_explains_is_found(stage: Stage) -> None:
    stage.hand_in(Scheme.AAP, ("one", aap("C1", 500)))
    stage.finish()
    assert_proved(stage)
    stage.connection.execute(
        """INSERT INTO payments (case_no, payment_id, version, order_id, area, action, client_chose, position_in_case, last_line, document,
        currency, state, superseded) SELECT case_no, payment_id, 0, gen_random_uuid(), area, action, client_chose, position_in_case,
        last_line, document, 'NOK', state, true
        FROM payments"""
    )
    assert check(stage.conninfo, PORTS).by_kind == {Kind.ORPHAN: 1, Kind.PAYMENT: 1, Kind.CASE: 1}


def test_a_case_is_taken_over_at_its_beginning_or_not_at_all(stage: Stage) -> None:
    stage.hand_in(Scheme.AAP, ("one", aap("C1", 500)))
    stage.connection.execute("UPDATE audit SET what = 'imported' WHERE chain = 1 AND seq = 1")
    report = check(stage.conninfo, PORTS)
    assert {Kind.CHAIN, Kind.ENTRY, Kind.ORDER, Kind.MESSAGE} <= report.by_kind.keys()


def test_more_cases_than_are_in_memory_at_once_are_clean(stage: Stage) -> None:
    names = [f"C{number}" for number in range(501)]
    records = [payment(utbetaling(name, payment_uid(name), period(1, 12))) for name in names]
    assert run(stage, *records).written
    stage.hand_in(Scheme.AAP, *[(f"k{name}", aap(name, 500)) for name in names[::50]])
    report = check(stage.conninfo, PORTS)
    assert found(report) == []
    assert (report.counts.cases, report.counts.payments, report.counts.messages) == (501, 501, 11)


def test_a_dry_run_says_all_that_the_import_does_and_who_is_left_out_and_why(stage: Stage) -> None:
    sound, broken, ceased = payment_uid("C1"), payment_uid("C2"), payment_uid("C3")
    records = [
        payment(utbetaling("C1", sound, period(1, 12))),
        payment(utbetaling("C2", broken, period(1, 12), period(5, 16))),
        payment(utbetaling("C3", ceased, period(1, 12), action="DELETE")),
        StateRecord("helved.utbetalinger.v1", 0, payment_uid("C4").encode(), b"{"),
        case_list("C1", sound),
        case_list("C2", broken),
        case_list("C3"),
        case_list("C4", payment_uid("C4")),
    ]
    looked = run(stage, *records, dry_run=True, leave_out=True)
    assert (looked.records, looked.cases, looked.payments, looked.ceased, looked.left_out) == (8, 2, 2, 1, 2)
    why = {(each.discrepancy, each.subject) for each in looked.findings}
    unreadable = f"helved.utbetalinger.v1 {payment_uid('C4')}"
    assert why == {(Discrepancy.OVERLAP, "AAP C2"), (Discrepancy.UNREADABLE, unreadable), (Discrepancy.UNTRUSTED, "AAP C4")}
    assert sum(looked.counts.values()) == looked.faults == 3
    assert check(stage.conninfo, PORTS).counts.cases == 0
    assert run(stage, *records, leave_out=True) == replace(looked, written=True)
    assert check(stage.conninfo, PORTS).counts.payments == 2
    assert found(check(stage.conninfo, PORTS)) == []


def test_a_second_import_is_refused_and_changes_nothing(stage: Stage) -> None:
    uid = payment_uid("C1")
    records = payment(utbetaling("C1", uid, period(1, 12))), case_list("C1", uid)
    run(stage, *records)
    before = check(stage.conninfo, PORTS)
    for dry_run in (True, False):
        with pytest.raises(NotInThatState, match="only an empty kvitt can be filled; this one has 1 cases"):
            run(stage, *records, dry_run=dry_run)
    assert check(stage.conninfo, PORTS) == before
    assert before.clean


def test_names_that_the_rail_does_not_take_give_way_to_the_scheme_s_own(stage: Stage) -> None:
    report = run(stage, payment(json.loads(CONTRACT)), case_list("rsid3", json.loads(CONTRACT)["uid"], scheme="DAGPENGER"))
    assert (report.counts, report.faults, report.written) == ({Discrepancy.NAMES: 1}, 0, True)
    stage.hand_in(Scheme.DAGPENGER, ("gone", NOTHING))
    xml = stage.one("SELECT convert_from(message, 'UTF8') FROM orders")
    assert "<saksbehId>dp</saksbehId>" in str(xml)
    assert "<attestantId>dp</attestantId>" in str(xml)
