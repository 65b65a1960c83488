"""Sessions of people who are logged in, and logins under way: rows, of which browsers have the ids and the store only hashes (design §17).

An id is made here and never taken over from a browser, and every login makes a new one, so nobody can be led into a session of another's.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, TypeGuard

from msgspec import Struct
from psycopg_pool import ConnectionPool

from kvitt.api.people.claims import ConsolePerson, ConsoleRole
from kvitt.kernel.clock import Clock
from kvitt.kernel.fetch import fetch_one, fetch_value
from kvitt.kernel.queries import load

_SQL: Final = load("sessions", "kvitt.api.console")
LOGIN_LASTS: Final = timedelta(minutes=10)
_SEEN_EVERY: Final = timedelta(minutes=1)
_MOST_LOGINS: Final = 10_000
_ID_BYTES: Final = 32
_LONGEST_ID: Final = 64


class SessionTerms(Struct, frozen=True):
    """How long a session lasts without being used, and at most."""

    idle: timedelta = timedelta(minutes=30)
    lasts: timedelta = timedelta(hours=8)


class Session(Struct, frozen=True):
    """A session that has not ended. `csrf` is what forms of it carry, worked out from its id, which no other session has."""

    session_hash: bytes
    who: ConsolePerson
    began_at: datetime
    ends_at: datetime
    csrf: str


class LoginUnderWay(NamedTuple):
    """A login whose browser is at the issuer."""

    state_hash: bytes
    nonce: str
    verifier: str
    next_path: str
    begun_at: datetime


class BegunLogin(Struct, frozen=True):
    """The beginning of a login: the id for the browser's cookie, and what goes to the issuer."""

    browser: str
    state: str
    nonce: str
    verifier: str


class _StoredSession(NamedTuple):
    issuer: str
    person: str
    name: str
    roles: list[str]
    began_at: datetime
    seen_at: datetime
    ends_at: datetime
    authenticated_at: datetime | None


class Sessions:
    """The sessions and logins of all consoles on this database. Safe for several threads.

    People of another issuer than this one, who had logged in before it was another, are logged in no more.
    """

    def __init__(self, pool: ConnectionPool[Any], clock: Clock, terms: SessionTerms, issuer: str) -> None:
        self._pool, self._clock, self._terms, self._issuer = pool, clock, terms, issuer

    def begin_login(self, next_path: str) -> BegunLogin:
        """Keeps a login under way for some minutes.

        Where very many are, the one that was begun first ends: nobody shuts others out by beginning logins.
        """
        begun = BegunLogin(new_id(), new_id(), new_id(), new_id() + new_id())
        row = {
            "browser_hash": hash_of(begun.browser),
            "state_hash": hash_of(begun.state),
            "nonce": begun.nonce,
            "verifier": begun.verifier,
            "next_path": next_path,
            "now": self._clock(),
        }
        with self._pool.connection() as connection, connection.transaction():
            connection.execute(_SQL.forget_logins, {"before": row["now"] - LOGIN_LASTS})  # type: ignore[operator]
            if fetch_value(connection, _SQL.logins_under_way, {"most": _MOST_LOGINS}) >= _MOST_LOGINS:
                connection.execute(_SQL.crowd_out_login)
            connection.execute(_SQL.begin_login, row)
        return begun

    def take_login(self, browser: str | None, state: str) -> LoginUnderWay | None:
        """The login that this browser began with this state; it is under way no more, also where the state is another's."""
        if not is_id(browser):
            return None
        with self._pool.connection() as connection:
            found = fetch_one(connection, LoginUnderWay, _SQL.take_login, {"browser_hash": hash_of(browser)})
        if found is None or found.begun_at < self._clock() - LOGIN_LASTS:
            return None
        return found if hmac.compare_digest(found.state_hash, hash_of(state)) else None

    def begin(self, who: ConsolePerson, before: str | None) -> str:
        """A new session of a person; the one that the browser had `before` ends. Returns its id, for the cookie."""
        session_id, now = new_id(), self._clock()
        row = {
            "session_hash": hash_of(session_id),
            "issuer": who.issuer,
            "person": who.person,
            "name": who.name,
            "roles": sorted(role.value for role in who.roles),
            "now": now,
            "ends_at": now + self._terms.lasts,
            "authenticated_at": who.authenticated_at,
        }
        with self._pool.connection() as connection, connection.transaction():
            if is_id(before):
                connection.execute(_SQL.end_session, {"session_hash": hash_of(before), "now": now})
            connection.execute(_SQL.begin_session, row)
        return session_id

    def find(self, session_id: str | None, *, in_use: bool = True) -> Session | None:
        """The session with this id, if it has not ended. It is in use again, unless nobody has done anything: a page has by itself."""
        if not is_id(session_id):
            return None
        now, hashed = self._clock(), hash_of(session_id)
        with self._pool.connection() as connection:
            asked = {"session_hash": hashed, "issuer": self._issuer, "now": now, "idle_since": now - self._terms.idle}
            found = fetch_one(connection, _StoredSession, _SQL.session, asked)
            if found is None:
                return None
            if in_use and now - found.seen_at >= _SEEN_EVERY:
                connection.execute(_SQL.see_session, {"session_hash": hashed, "now": now})
        who = ConsolePerson(found.issuer, found.person, found.name, frozenset(map(ConsoleRole, found.roles)), found.authenticated_at)
        return Session(hashed, who, found.began_at, found.ends_at, csrf_of(session_id))

    def end(self, session: Session) -> None:
        """Ends a session."""
        with self._pool.connection() as connection:
            connection.execute(_SQL.end_session, {"session_hash": session.session_hash, "now": self._clock()})


def new_id() -> str:
    """An id that nobody can guess."""
    return secrets.token_urlsafe(_ID_BYTES)


def is_id(text: str | None) -> TypeGuard[str]:
    """Whether a text can be an id that was made here."""
    return text is not None and 0 < len(text) <= _LONGEST_ID and text.isascii()


def hash_of(text: str | None) -> bytes:
    """The hash by which the store knows an id."""
    return hashlib.sha256((text or "").encode()).digest()


def csrf_of(session_id: str) -> str:
    """The proof that the forms of a session carry: from it nobody gets the id, and without the id nobody makes it."""
    return urlsafe_b64encode(hmac.digest(session_id.encode(), b"kvitt console form", "sha256")).decode().rstrip("=")
