"""Limits that two people set go before the settings, from the next order on, and end by themselves (design §11)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import urlsplit

import pytest

from kvitt.app.ports import limits_of, ports_of
from kvitt.broker_settings import RapidSettings
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.check import check
from kvitt.disbursement.holding import HoldKind
from kvitt.disbursement.limit_acts import LimitCleared, LimitSet, clear_limit, limit_acts, limits_shown, set_limit
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.preview import preview
from kvitt.disbursement.source_limits import SetLimit, SourceLimit, in_force
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.errors import NeedsSecondPerson, NotInThatState
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator
from kvitt.kernel.queries import load
from kvitt.settings import LimitsSettings, OpsSettings, SourceLimitSettings
from support.console_script import command
from support.console_stage import ACTS, APPROVES, LOOKS, Browser, console_site
from support.hub_messages import dp, text
from support.hub_stage import Stage

pytestmark = pytest.mark.usefixtures("made_up_people")

TWO = Operator("kari", "payday is near", "ola")
DP = Scheme.DAGPENGER
TOPIC = primary_input(DP)
BY_TWO = ("--by", "kari", "--approved-by", "ola", "--reason", "payday is near")


@contextmanager
def hub(database: str, **limits: int) -> Iterator[Stage]:
    """A hub on whose settings the topic of dagpenger has these limits; in the end all is made again from what is stored."""
    settings = LimitsSettings(sources={TOPIC: SourceLimitSettings(**limits)} if limits else {})
    stage = Stage(database, ports_of(RapidSettings(), OpsSettings(), limits=limits_of(settings)))
    try:
        yield stage
        assert [repr(difference) for difference in check(database, stage.ports).differences] == []
    finally:
        stage.close()


def held(stage: Stage) -> list[str]:
    """Cases with an order that is held, the newest first."""
    return [each.case_id for each in Operate(stage.connection, stage.clock, stage.ports).orders([OrderState.READY], held_only=True)]


def put(stage: Stage, per_order: int | None = None, per_hour: int | None = None, hours: int | None = None) -> None:
    """Two people set the limit of the topic of dagpenger."""
    now = stage.clock()
    until = None if hours is None else now + timedelta(hours=hours)
    amounts = [None if each is None else Kroner(each) for each in (per_order, per_hour)]
    set_limit(stage.connection, now, LimitSet(TOPIC, amounts[0], amounts[1], until), TWO)


def test_a_limit_holds_from_the_next_order_on_until_it_is_cleared(database: str) -> None:
    with hub(database) as stage:
        stage.hand_in(DP, ("before", dp("A")))
        assert held(stage) == []
        put(stage, per_order=1400)
        stage.hand_in(DP, ("over", dp("B")), ("fits", dp("C", days=[1, 2])))
        assert held(stage) == ["B"]
        clear_limit(stage.connection, stage.clock(), TOPIC, TWO)
        stage.hand_in(DP, ("after", dp("D")))
        assert held(stage) == ["B"], "what is held stays held"


def test_a_raised_limit_ends_by_itself_and_the_settings_hold_again(database: str) -> None:
    with hub(database, kroner_per_hour=1500, kroner_per_order=2000) as stage:
        put(stage, per_hour=4500, hours=2)
        stage.hand_in(DP, *[(case, dp(case)) for case in "ABC"], ("big", dp("D", 700)))
        assert held(stage) == ["D"], "the limit of one order is as the settings have it, and what is over it is not counted"
        stage.clock.advance(hours=2)
        stage.hand_in(DP, ("one", dp("E")), ("two", dp("F")))
        assert held(stage) == ["F", "D"]


def test_a_lower_limit_holds_for_a_message_that_waited(database: str) -> None:
    with hub(database) as stage:
        stage.hand_in(DP, ("one", dp("A")), ("waits", dp("A", 700)))
        put(stage, per_hour=100)
        stage.finish()
        assert held(stage) == ["A"]


def test_one_person_sets_and_clears_none_and_no_limit_ends_before_it_begins(database: str) -> None:
    with hub(database) as stage:
        alone, now = Operator("kari", "payday is near"), stage.clock()
        with pytest.raises(NeedsSecondPerson):
            set_limit(stage.connection, now, LimitSet(TOPIC, Kroner(1)), alone)
        with pytest.raises(NeedsSecondPerson):
            clear_limit(stage.connection, now, TOPIC, alone)
        for wrong in (LimitSet(TOPIC), LimitSet(TOPIC, Kroner(1), until=now)):
            with pytest.raises(NotInThatState):
                set_limit(stage.connection, now, wrong, TWO)
        with pytest.raises(NotInThatState):
            clear_limit(stage.connection, now, TOPIC, TWO)
        assert limits_shown(stage.connection, {}, now) == []


def test_what_people_leave_out_and_what_has_ended_is_as_the_settings_have_it() -> None:
    now = datetime(2026, 12, 1, tzinfo=UTC)
    settings = {"app": SourceLimit(Kroner(10), Kroner(5)), "other": SourceLimit(Kroner(1))}
    of_people = [
        SetLimit("app", Kroner(90), None, now + timedelta(seconds=1)),
        SetLimit("other", Kroner(9), None, now),
        SetLimit("new", None, Kroner(7), None),
    ]
    assert in_force(settings, of_people, now) == {
        "app": SourceLimit(Kroner(90), Kroner(5)),
        "other": SourceLimit(Kroner(1)),
        "new": SourceLimit(None, Kroner(7)),
    }
    assert in_force(settings, (), now) is settings


TAMPERED = {
    "another amount": "UPDATE source_limits SET kroner_per_hour = 9000000",
    "another end": "UPDATE source_limits SET until = until + interval '1 day'",
    "another person": "UPDATE source_limits SET approved_by = 'per'",
    "no limit": "DELETE FROM source_limits",
    "nobody's limit": "INSERT INTO source_limits SELECT 'x', 1, 1, NULL, now(), 'kari', 'ola', 'payday is near'",
}


@pytest.mark.parametrize("how", sorted(TAMPERED))
def test_a_limit_otherwise_than_two_people_have_set_it_is_found(database: str, how: str) -> None:
    with hub(database) as stage:
        put(stage, per_hour=100)
        put(stage, per_hour=200, hours=2)
    with connect(database) as connection, connection.transaction(force_rollback=True):
        connection.execute(TAMPERED[how].encode())
        ((_, _, said),) = _found(connection)
    assert said == "is a source whose limit is not as the operators' chain says"


def _found(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute(load("closings_check", "kvitt.disbursement").limits_not_set_as_noted, {}).fetchall()


class Installation:
    """Commands of an installation in whose settings a source has a limit."""

    def __init__(self, database: str, directory: Path, source: str = "dp-sak") -> None:
        self._file, self._database = directory / "kvitt.toml", database
        self._file.write_text(f'[limits.sources."{source}"]\nkroner_per_hour = 1000\nkroner_per_order = 500\n', "utf-8")

    def kvitt(self, *arguments: object) -> CompletedProcess[str]:
        return command(*arguments, "--database", self._database, "--config", self._file)

    def listed(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.kvitt("limits", "list", "--json").stdout.splitlines()]


def test_commands_set_list_and_clear_a_limit(database: str, tmp_path: Path) -> None:
    here = Installation(database, tmp_path)
    (settings,) = here.listed()
    assert (settings["kroner_per_hour"], settings["kroner_per_order"], settings["comes_from"]) == (1000, 500, "settings")
    raise_it = ("limits", "set", "prod-gcp:dp:dp-sak", "--kroner-per-hour", 9000, "--until", "2126-12-21")
    assert "needs_second_person" in here.kvitt(*raise_it, "--by", "kari", "--reason", "payday is near").stderr
    asked = here.kvitt(*raise_it, "--by", "kari", "--reason", "payday is near", "--ask")
    assert "dp-sak may have 9000 kr in an hour paid until 2126-12-21 00:00:00 UTC" in asked.stdout
    assert "by now it may have 500 kr for one order and 1000 kr in an hour paid (settings), and used 0 kr in this hour" in asked.stdout
    assert here.listed() == [settings]
    assert here.kvitt("approve", "yes", 1, "--by", "ola").returncode == 0
    (raised,) = here.listed()
    assert (raised["kroner_per_hour"], raised["kroner_per_order"]) == (9000, 500)
    assert (raised["comes_from"], raised["reason"]) == ("kari and ola, else settings", "payday is near")
    assert "limit of dp-sak: 500 kr for one order and 9000 kr in an hour (as set by kari and ola" in here.kvitt("check").stdout
    assert here.kvitt("limits", "clear", "dp-sak", *BY_TWO).returncode == 0
    assert here.listed() == [settings]
    acts = [json.loads(line)["act"] for line in here.kvitt("audit", "list", "--json").stdout.splitlines()]
    assert acts == ["clear limit", "approval confirmed", "set limit", "approval asked"]
    again = here.kvitt("limits", "clear", "dp-sak", *BY_TWO)
    assert (again.returncode, "not_in_that_state" in again.stderr) == (2, True)


@pytest.mark.parametrize("asks", [False, True], ids=["by a command", "by an approval"])
def test_a_message_that_an_act_lets_in_has_the_limit_of_the_settings(database: str, tmp_path: Path, *, asks: bool) -> None:
    with hub(database) as stage:
        stage.hand_in(DP, ("one", dp("A")), ("waits", dp("A", 700)))
        (order_id,) = stage.rows("SELECT order_id::text FROM orders")[0]
        here = Installation(database, tmp_path, TOPIC)
        if asks:
            assert here.kvitt("order", "withdraw", order_id, "--by", "kari", "--reason", "sent by mistake", "--ask").returncode == 0
            assert here.kvitt("approve", "yes", 1, "--by", "ola").returncode == 0
        else:
            assert here.kvitt("order", "withdraw", order_id, *BY_TWO).returncode == 0
        assert held(stage) == ["A"]


def test_a_dry_run_says_what_a_limit_would_hold_and_locks_nothing(database: str) -> None:
    with hub(database, kroner_per_hour=2000) as stage:
        stage.hand_in(DP, ("one", dp("A")))
        asked = (DP, b"two", text(dp("B")))
        found = preview(stage.connection, stage.ports, *asked, now=stage.clock())
        ((reason,),) = found.held
        assert (reason.kind, reason.amounts_kroner) == (HoldKind.OVER_LIMIT, (1500, 1500, 2000))
        put(stage, per_hour=3000)
        assert preview(stage.connection, stage.ports, *asked, now=stage.clock()).held == ((),)
        hours = stage.rows("SELECT source, kroner FROM source_hours")
        assert hours == [(TOPIC, 1500)]


def test_of_a_limit_that_has_ended_stands_when_it_did(database: str) -> None:
    with hub(database) as stage:
        put(stage, per_hour=100, hours=2)
        stage.clock.advance(hours=2)
        _, clear = limit_acts(stage.clock, {}, lambda _: True)
        effect = clear.preview(stage.connection, LimitCleared(TOPIC))
        assert f"that of {TWO.name} and {TWO.approved_by} has ended at {stage.clock():%Y-%m-%d %H:%M:%S} UTC)" in effect.text


def test_an_approval_of_a_limit_that_somebody_changed_meanwhile_is_looked_at_once_more(database: str, tmp_path: Path) -> None:
    here = Installation(database, tmp_path)
    assert here.kvitt("limits", "set", "dp-sak", "--kroner-per-hour", 9000, "--by", "kari", "--reason", "payday", "--ask").returncode == 0
    assert here.kvitt("limits", "set", "dp-sak", "--kroner-per-hour", 0, *BY_TWO).returncode == 0
    assert "effect_changed" in here.kvitt("approve", "yes", 1, "--by", "ola").stderr
    assert here.kvitt("approve", "yes", 1, "--by", "ola").returncode == 0, "now it is what was shown"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dp-sak",), "say how much dp-sak may have paid: for one order, in an hour, or both"),
        (("app:", "--kroner-per-hour", "1"), "SOURCE"),
        (("dp-sak", "--kroner-per-hour", "-1"), "--kroner-per-hour"),
        (("dp-sak", "--kroner-per-hour", "1", "--until", "soon"), "--until"),
        (("dp-sak", "--kroner-per-hour", "1", "--until", "2020-01-01"), "would have ended before it began"),
    ],
    ids=["no amount", "no name", "below zero", "no moment", "over"],
)
def test_a_limit_that_can_be_none_is_refused(database: str, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    here = Installation(database, tmp_path)
    done = here.kvitt("limits", "set", *arguments, *BY_TWO)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert len(here.listed()) == 1


def test_a_limit_is_set_and_cleared_on_pages_by_two_people(database: str, tmp_path: Path) -> None:
    limits = {"dp-sak": SourceLimitSettings(kroner_per_hour=1000)}
    with console_site(database, tmp_path, limits=limits) as site, connect(database) as connection:
        hans, guro = site.browser(ACTS), site.browser(APPROVES)
        form = hans.get(hans.get("/limits/used").link("Change"))
        typed = {"source": "dp-sak", "kroner_per_order": "", "kroner_per_hour": "9000", "until": "2126-12-21 12:00"}
        looked = hans.post("/limits/set", form.fields(**typed, step="look"))
        assert "dp-sak may have 9000 kr in an hour paid until 2126-12-21 11:00:00 UTC" in looked.words
        changed = hans.post("/limits/set", looked.fields(**typed | {"kroner_per_hour": "9999"}, step="ask", reason="payday"))
        assert (changed.status, "Nothing was done" in changed.words) == (409, True)
        asked = hans.post("/limits/set", looked.fields(**typed, step="ask", reason="payday is near"))
        assert _rows(connection) == []
        _approve(guro, asked.url)
        assert _rows(connection) == [("dp-sak", 9000, "H100002", "G100003")]
        page = site.browser(LOOKS).get("/limits/used")
        assert "9 000 kr no limit H100002 and G100003 21.12.2126 12:00:00 payday is near" in page.words
        assert "Clear" not in page.words
        clear = hans.get(hans.get("/limits/used").link("Clear"))
        assert "dp-sak may have 1000 kr in an hour paid, as the settings have it" in clear.words
        _approve(guro, hans.post("/limits/clear", clear.fields(reason="payday is over")).url)
        assert _rows(connection) == []


def _approve(browser: Browser, url: str) -> None:
    path = urlsplit(url).path
    assert path.startswith("/approvals/")
    browser.post(f"{path}/approve", browser.get(path).fields())


def _rows(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT source, kroner_per_hour, set_by, approved_by FROM source_limits").fetchall()


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("2126-12-21 12:00", "2126-12-21 11:00:00 UTC"),
        ("2126-12-21T12:00:00Z", "2126-12-21 12:00:00 UTC"),
        ("2126-12-21 12:00:00-05:00", "2126-12-21 17:00:00 UTC"),
    ],
    ids=["by the clock in Oslo", "as commands have it", "elsewhere"],
)
def test_a_moment_that_names_its_zone_is_that_moment(database: str, tmp_path: Path, until: str, said: str) -> None:
    with console_site(database, tmp_path) as site:
        hans = site.browser(ACTS)
        typed = {"source": "dp-sak", "kroner_per_order": "", "kroner_per_hour": "1", "until": until}
        assert f"until {said}" in hans.post("/limits/set", hans.get("/limits/set").fields(**typed, step="look")).words


@pytest.mark.parametrize(
    "typed",
    [{"source": ""}, {"kroner_per_hour": "much"}, {"until": "soon"}, {"kroner_per_hour": "-1"}],
    ids=["source", "much", "soon", "below"],
)
def test_a_form_with_what_is_no_limit_is_refused(database: str, tmp_path: Path, typed: dict[str, str]) -> None:
    with console_site(database, tmp_path) as site:
        hans = site.browser(ACTS)
        given = {"source": "dp-sak", "kroner_per_order": "", "kroner_per_hour": "1", "until": "", **typed}
        assert hans.post("/limits/set", hans.get("/limits/set").fields(**given, step="look")).status == 400
        live = site.browser(LOOKS)
        assert live.get("/limits/set").status == 403
