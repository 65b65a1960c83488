"""Ids that hide something are refused where they come in, in the form of that place; what is stored under one is still found and ended."""

import http.client
import subprocess
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from msgspec.structs import replace

from kvitt.app.ports import PORTS
from kvitt.disbursement.editions import Edition
from kvitt.disbursement.history import history
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import Scheme
from kvitt.errors import BadDirectory
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from kvitt.ledger.calls import Call
from kvitt.ledger.post import LedgerWriter
from kvitt.ledger.rules import Batch, Operation, Posting
from kvitt.payouts.directory_file import read_directory
from support.console_script import KVITT, PATIENCE_SECONDS
from support.hub_messages import Json, aap, dp, text, tp
from support.hub_stage import Stage
from support.rapid_messages import line, need
from support.rapid_stage import Rapid
from support.rest_stage import EXAMPLE, Site, earn, rest_site

DP, AAP, TP = Scheme.DAGPENGER, Scheme.AAP, Scheme.TILTAKSPENGER
HIDDEN = "kan ikke ha kontrolltegn eller tegn som ikke vises"
FORM = "må være i Unicodes normalform C (NFC)"
ENDS = "kan ikke begynne eller slutte med blanke tegn"


def in_period(case: str, period: str) -> Json:
    body = dp(case)
    for day in body["utbetalinger"]:
        day["meldeperiode"] = period
    return body


STREAMS: list[tuple[Scheme, str, Json, str]] = [
    (AAP, "key", aap("a\u200bb"), f"Feltet sakId {HIDDEN}"),
    (AAP, "key", aap("A\u030a"), f"Feltet sakId {FORM}"),
    (AAP, "key", aap("a\tb"), f"Feltet sakId {HIDDEN}"),
    (AAP, "key", aap("S", behandlingId="B\u202e1"), f"Feltet behandlingId {HIDDEN}"),
    (DP, "key", in_period("S", "132460781 "), f"Feltet meldeperiode {ENDS}"),
    (DP, "key", in_period("S", "132\u200b460781"), f"Feltet meldeperiode {HIDDEN}"),
    (DP, "key", in_period("S", ""), "Feltet meldeperiode kan ikke være blank"),
    (AAP, "key", aap("S "), "Sak-ID og behandling-ID kan ikke begynne eller slutte med blanke tegn"),
    (AAP, "key", aap(" "), "Sak-ID må være mellom 1 og 30 tegn"),
]


@pytest.mark.parametrize(
    ("scheme", "key", "body", "seen"), STREAMS, ids=[ascii(seen[7:30]) + str(n) for n, (*_, seen) in enumerate(STREAMS)]
)
def test_a_message_whose_ids_hide_something_is_refused_under_its_key(stage: Stage, scheme: Scheme, key: str, body: Json, seen: str) -> None:
    assert stage.hand_in(scheme, (key, body)) == [Outcome.ANSWERED]
    error = stage.final(key).error
    assert error is not None
    assert (error.status, error.text) == (400, seen)
    assert stage.one("SELECT count(*) FROM orders") == 0


def test_ids_of_any_script_go_through(stage: Stage) -> None:
    assert stage.hand_in(AAP, ("nøkkel 1", aap("Å/案 1")), ("k2", aap("S%2F"))) == [Outcome.DERIVED] * 2
    assert stage.hand_in(TP, ("k3", tp("T"))) == [Outcome.DERIVED]
    stage.finish()
    assert [stage.said(key)[-1] for key in ("nøkkel 1", "k2", "k3")] == ["OK"] * 3


def test_a_case_that_came_in_under_such_an_id_is_still_found_and_worked_on(stage: Stage) -> None:
    odd = replace(stage.incoming(AAP, "before", aap("a\u200bb")), edition=Edition.ONE_OF_EACH)
    assert stage.submit([odd]) == [Outcome.DERIVED]
    assert stage.hand_in(AAP, ("now", aap("a\u200bb", 600))) == [Outcome.ANSWERED]
    (order,) = history(stage.conninfo, PORTS, AAP, "a\u200bb").orders
    Operate(stage.connection, stage.clock, PORTS).withdraw(order.order_id, Operator("kari", "odd case id"))
    assert stage.said("before")[-1] == "FEILET"


