"""The local directory and PartyManagement behind one port: the same payouts, the same texts (payouts §2.2, §3)."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kvitt.api.thrift.client import ThriftClient
from kvitt.api.thrift.server import Endpoint
from kvitt.api.thrift.services import PARTY_MANAGEMENT, PartyManagementAdapter
from kvitt.errors import BadDirectory, InvalidPayout, PartyNotFound, PayoutNotFound, PayoutsFailed
from kvitt.kernel.database import connect
from kvitt.ledger.calls import Account, NewAccount
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.read import LedgerReader
from kvitt.payouts.directory import (
    all_known,
    known,
    load_directory,
)
from kvitt.payouts.directory_file import read_directory
from kvitt.payouts.local_parties import LocalParties
from kvitt.payouts.model import Cash
from kvitt.payouts.rules import AccountType, worth_of
from support.party_records import TYPES, a_cash_flow, a_party
from support.patience import PATIENCE_SECONDS
from support.thrift_stage import serving

EXAMPLE = (Path(__file__).parents[2] / "examples/parties.toml").read_text("utf-8")
MOMENT = datetime(2026, 7, 1, 12, 0, 0, 123000, UTC)
ROUBLES = Cash(1_000_000, "RUB")
PARAMS = (
    "PayoutParams(id:{shop}, amount:Cash(amount:1000000, currency:CurrencyRef(symbolic_code:RUB)), "
    "timestamp:2026-07-01T12:00:00.123Z, payout_tool_id:{tool})"
)


def clock() -> datetime:
    return MOMENT


@pytest.fixture
def parties(database: str) -> Iterator[LocalParties]:
    with connect(database) as connection:
        load_directory(connection, clock, read_directory(EXAMPLE))
    made = LocalParties(database)
    yield made
    made.close()


def reload(database: str, before: str, after: str) -> None:
    assert before in EXAMPLE
    with connect(database) as connection:
        load_directory(connection, clock, read_directory(EXAMPLE.replace(before, after, 1)))


def test_the_example_pays_by_its_terms(parties: LocalParties) -> None:
    party = parties.party("party-1")
    assert party is not None
    assert party.payout_tools == {"contract-1": frozenset({"pt-1"}), "contract-2": frozenset({"pt-2", "pt-3"})}
    flow = parties.cash_flow("party-1", "shop-1", ROUBLES, MOMENT, "pt-1")
    assert [(each.source_type, each.amount, each.details) for each in flow] == [
        (AccountType.MERCHANT_SETTLEMENT, 1_000_000, None),
        (AccountType.MERCHANT_PAYOUT, 2_000, "bank fee"),
        (AccountType.MERCHANT_SETTLEMENT, 5_000, None),
    ]
    assert worth_of(flow) == (998_000, 7_000)
    assert flow[0].source == party.shops["shop-1"].settlement
    kroner = parties.cash_flow("party-1", "shop-2", Cash(50_000, "NOK"), MOMENT, "pt-3")
    assert worth_of(kroner) == (50_000, 600)


def test_accounts_are_made_once_however_often_the_file_is_loaded(parties: LocalParties, database: str) -> None:
    with connect(database) as connection:
        before = known(connection, "party-1")
        again = load_directory(connection, clock, read_directory(EXAMPLE))
        assert (again.changed, again.unchanged, again.accounts) == ({}, ("party-1",), ())
        assert known(connection, "party-1") == before
        accounts = LedgerReader(connection).accounts()
        assert len(accounts) == 14
        assert {each.account.description for each in accounts} >= {"party/party-1/shop-1/settlement", "house/NOK/external_income"}


def test_a_dry_run_says_what_loading_does_and_does_nothing(database: str) -> None:
    with connect(database) as connection:
        found = read_directory(EXAMPLE)
        said = load_directory(connection, clock, found, dry_run=True)
        assert (said.changed, len(said.accounts)) == ({"party-1": 1}, 14)
        assert all_known(connection) == []
        assert LedgerReader(connection).accounts() == []
        assert load_directory(connection, clock, found) == said
        assert load_directory(connection, clock, found, dry_run=True).unchanged == ("party-1",)
        changed = read_directory(EXAMPLE.replace("amount = 2000", "amount = 3000"))
        assert load_directory(connection, clock, changed, dry_run=True).changed == {"party-1": 2}
        assert load_directory(connection, clock, changed).changed == {"party-1": 2}


def test_accounts_that_the_file_names_must_be_there_in_the_right_currency(parties: LocalParties, database: str) -> None:
    with connect(database) as connection:
        party = known(connection, "party-1").entry
        roubles = party.shops[0].accounts.settlement
        named = EXAMPLE + f"\n[parties.shops.accounts]\nsettlement = {roubles}\nguarantee = 999\n"
        with pytest.raises(BadDirectory) as refused:
            load_directory(connection, clock, read_directory(named))
    assert refused.value.complaints == (
        f"parties[0].shops[1].accounts.settlement: account {roubles} is in RUB, not in NOK",
        "parties[0].shops[1].accounts.guarantee: the ledger has no account 999",
    )


def test_a_file_without_the_houses_accounts_leaves_them_as_they_were(parties: LocalParties, database: str) -> None:
    with connect(database) as connection:
        (fees,) = LedgerWriter(connection, clock).execute([NewAccount("RUB", "fees", None, "fees")])
        assert isinstance(fees, Account)
        house = f'\n[[house]]\ncurrency = "RUB"\nsystem_settlement = {fees.account_id}\n'
        for dry_run in (True, False):
            assert load_directory(connection, clock, read_directory(EXAMPLE + house), dry_run=dry_run).house == ("RUB",)
        assert parties.cash_flow("party-1", "shop-1", ROUBLES, MOMENT, "pt-1")[1].target == fees.account_id
        assert load_directory(connection, clock, read_directory(EXAMPLE)).house == ()
        assert parties.cash_flow("party-1", "shop-1", ROUBLES, MOMENT, "pt-1")[1].target == fees.account_id


def test_an_account_that_is_no_longer_named_gives_way_to_the_one_that_was_made(parties: LocalParties, database: str) -> None:
    with connect(database) as connection:
        made = known(connection, "party-1").entry
        (other,) = LedgerWriter(connection, clock).execute([NewAccount("NOK", "other", None, "other")])
        assert isinstance(other, Account)
        load_directory(connection, clock, read_directory(EXAMPLE + f"\n[parties.shops.accounts]\npayout = {other.account_id}\n"))
        assert known(connection, "party-1").entry.shops[1].accounts.payout == other.account_id
        said = load_directory(connection, clock, read_directory(EXAMPLE), dry_run=True)
        assert (said.changed, said.accounts) == ({"party-1": 3}, ())
        assert load_directory(connection, clock, read_directory(EXAMPLE)) == said
        assert known(connection, "party-1").entry == made


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_shop_of_another_currency_than_its_accounts_is_refused(parties: LocalParties, database: str, dry_run: bool) -> None:
    text = EXAMPLE.replace('currency = "NOK"\npayout_tool', 'currency = "SEK"\npayout_tool')
    with connect(database) as connection:
        before, settlement = known(connection, "party-1"), known(connection, "party-1").entry.shops[1].accounts.settlement
        with pytest.raises(BadDirectory) as refused:
            load_directory(connection, clock, read_directory(text), dry_run=dry_run)
        assert len(refused.value.complaints) == 3
        assert refused.value.complaints[0] == (
            f"parties[0].shops[1].accounts.settlement: account {settlement} was made for it in NOK, not in SEK; name another one"
        )
        assert (known(connection, "party-1"), len(LedgerReader(connection).accounts())) == (before, 14)


def test_shops_whose_ids_look_alike_in_a_path_have_accounts_of_their_own(database: str) -> None:
    shop = '[[parties.shops]]\nid = "{}"\ncontract = "c"\ncurrency = "RUB"\n'
    contract = EXAMPLE[EXAMPLE.index("[[parties.contracts]]") : EXAMPLE.rindex("[[parties.contracts]]")].replace("contract-1", "c")
    text = "".join(f'[[parties]]\nid = "{party}"\n{contract}{shop.format(name)}' for party, name in [("a", "b/c"), ("a/b", "c")])
    with connect(database) as connection:
        load_directory(connection, clock, read_directory(text))
        ids = [each.entry.shops[0].accounts for each in all_known(connection)]
    assert len({ids[0].settlement, ids[1].settlement, ids[0].payout, ids[1].payout}) == 4


def test_who_is_not_there_is_reported_in_the_contracts_words(parties: LocalParties, database: str) -> None:
    assert parties.party("party-9") is None
    for party, shop, tool, name in [
        ("party-9", "shop-1", "pt-1", "PartyNotFound"),
        ("party-1", "shop-9", "pt-1", "ShopNotFound"),
        ("party-1", "shop-1", "pt-2", "PayoutToolNotFound"),
    ]:
        with pytest.raises(PayoutNotFound) as missing:
            parties.cash_flow(party, shop, ROUBLES, MOMENT, tool)
        assert str(missing.value) == f"{name}, partyId='{party}', payoutParams='{PARAMS.format(shop=shop, tool=tool)}'"
    with connect(database) as connection, pytest.raises(PartyNotFound):
        known(connection, "party-9")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ('id = "party-1"', 'id = "party-1"\nblocked = true', "the party is blocked"),
        ('id = "shop-1"', 'id = "shop-1"\nsuspended = true', "the shop is suspended"),
        ('{ id = "pt-1", currency = "RUB" }', '{ id = "pt-1", currency = "USD" }', "the payout tool is in USD, not in RUB"),
        ("# valid_from = 2026-01-01T00:00:00Z", "valid_from = 2026-08-01T00:00:00Z", "has no terms at 2026-07-01T12:00:00.123Z"),
        ("# valid_from = 2026-01-01T00:00:00Z", "valid_until = 2026-07-01T12:00:00Z", "has no terms at 2026-07-01T12:00:00.123Z"),
    ],
)
def test_what_is_not_permitted_is_refused_with_the_reason(
    parties: LocalParties, database: str, before: str, after: str, reason: str
) -> None:
    reload(database, before, after)
    with pytest.raises(InvalidPayout, match="OperationNotPermitted") as refused:
        parties.cash_flow("party-1", "shop-1", ROUBLES, MOMENT, "pt-1")
    assert reason in str(refused.value)


class PartyManagement:
    """Another's service: what it is asked is kept, and each method does what the test says."""

    def __init__(self) -> None:
        self.get: Callable[[Any], Any] = lambda _asked: a_party()
        self.compute: Callable[[Any], Any] = lambda _asked: a_cash_flow()
        self.asked: list[Any] = []

    async def _get(self, asked: Any) -> Any:
        self.asked.append(asked)
        return self.get(asked)

    async def _compute(self, asked: Any) -> Any:
        self.asked.append(asked)
        return self.compute(asked)

    def endpoint(self) -> Endpoint:
        return Endpoint(PARTY_MANAGEMENT, {"Get": self._get, "ComputePayoutCashFlow": self._compute})


