"""What the pages of an order answer: was anybody paid twice, and where is an order of which nobody knows; and notes on a case."""

import re
from datetime import datetime
from html import unescape
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from kvitt.api.console.pages import orders
from kvitt.api.console.pages.order_whereabouts import causes
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import Connection
from support.case_histories import CaseStage, aap
from support.console_pages import HOSTILE
from support.console_stage import ACTS, APPROVES, LOOKS, ConsoleSite

SPAN = ("2026-06-01", "2026-06-12", 500)
ONE, OTHER = UUID(int=1, version=4), UUID(int=2, version=4)


def newest(connection: Connection) -> tuple[str, int]:
    """The newest order and its case."""
    found = connection.execute("SELECT order_id::text, case_no FROM orders ORDER BY message_no DESC LIMIT 1").fetchone()
    assert found
    return str(found[0]), int(str(found[1]))


@pytest.fixture(scope="module")
def twin(cases: CaseStage, connection: Connection) -> str:
    """An order that is held because it pays what another payment of the case pays already."""
    cases.take(Scheme.AAP, aap("P2", [SPAN], payment=ONE))
    cases.accept()
    both = [SPAN, ("2026-06-15", "2026-06-16", 600)]
    cases.take(Scheme.AAP, aap("P2", [both[0]], payment=ONE, also=[OTHER]))
    return newest(connection)[0]


def test_two_lines_that_pay_the_same_days_stand_side_by_side_with_what_differs(
    site: ConsoleSite, connection: Connection, twin: str
) -> None:
    looks = site.browser(LOOKS)
    assert twin in looks.get("/orders?held=twice").text
    page = looks.get(looks.get(f"/orders/{twin}").link("Does it pay anything twice?"))
    assert "01.06.2026 to 12.06.2026 : AAPOR twice" in page.words
    fields = dict(re.findall(r'<th scope="row">([^<]+)</th>.*?<td>(equal|differs)</td></tr>', page.text))
    assert (fields["Amount"], fields["From"], fields["Class code"]) == ("equal", "equal", "equal")
    assert (fields["Payment"], fields["Order"]) == ("differs", "differs")
    (first,) = connection.execute(
        "SELECT order_id::text FROM orders JOIN cases USING (case_no) WHERE case_id = 'P2' AND number = 1"
    ).fetchone() or ("",)
    assert f'href="/orders/{first}"' in page.text
    assert "What the rail said of these orders" in page.text


def test_a_released_twin_is_found_with_who_let_it_go(site: ConsoleSite, cases: CaseStage, connection: Connection, twin: str) -> None:
    hans, guro = site.browser(ACTS), site.browser(APPROVES)
    asked = hans.post(f"/orders/{twin}/release", hans.get(f"/orders/{twin}/release").fields(reason="both are wanted, says the sender"))
    guro.post(f"{asked.url}/approve", guro.get(asked.url).fields())
    cases.accept()
    released = site.browser(LOOKS).get("/orders/released")
    assert "both are wanted, says the sender" in released.words
    page = site.browser(LOOKS).get(released.link("side by side"))
    assert twin in page.url
    assert "AAPOR twice" in page.words
    assert re.search(r"release .* H100002 G100003 both are wanted", page.words)
    assert twin not in site.browser(LOOKS).get("/orders?held=twice").text


def test_orders_say_how_many_are_open_exactly_or_at_least(site: ConsoleSite, cases: CaseStage, connection: Connection) -> None:
    cases.accept()
    assert "Open:" not in site.browser(LOOKS).get("/orders").words
    cases.take(Scheme.AAP, aap("C1", [SPAN], payment=UUID(int=20, version=4)))
    page = site.browser(LOOKS).get("/orders")
    assert "Open: 1 ready or held, the oldest for" in page.words
    assert "AAP C1" in site.browser(LOOKS).get(page.link("1 ready")).words
    with connection.transaction():
        connection.execute(
            """INSERT INTO orders (order_id, case_no, number, area, person, message_no, state, message, correlation_time, correlation_key,
                                   is_first_order, made_at, day, sum_kroner)
               SELECT md5('many ' || n)::uuid, case_no, 1000 + n, 'AAP', '', message_no, 'sent', '', '',
                      sha256(convert_to(n::text, 'UTF8')), false, now(), current_date, 0
               FROM orders, generate_series(1, 1001) AS n WHERE state = 'ready'"""
        )
    assert "at least 1 000 sent" in site.browser(LOOKS).get("/orders").words
    connection.execute("DELETE FROM orders WHERE number > 1000")
    cases.accept()


@pytest.mark.parametrize("filters", ["state=sent", "state=sent&area=AAP", "state=sent&least=1", "state=sent&scheme=AAP&least=1"])
def test_open_orders_of_all_rails_are_paged_through_once_each_however_few_of_those_looked_through_fit(
    site: ConsoleSite, cases: CaseStage, connection: Connection, monkeypatch: pytest.MonkeyPatch, filters: str
) -> None:
    monkeypatch.setattr(orders, "_LOOKED_THROUGH", 60)
    cases.take(Scheme.AAP, aap("R1", [SPAN], payment=UUID(int=21, version=4)))
    many = """INSERT INTO orders (order_id, case_no, number, area, person, message_no, state, message, correlation_time, correlation_key,
                                  is_first_order, made_at, day, sum_kroner, rail)
              SELECT md5('rail ' || n)::uuid, case_no, 1000 + n, 'AAP', '', message_no + n / 2, 'sent', '', '',
                     sha256(convert_to('rail ' || n, 'UTF8')), false, now(), current_date, CASE WHEN n % 40 = 0 THEN 7 ELSE 0 END,
                     (ARRAY['oppdrag', 'another'])[n % 3 / 2 + 1]
              FROM orders, generate_series(1, 200) AS n WHERE state = 'ready'"""
    connection.execute(many)
    looks, found, path = site.browser(LOOKS), list[str](), f"/orders?{filters}"
    while path:
        page = looks.get(path)
        found += re.findall(r'<th scope="row"><a href="/orders/([0-9a-f-]+)">', page.text)
        older = re.search(r'rel="next" href="([^"]+)"', page.text)
        path = unescape(older[1]) if older else ""
    fits = "SELECT order_id::text FROM orders WHERE state = 'sent' AND sum_kroner >= %s ORDER BY message_no DESC, order_id DESC"
    assert found == [each for (each,) in connection.execute(fits, [1 if "least" in filters else 0])]
    connection.execute("DELETE FROM orders WHERE number > 1000")
    cases.accept()