def test_a_need_whose_ids_hide_something_is_answered_with_the_field(rapid: Rapid) -> None:
    referred = need(linjer=[line(refFagsystemId="A\u030a", refDelytelseId=1)])
    assert rapid.ask(need(fagsystemId="K\u200bV"), referred) == [Outcome.ANSWERED, Outcome.ANSWERED]
    first, second = (seen["@løsning"]["Utbetaling"]["beskrivelse"] for _, seen in rapid.published()[:2])
    assert f"Utbetaling.fagsystemId: {HIDDEN}" in first
    assert f"Utbetaling.linjer[0].refFagsystemId: {FORM}" in second


@pytest.fixture(scope="module")
def site(ledger_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    earn(ledger_database)
    with rest_site(ledger_database, Path(tmp_path_factory.mktemp("issuer"))) as made:
        yield made


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[httpx.Client]:
    with site.client() as made:
        yield made


def payout(**more: Any) -> Json:
    return {"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": 100_000, "currency": "RUB"}, **more}


def field_of(response: httpx.Response) -> str:
    assert (response.status_code, response.json()["code"]) == (400, "bad_request"), response.text
    (wrong,) = response.json()["errors"]
    assert wrong["rule"]
    return str(wrong["field"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        *(
            (payout(payout_id=each), "payout_id")
            for each in (".", "..", "a/b", "%2e%2e", "a%2Fb", " a", "a\n", "a\u200bb", "A\u030a", "\ufeffa")
        ),
        (payout(party_id="party-1 "), "party_id"),
        (payout(shop_id="shop\u200b-1"), "shop_id"),
        (payout(payout_tool_id=" "), "payout_tool_id"),
        (payout(cash={"amount": 100_000, "currency": "RUB\n"}), "cash.currency"),
    ],
)
def test_a_payout_is_not_made_under_an_id_that_hides_something_or_has_no_path(client: httpx.Client, body: Json, field: str) -> None:
    assert field_of(client.post("/payouts", json=body)) == field


@pytest.mark.parametrize("payout_id", ["a b", "a?b#c", "50%", "a;b\\c", "ÆØÅ", "...", "a+b&c=d"])
def test_what_is_made_has_a_path(client: httpx.Client, payout_id: str) -> None:
    assert client.post("/payouts", json=payout(payout_id=payout_id)).status_code == 201
    assert client.get(f"/payouts/{quote(payout_id, safe='')}").json()["payout_id"] == payout_id


@pytest.mark.parametrize("details", ["", " \n", "\u200b", "a\x1b[2J"])
def test_a_payout_is_cancelled_with_details_that_say_something(client: httpx.Client, details: str) -> None:
    made = client.post("/payouts", json=payout()).json()["payout_id"]
    assert field_of(client.post(f"/payouts/{made}/cancel", json={"details": details})) == "details"
    assert client.post(f"/payouts/{made}/cancel", json={"details": "two\nlines"}).json()["status"] == "cancelled"


def test_accounts_and_plans_are_not_made_with_hidden_characters(client: httpx.Client) -> None:
    assert field_of(client.post("/accounts", json={"currency": " "})) == "currency"
    assert field_of(client.post("/accounts", json={"currency": "RU\u200b"})) == "currency"
    assert field_of(client.post("/accounts", json={"currency": "RUB", "description": "a\x1b[2J"})) == "description"
    one, two = (client.post("/accounts", json={"currency": "RUB"}).json()["account_id"] for _ in range(2))
    posting = {"source": one, "target": two, "amount": 1, "currency": "RUB", "description": "sale"}

    def hold(plan_id: str, **more: Any) -> httpx.Response:
        batch = {"batch_id": 1, "postings": [posting | more]}
        return client.post(f"/plans/{quote(plan_id, safe='')}/hold", json={"batch": batch})

    for plan_id in ("a ", "a\u200b", "A\u030a", "%2e%2e"):
        assert field_of(hold(plan_id)) == "plan_id"
    refused = hold("plan", description="a\x1b[2J").json()
    assert (refused["code"], refused["errors"][0]["field"]) == ("postings_refused", "batch.postings[0]")
    assert hold("plan").status_code == 200


