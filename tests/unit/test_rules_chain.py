"""The fewest lines that correct a payment: the contracts' own examples, as chain changes and as whole orders.

M1–M20 are the table of iverksetting §3.6, J1–J11 the worked examples of helved §3.5, D1 its cessation
of several periods.
"""

import pytest
from msgspec.structs import replace

from kvitt.disbursement.derive.micro_chained import NEW_CASE, CaseState, ChainChange, derive, extend, line_id
from kvitt.disbursement.instructions import InstructionKind, PaymentInstruction, PaymentInstructions
from kvitt.disbursement.values import (
    Action,
    Order,
    Payment,
    Period,
    RateType,
    Refusal,
)
from support.strategies import DECISION, MADE_AT, PAYMENT, ceasing, june, paying

# id: accepted; wanted; first day of the cessation or None; new lines. Periods are "first-last@amount".
EXAMPLES = """
M1: 1-12@640; 1-12@710; -; 1-12@710
M2: 1-12@640; 8-12@640; 1; 8-12@640
M3: 1-5@640 8-12@710; 1-5@640 8-12@710 15-19@720; -; 15-19@720
M4: 1-12@640; 1-5@640; 6;
M5: 1-5@640 8-12@710; 1-5@640; 6;
M6: 1-10@640 11-19@710; 1-5@640 11-19@710; 6; 11-19@710
M7: 1-10@640 11-19@710; 1-5@640 6-19@710; -; 6-19@710
M8: 1-5@640 6-15@710 16-24@640; 1-5@640 10-15@710 16-24@640; 6; 10-15@710 16-24@640
M9: 1-5@640 6-10@710 11-15@720; 1-5@640 11-15@720; 6; 11-15@720
M10: 1-12@640; 1-19@640; -; 1-19@640
M11: 8-12@640; 1-12@640; -; 1-12@640
M12: 1-12@640; 1-5@710 6-12@640; -; 1-5@710 6-12@640
M13: 1-12@640; 1-5@640 6-12@710; -; 6-12@710
M14: 1-12@640; 1-3@640 4-8@710 9-12@640; -; 4-8@710 9-12@640
M15: 1-12@640; 1-3@640 9-12@640; 4; 9-12@640
M16: 1-12@640; 1-5@710; -; 1-5@710
M17: 1-12@640; 3-8@640; 1; 3-8@640
M18: 1-5@640 10-12@640; 1-5@640 10-12@640 22-24@640; -; 22-24@640
M19: 1-5@640 10-12@640; 1-5@640 6-9@500 10-12@640; -; 6-9@500 10-12@640
M20: 10-12@640; 1-5@500 10-12@640; -; 1-5@500 10-12@640
J1: 2-13@150; 2-13@275; -; 2-13@275
J2: 2-13@150; 6-13@150; 2; 6-13@150
J3: 2-6@150 9-13@250; 2-6@150 9-13@250 16-20@350; -; 16-20@350
J4: 2-13@150; 2-6@150; 7;
J5: 2-6@150 9-13@250; 2-6@150; 7;
J6: 2-13@150 16-27@250; 2-6@150 16-27@250; 7; 16-27@250
J7: 2-13@150; 2-27@150; -; 2-27@150
J8: 2-27@150; 2-13@275 16-27@150; -; 2-13@275 16-27@150
J9: 2-27@150; 2-13@150 16-27@275; 14; 16-27@275
J10: 2-27@150; 2-13@150 23-27@150; 14; 23-27@150
J11: 2-13@150; ; 2;
D1: 1-5@640 8-12@710; ; 1;
"""


def read_periods(text: str) -> tuple[Period, ...]:
    parts = (part.replace("-", "@").split("@") for part in text.split())
    return tuple(june(int(first), int(last), int(amount)) for first, last, amount in parts)


Example = tuple[tuple[Period, ...], tuple[Period, ...], ChainChange]


def read(line: str) -> Example:
    accepted, wanted, ceased, new = (part.strip() for part in line.partition(":")[2].split(";"))
    cease_from = None if ceased == "-" else june(int(ceased), int(ceased), 0).start
    return read_periods(accepted), read_periods(wanted), ChainChange(cease_from, read_periods(new))


