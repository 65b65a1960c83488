"""The page of the API's description has all of it, leads nowhere that is not there, and needs nothing but itself."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any
from unittest.mock import MagicMock

import msgspec
import pytest

from kvitt.api.rest.app import make_app
from kvitt.api.rest.contract_forms import TRANSACTION_ID
from kvitt.api.rest.docs_page import PublicPages, headers, page_of
from kvitt.api.rest.dry_runs import DECISION_PATH
from kvitt.api.rest.dry_runs import PATHS as DRY_RUNS
from kvitt.api.rest.gate import REPEATABLE
from kvitt.api.rest.problems import Problem
from kvitt.kernel.requests import KEY_HEADER


@pytest.fixture(scope="module")
def app() -> Iterator[PublicPages]:
    """The app with the routes of all roles; nothing of it works."""
    with ThreadPoolExecutor(1) as threads:
        everything = {
            name: MagicMock() for name in ("payouts", "ledger", "simulations", "reconciliations", "consistency", "decisions", "approvals")
        }
        made = make_app(MagicMock(), MagicMock(), threads, refused=MagicMock(), **everything)
        assert isinstance(made, PublicPages)
        yield made


def answered(app: PublicPages, path: str, calls: int = 1) -> list[bytes]:
    """The bodies with which the app answers, each caller asking at the same time."""

    async def ask() -> bytes:
        said: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            said.append(message)

        await app({"type": "http", "method": "GET", "path": path}, None, send)
        assert said[0]["status"] == 200
        assert dict(said[0]["headers"])[b"content-length"] == str(len(said[1]["body"])).encode()
        return bytes(said[1]["body"])

    async def ask_all() -> list[bytes]:
        return await asyncio.gather(*(ask() for _ in range(calls)))

    return asyncio.run(ask_all())


@pytest.fixture(scope="module")
def described(app: PublicPages) -> Mapping[str, Any]:
    return msgspec.json.decode(answered(app, "/schema/openapi.json", calls=3)[-1], type=dict[str, Any])


@pytest.fixture(scope="module")
def page(app: PublicPages, described: Mapping[str, Any]) -> str:
    assert described["paths"]
    return answered(app, "/docs")[0].decode()


def test_decisions_have_an_example_of_each_refusal_and_body(described: Mapping[str, Any]) -> None:
    paths = ("/api/iverksetting", "/utbetalinger", "/api/dryrun", "/api/simulering/v")
    of_decisions = {path: item for path, item in described["paths"].items() if path.startswith(paths)}
    lacking, elsewhere = [], []
    for path, item in of_decisions.items():
        for method, operation in item.items():
            bodies = {"body": operation["requestBody"]} if "requestBody" in operation else {}
            for name, said in {**bodies, **operation["responses"]}.items():
                for content in said.get("content", {}).values():
                    examples = [each["value"] for each in content.get("examples", {}).values()]
                    lacking += [] if examples else [(method, path, name)]
                    refused = [each.get("error", each) for each in examples if isinstance(each, dict)]
                    elsewhere += [each for each in refused if name != "body" and str(each.get("statusCode", name)) != name]
    assert elsewhere == []
    assert lacking == []


def test_every_error_has_an_example(described: Mapping[str, Any]) -> None:
    lacking = [
        (method, path, status, kind)
        for path, item in described["paths"].items()
        for method, operation in item.items()
        for status, said in operation["responses"].items()
        for kind, content in said.get("content", {}).items()
        if int(status) >= HTTPStatus.BAD_REQUEST and not content.get("examples")
    ]
    assert lacking == []


def test_every_call_that_may_be_repeated_names_the_header_by_which_it_is_recognised(described: Mapping[str, Any]) -> None:
    lacking = []
    for path, item in described["paths"].items():
        header = TRANSACTION_ID if path.startswith((*DRY_RUNS, DECISION_PATH)) else KEY_HEADER
        for method, operation in item.items():
            named = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "header"]
            lacking += [(method, path, named)] if method.upper() in REPEATABLE and header not in named else []
    assert lacking == []


def operations(described: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [operation for item in described["paths"].values() for operation in item.values()]


def test_the_page_has_every_operation_and_every_form(described: Mapping[str, Any], page: str) -> None:
    ids = set(re.findall(r' id="([^"]+)"', page))
    assert {each["operationId"] for each in operations(described)} <= ids
    assert {f"form-{name}" for name in described["components"]["schemas"]} <= ids
    assert len(re.findall(r' id="', page)) == len(ids)


def test_every_link_leads_to_a_place_on_the_page_or_to_the_description(page: str) -> None:
    ids = set(re.findall(r' id="([^"]+)"', page))
    links = set(re.findall(r'href="([^"]+)"', page))
    assert links - {f"#{each}" for each in ids} == {"/schema/openapi.json"}


def test_the_page_loads_and_runs_nothing(page: str) -> None:
    assert not re.search(r"<(script|link|img|iframe|object|form|base)\b|\bon\w+=| src=|@import|url\(|style=", page)
    style = re.search(r"(?s)<style>(.*?)</style>", page)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in headers()["content-security-policy"]


def test_all_of_the_description_is_shown_as_text() -> None:
    wrong = "<script>alert(1)</script>"
    operation = {"operationId": "x", "summary": wrong, "description": wrong, "responses": {"200": {"description": wrong}}}
    made = {"openapi": "3.1.0", "info": {"title": wrong}, "paths": {"/" + wrong: {"get": operation}}, "components": {"schemas": {}}}
    assert "<script" not in page_of(made).decode()


def test_a_body_is_shown_down_to_its_innermost_members() -> None:
    inner = {"type": "object", "properties": {"amount": {"type": "integer", "default": None}}, "required": []}
    body = {"type": "object", "properties": {"days": {"type": "array", "items": inner}, "who": {"anyOf": [inner, {"type": "null"}]}}}
    content = {"application/json": {"schema": body, "examples": {"one": {"summary": "a week", "value": {"days": []}}}}}
    operation = {"operationId": "x", "requestBody": {"content": content}, "responses": {}}
    made = {"openapi": "3.1.0", "info": {"title": "t"}, "paths": {"/x": {"put": operation}}, "components": {"schemas": {}}}
    shown = page_of(made).decode()
    assert all(f"<code>{place}</code>" in shown for place in ("days", "days[].amount", "who", "who.amount"))
    assert "null if not said" in shown
    assert "a week" in shown


def test_every_problem_of_an_operation_has_its_meaning_and_an_example(described: Mapping[str, Any], page: str) -> None:
    shown = 0
    for operation in operations(described):
        for status, answer in operation["responses"].items():
            for kind, media in answer.get("content", {}).items():
                if int(status) >= 400 and kind == "application/problem+json" and media["schema"]["$ref"].endswith("/Problem"):
                    (example,) = media["examples"].values()
                    problem = msgspec.convert(example["value"], Problem)
                    assert (str(problem.status), problem.detail) == (status, example["summary"])
                    shown += 1
    assert shown > 100
    assert page.count("&quot;status&quot;: 409") > 10


@pytest.mark.parametrize("start", ["/api/iverksetting", "/utbetalinger"])
def test_every_refusal_on_the_paths_of_decisions_has_its_text_and_an_example(described: Mapping[str, Any], start: str) -> None:
    shown = set()
    for path, item in described["paths"].items():
        for operation in item.values() if path.startswith(start) else ():
            assert operation["responses"]["401"].get("content") is None
            refused = {status: each for status, each in operation["responses"].items() if int(status) >= 400 and status != "401"}
            for status, answer in refused.items():
                examples = answer["content"]["application/json"]["examples"].values()
                assert {each["value"]["statusCode"] for each in examples} == {int(status)}
                shown |= {each["value"]["msg"] for each in examples}
    assert len(shown) > 30
