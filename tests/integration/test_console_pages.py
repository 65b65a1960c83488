"""What the console's pages show, to whom: all of it as text, persons to nobody who has not asked for them, and each look noted."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from kvitt.api.console.pages import PAGES
from kvitt.api.people.masking import MASK
from kvitt.kernel.database import Connection, connect
from support.console_pages import HOSTILE, live_with_hostile_text, paths
from support.console_stage import ACTS, APPROVES, LOOKS, Browser, ConsoleSite, console_site


@pytest.fixture(scope="module")
def conninfo(conninfo: str) -> str:
    live_with_hostile_text(conninfo)
    return conninfo


@pytest.fixture(scope="module")
def browser(site: ConsoleSite) -> Browser:
    """That of an approver, who has every role."""
    return site.browser(APPROVES)


def case_no(connection: Connection, case_id: str) -> int:
    (found,) = connection.execute("SELECT case_no FROM cases WHERE case_id = %s", [case_id]).fetchone() or (0,)
    return int(found)


def looks(connection: Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT name, what, case_id FROM kvitt_views.looks ORDER BY look_no").fetchall()


def test_every_page_is_there_and_shows_what_others_wrote_as_text(browser: Browser, connection: Connection) -> None:
    shown = {path: browser.get(path) for path in paths(connection)}
    assert {path: page.status for path, page in shown.items() if page.status != 200} == {}
    for path, page in shown.items():
        assert "<script>alert" not in page.text, path
        assert "<img" not in page.text, path
        assert not re.search(r"<[^>]*\sonerror=", page.text), path
        assert "\u202e" not in page.text, path
        assert "{{7*7}}" in page.text or "7*7" not in page.text, path
    hostile = [path for path, page in shown.items() if "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text]
    kinds = {re.sub(r"/(\d+|[0-9a-f-]{36})$", "/…", urlsplit(path).path) for path in hostile}
    assert kinds >= {"/", "/dead-letters", "/dead-letters/…", "/jobs", "/audit", "/cases/…", "/orders/…", "/messages/…", "/receipts/…"}
    assert '<option value="">' in shown["/orders"].text
    assert "<em>" not in "".join(page.text for page in shown.values())


def test_a_page_that_the_browser_has_is_not_read_again_and_one_with_a_form_says_only_that_it_has_changed(
    browser: Browser, connection: Connection
) -> None:
    """Whoever is at a form is not disturbed, and neither is a look noted."""
    found = {True: set[str](), False: set[str]()}
    for path in paths(connection):
        text = browser.get(path).text
        version, tells = text.partition('data-version="')[2].partition('"')[0], " data-tells hidden>" in text
        if not version:
            continue
        found[tells].add(re.sub(r"[0-9a-f-]{36}|\d+|\?.*", "", path))
        before = looks(connection)
        assert browser.get(path, follow=False, headers={"kvitt-live": unescape(version)}).status == 304, path
        assert looks(connection) == before, path
        assert browser.get(path, follow=False, headers={"kvitt-live": "another"}).status == (204 if tells else 200), path
        assert not tells or looks(connection) == before, path
    assert found[False] >= {
        "/orders/",
        "/cases/",
        "/cases//timeline",
        "/cases//audit",
        "/receipts/",
        "/dead-letters/",
        "/simulations/",
        "/failures",
    }
    assert found[False] >= {"/requests", "/orders//twins", "/orders//whereabouts", "/cases//person", "/messages/"}
    assert found[True] >= {"/approvals/", "/orders//release", "/dead-letters//replay", "/dead-letters//close", "/receipts//close"}


def test_a_store_with_nothing_in_it_has_every_page(database: str, tmp_path: Path) -> None:
    with console_site(database, tmp_path) as empty, connect(database) as connection:
        browser = empty.browser(APPROVES)
        assert {path: status for path in paths(connection) if (status := browser.get(path).status) != 200} == {}
        assert "Nothing needs a person" in browser.get("/").words


def test_the_list_of_paths_has_a_path_of_every_page(connection: Connection) -> None:
    asked = [urlsplit(each).path for each in paths(connection)]
    for page in PAGES:
        pattern = re.sub(r"\{\w+:\w+\}", "[0-9a-f-]+", page.path)
        assert page.posted or any(re.fullmatch(pattern, path) for path in asked), page.path


@pytest.mark.parametrize("person", [LOOKS, ACTS, APPROVES])
def test_no_page_shows_whose_a_case_is_to_who_has_not_asked(site: ConsoleSite, connection: Connection, person: str) -> None:
    persons = {str(each) for (each,) in connection.execute("SELECT person FROM cases UNION SELECT ordered_for FROM cases") if each}
    assert persons
    browser = site.browser(person)
    for path in paths(connection):
        text = browser.get(path).text
        assert not [each for each in persons if each in text], path
    (order_id,) = connection.execute("SELECT order_id FROM orders LIMIT 1").fetchone() or ("",)
    assert MASK in browser.get(f"/orders/{order_id}").text, "the order's bytes name a person"


def test_who_may_sees_the_person_of_the_case_they_asked_for_and_of_no_other(site: ConsoleSite, connection: Connection) -> None:
    asked, other = case_no(connection, "A1"), case_no(connection, "T1")
    (person,) = connection.execute("SELECT ordered_for FROM cases WHERE case_no = %s", [asked]).fetchone() or ("",)
    browser, second = site.browser(ACTS), site.browser(ACTS)
    before = len(looks(connection))
    shown = browser.send(f"/cases/{asked}/reveal")
    assert shown.url == f"{site.url}/cases/{asked}"
    assert str(person) in shown.text
    (order_id,) = connection.execute("SELECT order_id FROM orders WHERE case_no = %s LIMIT 1", [asked]).fetchone() or ("",)
    assert str(person) in browser.get(f"/orders/{order_id}").text
    assert str(person) not in browser.get(f"/cases/{other}").text
    assert str(person) not in second.get(f"/cases/{asked}").text, "another session, though of the same person"
    assert looks(connection)[before:] == [
        (ACTS, "asked to see the person", "A1"),
        (ACTS, "case, with the person", "A1"),
        (ACTS, f"order {order_id}, with the person", "A1"),
        (ACTS, "case", "T1"),
        (ACTS, "case", "A1"),
    ]
    assert "asked to see the person" in site.browser(APPROVES).get("/looks").words
    assert site.browser(ACTS).get("/looks").status == 403
    assert browser.send("/cases/999999/reveal").status == 404


def test_a_search_leads_to_the_one_thing_and_lists_several(browser: Browser, connection: Connection) -> None:
    (order_id, line_id, payment_id) = connection.execute(
        "SELECT o.order_id::text, l.line_id, l.payment_id::text "
        "FROM orders AS o JOIN order_lines AS l USING (order_id) JOIN cases AS c USING (case_no) "
        "WHERE c.case_id = 'T1' ORDER BY o.number DESC LIMIT 1"
    ).fetchone() or ("", "", "")
    assert urlsplit(browser.send("/search", q="T1").url).path == f"/cases/{case_no(connection, 'T1')}"
    assert urlsplit(browser.send("/search", q=str(order_id)).url).path == f"/orders/{order_id}"
    assert urlsplit(browser.send("/search", q=str(order_id)[:13]).url).path == f"/orders/{order_id}"
    assert urlsplit(browser.send("/search", q=str(line_id)).url).path == f"/orders/{order_id}"
    assert urlsplit(browser.send("/search", q=f" {payment_id} ").url).path == f"/cases/{case_no(connection, 'T1')}"
    several = browser.send("/search", q="A")
    assert urlsplit(several.url).path == "/search"
    assert {"AAP A1", "AAP A3"} <= set(re.findall(r"AAP A\d", several.words))
    nothing = browser.send("/search", q="%")
    assert "Nothing was found for “%”" in nothing.words
    assert "ids of cases, lines, payouts and parties, and keys of ledger accounts, by their beginning" in nothing.words
    assert urlsplit(browser.send("/search", q=str(line_id)[:12]).url).path == f"/orders/{order_id}"
    assert "1" in browser.send("/search", q="1").words
    for odd in (HOSTILE, "x" * 100, "\u202eabc", "99999999999999999999", "_", "\\"):
        shown = browser.send("/search", q=odd)
        assert (shown.status, "<script>alert" in shown.text) == (200, False), odd


def test_a_person_is_searched_by_a_form_and_never_stands_in_an_address(site: ConsoleSite, connection: Connection) -> None:
    number = case_no(connection, "T1")
    (person,) = connection.execute("SELECT ordered_for FROM cases WHERE case_no = %s", [number]).fetchone() or ("",)
    typed, before = f"{str(person)[:6]} {str(person)[6:]}", len(looks(connection))
    assert "Nothing was found" in site.browser(LOOKS).send("/search", q=typed).words, "who may not see persons finds none"
    assert "whom your groups do not let you search by" in site.browser(LOOKS).send("/search", q=typed).words
    assert looks(connection)[before:] == []
    browser = site.browser(ACTS)
    assert "nothing was looked for" in browser.send("/search", q="9" * 4_000).words
    shown = browser.send("/search", q=typed)
    assert "T1" in shown.words
    assert str(person) not in shown.url
    assert str(person) not in shown.text
    assert looks(connection)[before][:2] == (ACTS, "searched for a person")
    assert "T1" in browser.get(f"/cases/{number}/person").words
    assert str(person) not in browser.get(f"/search?q={person}").text


def test_what_is_typed_into_a_filter_is_sent_and_never_leads_to_an_address_with_a_person(browser: Browser, connection: Connection) -> None:
    typed, form = re.compile(r'<input name="\w+" (?!type="date")'), re.compile(r'<form[^>]*method="get".*?</form>', re.DOTALL)
    shown = {path: browser.get(path).text for path in paths(connection)}
    assert [path for path, text in shown.items() if any(typed.search(each) for each in form.findall(text))] == []
    filtered = browser.send("/filter", to="/orders", area="AAP", scheme="", least="100")
    assert (filtered.url.removeprefix(browser.url), filtered.status) == ("/orders?area=AAP&least=100", 200)
    for person in ("01020312345", "010203 12345", "AAP 01020312345"):
        refused = browser.send("/filter", to="/orders", area=person)
        assert (refused.url.removeprefix(browser.url), refused.status) == ("/filter", 400)
        assert "area looks like a person, who stands in no address" in refused.words
        for path in ("/orders", "/orders.csv", "/cases/1", "/"):
            by_hand = browser.get(f"{path}?{urlencode({'area': person})}")
            assert (by_hand.status, person in by_hand.text) == (400, False), path
    assert browser.send("/filter", to="https://elsewhere.example/", area="AAP").status == 400
    assert browser.send("/filter", to="//elsewhere.example", area="AAP").status == 400


def test_a_message_is_found_by_its_key_unless_that_looks_like_a_person_who_may_not_be_seen(
    site: ConsoleSite, browser: Browser, connection: Connection
) -> None:
    newest = "SELECT message_no, convert_from(key, 'UTF8') FROM messages ORDER BY message_no DESC LIMIT 1"
    message_no, key = connection.execute(newest).fetchone() or (0, "")
    assert urlsplit(browser.send("/search", q=str(key)).url).path == f"/messages/{message_no}"
    with connection.transaction():
        connection.execute("UPDATE messages SET key = '01020312345' WHERE message_no = %s", [message_no])
    assert "Nothing was found" in site.browser(LOOKS).send("/search", q="01020312345").words
    assert f"message {message_no}" in site.browser(ACTS).send("/search", q="01020312345").words
    connection.execute("UPDATE messages SET key = convert_to(%s, 'UTF8') WHERE message_no = %s", [key, message_no])


def test_what_waits_for_its_turn_needs_no_person(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        before = connection.execute("SELECT what FROM kvitt_views.attention").fetchall()
        connection.execute("UPDATE messages SET state = 'queued' WHERE message_no = (SELECT min(message_no) FROM messages)")
        assert connection.execute("SELECT count(*) FROM kvitt_views.stuck WHERE what = 'message queued'").fetchone() == (1,)
        assert connection.execute("SELECT what FROM kvitt_views.attention").fetchall() == before


def test_a_list_is_paged_through_without_leaving_out_or_doubling_any(
    browser: Browser, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kvitt.api.console import frame
    from kvitt.api.console.pages import orders

    monkeypatch.setattr(frame, "PAGE_ROWS", 3)
    monkeypatch.setattr(orders, "_LOOKED_THROUGH", 2)
    there = {str(each) for (each,) in connection.execute("SELECT order_id FROM orders")}
    assert len(there) > 6
    for start in ("/orders", "/orders?state=accepted"):
        found, path = [], start
        while True:
            page = browser.get(path)
            found += re.findall(r'<th scope="row"><a href="/orders/([0-9a-f-]+)"', page.text)
            if not re.search(r'rel="next"', page.text):
                break
            path = page.link("Older")
        wanted = (
            there
            if start == "/orders"
            else {str(each) for (each,) in connection.execute("SELECT order_id FROM orders WHERE state = 'accepted'")}
        )
        assert len(found) == len(set(found))
        assert set(found) == wanted
    assert browser.get("/orders?after=nowhere").status == 400


def test_an_entry_of_the_audit_has_an_address_of_its_own(browser: Browser) -> None:
    *_, (address, number) = re.findall(r'<a href="(/audit\?after=\d+#act-\d+)">(\d+)</a>', browser.get("/audit").text)
    first = re.search(r'<th scope="row" class="number" id="([^"]+)">', browser.get(address).text)
    assert first, address
    assert (first[1], urlsplit(address).fragment) == (f"act-{number}", f"act-{number}")


def test_an_entry_that_was_changed_is_seen_while_the_chain_is_read(browser: Browser, connection: Connection) -> None:
    assert "were verified while you read" in browser.get("/audit").words
    with connection.transaction(force_rollback=False):
        connection.execute("UPDATE audit SET what = what || '!' WHERE chain = 0 AND seq = 1")
    try:
        shown = browser.get("/audit")
        assert "The chain is broken at" in shown.words
    finally:
        connection.execute("UPDATE audit SET what = left(what, -1) WHERE chain = 0 AND seq = 1")
    assert "were verified while you read" in browser.get("/audit").words


@pytest.mark.parametrize(
    "path",
    [
        *("/cases/999999", "/orders/00000000-0000-0000-0000-000000000000", "/messages/999999", "/receipts/999999", "/dead-letters/999999"),
        *("/cases/x", "/orders/x", "/cases/99999999999999999999999", "/cases/-1", "/wp-admin"),
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(browser: Browser, path: str) -> None:
    shown = browser.get(path)
    assert shown.status in (400, 404), shown.words
    assert "To the overview" in shown.words


def test_a_page_says_where_it_is_and_whose_rail_it_looks_at(conninfo: str, browser: Browser, tmp_path: Path) -> None:
    assert "<strong>demo</strong> · the rail is played by the emulator" in browser.get("/").text
    with console_site(conninfo, tmp_path, emulator=False) as real:
        assert "the rail is real" in real.browser().get("/login").text
