"""The demo's judge: what it expects, and that it notices when the rail's books or the answers are otherwise."""

from collections.abc import Iterator
from datetime import date, datetime

import pytest

from kvitt.cli.ids import SHORT
from kvitt.contracts.helved.read import decode, instructions_of
from kvitt.demo.cases import WEEKDAY, Days, Life, MadeMessage, Pay, lives
from kvitt.demo.forms import body_of
from kvitt.demo.oracle import differences, judge
from kvitt.disbursement.answers import Answer, Status
from kvitt.disbursement.derive.micro_chained import NEW_CASE, derive
from kvitt.disbursement.instructions import PaymentInstructions
from kvitt.disbursement.values import Refusal, Scheme
from kvitt.errors import Undecodable
from kvitt.rails.oppdrag.emulator import DaySpan

MONDAY = date(2025, 6, 2)
MADE_AT = datetime(2025, 7, 4, 9, 15, 30)  # noqa: DTZ001 - the rail's clock is local time in Oslo, without zone
FIRST = Pay("P1", "Dagpenger", "DP", "DAGPENGER", WEEKDAY, MONDAY, (Days(0, 9, 500),))
SECOND = Pay("P2", "Dagpenger", "DP", "DAGPENGER", WEEKDAY, date(2025, 6, 16), (Days(0, 4, 300),))
OK = Answer(Status.OK)
BROKEN = Answer(Status.FAILED, None, Refusal(500, "Teknisk feil", "", "OSUR"))
OUR_FAULT = Answer(Status.FAILED, None, Refusal(400, "Perioder kan ikke overlappe", ""))


def life(scheme: str, *steps: MadeMessage) -> Life:
    return Life(scheme, "C1", "01810112345", steps)


def span(start: date, end: date, amount: int, chain: str = "L1") -> DaySpan:
    return DaySpan(chain, chain, chain, start, end, amount, "DAG", "DAGPENGER", None)


def books(*spans: DaySpan) -> Iterator[tuple[str, str, tuple[DaySpan, ...]]]:
    return iter([("DP", "C1", spans), ("DP", "OTHER", (span(MONDAY, MONDAY, 1),))])


WHOLE = span(MONDAY, date(2025, 6, 13), 500)


def test_a_whole_case_message_replaces_what_was_said_before() -> None:
    published = judge(life("dp", MadeMessage("first", (FIRST,)), MadeMessage("omit", (SECOND,))), [OK, OK])
    assert published.paid == (SECOND,)


def test_a_message_of_one_payment_leaves_the_others() -> None:
    published = judge(life("historisk", MadeMessage("first", (FIRST,)), MadeMessage("grow", (SECOND,))), [OK, OK])
    assert published.paid == (FIRST, SECOND)


def test_what_failed_at_the_rail_changes_nothing_and_is_nobodys_fault() -> None:
    assert judge(life("dp", MadeMessage("first", (FIRST,)), MadeMessage("omit", (SECOND,))), [OK, BROKEN]).paid == (FIRST,)
    assert judge(life("dp", MadeMessage("first", (FIRST,))), [BROKEN]).wrong == ()


@pytest.mark.parametrize(
    ("step", "answer"),
    [(MadeMessage("first", (FIRST,)), OUR_FAULT), (MadeMessage("mistake", (FIRST,), spoilt="overlap"), OK)],
    ids=["refused", "accepted"],
)
def test_an_answer_that_can_not_be_right_is_reported(step: MadeMessage, answer: Answer) -> None:
    assert len(judge(life("dp", step), [answer]).wrong) == 1


@pytest.mark.parametrize(
    ("spans", "count"),
    [
        ((WHOLE,), 0),
        ((span(MONDAY, date(2025, 6, 6), 500), span(date(2025, 6, 9), date(2025, 6, 15), 500)), 0),
        ((span(MONDAY, date(2025, 6, 12), 500),), 1),
        ((span(MONDAY, date(2025, 6, 13), 501),), 1),
        ((span(MONDAY, date(2025, 6, 14), 500), span(date(2025, 6, 16), date(2025, 6, 16), 500)), 1),
        ((WHOLE, span(date(2025, 6, 16), date(2025, 6, 16), 500, "L2")), 1),
        ((WHOLE, span(date(2025, 6, 14), date(2025, 6, 15), 500, "L2")), 0),
        ((), 1),
    ],
    ids=["equal", "in pieces, weekends or not", "a day short", "another amount", "a day more", "another chain", "a weekend", "nothing"],
)
def test_the_books_are_compared_day_by_day(spans: tuple[DaySpan, ...], count: int) -> None:
    case = life("dp", MadeMessage("first", (FIRST,)))
    assert len(differences([case], [judge(case, [OK])], books(*spans))) == count


def test_a_case_that_the_rail_has_never_heard_of_is_a_difference() -> None:
    case = life("dp", MadeMessage("first", (FIRST,)))
    assert len(differences([case], [judge(case, [OK])], iter([]))) == 1


def refused(scheme: Scheme, body: bytes) -> bool:
    """Whether kvitt refuses a message about a case that it has never heard of."""
    try:
        claims = instructions_of(decode(scheme, body), "key")
    except Undecodable:
        return True
    return not isinstance(claims, PaymentInstructions) or isinstance(derive(claims, NEW_CASE, MADE_AT), Refusal)


def test_first_messages_are_sound_and_mistakes_are_refused() -> None:
    mistakes = set()
    for case in lives(600, "x", 3):
        scheme = Scheme(SHORT[case.scheme])
        assert not refused(scheme, body_of(case, 0)), case
        for number, step in enumerate(case.steps):
            if step.spoilt:
                mistakes.add((case.scheme, step.spoilt))
                assert refused(scheme, body_of(case, number)), (case.scheme, step)
    assert len(mistakes) > 10


def test_every_kind_of_correction_happens_in_every_scheme_that_can_say_it() -> None:
    seen = {(case.scheme, step.shows) for case in lives(600, "x", 3) for step in case.steps}
    everywhere = {"first", "raise", "cut", "move", "grow", "omit", "cease all", "re-open", "no change", "mistake"}
    assert {(scheme, shows) for scheme in SHORT for shows in everywhere} <= seen
    assert any(step.rushed for case in lives(20, "x", 3) for step in case.steps)
