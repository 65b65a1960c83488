"""The emulator's simulation service as an ASGI app: one request to it after the other, each in a thread, those that are slow in none."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Final

import psycopg
import structlog

from kvitt.api.http_headers import AsgiMessage, BodyOverLimit, CallerGone, Receive, headers_of, whole_body
from kvitt.api.http_server import HttpListener, ListenAddress
from kvitt.kernel.clock import Clock, utc_now
from kvitt.kernel.state_log import StateLog
from kvitt.rails.oppdrag.emulator.simulation import ServiceAnswer, ServiceRequest, SimulationService
from kvitt.rails.oppdrag.emulator.simulation.service import GATEWAY, MAX_BODY

THREADS: Final = 8
EMULATOR_PORT: Final = 8024
_PIECE: Final = 65_536
_TOO_LONG: Final = ServiceAnswer(413, "text/plain; charset=utf-8", f"a request has at most {MAX_BODY} bytes\n".encode())
_log = structlog.get_logger(__name__)
_SendPart = Callable[[AsgiMessage], Awaitable[None]]


class EmulatorHttpApp:
    """Serves the simulation service. `threads` work on the requests."""

    def __init__(self, service: SimulationService, threads: ThreadPoolExecutor) -> None:
        self._service, self._threads = service, threads
        self._states = StateLog(_log)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: _SendPart) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        headers = headers_of(scope["headers"])
        try:
            body = await whole_body(receive, headers, MAX_BODY)
            request = ServiceRequest(scope["method"], scope["path"], headers, body)
            answer = await self._answered(request, receive)
        except BodyOverLimit:
            answer = _TOO_LONG
        except CallerGone:
            return
        except psycopg.Error as error:
            self._states.enters("store", type(error).__name__, "warning", "the rail's store does not answer", error=type(error).__name__)
            answer = GATEWAY
        else:
            self._states.leaves("store", "the rail's store answers again")
        await _sent(send, answer)

    async def _answered(self, request: ServiceRequest, receive: Receive) -> ServiceAnswer:
        """The answer. Raises CallerGone when whoever asked did not wait for a slow one."""
        loop = asyncio.get_running_loop()
        begun = await loop.run_in_executor(self._threads, self._service.begin, request)
        if isinstance(begun, ServiceAnswer):
            return begun
        if not await _waited(begun.slow_seconds, receive):
            await loop.run_in_executor(self._threads, self._service.abandon, begun)
            raise CallerGone
        return await loop.run_in_executor(self._threads, self._service.finish, begun)


def emulator_listener(port: int | None, *, shared: bool = False, kept: bool = False) -> HttpListener:
    """The address of the service, on the loopback; port None: the usual one or, if that is taken, any. Raises ApiPortTaken."""
    return HttpListener(ListenAddress("127.0.0.1", port, EMULATOR_PORT, shared=shared, kept=kept), "emulator")


@contextmanager
def emulator_serving(conninfo: str, listener: HttpListener, seed: int = 0, *, clock: Clock = utc_now) -> Iterator[None]:
    """Serves the simulation at the listener's address while the block runs."""
    service = SimulationService(conninfo, seed, clock=clock)
    try:
        with ThreadPoolExecutor(THREADS, thread_name_prefix="emulator") as threads, listener.serving(EmulatorHttpApp(service, threads)):
            yield
    finally:
        service.close()


async def _waited(seconds: float, receive: Receive) -> bool:
    """Whether the caller is still there after so long."""
    gone = asyncio.ensure_future(receive())
    try:
        await asyncio.wait_for(asyncio.shield(gone), seconds)
    except TimeoutError:
        return True
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
    return False


async def _sent(send: _SendPart, answer: ServiceAnswer) -> None:
    headers = [(b"content-type", answer.content_type.encode()), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    end = len(answer.body) // 2 if answer.breaks_off else len(answer.body)
    for start in range(0, end, _PIECE):
        await send({"type": "http.response.body", "body": answer.body[start : min(start + _PIECE, end)], "more_body": True})
    if not answer.breaks_off:
        await send({"type": "http.response.body", "body": b""})
