"""A case moves from one contract to another with its chains: the other one goes on where the rail stands (iverksetting §8)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import UNSET

from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.contracts.helved.topics import STATUSES, primary_input
from kvitt.disbursement.check import check
from kvitt.disbursement.migrate_case import OPEN_ORDER, TAKEN, TAKEN_HERE, IdsAfterMoves, MigrateCase, Move, MovedChains
from kvitt.disbursement.values import Action, Payment, PaymentId, Refusal, Scheme
from kvitt.kernel.database import connect
from kvitt.rails.oppdrag.comparison import compare
from support.emulator_orders import Line
from support.hub_messages import Json, aap, payment_uid, ts, ts_payment
from support.hub_stage import Stage, staged
from support.iverksetting_bodies import days, previous, v2
from support.iverksetting_stage import decision_site
from support.state_records import case_list, payment, period, run, sent_before, utbetaling

pytestmark = pytest.mark.usefixtures("made_up_people")

AAP, TS = Scheme.AAP, Scheme.TILLEGGSSTONADER
OLD, NEW, OTHER = (payment_uid("C1", number) for number in (1, 2, 3))
COUNTED = "C1#4"
"""The last line of a chain whose lines are counted in their case."""


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as stage:
        yield stage
        assert [repr(difference) for difference in check(database, PORTS).differences] == []
        assert compare(stage.connection, PORTS.contracts).differences == ()


def move(
    stage: Stage,
    to: str = NEW,
    *,
    of: str = OLD,
    way: tuple[str, str] = ("helved", "utbetalinger"),
    scheme: Scheme = AAP,
    dry_run: bool = False,
) -> MovedChains | Refusal:
    def choose(payments: Sequence[Payment], _: IdsAfterMoves) -> Sequence[Move]:
        return [Move(each.payment_id, PaymentId(to), "key") for each in payments if each.payment_id == of]

    return MigrateCase(stage.connection, stage.clock, PORTS.contracts).run(
        (scheme, "C1"), way, choose, by="an application", reason="moved", dry_run=dry_run
    )


def paid(stage: Stage, *, by: str = COUNTED) -> None:
    """A case of AAP that was taken over, whose last line has a number."""
    terms = {"lastPeriodeId": by, "sistePeriode": period(8, 12)}
    line = Line(by, "2026-06-01", "2026-06-12", 500, rate_code="DAG", class_code="AAPOR")
    sent_before(stage, "C1", [line])
    run(stage, payment(utbetaling("C1", OLD, period(1, 12), **{**terms, "sistePeriode": period(1, 12)})), case_list("C1", OLD))


def test_a_chain_keeps_its_last_line_and_only_the_other_contract_changes_it(stage: Stage) -> None:
    paid(stage)
    moved = move(stage)
    assert isinstance(moved, MovedChains)
    (there,) = moved.payments
    assert (moved.done, there.payment_id, there.last_line, there.original_key, there.first_of_case) == (True, NEW, COUNTED, "key", False)
    assert there.last_sent is not None
    assert (str(there.last_sent.start), str(there.last_sent.end), there.last_sent.amount) == ("2026-06-01", "2026-06-12", 500)
    stage.hand_in(AAP, ("late", aap("C1", uid=OLD)))
    error = stage.final("late").error
    assert error is not None
    assert (error.status, "utbetalinger" in error.text) == (409, True)


def test_the_other_contract_goes_on_from_the_number_of_the_last_line(stage: Stage) -> None:
    paid(stage)
    move(stage)
    move(stage, OTHER, of=NEW, way=("utbetalinger", "helved"))
    stage.hand_in(AAP, ("more", aap("C1", 700, uid=OTHER)))
    stage.finish()
    assert stage.final("more").status.value == "OK"
    assert stage.one("SELECT refers_to FROM order_lines") == COUNTED
    stage.hand_in(AAP, ("ends", aap("C1", utbetalinger=[])))
    stage.finish()
    assert stage.final("ends").status.value == "OK"


def test_a_stop_after_a_move_repeats_the_line_that_the_rail_has(stage: Stage) -> None:
    paid(stage)
    move(stage)
    move(stage, OTHER, of=NEW, way=("utbetalinger", "helved"))
    stage.hand_in(AAP, ("ends", aap("C1", utbetalinger=[])))
    stage.finish()
    assert stage.final("ends").status.value == "OK"
    assert stage.rows("SELECT line_id, start_on::text, end_on::text, ceased_from::text FROM order_lines") == [
        (COUNTED, "2026-06-01", "2026-06-12", "2026-06-01")
    ]


def test_a_move_that_comes_again_does_nothing_and_another_one_is_refused(stage: Stage) -> None:
    paid(stage)
    first, again = move(stage), move(stage)
    assert isinstance(first, MovedChains)
    assert again == MovedChains(first.payments, done=False)
    other = move(stage, OTHER)
    assert isinstance(other, Refusal)
    assert (other.status, other.text) == (409, f"Utbetalingen er allerede flyttet til {NEW}")


def test_a_dry_run_says_what_would_be_and_changes_nothing(stage: Stage) -> None:
    paid(stage)
    looked = move(stage, dry_run=True)
    assert isinstance(looked, MovedChains)
    assert (looked.done, [each.payment_id for each in looked.payments]) == (False, [NEW])
    stage.hand_in(AAP, ("still", aap("C1", 700, uid=OLD)))
    stage.finish()
    assert stage.final("still").status.value == "OK"


def test_nothing_moves_while_an_order_is_open_or_what_is_not_there(stage: Stage) -> None:
    missing = move(stage)
    assert isinstance(missing, Refusal)
    assert missing.status == 404
    stage.hand_in(AAP, ("open", aap("C1", uid=OLD)))
    assert move(stage) == OPEN_ORDER
    stage.finish()
    wrong = move(stage, way=("iverksetting", "utbetalinger"))
    assert isinstance(wrong, Refusal)
    assert (wrong.status, wrong.text) == (409, "Saken hører til kontrakten helved")


def test_an_id_that_another_case_has_is_refused_and_nothing_moves(stage: Stage) -> None:
    stage.hand_in(TS, ("taken", ts("D1", ts_payment(NEW))), ("one", ts("C1", ts_payment(OLD))))
    stage.finish()
    assert [move(stage, scheme=TS, dry_run=dry_run) for dry_run in (True, False)] == [TAKEN, TAKEN]
    stage.hand_in(TS, ("same", ts("C1", ts_payment(OLD, 600))))
    stage.finish()
    assert stage.final("same").status.value == "OK"


def test_an_id_that_an_open_order_of_another_case_pays_is_refused(stage: Stage) -> None:
    stage.hand_in(TS, ("one", ts("C1", ts_payment(OLD))))
    stage.finish()
    stage.hand_in(TS, ("open", ts("D1", ts_payment(NEW))))
    assert [move(stage, scheme=TS, dry_run=dry_run) for dry_run in (True, False)] == [TAKEN, TAKEN]
    stage.finish()
    assert stage.final("open").status.value == "OK"


def test_an_id_that_another_payment_of_the_case_has_is_refused_as_such(stage: Stage) -> None:
    stage.hand_in(TS, ("two", ts("C1", ts_payment(OLD), ts_payment(NEW, benefit="LÆREMIDLER_AAP"))))
    stage.finish()
    assert [move(stage, scheme=TS, dry_run=dry_run) for dry_run in (True, False)] == [TAKEN_HERE, TAKEN_HERE]


def test_what_has_ceased_moves_as_such(stage: Stage) -> None:
    stage.hand_in(AAP, ("one", aap("C1", uid=OLD)))
    stage.finish()
    ceased: Json = aap("C1", utbetalinger=[])
    stage.hand_in(AAP, ("ends", ceased))
    stage.finish()
    moved = move(stage)
    assert isinstance(moved, MovedChains)
    assert [each.action for each in moved.payments] == [Action.DELETE]


def test_a_move_that_no_history_has_is_found(database: str) -> None:
    with staged(database) as stage:
        paid(stage)
        move(stage)
        with connect(database) as other:
            other.execute("UPDATE moved_payments SET moved_to = payment_id")
        found = repr(check(database, PORTS).differences)
        assert "was moved to another id, and the history of its case has it otherwise" in found


def kvitt(stage: Stage, *arguments: str, fails: int = 0) -> str:
    done = CliRunner().invoke(main, ["decision", "migrate", *arguments, "--database", stage.conninfo], prog_name="kvitt")
    assert done.exit_code == fails, (done.output, done.exception)
    return done.output


def test_a_person_moves_a_case_by_a_command(stage: Stage) -> None:
    paid(stage)
    words = ("aap", "C1", "--from", "helved", "--to", "iverksetting", "--payment", f"{OLD}={NEW}", "--by", "kari", "--reason", "as agreed")
    assert kvitt(stage, *words, "--dry-run") == f"would be moved: payment {NEW}, whose last line is {COUNTED}\n"
    assert kvitt(stage, *words) == f"moved: payment {NEW}, whose last line is {COUNTED}\n"
    assert kvitt(stage, *words).startswith("was moved before")
    assert "allerede flyttet" in kvitt(stage, *words[:7], f"{OLD}={OTHER}", *words[8:], fails=1)
    assert "no contract is called nothing" in kvitt(stage, *words[:5], "nothing", *words[6:], fails=2)
    ((note,),) = stage.rows("SELECT note FROM audit WHERE what = 'migrated'")
    assert '"by":"kari","reason":"as agreed"' in str(note)


def test_chains_of_decisions_go_on_in_the_stream_where_their_counter_stood(database: str, tmp_path: Path) -> None:
    with decision_site(database, tmp_path) as site:
        hub = site.hub
        site.take(v2("C1", "B1", [days("2026-06-01", "2026-06-05"), days("2026-06-08", "2026-06-12", 700)]))
        hub.run()

        def choose(payments: Sequence[Payment], _: IdsAfterMoves) -> Sequence[Move]:
            return [Move(each.payment_id, PaymentId(NEW), "B1") for each in payments]

        way = ("iverksetting", "helved")
        moved = MigrateCase(hub.connection, hub.clock, PORTS.contracts).run(
            (TS, "C1"), way, choose, by="ts-sak", reason="the stream takes over"
        )
        assert isinstance(moved, MovedChains)
        assert [(each.last_line, len(each.periods), each.reporting_card) for each in moved.payments] == [("C1#1", 2, UNSET)]
        refused = site.post(v2("C1", "B2", [days("2026-06-01")], after=previous("B1")))
        assert (refused.status_code, "helved" in refused.text) == (409, True)
        person = moved.payments[0].person
        hub.put(primary_input(TS), "k", ts("C1", ts_payment(NEW, 640, spans=[(1, 5), (8, 9)]), personident=person))
        hub.run()
        assert [each.json["status"] for each in hub.published(STATUSES, "k")][-1] == "OK"
        lines = hub.connection.execute(
            "SELECT refers_to FROM order_lines JOIN orders USING (order_id) ORDER BY number, position"
        ).fetchall()
        assert lines == [(None,), ("C1#0",), ("C1#1",)]
        hub.check()
