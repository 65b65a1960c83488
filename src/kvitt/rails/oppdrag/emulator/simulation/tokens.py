"""Tokens as the rail's clients fetch them: SAML assertions for service users, and the proxy's own by client credentials."""

import base64
import binascii
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl
from uuid import uuid4
from xml.sax.saxutils import escape, quoteattr

from msgspec import Struct

from kvitt.kernel.database import TupleConnection
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.queries import load

SAML2 = "urn:ietf:params:oauth:token-type:saml2"
_SQL = load("service", package="kvitt.rails.oppdrag.emulator")


class IssuedAssertion(Struct, frozen=True):
    """An assertion and how long it is good."""

    xml: str
    seconds: int

    def json(self) -> bytes:
        """As the token service answers."""
        return json.dumps(
            {
                "access_token": base64.b64encode(self.xml.encode()).decode(),
                "issued_token_type": SAML2,
                "token_type": "Bearer",
                "expires_in": self.seconds,
            }
        ).encode()


def issue(conn: TupleConnection, user: str, now: datetime, seconds: int) -> IssuedAssertion:
    """A new assertion for the user."""
    assertion_id, until = f"SAML-{uuid4()}", now + timedelta(seconds=seconds)
    conn.execute(_SQL.add_assertion, {"assertion_id": assertion_id, "user_name": user, "valid_until": until, "now": now})
    return IssuedAssertion(_assertion(assertion_id, user, now, until), seconds)


class IssuedPass(Struct, frozen=True):
    """A token of the proxy and how long it is good."""

    token: str
    seconds: int

    def json(self) -> bytes:
        """As the issuer answers."""
        return json.dumps({"token_type": "Bearer", "access_token": self.token, "expires_in": self.seconds}).encode()


def issue_pass(conn: TupleConnection, client_id: str, now: datetime, seconds: int) -> IssuedPass:
    """A new token of the proxy for the client."""
    token, until = f"PROXY-{uuid4()}", now + timedelta(seconds=seconds)
    conn.execute(_SQL.add_assertion, {"assertion_id": token, "user_name": client_id, "valid_until": until, "now": now})
    return IssuedPass(token, seconds)


def may_pass(conn: TupleConnection, token: str, now: datetime) -> bool:
    """Whether it is a token of the proxy, and good."""
    return bool(fetch_value(conn, _SQL.may_pass, {"proxy_token": token, "now": now}))


def client_of(body: bytes) -> str | None:
    """The client in a form that asks by client credentials, with a secret and a scope; None where it is none."""
    try:
        form = dict(parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=20))
    except ValueError:
        return None
    if form.get("grant_type") != "client_credentials" or not form.get("client_secret") or not form.get("scope"):
        return None
    return form.get("client_id")


def bearer_in(header: str) -> str:
    """The token of a header with one; "" where there is none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _assertion(assertion_id: str, user: str, now: datetime, until: datetime) -> str:
    return (
        f'<saml2:Assertion xmlns:saml2="urn:oasis:names:tc:SAML:2.0:assertion" ID={quoteattr(assertion_id)} IssueInstant="{_instant(now)}" '
        f'Version="2.0"><saml2:Issuer>IS02</saml2:Issuer><saml2:Subject><saml2:NameID>{escape(user)}</saml2:NameID></saml2:Subject>'
        f'<saml2:Conditions NotBefore="{_instant(now)}" NotOnOrAfter="{_instant(until)}"/></saml2:Assertion>'
    )


def _instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def user_of(authorization: str) -> str | None:
    """The user of HTTP Basic; None where there is none, or no password."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user if user and password else None


def refusal(detail: str) -> bytes:
    """The token service's error."""
    return json.dumps({"status": 401, "title": "Unauthorized", "detail": detail}).encode()
