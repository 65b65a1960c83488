"""Payouts over HTTP with clients of other makers: the four methods, their refusals, and what is published (payouts §1, §2)."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from kvitt.api.thrift import payouts as woody_payouts
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service, decode_event
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.ledger.calls import Call
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import LedgerReader
from kvitt.ledger.rules import Batch, Operation, Posting
from kvitt.payouts.directory import known, load_directory
from kvitt.payouts.directory_file import read_directory
from kvitt.payouts.local_parties import LocalParties
from kvitt.payouts.service import PayoutService
from support.thrift_stage import apache_client, post, serving, thriftpy_client

EXAMPLE = (Path(__file__).parents[2] / "examples/parties.toml").read_text("utf-8")
PATH = woody_payouts.PATH
SERVICE = Service("payouts", "PayoutManagement")
TYPES: Any = module("payouts")
MONEY: Any = module("money")
FUNDS = 10_000_000


@pytest.fixture(scope="module")
def conninfo(ledger_database: str) -> str:
    """A database with the example's parties, whose first shop has earned something."""
    with connect(ledger_database) as connection:
        load_directory(connection, utc_now, read_directory(EXAMPLE))
        (shop, *_) = known(connection, "party-1").entry.shops
        house = next(each for each in LedgerReader(connection).accounts() if each.account.description == "house/RUB/provider_settlement")
        assert shop.accounts.settlement is not None
        batches = (Batch(1, (Posting(house.account.account_id, shop.accounts.settlement, FUNDS, "RUB", "sales"),)),)
        LedgerWriter(connection, utc_now).execute([Call("sales", Operation.HOLD, batches), Call("sales", Operation.COMMIT, batches)])
    return ledger_database


@pytest.fixture(scope="module")
def url(conninfo: str) -> Iterator[str]:
    parties = LocalParties(conninfo)
    payouts = PayoutService(conninfo, utc_now, parties)
    with serving(woody_payouts.endpoints(payouts)) as address:
        yield f"{address}{PATH}"
    payouts.close()
    parties.close()


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    with thriftpy_client(url, "payouts", "PayoutManagement") as made:
        yield made


def params(
    types: Any = TYPES,
    money: Any = MONEY,
    amount: int = 100_000,
    shop: str = "shop-1",
    *,
    party: str = "party-1",
    currency: str = "RUB",
    **given: str,
) -> Any:
    cash = money.Cash(amount=amount, currency=money.CurrencyRef(symbolic_code=currency))
    return types.PayoutParams(shop_params=types.ShopParams(party_id=party, shop_id=shop), cash=cash, **given)


def settlement(conninfo: str) -> tuple[int, int, int]:
    with connect(conninfo) as connection:
        account_id = known(connection, "party-1").entry.shops[0].accounts.settlement
        assert account_id is not None
        return tuple(LedgerReader(connection).account(account_id).totals)


def published(conninfo: str, payout_id: str) -> list[Any]:
    """The events of a payout, in the order in which they were put into the outbox."""
    with connect(conninfo) as connection:
        rows: Any = connection.execute(
            "SELECT value FROM outbox WHERE topic = 'pm-events-payout' AND key = %s ORDER BY outbox_no", (payout_id.encode(),)
        ).fetchall()
    return [decode_event(bytes(value), TYPES.Event, "payouts") for (value,) in rows]


def test_a_payout_is_held_confirmed_and_reversed(client: Any, conninfo: str) -> None:
    payout_id, (posted, lowest, highest) = f"p-{uuid4()}", settlement(conninfo)
    made = client.CreatePayout(params(payout_id=payout_id))
    assert (made.payout_id, made.amount, made.fee, made.payout_tool_id) == (payout_id, 98_000, 2_500, "pt-1")
    assert made.status.unpaid is not None
    assert settlement(conninfo) == (posted, lowest - 100_500, highest)
    assert client.GetPayout(payout_id) == made
    for _ in range(2):
        client.ConfirmPayout(payout_id)
    assert settlement(conninfo) == (posted - 100_500, lowest - 100_500, highest - 100_500)
    for _ in range(2):
        client.CancelPayout(payout_id, "the bank said no")
    assert settlement(conninfo) == (posted, lowest, highest)
    assert client.GetPayout(payout_id).status.cancelled.details == "the bank said no"
    events = published(conninfo, payout_id)
    assert [event.sequence_id for event in events] == [0, 1, 2]
    assert events[0].payout_change.created.payout == events[0].payout == made
    assert events[1].payout_change.status_changed.status.confirmed is not None
    assert events[2].payout.status.cancelled.details == "the bank said no"


def test_a_payout_without_an_id_gets_a_random_one(client: Any) -> None:
    one, two = (client.CreatePayout(params(amount=10_000)) for _ in range(2))
    assert one.payout_id != two.payout_id
    assert len(one.payout_id) == 36


