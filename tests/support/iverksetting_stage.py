"""A kvitt that takes decisions over REST, with callers of each scheme: a machine, and a person who may approve."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

import kvitt.testing
from kvitt.disbursement.values import Scheme
from kvitt.settings import DecisionSettings, RestSettings, Settings
from kvitt.testing import Hub
from support.issuer import AUDIENCE, ISSUER, Issuer
from support.iverksetting_bodies import encoded

APPLICATIONS = {
    "dp-mellom": [Scheme.DAGPENGER],
    "utbetal": [Scheme.AAP],
    "ts-sak": [Scheme.TILLEGGSSTONADER],
    "tp-sak": [Scheme.TILTAKSPENGER],
}
GROUP, PERSON = "0f2c6f0e-0000-4000-8000-00000000be51", "B200002"
V2, OLD = "/api/iverksetting/v2", "/api/iverksetting"


class DecisionSite:
    """A hub with its REST API, and callers of it."""

    def __init__(self, hub: Hub, issuer: Issuer) -> None:
        self.hub, self.issuer = hub, issuer
        self.client = httpx.Client(base_url=hub.rest.url, timeout=60)
        self._tokens: dict[tuple[str, bool], str] = {}

    def headers(self, scheme: Scheme, *, approver: bool = True, **claims: Any) -> dict[str, str]:
        """The headers of a caller of a scheme, a person who may approve or a machine."""
        application = next(name for name, schemes in APPLICATIONS.items() if scheme in schemes)
        who = {"NAVident": PERSON, "groups": [GROUP]} if approver else {"roles": ["access_as_application"]}
        if claims or (application, approver) not in self._tokens:
            token = self.issuer.token(azp_name=f"prod:team:{application}", azp=application, **{**who, **claims})
            if claims:
                return {"authorization": f"Bearer {token}"}
            self._tokens[application, approver] = token
        return {"authorization": f"Bearer {self._tokens[application, approver]}"}

    def post(
        self, body: Mapping[str, Any] | bytes, scheme: Scheme = Scheme.TILLEGGSSTONADER, *, path: str = V2, approver: bool = True
    ) -> httpx.Response:
        """The answer to a decision."""
        raw = body if isinstance(body, bytes) else encoded(body)
        headers = {**self.headers(scheme, approver=approver), "content-type": "application/json"}
        return self.client.post(path, content=raw, headers=headers)

    def status(self, *names: str, scheme: Scheme = Scheme.TILLEGGSSTONADER) -> httpx.Response:
        """The answer to a question for a status."""
        return self.client.get("/".join([OLD, *names, "status"]), headers=self.headers(scheme))

    def take(self, body: Mapping[str, Any], scheme: Scheme = Scheme.TILLEGGSSTONADER, *, path: str = V2, approver: bool = True) -> None:
        """Has a decision received."""
        answer = self.post(body, scheme, path=path, approver=approver)
        assert (answer.status_code, answer.content) == (202, b""), answer.text

    def close(self) -> None:
        """Ends the client's connections."""
        self.client.close()


@contextmanager
def decision_site(conninfo: str, directory: Path, *, rest: Mapping[str, Any] | None = None, **decisions: Any) -> Iterator[DecisionSite]:
    """A site on this database; `decisions` are settings of every scheme."""
    issuer = Issuer(directory / "jwks.json")
    of_rest = RestSettings(
        issuer=ISSUER,
        audience=AUDIENCE,
        jwks_file=issuer.file,
        schemes={name: [*map(str, each)] for name, each in APPLICATIONS.items()},
        **rest or {},
    )
    each = DecisionSettings(approver_groups=(GROUP,), **decisions)
    settings = Settings(data=directory / "data", rest=of_rest, decisions={scheme.value: each for scheme in Scheme})  # type: ignore[misc]
    with ExitStack() as opened:
        hub = opened.enter_context(kvitt.testing.hub(conninfo=conninfo, settings=settings))
        site = DecisionSite(hub, issuer)
        opened.callback(site.close)
        yield site
