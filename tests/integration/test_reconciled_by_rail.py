"""The whole way of a reconciled day: orders to the rail and answers back, the run to the rail, and what the rail makes of it by itself."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvitt.contracts.helved import topics
from kvitt.disbursement.reconcile.consistency import Consistency
from kvitt.disbursement.reconcile.reconcile import Reconcile
from kvitt.disbursement.reconcile.runs import Cause, Run, RunState, Trigger, messages, read
from kvitt.disbursement.values import Scheme
from kvitt.errors import NotInThatState
from kvitt.formats.topics import RAPID
from kvitt.kernel.operators import Operator
from kvitt.rails.oppdrag.emulator import DamageForm, JudgedRun
from kvitt.rails.oppdrag.reconciliation import run_name
from kvitt.testing import Hub, TestServer, hub
from support import rapid_messages
from support.hub_messages import aap, payment_uid, person_of
from support.reconciled import put_need, texts
from support.tried import tried

BY_KARI = Cause(Trigger.OPERATOR, operator=Operator("kari", "the day is to be reported"))
MONDAY = datetime(2026, 6, 29, 8, tzinfo=UTC)
AREAS = ("AAP", "SPREF")
FAULTS = {
    "fine": {},
    "noted": {"warn": 1},
    "refused": {"refuse": 1, "text": "Nei & <aldri> Ж"},
    "unknown": {"refuse": 1, "severity": "77"},
    "silent": {"swallow": 1},
    "doubled": {"double": 1},
    "late": {"delay": 1, "delay_seconds": 36 * 3600.0},
    "lost": {"lose": 1},
    "bare": {"warn": 1, "damage": 1, "damage_forms": [DamageForm.BARE_ANSWER]},
    "padded": {"refuse": 1, "damage": 1, "damage_forms": [DamageForm.TRAILING_BLANKS]},
}
_numbers = count(1)


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Hub]:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, start=MONDAY) as made:
        yield made
        made.check()


def put(site: Hub, area: str, amount: int) -> None:
    number = next(_numbers)
    if area == "AAP":
        case = f"W-{number}"
        site.put(topics.primary_input(Scheme.AAP), case, aap(case, amount, uid=payment_uid(case)))
    else:
        names = {"fagsystemId": f"W{number:025}", "utbetalingId": payment_uid(f"W{number}"), "fødselsnummer": person_of(f"W{number}")}
        site.put(RAPID, None, rapid_messages.need(**names))


def made_over(site: Hub, area: str, *, early: bool = False) -> Run:
    reconcile = Reconcile(site.connection, site.ports, site.clock)
    days = reconcile.next_range(area, early=early)
    assert days is not None
    return reconcile.make(area, days, BY_KARI, early=early)


def judged(site: Hub, run: Run) -> JudgedRun:
    site.run()
    assert read(site.connection, run.run_no).state is RunState.GOOD
    (found,) = (each for each in site.rail.reconciliation() if each.run_id == run_name(run.run_id))
    return found


def kinds(run: JudgedRun) -> list[str]:
    """Where a run differs, one by one; counts and sums follow from that."""
    return [each.what.value for each in run.differences if each.what.value not in {"count", "sum"}]


@tried(12)
@given(st.lists(st.lists(st.tuples(st.sampled_from(AREAS), st.sampled_from([*FAULTS]), st.integers(1, 4000)), max_size=5), max_size=3))
def test_the_rail_and_the_hub_agree_about_days_of_any_kind(site: Hub, days: Sequence[Sequence[tuple[str, str, int]]]) -> None:
    for day in days:
        lost = dict.fromkeys(AREAS, 0)
        for area, fault, amount in day:
            site.rail.fault(**FAULTS[fault])  # type: ignore[arg-type]
            put(site, area, amount)
            site.run()
            lost[area] += fault == "lost"
        site.rail.fault()
        site.clock.advance(days=1)
        site.clock.set(site.clock.now.replace(hour=6))
        for area in AREAS:
            run = made_over(site, area)
            if run.state is not RunState.EMPTY:
                found = judged(site, run)
                assert (found.agrees, kinds(found)) == (not lost[area], ["reported, not received"] * lost[area])


@pytest.mark.parametrize(
    ("amounts", "total"),
    [
        ([2_000_000_000, 2_000_000_000], ("4000000000", "T")),
        ([700, -900], ("200", "F")),
        ([900, -900], ("0", "T")),
        ([0], ("0", "T")),
    ],
)
def test_sums_above_32_bits_of_zero_and_below_are_the_rails_too(
    kvitt_server: TestServer, amounts: list[int], total: tuple[str, str]
) -> None:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, start=MONDAY) as site:
        for amount in amounts:
            put_need(site, amount)
            site.run()
        site.clock.advance(days=1)
        run = made_over(site, "SPREF")
        assert judged(site, run).agrees
        (_, data, _) = messages(site.connection, run.run_no)
        assert (*texts([data], "total/totalBelop"), *texts([data], "total/fortegn")) == total
        site.check()


def test_a_day_of_refused_orders_only_is_a_day(kvitt_server: TestServer) -> None:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, start=MONDAY) as site:
        site.rail.fault(refuse=1.0, severity="12", text="Nei & aldri: Ж 東京", code="B110008F")
        for area in (*AREAS, *AREAS):
            put(site, area, 700)
        site.run()
        site.clock.advance(days=1)
        for area in AREAS:
            run = made_over(site, area)
            assert (run.orders, run.rejected, judged(site, run).agrees) == (2, 2, True)
            assert {*texts(messages(site.connection, run.run_no), "detalj/tekstMelding")} == {"Nei & aldri: Ж 東京"}
        site.check()


def test_an_order_that_only_the_rail_has_is_a_difference(site: Hub) -> None:
    site.rail.fault(invent=1)
    put(site, "AAP", 500)
    site.run()
    site.rail.fault()
    site.clock.advance(days=1)
    found = judged(site, made_over(site, "AAP"))
    assert (found.agrees, kinds(found)) == (False, ["no detail"])


def test_a_day_may_be_reported_before_it_is_over_and_what_leaves_then_is_of_the_next(site: Hub) -> None:
    put(site, "AAP", 500)
    site.run()
    run = made_over(site, "AAP", early=True)
    assert (run.days.last, run.orders) == (site.clock.now.date(), 1)
    assert judged(site, run).agrees
    put(site, "AAP", 600)
    site.run("intake")
    assert site.findings() == []
    site.run()
    site.clock.advance(days=2)
    following = made_over(site, "AAP")
    assert (following.orders, judged(site, following).agrees) == (1, True)
    reconcile = Reconcile(site.connection, site.ports, site.clock)
    days = reconcile.next_range("AAP", early=True)
    assert days is not None
    with pytest.raises(NotInThatState):
        reconcile.make("AAP", days, BY_KARI)


def test_lines_in_force_agree(kvitt_server: TestServer) -> None:
    with kvitt_server.database() as conninfo, hub(conninfo=conninfo, start=datetime(2026, 6, 1, 8, tzinfo=UTC)) as site:
        for amount in (700, 800):
            put(site, "AAP", amount)
        site.run()
        run = Consistency(site.connection, site.ports, site.clock).make("AAP", BY_KARI)
        site.run()
        (found,) = site.rail.reconciliation()
        assert (found.run_id, found.kind, found.messages, found.differences) == (run_name(run.run_id), "KONS", 5, ())
