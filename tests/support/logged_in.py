"""People of a test's own issuer, who act by commands and on pages, each with a token; and the settings by which that issuer is asked."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from subprocess import CompletedProcess

from msgspec import Struct

from kvitt.console_settings import ConsoleSettings
from support.console_script import command
from support.console_stage import Browser, ConsoleSite, Shown
from support.oidc_issuer import ISSUER_NAME, OidcIssuer, oidc_issuer

ROLES = {"look": ("looking",), "act": ("acting",), "approve": ("approving",), "persons": ("persons",)}
Person = tuple[str, str]
KARI, OLA = ("Z990001", "Kari Nordmann"), ("Z990002", "Ola Nordmann")


class Workplace(Struct, frozen=True):
    """A machine on which people of an issuer act by commands."""

    issuer: OidcIssuer
    settings: ConsoleSettings
    directory: Path

    def token(self, person: Person, *groups: str, **claims: object) -> str:
        """A token of a person who is in these groups."""
        return self.issuer.id_token(NAVident=person[0], name=person[1], groups=[*groups], **claims)

    def acts(self, conninfo: str, token: str, *arguments: object) -> CompletedProcess[str]:
        """A command of whoever has this token."""
        file = self.directory / f"{sha256(token.encode()).hexdigest()}.token"
        file.write_text(f"{token}\n", "ascii")
        return self.says(conninfo, *arguments, "--token-file", file)

    def says(self, conninfo: str, *arguments: object) -> CompletedProcess[str]:
        """A command of whoever is logged in."""
        return command(*arguments, "--config", self.directory / "kvitt.toml", "--data", self.directory, "--database", conninfo)

    def browser(self, site: ConsoleSite, person: Person, *groups: str, **claims: object) -> Browser:
        """A browser in which this person is logged in at a console that has this issuer."""
        browser = site.browser()
        self.logs_in(browser, "/login/begin", person, *groups, **claims)
        return browser

    def logs_in(self, browser: Browser, begin: str, person: Person, *groups: str, **claims: object) -> Shown:
        """The page to which a login leads that is begun there."""
        address = browser.get(begin, follow=False).headers["location"]
        self.issuer.claims = {"NAVident": person[0], "name": person[1], "groups": [*groups], **claims}
        try:
            shown = browser.get(self.issuer.callback(address))
        finally:
            self.issuer.claims = {}
        assert shown.status == 200
        return shown


@contextmanager
def workplace(directory: Path) -> Iterator[Workplace]:
    """A workplace whose issuer answers while the block runs; `settings` are also those of a console with the same people."""
    with oidc_issuer(directory) as issuer, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        given = {
            "issuer": ISSUER_NAME,
            "url": f"http://127.0.0.1:{port}",
            "authorize_url": f"{issuer.url}/authorize",
            "token_url": f"{issuer.url}/token",
            "jwks_url": f"{issuer.url}/keys",
            "device_url": f"{issuer.url}/device",
        }
        free.close()
        lines = [f"{name} = {json.dumps(value)}" for name, value in given.items()]
        roles = [f"{role} = {json.dumps(groups)}" for role, groups in ROLES.items()]
        (directory / "kvitt.toml").write_text("\n".join(["[console]", *lines, "[console.roles]", *roles]), "utf-8")
        yield Workplace(issuer, ConsoleSettings(port=port, roles=ROLES, **given), directory)  # type: ignore[arg-type]
