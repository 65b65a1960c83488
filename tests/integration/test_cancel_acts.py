"""People have a rail asked to cancel an order: by commands and on the page of the order, two of them, and it shows what came of it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec import json

from kvitt.app import ports
from kvitt.app.hub import HubProcess
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.cancel.ask import cancel
from kvitt.kernel.operators import Operator
from kvitt.settings import Settings
from kvitt.testing import Hub, hub
from support.console_script import command
from support.console_stage import ACTS, APPROVES, LOOKS, console_site
from support.hub_messages import aap
from support.patience import PATIENCE_SECONDS, until
from support.rail_kits import SCHEME, ToyKit
from support.toy_rail import ToyBank, ToyRail

pytestmark = pytest.mark.usefixtures("made_up_people")

TWO = Operator("kari", "the payee has another account", "ola")
WHY = ("--by", "kari", "--reason", "the payee has another account")


@pytest.fixture
def site(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub whose AAP leaves on the toy rail, as it does for commands and pages."""
    with hub(conninfo=database, ports=ToyKit.ports_of_hub()) as made:
        plugged_in = partial(ports.ports_of, further=[ToyRail()], of_scheme={SCHEME: "toy"})
        monkeypatch.setattr(ports, "ports_of", plugged_in)
        yield made
        made.check()


def sent(site: Hub, bank: ToyBank) -> str:
    """An order that the bank has taken."""
    site.put(primary_input(SCHEME), "A", aap("A"))
    site.run()
    answered(site, bank)
    return site.sent()[-1].order_id


def answered(site: Hub, bank: ToyBank) -> None:
    """The bank answers what came last."""
    site.rail.reply(bank.answer(site.sent()[-1].message), rail="toy")
    site.run()


def test_by_command_two_people_have_an_order_cancelled_and_see_what_came_of_it(site: Hub, database: str) -> None:
    bank = ToyBank()
    order_id, to = sent(site, bank), ("--database", database)
    assert "needs_second_person" in command("order", "cancel", order_id, *WHY, *to).stderr
    asked = command("order", "cancel", order_id, *WHY, "--ask", *to)
    assert f"toy would be asked to cancel order {order_id} of AAP, check sum 500 kr, which is accepted" in " ".join(asked.stdout.split())
    assert site.connection.execute("SELECT count(*) FROM cancellations").fetchone() == (0,)
    done = command("approve", "yes", "1", "--by", "ola", *to)
    assert (done.returncode, f"the rail will be asked to cancel order {order_id}" in done.stdout) == (0, True), done.stderr
    again = command("order", "cancel", order_id, *WHY, "--approved-by", "ola", *to)
    assert (again.returncode, "and that request is about to leave" in " ".join(again.stderr.split())) == (2, True)
    site.run()
    assert site.sent()[-1].message.endswith(b" the payee has another account")
    answered(site, bank)
    shown = command("order", "show", order_id, *to).stdout
    assert "asked to be cancelled" in shown
    page = json.decode(command("order", "show", order_id, "--json", *to).stdout)
    (request,) = page["cancellations"]
    assert (request["state"], request["receipt_no"], request["message"]) == ("agreed", 2, site.sent()[-1].message.decode())
    assert [each["what"] for each in page["acts"]] == ["cancel"]


def test_a_process_that_sends_orders_sends_requests_to_cancel_them(site: Hub, database: str, tmp_path: Path) -> None:
    order_id = sent(site, ToyBank())
    cancel(site.connection, site.clock, site.ports, order_id, TWO)
    process = HubProcess(database, Settings(data=tmp_path, lease_seconds=2.0), ("sender",))
    process.start()
    try:
        until(lambda: site.connection.execute("SELECT state FROM cancellations").fetchone() == ("sent",))
    finally:
        assert process.stop(PATIENCE_SECONDS) == []
    put = "SELECT count(*) FROM queue.message AS q JOIN cancellations AS k ON q.body = k.message AND q.message_id = k.cancellation_id::text"
    assert site.connection.execute(put).fetchone() == (1,)


def test_a_rail_that_can_not_be_asked_says_so(kvitt_hub: Hub) -> None:
    kvitt_hub.put(primary_input(SCHEME), "A", aap("A"))
    kvitt_hub.run()
    order_id, to = kvitt_hub.sent()[-1].order_id, ("--database", kvitt_hub.conninfo)
    for more in (("--ask",), ("--approved-by", "ola")):
        refused = command("order", "cancel", order_id, *WHY, *more, *to)
        assert (refused.returncode, "oppdrag can not be asked to cancel an order" in refused.stderr) == (2, True), refused.stderr


def test_on_a_page_two_people_have_an_order_cancelled(site: Hub, database: str, tmp_path: Path) -> None:
    bank = ToyBank()
    order_id = sent(site, bank)
    with console_site(database, tmp_path) as console:
        assert "Have it cancelled" not in console.browser(LOOKS).get(f"/orders/{order_id}").words
        hans, guro = console.browser(ACTS), console.browser(APPROVES)
        form = hans.get(hans.get(f"/orders/{order_id}").link("Have it cancelled"))
        assert "Ask the rail to cancel the order" in form.words
        assert "The reason goes to the rail" in form.words
        approval = urlsplit(hans.post(f"/orders/{order_id}/cancel", form.fields(reason="the payee has another account")).url).path
        guro.post(f"{approval}/approve", guro.get(approval).fields())
        assert "ready to send" in hans.get(f"/orders/{order_id}").words.partition("Asked to be cancelled")[2]
        site.run()
        assert "waits for the rail" in hans.get(f"/orders/{order_id}").words.partition("Asked to be cancelled")[2]
        bank.paid.add(order_id)
        answered(site, bank)
        shown = hans.get(f"/orders/{order_id}").words.partition("Asked to be cancelled")[2]
        assert "the rail has refused" in shown
        assert "it is paid" in shown, "in the rail's own words, among its receipts"


def test_a_page_offers_it_only_where_the_rail_can_be_asked_and_may_have_the_order(kvitt_hub: Hub, tmp_path: Path) -> None:
    kvitt_hub.put(primary_input(SCHEME), "A", aap("A"))
    kvitt_hub.run()
    order_id = kvitt_hub.sent()[-1].order_id
    with console_site(kvitt_hub.conninfo, tmp_path) as console:
        hans = console.browser(ACTS)
        assert "Have it cancelled" not in hans.get(f"/orders/{order_id}").words
        shown = hans.get(f"/orders/{order_id}/cancel").words
        assert "It can not be done" in shown
        assert "oppdrag can not be asked to cancel an order" in shown
