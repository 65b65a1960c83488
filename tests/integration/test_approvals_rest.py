"""Approvals over REST: the same as on pages and by commands, for the same people (design §11, §17)."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from uuid import UUID

import httpx
import jwt
import pytest

from kvitt.api.people.claims import ISSUER
from kvitt.api.rest.local_issuer import Behind
from kvitt.app.apis import Apis
from kvitt.app.ports import PORTS
from kvitt.app.roles import roles_of
from kvitt.console_settings import ConsoleSettings
from kvitt.disbursement.approvable import OrderDecided, order_acts
from kvitt.disbursement.values import Scheme
from kvitt.errors import BadSettings
from kvitt.kernel.approvals import Approval, Approvals
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.operators import Operator, PersonAtIssuer
from kvitt.settings import RestSettings, Settings
from kvitt.testing import TestServer
from support.case_histories import CaseStage, aap
from support.console_stage import APPROVES, ConsoleSite, console_site
from support.rest_stage import Site, rest_site

SPAN = [("2026-06-01", "2026-06-12", 500)]
HANS, GURO = "H100002", "G100003"
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
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("people")


@pytest.fixture(scope="module")
def rest(conninfo: str, data: Path) -> Iterator[Site]:
    with rest_site(conninfo, data) as made:
        yield made


@pytest.fixture(scope="module")
def console(conninfo: str, data: Path) -> Iterator[ConsoleSite]:
    with console_site(conninfo, data) as made:
        yield made


def caller(rest: Site, person: str | None, *groups: str) -> httpx.Client:
    return rest.hub.rest.client(behind=Behind(person=person, groups=groups))


def asked(stage: CaseStage, connection: Connection, by: str = HANS, known: PersonAtIssuer | None = None) -> Approval:
    """An approval of a decision about an order that the rail has said nothing about."""
    number = next(_cases)
    stage.take(Scheme.AAP, aap(f"AR{number}", SPAN, payment=UUID(int=number, version=4)))
    stage.send()
    (order_id,) = connection.execute("SELECT order_id::text FROM orders ORDER BY message_no DESC LIMIT 1").fetchone() or ("",)
    approvals = Approvals(connection, utc_now, order_acts(utc_now, PORTS))
    known = known or PersonAtIssuer(ISSUER, "Hans Handling")
    return approvals.ask("order decide", OrderDecided(str(order_id), accepted=True), Operator(by, "the bank said 01017012345"), known)


def order_state(connection: Connection, approval: Approval) -> str:
    (found,) = connection.execute("SELECT state FROM orders WHERE order_id = %s", [approval.subject]).fetchone() or ("",)
    return str(found)


def path(approval: Approval, what: str = "") -> str:
    return f"/approvals/{approval.approval_no}{what}"


def test_another_person_sees_what_was_asked_for_and_confirms_what_they_saw(rest: Site, stage: CaseStage, connection: Connection) -> None:
    approval = asked(stage, connection)
    with caller(rest, GURO, "approve") as guro:
        listed = guro.get("/approvals", params={"in_state": "asked"}).json()
        assert "approvals" in listed, listed
        assert listed["approvals"][0]["approval_no"] == approval.approval_no
        shown = guro.get(path(approval)).json()
        assert (shown["act"], shown["asked_by"], shown["asked_name"], shown["is_mine"]) == ("order decide", HANS, "Hans Handling", False)
        assert "would be accepted" in shown["now"]["text"]
        assert "01017012345" not in shown["reason"]
        looks = "SELECT person, case_no IS NOT NULL FROM console.looks WHERE what = %s"
        assert connection.execute(looks, [f"approval {approval.approval_no}, over REST"]).fetchone() == (GURO, True)
        assert guro.post(path(approval, "/confirm"), json={"seen": "0" * 16}).status_code == 409
        assert order_state(connection, approval) == "sent"
        done = guro.post(path(approval, "/confirm"), json={"seen": shown["now"]["code"]})
        assert (done.status_code, done.json()["state"], done.json()["decided_by"]) == (200, "confirmed", GURO)
        assert order_state(connection, approval) == "accepted"
        again = guro.post(path(approval, "/confirm"), json={"seen": shown["now"]["code"]})
        assert (again.status_code, again.json()["code"]) == (409, "not_in_that_state")


def test_a_repeat_under_a_key_is_done_once(rest: Site, stage: CaseStage, connection: Connection) -> None:
    approval = asked(stage, connection)
    with caller(rest, GURO, "approve") as guro:
        said = [
            guro.post(path(approval, "/confirm"), json={"seen": approval.basis.hex()}, headers={"idempotency-key": "k-1"}) for _ in range(2)
        ]
    assert [each.json()["state"] for each in said] == ["confirmed", "confirmed"]


def test_nobody_confirms_what_they_asked_for_here_or_on_a_page(
    rest: Site, console: ConsoleSite, stage: CaseStage, connection: Connection
) -> None:
    on_page = asked(stage, connection, GURO, PersonAtIssuer(ISSUER, APPROVES))
    with rest.hub.rest.client(behind=Behind(person=GURO, groups=["approve", "act"])) as guro:
        assert guro.get(path(on_page)).json()["is_mine"] is True
        mine = guro.post(path(on_page, "/confirm"), json={"seen": on_page.basis.hex()})
        assert (mine.status_code, mine.json()["code"]) == (403, "needs_second_person")
    assert order_state(connection, on_page) == "sent"
    shown = console.browser(APPROVES).get(path(on_page))
    assert "another person approves it" in shown.words
    with caller(rest, "H100009", "approve") as other:
        assert other.post(path(on_page, "/confirm"), json={"seen": on_page.basis.hex()}).json()["state"] == "confirmed"


def test_who_may_not_approve_learns_of_no_approval_but_their_own(rest: Site, stage: CaseStage, connection: Connection) -> None:
    own, other = asked(stage, connection), asked(stage, connection, "K100001", PersonAtIssuer(ISSUER, "Kari"))
    with caller(rest, HANS, "act") as hans:
        listed = [each["approval_no"] for each in hans.get("/approvals").json()["approvals"]]
        assert own.approval_no in listed
        assert other.approval_no not in listed
        hidden, missing = hans.get(path(other)), hans.get("/approvals/999999")
        assert (hidden.status_code, missing.status_code) == (404, 404)
        assert hidden.json()["detail"].replace(str(other.approval_no), "N") == missing.json()["detail"].replace("999999", "N")
        for what, body in (("/confirm", {"seen": other.basis.hex()}), ("/refuse", {"reason": "not mine to say"})):
            assert hans.post(path(other, what), json=body).status_code == 404
        forged = hans.post(path(own, "/confirm"), json={"seen": own.basis.hex()})
        assert (forged.status_code, forged.json()["code"]) == (403, "not_permitted")
        assert hans.post(path(own, "/refuse"), json={"reason": "  "}).status_code == 400
        assert hans.post(path(own, "/refuse"), json={"reason": "asked for too soon"}).json()["state"] == "refused"
    assert order_state(connection, other) == "sent"


@pytest.mark.parametrize(
    "behind",
    [Behind(), Behind(machine=True), Behind(person=GURO), Behind(person=GURO, groups=["strangers"])],
    ids=["an application", "a machine", "no groups", "no role"],
)
def test_only_people_with_a_role_are_let_in(rest: Site, stage: CaseStage, connection: Connection, behind: Behind) -> None:
    approval = asked(stage, connection)
    with rest.hub.rest.client(behind=behind) as client:
        assert client.get("/approvals").status_code == 403
        assert client.get(path(approval)).status_code == 403
        assert client.post(path(approval, "/confirm"), json={"seen": approval.basis.hex()}).status_code == 403
    assert httpx.get(f"{rest.url}/approvals", trust_env=False).status_code == 401
    assert order_state(connection, approval) == "sent"


def test_a_token_that_is_over_an_hour_old_acts_no_more(rest: Site) -> None:
    made = datetime.now(UTC) - timedelta(minutes=61)
    claims = {"iss": "kvitt-local", "aud": "kvitt", "azp": "tests", "NAVident": GURO, "groups": ["approve"]}
    key = rest.issuer._key
    token = jwt.encode({**claims, "iat": made, "exp": made + timedelta(hours=8)}, key, algorithm="EdDSA", headers={"kid": "local"})
    answer = httpx.get(f"{rest.url}/approvals", headers={"authorization": f"Bearer {token}"}, trust_env=False)
    assert (answer.status_code, "too long ago" in answer.json()["detail"]) == (403, True)


def test_a_list_goes_on_where_the_page_before_ended(rest: Site, stage: CaseStage, connection: Connection) -> None:
    made = [asked(stage, connection).approval_no for _ in range(3)]
    with caller(rest, GURO, "approve") as guro:
        first = guro.get("/approvals", params={"limit": 2}).json()
        behind = guro.get("/approvals", params={"limit": 2, "after": first["next"]}).json()
        assert [each["approval_no"] for each in (*first["approvals"], *behind["approvals"])][:3] == made[::-1]
        assert guro.get("/approvals", params={"after": "nonsense"}).status_code == 400
        assert guro.get("/approvals/01").status_code == 400


def test_approvals_are_offered_where_rest_and_console_know_the_same_people() -> None:
    apart = Settings(rest=RestSettings(issuer="https://one"), console=ConsoleSettings(issuer="https://another"))
    assert "approvals" not in roles_of(apart)
    assert "approvals" not in roles_of(Settings(database_url="dbname=kvitt"))
    assert "approvals" in roles_of(Settings())
    with pytest.raises(BadSettings, match="both name one issuer"):
        Apis("dbname=kvitt", apart, ["approvals"], threading.Event(), ports=PORTS)
