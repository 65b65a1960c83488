"""What the server answers to calls that are none: status, class and reason in the headers, as payouts §7.2 has them."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from kvitt.formats.thrift.interface import module
from kvitt.formats.thrift.messages import Service
from kvitt.formats.times import instant_text
from support.thrift_stage import THRIFT, TRACE, ledger_api, post
from unit.test_thrift_guard import HOSTILE

ACCOUNTER = Service("accounter", "Accounter")
LOOK = ACCOUNTER.call("GetAccountByID", 5, [2**62])


@pytest.fixture(scope="module")
def url(ledger_database: str) -> Iterator[str]:
    with ledger_api(ledger_database) as address:
        yield f"{address}/accounter"


def answer_of(response: httpx.Response) -> tuple[int, str | None, str | None, bytes]:
    return response.status_code, response.headers.get("woody.error-class"), response.headers.get("woody.error-reason"), response.content


def test_an_answer_repeats_the_trace_and_has_the_exact_type(url: str) -> None:
    made = post(url, ACCOUNTER.call("CreateAccount", 1, [module("accounter").AccountPrototype(currency_sym_code="NOK")]))
    assert (made.status_code, made.headers["content-type"]) == (200, "application/x-thrift")
    assert {name: made.headers[name] for name in TRACE} == TRACE
    assert "woody.error-class" not in made.headers


def test_a_deadline_is_repeated_as_it_came(url: str) -> None:
    deadline = "2999-09-10T12:00:05.120000Z"
    assert post(url, LOOK, woody_deadline=None, **{"woody.deadline": deadline}).headers["woody.deadline"] == deadline


def test_a_declared_exception_is_a_business_error(url: str) -> None:
    response = post(url, LOOK)
    assert answer_of(response)[:3] == (200, "Business Error", "AccountNotFound")
    with pytest.raises(module("accounter").AccountNotFound):
        ACCOUNTER.read_reply(response.content, "GetAccountByID", 5)


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (["woody.trace-id"], "woody.trace-id missing"),
        (["woody.span-id", "woody.trace-id"], "woody.trace-id, woody.span-id missing"),
        (list(TRACE), "woody.trace-id, woody.parent-id, woody.span-id missing"),
    ],
)
def test_missing_trace_headers_are_named_in_the_contracts_order(url: str, missing: list[str], reason: str) -> None:
    assert answer_of(post(url, LOOK, **dict.fromkeys(missing))) == (400, "Result Unexpected", reason, b"")


def test_the_older_names_of_the_headers_are_understood(url: str) -> None:
    older = {"x-rbk-trace-id": "1", "x-rbk-span-id": "2", "x-rbk-parent-id": "undefined"}
    assert post(url, LOOK, **dict.fromkeys(TRACE), **older).status_code == 200


@pytest.mark.parametrize("name", ["woody.trace-id", "woody.deadline", "x-rbk-span-id", "content-type", "woody.meta.user-identity.id"])
def test_a_header_that_decides_something_is_there_once(url: str, name: str) -> None:
    value = "application/x-thrift" if name == "content-type" else "2999-09-10T12:00:05Z"
    given = [*TRACE.items(), ("content-type", "application/x-thrift")]
    headers = [*(each for each in given if each[0] != name), (name, value), (name, value)]
    assert answer_of(httpx.post(url, content=LOOK, headers=headers)) == (400, "Result Unexpected", f"{name} more than once", b"")


def test_a_passed_deadline_is_unavailable(url: str) -> None:
    passed = instant_text(datetime.now(UTC) - timedelta(seconds=1))
    assert answer_of(post(url, LOOK, **{"woody.deadline": passed})) == (503, "Resource Unavailable", "deadline reached", b"")


def test_a_deadline_that_is_none_is_said_to_be(url: str) -> None:
    for text in ("tomorrow", "2021-09-10T12:00:05", "2021-13-10T12:00:05Z"):
        assert answer_of(post(url, LOOK, **{"woody.deadline": text})) == (400, "Result Unexpected", "bad header: woody.deadline", b"")


@pytest.mark.parametrize("kind", [None, "application/json", "application/x-thrift; charset=utf-8"])
def test_another_content_type_is_refused(url: str, kind: str | None) -> None:
    assert answer_of(post(url, LOOK, content_type=kind)) == (415, "Result Unexpected", "content type wrong/missing", b"")


def test_the_content_type_may_be_in_capitals(url: str) -> None:
    assert post(url, LOOK, content_type="Application/X-Thrift").status_code == 200


def test_only_post_is_a_call(url: str) -> None:
    response = httpx.get(url, headers=TRACE | THRIFT)
    assert answer_of(response) == (405, "Result Unexpected", "http method wrong", b"")
    assert response.headers["allow"] == "POST"


def test_another_path_has_no_service(url: str) -> None:
    assert post(url.replace("accounter", "elsewhere"), LOOK).status_code == 404


def test_an_unknown_method_is_named(url: str) -> None:
    body = Service("shumpune", "Accounter").call("GetBalanceByID", 1, [1, None])
    assert answer_of(post(url, body)) == (400, "Result Unexpected", "unknown method: GetBalanceByID", b"")


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_are_answered_and_the_next_call_too(url: str, body: bytes) -> None:
    response = post(url, body)
    assert (response.status_code, response.headers["woody.error-class"], response.content) == (400, "Result Unexpected", b"")
    assert response.headers["woody.error-reason"] in {"thrift protocol error", "thrift transport error"}
    assert post(url, LOOK).status_code == 200


def test_a_body_that_is_cut_short_is_a_transport_error(url: str) -> None:
    assert answer_of(post(url, LOOK[:-3]))[2] == "thrift transport error"


def test_an_argument_that_is_left_out_is_a_protocol_error(url: str) -> None:
    assert answer_of(post(url, ACCOUNTER.call("GetPlan", 1, [None])))[2] == "thrift protocol error"


def test_a_body_that_is_too_long_is_not_read(url: str) -> None:
    assert post(url, b"\0" * (4_194_304 + 1)).status_code == 413


@pytest.mark.parametrize("time", ["yesterday", "2021-02-30T00:00:00Z"])
def test_a_time_that_is_none_is_refused_with_its_reason(url: str, time: str) -> None:
    types = module("accounter")
    asked = ACCOUNTER.call("CreateAccount", 1, [types.AccountPrototype(currency_sym_code="RUB", creation_time=time)])
    status, error_class, reason, body = answer_of(post(url, asked))
    assert (status, error_class, body) == (400, "Result Unexpected", b"")
    assert reason is not None
    assert reason.startswith("creation_time: ")


@pytest.mark.parametrize(
    ("currency", "rule"),
    [
        ("", "must have 1 to 4 characters"),
        ("RUBLE", "must have 1 to 4 characters"),
        ("RU ", "must not begin or end with a blank"),
        ("R\0B", "must not have control characters, or characters that show nothing"),
    ],
)
def test_a_currency_that_is_none_is_refused_with_its_reason(url: str, currency: str, rule: str) -> None:
    asked = ACCOUNTER.call("CreateAccount", 1, [module("accounter").AccountPrototype(currency_sym_code=currency)])
    assert answer_of(post(url, asked))[:3] == (400, "Result Unexpected", f"Currency code {rule}")


def test_a_caller_that_goes_away_does_no_harm(url: str) -> None:
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-thrift\r\ncontent-length: 1000\r\n\r\n"
    for _ in range(20):
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as caller:
            caller.sendall(head.encode() + LOOK[:10])
    assert post(url, LOOK).status_code == 200
