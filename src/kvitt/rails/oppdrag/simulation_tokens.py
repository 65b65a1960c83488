"""The tokens that a call to the rail's simulation carries, fetched when they are needed and kept nearly to their end (helved §4.9).

One is for the proxy in front of the rail, by client credentials; the other, a SAML assertion, is the rail's own, from its token service.
"""

import asyncio
import time
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import httpx
import msgspec
from lxml import etree
from msgspec import Struct

from kvitt.formats.xml_reading import parse

SAML2: Final = "urn:ietf:params:oauth:token-type:saml2"
PROXY_HEADER: Final = "X-Proxy-Authorization"
_PATH: Final = "/rest/v1/sts/samltoken"
_SECONDS: Final = 10.0
"""For one fetch; whoever waits for it has a deadline besides."""
_MOST_BYTES: Final = 256 * 1024
_OF_ADDRESSES: Final = str.maketrans("-_", "+/")
"""The digits of the other alphabet of Base64, the one for addresses."""
_Shape = TypeVar("_Shape")
_SAML_LEEWAY_SECONDS, _PROXY_LEEWAY_SECONDS = 10.0, 60.0


class TokenService(Struct, frozen=True):
    """Where the rail's SAML assertions come from, and for whom. `url` is what stands before `/rest/v1/sts/samltoken`."""

    url: str
    user: str
    password: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"TokenService({self.url!r}, {self.user!r})"


class ProxyAccess(Struct, frozen=True):
    """By what the proxy in front of the rail lets calls pass: client credentials at an issuer."""

    url: str
    client_id: str
    client_secret: str
    scope: str

    def __repr__(self) -> str:
        """Without the secret."""
        return f"ProxyAccess({self.url!r}, {self.client_id!r}, {self.scope!r})"


class NoToken(Exception):
    """A token can not be had; the text says why and holds none."""


class RailToken(Struct, frozen=True):
    """A token, and until when it is used, by the clock that never goes back."""

    value: bytes
    until: float


class TokenCache:
    """Keeps one token. Callers that come while it is being fetched wait for that fetch, and hear of its failure."""

    def __init__(self, fetch: Callable[[], Awaitable[tuple[bytes, float]]], leeway_seconds: float) -> None:
        """`fetch` returns a token and how many seconds it holds."""
        self._fetch, self._leeway = fetch, leeway_seconds
        self._kept: RailToken | None = None
        self._under_way: asyncio.Task[RailToken] | None = None

    async def get(self) -> RailToken:
        """The token that is kept, or a new one. Raises NoToken."""
        if self._kept is not None and time.monotonic() < self._kept.until:
            return self._kept
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._renew())
            self._under_way.add_done_callback(_seen)
        return await asyncio.shield(self._under_way)

    def drop(self, token: RailToken) -> None:
        """Forgets a token that was not taken, unless there is a newer one."""
        if self._kept is token:
            self._kept = None

    async def _renew(self) -> RailToken:
        try:
            asked_at = time.monotonic()
            value, seconds = await self._fetch()
            self._kept = RailToken(value, asked_at + seconds - self._leeway)
            return self._kept
        finally:
            self._under_way = None


def _seen(fetch: "asyncio.Task[RailToken]") -> None:
    """Whoever waited for it may have gone: a failure that nobody heard of is no defect."""
    if not fetch.cancelled():
        fetch.exception()


