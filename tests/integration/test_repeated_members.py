"""A member that is there twice is refused and named wherever it comes in; what was read before that was a rule is read as it was."""

import pytest
from msgspec.structs import replace

from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.answers import Answer
from kvitt.disbursement.dead import DeadLetters
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.preview import preview
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import Scheme
from kvitt.errors import NotReplayable
from kvitt.formats import topics
from kvitt.kernel.operators import Operator
from support.hub_messages import Json, dp, text
from support.hub_stage import Stage
from support.rapid_messages import need
from support.rapid_stage import Rapid

DP = Scheme.DAGPENGER
UNREADABLE = f"DeserialiseringFeiletException: Feil ved deserialisering av melding fra {helved_topics.primary_input(DP)}"


def twice(body: Json, member: bytes) -> bytes:
    """The message with another member behind all of its own."""
    return text(body)[:-1] + b"," + member + b"}"


def error_of(answer: Answer) -> tuple[int, str]:
    assert answer.error is not None
    return answer.error.status, answer.error.text


def reasons(stage: Stage) -> list[object]:
    return [row[0] for row in stage.rows("SELECT reason FROM dead_letters ORDER BY dead_no")]


@pytest.mark.parametrize("member", [b'"utbetalinger":[]', b'"utbetaling\\u0065r":[]'])
def test_a_second_list_without_payments_ceases_no_living_case(stage: Stage, member: bytes) -> None:
    assert stage.hand_in(DP, ("first", dp("S"))) == [Outcome.DERIVED]
    stage.finish()
    assert stage.hand_in(DP, ("second", twice(dp("S"), member))) == [Outcome.ANSWERED]
    assert error_of(stage.final("second")) == (400, UNREADABLE)
    assert reasons(stage) == ["utbetalinger is there more than once"]
    assert stage.one("SELECT count(*) FROM orders") == 1
    (headers,) = stage.bytes("SELECT headers FROM outbox WHERE key = 'second'")
    assert ("reason", "utbetalinger is there more than once") in [tuple(each) for each in topics.decode_headers(headers)]


def test_a_second_amount_of_a_day_is_named_by_its_place(stage: Stage) -> None:
    body = text(dp("S"))
    day = body.index(b'"utbetaltBel')
    assert stage.hand_in(DP, ("twice", body[:day] + '"utbetaltBeløp":1,'.encode() + body[day:])) == [Outcome.ANSWERED]
    assert error_of(stage.final("twice")) == (400, UNREADABLE)
    assert reasons(stage) == ["utbetalinger[0].utbetaltBeløp is there more than once"]


def test_a_dry_run_refuses_what_a_real_message_would(stage: Stage) -> None:
    seen = preview(stage.connection, PORTS, DP, b"key", twice(dp("S"), b'"utbetalinger":[]'), now=stage.clock())
    assert seen.refusal is not None
    assert seen.refusal.text == UNREADABLE


def test_what_came_in_before_that_was_a_rule_is_replayed_as_it_was_read_then(stage: Stage) -> None:
    """Its last member counts, whether it was handled at once or had to wait until a later version of kvitt let it in."""
    before = [stage.incoming(DP, "at once", twice(dp("S"), b'"behandlingId":"B-1"'))]
    before += [stage.incoming(DP, "waits", twice(dp("S"), b'"utbetalinger":[]'))]
    assert stage.submit([replace(each, edition=Edition.FIRST) for each in before]) == [Outcome.DERIVED, Outcome.QUEUED]
    stage.finish()
    assert [stage.said(key)[-1] for key in ("at once", "waits")] == ["OK", "OK"]
    assert stage.rows("SELECT edition FROM messages ORDER BY message_no") == [(1,), (1,)]
    assert stage.hand_in(DP, ("now", dp("S"))) == [Outcome.DERIVED]
    stage.finish()
    assert stage.rows("SELECT edition FROM messages ORDER BY message_no") == [(1,), (1,), (max(Edition),)]


def test_a_dead_letter_is_not_replayed_with_a_member_twice(stage: Stage) -> None:
    stage.hand_in(DP, ("torn", b"{"))
    letters = DeadLetters(stage.connection, stage.clock, PORTS, lambda _record: None)
    both = Operator("kari", "mended by hand", "ola")
    with pytest.raises(NotReplayable, match="utbetalinger is there more than once"):
        letters.replay(1, both, body=twice(dp("S"), b'"utbetalinger":[]'))
    assert letters.find(1).state == "open"


def test_a_need_is_answered_with_every_member_that_is_there_twice(rapid: Rapid) -> None:
    amount = text(need()).replace(b'"sats":', b'"sats":1,"sats":', 1)
    case = twice(need(), b'"utbetalingId":"00000000-0000-0000-0000-000000000000"')
    assert rapid.ask(amount, case) == [Outcome.ANSWERED, Outcome.ANSWERED]
    first, second = (heard["@løsning"]["Utbetaling"] for _, heard in rapid.published()[:2])
    assert (first["status"], second["status"]) == ("FEIL", "FEIL")
    assert "Utbetaling.linjer[0].sats: forekommer mer enn én gang" in first["beskrivelse"]
    assert "utbetalingId: forekommer mer enn én gang" in second["beskrivelse"]