@pytest.fixture
def service() -> PartyManagement:
    return PartyManagement()


@pytest.fixture
def remote(service: PartyManagement) -> Iterator[PartyManagementAdapter]:
    with serving({"/v1/processing/partymgmt": service.endpoint()}) as url:
        client = ThriftClient(f"{url}/v1/processing/partymgmt", PARTY_MANAGEMENT, seconds=PATIENCE_SECONDS)
        yield PartyManagementAdapter(client)
        client.close()


def test_a_party_and_its_cash_flow_are_read_from_partymanagement(remote: PartyManagementAdapter, service: PartyManagement) -> None:
    party = remote.party("party-1")
    assert party is not None
    assert (party.shops["shop-1"].settlement, party.shops["shop-2"].settlement) == (11, None)
    assert party.payout_tools == {"contract-1": frozenset({"pt-1", "pt-2", "pt-3", "pt-4"})}
    (flow,) = remote.cash_flow("party-1", "shop-1", ROUBLES, MOMENT, "pt-1")
    assert (flow.source, flow.target, flow.target_type, flow.details) == (11, 13, AccountType.MERCHANT_PAYOUT, "why")
    assert [(asked.user.id, asked.user.type.internal_user is not None) for asked in service.asked] == [("admin", True)] * 2
    params = service.asked[1].params
    assert (params.id, params.amount.amount, params.timestamp, params.payout_tool_id) == (
        "shop-1",
        1_000_000,
        "2026-07-01T12:00:00.123Z",
        "pt-1",
    )