examples = pytest.mark.parametrize(
    ("accepted", "wanted", "change"), [pytest.param(*read(line), id=line.partition(":")[0]) for line in EXAMPLES.strip().splitlines()]
)


@examples
def test_a_chain_is_changed_as_in_the_contracts_examples(
    accepted: tuple[Period, ...], wanted: tuple[Period, ...], change: ChainChange
) -> None:
    assert extend(accepted, wanted) == change


def submit(state: CaseState, instruction: PaymentInstruction, decision_id: str = "BEH-1") -> tuple[Order, CaseState]:
    """The one order of a instruction, and the case once that order is accepted."""
    orders = derive(PaymentInstructions(replace(DECISION, decision_id=decision_id), (instruction,)), state, MADE_AT)
    assert not isinstance(orders, Refusal)
    (order,) = orders
    accepted = {**state.payments, **{payment.payment_id: payment for payment in order.payments}}
    return order, CaseState(accepted, order.person, state.areas | {order.area}, state.orders_made + 1)


def claiming(wanted: tuple[Period, ...]) -> PaymentInstruction:
    return paying(*wanted) if wanted else ceasing()


@examples
def test_an_order_has_the_lines_of_the_contracts_examples(
    accepted: tuple[Period, ...], wanted: tuple[Period, ...], change: ChainChange
) -> None:
    first, state = submit(NEW_CASE, paying(*accepted))
    known = first.lines[-1]
    order, after = submit(state, claiming(wanted))
    lines = list(order.lines)
    if change.cease_from:
        ended = lines.pop(0)
        assert ended == replace(known, refers_to=None, ceased_from=change.cease_from)
    assert [Period(line.start, line.end, line.amount) for line in lines] == list(change.new)
    assert all(line.ceased_from is None for line in lines)
    assert [line.refers_to for line in lines] == [known.line_id, *(line.line_id for line in lines)][: len(lines)]
    assert [line.line_id for line in lines] == [
        line_id(order.order_id, number) for number in range(len(order.lines) - len(lines), len(order.lines))
    ]
    assert (order.is_first_order, order.number) == (False, 2)
    last = after.payments[PAYMENT]
    assert last.last_line == order.lines[-1].line_id
    assert last.last_sent == Period(order.lines[-1].start, order.lines[-1].end, order.lines[-1].amount)
    assert last.action is (Action.UPDATE if wanted else Action.DELETE)
    assert last.wanted == wanted


def test_a_first_order_chains_its_lines_from_none() -> None:
    order, state = submit(NEW_CASE, paying(june(1, 5, 640), june(8, 12, 710, office="0220", rate=900)))
    one, two = order.lines
    assert (order.is_first_order, order.number, order.office) == (True, 1, "0220")
    assert (one.refers_to, two.refers_to) == (None, one.line_id)
    assert (two.decided_rate, two.amount, two.class_code, two.decided_on) == (900, 710, "TSTBASISP4-OP", "2026-06-30")
    assert (two.caseworker, two.approver, two.decision_id) == ("Z900001", "Z900002", "BEH-1")
    stored = state.payments[PAYMENT]
    assert stored.action is Action.CREATE
    assert stored.first_of_case
    assert stored.last_sent == june(8, 12, 710, rate=900), "a line has no office"


def test_no_difference_is_no_change() -> None:
    periods = (june(1, 5, 640), june(8, 12, 710))
    assert extend(periods, periods) == extend((), ()) == ChainChange(None, ())


@pytest.mark.parametrize("what", [{"decided_rate": 7}, {"office": "0220"}, {"amount": 1}])
def test_an_earlier_end_is_only_a_cut_when_nothing_else_changes(what: dict[str, int | str]) -> None:
    wanted = replace(june(1, 5, 640), **what)
    assert extend([june(1, 12, 640)], [wanted]) == ChainChange(None, (wanted,))


def test_two_successive_cuts_both_name_the_last_line_as_it_was_sent() -> None:
    _, state = submit(NEW_CASE, paying(june(1, 5, 640), june(8, 12, 710), june(22, 24, 720)))
    sent = state.payments[PAYMENT]
    first_cut, state = submit(state, paying(june(1, 5, 640), june(8, 12, 710)))
    second_cut, state = submit(state, paying(june(1, 5, 640)), "BEH-2")
    for cut, day in ((first_cut, 13), (second_cut, 6)):
        (line,) = cut.lines
        assert (line.line_id, line.refers_to, line.ceased_from) == (sent.last_line, None, june(day, day, 0).start)
        assert Period(line.start, line.end, line.amount) == june(22, 24, 720)
    assert second_cut.lines[0].decision_id == "BEH-2"
    assert state.payments[PAYMENT].last_sent == june(22, 24, 720)


