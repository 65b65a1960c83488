"""Logins at an issuer of the organisation's: what is asked of it, and which of its tokens let nobody in (design §11, §17)."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kvitt.console_settings import ConsoleSettings
from support.console_stage import APPROVES, SESSION, Browser, ConsoleSite, console_site
from support.oidc_issuer import ISSUER_NAME, OidcIssuer, oidc_issuer

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcIssuer]:
    with oidc_issuer(tmp_path_factory.mktemp("issuer")) as made:
        yield made


@pytest.fixture(scope="module")
def at_issuer(conninfo: str, issuer: OidcIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSite]:
    """A console as in production, with an issuer of the organisation's."""
    port = _free_port()
    given = ConsoleSettings(
        port=port,
        url=f"http://127.0.0.1:{port}",
        issuer=ISSUER_NAME,
        client_secret="hush",
        authorize_url=f"{issuer.url}/authorize",
        token_url=f"{issuer.url}/token",
        jwks_url=f"{issuer.url}/keys",
        roles={"approve": ("g",), "audit": ("g-audit",)},
    )
    with console_site(conninfo, tmp_path_factory.mktemp("data"), settings=given) as made:
        yield made


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _logged_in(site: ConsoleSite, issuer: OidcIssuer, **instead: str) -> tuple[Browser, int]:
    browser = site.browser()
    address = browser.get("/login/begin", follow=False).headers["location"]
    return browser, browser.get(issuer.callback(address, **instead)).status


def test_who_had_logged_in_at_another_issuer_is_logged_in_no_more(conninfo: str, at_issuer: ConsoleSite, tmp_path: Path) -> None:
    with console_site(conninfo, tmp_path) as site:
        made_up, browser = site.browser(APPROVES), at_issuer.browser()
        browser.cookies[SESSION] = made_up.cookies[SESSION]
        assert browser.get("/", follow=False).headers["location"] == "/login?next=/"
        assert made_up.get("/").status == 200


def test_a_login_at_an_issuer_has_pkce_state_and_nonce(at_issuer: ConsoleSite, issuer: OidcIssuer) -> None:
    issuer.claims, issuer.answer = {}, None
    browser, status = _logged_in(at_issuer, issuer)
    assert status == 200
    assert issuer.asked["code_challenge_method"] == "S256"
    assert (issuer.asked["response_type"], issuer.asked["scope"]) == ("code", "openid profile")
    assert issuer.asked["redirect_uri"] == issuer.exchanged["redirect_uri"] == f"{at_issuer.url}/login/callback"
    assert len(issuer.exchanged["code_verifier"]) >= 43
    shown = browser.get("/")
    assert "Kari" in shown.text
    assert "approve" in shown.text
    assert "<strong>production</strong>" in shown.text
    assert browser.get("/local/authorize").status in (303, 404)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "other"},
        {"aud": ["kvitt-console", "other"]},
        {"azp": "other"},
        {"iss": "https://other"},
        {"kid": "two"},
        {"algorithm": "HS256", "key": "secret" * 8},
        {"exp": LONG_AGO},
        {"NAVident": None},
        {"NAVident": ""},
        {"groups": None},
        {"groups": ["other"]},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_login_lets_nobody_in(at_issuer: ConsoleSite, issuer: OidcIssuer, claims: dict[str, object]) -> None:
    issuer.claims, issuer.answer = claims, None
    browser, status = _logged_in(at_issuer, issuer)
    assert (status, SESSION in browser.cookies) == (401, False)


@pytest.mark.parametrize("answer", [(400, {"error": "invalid_grant"}), (200, {"access_token": "x", "token_type": "Bearer"})], ids=str)
def test_an_issuer_that_gives_no_token_lets_nobody_in(
    at_issuer: ConsoleSite, issuer: OidcIssuer, answer: tuple[int, dict[str, str]]
) -> None:
    issuer.claims, issuer.answer = {}, answer
    assert _logged_in(at_issuer, issuer)[1] == 401
