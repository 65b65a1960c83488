"""Payouts over Thrift: the four methods of `/payout/management` (payouts §1.4, §2)."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from datetime import datetime
from typing import Any

from kvitt.api.thrift.server import (
    UNAVAILABLE,
    UNEXPECTED,
    CallRefused,
    Endpoint,
)
from kvitt.api.thrift.trace import actor, current
from kvitt.errors import (
    BadThrift,
    InsufficientFunds,
    InvalidPayout,
    PayoutAlreadyExists,
    PayoutInOtherState,
    PayoutInProgress,
    PayoutNotFound,
    PayoutsFailed,
)
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service
from kvitt.kernel.group_commit import settled
from kvitt.kernel.money import Minor
from kvitt.payouts.event import payout_struct
from kvitt.payouts.model import CancelPayout, Cash, ConfirmPayout, NewPayout, Payout, RequestPayout
from kvitt.payouts.service import PayoutService, cancellation, confirmation, requested

PATH = "/payout/management"
_WAITING = 64
"""Calls that may wait for services behind it at once; more wait for their turn, each until its deadline."""


def endpoints(payouts: PayoutService) -> dict[str, Endpoint]:
    """The service at its path."""
    return {PATH: _PayoutManagementAdapter(payouts).endpoint()}


class _PayoutManagementAdapter:
    def __init__(self, payouts: PayoutService) -> None:
        self._payouts = payouts
        self._types: Any = module("payouts")
        self._refusals: Any = module("refusals")
        self._threads = ThreadPoolExecutor(_WAITING, thread_name_prefix="payouts")

    def endpoint(self) -> Endpoint:
        handlers = {"CreatePayout": self._create, "GetPayout": self._get, "ConfirmPayout": self._confirm, "CancelPayout": self._cancel}
        return Endpoint(Service("payouts", "PayoutManagement"), handlers)

    async def _create(self, asked: Any) -> Any:
        params = asked.payout_params
        if params is None:
            raise BadThrift("lacks an argument")
        wanted = NewPayout(
            party_id=params.shop_params.party_id,
            shop_id=params.shop_params.shop_id,
            cash=Cash(Minor(params.cash.amount), params.cash.currency.symbolic_code),
            payout_id=params.payout_id,
            payout_tool_id=params.payout_tool_id,
        )
        until, who = _deadline(), actor()
        return payout_struct(await self._done(lambda: requested(wanted, who), lambda: self._payouts.create(wanted, until, actor=who)))

    async def _get(self, asked: Any) -> Any:
        payout_id = _id(asked)
        with self._declared():
            return payout_struct(await settled(self._payouts.look(payout_id)))

    async def _confirm(self, asked: Any) -> None:
        payout_id, until, who = _id(asked), _deadline(), actor()
        await self._done(lambda: confirmation(payout_id, actor=who), lambda: self._payouts.confirm(payout_id, until, actor=who))

    async def _cancel(self, asked: Any) -> None:
        if asked.details is None:
            raise BadThrift("lacks an argument")
        payout_id, until, who = _id(asked), _deadline(), actor()

        def command() -> CancelPayout:
            try:
                return cancellation(payout_id, asked.details, actor=who)
            except InvalidPayout as error:
                # Declared for CreatePayout only.
                raise CallRefused(400, UNEXPECTED, str(error)) from None

        await self._done(command, lambda: self._payouts.cancel(payout_id, asked.details, until, actor=who))

    async def _done(self, command: Callable[[], "RequestPayout | ConfirmPayout | CancelPayout"], do: Callable[[], Payout]) -> Payout:
        """Hands a command in; where other services are asked as well, `do` has it done on a thread, which inherits the trace."""
        with self._declared():
            future = self._payouts.submit(command())
            if future is None:
                return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, do)
            done: Payout = await settled(future)
            return done

    @contextmanager
    def _declared(self) -> Iterator[None]:
        """Turns what is raised into what the service declares."""
        try:
            yield
        except PayoutNotFound as error:
            raise self._types.NotFound(message=str(error)) from None
        except PayoutAlreadyExists:
            raise self._types.PayoutAlreadyExists from None
        except PayoutInProgress as error:
            raise CallRefused(503, UNAVAILABLE, str(error)) from None
        except InsufficientFunds:
            raise self._types.InsufficientFunds from None
        except InvalidPayout as error:
            raise self._refusals.InvalidRequest(errors=list(error.errors)) from None
        except PayoutInOtherState as error:
            # No exception is declared for it, and a new one would read as success to older clients (design §12).
            raise CallRefused(400, UNEXPECTED, str(error)) from None
        except PayoutsFailed as error:
            raise CallRefused(500, UNEXPECTED, f"AccounterException:{error}") from error


def _id(asked: Any) -> str:
    if asked.payout_id is None:
        raise BadThrift("lacks an argument")
    return str(asked.payout_id)


def _deadline() -> datetime | None:
    """Until when the caller wants an answer."""
    trace = current.get()
    return trace.deadline if trace else None
