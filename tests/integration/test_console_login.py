"""Who gets into the console, and how: logins, sessions, forms of others, roles (design §11, §17)."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
import pytest
from msgspec.structs import replace

from kvitt.api.console.frame import ConsolePage, PageFrame, PageRequest, Redirect, Surroundings
from kvitt.api.console.sessions import Sessions, SessionTerms
from kvitt.api.people.claims import ConsolePerson, ConsoleRole
from kvitt.app.console import Console
from kvitt.console_settings import ConsoleSettings
from kvitt.errors import BadSettings, NotPermitted
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, pool
from kvitt.settings import Settings
from kvitt.testing import HandClock
from support.console_stage import ACTS, APPROVES, LOGIN, LOOKS, SESSION, Browser, ConsoleSite, console_site
from support.patience import PATIENCE_SECONDS

STATED = "content-security-policy", "referrer-policy", "x-content-type-options", "x-frame-options"


@pytest.fixture(scope="module")
def clock() -> HandClock:
    return HandClock(utc_now())


@pytest.fixture(scope="module")
def site(conninfo: str, clock: HandClock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """A console with made-up people."""
    with console_site(conninfo, tmp_path_factory.mktemp("console"), clock=clock) as made:
        yield made


def count(connection: Connection, query: str) -> int:
    (found,) = connection.execute(query.encode()).fetchone() or (0,)
    return int(found)


def test_who_is_not_logged_in_is_led_to_the_login_and_back(site: ConsoleSite) -> None:
    browser = site.browser()
    asked = browser.get("/orders?state=sent")
    assert urlsplit(asked.url).path == "/login"
    chooses = browser.get(asked.link("Log in"))
    assert [LOOKS in chooses.words, ACTS in chooses.words, APPROVES in chooses.words] == [True] * 3
    arrived = browser.get(chooses.link(ACTS))
    assert arrived.url == f"{site.url}/orders?state=sent"
    assert ACTS in arrived.text


def test_a_session_is_a_row_without_its_id(site: ConsoleSite, connection: Connection) -> None:
    browser = site.browser(LOOKS)
    stored = [bytes(each) for (each,) in connection.execute("SELECT session_hash FROM console.sessions")]
    assert sha256(browser.cookies[SESSION].encode()).digest() in stored
    rows = connection.execute("SELECT s::text FROM console.sessions AS s").fetchall()
    assert browser.cookies[SESSION] not in str(rows)
    assert browser.cookies.keys() == {SESSION}, "the cookie of the login has had its day"


@pytest.mark.parametrize("planted", ["attackerchose", "x" * 43])
def test_an_id_that_somebody_made_up_is_never_a_session(site: ConsoleSite, planted: str) -> None:
    browser = site.browser()
    browser.cookies[SESSION] = planted
    browser.log_in(LOOKS)
    assert browser.cookies[SESSION] != planted
    other = site.browser()
    other.cookies[SESSION] = planted
    assert urlsplit(other.get("/").url).path == "/login"


def test_a_login_ends_the_session_that_was_planted_before_it(site: ConsoleSite) -> None:
    attacker = site.browser(LOOKS)
    victim = site.browser()
    victim.cookies[SESSION] = attacker.cookies[SESSION]
    victim.log_in(APPROVES)
    assert victim.cookies[SESSION] != attacker.cookies[SESSION]
    assert urlsplit(attacker.get("/").url).path == "/login"


def test_a_cookie_that_is_there_twice_is_none(site: ConsoleSite) -> None:
    session = site.browser(LOOKS).cookies[SESSION]
    with httpx.Client(base_url=site.url, trust_env=False, timeout=PATIENCE_SECONDS) as client:
        assert client.get("/", headers={"cookie": f"{SESSION}={session}"}).status_code == 200
        assert client.get("/", headers={"cookie": f"{SESSION}={session}; {SESSION}=other"}).status_code == 303


def _callback(browser: Browser) -> str:
    """The path by which the browser comes back from the issuer."""
    begun = browser.get("/login/begin?next=/health", follow=False)
    chooses = browser.get(begun.headers["location"])
    return browser.get(chooses.link(LOOKS), follow=False).headers["location"]


def test_an_answer_of_the_issuer_serves_once_and_in_its_own_browser(site: ConsoleSite) -> None:
    browser, other = site.browser(), site.browser()
    path = _callback(browser)
    assert other.get(path).status == 401
    stolen = _callback(other)
    assert browser.get(stolen).status == 401, "the state is another browser's"
    assert browser.get(path).status == 401, "and that was the one try"
    path = _callback(browser)
    before = browser.cookies[LOGIN]
    assert browser.get(path).url == f"{site.url}/health"
    browser.cookies[LOGIN] = before
    assert browser.get(path).status == 401


def test_a_login_that_takes_too_long_is_begun_anew(site: ConsoleSite, clock: HandClock, connection: Connection) -> None:
    browser = site.browser()
    path = _callback(browser)
    clock.advance(minutes=11)
    assert browser.get(path).status == 401
    browser.get("/login/begin")
    assert count(connection, "SELECT count(*) FROM console.logins") == 1


@pytest.mark.parametrize("said", ["&iss=https://other", "&code=2", "&error=access_denied"])
def test_an_answer_that_is_no_answer_lets_nobody_in(site: ConsoleSite, said: str) -> None:
    browser = site.browser()
    shown = browser.get(_callback(browser).replace("&iss=", "&was=") + said)
    assert (shown.status, SESSION in browser.cookies) == (401, False)


@pytest.mark.parametrize("target", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_a_login_never_leads_elsewhere(site: ConsoleSite, target: str) -> None:
    browser = site.browser()
    chooses = browser.get(browser.get(f"/login?next={quote(target, safe='')}").link("Log in"))
    assert browser.get(chooses.link(LOOKS)).url == f"{site.url}/"
    browser = site.browser()
    begun = browser.get(f"/login/begin?next={quote(target, safe='')}", follow=False)
    chooses = browser.get(begun.headers["location"])
    assert browser.get(chooses.link(LOOKS)).url == f"{site.url}/"


def test_a_session_that_is_not_used_ends_and_so_does_one_that_is(site: ConsoleSite, clock: HandClock) -> None:
    idle, used = site.browser(LOOKS), site.browser(LOOKS)
    for _ in range(19):
        clock.advance(minutes=25)
        assert used.get("/").url == f"{site.url}/"
    assert urlsplit(idle.get("/").url).path == "/login"
    clock.advance(minutes=6)
    assert urlsplit(used.get("/").url).path == "/login", "after eight hours"


def test_a_session_is_written_once_a_minute_at_most(site: ConsoleSite, clock: HandClock, connection: Connection) -> None:
    browser = site.browser(LOOKS)
    seen = "SELECT count(DISTINCT xmin::text) FROM console.sessions"
    versions = []
    for _ in range(3):
        browser.get("/")
        versions.append(connection.execute("SELECT max(xmin::text::bigint) FROM console.sessions").fetchone())
    clock.advance(minutes=1)
    browser.get("/")
    versions.append(connection.execute("SELECT max(xmin::text::bigint) FROM console.sessions").fetchone())
    assert len(set(versions)) == 2
    assert count(connection, seen) > 0


def test_who_logs_out_is_out(site: ConsoleSite) -> None:
    browser = site.browser(LOOKS)
    session = browser.cookies[SESSION]
    assert urlsplit(browser.send("/logout").url).path == "/login"
    assert SESSION not in browser.cookies
    browser.cookies[SESSION] = session
    assert urlsplit(browser.get("/").url).path == "/login"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "", "sec-fetch-site": ""},
        {"origin": "", "sec-fetch-site": "same-site"},
        {"origin": "", "sec-fetch-site": "none"},
        {"origin": "null", "sec-fetch-site": ""},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
        {"content-type": "text/plain"},
        {"content-type": "multipart/form-data; boundary=x"},
    ],
)
def test_a_form_that_others_send_is_refused_though_it_carries_the_token(site: ConsoleSite, headers: dict[str, str]) -> None:
    browser = site.browser(LOOKS)
    shown = browser.post("/logout", {"csrf": browser.csrf}, headers=headers)
    assert shown.status == 403
    assert browser.get("/").url == f"{site.url}/", "the session goes on"


@pytest.mark.parametrize(
    "headers", [{"origin": "null"}, {"origin": ""}, {"sec-fetch-site": ""}], ids=["no origin is said", "no origin", "an older browser"]
)
def test_a_form_of_a_page_of_ours_is_taken(site: ConsoleSite, headers: dict[str, str]) -> None:
    browser = site.browser(LOOKS)
    assert browser.post("/logout", {"csrf": browser.csrf}, headers=headers).status == 200
    assert urlsplit(browser.get("/").url).path == "/login"


def test_a_form_without_the_token_of_its_session_is_refused(site: ConsoleSite) -> None:
    browser, other = site.browser(LOOKS), site.browser(APPROVES)
    for form in ({}, {"csrf": ""}, {"csrf": other.csrf}, {"csrf": browser.csrf[:-1]}):
        assert browser.post("/logout", form).status == 403
    assert browser.get("/").url == f"{site.url}/"
    assert site.browser().post("/logout", {"csrf": other.csrf}).status == 403
    assert other.get("/").url == f"{site.url}/"


def test_what_a_browser_sends_twice_or_too_long_is_refused(site: ConsoleSite) -> None:
    browser = site.browser(LOOKS)
    assert browser.post("/search", {"csrf": browser.csrf, "q": "x" * 70_000}).status == 413
    assert browser.get("/orders?state=sent&state=ready").status == 400
    assert browser.get("/orders?state=elsewhere").status == 400


def test_a_form_that_is_forged_gives_nobody_a_role(site: ConsoleSite, connection: Connection) -> None:
    browser = site.browser(LOOKS)
    connection.execute("INSERT INTO cases (scheme, case_id, person, ordered_for) VALUES ('AAP', 'F1', '01020312345', '01020312345')")
    case_no = count(connection, "SELECT case_no FROM cases WHERE case_id = 'F1'")
    for fields in ({}, {"role": "persons"}, {"roles": "persons,audit"}):
        assert browser.send(f"/cases/{case_no}/reveal", **fields).status == 403
    assert browser.get("/looks").status == 403
    assert "Looks" not in browser.get("/").text
    assert count(connection, "SELECT count(*) FROM console.revealed_cases") == 0


def test_every_answer_says_what_browsers_may_do_with_it(site: ConsoleSite) -> None:
    browser = site.browser(LOOKS)
    for shown in (
        browser.get("/"),
        browser.get("/nothing"),
        browser.get("/login"),
        browser.post("/logout", {}),
        browser.get("/static/none"),
    ):
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        assert all(each in shown.headers for each in STATED)
        assert shown.headers["cache-control"] == "no-store"
        assert shown.headers.get("content-type", "").count("charset") <= 1
    assert browser.get("/nothing").status == 404
    assert browser.get("/logout").status == 405
    assert browser.get("/static/../app.py").status == 404


def test_another_name_of_this_machine_leads_here_and_other_names_nowhere(site: ConsoleSite) -> None:
    port = urlsplit(site.url).port
    with httpx.Client(base_url=site.url, trust_env=False, timeout=PATIENCE_SECONDS) as client:
        led = client.get("/orders?state=sent", headers={"host": f"localhost:{port}"})
        assert (led.status_code, led.headers["location"]) == (307, f"{site.url}/orders?state=sent")
        for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", "localhost", ""):
            assert client.get("/login", headers={"host": host}).status_code in (400, 421)
        assert client.post("/logout", headers={"host": f"localhost:{port}"}).status_code == 421


def test_made_up_people_are_for_the_loopback_and_are_chosen_there_only(conninfo: str, tmp_path: Path) -> None:
    for given in (ConsoleSettings(local_people=True, host="0.0.0.0", port=0), ConsoleSettings(port=0)):
        with pytest.raises(BadSettings):
            Console(conninfo, Settings(data=tmp_path, database_url=conninfo, console=given), threading.Event())


def test_a_code_is_for_the_login_that_asked_for_it(site: ConsoleSite) -> None:
    browser = site.browser()
    code = parse_qs(urlsplit(_callback(browser)).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": f"{site.url}/login/callback", "code_verifier": "guessed"}
    assert browser.post("/local/token", form).status == 401
    assert browser.post("/local/token", {**form, "code": "made.up.code"}).status == 401
    assert browser.get(f"/local/authorize?client_id=other&redirect_uri={quote('https://evil.example')}").status == 401


def test_logins_that_nobody_ends_shut_nobody_out(site: ConsoleSite, connection: Connection, clock: HandClock) -> None:
    connection.execute(
        """INSERT INTO console.logins (browser_hash, state_hash, nonce, verifier, next_path, begun_at)
           SELECT sha256(convert_to('b' || n, 'UTF8')), sha256(convert_to('s' || n, 'UTF8')), 'flood', 'v', '/', %s - n * interval '1 ms'
           FROM generate_series(1, 10000) AS n""",
        [clock()],
    )
    browser = site.browser()
    assert browser.get(_callback(browser), follow=False).status == 303
    assert SESSION in browser.cookies
    assert connection.execute("DELETE FROM console.logins WHERE nonce = 'flood'").rowcount == 9_999


def test_who_acts_has_logged_in_within_the_hour(conninfo: str) -> None:
    page = ConsolePage("/act", "Act", "error.html", lambda _: Redirect("/"), role=ConsoleRole.ACT, posted=True)
    clock = HandClock(utc_now())
    with pool(conninfo, application="kvitt test", size=1) as looks, ThreadPoolExecutor(1) as threads:
        sessions = Sessions(looks, clock, SessionTerms(), "i")
        frame = PageFrame(looks, clock, threads, [page], Surroundings("demo", "emulator"))
        session = sessions.find(sessions.begin(ConsolePerson("i", "A1", "Anne", frozenset({ConsoleRole.ACT})), None))
        assert session
        assert frame.answer(page, session, PageRequest()).status_code == 303
        clock.advance(minutes=61)
        with pytest.raises(NotPermitted, match="log in again"):
            frame.answer(page, session, PageRequest())
        other = replace(session, who=replace(session.who, roles=frozenset({ConsoleRole.LOOK, ConsoleRole.APPROVE})))
        with pytest.raises(NotPermitted, match="role act"):
            frame.answer(page, other, PageRequest())


def test_a_no_of_the_issuer_that_is_no_json_is_a_no(site: ConsoleSite) -> None:
    browser, other = site.browser(), site.browser()
    code = parse_qs(urlsplit(_callback(browser)).query)["code"][0]
    state = parse_qs(urlsplit(other.get("/login/begin", follow=False).headers["location"]).query)["state"][0]
    refused = other.get(f"/login/callback?{urlencode({'code': code, 'state': state})}")
    assert (refused.status, "the issuer gave no token" in refused.text) == (401, True)
