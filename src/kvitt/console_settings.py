"""The settings of the console: where it listens, whose people it lets in, and what their groups let them do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

RoleName = Literal["look", "act", "approve", "persons", "audit"]


class ConsoleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pages of the role `console`, and who people are: on pages, over REST, and on the command line.

    `port` None: 8088 if it is free, else any; the log says which. `url` is the address that browsers know it by, where that is another
    one than where it listens. `environment` stands on every page.

    People log in at `issuer`, to which the console is `client_id`, with `client_secret` (or `client_secret_file`, its first line) where
    the issuer wants one; `authorize_url`, `token_url` and `jwks_url` are its addresses, `ca_file` names the certificates that are trusted
    of it. Who a person is stands in `person_claim`, which has to be the same for every client of the issuer; what they are called, in
    `name_claim`; their groups, in `groups_claim`. `roles` names the groups that may look, act, approve, see persons, and audit.

    Without an issuer there is no console, unless `local_people`: then three made-up people are there to choose from, for everybody on
    this machine; only on the loopback, never in production. None: where kvitt runs its own database.

    On the command line people log in at `device_url` (RFC 8628), to which it is `device_client_id`, or else `client_id`, without a secret.

    `step_up` is the amount, by currency and in its whole units, from which on whoever approves has proved who they are within five minutes;
    of acts that are of no amount it is wanted where anything is set.

    A session ends `idle_minutes` after it was used last, and `session_hours` after the login. Who was logged in and who looked at what is
    kept for `looks_years`.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    url: Annotated[str, Meta(pattern=r"^(https?://[^/?#\s]+)?$")] = ""
    environment: Literal["demo", "test", "production"] | None = None
    issuer: str = ""
    client_id: str = "kvitt-console"
    client_secret: str = ""
    client_secret_file: Path | None = None
    authorize_url: str = ""
    token_url: str = ""
    jwks_url: str = ""
    device_url: str = ""
    device_client_id: str = ""
    ca_file: str = ""
    scope: str = "openid profile"
    person_claim: str = "NAVident"
    name_claim: str = "name"
    groups_claim: str = "groups"
    roles: Mapping[RoleName, tuple[Annotated[str, Meta(min_length=1)], ...]] = {}
    step_up: Mapping[Annotated[str, Meta(pattern="^[A-Z]{3}$")], Annotated[int, Meta(ge=0)]] = {}
    local_people: bool | None = None
    idle_minutes: Annotated[float, Meta(gt=0, le=1440)] = 30.0
    session_hours: Annotated[float, Meta(gt=0, le=24)] = 8.0
    looks_years: Annotated[float, Meta(ge=1, le=100)] = 5.0

    def __repr__(self) -> str:
        """Without the secret."""
        return f"ConsoleSettings(host={self.host!r}, port={self.port!r}, issuer={self.issuer!r}, client_id={self.client_id!r})"


def are_people_made_up(console: ConsoleSettings, database_url: str | None) -> bool:
    """Whether people are whoever they say they are: made-up ones on pages, typed names on the command line."""
    return not console.issuer and (database_url is None if console.local_people is None else console.local_people)