def test_every_declared_refusal_arrives(client: Any) -> None:
    taken = client.CreatePayout(params(amount=10_000)).payout_id
    refusals = module("refusals")
    with pytest.raises(TYPES.PayoutAlreadyExists):
        client.CreatePayout(params(payout_id=taken))
    for amount in (0, -(2**63), 2_000, 10 * FUNDS):
        with pytest.raises(TYPES.InsufficientFunds):
            client.CreatePayout(params(amount=amount, payout_id="poor"))
    with pytest.raises(TYPES.NotFound) as missing:
        client.GetPayout("poor")
    assert missing.value.message == "Payout not found, payoutId='poor'"
    with pytest.raises(TYPES.NotFound) as missing:
        client.CreatePayout(params(shop="shop-9"))
    assert missing.value.message == "Shop not found, shopId='shop-9'"
    with pytest.raises(TYPES.NotFound) as missing:
        client.CreatePayout(params(payout_tool_id="pt-9"))
    assert missing.value.message == "PayoutTool not found, payoutToolId='pt-9'"
    with pytest.raises(refusals.InvalidRequest) as invalid:
        client.CreatePayout(params(payout_id="x" * 58))
    assert invalid.value.errors == ["Payout id must have 1 to 57 characters"]
    for call in (lambda: client.ConfirmPayout("poor"), lambda: client.CancelPayout("poor", "why")):
        with pytest.raises(TYPES.NotFound):
            call()
    assert client.CreatePayout(params(amount=10_000, payout_id="poor")).payout_id == "poor"


def test_an_amount_at_the_end_of_64_bits_is_too_much_and_does_no_harm(client: Any) -> None:
    with pytest.raises(module("refusals").InvalidRequest):
        client.CreatePayout(params(amount=2**63 - 1))
    assert client.CreatePayout(params(amount=10_000)).amount == 8_000


def test_a_step_from_the_wrong_state_says_why_in_the_header(client: Any, url: str) -> None:
    payout_id = client.CreatePayout(params(amount=10_000)).payout_id
    client.CancelPayout(payout_id, "no")
    response = post(url, SERVICE.call("ConfirmPayout", 1, [payout_id]))
    assert (response.status_code, response.headers["woody.error-class"], response.content) == (400, "Result Unexpected", b"")
    assert response.headers["woody.error-reason"] == (
        f"Invalid status for 'confirm' action, payoutId='{payout_id}', currentStatus='CANCELLED'"
    )


def test_details_are_needed_to_cancel(client: Any, url: str) -> None:
    payout_id = client.CreatePayout(params(amount=10_000)).payout_id
    response = post(url, SERVICE.call("CancelPayout", 1, [payout_id, None]))
    assert (response.status_code, response.headers["woody.error-reason"]) == (400, "thrift protocol error")
    for details in ("", " \n", "a\x1b[2J"):
        response = post(url, SERVICE.call("CancelPayout", 1, [payout_id, details]))
        assert (response.status_code, response.headers["woody.error-class"]) == (400, "Result Unexpected")
        assert response.headers["woody.error-reason"].startswith("Details must not ")
    assert client.GetPayout(payout_id).status.unpaid is not None


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"payout_id": ""}, "Payout id must have 1 to 57 characters"),
        ({"payout_id": " p"}, "Payout id must not begin or end with a blank"),
        ({"payout_id": "p\u200b"}, "Payout id must not have control characters, or characters that show nothing"),
        ({"payout_id": "A\u030a"}, "Payout id must be in Unicode's normal form C"),
        ({"payout_tool_id": "pt-1\n"}, "Payout tool id must not begin or end with a blank"),
        ({"shop": "shop-1\u00ad"}, "Shop id must not have control characters, or characters that show nothing"),
        ({"party": "party\0"}, "Party id must not have control characters, or characters that show nothing"),
        ({"currency": "R\0B"}, "Currency must not have control characters, or characters that show nothing"),
    ],
)
def test_an_id_that_hides_something_is_an_invalid_request(client: Any, wrong: dict[str, str], error: str) -> None:
    with pytest.raises(module("refusals").InvalidRequest) as invalid:
        client.CreatePayout(params(**wrong))
    assert invalid.value.errors == [error]


def test_ids_of_any_allowed_length_can_be_reversed(client: Any) -> None:
    for length in (1, 50, 51, 57):
        payout_id = uuid4().hex * 2
        made = client.CreatePayout(params(amount=10_000, payout_id=payout_id[:length]))
        client.ConfirmPayout(made.payout_id)
        client.CancelPayout(made.payout_id, "back")
        assert client.GetPayout(made.payout_id).status.cancelled is not None


def test_ids_of_any_script_are_refused_and_named_readably(client: Any, url: str) -> None:
    made = client.CreatePayout(params(amount=10_000, payout_id="выплата-øre-1"))
    client.CancelPayout(made.payout_id, "nei")
    response = post(url, SERVICE.call("ConfirmPayout", 1, [made.payout_id]))
    assert "\\u0432" in response.headers["woody.error-reason"]
    with pytest.raises(TYPES.NotFound) as missing:
        client.GetPayout("нет")
    assert missing.value.message == "Payout not found, payoutId='нет'"


def test_apache_thrift_pays_out_too(url: str, conninfo: str, thrift_generated: None) -> None:
    types, money = importlib.import_module("payouts.ttypes"), importlib.import_module("money.ttypes")
    with apache_client(url, importlib.import_module("payouts.PayoutManagement").Client) as apache:
        made = apache.CreatePayout(params(types, money))
        assert made.status.unpaid is not None
        apache.ConfirmPayout(made.payout_id)
        assert apache.GetPayout(made.payout_id).status.confirmed is not None
        with pytest.raises(types.NotFound):
            apache.GetPayout("nothing")
        with pytest.raises(types.InsufficientFunds):
            apache.CreatePayout(params(types, money, amount=0))
    assert check(conninfo, PORTS).differences == ()
