"""Streams of live pages: names of what has changed and never data, a beat, one connection for all of them, an end with the session."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kvitt.api.console.pages import PAGES
from kvitt.api.console.watch import RoleSeen, faults_of
from kvitt.disbursement.limit_acts import LimitSet, set_limit
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.money import Kroner
from kvitt.kernel.operators import Operator
from kvitt.ops.readiness import RoleBoard
from kvitt.ops.reports import RoleReports
from kvitt.testing import HandClock, TestServer
from support.console_stage import ACTS, LOOKS, Browser, ConsoleSite, console_site
from support.lived import live
from support.patience import PATIENCE_SECONDS, until

STOP = "INSERT INTO stops (rail, area, reason, stopped_by, stopped_at) VALUES ('oppdrag', %s, 'a secret reason', 'T100001', now())"


@pytest.fixture(scope="module")
def conninfo(kvitt_server: TestServer) -> Iterator[str]:
    with kvitt_server.database() as made:
        live(made)
        yield made


class Stream:
    """The events of a stream as they come."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status, self.said = answer.status_code, list[str]()
        self._lines = answer.iter_lines()

    def next(self) -> Any:
        """The next event."""
        line = next(each for each in self._lines if each)
        self.said.append(line)
        return json.loads(line.removeprefix("data: "))

    def until_changed(self, part: str) -> Any:
        """The next event that names this part."""
        while part not in (event := self.next()).get("parts", ()):
            pass
        return event

    def rest(self) -> list[str]:
        """All that comes until it ends."""
        return [each for each in self._lines if each]


@contextmanager
def stream_of(browser: Browser) -> Iterator[Stream]:
    """The stream that pages of a browser hear."""
    headers = {"cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    with (
        httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False) as client,
        client.stream("GET", f"{browser.url}/live", headers=headers) as answer,
    ):
        yield Stream(answer)


def by_itself(browser: Browser, path: str, version: str = "") -> httpx.Response:
    """The answer to a page that fetches itself anew."""
    headers = {"cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items()), "kvitt-live": version}
    return httpx.get(f"{browser.url}{path}", headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)


def test_a_stream_names_what_has_changed_and_says_nothing_of_it(site: ConsoleSite, connection: Connection) -> None:
    with stream_of(site.browser(LOOKS)) as stream:
        assert stream.status == 200
        assert set(stream.next()) <= {"at", "parts", "faults"}
        connection.execute(STOP, ["DP"])
        stream.until_changed("orders")
        assert stream.next()["at"], "a beat comes though nothing happens"
        assert "secret" not in "".join(stream.said)


def test_all_streams_share_one_connection_and_slow_pages_down(site: ConsoleSite, connection: Connection) -> None:
    browser = site.browser(LOOKS)
    with ExitStack() as opened:
        streams = [opened.enter_context(stream_of(browser)) for _ in range(30)]
        assert {stream.next().get("faults") for stream in streams} == {None}
        connection.execute(STOP, ["AAP"])
        for stream in streams:
            # What changed before may be heard while fewer are there.
            until(lambda stream=stream: stream.until_changed("orders").get("every") == 3)
        watching = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'kvitt console watch'"
        assert connection.execute(watching).fetchone() == (1,)


def test_a_stream_ends_with_its_session(site: ConsoleSite) -> None:
    browser = site.browser(LOOKS)
    with stream_of(browser) as stream:
        stream.next()
        csrf, cookies = browser.csrf, dict(browser.cookies)
        browser.post("/logout", {"csrf": csrf})
        assert json.loads(stream.rest()[-1].removeprefix("data: "))["ended"]
    browser.cookies = cookies
    with stream_of(browser) as stream:
        assert stream.status == 401
    assert by_itself(browser, "/").status_code == 401


def test_a_page_that_is_open_does_not_keep_its_session_from_ending(conninfo: str, tmp_path: Path) -> None:
    clock = HandClock(utc_now())
    with console_site(conninfo, tmp_path, clock=clock) as site:
        browser = site.browser(LOOKS)
        clock.advance(minutes=29)
        assert by_itself(browser, "/").status_code == 200
        with stream_of(browser) as stream:
            stream.next()
            clock.advance(minutes=2)
            assert json.loads(stream.rest()[-1].removeprefix("data: "))["ended"], "30 minutes after its person's last page"


def test_a_case_that_has_not_changed_is_not_looked_at_again(site: ConsoleSite, connection: Connection) -> None:
    browser = site.browser(ACTS)
    (case_no,) = connection.execute("SELECT case_no FROM cases WHERE case_id = 'T1'").fetchone() or (0,)
    looks = "SELECT count(*) FROM console.looks WHERE case_no = %s"
    for path in (f"/cases/{case_no}", *paths_of(connection, int(case_no))):
        text = browser.get(path).text
        version = text.partition('data-version="')[2].partition('"')[0]
        before = connection.execute(looks, [case_no]).fetchone()
        assert by_itself(browser, path, version).status_code == 304
        assert connection.execute(looks, [case_no]).fetchone() == before
        assert by_itself(browser, path, f"{version}-1").status_code == 200
        assert connection.execute(looks, [case_no]).fetchone() != before, path


def paths_of(connection: Connection, case_no: int) -> list[str]:
    (order_id,) = connection.execute("SELECT order_id FROM orders WHERE case_no = %s LIMIT 1", [case_no]).fetchone() or ("",)
    (message_no,) = connection.execute("SELECT message_no FROM messages WHERE case_no = %s LIMIT 1", [case_no]).fetchone() or ("",)
    return [f"/orders/{order_id}", f"/messages/{message_no}"]


def test_a_process_says_how_its_roles_do_until_it_ends_in_order(connection: Connection, conninfo: str) -> None:
    reports = RoleReports(conninfo, "p-1", RoleBoard(utc_now, ["intake", "relay"]).states)
    seen = "SELECT role, condition, answers FROM kvitt_views.roles WHERE process = 'p-1' ORDER BY role"
    until(lambda: connection.execute(seen).fetchall() == [("intake", "begins", True), ("relay", "begins", True)])
    (first,) = connection.execute("SELECT seen_at FROM processes").fetchone() or (None,)
    until(lambda: connection.execute("SELECT seen_at FROM processes").fetchone() > (first,))
    reports.close()
    assert connection.execute(seen).fetchall() == []


def test_a_process_asks_the_brokers_of_its_log_whose_client_says_nothing(connection: Connection, conninfo: str) -> None:
    away = [True]

    def ask() -> None:
        if away[0]:
            raise ConnectionError

    reports = RoleReports(conninfo, "p-2", RoleBoard(utc_now, ["relay"]).states, ask)
    seen = "SELECT role, condition, since, at_fault, seen_at, answers FROM kvitt_views.roles WHERE process = 'p-2' ORDER BY role"

    def faults() -> str:
        return "; ".join(faults_of([RoleSeen(*row) for row in connection.execute(seen).fetchall()]))

    until(lambda: re.fullmatch(r"the broker does not answer since [\d:]+ \(log\)", faults()))
    away.clear()
    away.append(False)
    until(lambda: faults() == "")
    reports.close()


def test_a_process_that_is_gone_and_a_broker_are_said_to_pages(site: ConsoleSite, connection: Connection) -> None:
    with stream_of(site.browser(LOOKS)) as stream:
        stream.next()
        connection.execute(
            """INSERT INTO processes (process, began_at, seen_at, roles)
               VALUES ('gone', now(), now() - interval '1 minute',
                       '[{"role": "relay", "condition": "works", "since": "2026-01-01T00:00:00Z"}]')"""
        )
        while not (event := stream.next()).get("faults"):
            pass
        assert "kvitt does not answer since" in event["faults"][0]
        connection.execute("DELETE FROM processes WHERE process = 'gone'")
        while stream.next().get("faults"):
            pass


AT = datetime(2026, 6, 1, 10, 3, 5, tzinfo=UTC)


def role(name: str, condition: str = "works", at_fault: str | None = None, *, answers: bool = True) -> RoleSeen:
    return RoleSeen(name, condition, AT, at_fault, AT + timedelta(minutes=1), answers)


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ([], []),
        ([role("relay"), role("sender", "stands by")], []),
        ([role("relay", answers=False)], ["kvitt does not answer since 12:04:05 (relay)"]),
        ([role("relay"), role("relay", answers=False)], []),
        (
            [role("sender", "starts anew", "broker"), role("receiver", "starts anew", "broker")],
            ["the broker does not answer since 12:03:05 (receiver, sender)"],
        ),
        ([role("intake", "starts anew", "database")], []),
        ([role("intake", "silent", "kvitt")], ["intake of kvitt silent since 12:03:05"]),
    ],
    ids=["nothing", "well", "gone", "played by another", "broker", "database", "silent"],
)
def test_what_does_not_answer_is_said_once_with_since_when(roles: list[RoleSeen], said: list[str]) -> None:
    assert faults_of(roles) == said


