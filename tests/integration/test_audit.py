"""Who did what can be asked, by case, order, payout, plan, person and time; and the chains that say so can be verified (design §11)."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from kvitt.app.ports import PORTS
from kvitt.disbursement.acts import Acts, AuditedAct, Wanted
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.values import Scheme
from kvitt.disbursement.verify import Group, verify
from kvitt.errors import ActNotFound, CaseNotFound, OrderNotFound, PayoutNotFound
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from support.hub_messages import ts, ts_payment
from support.hub_stage import Stage, staged
from support.rest_stage import Site, earn, rest_site

TS = Scheme.TILLEGGSSTONADER
KARI, PER = Operator("kari", "two children, two grants", "ola"), Operator("per", "the bank is closed")


def uid(last: int) -> str:
    return f"00000000-0000-0000-0000-{last:012}"


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


@pytest.fixture
def released(stage: Stage) -> str:
    """An order that was held for an equal line, and that kari and ola let go; its case is S."""
    stage.hand_in(TS, ("k1", ts("S", ts_payment(uid(1)))))
    stage.finish()
    stage.hand_in(TS, ("k2", ts("S", ts_payment(uid(2)))))
    (row,) = stage.rows("SELECT order_id::text FROM orders WHERE held_for <> '[]'")
    Operate(stage.connection, stage.clock, PORTS).release(str(row[0]), KARI)
    Operate(stage.connection, stage.clock, PORTS).stop(["TILLST"], PER)
    stage.hand_in(TS, ("k3", ts("T", ts_payment(uid(3)))))
    return str(row[0])


def in_short(acts: list[AuditedAct]) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(act.act, act.by, act.approved_by, act.reason) for act in acts]


def test_the_acts_of_operators_are_listed_newest_first(stage: Stage, released: str) -> None:
    acts = Acts(stage.connection).listed(Wanted(), 10)
    assert in_short(acts) == [("stop", "per", None, "the bank is closed"), ("release", "kari", "ola", "two children, two grants")]
    assert [act.subject for act in acts] == ["TILLST", released]
    assert in_short(Acts(stage.connection).listed(Wanted(), 1)) == in_short(acts)[:1]


def test_a_case_tells_who_acted_on_its_orders_among_what_happened(stage: Stage, released: str) -> None:
    acts = Acts(stage.connection).listed(Wanted(case=(TS, "S")), 100)
    assert [act.act for act in acts] == ["release", "ordered", "accepted", "ordered"]
    assert acts[0].approved_by == "ola"
    assert Acts(stage.connection).listed(Wanted(order_id=released), 100) == acts[:2]


def test_a_person_is_found_as_who_acts_and_as_who_approves(stage: Stage, released: str) -> None:
    for name in ("KARI", "ola"):
        assert [act.subject for act in Acts(stage.connection).listed(Wanted(person=name), 10)] == [released]
    assert in_short(Acts(stage.connection).listed(Wanted(case=(TS, "S"), person="kari"), 10)) == [("release", "kari", "ola", KARI.reason)]
    assert Acts(stage.connection).listed(Wanted(person="nobody"), 10) == []


def test_a_span_of_time_holds_its_first_moment_and_not_its_last(stage: Stage, released: str) -> None:
    stop, release = Acts(stage.connection).listed(Wanted(), 10)
    assert Acts(stage.connection).listed(Wanted(since=release.at, until=stop.at), 10) == [release]
    assert release.subject == released


def test_an_act_is_shown_by_its_name(stage: Stage, released: str) -> None:
    acts = Acts(stage.connection)
    for each in acts.listed(Wanted(case=(TS, "S")), 100):
        shown = acts.show(each.entry)
        assert (shown.act, shown.subject, shown.by) == (each.act, each.subject, each.by)
        assert shown.hash
        assert shown.digest
    assert acts.show("operators:1").subject == released


@pytest.mark.parametrize(
    "entry", ["", "operators", "operators:", "operators:99", "operators:-1", "operators:1e3", "operators:٣", "case:X:S:1", "plan:p", "x:1"]
)
def test_a_name_that_no_act_has_is_reported(stage: Stage, entry: str) -> None:
    with pytest.raises(ActNotFound):
        Acts(stage.connection).show(entry)


def test_what_is_not_there_is_reported(stage: Stage) -> None:
    with pytest.raises(CaseNotFound):
        Acts(stage.connection).listed(Wanted(case=(TS, "S")), 10)
    with pytest.raises(OrderNotFound):
        Acts(stage.connection).listed(Wanted(order_id=uid(1)), 10)
    with pytest.raises(CaseNotFound):
        verify(stage.conninfo, (TS, "S"))
    with pytest.raises(PayoutNotFound):
        verify(stage.conninfo, "p-1")


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Site]:
    earn(database)
    with rest_site(database, tmp_path) as made:
        yield made


def test_callers_over_rest_are_found_by_payout_plan_person_and_time(site: Site) -> None:
    began = site.hub.clock()
    with site.client(application="shop") as shop, site.client(application="books") as books:
        body = {"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": 100_000, "currency": "RUB"}}
        payout_id = shop.post("/payouts", json=body).json()["payout_id"]
        books.post(f"/payouts/{payout_id}/cancel", json={"details": "wrong shop"})
        one, two = (books.post("/accounts", json={"currency": "RUB"}).json()["account_id"] for _ in range(2))
        posting = {"source": one, "target": two, "amount": 1, "currency": "RUB", "description": "sale"}
        assert books.post("/plans/p/hold", json={"batch": {"batch_id": 1, "postings": [posting]}}).status_code == 200
    with connect(site.conninfo) as connection:
        acts = Acts(connection)
        changes = acts.listed(Wanted(payout_id=payout_id), 10)
        assert [(act.act, act.by, act.channel, act.reason) for act in changes] == [
            ("payout cancelled", "books/books", "rest", "wrong shop"),
            ("payout created", "shop/shop", "rest", None),
        ]
        assert [act.act for act in acts.listed(Wanted(person="books"), 10)] == [
            "plan hold",
            "account made",
            "account made",
            "payout cancelled",
        ]
        assert [act.entry for act in acts.listed(Wanted(plan_id="p"), 10)] == ["plan:p:HOLD:1"]
        assert len(acts.listed(Wanted(since=began), 10)) == 5
        assert acts.listed(Wanted(since=utc_now() + timedelta(days=1)), 10) == []
        for each in changes:
            assert acts.show(each.entry).hash
        assert acts.show("plan:p:HOLD:1").by == "books/books"
        assert acts.show(f"account:{one}").by == "books/books"
    assert verify(site.conninfo, payout_id).entries == 2


def test_chains_are_verified_all_or_one(stage: Stage, released: str) -> None:
    everything, operators, case = verify(stage.conninfo), verify(stage.conninfo, Group.OPERATORS), verify(stage.conninfo, (TS, "S"))
    assert (everything.chains, operators.chains, case.chains) == (3, 1, 1)
    assert (operators.entries, case.entries) == (2, 3)
    assert everything.breaks == operators.breaks == case.breaks == ()
    assert operators.last_hash == Acts(stage.connection).show("operators:2").hash
    assert released


BREAKS = {
    "other words": ("UPDATE audit SET note = replace(note, 'kari', 'per') WHERE chain = 0 AND seq = 1", Group.OPERATORS),
    "an act less": ("DELETE FROM audit WHERE chain = 0 AND seq = 1", Group.OPERATORS),
    "the last act less": ("DELETE FROM audit WHERE chain = 0 AND seq = 2", Group.OPERATORS),
    "no act left": ("DELETE FROM audit WHERE chain = 0", Group.OPERATORS),
    "another moment": ("UPDATE audit SET at = at + interval '1 s' WHERE chain > 0 AND seq = 1", (TS, "S")),
    "an entry less of a case": ("DELETE FROM audit WHERE chain > 0 AND seq = 2", (TS, "S")),
}


@pytest.mark.parametrize("how", list(BREAKS))
def test_a_break_is_found_in_its_chain_and_in_all(stage: Stage, released: str, how: str) -> None:
    statement, chain = BREAKS[how]
    assert stage.connection.execute(statement.encode()).rowcount > 0
    assert released
    assert verify(stage.conninfo, chain).breaks
    assert verify(stage.conninfo).breaks


def test_a_break_in_a_payout_is_found(site: Site) -> None:
    with site.client() as client:
        body = {"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": 100_000, "currency": "RUB"}}
        payout_id = client.post("/payouts", json=body).json()["payout_id"]
    assert verify(site.conninfo, payout_id).breaks == ()
    with connect(site.conninfo) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("DELETE FROM payouts.events")
    with connect(site.conninfo) as connection:
        connection.execute("ALTER TABLE payouts.events DISABLE TRIGGER append_only")
        connection.execute("DELETE FROM payouts.events")
    assert verify(site.conninfo, payout_id).breaks == (f"payout {payout_id} has no events",)
