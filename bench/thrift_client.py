"""A caller of Thrift services that costs little: raw HTTP/1.1 over connections that stay open, one call at a time on each."""

import asyncio
from collections.abc import Sequence
from typing import Any

from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service

ACCOUNTER = Service("accounter", "Accounter")
TYPES: Any = module("accounter")
_HEAD = (
    b"POST %b HTTP/1.1\r\nhost: kvitt\r\ncontent-type: application/x-thrift\r\nwoody.trace-id: 1\r\nwoody.span-id: 2\r\n"
    b"woody.parent-id: undefined\r\nwoody.deadline: 2999-01-01T00:00:00Z\r\ncontent-length: %d\r\n\r\n"
)
_LENGTH, _END = b"content-length: ", b"\r\n\r\n"


class Line(asyncio.Protocol):
    """One connection; `call` gives the body of the answer, which must be a success."""

    def __init__(self, path: bytes) -> None:
        self._path, self._heard = path, b""
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        self._heard += data
        end = self._heard.find(_END)
        if end < 0 or self._answer is None:
            return
        start = self._heard.index(_LENGTH) + len(_LENGTH)
        length = int(self._heard[start : self._heard.index(b"\r", start)])
        if len(self._heard) < end + 4 + length:
            return
        heard, self._heard = self._heard, b""
        if heard[9:12] == b"200":
            self._answer.set_result(heard[end + 4 :])
        else:
            self._answer.set_exception(RuntimeError(heard[:end].decode()))

    async def call(self, method: str, *arguments: Any) -> Any:
        """What the method gives."""
        body = ACCOUNTER.call(method, 1, arguments)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(_HEAD % (self._path, len(body)) + body)
        return ACCOUNTER.read_reply(await self._answer, method, 1)


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
