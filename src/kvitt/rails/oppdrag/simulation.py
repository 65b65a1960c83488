"""Asks the rail's simulation over SOAP and HTTP: many questions at once, each with one deadline for all of it (helved §4.8, §4.9).

A question is asked once, because a second one could meet the first at the rail. It is repeated only where a contract says so, and once with
a new token when the first was not taken (iverksetting §4.7). Whatever happens on the way is an outcome, never an exception.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import httpx
from msgspec import Struct
from msgspec.structs import replace

from kvitt.disbursement.rail import Schedule
from kvitt.disbursement.simulation import ONCE, Again, AskedSimulation, FailureReason, SimulationFailure, SimulationOutcome
from kvitt.rails.oppdrag.opening_hours import OpeningHours
from kvitt.rails.oppdrag.simulation_answer import MAX_BYTES, read_simulation
from kvitt.rails.oppdrag.simulation_request import envelope
from kvitt.rails.oppdrag.simulation_tokens import NoToken, ProxyAccess, RailToken, RailTokens, TokenService, proxy_header

_UNANSWERED: Final = frozenset({FailureReason.UNREACHABLE, FailureReason.TIMED_OUT, FailureReason.NO_ANSWER, FailureReason.NO_TOKEN})
"""Outside its hours these mean that it is closed."""
_HEADERS: Final = {"Content-Type": "text/xml", "Accept": "*/*", "Accept-Encoding": "identity"}
_UNAUTHORIZED: Final = 401
_GATEWAY_TIMEOUT: Final = 504
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
"""Failures that come before a question is on its way."""
_LONG_BYTES: Final = 256 * 1024


class SimulationAccess(Struct, frozen=True):
    """Where the simulation is, and what calls to it need. `seconds` bounds a call with all that belongs to it."""

    url: str
    token_service: TokenService | None = None
    proxy: ProxyAccess | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    connect_seconds: float = 5.0
    seconds: float = 120.0
    at_once: int = 16


class SimulationClient:
    """Asks, on a thread of its own. Safe for use by several threads; keeps its connections and tokens until it is closed."""

    def __init__(
        self, access: SimulationAccess, schedule: Schedule | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """`schedule` None: the rail's usual hours. Raises OSError when a file of certificates can not be used."""
        self._access, self._schedule, self._now = access, schedule or OpeningHours(), now
        self._tls = _tls(access)
        self._of_tokens = self._open()
        self._tokens = RailTokens(self._of_tokens, access.token_service, access.proxy)
        self._free: list[httpx.AsyncClient] = []
        """A connection for each place: one pool of all would look at each of them for each call."""
        self._places = asyncio.Semaphore(access.at_once)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulations", daemon=True)
        self._thread.start()

    def ask(self, question: bytes, *, seconds: float | None = None, again: Again = ONCE) -> "Future[AskedSimulation]":
        """Asks a question; the outcome is there in at most as many seconds, waiting for a place among the others included.

        Whoever cancels the future takes the call back. After `close` it raises RuntimeError.
        """
        if self._loop.is_closed():
            raise RuntimeError("the client is closed")
        return asyncio.run_coroutine_threadsafe(
            self._asked(question, self._access.seconds if seconds is None else seconds, again), self._loop
        )

    def _open(self) -> httpx.AsyncClient:
        timeout = httpx.Timeout(None, connect=self._access.connect_seconds)
        return httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=timeout)

    def close(self) -> None:
        """Takes back what is under way, whose futures are cancelled, and closes the connections."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for each in (self._of_tokens, *self._free):
            await each.aclose()

    async def _asked(self, question: bytes, seconds: float, again: Again) -> AskedSimulation:
        """The last outcome in time; the first that is not asked about again."""
        failure = SimulationFailure(FailureReason.TIMED_OUT, f"no answer within {seconds:g} seconds")
        asked, at_work = AskedSimulation(failure, attempts=0), False
        try:
            async with asyncio.timeout(seconds):
                for wait in (*again.waits_seconds, None):
                    asked = replace(await self._attempt(question), attempts=asked.attempts + 1)
                    at_work = at_work or asked.at_work
                    if wait is None or not again.after(asked.outcome):
                        break
                    await asyncio.sleep(wait)
        except TimeoutError:
            at_work = True  # what was said before stands
        return replace(asked, outcome=self._by_the_clock(asked.outcome), attempts=max(asked.attempts, 1), at_work=at_work)

    def _by_the_clock(self, outcome: SimulationOutcome) -> SimulationOutcome:
        unanswered = isinstance(outcome, SimulationFailure) and outcome.reason in _UNANSWERED
        return replace(outcome, reason=FailureReason.CLOSED) if unanswered and not self._schedule.is_open(self._now()) else outcome

    async def _attempt(self, question: bytes) -> AskedSimulation:
        """One call, and once more with a new assertion when the first was not taken."""
        async with self._places:
            connection = self._free.pop() if self._free else self._open()
            try:
                assertion = await self._tokens.assertion()
                asked = await self._call(connection, question, assertion)
                if assertion is not None and _is_not_authenticated(asked.outcome):
                    self._tokens.drop_assertion(assertion)
                    asked = await self._call(connection, question, await self._tokens.assertion())
            except NoToken as missing:
                return AskedSimulation(SimulationFailure(FailureReason.NO_TOKEN, str(missing)))
            finally:
                self._free.append(connection)
        return asked

    async def _call(self, connection: httpx.AsyncClient, question: bytes, assertion: RailToken | None) -> AskedSimulation:
        """Sends one message and reads its answer. Raises NoToken."""
        url = self._access.url
        body = envelope(question, to=url, message_id=str(uuid4()), assertion=assertion.value if assertion else b"")
        proxy_pass = await self._tokens.proxy_pass()
        headers = {**_HEADERS, **proxy_header(proxy_pass)}
        try:
            async with connection.stream("POST", url, content=body, headers=headers) as response:
                answer = await _body_of(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            failure = SimulationFailure(FailureReason.UNREACHABLE, f"the rail can not be reached: {type(error).__name__}")
            return AskedSimulation(failure, at_work=not isinstance(error, _NEVER_SENT))
        if response.status_code == _UNAUTHORIZED and proxy_pass:
            self._tokens.drop_pass(proxy_pass)
        if isinstance(answer, SimulationFailure):
            return AskedSimulation(answer, response.status_code, at_work=answer.reason is FailureReason.BROKEN_OFF)
        at_work = response.status_code == _GATEWAY_TIMEOUT
        return AskedSimulation(await _read(response.status_code, answer), response.status_code, answer, at_work=at_work)


async def _read(status: int, answer: bytes) -> SimulationOutcome:
    """A long answer is read on another thread, so that it holds up no other."""
    if len(answer) > _LONG_BYTES:
        return await asyncio.to_thread(read_simulation, status, answer)
    return read_simulation(status, answer)


async def _body_of(response: httpx.Response) -> bytes | SimulationFailure:
    """The body as it came, as far as it is kept: no longer than an answer can be, and never one that would have to be unpacked."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return SimulationFailure(FailureReason.UNREADABLE, "the answer is packed, which was not asked for")
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BYTES:
                return SimulationFailure(FailureReason.UNREADABLE, f"the answer is larger than {MAX_BYTES} bytes")
    except httpx.HTTPError as error:
        return SimulationFailure(FailureReason.BROKEN_OFF, f"the connection ended in the middle of the answer: {type(error).__name__}")
    return bytes(body)


def _is_not_authenticated(outcome: SimulationOutcome) -> bool:
    return isinstance(outcome, SimulationFailure) and outcome.reason is FailureReason.NOT_AUTHENTICATED


def _tls(access: SimulationAccess) -> ssl.SSLContext:
    """The authorities that are trusted, and the certificate that is shown, if there is one."""
    context = ssl.create_default_context(cafile=access.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.certificate_file:
        context.load_cert_chain(access.certificate_file, access.key_file)
    return context
