"""The addresses at which a hub is called: Thrift and REST, ours from the beginning, so that a start that can't have them fails at once."""

from collections.abc import Sequence
from typing import Final

from kvitt.api.http_limits import Limits
from kvitt.api.http_server import HttpListener, ListenAddress
from kvitt.errors import BadSettings
from kvitt.settings import RestSettings, Settings, ThriftSettings

_THRIFT_PORT: Final = 8022
_REST_PORT: Final = 8080


class ApiAddresses:
    """The addresses of both APIs, from here until they are closed."""

    def __init__(self, settings: Settings, roles: Sequence[str], limits: Limits | None = None, *, kept: bool = False) -> None:
        """`kept`: they are for the workers of one hub, and nobody else's. Raises ApiPortTaken, BadSettings."""
        if settings.payouts.plans_of_others and "payouts" in roles and not settings.payouts.ledger_url:
            raise BadSettings("[payouts] plans_of_others: a ledger that serves another's payouts has none of its own; see the role payouts")
        shared = settings.http.shared_ports
        keeps = kept and not shared
        self.thrift = HttpListener(_thrift_address(settings.thrift, shared=shared or kept, kept=keeps), "thrift", limits)
        self.rest = HttpListener(_rest_address(settings.rest, shared=shared or kept, kept=keeps), "rest", limits)

    def close(self) -> None:
        """Gives the addresses up."""
        self.thrift.close()
        self.rest.close()


def _thrift_address(settings: ThriftSettings, *, shared: bool, kept: bool) -> ListenAddress:
    files = settings.certificate_file, settings.key_file, settings.client_ca_file
    return ListenAddress(settings.host, settings.port, _THRIFT_PORT, *files, shared=shared, kept=kept)


def _rest_address(settings: RestSettings, *, shared: bool, kept: bool) -> ListenAddress:
    files = settings.certificate_file, settings.key_file
    return ListenAddress(settings.host, settings.port, _REST_PORT, *files, shared=shared, kept=kept)
