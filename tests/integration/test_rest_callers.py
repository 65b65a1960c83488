"""Who may do what over REST, and what becomes of a request that comes twice (design §11, §12)."""

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from kvitt.api.rest.callers import Grants, Permission
from kvitt.api.rest.local_issuer import ISSUER, LocalIssuer
from kvitt.api.rest.tokens import Tokens, fetched_from, read_from
from kvitt.disbursement.values import Scheme
from kvitt.errors import IssuerUnreachable, NotAuthenticated
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.payouts.local_parties import LocalParties
from kvitt.payouts.model import Cash, NewPayout
from kvitt.payouts.service import PayoutService
from support.issuer import ANOTHERS_KEY, Issuer
from support.patience import until
from support.rest_stage import AUDIENCE, Site, caller_of, earn, rest_site

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def site(ledger_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    earn(ledger_database)
    with rest_site(ledger_database, Path(tmp_path_factory.mktemp("issuer"))) as made:
        yield made


@pytest.fixture(scope="module")
def anybody(site: Site) -> Iterator[httpx.Client]:
    """A caller with no token but what a request shows; one for all requests, since each new one reads all certificates there are."""
    with httpx.Client(base_url=site.url) as client:
        yield client


@cache
def routes(site: Site) -> list[tuple[str, str]]:
    """Every method and path that the description has, with names filled in."""
    with site.client() as client:
        paths = client.get("/schema/openapi.json").json()["paths"]
    return [(method.upper(), path.format_map(NAMES)) for path, operations in paths.items() for method in operations]


NAMES = {
    "payout_id": "p",
    "account_id": "1",
    "approval_no": "1",
    "plan_id": "q",
    "fagsystem": "AAP",
    "uid": str(UUID(int=1)),
    "scheme": "aap",
    "case": "S1",
    "decision": "B1",
    "enactment": "I1",
}
OF_OTHERS = ("/utbetalinger/", "/api/iverksetting", "/approvals")
"""Paths of applications that have a scheme, and of people, whatever is done there."""


def test_no_route_answers_without_a_token_or_to_a_token_that_may_nothing(site: Site, anybody: httpx.Client) -> None:
    assert len(routes(site)) == 49
    public = [("POST", "/docs"), ("PUT", "/schema/openapi.json"), ("GET", "/docs/more"), ("GET", "/schema")]
    for method, path in [*routes(site), *public, ("GET", "/nowhere")]:
        for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "Basic eDp5"}):
            response = anybody.request(method, path, headers=headers)
            assert (response.status_code, problem_in(response)) == (401, "not_authenticated"), (method, path)
            assert response.headers["www-authenticate"].startswith("Bearer")
    nothing = {"authorization": f"Bearer {site.issuer.token('app', [], AUDIENCE, HOUR)}"}
    for method, path in routes(site):
        response = anybody.request(method, path, headers=nothing)
        assert (response.status_code, problem_in(response)) == (403, "not_permitted"), (method, path)


def test_anybody_may_read_how_the_api_is_described(anybody: httpx.Client) -> None:
    described = anybody.get("/schema/openapi.json")
    assert described.json()["openapi"].startswith("3.1")
    page = anybody.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert all(path in page.text for path in described.json()["paths"])
    head = anybody.head("/docs")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(page.content)))


def problem_in(response: httpx.Response) -> str:
    """The code of a problem; of one in the form of the service that kvitt stands in for, the one that it would have."""
    if not response.content:
        return "not_authenticated" if response.status_code == 401 else ""
    problem = response.json()
    if "statusCode" in problem:
        return {401: "not_authenticated", 403: "not_permitted"}[problem["statusCode"]]
    if response.url.path == "/api/simulering":
        return {"urn:error:unauthorized": "not_authenticated", "urn:error:forbidden": "not_permitted"}[problem["type"]]
    return str(problem.get("code") or problem["kode"])


