"""Where a rule comes from can be looked up here: every `<page> §<number>` names a section that its page in docs/contracts has."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "docs" / "contracts"
FOLDERS = ("src", "tests", "bench", "brokers", "examples", "docs")
ALONE = ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml")

PAGES = ("helved", "rapid", "iverksetting", "payouts", "bank")
OTHERS = ("design", "rfc")
"""What else has sections: the decisions, and what is published for everybody."""
OLD_NAME = re.compile(r"\b(?:helved_stream|payout_manager|spenn|iverksetting_rest|iso20022)(?:\.md)? (?:§|\d+\.\d)")

_NUMBER = r"§\d+(?:\.\d+)*"
REFERENCE = re.compile(
    rf"\b(?P<name>[A-Za-z_]+)(?: \d+)? (?P<numbers>{_NUMBER}(?:(?: steps? [\d-]+| \([^()]*\))?(?:,\s+| and |–|-){_NUMBER})*)"
)
HEADING = re.compile(rf"^#+ ({_NUMBER}) \S", re.MULTILINE)


def texts() -> Iterator[tuple[str, str]]:
    """Every file that may name a section, by its place in the repository; tests of documents show wrong ones."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and not {"__pycache__", "images"} & {*path.parts} and not path.name.startswith("test_docs_"):
                yield str(path.relative_to(ROOT)), path.read_text("utf-8", errors="replace")
    for name in ALONE:
        yield name, (ROOT / name).read_text("utf-8")


def sections(page: str) -> frozenset[str]:
    """The numbers of a page's headings."""
    return frozenset(HEADING.findall((CONTRACTS / f"{page}.md").read_text("utf-8")))


SECTIONS = {page: sections(page) for page in PAGES}


def unresolved(text: str, own_page: str | None = None) -> list[str]:
    """The references of a text that lead nowhere; within a page a number alone is one of its own sections."""
    wrong = [f"old name: {found[0]}" for found in OLD_NAME.finditer(text)]
    known = [found for found in REFERENCE.finditer(text) if found["name"] in PAGES or found["name"].lower() in OTHERS]
    for found in known:
        if found["name"] in PAGES:
            numbers = re.findall(_NUMBER, found["numbers"])
            wrong += [f"{found['name']} {number}" for number in numbers if number not in SECTIONS[found["name"]]]
    spans = [found.span() for found in known]
    for found in re.finditer(_NUMBER, text):
        if any(start <= found.start() < end for start, end in spans):
            continue
        if own_page is None:
            wrong.append(f"no page: {text[max(0, found.start() - 30) : found.end()]}")
        elif found[0] not in SECTIONS[own_page]:
            wrong.append(f"{own_page} {found[0]}")
    return wrong


STEP = re.compile(rf"\b(?P<name>[A-Za-z_]+) (?P<number>{_NUMBER}) steps? (?P<first>\d+)(?:(?:-| and )(?P<last>\d+))?")


def steps_of(name: str, number: str) -> frozenset[int]:
    """The numbers of the list in a section of a contract, or on the page of a decision."""
    if name in PAGES:
        text = re.split(rf"(?m)^#+ {re.escape(number)} .*$", (CONTRACTS / f"{name}.md").read_text("utf-8"))[1].partition("\n#")[0]
    else:
        (page,) = (ROOT / "docs" / "decisions").glob(f"{int(number[1:]):02}-*.md")
        text = page.read_text("utf-8")
    return frozenset(int(found) for found in re.findall(r"(?m)^(\d+)\. ", text))


def lost_steps(text: str) -> list[str]:
    """The steps that a text names and that are in no list of their section; a line may break between the words."""
    return [
        found[0]
        for found in STEP.finditer(re.sub(r"\s+", " ", text))
        if not {int(found["first"]), int(found["last"] or found["first"])} <= steps_of(found["name"], found["number"])
    ]


def test_every_step_that_is_named_is_in_the_list_of_its_section() -> None:
    assert {place: lost for place, text in texts() if (lost := lost_steps(text))} == {}


def test_a_step_that_is_not_there_is_found() -> None:
    assert lost_steps("(payouts §4.4 steps 1 and 2; design §4 steps\n    1-5)") == []
    assert lost_steps("(payouts §4.4 step 99) (design §4 steps 7-99)") == ["payouts §4.4 step 99", "design §4 steps 7-99"]


def test_every_reference_to_a_contract_leads_to_a_section_of_its_page() -> None:
    wrong = {}
    for place, text in texts():
        page = Path(place).stem if place.startswith("docs/contracts/") and Path(place).stem in PAGES else None
        if "§" in text and (found := unresolved(text, page)):
            wrong[place] = found
    assert not wrong


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_each_number_once(page: str) -> None:
    numbers = HEADING.findall((CONTRACTS / f"{page}.md").read_text("utf-8"))
    assert numbers
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("as the wire has it (helved §3.5).", []),
        ("(rapid §1.4 (relevance), §2.1 and §2.2; design §12)", []),
        ("RFC 7519 §4", []),
        ("(payouts §4.4 step 6, §5)", []),
        ("(helved §3.99)", ["helved §3.99"]),
        ("(helved §3.5, §3.99)", ["helved §3.99"]),
        ("(rapid §2.3–§2.99)", ["rapid §2.99"]),
        ("(spenn §1.4)", ["old name: spenn §", "no page: (spenn §1.4"]),
        ("# helved_stream 5.1", ["old name: helved_stream 5.1"]),
        ("the first rule of §4.4", ["no page: the first rule of §4.4"]),
    ],
)
def test_a_reference_that_leads_nowhere_is_found(text: str, wrong: list[str]) -> None:
    assert unresolved(text) == wrong
