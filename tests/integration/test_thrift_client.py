"""What a caller of Thrift services hears, and what it sends (payouts §7.1, §7.3), against a server that answers as asked."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kvitt.api.thrift.client import (
    CallResultUnexpected,
    CallResultUnknown,
    ServiceUnavailable,
    ThriftCallFailed,
    ThriftClient,
)
from kvitt.api.thrift.server import CallRefused, Endpoint
from kvitt.api.thrift.trace import CallTrace, current
from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service
from support.patience import PATIENCE_SECONDS
from support.thrift_stage import serving

ACCOUNTER = Service("accounter", "Accounter")
TYPES: Any = module("accounter")
CALL = ACCOUNTER.call("GetAccountByID", 1, [1])


class Answering:
    """A service of which each method does what the test says."""

    def __init__(self) -> None:
        self.does: Any = None
        self.heard: list[CallTrace | None] = []

    async def look(self, asked: Any) -> Any:
        self.heard.append(current.get())
        return await self.does(asked)


async def found(asked: Any) -> Any:
    return TYPES.Account(
        id=asked.id,
        own_amount=1,
        max_available_amount=2,
        min_available_amount=0,
        currency_sym_code="RUB",
        creation_time="2021-09-10T12:00:00Z",
    )


def refusing(status: int, error_class: str) -> Any:
    async def refuse(_asked: Any) -> Any:
        raise CallRefused(status, error_class, "the reason")

    return refuse


@pytest.fixture
def service() -> Answering:
    return Answering()


@pytest.fixture
def client(service: Answering) -> Iterator[ThriftClient]:
    with serving({"/accounter": Endpoint(ACCOUNTER, {"GetAccountByID": service.look})}) as url:
        made = ThriftClient(f"{url}/accounter", ACCOUNTER, seconds=PATIENCE_SECONDS)
        yield made
        made.close()


def test_a_result_and_a_declared_exception_arrive(service: Answering, client: ThriftClient) -> None:
    service.does = found
    assert client.call("GetAccountByID", 7).id == 7

    async def missing(asked: Any) -> Any:
        raise TYPES.AccountNotFound(account_id=asked.id)

    service.does = missing
    with pytest.raises(TYPES.AccountNotFound) as thrown:
        client.call("GetAccountByID", 8)
    assert thrown.value.account_id == 8


@pytest.mark.parametrize(
    ("status", "error_class", "failure"),
    [
        (503, "Resource Unavailable", ServiceUnavailable),
        (504, "Result Unknown", CallResultUnknown),
        (500, "Result Unexpected", CallResultUnexpected),
        (400, "Result Unexpected", CallResultUnexpected),
        (502, "resource UNAVAILABLE", ServiceUnavailable),
        (502, "Result Unknown", CallResultUnknown),
        (502, "Result Unexpected", CallResultUnexpected),
        (502, "", CallResultUnexpected),
    ],
)
def test_each_status_is_one_of_three_failures(
    service: Answering, client: ThriftClient, status: int, error_class: str, failure: type[ThriftCallFailed]
) -> None:
    service.does = refusing(status, error_class)
    with pytest.raises(ThriftCallFailed, match="the reason") as failed:
        client.call("GetAccountByID", 1)
    assert type(failed.value) is failure


def test_nobody_there_means_that_nothing_was_done() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for url in (f"http://127.0.0.1:{port}/accounter", "http://no.such.host.invalid/accounter"):
            client = ThriftClient(url, ACCOUNTER)
            with pytest.raises(ServiceUnavailable):
                client.call("GetAccountByID", 1)
            client.close()


@pytest.mark.parametrize(
    ("torn", "failure"), [(True, CallResultUnknown), (False, ServiceUnavailable)], ids=["torn after the call", "without a word"]
)
def test_a_connection_that_ends_before_an_answer(torn: bool, failure: type[ThriftCallFailed]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def end() -> None:
            accepted, _ = listening.accept()
            heard = b""
            while not heard.endswith(CALL):
                heard += accepted.recv(4096)
            if torn:
                # Closed so, the other side hears of a reset and not of an end.
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()

        thread = threading.Thread(target=end)
        thread.start()
        client = ThriftClient(f"http://127.0.0.1:{listening.getsockname()[1]}/accounter", ACCOUNTER)
        with pytest.raises(ThriftCallFailed) as failed:
            client.call("GetAccountByID", 1)
        client.close()
        thread.join()
    assert type(failed.value) is failure


def test_an_answer_that_does_not_come_leaves_the_result_unknown(service: Answering, client: ThriftClient) -> None:
    async def never(_asked: Any) -> Any:
        await asyncio.Event().wait()

    service.does = never
    seconds = 0.3
    while not service.heard:  # on a busy machine the deadline may pass before the call is sent
        with pytest.raises((CallResultUnknown, ServiceUnavailable)) as failed:
            client.call("GetAccountByID", 1, deadline=datetime.now(UTC) + timedelta(seconds=seconds))
        seconds *= 2
    assert failed.type is CallResultUnknown


def test_a_deadline_that_has_passed_fails_here(service: Answering, client: ThriftClient) -> None:
    with pytest.raises(ServiceUnavailable, match="deadline reached"):
        client.call("GetAccountByID", 1, deadline=datetime.now(UTC) - timedelta(seconds=1))
    assert service.heard == []


def test_a_call_begins_a_chain_with_a_deadline(service: Answering, client: ThriftClient) -> None:
    service.does = found
    before = datetime.now(UTC)
    client.call("GetAccountByID", 1)
    client.call("GetAccountByID", 1)
    one, two = service.heard
    assert one is not None
    assert two is not None
    assert one.parent_id == "undefined" or one.parent_id != one.span_id
    assert len({one.trace_id, one.span_id, two.trace_id, two.span_id}) == 4
    assert one.deadline is not None
    assert before < one.deadline <= datetime.now(UTC) + timedelta(seconds=PATIENCE_SECONDS)


def test_a_call_in_a_chain_passes_on_trace_deadline_and_baggage(service: Answering, client: ThriftClient) -> None:
    service.does = found
    deadline = datetime.now(UTC).replace(microsecond=123000) + timedelta(seconds=PATIENCE_SECONDS)
    inbound = CallTrace("7", "8", "9", deadline, None, (("user-identity.id", "kari"),))
    token = current.set(inbound)
    try:
        client.call("GetAccountByID", 1)
    finally:
        current.reset(token)
    (heard,) = service.heard
    assert heard is not None
    assert (heard.trace_id, heard.parent_id, heard.deadline, heard.meta) == ("7", "8", deadline, (("user-identity.id", "kari"),))
    assert heard.span_id not in {"7", "8", "9"}