def test_a_plan_that_was_held_under_such_an_id_can_be_ended(site: Site, client: httpx.Client) -> None:
    one, two = (client.post("/accounts", json={"currency": "RUB"}).json()["account_id"] for _ in range(2))
    batch = Batch(1, (Posting(one, two, 1, "RUB", "a\x1bb"),))
    with connect(site.conninfo) as connection:
        LedgerWriter(connection, utc_now).execute([Call("odd ", Operation.HOLD, (batch,))])
    posting = {"source": one, "target": two, "amount": 1, "currency": "RUB", "description": "a\x1bb"}
    committed = client.post("/plans/odd%20/commit", json={"batches": [{"batch_id": 1, "postings": [posting]}]})
    assert committed.status_code == 200, committed.text
    assert client.get("/plans/odd%20").json()["state"] == "committed"


@pytest.mark.parametrize("number", ["1_0", "%D9%A3", "+1", "%201", "1%20", "01", "-0", "%EF%BC%91"])
@pytest.mark.parametrize("rest", ["", "/entries", "/statement", "/balance?at=2026-01-01T00:00:00Z"])
def test_a_number_stands_in_a_path_in_one_way(client: httpx.Client, number: str, rest: str) -> None:
    assert field_of(client.get(f"/accounts/{number}{rest}")) == "account_id"


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=1&limit=1", "limit=1&%6cimit=2"])
def test_a_parameter_is_named_once(client: httpx.Client, query: str) -> None:
    assert field_of(client.get(f"/accounts?{query}")) == "limit"


def sent(site: Site, **more: list[str]) -> tuple[int, bytes]:
    """A request to make an account with headers as often as they are given."""
    headers = {"Authorization": [f"Bearer {site.token()}"], "Content-Type": ["application/json"], "Content-Length": ["18"], **more}
    connection = http.client.HTTPConnection(site.url.removeprefix("http://"))
    connection.putrequest("POST", "/accounts")
    for name, values in headers.items():
        for value in values:
            connection.putheader(name.replace("_", "-"), value)
    connection.endheaders(b'{"currency":"RUB"}')
    answer = connection.getresponse()
    seen = answer.status, answer.read()
    connection.close()
    return seen


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Authorization", ["Bearer a", "Bearer b"]),
        ("Idempotency_Key", ["one", "two"]),
        ("Content_Type", ["application/json", "text/plain"]),
        ("Content_Length", ["18", "18"]),
    ],
)
def test_a_header_that_decides_something_is_there_once(site: Site, name: str, values: list[str]) -> None:
    single = name.replace("_", "-")
    status, seen = sent(site, **{single: values})
    assert status == 400
    # What the server itself can not make out never comes to the door.
    assert single == "Content-Length" or single.lower().encode() in seen


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ('id = "party-1"', 'id = "party-1 "', "parties[0].id"),
        ('id = "shop-1"', 'id = "shop\\u200b-1"', "parties[0].shops[0].id"),
        ('currency = "RUB"', 'currency = "RU\\u0007"', "currency"),
    ],
)
def test_a_file_of_parties_names_the_id_that_hides_something(before: str, after: str, place: str) -> None:
    assert before in EXAMPLE
    with pytest.raises(BadDirectory) as refused:
        read_directory(EXAMPLE.replace(before, after, 1))
    assert place in str(refused.value)


def test_a_byte_order_mark_in_front_of_a_file_is_read_over(database: str, tmp_path: Path) -> None:
    message, parties, settings = tmp_path / "message.json", tmp_path / "parties.toml", tmp_path / "kvitt.toml"
    message.write_bytes(BOM_UTF8 + text(dp("S")))
    parties.write_bytes(BOM_UTF8 + EXAMPLE.encode())
    settings.write_bytes(BOM_UTF8 + f'database_url = "{database}"\n'.encode())
    for arguments in (["submit", str(message), "--scheme", "dp", "--dry-run"], ["party", "load", str(parties), "--dry-run"]):
        command = [str(KVITT), *arguments, "--config", str(settings)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        assert done.returncode == 0, done.stderr
