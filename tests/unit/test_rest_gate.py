"""The gate before the routes of decisions: in which order it looks, how it refuses, and what it leaves unread (iverksetting §6.3)."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from litestar import Litestar, Request, Response, post, put
from litestar.params import FromPath
from litestar.router import Router

from kvitt.api.rest.callers import Caller, DecisionAccess, Grants
from kvitt.api.rest.contract_forms import DECISION_PATHS, api_error, contract_form
from kvitt.api.rest.dispatch import Dispatch
from kvitt.api.rest.gate import Gate, GateLimits
from kvitt.api.rest.problems import ProblemForms
from kvitt.api.rest.rates import CallRate, CallRates
from kvitt.api.rest.refused_calls import RefusedCalls
from kvitt.api.rest.routes import CHECK, authority_in, authority_over, may_decide, may_decide_somewhere
from kvitt.api.rest.tokens import Tokens, read_from
from kvitt.disbursement.authority import DecisionPolicy
from kvitt.disbursement.values import Scheme
from kvitt.errors import BadRequest, TooManyRequests
from kvitt.formats.etags import etag_of, may_change
from kvitt.kernel.clock import utc_now
from support.issuer import AUDIENCE, ISSUER, WRONG_TOKENS, Issuer
from support.patience import until

DP, AAP = Scheme.DAGPENGER, Scheme.AAP
ENACT, PAY = "/api/iverksetting/v2", "/utbetalinger/7"
GRANTS = Grants(schemes={"dp": [DP], "aap": [AAP], "both": [DP, AAP]})
ACCESS = DecisionAccess({DP: DecisionPolicy(approver_groups=frozenset({"deciders"}), system_callers=frozenset({"dp"}))})
MOST_BYTES = 2048


def refuse_all_but_json(body: bytes) -> None:
    try:
        json.loads(body)
    except ValueError:
        raise BadRequest(("", "is no JSON")) from None


@post("/v2", opt={CHECK: refuse_all_but_json}, status_code=202)
async def enact(request: Request[Any, Any, Any]) -> Response[Any]:
    scheme, by = authority_in(request)
    return Response({"scheme": scheme, "by": by}, status_code=202)


@put("/{uid:int}", opt={CHECK: refuse_all_but_json}, status_code=200)
async def pay(request: Request[Any, Any, Any], uid: FromPath[int]) -> Response[Any]:
    return Response({"uid": uid, "by": authority_over(request, Scheme((await request.json())["scheme"]))})


class _Away:
    """A database that is away: refused calls can not be written, and are answered all the same."""

    def connection(self) -> Any:
        raise psycopg.OperationalError("away")


class Gated:
    """A gate before two routes, asked without a network; `read` counts how often a body was asked for."""

    def __init__(self, issuer: Issuer, threads: ThreadPoolExecutor, rates: CallRates | None = None) -> None:
        routers = [
            Router("/api/iverksetting", route_handlers=[enact], guards=[may_decide(ACCESS, Scheme)]),
            Router("/utbetalinger", route_handlers=[pay], guards=[may_decide_somewhere(ACCESS)]),
        ]
        forms = ProblemForms({}, dict.fromkeys(DECISION_PATHS, contract_form(api_error)))
        app = Dispatch(Litestar(route_handlers=routers, logging_config=None), forms)
        tokens = Tokens(ISSUER, AUDIENCE, read_from(issuer.file), GRANTS)
        limits = GateLimits(dict.fromkeys(DECISION_PATHS, MOST_BYTES), rates or CallRates(CallRate(1e6, 10**6)))
        away: Any = _Away()
        self._gate = Gate(app, tokens, away, forms, threads, refused=RefusedCalls(away, utc_now), limits=limits)
        self.issuer, self.read = issuer, 0

    def ask(self, path: str, body: bytes, headers: Mapping[str, str], **claims: Any) -> httpx.Response:
        token = self.issuer.token(**claims)
        return self.send(path, body, {"authorization": f"Bearer {token}", "content-type": "application/json", **headers})

    def send(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        async def counted(scope: Any, receive: Callable[[], Any], send: Any) -> None:
            async def receive_counted() -> Any:
                self.read += 1
                return await receive()

            await self._gate(scope, receive_counted, send)

        async def sent() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(counted), base_url="http://kvitt") as client:
                return await client.request("PUT" if path.startswith("/utb") else "POST", path, content=body, headers=headers)

        self.read = 0
        return asyncio.run(sent())


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    with ThreadPoolExecutor(2) as threads:
        yield Gated(Issuer(Path(tmp_path_factory.mktemp("issuer")) / "jwks.json"), threads)


@pytest.mark.parametrize("path", [ENACT, PAY, "/utbetalinger", "/api/iverksetting/nowhere"])
@pytest.mark.parametrize("wrong", WRONG_TOKENS)
def test_a_wrong_token_is_answered_without_a_word_and_nothing_is_read(gated: Gated, path: str, wrong: str) -> None:
    answer = gated.ask(path, b"{no json", {}, **{"azp_name": "prod:dp:dp", **WRONG_TOKENS[wrong]})
    assert (answer.status_code, answer.content, gated.read) == (401, b"", 0)
    assert answer.headers["www-authenticate"] == 'Bearer realm="Azure AD"'
    assert "content-type" not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer"}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer x.y.z"}])
def test_no_token_is_answered_alike_and_elsewhere_in_the_form_of_the_path(gated: Gated, headers: dict[str, str]) -> None:
    answer = gated.send(ENACT, b"{", headers)
    assert (answer.status_code, answer.content, gated.read) == (401, b"", 0)
    other = gated.send("/api/iverksettinger", b"{", headers)
    assert (other.status_code, other.json()["code"], other.headers["www-authenticate"]) == (
        401,
        "not_authenticated",
        'Bearer realm="kvitt"',
    )


@pytest.mark.parametrize(
    ("claims", "text", "page"),
    [
        ({"azp_name": None}, "missing JWT claim", "/async/kom_i_gang"),
        ({"azp_name": "prod:x:stranger"}, "mangler mapping mellom appname (stranger) og fagsystem-enum", "/async/kom_i_gang"),
    ],
)
@pytest.mark.parametrize("path", [ENACT, PAY])
def test_an_application_of_no_scheme_is_refused_before_its_body_is_read(
    gated: Gated, path: str, claims: dict[str, Any], text: str, page: str
) -> None:
    answer = gated.ask(path, b"{no json" * 1000, {}, **claims)
    page = f"https://helved-docs.ansatt.dev.nav.no{page}"
    assert (answer.status_code, gated.read) == (403, 0)
    assert answer.json() == {"statusCode": 403, "msg": text, "doc": page, "system": "HELVED"}


def test_a_system_that_is_not_listed_is_refused_before_its_body_is_read(gated: Gated) -> None:
    answer = gated.ask(ENACT, b"{no json", {"fagsystem": "DAGPENGER"}, azp_name="both", roles=["access_as_application"])
    assert (answer.status_code, gated.read) == (403, 0)
    assert answer.json()["msg"] == "Forsøker å gjøre systemkall fra both uten å være godkjent app"


def test_then_the_body_is_looked_at(gated: Gated) -> None:
    for path in (ENACT, PAY):
        unread = gated.ask(path, b"{no json", {}, azp_name="dp")
        assert (unread.status_code, unread.json()["statusCode"]) == (400, 400)
        long = gated.ask(path, b" " * (MOST_BYTES + 1), {}, azp_name="dp")
        assert (long.status_code, long.json()["msg"]) == (413, f"En forespørsel kan ha høyst {MOST_BYTES} bytes")
    assert gated.ask(ENACT, b"{}", {}, azp_name="both").status_code == 400, "of several schemes the header names one"
    twice = gated.ask(ENACT, b"{}", {}, azp_name="both", NAVident="Z990001")
    assert twice.json()["msg"].endswith("fagsystem: må være et av fagsystemene til applikasjonen")


def test_the_authority_of_the_caller_comes_with_the_request(gated: Gated) -> None:
    system = gated.ask(ENACT, b"{}", {}, azp_name="prod:dp:dp", roles=["access_as_application"]).json()
    assert (system["scheme"], system["by"]["application"], system["by"]["person"], system["by"]["opens"]) == (
        "DAGPENGER",
        "dp",
        None,
        False,
    )
    approver = gated.ask(ENACT, b"{}", {}, azp_name="prod:dp:dp", NAVident="Z990001", groups=["deciders"]).json()["by"]
    assert (approver["person"], approver["approver"], approver["opens"]) == ("Z990001", True, True)


def test_where_the_body_names_the_scheme_it_is_the_applications_own(gated: Gated) -> None:
    assert gated.ask(PAY, b'{"scheme": "AAP"}', {}, azp_name="aap").status_code == 200
    other = gated.ask(PAY, b'{"scheme": "DAGPENGER"}', {}, azp_name="aap")
    assert (other.status_code, other.json()["msg"]) == (403, "aap har ikke tilgang til DAGPENGER")


def test_a_token_is_checked_once_and_known_until_it_is_out_of_date(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(ISSUER, AUDIENCE, read_from(gated.issuer.file), GRANTS)
    token = gated.issuer.token(azp_name="dp")
    assert tokens.remembered(token) is None
    if fetch := tokens.awaited(token):
        fetch.result(60)
    caller = tokens.caller(token)
    assert tokens.remembered(token) is caller
    assert tokens.remembered(gated.issuer.token(azp_name="aap")) is None
    monkeypatch.setattr("kvitt.api.rest.tokens.time.time", lambda: 4e9)
    assert tokens.remembered(token) is None


def test_a_token_is_forgotten_when_its_issuer_has_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer(tmp_path / "jwks.json")
    tokens = Tokens(ISSUER, AUDIENCE, read_from(issuer.file), GRANTS)
    token = issuer.token(azp_name="dp")
    if fetch := tokens.awaited(token):
        fetch.result(60)
    tokens.caller(token)
    issuer.publish("two")
    other = issuer.token(kid="two")
    monkeypatch.setattr("kvitt.api.rest.tokens._AGAIN_SECONDS", -1)

    def forgotten() -> bool:
        tokens.awaited(other)
        return tokens.remembered(token) is None

    until(forgotten)


def called(name: str) -> Caller:
    return Grants().caller({"azp": "client", "azp_name": name})


def test_an_application_calls_as_often_as_its_bucket_fills() -> None:
    now = 100.0
    rates = CallRates(CallRate(2, 4), {"slow": CallRate(0.1, 1), "prod:x:fast": CallRate(1, 100)}, lambda: now)

    def taken(name: str, most: int = 1000) -> int:
        for number in range(most):
            try:
                rates.take(called(name))
            except TooManyRequests:
                return number
        return most

    assert [taken("a"), taken("prod:x:fast"), taken("dev:x:fast"), taken("prod:y:slow")] == [4, 100, 4, 1]
    with pytest.raises(TooManyRequests) as refused:
        rates.take(called("prod:y:slow"))
    assert refused.value.seconds == 10
    now += 1
    assert [taken("a"), taken("b"), taken("prod:y:slow")] == [2, 4, 0]
    now += 1000
    assert [taken("a"), taken("prod:y:slow")] == [4, 1]


def test_too_many_calls_are_refused_in_the_form_of_the_path_before_the_body_is_read(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        gated = Gated(Issuer(tmp_path / "jwks.json"), threads, CallRates(CallRate(0.01, 2)))
        answers = [gated.ask(ENACT, b"{}", {}, azp_name="prod:dp:dp") for _ in range(3)]
        assert [each.status_code for each in answers] == [202, 202, 429]
        assert (answers[2].headers["retry-after"], gated.read) == ("100", 0)
        assert answers[2].json()["statusCode"] == 429
        elsewhere = gated.ask("/nowhere", b"{}", {}, azp_name="prod:dp:dp")
        assert (elsewhere.status_code, elsewhere.json()["code"]) == (429, "too_many_requests")
        assert gated.ask(PAY, b'{"scheme": "AAP"}', {}, azp_name="aap").status_code == 200, "others have buckets of their own"


@pytest.mark.parametrize(
    ("condition", "current", "wanted"),
    [
        (None, '"a"', True),
        (None, None, True),
        ("*", '"a"', True),
        ("*", None, False),
        ('"a"', '"a"', True),
        ('"b"', '"a"', False),
        ('"b", "a"', '"a"', True),
        ('"a"', None, False),
        ('W/"a"', '"a"', False),
        ('"b,c" , "a"', '"a"', True),
        ("a", '"a"', None),
        ('"a" "b"', '"a"', None),
        ('"a",', '"a"', None),
        ("", '"a"', None),
    ],
)
def test_a_condition_is_held_against_what_is_there_now(condition: str | None, current: str | None, wanted: bool | None) -> None:
    assert may_change(condition, current) is wanted


def test_a_tag_is_a_function_of_what_is_shown() -> None:
    assert etag_of(b"a", b"b") == etag_of(b"a", b"b") != etag_of(b"ab")
    assert may_change(f'"x", {etag_of(b"a")}', etag_of(b"a"))
