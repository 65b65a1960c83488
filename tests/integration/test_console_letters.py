"""Dead letters are replayed from the console by two people, as they came or mended, with what comes of it shown first (design §4)."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.transports.log.embedded_log import make_topics
from support.case_histories import CaseStage, aap
from support.console_stage import ACTS, APPROVES, LOOKS, Browser, ConsoleSite, console_site

HANS, GURO = "H100002", "G100003"
REASON = "torn in transit"
BODY = aap("L1", [("2026-06-01", "2026-06-12", 500)]).decode()
TORN = BODY[:-1]


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as made:
        make_topics(made, [each.name for each in PORTS.contracts.topics])
        yield made


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[ConsoleSite]:
    with console_site(database, tmp_path) as made:
        yield made


def letter(connection: Connection, body: str | bytes, *, key: bytes | None = b"k") -> str:
    """The page of a dead letter with this body."""
    query = (
        "INSERT INTO dead_letters (source, partition, position, key, body, reason, at) "
        "VALUES (%s, 0, 7, %s, %s, 'it could not be read', %s) RETURNING dead_no"
    )
    content = body if isinstance(body, bytes) else body.encode()
    (number,) = connection.execute(query, [helved_topics.primary_input(Scheme.AAP), key, content, utc_now()]).fetchone() or (0,)
    return f"/dead-letters/{number}"


def records(connection: Connection) -> list[str]:
    """The bodies of what was put on topics."""
    return [bytes(value).decode() for (value,) in connection.execute("SELECT value FROM log_records ORDER BY position")]


def keys(connection: Connection) -> list[str]:
    """The keys under which it was."""
    return [bytes(key).decode() for (key,) in connection.execute("SELECT key FROM log_records ORDER BY position")]


def acts(connection: Connection) -> list[tuple[object, ...]]:
    query = "SELECT what, note::jsonb ->> 'by', note::jsonb ->> 'approved_by' FROM audit WHERE chain = 0 ORDER BY seq"
    return connection.execute(query).fetchall()


def looked_at(hans: Browser, page: str, body: str) -> dict[str, str]:
    """The form with which a mended body is asked for, after it was looked at."""
    form = hans.get(f"{page}/mend").fields(body=body, step="look")
    return hans.post(f"{page}/mend", form).fields(body=body, step="ask", reason=REASON)


def test_what_its_sender_wrote_is_replayed_by_two_people_once(site: ConsoleSite, connection: Connection) -> None:
    page, hans, guro = letter(connection, BODY), site.browser(ACTS), site.browser(APPROVES)
    form = hans.get(hans.get(page).link("Replay as it is"))
    assert "as its sender wrote it" in form.words
    assert "it would order, area AAP, order 1 of case L1" in form.words
    assert records(connection) == []
    fields = form.fields(reason=REASON)
    shown = [hans.post(f"{page}/replay", fields) for _ in range(2)]
    (approval,) = {urlsplit(each.url).path for each in shown}
    assert (approval.startswith("/approvals/"), records(connection)) == (True, [])
    form = guro.get(approval)
    assert "it would order, area AAP, order 1 of case L1" in form.words
    assert "was appended to" in guro.post(f"{approval}/approve", form.fields()).words
    assert "replayed" in hans.get(page).words
    assert records(connection) == [BODY]
    assert [each for each in acts(connection) if each[0] == "replay dead letter"] == [("replay dead letter", HANS, GURO)]


def test_a_mended_letter_is_looked_at_asked_for_and_approved(site: ConsoleSite, connection: Connection) -> None:
    page, hans, guro = letter(connection, TORN), site.browser(ACTS), site.browser(APPROVES)
    form = hans.get(hans.get(page).link("Mend and replay"))
    assert "Ask for approval" not in form.words, "it has to be looked at first"
    shown = hans.post(f"{page}/mend", form.fields(body=BODY, step="look"))
    assert '"utbetaltBeløp":500}] put in: …' in shown.words
    assert '"utbetaltBeløp":500}]} so that it is: {' in shown.words
    assert "it would order, area AAP, order 1 of case L1" in shown.words
    asked = hans.post(f"{page}/mend", shown.fields(body=BODY, step="ask", reason=REASON))
    approval = urlsplit(asked.url).path
    assert (approval.startswith("/approvals/"), records(connection)) == (True, [])
    guro.post(f"{approval}/approve", guro.get(approval).fields())
    assert records(connection) == [BODY]
    assert [each for each in acts(connection) if each[0] == "replay dead letter"] == [("replay dead letter", HANS, GURO)]


def test_a_letter_without_a_key_is_given_one(site: ConsoleSite, connection: Connection) -> None:
    page, hans, guro = letter(connection, BODY, key=None), site.browser(ACTS), site.browser(APPROVES)
    form = hans.get(f"{page}/mend")
    assert "name a key to replay it under" in hans.get(f"{page}/replay").words
    assert hans.post(f"{page}/mend", form.fields(body=BODY, key="", step="look")).status == 400
    shown = hans.post(f"{page}/mend", form.fields(body=BODY, key="key of L1", step="look"))
    assert "under the key key of L1, as its sender wrote it" in shown.words
    approval = urlsplit(hans.post(f"{page}/mend", shown.fields(body=BODY, key="key of L1", step="ask", reason=REASON)).url).path
    guro.post(f"{approval}/approve", guro.get(approval).fields())
    assert (records(connection), keys(connection)) == ([BODY], ["key of L1"])


def test_a_key_that_its_sender_wrote_stays(site: ConsoleSite, connection: Connection) -> None:
    page, hans = letter(connection, TORN), site.browser(ACTS)
    form = hans.get(f"{page}/mend")
    assert 'name="key"' not in form.text
    assert "under the key k, with a mended body" in hans.post(f"{page}/mend", form.fields(body=BODY, key="another", step="look")).words


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"a": 1,\n "b": 2', "line 2, character 8"),
        (b'{"a" 1}', "line 1, character 6"),
        ("{}æ".encode(), "line 1, character 3"),
        (b'{"a": "\xff"}', "line 1, character 8"),
        (b"", "line 1, character 1"),
        (b"{}", ""),
    ],
    ids=["torn", "a colon", "more", "not UTF-8", "empty", "all is well"],
)
def test_a_letter_says_where_it_stops_being_json(site: ConsoleSite, connection: Connection, body: bytes, place: str) -> None:
    said = site.browser(LOOKS).get(letter(connection, body)).words
    assert (f"Stops being JSON {place} From" in said) == bool(place)
    assert ("Stops being JSON" in said) == bool(place)


def test_who_mends_sees_what_stands_around_the_place(site: ConsoleSite, connection: Connection) -> None:
    page = letter(connection, f"{'x' * 50}")
    mending = site.browser(ACTS).get(f"{page}/mend").words
    assert f"line 1, character 1: ▲ {'x' * 40} Body" in mending


def test_another_body_than_the_one_that_was_looked_at_is_not_asked_for(site: ConsoleSite, connection: Connection) -> None:
    page, hans = letter(connection, TORN), site.browser(ACTS)
    fields = looked_at(hans, page, BODY)
    shown = hans.post(f"{page}/mend", {**fields, "body": BODY.replace("500", "900")})
    assert (shown.status, "Nothing was done" in shown.words, "900 kr" in shown.words) == (409, True, True)
    assert hans.post(f"{page}/mend", {**fields, "body": TORN}).status == 400
    assert acts(connection) == []


def test_what_the_case_has_become_meanwhile_returns_the_form(site: ConsoleSite, connection: Connection, database: str) -> None:
    page, hans = letter(connection, BODY), site.browser(ACTS)
    fields = hans.get(f"{page}/replay").fields(reason=REASON)
    stage = CaseStage(database)
    stage.take(Scheme.AAP, BODY.encode())
    stage.close()
    shown = hans.post(f"{page}/replay", fields)
    assert (shown.status, "the message would wait" in shown.words) == (409, True)
    assert (records(connection), acts(connection)) == ([], [])


def test_a_letter_is_mended_only_by_who_may_see_persons(site: ConsoleSite, connection: Connection, database: str) -> None:
    page, live = letter(connection, TORN), site.browser(LOOKS)
    assert "Replay" not in live.get(page).words
    forged = {"csrf": live.csrf, "once": "made-up", "seen": "0" * 64, "reason": REASON, "body": BODY, "step": "ask"}
    for act in ("replay", "mend"):
        assert live.get(f"{page}/{act}").status == 403
        assert live.post(f"{page}/{act}", forged).status == 403
    hans = site.browser(ACTS)
    hans.get(f"{page}/mend")
    looks = [what for (what,) in connection.execute("SELECT what FROM console.looks ORDER BY look_no DESC LIMIT 2")]
    assert f"dead letter {page.rpartition('/')[2]}, with the persons in it" in looks
    connection.execute("UPDATE console.sessions SET roles = ARRAY['look', 'act'] WHERE person = %s", [HANS])
    assert hans.get(f"{page}/mend").status == 403
    assert "Mend" not in hans.get(page).words
    assert acts(connection) == []


@pytest.mark.parametrize("body", [b"\xff\xfe", b"", b"a\x00b", b"x" * 20_001], ids=["not UTF-8", "empty", "invisible", "long"])
def test_bytes_that_a_form_would_change_are_not_mended_in_one(site: ConsoleSite, connection: Connection, body: bytes) -> None:
    shown = site.browser(ACTS).get(f"{letter(connection, body)}/mend")
    assert (shown.status, "kvitt dead replay --body" in shown.words) == (409, True)


def test_a_closed_letter_is_not_replayed(site: ConsoleSite, connection: Connection) -> None:
    page, hans = letter(connection, BODY), site.browser(ACTS)
    fields = hans.get(f"{page}/replay").fields(reason=REASON)
    connection.execute("UPDATE dead_letters SET state = 'closed', closed_at = now(), closed_by = 'kari', note = 'a test of the sender'")
    assert "It can not be done: dead letter" in hans.get(f"{page}/replay").words
    assert hans.post(f"{page}/replay", fields).status == 409
    assert hans.get("/dead-letters/999999/replay").status == 404
    assert (records(connection), acts(connection)) == ([], [])
