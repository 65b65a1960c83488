"""What another hub did not say is not taken for nothing: a line without periods, a payment without a record, a case that was left out."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import Kind, check
from kvitt.disbursement.holding import HoldKind
from kvitt.disbursement.imported import Discrepancy
from kvitt.disbursement.operate import Operate, UnknownPayment
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.errors import NeedsSecondPerson, NotInThatState
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.comparison import compare
from kvitt.rails.oppdrag.emulator import schedule
from support.emulator_orders import Line
from support.hub_messages import Json, aap, dp, payment_uid, ts, ts_payment
from support.hub_stage import Stage, staged
from support.state_records import LINE, case_list, payment, period, run, sent_before, utbetaling

pytestmark = pytest.mark.usefixtures("made_up_people")

OLD = "200001343#0"
TWO = Operator("Kari", "the rail pays nothing", "Ola")
CHILD_CARE: Json = {"stønad": "TILSYN_BARN_AAP", "fagsystem": "TILLSTPB"}


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as stage:
        yield stage
        assert [repr(difference) for difference in check(database, PORTS).differences] == []


def lines(stage: Stage) -> list[tuple[object, ...]]:
    """Line, reference, from, to, amount, ceased from, and whether the order opens its case."""
    query = """SELECT l.line_id, l.refers_to, l.start_on::text, l.end_on::text, l.amount, l.ceased_from::text, o.is_first_order
               FROM order_lines AS l JOIN orders AS o USING (order_id) ORDER BY o.number, l.position"""
    return stage.rows(query)


def at_rail(line_id: str = LINE, first: int = 1, last: int = 26, *, class_code: str = "AAPOR", ref: str = "") -> Line:
    span = f"2026-06-{first:02}", f"2026-06-{last:02}"
    return Line(line_id, *span, 500, rate_code="DAG", class_code=class_code, ref=ref)


def paid(stage: Stage, case: str, area: str = "AAP") -> dict[str, int]:
    return {str(day.date): day.amount for day in schedule(stage.connection, area, case)}


def unknown(stage: Stage, case: str) -> object:
    return stage.one("SELECT unknown FROM cases WHERE case_id = %s", case)


def test_an_update_of_a_payment_without_periods_goes_on_from_its_last_line(stage: Stage) -> None:
    uid = payment_uid("T1")
    sent_before(stage, "T1", [at_rail(OLD, class_code="TSTBASISP4-OP")], area="TILLSTPB")
    report = run(stage, payment(utbetaling("T1", uid, lastPeriodeId=OLD, **CHILD_CARE)), case_list("T1", uid, scheme="TILLEGGSSTØNADER"))
    assert (report.faults, report.counts, report.payments) == (0, {Discrepancy.NO_PERIODS: 1}, 1)
    stage.hand_in(Scheme.TILLEGGSSTONADER, ("k", ts("T1", ts_payment(uid, 1500, spans=[(2, 6)]))))
    ((made, refers_to, *line),) = lines(stage)
    assert (refers_to, line) == (OLD, ["2026-06-02", "2026-06-06", 1500, None, False])
    assert made != OLD
    stage.finish()
    assert stage.final("k").status.value == "OK"
    assert paid(stage, "T1", "TILLSTPB") == {"2026-06-01": 500} | {f"2026-06-0{day}": 1500 for day in range(2, 6)}


def test_days_that_the_last_line_is_known_to_have_are_cut_where_an_update_begins_later(stage: Stage) -> None:
    uid = payment_uid("A1")
    sent_before(stage, "A1", [at_rail(OLD, 1, 5)], [at_rail(LINE, 8, 26, ref=OLD)])
    run(stage, payment(utbetaling("A1", uid, sistePeriode=period(8, 26))), case_list("A1", uid))
    entry = {"id": uid, "fom": "2026-06-10", "tom": "2026-06-12", "sats": 1000, "utbetaltBeløp": 700}
    stage.hand_in(Scheme.AAP, ("k", aap("A1", utbetalinger=[entry])))
    cut, new = lines(stage)
    assert cut == (LINE, None, "2026-06-08", "2026-06-26", 500, "2000-01-01", False)
    assert new[1:] == (LINE, "2026-06-10", "2026-06-12", 700, None, False)
    stage.finish()
    assert paid(stage, "A1") == {f"2026-06-{day}": 700 for day in (10, 11, 12)}
    assert compare(stage.connection, PORTS.contracts).differences == ()


@pytest.mark.parametrize("how", ["left out", "empty"])
def test_a_cessation_of_a_payment_without_periods_cuts_its_whole_chain(stage: Stage, how: str) -> None:
    scheme, area, terms = (Scheme.AAP, "AAP", {}) if how == "left out" else (Scheme.TILLEGGSSTONADER, "TILLSTPB", CHILD_CARE)
    class_code = "AAPOR" if how == "left out" else "TSTBASISP4-OP"
    uid = payment_uid("A1")
    first, last = at_rail(OLD, 1, 5, class_code=class_code), at_rail(LINE, 8, 26, ref=OLD, class_code=class_code)
    sent_before(stage, "A1", [first], [last], area=area)
    sent = {**period(8, 26), "vedtakssats": None}
    run(stage, payment(utbetaling("A1", uid, sistePeriode=sent, **terms)), case_list("A1", uid, scheme=scheme.value))
    assert len(paid(stage, "A1", area)) == 20
    gone = aap("A1", utbetalinger=[]) if how == "left out" else ts("A1", ts_payment(uid, spans=[]))
    stage.hand_in(scheme, ("k", gone))
    assert lines(stage) == [(LINE, None, "2026-06-08", "2026-06-26", 500, "2000-01-01", False)]
    stage.finish()
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "OK"]
    assert paid(stage, "A1", area) == {}
    stage.hand_in(scheme, ("again", gone))
    assert stage.said("again") == ["OK"]


def test_a_cessation_whose_line_nobody_knows_the_days_of_is_sent_and_the_rail_has_the_last_word(stage: Stage) -> None:
    uid = payment_uid("A1")
    sent_before(stage, "A1", [at_rail()])
    run(stage, payment(utbetaling("A1", uid)), case_list("A1", uid))
    stage.hand_in(Scheme.AAP, ("k", aap("A1", utbetalinger=[])))
    assert lines(stage) == [(LINE, None, "2000-01-01", "2000-01-01", 1, "2000-01-01", False)]
    stage.finish()
    assert stage.said("k") == ["MOTTATT", "HOS_OPPDRAG", "FEILET"]
    assert len(paid(stage, "A1")) == 20
    stage.hand_in(Scheme.AAP, ("k2", aap("A1", utbetalinger=[])))
    assert stage.said("k2") == ["MOTTATT"]


def test_a_cessation_that_the_rail_takes_leaves_no_days_that_nobody_knows(stage: Stage) -> None:
    uid = payment_uid("A1")
    run(stage, payment(utbetaling("A1", uid)), case_list("A1", uid))
    stage.hand_in(Scheme.AAP, ("k", aap("A1", utbetalinger=[])))
    order_id = str(stage.one("SELECT order_id::text FROM orders"))
    stage.put()
    Operate(stage.connection, stage.clock, PORTS).decide(order_id, accepted=True, operator=TWO)
    document = json.loads(stage.bytes("SELECT document FROM payments WHERE version = 1")[0])
    assert (document["action"], document["last_line"], document["last_sent"], document["periods"]) == ("DELETE", LINE, None, [])


@pytest.mark.parametrize("others", [0, 1])
def test_a_payment_that_is_listed_and_unknown_is_never_ceased_in_silence(stage: Stage, others: int) -> None:
    known, lost = payment_uid("A1"), payment_uid("A1", 9)
    records = [payment(utbetaling("A1", known, period(1, 12)))] * others
    report = run(stage, *records, case_list("A1", known, lost) if others else case_list("A1", lost))
    assert report.counts == {Discrepancy.LISTED_UNKNOWN: 1}
    assert unknown(stage, "A1") == [lost]
    stage.hand_in(Scheme.AAP, ("gone", aap("A1", utbetalinger=[])), ("other", aap("A1", 700)), ("look", aap("A1", 700, dryrun=True)))
    for key in ("gone", "other", "look"):
        answer = stage.final(key)
        assert (answer.status.value, answer.error and (answer.error.status, answer.error.text)) == (
            "FEILET",
            (404, f"previous utbetaling for {lost}"),
        )
    assert lines(stage) == []


def test_what_two_people_have_forgotten_is_as_if_it_had_never_been_listed(stage: Stage) -> None:
    lost = payment_uid("A1", 9)
    run(stage, case_list("A1", lost))
    operate = Operate(stage.connection, stage.clock, PORTS)
    assert operate.unknown() == [UnknownPayment("AAP", "A1", lost)]
    with pytest.raises(NeedsSecondPerson):
        operate.forget(Scheme.AAP, "A1", lost, Operator("Kari", "the rail pays nothing"))
    with pytest.raises(NotInThatState):
        operate.forget(Scheme.AAP, "A1", payment_uid("A1"), TWO)
    operate.forget(Scheme.AAP, "A1", lost, TWO)
    assert operate.unknown() == []
    stage.hand_in(Scheme.AAP, ("gone", aap("A1", utbetalinger=[])), ("pay", aap("A1", 700)))
    assert (stage.said("gone"), stage.said("pay")) == (["OK"], ["MOTTATT"])
    with pytest.raises(NotInThatState):
        operate.forget(Scheme.AAP, "A1", lost, TWO)


def test_a_new_chain_for_a_payment_that_is_listed_and_unknown_is_held_for_two_people(stage: Stage) -> None:
    lost = payment_uid("A1")
    sent_before(stage, "A1", [at_rail(first=15, last=26)])
    run(stage, case_list("A1", lost))
    stage.hand_in(Scheme.AAP, ("k", aap("A1", 700)))
    assert stage.finish() == []
    operate = Operate(stage.connection, stage.clock, PORTS)
    (held,) = operate.orders([OrderState.READY], held_only=True)
    assert [reason.kind for reason in held.held_for] == [HoldKind.UNKNOWN_PAYMENT]
    assert lost in held.held_for[0].text
    operate.release(held.order_id, TWO)
    stage.finish()
    assert stage.final("k").status.value == "OK"
    assert unknown(stage, "A1") == []
    stage.hand_in(Scheme.AAP, ("gone", aap("A1", utbetalinger=[])))
    assert stage.said("gone") == ["MOTTATT"]


def test_other_payments_of_a_case_with_an_unknown_one_go_on_where_messages_say_no_more_than_they_name(stage: Stage) -> None:
    known, lost = payment_uid("T1"), payment_uid("T1", 9)
    records = [payment(utbetaling("T1", known, period(1, 5), **CHILD_CARE)), case_list("T1", known, lost, scheme="TILLEGGSSTØNADER")]
    run(stage, *records)
    stage.hand_in(Scheme.TILLEGGSSTONADER, ("k", ts("T1", ts_payment(known, 700))), ("gone", ts("T1", ts_payment(lost, spans=[]))))
    assert stage.said("k") == ["MOTTATT"]
    stage.put()
    Operate(stage.connection, stage.clock, PORTS).decide(str(stage.one("SELECT order_id::text FROM orders")), accepted=True, operator=TWO)
    assert stage.final("gone").error is not None
    assert unknown(stage, "T1") == [lost]


def test_a_case_that_was_left_out_is_not_taken_for_a_new_one(stage: Stage) -> None:
    torn = [period(1, 12), period(5, 16)]
    sent_before(stage, "A1", [at_rail()])
    records = [payment(utbetaling("A1", payment_uid("A1"), *torn)), case_list("A1", payment_uid("A1")), case_list("D1", scheme="DAGPENGER")]
    report = run(stage, *records, leave_out=True)
    assert (report.cases, report.left_out, report.counts) == (1, 1, {Discrepancy.OVERLAP: 1})
    stage.hand_in(Scheme.AAP, ("gone", aap("A1", utbetalinger=[])), ("pay", aap("A1", 700)))
    stage.hand_in(Scheme.DAGPENGER, ("empty", dp("D1", days=())))
    assert [(stage.final(key).error or stage.answers(key)[0]).status for key in ("gone", "pay")] == [409, 409]
    assert stage.said("empty") == ["OK"]
    operate = Operate(stage.connection, stage.clock, PORTS)
    assert operate.unknown() == [UnknownPayment("AAP", "A1", "*")]
    operate.forget(Scheme.AAP, "A1", "*", TWO)
    stage.hand_in(Scheme.AAP, ("new", aap("A1", 700)))
    assert stage.said("new") == ["MOTTATT"]


def test_the_commands_list_what_is_unknown_and_forget_it(stage: Stage) -> None:
    lost = payment_uid("A1", 9)
    run(stage, case_list("A1", lost))
    where = ["--database", stage.conninfo]
    listed = CliRunner().invoke(main, ["import", "unknown", *where])
    assert lost in listed.output
    act = ["import", "forget", "aap", "A1", lost, *where, "--by", "kari", "--approved-by", "ola", "--reason", "the rail pays nothing"]
    assert CliRunner().invoke(main, act).output == f"{lost} of case A1 is forgotten\n"
    assert CliRunner().invoke(main, ["import", "unknown", *where]).output == "everything that was imported is known\n"
    assert f"({NotInThatState.code}, see" in CliRunner().invoke(main, act).output


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("UPDATE cases SET unknown = '{}'", Kind.CASE),
        ("UPDATE audit SET note = NULL WHERE chain = 1", Kind.CHAIN),
        ("UPDATE audit SET note = replace(note, '-', '+') WHERE chain = 1 AND what = 'imported'", Kind.ENTRY),
    ],
)
def test_a_change_of_what_is_unknown_is_found(database: str, statement: str, kind: Kind) -> None:
    with staged(database) as stage:
        run(stage, case_list("A1", payment_uid("A1")))
        stage.connection.execute(statement.encode())
        assert kind in check(database, PORTS).by_kind
