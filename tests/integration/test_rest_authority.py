"""Whoever may not call is refused on every route before the body has come, whatever is wrong with the token (iverksetting §6.3)."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from click.testing import CliRunner

from kvitt.api.rest.callers import Grants, Permission
from kvitt.api.rest.local_issuer import ISSUER as LOCAL
from kvitt.api.rest.local_issuer import LocalIssuer
from kvitt.api.rest.tokens import Tokens
from kvitt.app.apis import decision_access
from kvitt.app.main import main
from kvitt.disbursement.values import Scheme
from kvitt.settings import DecisionSettings, RestSettings, Settings
from support.issuer import AUDIENCE, ISSUER, WRONG_TOKENS, Issuer
from support.patience import PATIENCE_SECONDS
from support.rest_stage import Site, caller_of, rest_site

VALUES = {"uid": "0f2c6f0e-1111-4c0a-9d51-0c2a5e8b7001", "fagsystem": "AAP", "account_id": "1"}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(Path(tmp_path_factory.mktemp("issuer")) / "jwks.json")


@pytest.fixture(scope="module")
def site(ledger_database: str, issuer: Issuer) -> Iterator[Site]:
    rights = {"reader": ["ledger:read"], "nothing": []}
    schemes = {"aap": ["AAP"], "dp": ["DAGPENGER"], "sick": ["SYKEPENGER"], "sick-and-aap": ["SYKEPENGER", "AAP"]}
    settings = RestSettings(
        issuer=ISSUER, audience=AUDIENCE, jwks_file=issuer.file, applications=rights, schemes=schemes, calls_per_second=1e6
    )  # type: ignore[arg-type]
    listed = {"DAGPENGER": DecisionSettings(system_callers=())}
    with rest_site(ledger_database, issuer.file.parent, settings=settings, decisions=listed) as made:
        yield made


@pytest.fixture(scope="module")
def routes(site: Site, issuer: Issuer) -> list[tuple[str, str]]:
    """Every method and path that is described."""
    token = issuer.token(azp="nothing")
    paths = httpx.get(f"{site.url}/schema/openapi.json", headers={"authorization": f"Bearer {token}"}).json()["paths"]
    filled = {path: re.sub(r"\{(\w+)\}", lambda name: VALUES.get(name[1], "x"), path) for path in paths}
    return [(method.upper(), filled[path]) for path, operations in paths.items() for method in operations]


def answered(site: Site, method: str, path: str, token: str) -> tuple[HTTPResponse, bytes]:
    """The answer to a request whose body was promised and never comes."""
    address = httpx.URL(site.url)
    with closing(HTTPConnection(address.host, address.port, timeout=PATIENCE_SECONDS)) as connection:
        connection.putrequest(method, path)
        for name, value in (("authorization", f"Bearer {token}"), ("content-type", "application/json"), ("content-length", "100000")):
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response, response.read()


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
def test_no_route_reads_what_comes_with_a_wrong_token(site: Site, issuer: Issuer, routes: list[tuple[str, str]], wrong: str) -> None:
    token = issuer.token(**{"azp": "reader", "azp_name": "dev:x:aap", **WRONG_TOKENS[wrong]})
    assert {"/payouts", "/api/simulering", "/api/iverksetting/v2", f"/utbetalinger/{VALUES['uid']}"} <= {path for _, path in routes}
    for method, path in [*routes, ("POST", "/nowhere")]:
        response, body = answered(site, method, path, token)
        assert response.status == 401, (method, path)
        assert (response.getheader("www-authenticate") or "").startswith("Bearer realm="), (method, path)
        assert (response.getheader("content-type") is None) == (body == b""), (method, path)


def test_no_route_reads_what_comes_from_one_who_may_nothing(site: Site, issuer: Issuer, routes: list[tuple[str, str]]) -> None:
    token = issuer.token(azp="nothing", azp_name="dev:x:stranger")
    for method, path in routes:
        response, _ = answered(site, method, path, token)
        assert response.status == 403, (method, path)


def test_another_schemes_application_is_refused_before_its_body_is_read(site: Site, issuer: Issuer) -> None:
    response, body = answered(site, "POST", "/api/simulering", issuer.token(azp_name="dev:x:aap"))
    assert (response.status, json.loads(body)["status"]) == (403, 403)
    nameless, _ = answered(site, "POST", "/api/simulering", issuer.token())
    assert nameless.status == 401
    for scheme in ("dagpenger", "tilleggsstonader", "tiltakspenger"):
        response, body = answered(site, "POST", f"/api/dryrun/{scheme}", issuer.token(azp_name="dev:x:aap"))
        assert (response.status, json.loads(body)["statusCode"]) == (403, 403), scheme


def test_an_application_of_a_scheme_without_such_decisions_is_refused_before_its_body_is_read(
    site: Site, issuer: Issuer, routes: list[tuple[str, str]]
) -> None:
    """On every path of chained decisions (iverksetting §6.2); one that has another scheme too means that one."""
    paths = [each for each in routes if each[1].startswith(("/api/iverksetting", "/api/simulering/v"))]
    assert len(paths) >= 8
    for method, path in paths:
        response, body = answered(site, method, path, issuer.token(azp_name="dev:x:sick"))
        assert (response.status, json.loads(body)["statusCode"]) == (403, 403), (method, path)
        assert "mangler mapping mellom appname (sick) og fagsystem-enum" in json.loads(body)["msg"]
    headers = {"authorization": f"Bearer {issuer.token(azp_name='dev:x:sick-and-aap')}"}
    assert httpx.get(f"{site.url}/api/iverksetting/a/b/status", headers=headers).status_code == 404
    for named, status in (("AAP", 404), ("SYKEPENGER", 403)):
        assert httpx.get(f"{site.url}/api/iverksetting/a/b/status", headers={**headers, "fagsystem": named}).status_code == status


def test_an_application_that_may_not_call_for_itself_is_refused_before_its_body_is_read(
    site: Site, issuer: Issuer, routes: list[tuple[str, str]]
) -> None:
    """On every path of decisions; with a person behind it, it is let in, and its body is waited for (iverksetting §1.6)."""
    paths = {each for each in routes if each[1].startswith(OF_DECISIONS)}
    assert len(paths) >= 14
    machine = issuer.token(azp_name="dev:x:dp", roles=["access_as_application"])
    for method, path in sorted(paths):
        response, body = answered(site, method, path.replace("/dryrun/x", "/dryrun/dagpenger"), machine)
        assert (response.status, json.loads(body)["statusCode"]) == (403, 403), (method, path)
        assert "uten å være godkjent app" in json.loads(body)["msg"]


def test_what_is_no_right_of_the_token_is_refused_before_its_body_is_read(
    site: Site, issuer: Issuer, routes: list[tuple[str, str]]
) -> None:
    """A scheme, and a person in some group, give no right to reconcile."""
    person = issuer.token(azp="reader", azp_name="dev:x:aap", NAVident="Z990001", groups=["some"])
    paths = {each for each in routes if each[1].startswith(("/api/avstem", "/api/next_range", "/api/konsist", "/api/v2/", "/intern"))}
    assert len(paths) == 6
    for method, path in sorted(paths):
        response, _ = answered(site, method, path, person)
        assert response.status == 403, (method, path)


OF_DECISIONS = ("/api/iverksetting", "/utbetalinger", "/api/dryrun", "/api/simulering/v3")
"""Paths where a scheme says who may call without a person."""


def local_token(tmp_path: Path, *options: str) -> tuple[int, str]:
    made = CliRunner().invoke(main, ["token", "--for", "prod:dp:dp-mellom", "--data", str(tmp_path), *options])
    return made.exit_code, made.output.strip()


@pytest.mark.parametrize(
    ("options", "claims", "approver"),
    [
        (["--person", "Z990001", "--approver", "dp"], {"NAVident": "Z990001"}, True),
        (["--person", "Z990001", "--approver", "aap"], {"NAVident": "Z990001"}, False),
        (["--person", "Z990002", "--group", "g1", "--group", "g2"], {"NAVident": "Z990002", "groups": ["g1", "g2"]}, False),
        (["--machine"], {"roles": ["access_as_application"]}, False),
        ([], {}, False),
    ],
)
def test_local_tokens_are_of_persons_approvers_and_machines(
    tmp_path: Path, options: list[str], claims: dict[str, Any], *, approver: bool
) -> None:
    status, token = local_token(tmp_path, "--scheme", "dp", "--can", "ledger:read", *options)
    assert status == 0
    said = jwt.decode(token, options={"verify_signature": False})
    assert {name: said.get(name) for name in ("NAVident", "groups", "roles") if name in said} == claims
    tokens = Tokens(LOCAL, AUDIENCE, LocalIssuer(tmp_path).keys, Grants(by_scope=True))
    caller = caller_of(tokens, token)
    assert caller.permissions == {Permission.LEDGER_READ}
    by = decision_access(Settings()).authority(caller, Scheme.DAGPENGER, {})
    assert (by.application, by.person, by.approver, by.opens) == ("dp-mellom", claims.get("NAVident"), approver, approver)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--person", "Z990001", "--machine"], "nobody is both"),
        (["--approver", "dp"], "only a person is an approver"),
        (["--group", "g"], "only a person is an approver"),
        (["--person", " "], "'--person': it is empty"),
    ],
)
def test_no_local_token_says_what_can_not_be(tmp_path: Path, options: list[str], said: str) -> None:
    status, output = local_token(tmp_path, *options)
    assert (status, said in output) == (2, True), output