def parts_changed(connection: Connection, change: str | Callable[[], object]) -> set[str]:
    """The parts that a statement, or a call, changes."""
    asked = "SELECT part, changes FROM kvitt_views.changes"
    before = dict(connection.execute(asked).fetchall())
    if isinstance(change, str):
        connection.execute(change.encode())
    else:
        change()
    connection.execute("SELECT pg_stat_force_next_flush()")
    after = dict(connection.execute(asked).fetchall())
    return {part for part in after if after[part] != before.get(part)}


def test_pages_that_show_no_jobs_hear_of_those_alone_that_fail(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO jobs (name, timetable, catch_up, next_due, next_try) VALUES ('j', 'every minute', 'last', now(), now())"
    )
    connection.execute("SELECT pg_stat_force_next_flush()")
    assert parts_changed(connection, "UPDATE jobs SET last_run = now() WHERE name = 'j'") == {"jobs"}
    assert parts_changed(connection, "UPDATE jobs SET state = 'failed', tries = 1 WHERE name = 'j'") == {"jobs", "alarms"}
    assert parts_changed(connection, "UPDATE jobs SET state = 'scheduled', tries = 0 WHERE name = 'j'") == {"jobs", "alarms"}


def test_the_page_of_limits_hears_of_one_that_two_people_set_on_the_spot(connection: Connection) -> None:
    (page,) = (each for each in PAGES if each.path == "/limits/used")
    both = Operator("kari", "payday is near", "ola")
    changed = parts_changed(connection, lambda: set_limit(connection, utc_now(), LimitSet("dp-sak", Kroner(1)), both))
    assert changed & {*page.live.split()}


def test_the_parts_that_pages_hear_of_are_parts_that_change(connection: Connection) -> None:
    parts = {part for (part,) in connection.execute("SELECT part FROM kvitt_views.changes")}
    assert {part for page in PAGES for part in page.live.split()} <= parts
