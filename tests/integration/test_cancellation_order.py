"""A request to cancel and its order meet at the rail in their order, or not at all, whoever acts meanwhile (docs/rail-port.md)."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from kvitt.disbursement.approvable import OrderNamed, order_acts
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.resend_many import OrdersResent, resend_many_act
from kvitt.errors import NotInThatState
from kvitt.kernel.commits import transaction
from kvitt.kernel.database import connect
from kvitt.kernel.queue import NotPut, Outgoing
from kvitt.transports.queue.table_queue import TableQueue
from support.broken_queues import Dying, Forgetful, Losing, PutAndForgetful
from support.patience import until
from support.rail_kits import ToyKit
from support.rail_site import REQUESTS, TWO, Site


@pytest.fixture
def site(database: str) -> Iterator[Site]:
    made = Site(database, ToyKit(database, REQUESTS))
    try:
        yield made
        made.assert_clean()
    finally:
        made.close()


def on_queue(site: Site) -> list[str]:
    """The first word of each message that the rail got, in order."""
    query = "SELECT convert_from(body, 'UTF8') FROM queue.message WHERE queue = %s AND body IS NOT NULL ORDER BY sequence"
    return [str(body).partition(" ")[0] for (body,) in site.connection.execute(query, (REQUESTS,))]


def test_an_order_is_not_sent_once_more_by_whoever_waited_while_it_was_asked_to_be_cancelled(site: Site) -> None:
    site.ask("A")
    site.send()
    (order_id,) = site.orders()
    with connect(site.conninfo) as other, connect(site.conninfo) as watching, ThreadPoolExecutor(1) as threads:
        waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        with transaction(site.connection, "order", order_id):
            site.cancel(order_id)
            resent = threads.submit(Operate(other, site.clock, site.kit.ports).resend, order_id, TWO)
            until(lambda: watching.execute(waits, (other.info.backend_pid,)).fetchone() == (1,))
        with pytest.raises(NotInThatState, match="the rail is asked to cancel order"):
            resent.result()
    assert (site.states(), site.requests()) == (["sent"], [(1, "ready")])


def asked_while_it_is_put(site: Site) -> str:
    """An order that never left, and that was asked to be cancelled while it seemed to leave."""
    site.ask("A")
    (order_id,) = site.orders()

    class Refusing(TableQueue):
        def put(self, messages: Sequence[Outgoing]) -> None:  # noqa: ARG002 - for certain none of them comes
            site.cancel(order_id)
            raise NotPut

    with pytest.raises(NotPut):
        site.send(Refusing)
    assert (site.states(), site.requests()) == (["ready"], [(1, "ready")])
    return order_id


def test_an_order_that_is_taken_back_before_it_left_takes_the_request_with_it(site: Site) -> None:
    order_id = asked_while_it_is_put(site)
    (withdraw,) = [each for each in order_acts(site.clock, site.kit.ports) if each.name == "order withdraw"]
    effect = withdraw.preview(site.connection, OrderNamed(order_id)).text
    assert f"the request to cancel order {order_id}, which has not left, would be withdrawn with it" in effect
    site.operate.withdraw(order_id, TWO)
    site.send_requests()
    assert (site.states(), site.requests(), on_queue(site)) == (["withdrawn"], [(1, "withdrawn")], [])


def test_a_request_for_an_order_that_seemed_to_leave_waits_until_it_has(site: Site) -> None:
    asked_while_it_is_put(site)
    site.send_requests()
    assert on_queue(site) == []
    site.send()
    site.send_requests()
    assert (site.requests(), on_queue(site)) == ([(1, "sent")], ["order", "cancel"])


def test_a_request_does_not_overtake_an_unknown_order_that_is_put_again(site: Site) -> None:
    site.ask("A")
    with pytest.raises(Dying):
        site.send(Losing)
    site.cancel(site.orders()[0])
    seen = []

    class Interrupted(TableQueue):
        def was_put(self, queue_ids: Sequence[str]) -> Mapping[str, bool]:
            seen.extend(site.states())
            site.send_requests()
            return super().was_put(queue_ids)

    site.send(Interrupted)
    assert (seen, site.requests()) == (["unknown"], [(1, "ready")])
    site.send_requests()
    assert (site.states(), site.requests(), on_queue(site)) == (["sent"], [(1, "sent")], ["order", "cancel"])


def test_a_request_leaves_for_an_unknown_order_that_nobody_puts_again(site: Site) -> None:
    site.ask("A")
    with pytest.raises(Dying):
        site.send(PutAndForgetful)
    site.send(Forgetful)
    site.cancel(site.orders()[0])
    site.send_requests(Forgetful)
    assert (site.states(), site.requests(), on_queue(site)) == (["unknown"], [(1, "sent")], ["order", "cancel"])


def test_of_many_orders_that_are_sent_once_more_those_are_left_out_that_are_asked_to_be_cancelled(site: Site) -> None:
    site.ask("A", "B")
    site.send()
    asked, act = OrdersResent(tuple(site.orders())), resend_many_act(site.clock, site.kit.ports)
    before = act.preview(site.connection, asked)
    assert "2 orders, check sum" in before.text
    site.cancel(asked.order_ids[0])
    shown = act.preview(site.connection, asked)
    assert "1 order, check sum" in shown.text
    assert "1 that the rail is asked to cancel are left out" in shown.text
    assert asked.order_ids[0] not in shown.text
    site.send_requests()
    assert act.preview(site.connection, asked).basis not in {before.basis, shown.basis}, "who had approved that has not approved this"
    assert act.run(site.connection, asked, TWO) == "1 order will be sent once more, 1 were left out"
    site.send()
    site.cancel(asked.order_ids[1])
    with pytest.raises(NotInThatState, match="without a request to cancel it"):
        act.preview(site.connection, asked)
