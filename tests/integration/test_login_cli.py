"""Who acts by commands on a database that others use as well: whoever a token says, and two people are two logins (design §11)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.disbursement.values import Scheme
from kvitt.errors import TypedName
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.operators import is_one_person, known_at
from kvitt.testing import TestServer
from support.case_histories import CaseStage, aap
from support.console_script import command
from support.console_stage import ConsoleSite, console_site
from support.issuer import WRONG_TOKENS
from support.logged_in import KARI, OLA, Workplace, workplace

SPAN = [("2026-06-01", "2026-06-12", 500)]
WHY = ("--reason", "the bank said so by phone")
_cases = count(1)


@pytest.fixture(scope="module")
def conninfo(kvitt_server: TestServer) -> Iterator[str]:
    with kvitt_server.database() as made:
        yield made


@pytest.fixture(scope="module")
def connection(conninfo: str) -> Iterator[Connection]:
    with connect(conninfo) as made:
        yield made


@pytest.fixture(scope="module")
def stage(conninfo: str) -> Iterator[CaseStage]:
    made = CaseStage(conninfo)
    yield made
    made.close()


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with workplace(tmp_path_factory.mktemp("workplace")) as made:
        yield made


@pytest.fixture(scope="module")
def site(conninfo: str, at: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    with console_site(conninfo, tmp_path_factory.mktemp("console"), settings=at.settings) as made:
        yield made


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's user keeps who is logged in."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def order_id(stage: CaseStage, connection: Connection) -> str:
    """An order of which the rail has said nothing."""
    number = next(_cases)
    stage.take(Scheme.AAP, aap(f"AL{number}", SPAN, payment=UUID(int=number, version=4)))
    stage.send()
    (found,) = connection.execute("SELECT order_id::text FROM orders ORDER BY message_no DESC LIMIT 1").fetchone() or ("",)
    return str(found)


def order_state(connection: Connection, order_id: str) -> str:
    (found,) = connection.execute("SELECT state FROM orders WHERE order_id = %s", [order_id]).fetchone() or ("",)
    return str(found)


def asked(at: Workplace, conninfo: str, connection: Connection, order_id: str, token: str | None = None) -> int:
    """The number of an approval that Kari has asked for on the command line, or whoever has the token."""
    done = at.acts(conninfo, token or at.token(KARI, "acting"), "order", "decide", order_id, "--accepted", *WHY, "--ask")
    assert done.returncode == 0, done.stderr
    (number,) = connection.execute("SELECT max(approval_no) FROM approvals").fetchone() or (0,)
    assert f"kvitt approve yes {number}\n" in done.stdout
    return int(number)


def test_who_logs_in_types_a_code_at_the_issuer_and_acts_as_themselves(
    at: Workplace, conninfo: str, connection: Connection, own_directory: Path
) -> None:
    at.issuer.claims, at.issuer.waits = {"groups": ["acting"]}, ["authorization_pending", "authorization_pending"]
    try:
        done = at.says(conninfo, "login")
    finally:
        at.issuer.claims = {}
    assert done.returncode == 0, done.stderr
    assert f"open {at.issuer.url}/device and type WDJB-MJHT" in done.stdout
    assert "Kari (Z990001) of https://issuer may act, look" in done.stdout
    assert at.issuer.exchanged["client_id"] == "kvitt-console"
    assert "client_secret" not in at.issuer.exchanged
    assert at.issuer.waits == []
    (file,) = (own_directory / "kvitt").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert "Kari (Z990001)" in at.says(conninfo, "whoami").stdout
    assert at.says(conninfo, "sending", "stop", "--area", "AAP", "--reason", "the rail is moved").returncode == 0
    (note,) = connection.execute("SELECT note FROM audit WHERE chain = 0 ORDER BY seq DESC LIMIT 1").fetchone() or ("",)
    assert '"by":"Z990001"' in note
    resume = ("sending", "resume", "--area", "AAP", "--reason", "it is moved")
    assert "needs_second_person" in at.says(conninfo, *resume).stderr
    asked_for = at.says(conninfo, *resume, "--ask").stdout
    number = asked_for.rpartition("kvitt approve yes ")[2].strip()
    assert at.acts(conninfo, at.token(OLA, "approving"), "approve", "yes", number).returncode == 0
    assert connection.execute("SELECT count(*) FROM stops").fetchone() == (0,)
    file.chmod(0o644)
    assert "not yours alone" in at.says(conninfo, "whoami").stderr
    assert [at.says(conninfo, "logout").stdout for _ in range(2)] == ["logged out\n", "nobody was logged in\n"]
    nobody = at.says(conninfo, "whoami")
    assert (nobody.returncode, "not_logged_in" in nobody.stderr) == (2, True)


@pytest.mark.parametrize(
    ("error", "said"),
    [("access_denied", "refused at the issuer"), ("expired_token", "in time"), ("invalid_client", "to this client (invalid_client)")],
)
def test_a_login_that_the_issuer_ends_logs_nobody_in(at: Workplace, conninfo: str, error: str, said: str, own_directory: Path) -> None:
    at.issuer.waits = ["authorization_pending", error]
    done = at.says(conninfo, "login")
    assert (done.returncode, "login_refused" in done.stderr, said in done.stderr) == (2, True, True)
    assert not (own_directory / "kvitt").exists()


def test_an_issuer_that_begins_no_login_or_is_away_is_said_so(at: Workplace, conninfo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    at.issuer.answer = (400, {"error": "unauthorized_client"})
    try:
        assert "login_refused" in at.says(conninfo, "login").stderr
    finally:
        at.issuer.answer = None
    monkeypatch.setenv("KVITT_CONSOLE_DEVICE_URL", "http://127.0.0.1:1/device")
    assert "issuer_unreachable" in at.says(conninfo, "login").stderr


def test_a_token_of_elsewhere_is_taken_from_the_environment(at: Workplace, conninfo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVITT_TOKEN", at.token(OLA, "approving"))
    assert "Ola Nordmann (Z990002)" in at.says(conninfo, "whoami").stdout
    monkeypatch.setenv("KVITT_TOKEN", "  ")
    assert "not_logged_in" in at.says(conninfo, "whoami").stderr


def test_typed_names_are_refused_with_what_to_do_instead(at: Workplace, conninfo: str, order_id: str) -> None:
    token = at.token(KARI, "acting", "approving")
    typed = at.acts(conninfo, token, "order", "decide", order_id, "--accepted", *WHY, "--by", "ola", "--ask")
    assert (typed.returncode, "typed_name" in typed.stderr, "kvitt login" in typed.stderr) == (2, True, True)
    second = at.acts(conninfo, token, "order", "decide", order_id, "--accepted", *WHY, "--approved-by", "ola")
    assert (second.returncode, "needs_second_person" in second.stderr, "--ask" in second.stderr) == (2, True, True)
    alone = at.acts(conninfo, token, "order", "decide", order_id, "--accepted", *WHY)
    assert (alone.returncode, "needs_second_person" in alone.stderr) == (2, True)
    assert "not_logged_in" in at.says(conninfo, "order", "withdraw", order_id, *WHY).stderr


def test_without_an_issuer_nobody_acts_on_a_database_that_is_named(at: Workplace, conninfo: str, order_id: str) -> None:
    (at.directory / "bare.toml").write_text("", "utf-8")
    for more, code in (((), "bad_settings"), (("--by", "kari"), "typed_name")):
        done = command("order", "withdraw", order_id, *WHY, *more, "--config", at.directory / "bare.toml", "--database", conninfo)
        assert (done.returncode, code in done.stderr) == (2, True)


def test_one_asks_and_another_confirms_by_their_tokens(at: Workplace, conninfo: str, connection: Connection, order_id: str) -> None:
    number = asked(at, conninfo, connection, order_id)
    done = at.acts(conninfo, at.token(OLA, "approving"), "approve", "yes", number)
    assert done.returncode == 0, done.stderr
    assert order_state(connection, order_id) == "accepted"
    row = connection.execute(
        "SELECT asked_by, asked_issuer, asked_name, decided_by, decided_issuer, decided_name FROM approvals WHERE approval_no = %s",
        [number],
    ).fetchone()
    assert row == ("Z990001", "https://issuer", "Kari Nordmann", "Z990002", "https://issuer", "Ola Nordmann")
    assert check(conninfo, PORTS).clean
    connection.execute("UPDATE approvals SET decided_by = asked_by, decided_name = 'Somebody Else' WHERE approval_no = %s", [number])
    by_one = "was confirmed by the person who asked for it"
    assert by_one in {each.text for each in check(conninfo, PORTS).differences}
    connection.execute("UPDATE approvals SET decided_issuer = 'https://other' WHERE approval_no = %s", [number])
    assert by_one not in {each.text for each in check(conninfo, PORTS).differences}
    restored = {"by": OLA[0], "name": OLA[1], "number": number}
    connection.execute(
        "UPDATE approvals SET decided_by = %(by)s, decided_issuer = asked_issuer, decided_name = %(name)s WHERE approval_no = %(number)s",
        restored,
    )


def test_who_asks_does_not_confirm_whatever_they_are_called(
    at: Workplace, conninfo: str, connection: Connection, site: ConsoleSite, order_id: str
) -> None:
    number, both = asked(at, conninfo, connection, order_id), ("acting", "approving")
    renamed = (KARI[0], "Somebody Else")
    for token in (at.token(KARI, *both), at.token(renamed, *both)):
        assert "needs_second_person" in at.acts(conninfo, token, "approve", "yes", number).stderr
    page = f"/approvals/{number}"
    for person in (KARI, renamed):
        browser = at.browser(site, person, *both)
        shown = browser.get(page)
        assert "<button>Approve" not in shown.text
        assert browser.post(f"{page}/approve", shown.fields(seen="0" * 64)).status == 403
    assert order_state(connection, order_id) == "sent"
    assert at.browser(site, OLA, "approving").get(page).status == 200


def test_what_is_asked_for_on_a_page_is_not_confirmed_by_the_same_person_here(
    at: Workplace, conninfo: str, connection: Connection, site: ConsoleSite, order_id: str
) -> None:
    browser, path = at.browser(site, KARI, "acting", "approving"), f"/orders/{order_id}/resend"
    sent = browser.post(path, browser.get(path).fields(reason="it never came"))
    number = int(sent.url.rpartition("/")[2])
    mine = at.acts(conninfo, at.token(KARI, "acting", "approving"), "approve", "yes", number)
    assert (mine.returncode, "needs_second_person" in mine.stderr) == (2, True)
    assert at.acts(conninfo, at.token(OLA, "approving"), "approve", "yes", number).returncode == 0
    assert order_state(connection, order_id) == "ready"


def test_roles_are_the_ones_of_pages(at: Workplace, conninfo: str, connection: Connection, order_id: str) -> None:
    for groups in (("looking",), ("approving",), ("persons",)):
        done = at.acts(conninfo, at.token(KARI, *groups), "order", "withdraw", order_id, *WHY)
        assert (done.returncode, "not_permitted" in done.stderr) == (2, True), groups
    number = asked(at, conninfo, connection, order_id)
    assert "not_permitted" in at.acts(conninfo, at.token(OLA, "acting"), "approve", "yes", number).stderr
    assert "not_permitted" in at.acts(conninfo, at.token(OLA, "acting"), "approve", "no", number, *WHY).stderr
    assert at.acts(conninfo, at.token(KARI, "acting"), "approve", "no", number, *WHY).returncode == 0


@pytest.mark.parametrize("wrong", sorted({*WRONG_TOKENS} - {"nobody's", "no name"}))
def test_a_token_that_lets_nobody_in_elsewhere_lets_nobody_act(at: Workplace, conninfo: str, order_id: str, wrong: str) -> None:
    claims = {"NAVident": KARI[0], "name": KARI[1], "groups": ["acting", "approving"], **WRONG_TOKENS[wrong]}
    done = at.acts(conninfo, at.issuer.id_token(**claims), "order", "withdraw", order_id, *WHY)
    assert (done.returncode, "not_authenticated" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"NAVident": None, "sub": "an-application"}, "not_authenticated"),
        ({"NAVident": None, "roles": ["access_as_application"]}, "not_authenticated"),
        ({"groups": None}, "not_authenticated"),
        ({"groups": ["strangers"]}, "not_authenticated"),
        ({"iat": datetime.now(UTC) - timedelta(minutes=61)}, "not_logged_in"),
        ({"iat": None}, "not_logged_in"),
        ({"aud": ["kvitt-console", "other"], "azp": "other"}, "not_authenticated"),
    ],
    ids=["a service", "an application", "no groups", "no role", "old", "of no time", "another client's"],
)
def test_a_token_that_names_nobody_who_may_act_now_approves_nothing(
    at: Workplace, conninfo: str, connection: Connection, order_id: str, *, claims: dict[str, object], code: str
) -> None:
    number = asked(at, conninfo, connection, order_id)
    token = at.issuer.id_token(**{"NAVident": OLA[0], "groups": ["approving"], **claims})
    done = at.acts(conninfo, token, "approve", "yes", number)
    assert (done.returncode, code in done.stderr) == (2, True), done.stderr
    assert order_state(connection, order_id) == "sent"


def test_where_people_are_made_up_names_are_typed_and_tokens_are_not_taken(database: str, at: Workplace, made_up_people: None) -> None:
    assert made_up_people is None
    here = ("--database", database)
    stop = ("sending", "stop", "--area", "AAP", "--reason", "the rail is moved")
    assert "names are typed" in command("whoami", *here).stdout
    token = at.directory / "any.token"
    token.write_text("token", "ascii")
    for refused in (command(*stop, "--by", "kari", "--token-file", token, *here), command("whoami", "--token-file", token, *here)):
        assert (refused.returncode, "--token-file" in refused.stderr) == (2, True)
    nobody = command(*stop, *here)
    assert (nobody.returncode, "'--by'" in nobody.stderr) == (2, True)
    assert command(*stop, "--by", "kari", *here).returncode == 0


def test_nobody_is_made_up_where_people_of_an_issuer_have_logged_in(
    at: Workplace, conninfo: str, site: ConsoleSite, tmp_path: Path, made_up_people: None
) -> None:
    assert made_up_people is None
    at.browser(site, KARI, "looking")
    typed = command("sending", "stop", "--area", "AAP", "--reason", "the rail is moved", "--by", "kari", "--database", conninfo)
    assert (typed.returncode, "typed_name" in typed.stderr, "https://issuer" in typed.stderr) == (2, True, True)
    with pytest.raises(TypedName), console_site(conninfo, tmp_path):
        pass


def test_two_are_one_person_by_issuer_and_claim_and_else_by_all_their_names() -> None:
    kari = ("Z990001", known_at("https://issuer", "Kari Nordmann"))
    assert is_one_person(kari, ("Z990001", known_at("https://issuer", "Another Name")))
    assert not is_one_person(kari, ("Z990001", known_at("https://other", "Kari Nordmann")))
    assert not is_one_person(kari, ("Z990002", known_at("https://issuer", "Kari Nordmann")))
    assert is_one_person(kari, ("kari  nordmann", None))
    assert is_one_person(("z990001", None), kari)
    assert not is_one_person(kari, ("ola", None))
