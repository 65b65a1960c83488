"""The APIs of a hub under test: REST and Thrift on free ports of this machine, opened when first asked for."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from kvitt.api.rest.callers import Permission
from kvitt.api.rest.local_issuer import NOBODY, Behind, LocalIssuer
from kvitt.app.apis import Apis
from kvitt.app.roles import roles_without_people
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import Clock
from kvitt.settings import Settings

if TYPE_CHECKING:
    import httpx

_TRACE: Final = {"woody.trace-id": "test", "woody.span-id": "test", "woody.parent-id": "undefined"}
_SECONDS: Final = 60.0
_ROLES: Final = ("payouts", "ledger", "simulations", "reconciliations", "decisions", "approvals")


class Rest(Struct, frozen=True):
    """The REST API at `url`, and who makes tokens for it."""

    url: str
    issuer: LocalIssuer
    audience: str

    def token(
        self,
        *permissions: Permission | str,
        application: str = "tests",
        schemes: Sequence[Scheme] = tuple(Scheme),
        behind: Behind = NOBODY,
    ) -> str:
        """A token that is valid for an hour and lets `application` do so much, and touch these schemes: everything, unless said.

        `behind` it is a person, who may be an approver, or nobody.
        """
        allowed = [Permission(each) for each in permissions] or list(Permission)
        return self.issuer.token(application, allowed, self.audience, timedelta(hours=1), schemes, behind=behind)

    def client(
        self,
        *permissions: Permission | str,
        application: str = "tests",
        schemes: Sequence[Scheme] = tuple(Scheme),
        behind: Behind = NOBODY,
    ) -> "httpx.Client":
        """An HTTP client of this API that shows such a token; to be closed by the caller."""
        import httpx

        token = self.token(*permissions, application=application, schemes=schemes, behind=behind)
        headers = {"authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=_SECONDS)


class Thrift(Struct, frozen=True):
    """The Thrift API at `url`; the services and their paths stand in docs/thrift.md."""

    url: str

    @contextmanager
    def client(self, path: str, interface: str, service: str) -> Iterator[Any]:
        """A client of a service for the block: `client("/payout/management", "payouts", "PayoutManagement")`.

        `interface` is `payouts`, `accounter`, `shumpune` or `parties`.
        """
        from thriftpy2.http import THttpClient
        from thriftpy2.protocol.binary import TBinaryProtocol
        from thriftpy2.thrift import TClient

        from kvitt.formats.thrift.interface import module

        transport = THttpClient(self.url + path)
        transport.setCustomHeaders(_TRACE)
        transport.open()
        try:
            yield TClient(getattr(module(interface), service), TBinaryProtocol(transport))
        finally:
            transport.close()


class OpenApis:
    """Both APIs, answering until closed."""

    def __init__(self, conninfo: str, settings: Settings, ports: Ports, clock: Clock) -> None:
        self._opened = ExitStack()
        roles = [role for role in _ROLES if role not in roles_without_people(settings)]
        apis = Apis(conninfo, settings, roles, threading.Event(), ports=ports, clock=clock)
        self._opened.callback(apis.close)
        self._opened.enter_context(apis.steps())
        self.rest = Rest(apis.addresses.rest.url, LocalIssuer(settings.data), settings.rest.audience)
        self.thrift = Thrift(apis.addresses.thrift.url)

    def close(self) -> None:
        """Ends both, after the calls that are under way."""
        self._opened.close()
