"""Who approves what is about much has proved who they are within minutes: on pages, by commands and over REST (design §11, §17)."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count, product
from uuid import UUID

import pytest
from msgspec import json
from msgspec.structs import replace

from kvitt.api.people.approving import StepUp, amount_of
from kvitt.api.people.claims import ConsolePerson
from kvitt.app.ports import PORTS
from kvitt.disbursement.approvable import OrderDecided, order_acts
from kvitt.disbursement.values import Scheme
from kvitt.kernel.approvals import Approval, Approvals
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator, PersonAtIssuer
from kvitt.ledger.transfer import Transfer
from kvitt.payouts.approvable import PayoutNamed, party_act, payout_acts
from support.case_histories import CaseStage, aap
from support.console_stage import ConsoleSite, console_site
from support.logged_in import OLA, Workplace, workplace
from support.oidc_issuer import ISSUER_NAME
from support.payout_stage import payout_stage, wanted

SPAN = [("2026-06-01", "2026-06-12", 500)]
LONG_AGO, NOW = -6 * 60, -10
_cases = count(1)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    with workplace(tmp_path_factory.mktemp("workplace")) as made:
        with (made.directory / "kvitt.toml").open("a", encoding="utf-8") as file:
            file.write("\n[console.step_up]\nNOK = 5000\n")
        yield made


@pytest.fixture(scope="module")
def site(conninfo: str, at: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    given = replace(at.settings, step_up={"NOK": 5000})
    with console_site(conninfo, tmp_path_factory.mktemp("console"), settings=given) as made:
        yield made


@pytest.fixture
def approval(cases: CaseStage, connection: Connection) -> Approval:
    """What somebody asks for about 5000 kroner."""
    return asked(cases, connection, 5000)


def asked(cases: CaseStage, connection: Connection, kroner: int) -> Approval:
    """What somebody asks for about an order of so much."""
    number = next(_cases)
    cases.take(Scheme.AAP, aap(f"U{number}", SPAN, payment=UUID(int=number, version=4)))
    cases.send()
    (order_id,) = connection.execute("SELECT order_id::text FROM orders ORDER BY message_no DESC LIMIT 1").fetchone() or ("",)
    connection.execute("UPDATE order_lines SET amount = %s, end_on = start_on WHERE order_id = %s", [kroner, order_id])
    approvals = Approvals(connection, utc_now, order_acts(utc_now, PORTS))
    kari = PersonAtIssuer(ISSUER_NAME, "Kari Nordmann")
    return approvals.ask("order decide", OrderDecided(str(order_id), accepted=True), Operator("Z990001", "the bank said so"), kari)


def order_state(connection: Connection, approval: Approval) -> str:
    (found,) = connection.execute("SELECT state FROM orders WHERE order_id = %s", [approval.subject]).fetchone() or ("",)
    return str(found)


@pytest.mark.parametrize("auth_time", [LONG_AGO, None, 3600], ids=["long ago", "not said", "to come"])
def test_an_approver_on_a_page_logs_in_anew_and_comes_back(
    at: Workplace, site: ConsoleSite, connection: Connection, approval: Approval, auth_time: int | None
) -> None:
    claims = {} if auth_time is None else {"auth_time": int(time.time()) + auth_time}
    browser, path = at.browser(site, OLA, "approving", **claims), f"/approvals/{approval.approval_no}"
    shown = browser.get(path)
    assert "<button>Approve" not in shown.text
    refused = browser.post(f"{path}/approve", shown.fields(seen=approval.basis.hex()))
    assert (refused.status, "log in anew" in refused.words) == (403, True)
    assert order_state(connection, approval) == "sent"
    link = shown.link("Log in anew, and come back").removeprefix(site.url)
    back = at.logs_in(browser, link, OLA, "approving", auth_time=int(time.time()) + NOW)
    assert at.issuer.asked["max_age"] == "300"
    assert back.url == f"{site.url}{path}"
    browser.post(f"{path}/approve", back.fields())
    assert order_state(connection, approval) == "accepted"


def test_an_approver_by_a_command_logs_in_anew(at: Workplace, conninfo: str, connection: Connection, approval: Approval) -> None:
    for claims in ({}, {"auth_time": int(time.time()) + LONG_AGO}):
        old = at.acts(conninfo, at.token(OLA, "approving", **claims), "approve", "yes", approval.approval_no)
        assert (old.returncode, "login_too_old" in old.stderr) == (2, True)
    assert order_state(connection, approval) == "sent"
    fresh = at.token(OLA, "approving", auth_time=int(time.time()) + NOW)
    assert at.acts(conninfo, fresh, "approve", "yes", approval.approval_no).returncode == 0
    assert order_state(connection, approval) == "accepted"


def test_an_act_about_less_is_approved_by_who_logged_in_earlier(
    at: Workplace, conninfo: str, connection: Connection, cases: CaseStage
) -> None:
    approval = asked(cases, connection, 4999)
    assert at.acts(conninfo, at.token(OLA, "approving"), "approve", "yes", approval.approval_no).returncode == 0


@pytest.mark.parametrize(
    ("rate_type", "first", "last", "times"),
    [
        ("weekday", date(2026, 6, 1), date(2026, 6, 12), 10),
        ("weekday", date(2026, 6, 5), date(2026, 6, 8), 2),
        ("weekday", date(2026, 6, 6), date(2026, 6, 7), 0),
        ("day", date(2026, 6, 5), date(2026, 6, 8), 4),
        ("month", date(2026, 6, 1), date(2026, 6, 30), 1),
        ("month", date(2026, 6, 1), date(2026, 7, 31), 2),
        ("one_off", date(2026, 6, 1), date(2026, 6, 30), 1),
        ("day", date(2026, 6, 1), date(2099, 12, 31), 366),
    ],
)
def test_an_order_is_about_all_that_its_lines_pay(
    connection: Connection, cases: CaseStage, *, rate_type: str, first: date, last: date, times: int
) -> None:
    approval = asked(cases, connection, 500)
    connection.execute(
        "UPDATE order_lines SET rate_type = %s, start_on = %s, end_on = %s WHERE order_id = %s", [rate_type, first, last, approval.subject]
    )
    assert amount_of(connection, approval) == (500 * times, "NOK")


def test_any_span_of_weekdays_counts_as_they_are_in_the_calendar(connection: Connection, cases: CaseStage) -> None:
    approval = asked(cases, connection, 1)
    for begins, days in product(range(7), range(1, 22)):
        first = date(2026, 6, 1) + timedelta(days=begins)
        connection.execute(
            "UPDATE order_lines SET rate_type = 'weekday', start_on = %s, end_on = %s WHERE order_id = %s",
            [first, first + timedelta(days=days - 1), approval.subject],
        )
        weekdays = sum((first + timedelta(days=each)).weekday() < 5 for each in range(days))
        assert amount_of(connection, approval) == (weekdays, "NOK"), (first, days)


def test_how_much_an_act_is_about_is_known_by_its_currency_or_not_at_all(database: str) -> None:
    now = datetime.now(UTC)
    who = ConsolePerson(ISSUER_NAME, OLA[0], OLA[1], frozenset())
    with payout_stage(database) as stage:
        stage.payouts.create(wanted(amount=2000))
        acts = [*payout_acts(utc_now), party_act(utc_now, own_ledger=True)]
        approvals = Approvals(stage.connection, utc_now, acts)
        kari = Operator("kari", "the bank has paid")
        paid = approvals.ask("payout confirm", PayoutNamed("p-1"), kari)
        moved = replace(paid, act="ledger transfer", arguments=_transfer(1400))
        parties = replace(paid, act="party load", subject="file 1")
        for least, wants in (({}, [0, 0, 0]), ({"RUB": 15}, [1, 0, 1]), ({"RUB": 14}, [1, 1, 1]), ({"NOK": 1}, [0, 0, 1])):
            step_up = StepUp(least)
            assert [step_up.lacks(stage.connection, each, who, now) for each in (paid, moved, parties)] == [bool(each) for each in wants]
        assert not StepUp({"RUB": 1}).lacks(stage.connection, paid, replace(who, authenticated_at=now), now)


def _transfer(amount: int) -> str:
    return json.encode(Transfer("sales", 1, 2, amount, "RUB", "sales")).decode()  # type: ignore[arg-type]
