"""The documentation says what the code does: every error has its anchor, every refusal its line."""

import inspect
from pathlib import Path

import pytest

from kvitt import errors
from kvitt.disbursement import refusals
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
