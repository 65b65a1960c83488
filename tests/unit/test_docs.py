"""The documentation says what the code does: every error has its anchor, every refusal its line."""

import inspect
import re
from pathlib import Path

import pytest

from kvitt import errors
from kvitt.contracts.iverksetting import texts
from kvitt.contracts.utbetalinger import changes, read, rules
from kvitt.disbursement import authority, refusals
from kvitt.disbursement.values import Refusal

DOCS = Path(__file__).parents[2] / "docs"


def error_classes() -> list[type[errors.KvittError]]:
    return [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.KvittError)]


@pytest.mark.parametrize("error", error_classes(), ids=lambda error: error.__name__)
def test_every_error_has_its_own_code_and_an_anchor_on_the_errors_page(error: type[errors.KvittError]) -> None:
    page, _, anchor = error.doc.partition("#")
    assert f"\n### {anchor}\n" in (DOCS / f"{page}.md").read_text("utf-8")
    assert anchor == error.code.replace("_", "-")
    assert error.who in ("caller", "operator", "kvitt")
    assert inspect.getdoc(error)


REFUSALS = [each for _, each in inspect.getmembers(refusals) if isinstance(each, Refusal)]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: each.text)
def test_every_refusal_is_explained_with_its_code(refusal: Refusal) -> None:
    assert f"| {refusal.status} | `{refusal.text}` |" in (DOCS / "errors.md").read_text("utf-8")
    assert refusal.doc.startswith("https://")


WORDINGS = [each for _, each in inspect.getmembers(texts) if isinstance(each, texts.Wording)]


@pytest.mark.parametrize("wording", WORDINGS, ids=lambda each: each.third)
def test_every_refusal_of_a_decision_is_explained_with_its_words_in_each_generation(wording: texts.Wording) -> None:
    page = (DOCS / "errors.md").read_text("utf-8").partition("## What a caller of decisions hears")[2]
    row = f"| {wording.status} | `{_without_ids(wording.third)}` | "
    (line,) = [each for each in page.splitlines() if each.startswith(row)]
    assert not [older for older in (wording.second, wording.first) if older and f"`{_without_ids(older)}`" not in line]


def _without_ids(text: str) -> str:
    return re.sub(r"\{\w+\}", "…", text)


OF_CALLS = [each for module in (authority, changes, read, rules) for _, each in inspect.getmembers(module) if isinstance(each, Refusal)]


@pytest.mark.parametrize("refusal", OF_CALLS, ids=lambda each: each.text)
def test_every_refusal_of_a_call_is_explained_with_its_code(refusal: Refusal) -> None:
    page = (DOCS / "errors.md").read_text("utf-8")
    assert re.search(rf"(?mi)^\| {refusal.status} \| .*`({re.escape(refusal.text)}|{re.escape(refusal.text.split()[0])} …)`", page)