def test_reading_does_not_let_one_write(site: Site, anybody: httpx.Client) -> None:
    token = site.issuer.token("app", [Permission.PAYOUTS_READ, Permission.LEDGER_READ], AUDIENCE, HOUR)
    for method, path in routes(site):
        response = anybody.request(method, path, headers={"authorization": f"Bearer {token}"})
        assert (response.status_code == 403) == (method == "POST" or path.startswith(OF_OTHERS)), (method, path)


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "jwks.json")


@pytest.fixture
def tokens(issuer: Issuer) -> Tokens:
    schemes = {"dev:tbd:spleis": [Scheme.SYKEPENGER]}
    grants = Grants({"shop-admin": [Permission.PAYOUTS_READ]}, {"payers": [Permission.PAYOUTS_WRITE]}, schemes)
    return Tokens("https://issuer", "kvitt", read_from(issuer.file), grants)


def test_the_application_and_its_groups_say_what_one_may(issuer: Issuer, tokens: Tokens) -> None:
    assert caller_of(tokens, issuer.token()).permissions == {Permission.PAYOUTS_READ}
    person = caller_of(tokens, issuer.token(groups=["payers", "others", 7], sub="kari"))
    assert (person.permissions, person.subject) == ({Permission.PAYOUTS_READ, Permission.PAYOUTS_WRITE}, "shop-admin/kari")
    assert caller_of(tokens, issuer.token(azp=None, client_id="shop-admin")).permissions == {Permission.PAYOUTS_READ}
    assert caller_of(tokens, issuer.token(azp="stranger", scope="payouts:write")).permissions == frozenset()


def test_the_name_that_its_issuer_knows_an_application_by_says_which_schemes_it_may_touch(issuer: Issuer, tokens: Tokens) -> None:
    known, other = (caller_of(tokens, issuer.token(azp_name=name)) for name in ("dev:tbd:spleis", "spleis"))
    assert (known.application, known.schemes) == ("dev:tbd:spleis", {Scheme.SYKEPENGER})
    assert (other.application, other.schemes) == ("spleis", frozenset())
    # Neither another claim nor a scope of an issuer that is not ours will do.
    for claims in ({"azp": "dev:tbd:spleis"}, {"azp_name": 7}, {"azp_name": ""}, {"scope": "scheme:SYKEPENGER"}):
        caller = caller_of(tokens, issuer.token(**claims))
        assert (caller.application, caller.schemes) == (None, frozenset())


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other"},
        {"aud": "other"},
        {"exp": datetime(2020, 1, 1, tzinfo=UTC)},
        {"exp": None},
        {"iss": None},
        {"nbf": datetime(2999, 1, 1, tzinfo=UTC)},
        {"azp": None},
        {"azp": 7},
        {"kid": "two"},
        {"key": ANOTHERS_KEY},
        {"algorithm": "HS256", "key": "secret" * 8},
        {"algorithm": "none", "key": None},
        {"algorithm": "RS512"},
    ],
    ids=lambda claims: next(iter(claims)),
)
def test_a_token_that_is_not_valid_here_lets_nobody_in(issuer: Issuer, tokens: Tokens, claims: dict[str, Any]) -> None:
    if claims.get("algorithm") == "none":
        token = jwt.encode({"iss": "https://issuer", "aud": "kvitt", "azp": "a", "exp": 4e9}, None, algorithm="none")
    else:
        token = issuer.token(**claims)
    with pytest.raises(NotAuthenticated):
        caller_of(tokens, token)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é" * 10, "x" * 100_000])
def test_what_is_no_token_lets_nobody_in(tokens: Tokens, token: str) -> None:
    with pytest.raises(NotAuthenticated):
        caller_of(tokens, token)


