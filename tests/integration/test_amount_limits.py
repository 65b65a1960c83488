"""Amounts at and beyond the ends of 64 bits, and sums that go beyond them, are refused by each API with the field and the limit."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from kvitt.api.thrift import ledger as woody_ledger
from kvitt.api.thrift import payouts as woody_payouts
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.service import LedgerService
from kvitt.payouts.local_parties import LocalParties
from kvitt.payouts.rules import TOO_MUCH
from kvitt.payouts.service import PayoutService
from support.console_script import inside, kvitt
from support.ledger_stage import commit, hold, made, moved
from support.rest_stage import earn, rest_site
from support.thrift_stage import post, serving, thriftpy_client

MOST, LEAST = 2**63 - 1, -(2**63)
ACCOUNTER = Service("accounter", "Accounter")
PAYOUTS: Any = module("payouts")
LEDGER: Any = module("accounter")
MONEY: Any = module("money")
REFUSALS: Any = module("refusals")


@pytest.fixture(scope="module")
def conninfo(ledger_database: str) -> str:
    earn(ledger_database)
    return ledger_database


@pytest.fixture(scope="module")
def url(conninfo: str) -> Iterator[str]:
    parties, ledger = LocalParties(conninfo), LedgerService(conninfo, utc_now)
    payouts = PayoutService(conninfo, utc_now, parties)
    with serving(woody_payouts.endpoints(payouts) | woody_ledger.endpoints(ledger)) as address:
        yield address
    for each in (payouts, parties, ledger):
        each.close()


@pytest.fixture(scope="module")
def rest(conninfo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with rest_site(conninfo, Path(tmp_path_factory.mktemp("issuer"))) as site, site.client() as client:
        yield client


@pytest.fixture(scope="module")
def accounts(conninfo: str) -> list[int]:
    with connect(conninfo) as connection:
        return made(LedgerWriter(connection, utc_now).execute, 2)


def params(amount: int) -> Any:
    cash = MONEY.Cash(amount=amount, currency=MONEY.CurrencyRef(symbolic_code="RUB"))
    return PAYOUTS.PayoutParams(shop_params=PAYOUTS.ShopParams(party_id="party-1", shop_id="shop-1"), cash=cash)


@pytest.mark.parametrize("amount", [LEAST, -1, 0, 2**62])
def test_thrift_refuses_what_is_not_there_to_be_paid_out(url: str, amount: int) -> None:
    with thriftpy_client(f"{url}/payout/management", "payouts", "PayoutManagement") as client, pytest.raises(PAYOUTS.InsufficientFunds):
        client.CreatePayout(params(amount))


@pytest.mark.parametrize("amount", [MOST - 1, MOST])
def test_thrift_refuses_a_payout_for_which_there_is_no_room_by_its_field_and_the_limit(url: str, amount: int) -> None:
    published: list[str] = []
    with thriftpy_client(f"{url}/payout/management", "payouts", "PayoutManagement") as client:
        try:
            client.CreatePayout(params(amount))
        except REFUSALS.InvalidRequest as refused:
            published = refused.errors
    assert published == [TOO_MUCH]
    assert str(MOST) in TOO_MUCH


def change(plan_id: str, accounts: list[int], *amounts: int) -> Any:
    postings = [
        LEDGER.Posting(from_id=accounts[0], to_id=accounts[1], amount=amount, currency_sym_code="RUB", description="x")
        for amount in amounts
    ]
    return LEDGER.PostingPlanChange(id=plan_id, batch=LEDGER.PostingBatch(id=1, postings=postings))


@pytest.mark.parametrize("amount", [LEAST, -1])
def test_thrift_refuses_a_negative_posting(url: str, accounts: list[int], amount: int) -> None:
    with thriftpy_client(f"{url}/accounter", "accounter", "Accounter") as client, pytest.raises(LEDGER.InvalidPostingParams) as refused:
        client.Hold(change("negative", accounts, amount))
    assert list(refused.value.wrong_postings.values()) == ["Amount cannot be negative"]


def test_thrift_refuses_a_sum_beyond_64_bits_by_the_account_and_the_limit(url: str, accounts: list[int]) -> None:
    with thriftpy_client(f"{url}/accounter", "accounter", "Accounter") as client:
        with pytest.raises(REFUSALS.InvalidRequest) as refused:
            client.Hold(change("sum", accounts, MOST, MOST))
        assert refused.value.errors == [f"Plan (sum) would move account {accounts[0]} below {LEAST}"]
        assert client.Hold(change("zero", accounts, 0)).affected_accounts[accounts[0]].min_available_amount == 0


def test_thrift_refuses_a_difference_that_no_number_of_64_bits_is(conninfo: str, url: str) -> None:
    with connect(conninfo) as connection:
        ends = made(LedgerWriter(connection, utc_now).execute, 2)
        a, b = ends
        moments = []
        for number, (source, target) in enumerate(((a, b), (b, a), (b, a))):
            plan, posting = f"swing-{number}", moved(source, target, MOST)
            for call in (hold, commit):
                LedgerWriter(connection, lambda day=number + 1: datetime(2026, 7, day, tzinfo=UTC)).execute([call(plan, posting)])
            moments.append(f"2026-07-0{number + 1}T12:00:00Z")
    answer = post(f"{url}/accounter", ACCOUNTER.call("GetAccountBalanceDiff", 1, [b, moments[0], moments[2]]))
    assert (answer.status_code, answer.headers["woody.error-class"]) == (400, "Result Unexpected")
    assert answer.headers["woody.error-reason"] == f"the difference from {MOST} to {-MOST} is not within {LEAST} to {MOST}"


@pytest.mark.parametrize("amount", [LEAST, -1, 0, 2**62])
def test_rest_refuses_what_is_not_there_to_be_paid_out(rest: httpx.Client, amount: int) -> None:
    assert asked(rest, str(amount)) == (409, "insufficient_funds", None)


@pytest.mark.parametrize("amount", [MOST - 1, MOST])
def test_rest_refuses_a_payout_for_which_there_is_no_room(rest: httpx.Client, amount: int) -> None:
    assert asked(rest, str(amount)) == (400, "invalid_payout", {"field": "", "rule": TOO_MUCH})


@pytest.mark.parametrize(
    "amount", [str(MOST + 1), str(2**64), str(10**30), "9" * 400, str(LEAST - 1), "1.5", "1e400", '"1"', "true", "null"]
)
def test_rest_refuses_what_is_no_amount_by_its_field(rest: httpx.Client, amount: str) -> None:
    status, code, wrong = asked(rest, amount)
    assert (status, code) == (400, "bad_request")
    assert wrong is not None
    assert wrong["field"] == "cash.amount"


def asked(rest: httpx.Client, amount: str) -> tuple[int, str, dict[str, str] | None]:
    """A payout of an amount as it stands in JSON: the status, the code and what is wrong first."""
    body = json.dumps({"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": 0, "currency": "RUB"}}).replace(": 0", f": {amount}")
    published = rest.post("/payouts", content=body, headers={"content-type": "application/json"})
    errors = published.json().get("errors") or [None]
    return published.status_code, published.json()["code"], errors[0]


@pytest.mark.parametrize("amount", [LEAST, -1, MOST + 1, 10**30])
def test_rest_refuses_a_posting_that_is_no_amount(rest: httpx.Client, accounts: list[int], amount: int) -> None:
    published = held(rest, "rest-1", accounts, amount)
    assert (published.status_code, published.json()["code"]) == (400, "bad_request")


def test_rest_refuses_a_sum_beyond_64_bits_by_the_account_and_the_limit(rest: httpx.Client, accounts: list[int]) -> None:
    published = held(rest, "rest-2", accounts, MOST, MOST)
    assert (published.status_code, published.json()["code"]) == (409, "plan_refused")
    assert published.json()["detail"] == f"Plan (rest-2) would move account {accounts[0]} below {LEAST}"


def held(rest: httpx.Client, plan_id: str, accounts: list[int], *amounts: int) -> httpx.Response:
    sides = {"source": accounts[0], "target": accounts[1], "currency": "RUB", "description": "x"}
    return rest.post(f"/plans/{plan_id}/hold", json={"batch": {"batch_id": 1, "postings": [{**sides, "amount": each} for each in amounts]}})


@pytest.mark.usefixtures("made_up_people")
@pytest.mark.parametrize("amount", [LEAST - 1, -1, 0, MOST, MOST + 1, 10**30])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_the_command_line_refuses_an_amount_in_a_sentence(conninfo: str, tmp_path: Path, amount: int, dry: tuple[str, ...]) -> None:
    shop = ("--party", "party-1", "--shop", "shop-1", "--currency", "RUB")
    typed = kvitt if amount == MOST and not dry else inside
    done = typed(tmp_path, "payout", "create", *shop, "--amount", amount, *dry, "--database", conninfo)
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert "amount" in done.stderr
    assert amount <= 0 or str(MOST) in done.stderr or "2^63-1" in done.stderr


def test_nothing_of_it_was_done(conninfo: str) -> None:
    assert check(conninfo, PORTS).differences == ()
