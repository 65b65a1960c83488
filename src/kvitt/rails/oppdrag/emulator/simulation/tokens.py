"""The token service: hands SAML assertions to service users, as the rail's clients fetch them."""

import base64
import binascii
import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from xml.sax.saxutils import escape, quoteattr

import psycopg
from msgspec import Struct

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


def issue(conn: psycopg.Connection[tuple[object, ...]], user: str, now: datetime, seconds: int) -> IssuedAssertion:
    """A new assertion for the user."""
    assertion_id, until = f"SAML-{uuid4()}", now + timedelta(seconds=seconds)
    conn.execute(_SQL.add_assertion, {"assertion_id": assertion_id, "user_name": user, "valid_until": until, "now": now})
    return IssuedAssertion(_assertion(assertion_id, user, now, until), seconds)


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
