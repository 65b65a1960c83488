"""Runs of consistency reconciliation: made part by part, whole or not at all, once for a day (design §15, iverksetting §5.6)."""

import contextlib
import json
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner
from lxml import etree
from msgspec import Struct

import kvitt.testing
from kvitt.app.main import main
from kvitt.app.ports import PORTS
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.check import check
from kvitt.disbursement.reconcile.consistency import Consistency, LinesRun, lines_runs, read_lines_run, remarks_of
from kvitt.disbursement.reconcile.runs import Cause, RunState, Trigger, message_states, messages
from kvitt.disbursement.values import Scheme
from kvitt.errors import AlreadyReconciled, NotInThatState, NotReconciled
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.consistency import validate
from kvitt.testing import TestServer
from support.hub_messages import aap, text
from support.hub_stage import Stage
from support.rapid_messages import line, need
from support.rapid_stage import rapid_on

pytestmark = pytest.mark.usefixtures("made_up_people")

NOON = datetime(2026, 6, 5, 10, tzinfo=UTC)
DAY = date(2026, 6, 5)
KARI = Operator("kari", "asked for by the rail")
BY_KARI = Cause(Trigger.OPERATOR, operator=KARI)


class Reported(Struct, frozen=True):
    """A message as the rail reads it: its action, its case with the names and amounts of its lines, its total."""

    action: str
    case: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    total: tuple[str, ...] = ()


def reported(body: bytes) -> Reported:
    """A message, which the schema takes."""
    validate(body)
    root = etree.fromstring(body)
    (data,) = root.iter("konsistensavstemmingsdata")
    lines = tuple((each.findtext("delytelseId", ""), each.findtext("sats", "")) for each in data.iter("oppdragslinjeListe"))
    total = tuple(each.text or "" for found in data.iter("totaldata") for each in found)
    return Reported(data.findtext("aksjonsdata/aksjonsType", ""), data.findtext("oppdragsdataListe/fagsystemId", ""), lines, total)


def actions(found: list[Reported]) -> list[str]:
    return [each.case or ("total" if each.total else each.action) for each in found]


@pytest.fixture(scope="module")
def stage(kvitt_server: TestServer) -> Iterator[Stage]:
    """A hub with four accepted cases of AAP, one of which has ceased, and one whose order is on its way."""
    with kvitt_server.database() as conninfo:
        stage = Stage(conninfo)
        stage.clock.set(NOON - timedelta(hours=2))
        stage.hand_in(Scheme.AAP, *[(f"S-{number}", aap(f"S-{number}", 100 * number)) for number in (1, 2, 3, 4)])
        stage.finish()
        stage.hand_in(Scheme.AAP, ("S-2", aap("S-2", 200, utbetalinger=[])), ("S-3", aap("S-3", 350)))
        stage.finish()
        stage.hand_in(Scheme.AAP, ("S-4", aap("S-4", 450)), ("S-5", aap("S-5", 500)))
        stage.put()
        stage.clock.set(NOON)
        yield stage
        stage.close()
        assert [repr(each) for each in check(conninfo, PORTS).differences] == []


def consistency(stage: Stage, *, at_once: int = 2) -> Consistency:
    return Consistency(stage.connection, stage.ports, stage.clock, at_once=at_once)


@pytest.fixture
def run(stage: Stage) -> LinesRun:
    """The run of the day; made by the first test that asks for it."""
    found = [each for each in lines_runs(stage.connection, limit=100, area="AAP") if each.day == DAY and each.state is RunState.MADE]
    return found[0] if found else consistency(stage).make("AAP", BY_KARI)


def bodies(stage: Stage, run: LinesRun) -> list[Reported]:
    return [*map(reported, messages(stage.connection, run.run_no))]


def test_a_run_starts_reports_each_case_with_lines_in_force_sums_up_and_ends(stage: Stage, run: LinesRun) -> None:
    found = bodies(stage, run)
    assert actions(found) == ["START", "S-1", "S-3", "S-4", "total", "AVSL"]
    assert [[amount for _, amount in each.lines] for each in found[1:4]] == [["100"], ["350"], ["400"]]
    assert found[4].total == ("3", "850", "T")
    assert (run.state, run.cases, run.lines, run.kroner, run.messages) == (RunState.MADE, 3, 3, 850, 6)


