"""Which acts one person may do is set, from a closed set; all others take two, on pages and by commands (design §11)."""

from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from kvitt.app.approvals import acts_of, approvals_of
from kvitt.approval_settings import MAY_BE_ALONE, ApprovalSettings
from kvitt.disbursement.sending_acts import SendingPlace
from kvitt.disbursement.values import Scheme
from kvitt.errors import NeedsSecondPerson
from kvitt.kernel.approvals import need_second_person
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings
from support.case_histories import CaseStage, aap
from support.console_script import command
from support.console_stage import ACTS, APPROVES, console_site

pytestmark = pytest.mark.usefixtures("made_up_people")

KARI = ("--by", "kari", "--reason", "the rates are wrong")
LEFT = Operator("kari", "the rates are wrong")


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as made:
        yield made


@pytest.fixture
def stage(database: str) -> Iterator[CaseStage]:
    made = CaseStage(database)
    yield made
    made.close()


@pytest.fixture
def order_id(stage: CaseStage, connection: Connection) -> str:
    """An order that has not left."""
    stage.take(Scheme.AAP, aap("S1", [("2026-06-01", "2026-06-12", 500)]))
    (found,) = connection.execute("SELECT order_id::text FROM orders").fetchone() or ("",)
    return str(found)


class Installation:
    """Commands of an installation on a database, in which `alone` is set."""

    def __init__(self, database: str, directory: Path, alone: str) -> None:
        self._file, self._database = directory / "kvitt.toml", database
        self._file.write_text(alone, "utf-8")

    def kvitt(self, *arguments: object) -> CompletedProcess[str]:
        return command(*arguments, "--database", self._database, "--config", self._file)


def state(connection: Connection) -> object:
    return (connection.execute("SELECT state FROM orders").fetchone() or ("",))[0]