class RailTokens:
    """The tokens of calls to the simulation. What is not set up is not sent."""

    def __init__(self, http: httpx.AsyncClient, service: TokenService | None, proxy: ProxyAccess | None) -> None:
        self._http, self._service, self._proxy = http, service, proxy
        self._assertions = TokenCache(self._fetch_assertion, _SAML_LEEWAY_SECONDS)
        self._passes = TokenCache(self._fetch_pass, _PROXY_LEEWAY_SECONDS)

    async def assertion(self) -> RailToken | None:
        """The SAML assertion. Raises NoToken."""
        return await self._assertions.get() if self._service else None

    async def proxy_pass(self) -> RailToken | None:
        """The token that the proxy wants. Raises NoToken."""
        return await self._passes.get() if self._proxy else None

    def drop_assertion(self, token: RailToken) -> None:
        """The next call fetches a new one."""
        self._assertions.drop(token)

    def drop_pass(self, token: RailToken) -> None:
        """The next call fetches a new token for the proxy."""
        self._passes.drop(token)

    async def _fetch_assertion(self) -> tuple[bytes, float]:
        assert self._service is not None, "there is a service to ask"
        basic = b64encode(f"{self._service.user}:{self._service.password}".encode()).decode()
        proxy_pass = await self.proxy_pass()
        headers = {"Authorization": f"Basic {basic}", **proxy_header(proxy_pass)}
        status, body = await self._answer("STS", httpx.Request("GET", self._service.url.rstrip("/") + _PATH, headers=headers))
        if status == httpx.codes.UNAUTHORIZED and proxy_pass:
            self.drop_pass(proxy_pass)
        if status != httpx.codes.OK:
            raise NoToken(f"Feil fra STS: {_problem_in(body)}")
        found = _read(body, _Assertion, "STS")
        if found.issued_token_type != SAML2:
            raise NoToken(f"Ukjent token type: {found.issued_token_type[:100]}")
        return _assertion_in(found.access_token), found.expires_in

    async def _fetch_pass(self) -> tuple[bytes, float]:
        assert self._proxy is not None, "there is a proxy to pass"
        form = {
            "grant_type": "client_credentials",
            "client_id": self._proxy.client_id,
            "client_secret": self._proxy.client_secret,
            "scope": self._proxy.scope,
        }
        status, body = await self._answer("the issuer", httpx.Request("POST", self._proxy.url, data=form))
        if status != httpx.codes.OK:
            raise NoToken(f"the issuer answers with HTTP status {status}")
        found = _read(body, _Pass, "the issuer")
        if not (found.access_token.isascii() and found.access_token.isprintable()):
            raise NoToken("the issuer's token can not stand in a header")
        return found.access_token.encode(), found.expires_in

    async def _answer(self, of: str, request: httpx.Request) -> tuple[int, bytes]:
        """Status and body, if both come in time and the body is no longer than any that can be meant. Raises NoToken."""
        body = bytearray()
        try:
            async with asyncio.timeout(_SECONDS):
                response = await self._http.send(request, stream=True)
                try:
                    async for chunk in response.aiter_raw():
                        body += chunk
                        if len(body) > _MOST_BYTES:
                            raise NoToken(f"the answer of {of} is too long")
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:  # a TimeoutError is an OSError
            raise NoToken(f"{of} can not be reached: {type(error).__name__}") from error
        return response.status_code, bytes(body)


def proxy_header(token: RailToken | None) -> Mapping[str, str]:
    """The header in which a token for the proxy goes; none without a token."""
    return {PROXY_HEADER: f"Bearer {token.value.decode()}"} if token else {}


class _Assertion(Struct):
    access_token: str
    issued_token_type: str
    expires_in: float


class _Pass(Struct):
    access_token: str
    expires_in: float


class _ErrorOfService(Struct):
    title: str = ""
    detail: msgspec.Raw = msgspec.Raw(b"null")


def _read(body: bytes, shape: type[_Shape], of: str) -> _Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NoToken(f"Kunne ikke tolke JSON fra responsen til {of}") from None


def _problem_in(body: bytes) -> str:
    """`title - detail`, the latter as it is written there."""
    problem = _read(body, _ErrorOfService, "STS")
    return f"{problem.title} - {bytes(problem.detail).decode()}"[:300]


def _assertion_in(text: str) -> bytes:
    """The assertion as it was signed, without a declaration, which may not stand inside an envelope. Raises NoToken."""
    digits = "".join(text.split()).translate(_OF_ADDRESSES).rstrip("=")
    try:
        xml = b64decode(digits + "=" * (-len(digits) % 4), validate=True)
        parse(xml)
    except (ValueError, etree.XMLSyntaxError):
        raise NoToken("Kunne ikke dekode Base64: det er ingen assertion") from None
    return xml[xml.index(b"?>") + 2 :].lstrip() if xml.lstrip().startswith(b"<?xml") else xml