def test_cases_with_an_order_under_way_are_named_and_what_is_accepted_of_them_is_sent(stage: Stage, run: LinesRun) -> None:
    assert [(each.case_id, each.remark) for each in remarks_of(stage.connection, run.run_no)] == [
        ("S-4", "open order"),
        ("S-5", "open order"),
    ]


def test_a_preview_has_the_same_bytes_however_large_the_parts_are(stage: Stage) -> None:
    previews = [[*consistency(stage, at_once=number).preview("AAP", day=DAY - timedelta(days=1))] for number in (1, 2, 100)]
    assert previews[0] == previews[1] == previews[2]
    assert actions([*map(reported, previews[0])]) == ["START", "total", "AVSL"], "the day before nothing was accepted"


def test_a_day_has_one_run_until_somebody_has_it_made_again(stage: Stage, run: LinesRun) -> None:
    with pytest.raises(AlreadyReconciled, match=f"run {run.run_no}"):
        consistency(stage).make("AAP", BY_KARI)
    again = consistency(stage).again(run.run_no, KARI)
    replaced = read_lines_run(stage.connection, run.run_no)
    assert (replaced.state, replaced.replaced_by) == (RunState.REPLACED, again.run_no)
    assert bodies(stage, again) == bodies(stage, run)
    assert messages(stage.connection, again.run_no) != messages(stage.connection, run.run_no), "it has an id of its own"
    assert stage.one("SELECT count(*) FROM reconciliation_messages WHERE run_no = %s AND state <> 'dropped'", run.run_no) == 0
    with pytest.raises(NotInThatState, match="made again already"):
        consistency(stage).again(run.run_no, KARI)


class Killed(Exception):
    """The process is no more."""


def die(_run: LinesRun) -> None:
    raise Killed


def test_the_command_that_makes_a_run_again_goes_on_when_it_broke_off(stage: Stage) -> None:
    first = consistency(stage).make("AAP", BY_KARI, day=DAY - timedelta(days=2))
    with pytest.raises(Killed):
        consistency(stage).again(first.run_no, KARI, made=die)
    begun = read_lines_run(stage.connection, first.run_no).replaced_by
    assert begun is not None
    again = consistency(stage).again(first.run_no, KARI)
    assert (again.run_no, again.state) == (begun, RunState.MADE)
    assert actions(bodies(stage, again)) == ["START", "total", "AVSL"]
    with pytest.raises(NotInThatState, match="made again already"):
        consistency(stage).again(first.run_no, KARI)


def test_a_run_that_broke_off_goes_on_where_it_was_with_the_orders_that_counted_when_it_began(stage: Stage) -> None:
    day = DAY + timedelta(days=1)
    stage.clock.set(NOON + timedelta(days=1))
    with pytest.raises(Killed):
        consistency(stage).make("AAP", BY_KARI, made=die)
    begun = lines_runs(stage.connection, limit=1)[0]
    assert (begun.state, begun.day, begun.messages) == (RunState.MAKING, day, 2), "nobody sends what is not whole"
    stage.clock.set(NOON + timedelta(days=1, hours=1))
    stage.hand_in(Scheme.AAP, ("S-6", aap("S-6", 600)))
    stage.finish()
    done = consistency(stage).make("AAP", Cause(Trigger.OPERATOR, operator=Operator("ola", "it broke off")), day=day)
    assert (done.run_no, done.state) == (begun.run_no, RunState.MADE)
    assert actions(bodies(stage, done)) == ["START", "S-1", "S-3", "S-4", "total", "AVSL"]
    assert bodies(stage, done)[-2].total == ("3", "850", "T"), "what was accepted since is not in it"