def throw(exception: Exception) -> Callable[[Any], Any]:
    def does(_asked: Any) -> Any:
        raise exception

    return does


@pytest.mark.parametrize("name", ["PartyNotFound", "PartyNotExistsYet", "ShopNotFound", "PayoutToolNotFound"])
def test_what_partymanagement_does_not_find_is_reported_in_the_contracts_words(
    remote: PartyManagementAdapter, service: PartyManagement, name: str
) -> None:
    service.get = throw(TYPES.PartyNotFound())
    service.compute = throw(getattr(TYPES, name)())
    assert remote.party("party-9") is None
    with pytest.raises(PayoutNotFound) as missing:
        remote.cash_flow("party-1", "shop-1", ROUBLES, MOMENT, "pt-1")
    assert str(missing.value) == f"{name}, partyId='party-1', payoutParams='{PARAMS.format(shop='shop-1', tool='pt-1')}'"


def test_what_partymanagement_does_not_permit_is_the_callers_to_mend(remote: PartyManagementAdapter, service: PartyManagement) -> None:
    service.compute = throw(TYPES.OperationNotPermitted())
    with pytest.raises(InvalidPayout) as refused:
        remote.cash_flow("party-1", "shop-1", ROUBLES, MOMENT, "pt-1")
    published = f"OperationNotPermitted, partyId='party-1', payoutParams='{PARAMS.format(shop='shop-1', tool='pt-1')}'"
    assert refused.value.errors == (published,)


@pytest.mark.parametrize("failure", [TYPES.InvalidUser(), RuntimeError("x")])
def test_everything_else_is_a_failure_of_ours(remote: PartyManagementAdapter, service: PartyManagement, failure: Exception) -> None:
    service.get = service.compute = throw(failure)
    with pytest.raises(PayoutsFailed):
        remote.party("party-1")
    with pytest.raises(PayoutsFailed):
        remote.cash_flow("party-1", "shop-1", ROUBLES, MOMENT, "pt-1")


@pytest.mark.parametrize("account", [{"system": 1}, {"wallet": 0}])
def test_accounts_that_no_payout_has_are_named(remote: PartyManagementAdapter, service: PartyManagement, account: dict[str, int]) -> None:
    service.compute = lambda _asked: a_cash_flow(**account)
    with pytest.raises(PayoutsFailed, match=next(iter(account))):
        remote.cash_flow("party-1", "shop-1", ROUBLES, MOMENT, "pt-1")


def test_where_the_ledger_is_another_service_every_account_is_named(database: str) -> None:
    with connect(database) as connection, pytest.raises(BadDirectory, match=r"house NOK\.external_outcome: is not named"):
        load_directory(connection, clock, read_directory(EXAMPLE), own_ledger=False)
