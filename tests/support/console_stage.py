"""A console on a free port with its made-up people, and a browser without scripts that keeps cookies as browsers do."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
from msgspec import Struct
from msgspec.structs import replace

from kvitt.app.console import Console
from kvitt.approval_settings import ApprovalSettings
from kvitt.broker_settings import KafkaSettings
from kvitt.console_settings import ConsoleSettings
from kvitt.kernel.clock import Clock, utc_now
from kvitt.settings import LimitsSettings, Settings, SourceLimitSettings
from support.patience import PATIENCE_SECONDS

LOOKS, ACTS, APPROVES = "Live Lesar", "Hans Handling", "Guro Godkjenner"
SESSION, LOGIN = "__Host-kvitt", "__Host-kvitt-login"


class ConsoleSite(Struct, frozen=True):
    """A console that answers."""

    url: str

    def browser(self, person: str | None = None) -> "Browser":
        """A browser, logged in as this person or as nobody."""
        made = Browser(self.url)
        if person:
            made.log_in(person)
        return made


class Shown(Struct, frozen=True):
    """A page as a browser has it."""

    status: int
    url: str
    text: str
    headers: httpx.Headers

    def link(self, text: str) -> str:
        """Where the link with this text leads."""
        found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>(?:<bdi>)?{re.escape(text)}(?:</bdi>)?</a>', self.text)
        assert found, f"no link {text!r} in {self.text}"
        return urljoin(self.url, unescape(found[1]))

    @property
    def csrf(self) -> str:
        """What the forms of the page carry."""
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        assert found, self.text
        return found[1]

    def fields(self, **more: str) -> dict[str, str]:
        """What the forms of the page carry unseen, and what somebody types."""
        return {**dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.text)), **more}

    @property
    def words(self) -> str:
        """The text that people read."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.text.partition("<main")[2])).split())


class Browser:
    """A browser without scripts. Its cookies are in the test's hands."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookies: dict[str, str] = {}
        self._client = httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False)

    def get(self, path: str, *, follow: bool = True, headers: Mapping[str, str] | None = None) -> Shown:
        """A page, with the redirects that lead to it."""
        return self._asked("GET", path, None, headers or {}, follow=follow)

    def post(self, path: str, form: Mapping[str, str], *, follow: bool = True, headers: Mapping[str, str] | None = None) -> Shown:
        """The answer to a form, as a page of the console sends it unless `headers` say otherwise."""
        return self._asked("POST", path, form, {"origin": self.url, "sec-fetch-site": "same-origin", **(headers or {})}, follow=follow)

    def send(self, path: str, **fields: str) -> Shown:
        """The answer to a form with what the session's forms carry."""
        return self.post(path, {"csrf": self.csrf, **fields})

    @property
    def csrf(self) -> str:
        """What the forms of this session carry."""
        return self.get("/search").csrf

    def log_in(self, person: str) -> Shown:
        """Logs in as a made-up person, by the links that a person clicks."""
        chooses = self.get(self.get("/login").link("Log in"))
        return self.get(chooses.link(person))

    def _asked(self, method: str, path: str, form: Mapping[str, str] | None, headers: Mapping[str, str], *, follow: bool) -> Shown:
        url = urljoin(self.url, path)
        sent = {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **headers}
        answer = self._client.request(method, url, data=form, headers={name: value for name, value in sent.items() if value})
        for each in answer.headers.get_list("set-cookie"):
            name, _, value = each.partition(";")[0].partition("=")
            assert name.startswith("__Host-")
            assert {part.strip().lower() for part in each.split(";")[1:]} >= {"path=/", "secure", "httponly", "samesite=lax"}, each
            assert "domain" not in each.lower()
            self.cookies.pop(name, None)
            if value.strip('"'):
                self.cookies[name] = value
        if follow and answer.is_redirect:
            target = urljoin(url, answer.headers["location"])
            assert urlsplit(target).netloc == urlsplit(self.url).netloc, target
            return self._asked("GET", target, None, {}, follow=True)
        return Shown(answer.status_code, str(answer.url), answer.text, answer.headers)


@contextmanager
def console_site(
    conninfo: str,
    data: Path,
    *,
    settings: ConsoleSettings | None = None,
    clock: Clock = utc_now,
    emulator: bool = True,
    kafka: KafkaSettings | None = None,
    limits: Mapping[str, SourceLimitSettings] = {},
    alone: Sequence[str] | None = None,
) -> Iterator[ConsoleSite]:
    """A console on this database while the block runs; the key of its issuer is in `data`. `alone`: acts of one person, if set."""
    given = settings or ConsoleSettings(local_people=True)
    of_console = Settings(
        data=data,
        database_url=conninfo,
        console=replace(given, port=given.port or 0),
        emulator=emulator,
        kafka=kafka,
        limits=LimitsSettings(sources=limits),
        approvals=ApprovalSettings() if alone is None else ApprovalSettings(alone=tuple(alone)),
    )
    console = Console(conninfo, of_console, threading.Event(), clock=clock)
    try:
        with console.steps():
            yield ConsoleSite(console.url)
    finally:
        console.close()
