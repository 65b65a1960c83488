"""A request to cancel that is not answered is put once more by two people, as often as they decide it (docs/rail-port.md)."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from kvitt.disbursement.approvable import OrderNamed
from kvitt.disbursement.cancel.ask import cancel_act
from kvitt.disbursement.check import check
from kvitt.errors import NotInThatState
from kvitt.kernel.operators import Operator
from kvitt.ops.alarms import ReceiptDeadline, watch_cancellations
from kvitt.transports.queue.table_queue import TableQueue
from support.broken_queues import Dying, Forgetful, LosingAndForgetful, PutAndForgetful
from support.rail_kits import ToyKit
from support.rail_site import REQUESTS, TWO, Site
from support.toy_rail import Always

AGAIN = Operator("Kari Nordmann", "the rail never answered", "Ola Hansen")
DEADLINE = ReceiptDeadline({"toy": Always()}, timedelta(hours=1))


@pytest.fixture
def site(database: str) -> Iterator[Site]:
    made = Site(database, ToyKit(database, REQUESTS))
    try:
        yield made
        made.assert_clean()
    finally:
        made.close()


def accepted(site: Site) -> str:
    """An order that the rail has taken."""
    site.ask("A")
    site.send()
    site.receive()
    return site.orders()[0]


def lost(site: Site) -> list[tuple[str, bytes]]:
    """Loses what is on its way to the rail, and returns it, each with its id."""
    queue = TableQueue(site.conninfo, REQUESTS)
    gone = [(each.message_id, each.body) for each in queue.receive(100, 0.0)]
    queue.acknowledge()
    queue.close()
    return gone


def waiting(site: Site) -> list[tuple[object, ...]]:
    """What needs a person, by each view that says so."""
    views = ("attention", "stuck", "case_attention")
    return [each for view in views for each in site.connection.execute(f"SELECT what, ends_by FROM kvitt_views.{view}".encode())]


def test_a_request_that_is_lost_on_its_way_is_late_and_put_once_more_as_a_copy_of_its_own(site: Site) -> None:
    order_id = accepted(site)
    site.cancel(order_id)
    site.send_requests()
    ((name, message),) = lost(site)
    now = site.clock()
    assert (watch_cancellations(site.connection, now + timedelta(minutes=30), DEADLINE), waiting(site)) == ([], [])
    (late,) = watch_cancellations(site.connection, now + timedelta(hours=2), DEADLINE)
    assert (late.order_id, late.area) == (order_id, "AAP")
    assert watch_cancellations(site.connection, now + timedelta(hours=3), DEADLINE) == [], "it is said once"
    assert waiting(site) == [("cancellation late", "kvitt order cancel")] * 3
    site.assert_clean()
    for count in (1, 2):
        site.cancel(order_id, AGAIN)
        assert (site.requests(), waiting(site)) == ([(1, "ready")], [])
        site.send_requests()
        assert (site.requests(), lost(site)) == ([(1, "sent")], [(f"{name}/{count}", message)])
    site.cancel(order_id, AGAIN)
    site.send_requests()
    site.receive()
    assert (site.requests(), site.outcomes()) == ([(1, "agreed")], ["accepted", "cancelled"])


def test_a_late_request_needs_nobody_once_its_order_is_rejected(site: Site) -> None:
    site.ask("A")
    site.send()
    site.cancel(site.orders()[0])
    site.send_requests()
    watch_cancellations(site.connection, site.clock() + timedelta(hours=2), DEADLINE)
    assert waiting(site) == [("cancellation late", "kvitt order cancel")] * 3
    site.operate.decide(site.orders()[0], accepted=False, operator=TWO)
    assert waiting(site) == []


@pytest.mark.parametrize("answered", ["ready again", "under way", "after the copy"])
def test_the_answer_to_the_first_copy_counts_whenever_it_comes(site: Site, answered: str) -> None:
    order_id = accepted(site)
    site.cancel(order_id)
    with pytest.raises(Dying):
        site.send_requests(PutAndForgetful)
    site.send_requests(Forgetful)
    assert site.requests() == [(1, "unknown")]
    site.cancel(order_id, AGAIN)
    if answered == "ready again":
        site.receive()
        assert site.requests() == [(1, "agreed")]
        site.send_requests(Forgetful)
    elif answered == "under way":
        with pytest.raises(Dying):
            site.send_requests(LosingAndForgetful)
        site.receive()
    else:
        site.send_requests(Forgetful)
        site.receive()
    assert (site.requests(), site.outcomes()[:2]) == ([(1, "agreed")], ["accepted", "cancelled"])


def test_what_would_be_done_says_which_request_leaves_and_since_when_it_waits(site: Site) -> None:
    order_id, act = accepted(site), cancel_act(site.clock, site.kit.ports)

    def effect() -> str:
        return act.preview(site.connection, OrderNamed(order_id)).text

    assert "the reason that is given here would go with it" in effect()
    site.cancel(order_id)
    with pytest.raises(NotInThatState, match="about to leave"):
        effect()
    site.send_requests()
    sent_at = f"{site.clock():%Y-%m-%d %H:%M:%S} UTC"
    site.clock.advance(hours=1)
    first = effect()
    assert f"the request that was sent at {sent_at} is not answered since, and would be put once more as it was" in first
    assert f"with the reason that was given then: {TWO.reason}" in first
    assert "the reason that is given here" not in first
    assert act.run(site.connection, OrderNamed(order_id), AGAIN) == f"the request to cancel order {order_id} will be put once more"
    site.send_requests()
    assert effect() != first, "who had approved the first copy has not approved this one"


def test_a_request_is_put_once_more_as_often_as_two_people_had_it_done(site: Site) -> None:
    order_id = accepted(site)
    site.cancel(order_id)
    site.send_requests()
    site.cancel(order_id, AGAIN)
    site.assert_clean()
    for falsified in ("UPDATE cancellations SET resends = 2", "UPDATE cancellations SET resends = 0"):
        site.connection.execute(falsified.encode())
        assert "were not put once more" in " ".join(each.text for each in check(site.conninfo, site.kit.ports).differences)
    site.connection.execute("UPDATE cancellations SET resends = 1")
