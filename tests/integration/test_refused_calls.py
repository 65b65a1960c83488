"""Who is refused for lack of authority stands in the operators' audit chain, whole and bounded (design §11)."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from msgspec.structs import replace
from psycopg_pool import ConnectionPool

from kvitt.api.rest.callers import Permission
from kvitt.api.rest.local_issuer import LocalIssuer
from kvitt.api.rest.refused_calls import ACT, RefusedCall, RefusedCalls
from kvitt.disbursement.acts import Acts, AuditedAct, Wanted
from kvitt.disbursement.verify import Group, verify
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect, pool
from support.rest_stage import AUDIENCE, Site, rest_site

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def site(ledger_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with rest_site(ledger_database, Path(tmp_path_factory.mktemp("issuer"))) as made:
        yield made


@pytest.fixture(scope="module")
def connections(site: Site) -> Iterator[ConnectionPool[psycopg.Connection[tuple[object, ...]]]]:
    with pool(site.conninfo, application="tests", size=2) as made:
        yield made


def refusals(conninfo: str, name: str) -> list[AuditedAct]:
    """The refusals of an application or a person, oldest first."""
    with connect(conninfo) as connection:
        return [act for act in reversed(Acts(connection).listed(Wanted(person=name), 1000)) if act.act == ACT]


def ask(site: Site, token: str, path: str = "/accounts?secret=1") -> int:
    body = b'{"currency": "RUB", "person": "01820390012"}'
    return httpx.post(f"{site.url}{path}", content=body, headers={"authorization": f"Bearer {token}"}).status_code


def test_who_may_not_is_named_with_application_call_and_rule_and_no_body(site: Site) -> None:
    token = site.issuer.token("reader", [Permission.LEDGER_READ], AUDIENCE, HOUR)
    assert ask(site, token) == 403
    (act,) = refusals(site.conninfo, "reader")
    assert (act.by, act.subject, act.reason) == ("reader", "POST /accounts by reader", "not_permitted: ledger:write is needed")


def test_a_signed_token_that_is_not_valid_here_names_who_shows_it(site: Site) -> None:
    issuer = site.issuer
    assert ask(site, issuer.token("elsewhere", [], "another", HOUR), "/plans/p/hold") == 401
    assert ask(site, issuer.token("late", [], AUDIENCE, -HOUR)) == 401
    (act,) = refusals(site.conninfo, "elsewhere")
    assert (act.subject, act.reason) == (
        "POST /plans/p/hold by elsewhere",
        "not_authenticated: the token is not valid: InvalidAudienceError",
    )
    assert [each.reason for each in refusals(site.conninfo, "late")] == ["not_authenticated: the token is not valid: ExpiredSignatureError"]


def test_nobody_is_named_by_a_token_that_its_issuer_has_not_signed(site: Site, tmp_path: Path) -> None:
    stranger = LocalIssuer(tmp_path).token("stranger", list(Permission), AUDIENCE, HOUR)
    for token in (stranger, stranger[:-8] + "AAAAAAAA", "x.y.z"):
        assert ask(site, token) == 401
    assert refusals(site.conninfo, "stranger") == []


CALL = RefusedCall("many", "Z990001", "POST /utbetalinger/1", "POST /utbetalinger/{uid}", "other_scheme", "not theirs")


def test_of_many_of_one_kind_the_first_is_written_and_then_their_number(
    site: Site, connections: ConnectionPool[psycopg.Connection[tuple[object, ...]]]
) -> None:
    now = 0.0
    calls = RefusedCalls(connections, utc_now, lambda: now)
    for number in range(1000):
        calls.add(replace(CALL, call=f"POST /utbetalinger/{number}"))
    calls.add(replace(CALL, rule="other"))
    now = 599.0
    calls.flush()
    written = refusals(site.conninfo, "Z990001")
    assert [each.subject for each in written] == ["POST /utbetalinger/0 by many", "POST /utbetalinger/1 by many"]
    now = 601.0
    calls.flush()
    assert refusals(site.conninfo, "Z990001")[-1].subject == "999 more: POST /utbetalinger/{uid} by many"
    calls.add(CALL)
    calls.add(CALL)
    calls.flush(all_of_them=True)
    assert [each.subject for each in refusals(site.conninfo, "Z990001")[3:]] == [
        "POST /utbetalinger/1 by many",
        "1 more: POST /utbetalinger/{uid} by many",
    ]


def test_of_kinds_without_end_no_more_are_written_than_a_bound(
    site: Site, connections: ConnectionPool[psycopg.Connection[tuple[object, ...]]]
) -> None:
    calls = RefusedCalls(connections, utc_now, lambda: 0.0)
    for number in range(300):
        calls.add(replace(CALL, person=None, application=f"kind{number}"))
    calls.flush(all_of_them=True)
    written = refusals(site.conninfo, "kind")
    assert len(written) == 102
    assert written[-1].subject.startswith("199 more: ")


class _AwayAtFirst:
    """A database that is away until it is not."""

    def __init__(self, connections: ConnectionPool[psycopg.Connection[tuple[object, ...]]]) -> None:
        self._connections, self.away, self.asked = connections, True, 0

    def connection(self) -> Any:
        self.asked += 1
        if self.away:
            raise psycopg.OperationalError("away")
        return self._connections.connection()


def test_what_can_not_be_written_is_written_once_it_can(
    site: Site, connections: ConnectionPool[psycopg.Connection[tuple[object, ...]]]
) -> None:
    now, database = 0.0, _AwayAtFirst(connections)
    calls = RefusedCalls(database, utc_now, lambda: now)  # type: ignore[arg-type]
    for number in range(5):
        calls.add(replace(CALL, person="Z990004", rule=f"rule {number % 2}"))
    now = 601.0
    calls.flush()
    assert database.asked == 3, "where one fails the others are not tried"
    now, database.away = 1202.0, False
    calls.flush()
    written = refusals(site.conninfo, "Z990004")
    assert [each.subject.partition(":")[0] for each in written] == ["3 more", "2 more"]


def test_refusals_stand_in_a_chain_that_is_whole(site: Site) -> None:
    found = verify(site.conninfo, Group.OPERATORS)
    assert (found.breaks, found.entries > 0) == ((), True)