def test_an_order_that_nobody_knows_of_has_four_causes_and_the_rail_is_asked_before_a_copy_is_sent(
    site: ConsoleSite, cases: CaseStage, connection: Connection
) -> None:
    cases.take(Scheme.AAP, aap("X1", [SPAN], payment=UUID(int=9, version=4)))
    cases.send()
    order_id, case = newest(connection)
    connection.execute("UPDATE orders SET state = 'unknown', was_unknown = true, sent_at = NULL WHERE order_id = %s", [order_id])
    hans = site.browser(ACTS)
    page = hans.get(hans.get(f"/orders/{order_id}").link("Where is it?"))
    for cause in (
        "It was never put on the queue.",
        "It lies on the back-out queue.",
        "The receipt was lost.",
        "The receipt went to another queue",
    ):
        assert cause in page.words
    assert "kvitt can not look into it" in page.words
    connection.execute(
        """INSERT INTO receipts (rail, message_id, digest, body, received_at, outcome, note)
           VALUES ('oppdrag', 'stray', sha256('s'), 's', now(), 'unmatched', 'of nobody')"""
    )
    assert "Receipts that settle no order here, newest first" in hans.get(page.url).words
    assert page.words.index("Ask the rail whether it has the order before anything else is done") < page.words.index("Send once more")
    assert "Send once more" not in hans.get(f"/orders/{order_id}").text
    connection.execute(
        "INSERT INTO queue.message (queue, message_id, body, reply_to, priority) VALUES ('requests', %s, 'x', 'replies', 4)", [order_id]
    )
    since = datetime.now(ZoneInfo("Europe/Oslo")).strftime("%d.%m.%Y")
    said = rf"It was never put on the queue\. ● it is not that .* the queue has had it since {since} \d\d:\d\d:\d\d\."
    assert re.search(said, hans.get(page.url).words), "as all times of the page are written"
    connection.execute(
        "INSERT INTO queue.message (queue, message_id, body, reply_to, priority) VALUES ('requests.dlq', %s, 'x', 'replies', 4)", [order_id]
    )
    assert "it does: on requests.dlq" in hans.get(page.url).words
    noted = hans.post(f"/cases/{case}/notes", page.fields(text="the rail has not got it, says Ola"))
    assert noted.url.endswith(f"/orders/{order_id}/whereabouts")
    assert "the rail has not got it, says Ola" in noted.words
    assert "the rail has not got it, says Ola" in hans.get(f"/cases/{case}").words
    overview = site.browser(LOOKS).get("/")
    assert re.search(rf"AAP X1 {ACTS}, \d+ s ago", overview.words), "who is on it stands beside what needs a person"
    assert "says Ola" not in overview.words
    connection.execute("UPDATE orders SET state = 'sent' WHERE order_id = %s", [order_id])


def test_the_four_causes_say_what_is_known_of_each() -> None:
    assert [each.is_out for each in causes([], [], [], has_table=True)] == [False, True, False, False]
    assert [each.is_out for each in causes([], [], [], has_table=False)] == [False] * 4


def test_a_note_is_no_act_is_text_whatever_it_says_and_once_however_often_it_is_sent(
    site: ConsoleSite, connection: Connection, cases: CaseStage
) -> None:
    cases.take(Scheme.AAP, aap("N1", [SPAN], payment=UUID(int=10, version=4)))
    _, case = newest(connection)
    hans, before = site.browser(ACTS), connection.execute("SELECT count(*) FROM audit WHERE chain = 0").fetchone()
    form = hans.get(f"/cases/{case}").fields(text=f"{HOSTILE[:100]} I am on it, 01020312345")
    for _ in range(2):
        assert hans.post(f"/cases/{case}/notes", form).url == f"{site.url}/cases/{case}"
    page = hans.get(f"/cases/{case}")
    assert page.text.count("I am on it") == 1
    assert "<script>alert" not in page.text
    assert "01020312345" not in page.text, "a person in a note is masked as elsewhere"
    assert connection.execute("SELECT count(*) FROM audit WHERE chain = 0").fetchone() == before
    assert hans.send(f"/cases/{case}/notes", once="1", text="").status == 400
    assert hans.send(f"/cases/{case}/notes", once="2", text="x", order="nonsense").status == 400
    assert hans.send(f"/cases/{case}/notes", once="3", text="x", order="00000000-0000-0000-0000-000000000000").status == 400
    assert hans.send("/cases/999999/notes", once="4", text="x").status == 404
    assert site.browser(LOOKS).send(f"/cases/{case}/notes", once="5", text="x").status == 403
    assert "Leave the note" not in site.browser(LOOKS).get(f"/cases/{case}").text
