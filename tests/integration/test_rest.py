"""Payouts, accounts and plans over REST: what is answered, and what is refused in which words."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from kvitt.api.rest.callers import Permission
from kvitt.app.ports import PORTS
from kvitt.disbursement.check import check
from support.rest_stage import Site, earn, rest_site

Json = dict[str, Any]


@pytest.fixture(scope="module")
def site(ledger_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    earn(ledger_database)
    with rest_site(ledger_database, Path(tmp_path_factory.mktemp("issuer"))) as made:
        yield made


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[httpx.Client]:
    with site.client() as made:
        yield made


def payout_body(amount: int = 100_000, **more: Any) -> Json:
    return {"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": amount, "currency": "RUB"}, **more}


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    published = response.json()
    assert published["status"] == response.status_code
    return response.status_code, published["code"]


def an_account(client: httpx.Client, currency: str = "RUB") -> int:
    return int(client.post("/accounts", json={"currency": currency}).json()["account_id"])


def a_batch(source: int, target: int, amount: int = 100, batch_id: int = 1) -> Json:
    posting = {"source": source, "target": target, "amount": amount, "currency": "RUB", "description": "sale"}
    return {"batch_id": batch_id, "postings": [posting]}


def test_a_payout_is_created_confirmed_and_cancelled(site: Site, client: httpx.Client) -> None:
    before = client.get(f"/accounts/{site.settlement}").json()
    made = client.post("/payouts", json=payout_body())
    assert made.status_code == 201
    payout = made.json()
    assert (payout["status"], payout["sequence"], payout["amount"], payout["fee"]) == ("unpaid", 0, 98_000, 2_500)
    path = f"/payouts/{payout['payout_id']}"
    assert client.get(path).json() == payout
    confirmed = client.post(f"{path}/confirm")
    assert (confirmed.status_code, confirmed.json()["status"], confirmed.json()["sequence"]) == (200, "confirmed", 1)
    assert client.post(f"{path}/confirm").json() == confirmed.json()
    cancelled = client.post(f"{path}/cancel", json={"details": "the bank said no"}).json()
    assert (cancelled["status"], cancelled["cancel_details"], cancelled["sequence"]) == ("cancelled", "the bank said no", 2)
    assert [each["status"] for each in client.get(f"{path}/events").json()["events"]] == ["unpaid", "confirmed", "cancelled"]
    assert client.get(f"/accounts/{site.settlement}").json() == before
    assert problem(client.post(f"{path}/confirm")) == (409, "payout_in_other_state")


def test_payouts_are_listed_in_pages_and_by_state(client: httpx.Client) -> None:
    made = [client.post("/payouts", json=payout_body(10_000)).json()["payout_id"] for _ in range(5)]
    seen: list[str] = []
    after: str | None = None
    while len(seen) < 5:
        page = client.get("/payouts", params={"limit": 2, **({"after": after} if after else {})}).json()
        seen += [each["payout_id"] for each in page["payouts"]]
        after = page["next"]
    assert seen[:5] == made[::-1]
    client.post(f"/payouts/{made[0]}/cancel", json={"details": "no"})
    cancelled = client.get("/payouts", params={"status": "cancelled", "party_id": "party-1", "shop_id": "shop-1", "limit": 1000}).json()
    assert made[0] in [each["payout_id"] for each in cancelled["payouts"]]
    assert client.get("/payouts", params={"party_id": "party-9"}).json() == {"payouts": [], "next": None}


def test_a_plan_is_held_committed_and_shown_with_balances(site: Site, client: httpx.Client) -> None:
    source, target = an_account(client), an_account(client)
    plan = f"plan-{uuid4()}"
    held = client.post(f"/plans/{plan}/hold", json={"batch": a_batch(source, target)})
    assert held.status_code == 200
    touched = [(each["account_id"], each["available_min"], each["available_max"]) for each in held.json()["accounts"]]
    assert touched == [
        (source, -100, 0),
        (target, 0, 100),
    ]
    client.post(f"/plans/{plan}/hold", json={"batch": a_batch(target, source, 30, 2)})
    between = site.hub.clock()
    batches = [a_batch(source, target), a_batch(target, source, 30, 2)]
    committed = client.post(f"/plans/{plan}/commit", json={"batches": batches})
    assert committed.status_code == 200
    assert client.post(f"/plans/{plan}/commit", json={"batches": batches}).json() == committed.json()
    shown = client.get(f"/plans/{plan}").json()
    assert (shown["state"], shown["batches"]) == ("committed", batches)
    assert client.get(f"/accounts/{target}").json()["posted"] == 70
    assert client.get(f"/accounts/{target}/balance", params={"at": between.isoformat()}).json()["posted"] == 0
    assert client.get(f"/accounts/{target}/balance", params={"at": "2999-01-01T00:00:00Z"}).json()["posted"] == 70


def test_a_history_is_paged_and_a_statement_streams_all_of_it(client: httpx.Client) -> None:
    source, target = an_account(client), an_account(client)
    for number in range(5):
        client.post(f"/plans/{uuid4()}/hold", json={"batch": a_batch(source, target, number)})
    first = client.get(f"/accounts/{source}/entries", params={"limit": 3}).json()
    rest = client.get(f"/accounts/{source}/entries", params={"after": first["next"]}).json()
    entries = [*first["entries"], *rest["entries"]]
    assert [each["number"] for each in entries] == [1, 2, 3, 4, 5]
    assert rest["next"] is None
    with client.stream("GET", f"/accounts/{source}/statement") as statement:
        assert statement.headers["content-type"].startswith("application/x-ndjson")
        assert [json.loads(line) for line in statement.iter_lines()] == entries
    assert problem(client.get("/accounts/4611686018427387904/statement")) == (404, "account_not_found")


def test_accounts_are_listed_in_pages(client: httpx.Client) -> None:
    made = [an_account(client, "NOK") for _ in range(3)]
    seen: list[int] = []
    after = None
    while True:
        page = client.get("/accounts", params={"limit": 7, **({"after": after} if after else {})}).json()
        seen += [each["account_id"] for each in page["accounts"]]
        if (after := page["next"]) is None:
            break
    assert seen == sorted(seen)
    assert set(made) <= set(seen)


def test_refusals_of_the_ledger_name_the_posting_and_the_rule(client: httpx.Client) -> None:
    source, kroner = an_account(client), an_account(client, "NOK")
    refused = client.post(f"/plans/{uuid4()}/hold", json={"batch": a_batch(source, kroner)})
    assert problem(refused) == (400, "postings_refused")
    assert refused.json()["errors"] == [
        {
            "field": "batch.postings[0]",
            "rule": f"Account ({kroner}) currency code is not equal: expected: NOK, actual: RUB in batch: 1",
        }
    ]
    never = client.post("/plans/never/commit", json={"batches": [a_batch(source, kroner)]})
    assert (problem(never), never.json()["detail"]) == ((409, "plan_refused"), "Posting plan not found: never")
    assert problem(client.get("/plans/never")) == (404, "plan_not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (payout_body(shop_id=""), "shop_id"),
        (payout_body(payout_id="x" * 58), "payout_id"),
        (payout_body(payout_id="a\0b"), "payout_id"),
        (payout_body(2**63), "cash.amount"),
        (payout_body(-(2**63) - 1), "cash.amount"),
        (payout_body(1.5), "cash.amount"),  # type: ignore[arg-type]
        (payout_body(more=1), ""),
        ({"party_id": "party-1"}, ""),
        ([], ""),
    ],
)
def test_a_wrong_body_is_refused_with_its_field(client: httpx.Client, body: Any, field: str) -> None:
    response = client.post("/payouts", json=body)
    assert problem(response) == (400, "bad_request")
    published = response.json()
    assert not field or published["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"party_id": "\\ud800"}',
        b"\xff",
        b'{"party_id":"p","shop_id":"s","cash":{"amount":NaN,"currency":"RUB"}}',
        b'{"party_id":"p","shop_id":"s","cash":{"amount":1e400,"currency":"RUB"}}',
        b'{"party_id":"p","shop_id":"s","cash":{"amount":' + b"9" * 5000 + b',"currency":"RUB"}}',
        b"[" * 100_000,
    ],
    ids=["nothing", "half", "a lone surrogate", "no UTF-8", "NaN", "too large a float", "too large a number", "too deep"],
)
def test_what_is_no_json_of_ours_is_refused_cleanly(client: httpx.Client, body: bytes) -> None:
    assert problem(client.post("/payouts", content=body, headers={"content-type": "application/json"}))[0] == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"party_id":"party-1","shop_id":"shop-1","cash":{"amount":10000,"amount":250000,"currency":"RUB"}}', "cash.amount"),
        (b'{"party_id":"party-1","shop_id":"shop-1","cash":{"amount":10000,"\\u0061mount":250000,"currency":"RUB"}}', "cash.amount"),
        (b'{"party_id":"party-1","shop_id":"shop-1","cash":{"amount":10000,"currency":"RUB"},"party_id":"party-2"}', "party_id"),
    ],
)
def test_a_member_that_is_there_twice_is_refused_by_its_name(client: httpx.Client, body: bytes, field: str) -> None:
    response = client.post("/payouts", content=body, headers={"content-type": "application/json"})
    assert problem(response) == (400, "bad_request")
    assert response.json()["errors"] == [{"field": field, "rule": "is there more than once"}]


@pytest.mark.parametrize("amount", [0, -5, -(2**63), 2_000, 2**62])
def test_an_amount_that_can_not_be_paid_is_insufficient_and_leaves_nothing(client: httpx.Client, amount: int) -> None:
    assert problem(client.post("/payouts", json=payout_body(amount, payout_id="poor"))) == (409, "insufficient_funds")
    assert problem(client.get("/payouts/poor")) == (404, "payout_not_found")


def test_what_is_not_there_and_what_is_there_already_are_reported(client: httpx.Client) -> None:
    taken = client.post("/payouts", json=payout_body(10_000)).json()["payout_id"]
    assert problem(client.post("/payouts", json=payout_body(payout_id=taken))) == (409, "payout_already_exists")
    missing = client.post("/payouts", json=payout_body(payout_tool_id="pt-9"))
    assert (problem(missing), missing.json()["detail"]) == ((404, "payout_not_found"), "PayoutTool not found, payoutToolId='pt-9'")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("after=", "after"),
        ("after=x", "after"),
        ("after=WzFd", "after"),
        ("status=gone", "status"),
        ("party_id=%00", "party_id"),
        ("stat=paid", "stat"),
    ],
)
def test_wrong_questions_are_refused_with_the_parameter(client: httpx.Client, query: str, field: str) -> None:
    response = client.get(f"/payouts?{query}")
    assert problem(response) == (400, "bad_request")
    assert response.json()["errors"][0]["field"] == field


def test_a_body_that_is_too_long_or_no_json_by_its_type_is_refused(client: httpx.Client) -> None:
    assert problem(client.post("/payouts", content=b" " * 1_048_577)) == (413, "body_too_long")
    for kind in ("application/x-www-form-urlencoded", "text/plain", "application/x-msgpack", ""):
        refused = client.post("/accounts", content=b'{"currency": "RUB"}', headers={"content-type": kind})
        assert problem(refused) == (415, "unsupported_media_type"), kind


def test_all_that_is_wrong_with_a_body_is_reported_at_once(client: httpx.Client) -> None:
    batch = {"batch_id": "1", "postings": [{"source": 1, "target": 2, "amount": -1, "currency": "RUB", "description": "", "more": 1}, 3]}
    published = client.post("/plans/q/hold", json={"batch": batch}).json()
    assert {each["field"] for each in published["errors"]} == {
        "batch.batch_id",
        "batch.postings[0].amount",
        "batch.postings[0].more",
        "batch.postings[1]",
    }
    missing = client.post("/payouts", json={"cash": {"amount": "1"}}).json()["errors"]
    assert {each["field"] for each in missing} == {"party_id", "shop_id", "cash.amount", "cash.currency"}


@pytest.mark.parametrize(
    "parts", [["2026-01-01T00:00:00Z", "\0"], ["2026-01-01T00:00:00Z", "\ud800"], ["0000-01-01T00:00:00Z", "p"], [1, 2]]
)
def test_a_cursor_that_was_never_given_out_is_refused(client: httpx.Client, parts: list[Any]) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
    assert problem(client.get("/payouts", params={"after": cursor.rstrip("=")})) == (400, "bad_request")


def test_a_page_that_is_the_last_names_none_behind_it(client: httpx.Client) -> None:
    account = an_account(client)
    for number in range(2):
        client.post(f"/plans/{uuid4()}/hold", json={"batch": a_batch(account, an_account(client), number)})
    assert client.get(f"/accounts/{account}/entries", params={"limit": 1}).json()["next"] is not None
    assert client.get(f"/accounts/{account}/entries", params={"limit": 2}).json()["next"] is None


def test_ids_that_nothing_can_have_are_not_found(client: httpx.Client) -> None:
    for path in ("/plans/%00", "/payouts/%00", "/payouts/%00/events", "/accounts/" + "9" * 5000):
        assert problem(client.get(path))[0] == 404, path
    assert problem(client.post("/plans/%00/hold", json={"batch": a_batch(1, 2)})) == (400, "bad_request")


def test_a_balance_needs_a_moment_with_a_zone(site: Site, client: httpx.Client) -> None:
    for at in ("2026-01-01T00:00:00", "yesterday", "", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"):
        assert problem(client.get(f"/accounts/{site.settlement}/balance", params={"at": at}))[0] == 400


def test_the_description_has_every_route_with_its_problems(site: Site, client: httpx.Client) -> None:
    described = client.get("/schema/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    (simulate,) = described["paths"].pop("/api/simulering").values()
    named, given = (described["paths"].pop(f"/api/{path}konsistensavstemming")["post"] for path in ("v2/", ""))
    assert named["responses"].keys() == given["responses"].keys() >= {"200", "400", "401", "403", "500", "503"}
    assert {"200", "204", "400", "401", "403", "409", "500", "503"} <= simulate["responses"].keys()
    decisions = [
        path for path in described["paths"] if path.startswith(("/api/iverksetting", "/utbetalinger", "/api/dryrun", "/api/simulering/v"))
    ]
    assert len(decisions) == 19
    for path in decisions:
        for of_contract in described["paths"].pop(path).values():
            assert {"400", "401", "403", "429", "500", "503"} <= of_contract["responses"].keys()
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert len(operations) == 24
    for operation in operations:
        assert {"400", "401", "403", "404", "409", "500", "503"} <= operation["responses"].keys()
        assert "application/problem+json" in operation["responses"]["404"]["content"]


def test_no_role_sees_what_the_other_does(site: Site) -> None:
    with site.client(Permission.PAYOUTS_READ) as reader:
        assert reader.get("/payouts").status_code == 200
        assert problem(reader.post("/payouts", json=payout_body())) == (403, "not_permitted")
        assert problem(reader.get("/accounts")) == (403, "not_permitted")


def test_after_all_this_the_check_finds_nothing(site: Site) -> None:
    assert check(site.conninfo, PORTS).differences == ()