@pytest.mark.parametrize("kind", [InstructionKind.CEASE, InstructionKind.CEASE_STORED])
def test_a_cessation_after_a_shortening_names_the_line_as_it_was_sent(kind: InstructionKind) -> None:
    _, state = submit(NEW_CASE, paying(june(1, 12, 640)))
    _, state = submit(state, paying(june(1, 5, 640)))
    order, state = submit(state, replace(ceasing(), kind=kind))
    (line,) = order.lines
    assert (line.start, line.end, line.ceased_from) == (june(1, 12, 0).start, june(1, 12, 0).end, june(1, 1, 0).start)
    assert state.payments[PAYMENT].periods == (june(1, 5, 640),), "what it had before"


def test_a_payment_of_an_older_system_is_cut_by_its_last_period() -> None:
    _, state = submit(NEW_CASE, paying(june(1, 5, 640), june(8, 12, 710)))
    old = replace(state.payments[PAYMENT], last_sent=None)
    order, _ = submit(replace(state, payments={PAYMENT: old}), paying(june(1, 5, 640)))
    assert Period(order.lines[0].start, order.lines[0].end, order.lines[0].amount) == june(8, 12, 710)


def test_a_revived_payment_goes_on_from_its_last_line() -> None:
    _, state = submit(NEW_CASE, paying(june(1, 12, 640)))
    ended, state = submit(state, ceasing())
    order, state = submit(state, paying(june(1, 12, 640)))
    (line,) = order.lines
    assert (line.ceased_from, line.refers_to) == (None, ended.lines[0].line_id)
    assert state.payments[PAYMENT].action is Action.CREATE
    assert not order.is_first_order


def test_periods_after_a_cut_come_back_as_a_new_line() -> None:
    first, state = submit(NEW_CASE, paying(june(1, 12, 640)))
    _, state = submit(state, paying(june(1, 5, 640)))
    order, _ = submit(state, paying(june(1, 5, 640), june(15, 19, 640)))
    assert [(line.refers_to, line.start) for line in order.lines] == [(first.lines[0].line_id, june(15, 15, 0).start)]


@pytest.mark.parametrize(
    ("rate", "start", "ceased"),
    [(RateType.WEEKDAY, 8, [None]), (RateType.WEEKDAY, 9, [6, None]), (RateType.MONTH, 8, [6, None]), (RateType.WEEKDAY, 7, [None])],
)
def test_a_weekend_between_needs_no_cut_when_weekdays_are_paid(rate: RateType, start: int, ceased: list[int | None]) -> None:
    """5 June 2026 is a Friday: with a weekday rate nothing is paid from the 6th to the 7th, whatever line is valid then."""
    _, state = submit(NEW_CASE, paying(june(1, 12, 640), rate=rate))
    order, _ = submit(state, paying(june(1, 5, 640), june(start, 12, 700), rate=rate))
    assert [line.ceased_from and line.ceased_from.day for line in order.lines] == ceased


def test_the_stored_payment_of_a_message_carries_all_that_was_decided() -> None:
    order, _ = submit(NEW_CASE, paying(june(1, 12, 640, office="0220", rate=900)))
    assert order.payments == (
        Payment(
            original_key="key-1",
            area=order.area,
            payment_id=PAYMENT,
            action=Action.CREATE,
            first_of_case=True,
            case_id=DECISION.case_id,
            decision_id=DECISION.decision_id,
            last_line=order.lines[0].line_id,
            last_sent=june(1, 12, 640, rate=900),
            person=DECISION.person,
            decided_at="2026-06-30T09:15:30",
            benefit="TILSYN_BARN_AAP",
            approver="Z900002",
            caseworker="Z900001",
            rate_type=RateType.DAY,
            hold_back=None,
            periods=(june(1, 12, 640, office="0220", rate=900),),
        ),
    )
