"""The pages on decisions and the map of the code say what is there: references, links, folders and files resolve."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS, SOURCE = ROOT / "docs", ROOT / "src/kvitt"
DECISIONS = DOCS / "decisions"
PAGES = sorted(DECISIONS.glob("[0-9]*.md"))
OWN_PAGES = [*PAGES, DECISIONS / "README.md", DOCS / "README.md"]
READ = frozenset({".py", ".sql", ".md", ".toml", ".csv", ".tsv", ".thrift", ".xsd", ".sh", ".xml"})
SCREEN = 55
"""Lines; a longer page is two decisions."""

_SECTIONS = re.compile(r"(?i)\bdesign (§\d+(?: steps? \d+(?:-\d+)?)?(?:(?:, | and )§\d+)*)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"`((?:[\w.]+/)*[\w.]+\.(?:py|toml|sql|md)|(?:\w+/)+)`")


def sections_named(text: str) -> set[int]:
    """The numbers in `design §1, §9`, also where the line breaks between them; a section sign behind a semicolon is a contract's."""
    return {int(number) for named in _SECTIONS.findall(re.sub(r"\s+", " ", text)) for number in re.findall(r"§(\d+)", named)}


def pages_by_section() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for page in PAGES:
        for number in re.findall(r"(?m)^Section: design §(\d+)$", page.read_text("utf-8")):
            found.setdefault(int(number), []).append(page.name)
    return found


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made from their text."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?s)```.*?```", "", page.read_text("utf-8")))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("(design §4 step 7, §6)", {4, 6}),
        ("(design §4 steps 1-5)", {4}),
        ("(rapid §2.3, design §7,\n    §12)", {7, 12}),
        ("(design §9; payouts §4.1, §7.3)", {9}),
        ("Design §2 names them", {2}),
        ("(§2.2 step 6)", set()),
    ],
)
def test_a_reference_is_found_with_all_its_sections(text: str, numbers: set[int]) -> None:
    assert sections_named(text) == numbers


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "docs"])
def test_every_section_that_is_named_has_its_page(folder: str) -> None:
    pages = pages_by_section()
    files = [each for each in (ROOT / folder).rglob("*") if each.is_file() and each.suffix in READ]
    lost = {str(each.relative_to(ROOT)): missing for each in files if (missing := sections_named(each.read_text("utf-8")) - pages.keys())}
    assert files
    assert not lost


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "examples"])
def test_pages_that_are_named_are_there(folder: str) -> None:
    files = [each for each in (ROOT / folder).rglob("*") if each.is_file() and each.suffix in READ]
    named = {name for each in files for name in re.findall(r"\bdocs/[\w/-]+\.md\b", each.read_text("utf-8"))}
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_section_has_one_page_and_is_numbered_as_it() -> None:
    for number, names in pages_by_section().items():
        assert [name[:3] for name in names] == [f"{number:02}-"], number


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_decision_says_what_it_belongs_to_why_and_what_follows(page: Path) -> None:
    text = page.read_text("utf-8")
    assert len(re.findall(r"(?m)^(?:Section|Part of): design §\d+$", text)) == 1
    assert re.findall(r"(?m)^## (.+)$", text) == ["Context", "Choice", "Consequence"]
    assert len(text.splitlines()) <= SCREEN


def test_the_list_of_decisions_links_every_page_once() -> None:
    linked = [link for link in _LINK.findall((DECISIONS / "README.md").read_text("utf-8")) if "/" not in link]
    assert sorted(linked) == [page.name for page in PAGES]


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(re.sub(r"(?s)```.*?```", "", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        leads_to = (page.parent / target).resolve() if target else page
        assert leads_to.exists(), link
        assert not anchor or anchor in anchors_of(leads_to), link


@pytest.mark.parametrize("page", OWN_PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_files_and_folders_that_a_page_names_are_there(page: Path) -> None:
    named = _FILE.findall(page.read_text("utf-8"))
    assert not [each for each in named if not (SOURCE / each).exists() and not (ROOT / each).exists()]


def test_the_map_has_every_folder_of_the_code_and_no_other() -> None:
    table = (DOCS / "README.md").read_text("utf-8").split("## What lies where", 1)[1]
    published = re.findall(r"(?m)^\| `([\w/]+)/` \|", table)
    there = [
        str(each.relative_to(SOURCE)) for each in SOURCE.rglob("*") if each.is_dir() and any(_is_code(file) for file in each.iterdir())
    ]
    assert sorted(published) == sorted(there)


def test_the_map_names_each_module_beside_the_folders() -> None:
    beside = (DOCS / "README.md").read_text("utf-8").partition("Beside them: ")[2].partition("\n\n")[0]
    assert [each.name for each in sorted(SOURCE.glob("[!_]*.py")) if f"`{each.name}`" not in beside] == []


def _is_code(file: Path) -> bool:
    return file.is_file() and file.suffix != ".pyc"


def test_the_front_page_leads_to_the_first_page_of_the_documents() -> None:
    assert "(docs/README.md)" in (ROOT / "README.md").read_text("utf-8")