def stops(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT area, stopped_by FROM stops").fetchall()


def test_by_command_two_people_take_an_order_back_unless_one_may(
    database: str, tmp_path: Path, connection: Connection, order_id: str
) -> None:
    usual = Installation(database, tmp_path, "")
    withdraw = ("order", "withdraw", order_id, *KARI)
    alone = usual.kvitt(*withdraw)
    assert (alone.returncode, "order withdraw takes two people" in alone.stderr, "--ask" in alone.stderr) == (2, True, True)
    for look_alike in ("kari", "KARI "):
        assert "needs_second_person" in usual.kvitt(*withdraw, "--approved-by", look_alike).stderr
    asked = usual.kvitt(*withdraw, "--ask")
    assert "check sum 500 kr, is ready and would be withdrawn" in asked.stdout
    assert state(connection) == "ready"
    assert "needs_second_person" in usual.kvitt("approve", "yes", 1, "--by", "kari").stderr
    assert "is withdrawn" in usual.kvitt("approve", "yes", 1, "--by", "ola").stdout
    assert state(connection) == "withdrawn"


def test_by_command_one_person_takes_an_order_back_where_that_is_set(
    database: str, tmp_path: Path, connection: Connection, order_id: str
) -> None:
    lone = Installation(database, tmp_path, '[approvals]\nalone = ["order withdraw"]')
    assert "needs_second_person" in lone.kvitt("order", "withdraw", order_id, *KARI, "--approved-by", "Kari").stderr, "one person twice"
    assert "needs_second_person" in lone.kvitt("sending", "stop", "--all", *KARI).stderr, "the list is whole"
    assert lone.kvitt("order", "withdraw", order_id, *KARI).returncode == 0
    assert state(connection) == "withdrawn"


def test_two_people_on_the_spot_are_both_noted(database: str, tmp_path: Path, connection: Connection, order_id: str) -> None:
    usual = Installation(database, tmp_path, "")
    assert usual.kvitt("order", "withdraw", order_id, *KARI, "--approved-by", "ola").returncode == 0
    (note,) = connection.execute("SELECT note FROM audit WHERE chain = 0 ORDER BY seq DESC LIMIT 1").fetchone() or ("",)
    assert '"by":"kari","approved_by":"ola"' in note


def test_a_stop_waits_for_nobody_unless_all_acts_take_two(database: str, tmp_path: Path, connection: Connection) -> None:
    (tmp_path / "two").mkdir()
    strict, usual = Installation(database, tmp_path / "two", "[approvals]\nalone = []"), Installation(database, tmp_path, "")
    stop = ("sending", "stop", "--area", "AAP", "--area", "DP", *KARI)
    assert "needs_second_person" in strict.kvitt(*stop).stderr
    assert "nothing more would be sent to areas AAP, DP" in strict.kvitt(*stop, "--ask").stdout
    assert stops(connection) == []
    assert strict.kvitt("approve", "yes", 1, "--by", "ola").returncode == 0
    assert stops(connection) == [("AAP", "kari"), ("DP", "kari")]
    assert usual.kvitt("sending", "stop", "--scheme", "ts", *KARI).returncode == 0
    assert len(stops(connection)) > 2
    assert "needs_second_person" in usual.kvitt("sending", "resume", "--scheme", "ts", *KARI).stderr
    assert usual.kvitt("sending", "resume", "--scheme", "ts", *KARI, "--ask").returncode == 0
    assert usual.kvitt("approve", "yes", 2, "--by", "ola").returncode == 0
    assert stops(connection) == [("AAP", "kari"), ("DP", "kari")]


def test_what_leaves_by_now_is_shown_beside_what_left_when_it_was_asked_for(
    database: str, tmp_path: Path, stage: CaseStage, order_id: str
) -> None:
    assert order_id
    usual = Installation(database, tmp_path, "")
    usual.kvitt("sending", "stop", "--all", *KARI)
    asked = usual.kvitt("sending", "resume", "--all", *KARI, "--ask")
    assert "ready to leave there by now: 1 order, check sum 500 kr" in asked.stdout
    assert "as things stand" not in usual.kvitt("approve", "show", 1).stdout
    stage.take(Scheme.AAP, aap("S2", [("2026-06-01", "2026-06-12", 700)], payment=UUID(int=2, version=4)))
    shown = usual.kvitt("approve", "show", 1).stdout
    assert "1 order, check sum 500 kr" in shown.partition("as things stand")[0]
    assert "2 orders, check sum 1200 kr" in shown.partition("as things stand")[2]
    assert usual.kvitt("approve", "yes", 1, "--by", "ola").returncode == 0


def test_what_something_holds_does_not_leave_and_more_than_is_looked_through_is_said_so(
    database: str, tmp_path: Path, connection: Connection, monkeypatch: pytest.MonkeyPatch, *, order_id: str
) -> None:
    usual = Installation(database, tmp_path, "")
    stop = ("sending", "stop", "--area", "AAP", *KARI, "--ask")
    with monkeypatch.context() as patched:
        patched.setattr("kvitt.disbursement.sending_acts._MOST_COUNTED", 1)
        assert "ready to leave there by now: at least 1 order, check sum 500 kr" in usual.kvitt(*stop).stdout
    connection.execute('UPDATE orders SET held_for = \'[{"kind":"over_limit","text":"x"}]\' WHERE order_id = %s', [order_id])
    assert "no order is ready to leave there by now" in usual.kvitt(*stop).stdout


COMMANDS = {
    "order withdraw": "order withdraw {order}",
    "dead replay unchanged": "dead replay 1",
    "dead close": "dead close 1",
    "receipt close": "receipt close 1",
    "simulation again": "simulation again 1",
    "payout republish": "payout republish p-1",
    "sending stop": "sending stop --all",
    "sending resume": "sending resume --all",
    "reconcile run": "reconcile run --area AAP --from 2026-06-29 --day 2026-06-30",
    "reconcile again": "reconcile again 1",
    "reconcile resolve": "reconcile resolve 1 --was-put",
    "reconcile drop": "reconcile consistency drop 1",
}


@pytest.mark.parametrize("act", MAY_BE_ALONE)
def test_each_command_takes_two_people_unless_its_act_is_set(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, order_id: str, act: str
) -> None:
    monkeypatch.setattr("kvitt.cli.payout.payout_of", lambda _, named: named)
    words = COMMANDS[act].format(order=order_id).split()
    others = [each for each in MAY_BE_ALONE if each != act]
    (tmp_path / "two").mkdir()
    two = Installation(database, tmp_path / "two", f"[approvals]\nalone = {others}")
    refused = two.kvitt(*words, *KARI)
    assert (refused.returncode, f"{act} takes two people" in refused.stderr) == (2, True), refused.stderr
    if act != "simulation again":  # it would begin a hub, to be answered
        one = Installation(database, tmp_path, f"[approvals]\nalone = {[act]}")
        assert "needs_second_person" not in one.kvitt(*words, *KARI).stderr


def test_the_job_that_reports_to_a_rail_is_no_way_around_two_people(database: str, tmp_path: Path, connection: Connection) -> None:
    out_of_turn = ("job", "run", "reconcile AAP", *KARI)
    refused = Installation(database, tmp_path, "").kvitt(*out_of_turn)
    assert (refused.returncode, "reconcile run out of turn, which takes two people" in refused.stderr) == (2, True), refused.stderr
    assert connection.execute("SELECT outcome FROM kvitt_views.jobs WHERE outcome IS NOT NULL").fetchall() == []
    done = Installation(database, tmp_path, '[approvals]\nalone = ["reconcile run"]').kvitt(*out_of_turn)
    assert (done.returncode, done.stdout.startswith("job reconcile AAP: ")) == (0, True), done.stderr


@pytest.mark.parametrize(
    ("alone", "said"), [([], "It is done when another person approves it."), (["sending stop"], "It is done at once.")]
)
def test_a_page_says_and_does_what_is_set(database: str, tmp_path: Path, connection: Connection, alone: list[str], said: str) -> None:
    with console_site(database, tmp_path, alone=alone) as site:
        hans, guro = site.browser(ACTS), site.browser(APPROVES)
        form = hans.get("/sending/stop?area=AAP")
        assert said in form.words
        done = hans.post("/sending/stop", form.fields(reason="the rates are wrong"))
        path = urlsplit(done.url).path
        assert (path.startswith("/approvals/"), len(stops(connection))) == (not alone, len(alone))
        if not alone:
            guro.post(f"{path}/approve", guro.get(path).fields())
    assert stops(connection) == [("AAP", "H100002")]


def test_all_acts_that_may_be_left_to_one_person_are_acts_and_all_others_take_two(connection: Connection) -> None:
    settings = Settings(approvals=ApprovalSettings(alone=MAY_BE_ALONE))
    names = {act.name for act in acts_of(settings)}
    assert names > {*MAY_BE_ALONE}
    for act in sorted(names):
        if act in MAY_BE_ALONE:
            need_second_person(act, LEFT, MAY_BE_ALONE)
        else:
            with pytest.raises(NeedsSecondPerson):
                need_second_person(act, LEFT, MAY_BE_ALONE)
    with pytest.raises(NeedsSecondPerson):
        approvals_of(Settings(), connection).do("sending resume", SendingPlace("*", ("*",)), LEFT, seen="0" * 64)
