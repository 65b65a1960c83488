"""A caller of Thrift services that costs little: raw HTTP/1.1 over connections that stay open, one call at a time on each."""

import asyncio
from collections.abc import Sequence
from typing import Any

from bench.http_client import Connection
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service

ACCOUNTER = Service("accounter", "Accounter")
TYPES: Any = module("accounter")
_HEAD = (
    b"POST %b HTTP/1.1\r\nhost: kvitt\r\ncontent-type: application/x-thrift\r\nwoody.trace-id: 1\r\nwoody.span-id: 2\r\n"
    b"woody.parent-id: undefined\r\nwoody.deadline: 2999-01-01T00:00:00Z\r\ncontent-length: %d\r\n\r\n"
)


class Line(Connection):
    """A caller of one service."""

    def __init__(self, path: bytes) -> None:
        super().__init__()
        self._path = path

    async def call(self, method: str, *arguments: Any) -> Any:
        """What the method gives."""
        body = ACCOUNTER.call(method, 1, arguments)
        return ACCOUNTER.read_reply(await self.exchange(_HEAD % (self._path, len(body)) + body, b"200"), method, 1)


async def lines(host: str, port: int, count: int) -> Sequence[Line]:
    """So many open connections to the ledger."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(lambda: Line(b"/accounter"), host, port))[1] for _ in range(count)]


def batch(*postings: tuple[int, int, int]) -> Any:
    """Batch 1 of postings, each from, to and amount."""
    published = [
        TYPES.Posting(from_id=source, to_id=target, amount=amount, currency_sym_code="RUB", description="bench")
        for source, target, amount in postings
    ]
    return TYPES.PostingBatch(id=1, postings=published)


async def transfer(line: Line, plan_id: str, held: Any) -> None:
    """Holds a plan and commits it."""
    await line.call("Hold", TYPES.PostingPlanChange(id=plan_id, batch=held))
    await line.call("CommitPlan", TYPES.PostingPlan(id=plan_id, batch_list=[held]))
