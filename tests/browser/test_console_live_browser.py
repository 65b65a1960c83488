"""Live pages in a real browser: they change as things do and stay where they are; what is killed is said on them, until it is back."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from brokers.broker import free_port
from playwright.sync_api import Page

from kvitt.kernel.database import Connection, connect
from kvitt.kernel.migrate import upgrade
from kvitt.kernel.postgres.server import EmbeddedServer
from kvitt.testing import TestServer
from support.broker_fixtures import running_artemis
from support.console_browser import Watched
from support.console_stage import ACTS, LOOKS, ConsoleSite, console_site
from support.lived import live
from support.patience import stretched, until

MOST_SECONDS = 5.0
"""Within so many seconds it is said that something is away."""
LETTER = """INSERT INTO dead_letters (source, partition, position, body, reason, at)
            SELECT 'topic', 0, n, 'x', 'reason ' || n, '2026-01-01Z'::timestamptz + n * interval '1 minute'
            FROM generate_series(%s::integer, %s::integer) AS n"""


@pytest.fixture(scope="module")
def conninfo(kvitt_server: TestServer) -> Iterator[str]:
    with kvitt_server.database() as made:
        live(made)
        yield made


@pytest.fixture(scope="module")
def logged_in(chromium: Any, site: ConsoleSite) -> Any:
    """What the browser of somebody keeps who has logged in at the console of the module."""
    context = chromium.new_context()
    Watched(context, site.url).log_in(LOOKS)
    kept = context.storage_state()
    context.close()
    return kept


@contextmanager
def watched(chromium: Any, url: str, person: str = LOOKS, *, kept: Any = None) -> Iterator[Watched]:
    """A browser of somebody who logs in, or has; at the end nothing was at fault but fetches of what was away."""
    context = chromium.new_context(viewport={"width": 900, "height": 500}, storage_state=kept)
    made = Watched(context, url)
    if kept:
        made.page.goto(url)
    else:
        made.log_in(person)
    made.page.get_by_text("live", exact=True).wait_for()
    yield made
    context.close()
    assert made.faults_but_failed_fetches() == []


def said(page: Page, text: str) -> None:
    """Waits until the page says so in its one line."""
    page.locator("#live-said", has_text=text).wait_for()


@contextmanager
def said_soon(page: Page, text: str) -> Iterator[None]:
    """What the block takes away the page says within the time that is promised."""
    yield
    began = time.monotonic()
    said(page, text)
    assert time.monotonic() - began < stretched(MOST_SECONDS)


def test_a_page_shows_what_changes_and_keeps_what_somebody_is_at(chromium: Any, site: ConsoleSite, conninfo: str, logged_in: Any) -> None:
    with watched(chromium, site.url, kept=logged_in) as each, connect(conninfo) as connection:
        page = each.page
        (case_no,) = connection.execute("SELECT case_no FROM cases WHERE case_id = 'T1'").fetchone() or (0,)
        page.goto(f"{site.url}/cases/{case_no}")
        opened = page.locator("#main details").last
        opened.locator("summary").click()
        link = page.locator("#main tbody a[href^='/messages/']").last
        link.focus()
        link.evaluate("each => { window.focused = each; getSelection().selectAllChildren(each.closest('tr')); }")
        page.evaluate("scrollTo(0, 400)")
        connection.execute("UPDATE orders SET state = 'unknown' WHERE case_no = %s", [case_no])
        page.locator("#main").get_by_text("it may be at the rail or not").first.wait_for()
        assert opened.evaluate("each => each.open")
        assert page.evaluate("document.activeElement === window.focused")
        assert page.evaluate("getSelection().toString() !== ''")
        assert page.evaluate("scrollY") == 400


def test_a_list_keeps_its_rows_and_counts_new_ones(chromium: Any, site: ConsoleSite, conninfo: str, logged_in: Any) -> None:
    with watched(chromium, site.url, kept=logged_in) as each, connect(conninfo) as connection:
        page = each.page
        connection.execute(LETTER, [1, 60])
        page.goto(f"{site.url}/dead-letters")
        first = page.locator("tbody tr").first.inner_text()
        connection.execute(LETTER, [61, 63])
        said(page, "3 new")
        assert page.locator("tbody tr").first.inner_text() == first
        connection.execute("UPDATE dead_letters SET state = 'closed' WHERE position = 60")
        page.locator("tr.gone", has_text="reason 60").wait_for()
        assert page.locator("tbody tr").count() == 50
        page.get_by_role("button", name="Show").click()
        page.locator("tbody tr", has_text="reason 63").wait_for()
        said(page, "live")


def test_who_is_at_a_form_is_told_that_things_have_changed_and_keeps_what_was_typed(
    chromium: Any, site: ConsoleSite, conninfo: str
) -> None:
    with watched(chromium, site.url, person=ACTS) as each, connect(conninfo) as connection:
        page = each.page
        connection.execute(LETTER, [70, 70])
        (number,) = connection.execute("SELECT dead_no FROM dead_letters WHERE position = 70").fetchone() or (0,)
        page.goto(f"{site.url}/dead-letters/{number}/close")
        page.get_by_label("Reason").fill("it is dealt with")
        connection.execute("UPDATE dead_letters SET message_no = 1 WHERE dead_no = %s", [number])
        said(page, "this has changed; what you see is from")
        once = page.locator("form.act input[name=once]").input_value()
        page.get_by_role("button", name="Show").click()
        page.locator(f"form.act input[name=once]:not([value='{once}'])").wait_for(state="attached")
        assert page.get_by_label("Reason").input_value() == "it is dealt with"
        assert page.locator("#live-said").inner_text() == ""
        connection.execute("UPDATE dead_letters SET state = 'closed' WHERE dead_no = %s", [number])
        said(page, "this has changed; what you see is from")
        page.get_by_role("button", name="Show").click()
        page.get_by_text("It can not be done").wait_for()
        page.goto(f"{site.url}/dead-letters/{number}")
        connection.execute("UPDATE dead_letters SET state = 'open' WHERE dead_no = %s", [number])
        page.locator("#main").get_by_role("link", name="Replay as it is").wait_for()


def test_a_note_that_is_being_written_stays_while_the_page_changes(chromium: Any, site: ConsoleSite, conninfo: str) -> None:
    with watched(chromium, site.url, ACTS) as each, connect(conninfo) as connection:
        page = each.page
        (order_id,) = connection.execute("SELECT order_id FROM orders ORDER BY order_id LIMIT 1").fetchone() or ("",)
        page.goto(f"{site.url}/orders/{order_id}/whereabouts")
        page.get_by_label("Note for those who look next").fill("the rail has it")
        connection.execute("UPDATE orders SET state = 'unknown', resends = 7 WHERE order_id = %s", [order_id])
        page.locator("#main").get_by_text("7 times").wait_for()
        assert page.get_by_label("Note for those who look next").input_value() == "the rail has it"


def test_records_of_a_topic_that_is_followed_appear_at_once(chromium: Any, site: ConsoleSite, conninfo: str, logged_in: Any) -> None:
    record = """INSERT INTO log_entries (topic, partition, position, at, key, value, headers)
                SELECT 'followed', 0, n, now(), convert_to('key ' || n, 'UTF8'), 'x', ''
                FROM generate_series(%s::integer, %s::integer) AS n"""
    with watched(chromium, site.url, kept=logged_in) as each, connect(conninfo) as connection:
        page = each.page
        connection.execute("INSERT INTO log_partitions (topic, partition, next_position) VALUES ('followed', 0, 60)")
        connection.execute(record, [0, 59])
        page.goto(f"{site.url}/topics/records?topic=followed&partition=0")
        page.get_by_role("link", name="Follow").click()
        page.get_by_text("New records appear at once").wait_for()
        connection.execute(record, [60, 61])
        connection.execute("UPDATE log_partitions SET next_position = 62 WHERE topic = 'followed'")
        page.locator("tbody tr", has_text="key 61").wait_for()
        assert page.locator("tbody tr").count() == 50
        page.get_by_role("link", name="Keep them where they are").click()
        page.get_by_role("link", name="Follow").wait_for()


def test_who_pauses_a_page_sees_nothing_new_until_it_goes_on(chromium: Any, site: ConsoleSite, conninfo: str, logged_in: Any) -> None:
    with (
        watched(chromium, site.url, kept=logged_in) as each,
        watched(chromium, site.url, kept=logged_in) as other,
        connect(conninfo) as connection,
    ):
        each.page.get_by_role("button", name="Pause").click()
        said(each.page, "paused; what you see is from")
        connection.execute(
            "INSERT INTO stops (rail, area, reason, stopped_by, stopped_at) VALUES ('oppdrag', 'TP', 'for the pause', 'T1', now())"
        )
        other.page.get_by_text("for the pause").first.wait_for()
        assert each.page.get_by_text("for the pause").count() == 0
        each.page.get_by_role("button", name="Go on").click()
        each.page.get_by_text("for the pause").first.wait_for()


def test_tabs_of_a_browser_share_one_stream(chromium: Any, site: ConsoleSite, conninfo: str, logged_in: Any) -> None:
    with watched(chromium, site.url, kept=logged_in) as each, connect(conninfo) as connection:
        streams = list[str]()
        each.page.context.on("request", lambda asked: asked.url.endswith("/live") and streams.append(asked.url))
        others = [each.page.context.new_page() for _ in range(8)]
        for page in others:
            page.goto(f"{site.url}/sending")
        connection.execute(
            "INSERT INTO stops (rail, area, reason, stopped_by, stopped_at) VALUES ('oppdrag', 'TS', 'for all tabs', 'T1', now())"
        )
        for page in (each.page, *others):
            page.get_by_text("for all tabs").first.wait_for()
        assert streams == []


def test_a_session_that_has_ended_is_said(chromium: Any, site: ConsoleSite, conninfo: str) -> None:
    with watched(chromium, site.url, person=ACTS) as each, connect(conninfo) as connection:
        connection.execute("UPDATE console.sessions SET ended_at = now() WHERE ended_at IS NULL AND name = %s", [ACTS])
        said(each.page, "Your session has ended: log in again")


def test_a_database_that_is_stopped_is_said_and_is_back_without_a_reload(chromium: Any, tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "data")
    conninfo = server.start()
    try:
        upgrade(conninfo)
        with console_site(conninfo, tmp_path / "data") as site, watched(chromium, site.url) as each:
            each.page.evaluate("window.kept = 1")
            with said_soon(each.page, "the database does not answer since"):
                server.stop()
            assert "what you see is from" in each.page.locator("#live-said").inner_text()
            assert server.start() == conninfo
            said(each.page, "live")
            with connect(conninfo) as connection:
                connection.execute(
                    "INSERT INTO stops (rail, area, reason, stopped_by, stopped_at) VALUES ('*', '*', 'it is back', 'T1', now())"
                )
            each.page.get_by_text("it is back").first.wait_for()
            assert each.page.evaluate("window.kept") == 1
    finally:
        server.stop()


@contextmanager
def kvitt_run(roles: str, config: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with these roles, killed at the end if it still runs."""
    command = [sys.executable, "-c", "from kvitt.app.main import main; main()", "run", "--roles", roles, "--config", str(config)]
    with config.with_suffix(".log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log) as started:
        try:
            yield started
        finally:
            started.kill()
            started.wait()


def test_a_console_that_is_killed_is_said_and_is_back_without_a_reload(chromium: Any, database: str, tmp_path: Path) -> None:
    config, port = tmp_path / "kvitt.toml", free_port()
    config.write_text(f'database_url = "{database}"\ndata = "{tmp_path}"\n[ops]\nport = 0\n[console]\nlocal_people = true\nport = {port}\n')
    url = f"http://127.0.0.1:{port}"
    with kvitt_run("console", config) as first:
        answers(url)
        context = chromium.new_context()
        each = Watched(context, url)
        each.log_in(LOOKS)
        said(each.page, "live")
        with said_soon(each.page, "kvitt does not answer since"):
            first.kill()
    with kvitt_run("console", config):
        said(each.page, "live")
    context.close()
    assert each.faults_but_failed_fetches() == []


def answers(url: str) -> None:
    """Waits until there is a console."""

    def is_up() -> bool:
        try:
            return httpx.get(f"{url}/login", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    until(is_up, what="the console does not answer")


def test_a_hub_that_is_killed_and_a_broker_are_said_until_they_are_back(chromium: Any, database: str, tmp_path: Path) -> None:
    with running_artemis() as artemis, console_site(database, tmp_path) as site:
        host, port = artemis.address
        config = tmp_path / "kvitt.toml"
        config.write_text(
            f'database_url = "{database}"\ndata = "{tmp_path}"\n[ops]\nport = 0\n[queue]\nkind = "stomp"\nhost = "{host}"\nport = {port}\n'
        )
        with watched(chromium, site.url) as each:
            with kvitt_run("sender,receiver", config) as hub, connect(database) as connection:
                until_works(connection)
                with said_soon(each.page, "the broker does not answer since"):
                    artemis.kill()
                artemis.start()
                said(each.page, "live")
                with said_soon(each.page, "kvitt does not answer since"):
                    hub.kill()
                assert "sender" in each.page.locator("#live-said").inner_text()
            with kvitt_run("sender,receiver", config):
                said(each.page, "live")


def until_works(connection: Connection) -> None:
    """Waits until all roles of all processes do their work."""
    works = "SELECT bool_and(condition = 'works' AND answers) FROM kvitt_views.roles"
    until(lambda: connection.execute(works).fetchone() == (True,), what="the roles do not work")
