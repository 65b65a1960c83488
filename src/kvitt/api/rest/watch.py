"""Lets many calls wait for rows of theirs to be finished: one look at the store for all of them, no thread and no connection for any."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

import psycopg
import structlog

from kvitt.errors import NotAvailable
from kvitt.kernel.state_log import StateLog

Found = TypeVar("Found")
Look = Callable[[Sequence[int]], Awaitable[Mapping[int, Found]]]
"""What has become of those of the named rows that are finished."""
_log = structlog.get_logger(__name__)
_EVERY_SECONDS: Final = 0.02
_AFTER_A_FAILURE_SECONDS: Final = 0.5


class RowWatch(Generic[Found]):
    """Looks for finished rows as long as somebody waits for one. For the event loop of one API."""

    def __init__(self, look: Look[Found], most: int) -> None:
        self._look, self._most = look, most
        self._waiting: dict[int, asyncio.Future[Found]] = {}
        self._places = 0
        self._looking: asyncio.Task[None] | None = None
        self._states = StateLog(_log)

    async def holding(self, ask: Callable[[], Awaitable[int | Found]], seconds: float) -> Found | None:
        """Asks for a row once there is a place to wait for it, and returns what became of it, or what `ask` knows at once.

        None: not in so many seconds. Raises NotAvailable, where nothing was asked for, and what `ask` raises.
        """
        if self._places >= self._most:
            raise NotAvailable(f"{self._most} calls wait already")
        self._places += 1
        try:
            async with asyncio.timeout(seconds):
                return await self._finished(ask)
        except TimeoutError:
            return None
        finally:
            self._places -= 1

    async def _finished(self, ask: Callable[[], Awaitable[int | Found]]) -> Found:
        row = await ask()
        return await self._end_of(row) if isinstance(row, int) else row

    async def _end_of(self, row: int) -> Found:
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._waiting[row] = future
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on())
        try:
            return await future
        finally:
            self._waiting.pop(row, None)

    async def _look_on(self) -> None:
        """Ends when nobody waits any more; a store that is away is asked again, until each caller's time is over."""
        while self._waiting:
            try:
                found = await self._look(tuple(self._waiting))
            except psycopg.Error as error:
                name = type(error).__name__
                self._states.enters("rows", name, "warning", "rows that calls wait for can not be read", error=name)
                await asyncio.sleep(_AFTER_A_FAILURE_SECONDS)
                continue
            self._states.leaves("rows", "rows that calls wait for can be read again")
            for row, outcome in found.items():
                if (future := self._waiting.get(row)) is not None and not future.done():
                    future.set_result(outcome)
            await asyncio.sleep(_EVERY_SECONDS)
