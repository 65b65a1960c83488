"""Decisions over REST: what their routes need, whatever the contract: who may send which, and the service that takes them (design §16)."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from psycopg_pool import ConnectionPool

from kvitt.api.rest.callers import DecisionAccess
from kvitt.contracts.iverksetting.call import EnactmentTerms
from kvitt.disbursement.caller import CallHeaders
from kvitt.disbursement.decide import CallReader, Decided, DecisionService
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.values import Scheme
from kvitt.kernel.clock import Clock, utc_now

SEEN: Final = "simulering"
"""The header that names the dry run whose simulation an approver saw."""


class DecisionCalls(Struct, frozen=True):
    """Decisions for calls: `access` says who may send them, `pool` is for looks at what became of them.

    `iverksetting`: what is set for the chained decisions of each scheme. At most `dry_runs` wait at once, each for `dry_run_seconds`.
    """

    service: DecisionService
    access: DecisionAccess
    ports: Ports
    pool: ConnectionPool[Any]
    iverksetting: Mapping[Scheme, EnactmentTerms] = {}
    dry_runs: int = 256
    dry_run_seconds: float = 120.0
    clock: Clock = utc_now

    async def decided(
        self, source: str, key: bytes, body: bytes, call: CallHeaders, *, identity: str, read: CallReader | None = None
    ) -> Decided:
        """The outcome of a decision, once it is durable; `identity` is what to look for where that is not known.

        A caller who goes away meanwhile changes nothing. Raises as `DecisionService.decide`.
        """
        return await asyncio.wrap_future(self.service.decide(source, key, body, call, identity=identity, read=read))