@pytest.mark.parametrize(
    ("head", "claims", "named"),
    [
        ('{"alg":"RS256","kid":"one"}', '{"azp":"stranger",%s,"azp":"shop-admin"}', "azp"),
        ('{"alg":"RS256","kid":"one"}', '{"azp":"stranger",%s,"\\u0061zp":"shop-admin"}', "azp"),
        ('{"alg":"RS256","kid":"two","kid":"one"}', '{"azp":"shop-admin",%s}', "kid"),
    ],
)
def test_a_token_that_says_the_same_twice_lets_nobody_in(issuer: Issuer, tokens: Tokens, head: str, claims: str, named: str) -> None:
    usual = f'"iss":"https://issuer","aud":"kvitt","exp":{int((datetime.now(UTC) + HOUR).timestamp())}'
    signed = b".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=") for part in (head, claims % usual))
    signature = issuer.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    token = b".".join([signed, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()
    with pytest.raises(NotAuthenticated, match=f"{named} is there more than once"):
        caller_of(tokens, token)


def test_no_two_callers_share_their_keys(issuer: Issuer, tokens: Tokens) -> None:
    named = [("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c")]
    assert len({caller_of(tokens, issuer.token(azp=application, sub=user)).subject for application, user in named}) == len(named)


def test_an_issuer_that_was_never_reached_is_reported_as_such(issuer: Issuer) -> None:
    away = Tokens("https://issuer", "kvitt", fetched_from("http://127.0.0.1:9/jwks"), Grants())
    with pytest.raises(IssuerUnreachable):
        caller_of(away, issuer.token())


def test_keys_are_not_fetched_again_at_every_wrong_token(issuer: Issuer) -> None:
    fetched = 0

    def fetch() -> Any:
        nonlocal fetched
        fetched += 1
        return json.loads(issuer.file.read_bytes())

    tokens = Tokens("https://issuer", "kvitt", fetch, Grants())
    caller_of(tokens, issuer.token())
    for number in range(20):
        with pytest.raises(NotAuthenticated):
            caller_of(tokens, issuer.token(kid=f"unknown {number}"))
    assert fetched == 1


def test_the_local_issuer_keeps_its_key_to_itself_and_makes_it_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: LocalIssuer(tmp_path / "data"), range(4)))
    assert len({json.dumps(each.keys()) for each in made}) == 1
    (file,) = (tmp_path / "data").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    tokens = Tokens(ISSUER, AUDIENCE, made[0].keys, Grants(by_scope=True))
    token = made[1].token("me", [Permission.LEDGER_READ], AUDIENCE, HOUR)
    assert caller_of(tokens, token).permissions == {Permission.LEDGER_READ}


BODY = {"party_id": "party-1", "shop_id": "shop-1", "cash": {"amount": 10_000, "currency": "RUB"}}


def test_a_request_that_comes_twice_is_done_once_and_answered_alike(site: Site) -> None:
    with site.client() as client:
        first = client.post("/payouts", json=BODY, headers={"idempotency-key": "twice"})
        again = client.post("/payouts", json=BODY, headers={"idempotency-key": "twice"})
        assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        client.post(f"/payouts/{first.json()['payout_id']}/confirm")
        assert client.post("/payouts", json=BODY, headers={"idempotency-key": "twice"}).content == first.content
        other = client.post("/payouts", json={**BODY, "shop_id": "shop-2"}, headers={"idempotency-key": "twice"})
        assert (other.status_code, other.json()["code"]) == (409, "key_reused")
        elsewhere = client.post("/accounts", json={"currency": "RUB"}, headers={"idempotency-key": "twice"})
        assert elsewhere.json()["code"] == "key_reused"
    with site.client(application="others") as client:
        assert client.post("/payouts", json=BODY, headers={"idempotency-key": "twice"}).json()["payout_id"] != first.json()["payout_id"]


def test_a_refusal_is_an_answer_too_but_a_missing_permission_is_none(site: Site) -> None:
    poor = {**BODY, "cash": {"amount": 10**12, "currency": "RUB"}}
    with site.client(Permission.PAYOUTS_READ) as reader:
        assert reader.post("/payouts", json=poor, headers={"idempotency-key": "poor"}).status_code == 403
    with site.client() as client:
        first = client.post("/payouts", json=poor, headers={"idempotency-key": "poor"})
        assert (first.status_code, first.json()["code"]) == (409, "insufficient_funds")
        again = client.post("/payouts", json=poor, headers={"idempotency-key": "poor"})
        assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
        for key in ("", "x" * 256):
            assert client.post("/payouts", json=BODY, headers={"idempotency-key": key}).json()["code"] == "bad_request"