def test_two_that_make_the_same_run_make_each_part_once(stage: Stage) -> None:
    stage.clock.set(NOON + timedelta(days=2))

    def make() -> None:
        with connect(stage.conninfo) as connection, contextlib.suppress(AlreadyReconciled):
            Consistency(connection, stage.ports, stage.clock, at_once=1).make("AAP", Cause(Trigger.SCHEDULE))

    threads = [threading.Thread(target=make) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    made = [each for each in lines_runs(stage.connection, limit=9) if each.day == DAY + timedelta(days=2)]
    assert [each.state for each in made] == [RunState.MADE]
    cases = [each for each in actions(bodies(stage, made[0])) if each.startswith("S-")]
    assert len(cases) == len({*cases}) == made[0].cases
    assert made[0].messages == len(cases) + 3


def test_an_order_that_was_open_when_a_run_began_counts_in_none_of_its_parts(stage: Stage) -> None:
    """Its receipt may be stored later than the moment that it bears."""
    stage.clock.set(NOON + timedelta(days=2, hours=1))
    stage.hand_in(Scheme.AAP, ("S-8", aap("S-8", 800)))
    stage.put()
    day, began = DAY + timedelta(days=3), NOON + timedelta(days=3)
    stage.clock.set(began)
    seen = []

    def accept(run: LinesRun) -> None:
        if not seen:
            stage.clock.set(began - timedelta(hours=1))
            stage.settle(stage.rail())
            stage.clock.set(began + timedelta(hours=1))
        seen.append(run)

    run = consistency(stage).make("AAP", BY_KARI, day=day, made=accept)
    assert stage.order_states("S-8") == ["accepted"]
    assert len(seen) > 1
    assert "S-8" not in actions(bodies(stage, run))
    assert "S-8" in actions([*map(reported, consistency(stage).preview("AAP", day=day))])
    assert [repr(each) for each in check(stage.conninfo, PORTS).differences] == []


def test_a_message_that_is_not_what_the_lines_give_is_found(stage: Stage, run: LinesRun) -> None:
    change = "UPDATE reconciliation_messages SET body = %s || body WHERE run_no = %s AND place = 2"
    stage.connection.execute(change.encode(), (b" ", run.run_no))
    found = [each.text for each in check(stage.conninfo, PORTS).differences]
    stage.connection.execute(b"UPDATE reconciliation_messages SET body = substr(body, 2) WHERE run_no = %s AND place = 2", (run.run_no,))
    assert found == ["message 2 is not what its orders give"]


def test_a_day_to_come_and_an_area_that_is_not_reported_are_refused(stage: Stage) -> None:
    with pytest.raises(NotInThatState, match="still to come"):
        consistency(stage).make("AAP", BY_KARI, day=date(2027, 1, 1))
    with pytest.raises(NotReconciled):
        consistency(stage).make("XYZ", BY_KARI)


def test_an_area_without_lines_in_force_says_so(stage: Stage) -> None:
    run = consistency(stage).make("TILTPENG", BY_KARI)
    assert actions(bodies(stage, run)) == ["START", "total", "AVSL"]
    assert bodies(stage, run)[1].total == ("0", "0", "T")


def test_commands_report_show_and_repeat_what_is_in_force(stage: Stage, data_dir: Path) -> None:
    def kvitt(*words: str) -> str:
        before, handler = structlog.get_config(), signal.getsignal(signal.SIGTERM)
        try:
            done = CliRunner().invoke(main, ["reconcile", *words, "--database", stage.conninfo, "--data", str(data_dir)])
        finally:
            structlog.configure(**before)
            signal.signal(signal.SIGTERM, handler)
        assert done.exit_code == 0, done.output
        return done.stdout

    stage.hand_in(Scheme.AAP, ("S-7", aap("S-7", 700)))
    stage.put()
    day, kari = str(DAY + timedelta(days=4)), ("--by", "kari", "--reason", "the plan of June")
    dry = kvitt("consistency", "run", "--area", "AAP", "--day", day, "--dry-run").encode()
    made = json.loads(kvitt("consistency", "run", "--area", "AAP", "--day", day, *kari, "--json"))
    assert kvitt("show", str(made["run_no"]), "--messages").encode().replace(b">\n\n", b">\n") == dry
    again = json.loads(kvitt("consistency", "again", str(made["run_no"]), *kari, "--json"))
    assert (again["kroner"], again["cases"]) == (made["kroner"], made["cases"])
    assert "S-7: an order was on its way" in kvitt("show", str(made["run_no"]))
    assert [json.loads(each)["state"] for each in kvitt("consistency", "list", "--limit", "2", "--json").splitlines()] == [
        "made",
        "replaced",
    ]
    assert "consistency" in kvitt("list", "--kind", "consistency")


def test_lines_of_a_sender_of_lines_keep_its_numbers_and_those_of_payments_their_chains(database: str) -> None:
    with rapid_on(database) as rapid:
        rapid.clock.set(datetime(2024, 3, 10, 10, tzinfo=UTC))
        rapid.ask(need())
        rapid.finish()
        rapid.ask(
            need(
                utbetalingId="00000000-0000-4000-8000-000000000002",
                endringskode="ENDR",
                linjer=[
                    line(delytelseId=2, refDelytelseId=1, refFagsystemId=need()["Utbetaling"]["fagsystemId"], fom="2024-03-18", sats=900)
                ],
            )
        )
        rapid.finish()
        run = Consistency(rapid.connection, rapid.ports, rapid.clock).make("SPREF", Cause(Trigger.SCHEDULE))
        found = [*map(reported, messages(rapid.connection, run.run_no))]
        assert found[1].lines == (("1", "1450"), ("2", "900"))
        assert found[2].total == ("1", "2350", "T")
        assert check(database, rapid.ports).differences == ()


def test_a_run_leaves_when_all_of_it_is_made_and_not_before(database: str) -> None:
    with kvitt.testing.hub(conninfo=database) as hub:
        for number in (1, 2, 3):
            hub.put(primary_input(Scheme.AAP), f"S-{number}", text(aap(f"S-{number}")))
        hub.clock.set(NOON)
        hub.run()
        states = []

        def look(run: LinesRun) -> None:
            hub.run("reconciler")
            states.append(message_states(hub.connection, run.run_no))

        made = Consistency(hub.connection, PORTS, hub.clock, at_once=1).make("AAP", BY_KARI, made=look)
        assert [{*each} for each in states] == [{"ready"}] * len(states)
        assert len(states) > 1
        hub.run("reconciler")
        assert read_lines_run(hub.connection, made.run_no).state is RunState.GOOD
        assert message_states(hub.connection, made.run_no) == {"sent": made.messages}
        hub.check()


def test_a_run_that_nobody_makes_whole_is_dropped_and_its_day_is_reported_by_another(database: str) -> None:
    class Killed(Exception):
        """The process is no more."""

    def die(_run: LinesRun) -> None:
        raise Killed

    with kvitt.testing.hub(conninfo=database) as hub:
        for number in (1, 2):
            hub.put(primary_input(Scheme.AAP), f"S-{number}", text(aap(f"S-{number}")))
        hub.clock.set(NOON)
        hub.run()
        works = Consistency(hub.connection, PORTS, hub.clock, at_once=1)
        with pytest.raises(Killed):
            works.make("AAP", BY_KARI, made=die)
        (begun,) = lines_runs(hub.connection, limit=9)
        command = ["reconcile", "consistency", "drop", str(begun.run_no), "--by", "kari", "--reason", "the wrong day", "--json"]
        command += ["--approved-by", "ola"]
        said = CliRunner().invoke(main, [*command, "--data", str(hub.settings.data)], env={"KVITT_DATABASE_URL": database})
        assert (said.exit_code, json.loads(said.stdout)["state"]) == (0, "dropped")
        assert message_states(hub.connection, begun.run_no) == {"dropped": begun.messages}
        assert works.go_on(begun.run_no).state is RunState.DROPPED, "whoever is still at it makes no more of it"
        for act, why in ((works.drop, "is dropped"), (works.again, "was given up")):
            with pytest.raises(NotInThatState, match=why):
                act(begun.run_no, KARI)
        made = works.make("AAP", BY_KARI)
        hub.run("reconciler")
        assert (read_lines_run(hub.connection, made.run_no).state, made.cases) == (RunState.GOOD, 2)
        with pytest.raises(NotInThatState, match="is good: only one that is not made whole"):
            works.drop(made.run_no, KARI)
        acts = hub.connection.execute("SELECT what FROM kvitt_views.operator_acts ORDER BY seq").fetchall()
        assert acts == [("reconcile lines",), ("drop reconciliation of lines",), ("reconcile lines",)]
        hub.check()
