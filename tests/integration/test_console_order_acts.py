"""Acts on an order in the console: asked for by one person and approved by another, or done at once where that is set (design §11, §17)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from kvitt.api.console import frame
from kvitt.disbursement.values import Scheme
from kvitt.errors import ResultUnknown
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import Connection, connect
from support.case_histories import CaseStage, aap
from support.console_stage import ACTS, APPROVES, LOOKS, ConsoleSite, console_site

HANS, GURO = "H100002", "G100003"
REASON = "the other case has ended"
NOWHERE = "00000000-0000-0000-0000-000000000000"
SPAN = [("2026-06-01", "2026-06-12", 500)]
_cases = count(1)


def newest(connection: Connection) -> str:
    (found,) = connection.execute("SELECT order_id::text FROM orders ORDER BY message_no DESC LIMIT 1").fetchone() or ("",)
    return str(found)


@pytest.fixture
def ready(cases: CaseStage, connection: Connection) -> str:
    """An order that has not left."""
    number = next(_cases)
    cases.take(Scheme.AAP, aap(f"O{number}", SPAN, payment=UUID(int=number, version=4)))
    return newest(connection)


@pytest.fixture
def sent(cases: CaseStage, ready: str) -> str:
    """An order that the rail has said nothing about."""
    cases.send()
    return ready


@pytest.fixture
def held(connection: Connection, cases: CaseStage, ready: str) -> str:
    """An order that two people have to look at."""
    reason = '[{"kind":"over_limit","text":"it pays more than its sender may"}]'
    connection.execute("UPDATE orders SET held_for = %s WHERE order_id = %s", [reason, ready])
    return ready


@pytest.fixture(scope="module")
def lone(conninfo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """A console of an installation in which one person takes orders back."""
    with console_site(conninfo, tmp_path_factory.mktemp("lone"), alone=["order withdraw"]) as made:
        yield made


def state(connection: Connection, order_id: str) -> str:
    (found,) = connection.execute("SELECT state FROM orders WHERE order_id = %s", [order_id]).fetchone() or ("",)
    return str(found)


def acts(connection: Connection, since: int) -> list[tuple[object, ...]]:
    """What the chain says was done behind an entry: what, by whom, and approved by whom."""
    query = "SELECT what, note::jsonb ->> 'by', note::jsonb ->> 'approved_by' FROM audit WHERE chain = 0 AND seq > %s ORDER BY seq"
    return connection.execute(query, [since]).fetchall()


def end_of_chain(connection: Connection) -> int:
    (found,) = connection.execute("SELECT coalesce(max(seq), 0) FROM audit WHERE chain = 0").fetchone() or (0,)
    return int(found)


def test_an_order_that_has_not_left_is_taken_back_by_two_people(site: ConsoleSite, connection: Connection, ready: str) -> None:
    hans, guro, before = site.browser(ACTS), site.browser(APPROVES), end_of_chain(connection)
    form = hans.get(hans.get(f"/orders/{ready}").link("Take back"))
    assert "1 line, check sum 500 kr, is ready and would be withdrawn" in form.words
    assert "its sender would hear that it failed: [409] Utbetalingen er trukket tilbake før den ble sendt" in form.words
    assert "It is done when another person approves it." in form.words
    approval = urlsplit(hans.post(f"/orders/{ready}/withdraw", form.fields(reason="sent twice by mistake")).url).path
    assert state(connection, ready) == "ready"
    guro.post(f"{approval}/approve", guro.get(approval).fields())
    assert state(connection, ready) == "withdrawn"
    assert acts(connection, before) == [("approval asked", HANS, None), ("withdraw", HANS, GURO), ("approval confirmed", HANS, GURO)]


def test_where_one_person_may_an_order_is_taken_back_at_once_and_once(lone: ConsoleSite, connection: Connection, ready: str) -> None:
    hans, before = lone.browser(ACTS), end_of_chain(connection)
    form = hans.get(hans.get(f"/orders/{ready}").link("Take back"))
    assert "It is done at once." in form.words
    assert state(connection, ready) == "ready", "what was looked at is taken back"
    fields = form.fields(reason="sent twice by mistake")
    with ThreadPoolExecutor(3) as threads:
        shown = list(threads.map(lambda _: hans.post(f"/orders/{ready}/withdraw", fields), range(3)))
    assert [(each.status, urlsplit(each.url).path) for each in shown] == [(200, f"/orders/{ready}")] * 3
    assert state(connection, ready) == "withdrawn"
    assert acts(connection, before) == [("withdraw", HANS, None)]


def test_a_double_click_asks_once(site: ConsoleSite, connection: Connection, held: str) -> None:
    hans, before = site.browser(ACTS), end_of_chain(connection)
    fields = hans.get(f"/orders/{held}/release").fields(reason=REASON)
    with ThreadPoolExecutor(3) as threads:
        shown = list(threads.map(lambda _: hans.post(f"/orders/{held}/release", fields), range(3)))
    assert len({each.url for each in shown}) == 1
    assert [what for what, *_ in acts(connection, before)] == ["approval asked"]


def test_what_changed_since_it_was_shown_is_shown_anew_and_not_done(site: ConsoleSite, connection: Connection, held: str) -> None:
    hans, before = site.browser(ACTS), end_of_chain(connection)
    pages = {act: hans.get(f"/orders/{held}/{act}").fields(reason=REASON) for act in ("release", "withdraw")}
    reason = '[{"kind":"over_limit","text":"it pays much more than its sender may"}]'
    connection.execute("UPDATE orders SET held_for = %s WHERE order_id = %s", [reason, held])
    for act, fields in pages.items():
        shown = hans.post(f"/orders/{held}/{act}", fields)
        assert (shown.status, "Nothing was done" in shown.words) == (409, True)
        assert f'value="{REASON}"' in shown.text, "what was typed stays"
    assert "it pays much more" in hans.post(f"/orders/{held}/release", pages["release"]).words
    assert (state(connection, held), acts(connection, before)) == ("ready", [])


@pytest.mark.parametrize("act", ["release", "resend", "withdraw"])
def test_an_act_that_can_not_be_done_says_why_and_is_not_done(site: ConsoleSite, connection: Connection, sent: str, act: str) -> None:
    hans, before = site.browser(ACTS), end_of_chain(connection)
    connection.execute("UPDATE orders SET state = 'accepted' WHERE order_id = %s", [sent])
    shown = hans.get(f"/orders/{sent}/{act}")
    assert "It can not be done" in shown.words
    assert "<button>" not in shown.text.partition("<main")[2]
    forged = {"csrf": hans.csrf, "once": "made-up", "seen": "0" * 64, "reason": REASON}
    assert hans.post(f"/orders/{sent}/{act}", forged).status == 409
    assert acts(connection, before) == []
    assert hans.get(f"/orders/{NOWHERE}/{act}").status == 404


@pytest.mark.parametrize("reason", ["", "no", "....."])
def test_an_act_without_a_reason_is_not_done(site: ConsoleSite, connection: Connection, ready: str, reason: str) -> None:
    hans = site.browser(ACTS)
    shown = hans.post(f"/orders/{ready}/withdraw", hans.get(f"/orders/{ready}/withdraw").fields(reason=reason))
    assert (shown.status, "must say why" in shown.words) == (400, True)
    assert state(connection, ready) == "ready"


def test_an_act_on_a_case_that_is_at_work_says_so_and_is_not_done(
    conninfo: str, lone: ConsoleSite, connection: Connection, ready: str
) -> None:
    hans, before = lone.browser(ACTS), end_of_chain(connection)
    fields = hans.get(f"/orders/{ready}/withdraw").fields(reason=REASON)
    with connect(conninfo) as other, other.transaction():
        other.execute("SELECT FROM cases WHERE case_no = (SELECT case_no FROM orders WHERE order_id = %s) FOR UPDATE", [ready])
        shown = hans.post(f"/orders/{ready}/withdraw", fields)
        assert (shown.status, "somebody else is at this right now" in shown.words) == (503, True)
    assert (state(connection, ready), acts(connection, before)) == ("ready", [])
    assert hans.post(f"/orders/{ready}/withdraw", fields).status == 200, "the same form acts once it can"
    assert state(connection, ready) == "withdrawn"


def test_an_outcome_that_is_not_known_is_said_so_with_where_to_look(
    lone: ConsoleSite, connection: Connection, ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def cut_off(on: Connection, kind: str = "", identity: str = "") -> Iterator[None]:
        with transaction(on, kind, identity):
            yield
        raise ResultUnknown(kind, identity)

    hans, before = lone.browser(ACTS), end_of_chain(connection)
    fields = hans.get(f"/orders/{ready}/withdraw").fields(reason=REASON)
    with monkeypatch.context() as patched:
        patched.setattr(frame, "transaction", cut_off)
        shown = hans.post(f"/orders/{ready}/withdraw", fields)
    assert (shown.status, "it is not known whether this was done" in shown.words) == (504, True)
    assert shown.link("Look whether it was done") == f"{lone.url}/orders/{ready}"
    assert hans.post(f"/orders/{ready}/withdraw", fields).url == f"{lone.url}/orders/{ready}", "the same form does nothing more"
    assert [what for what, *_ in acts(connection, before)] == ["withdraw"]


@pytest.mark.parametrize("act", ["release", "resend", "withdraw"])
def test_who_only_looks_acts_on_nothing(site: ConsoleSite, connection: Connection, held: str, act: str) -> None:
    live, before = site.browser(LOOKS), end_of_chain(connection)
    assert "Take back" not in live.get(f"/orders/{held}").text
    assert live.get(f"/orders/{held}/{act}").status == 403
    forged = {"csrf": live.csrf, "once": "made-up", "seen": "0" * 64, "reason": REASON, "role": "act"}
    assert live.post(f"/orders/{held}/{act}", forged).status == 403
    assert (state(connection, held), acts(connection, before)) == ("ready", [])