def test_equal_requests_at_the_same_time_have_one_effect(site: Site) -> None:
    together = threading.Barrier(8)

    def ask(_: int) -> httpx.Response:
        with site.client() as client:
            together.wait()
            return client.post("/accounts", json={"currency": "RUB"}, headers={"idempotency-key": "at once"})

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    made = {each.json()["account_id"] for each in answers if each.status_code == 201}
    assert len(made) == 1
    for each in answers:
        assert each.status_code == 201 or (each.json()["code"], each.headers["retry-after"]) == ("request_in_progress", "1")


def test_a_payout_whose_process_died_before_it_answered_is_the_answer_to_the_repeat(site: Site) -> None:
    """The process took the request, made the payout, and was gone; its time has run out."""
    with site.client() as client:
        probe = client.post("/payouts", json=BODY, headers={"idempotency-key": "probe"})
        assert probe.status_code == 201
    for key, named in (("died", None), ("died with a name", "named-by-caller")):
        body = BODY if named is None else {**BODY, "payout_id": named}
        with site.client() as client:
            first = client.post("/payouts", json=body, headers={"idempotency-key": key}).json()
            with connect(site.conninfo) as connection:
                connection.execute("UPDATE rest.requests SET status = NULL, body = NULL, busy_until = '-infinity' WHERE key = %s", (key,))
            again = client.post("/payouts", json=body, headers={"idempotency-key": key})
            assert (again.status_code, again.json()) == (201, first)


def test_a_payout_that_somebody_else_made_before_is_no_answer_to_a_repeat(site: Site) -> None:
    parties = LocalParties(site.conninfo)
    payouts = PayoutService(site.conninfo, utc_now, parties)
    payouts.create(NewPayout("party-1", "shop-1", Cash(10_000, "RUB"), "taken-before"))
    payouts.close()
    parties.close()
    body = {**BODY, "payout_id": "taken-before"}
    with site.client() as client:
        assert client.post("/payouts", json=body, headers={"idempotency-key": "late"}).status_code == 409
        with connect(site.conninfo) as connection:
            connection.execute("UPDATE rest.requests SET status = NULL, body = NULL, busy_until = '-infinity' WHERE key = 'late'")
        assert client.post("/payouts", json=body, headers={"idempotency-key": "late"}).json()["code"] == "payout_already_exists"


def test_a_payout_that_somebody_else_made_meanwhile_is_no_answer_to_a_repeat(site: Site) -> None:
    dear = {**BODY, "payout_id": "contested", "cash": {"amount": 10**15, "currency": "RUB"}}
    with site.client(application="one") as one, site.client(application="other") as other:
        assert one.post("/payouts", json=dear, headers={"idempotency-key": "contested"}).json()["code"] == "insufficient_funds"
        with connect(site.conninfo) as connection:
            connection.execute("UPDATE rest.requests SET status = NULL, body = NULL, busy_until = '-infinity' WHERE key = 'contested'")
        assert other.post("/payouts", json={**BODY, "payout_id": "contested"}).status_code == 201
        assert one.post("/payouts", json=dear, headers={"idempotency-key": "contested"}).json()["code"] == "payout_already_exists"


def test_a_database_that_is_away_is_reported_and_the_same_request_works_later(site: Site) -> None:
    with site.client() as client:
        with connect(site.conninfo) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

        def works() -> bool:
            answer = client.post("/accounts", json={"currency": "RUB"}, headers={"idempotency-key": "after the storm"})
            assert answer.status_code in {201, 503}, answer.text
            return answer.status_code == 201

        until(works, what="the API does not find back to its database")
