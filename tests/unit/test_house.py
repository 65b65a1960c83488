"""The house keeps its measure: one meaning for each class name, the trade's words, small files and short functions."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from statistics import median

import pytest

import kvitt
from kvitt.kernel.database import connect as kvitt_connection
from kvitt.testing import TestServer

HOUSE = Path(kvitt.__file__).parent
ROOT = Path(__file__).parents[2]
MOST_LINES, MEDIAN_LINES, LINES_OF_A_MODULE = 400, 7, 113
SAID_OTHERWISE = {
    "aside": "Skipped",
    "bury": "dead_letter",
    "books": "ReceiptApplier",
    "desk": "handler",
    "dialect": "form, contract",
    "door": "API, channel",
    "doubt": "unknown",
    "doubtful": "was_unknown",
    "epoch": "fencing_token",
    "journal": "metrics",
    "let_in": "dequeue_next",
    "oddity": "discrepancy",
    "receipted": "with_acknowledgement",
    "refuse_to_guess": "require_start_offset",
    "ruling": "receipt decision",
    "speaker": "service adapter",
    "standing": "idempotency record, payout record",
    "tell": "publish",
    "teller": "outbox writer",
    "telling": "publishing",
    "told": "published",
    "undone": "compensated",
    "verdict": "outcome",
    "voice": "reply policy",
    "woody": "Thrift",
}
"""Words that no name in the code has a part of, and what is said in their place."""
OTHER_TYPES = {
    "Asked": "MessageInProgress, PageRequest",
    "Facts": "UnitOfWork",
    "Held": "LeaseGrant",
    "Intent": "SagaStep",
    "Patience": "RetryPolicy",
    "Reading": "ParsedRecord, ParsedOrder",
    "Share": "AssignedPartition",
    "Taken": "InboxMessage, RequestsToAsk",
}
"""Names that no type has, and what is said in their place; within other names they are words like any."""
PROSE = {
    "aside": "skipped",
    "buried|bury": "dead letter",
    "busy cases?|(?:case|payment) is busy": "has an open order",
    "desks?": "handler",
    "dialects?": "form, contract",
    "doors?": "API, channel",
    "doubtful|in doubt": "unknown",
    "epochs?": "fencing token",
    "oddity|oddities": "discrepancy",
    "receipted": "acknowledged",
    "rulings?": "receipt decision",
    "stamps?": "correlation time",
    "telling|tellers?": "publishing",
    "told": "published, said",
    "undone": "compensated, reversed, rolled back",
    "verdicts?": "outcome",
    "voices?": "reply",
    "woody": "Thrift",
}
"""The same for texts: docstrings, comments, SQL, what commands print, documents."""
KEPT = re.compile(r"`(?:door|told|oddity|receipted)`|\"door\"|extract\(epoch FROM|woody\\?\.")
"""Names on the wire and in stored bytes, SQL's own, and the words before, where the changelog names them."""
OTHERS_NAMES = frozenset({"INVALID_PRODUCER_EPOCH"})
"""Names that a library gave."""
EMULATOR = "rails/oppdrag/emulator"
READERS_OF_TUPLES = frozenset({"kernel/fetch.py", *(f"{EMULATOR}/{name}.py" for name in ("emulator", "schedule", "store"))})
"""Where rows are read as they come: the one reader, and the books of the emulator."""
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@cache
def modules() -> dict[str, ast.Module]:
    """Each module of kvitt by its path within the package."""
    paths = sorted(path for path in HOUSE.rglob("*.py") if "__pycache__" not in path.parts)
    return {str(path.relative_to(HOUSE)): ast.parse(path.read_text("utf-8")) for path in paths}


@cache
def nodes() -> tuple[tuple[str, ast.AST], ...]:
    """Each node of each module, but for what says only how a name is used."""
    return tuple((path, node) for path, tree in modules().items() for node in ast.walk(tree) if not isinstance(node, ast.expr_context))


def names_in(node: ast.AST) -> Iterator[str]:
    """The names that a node makes or uses."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
            yield name


@cache
def names() -> Mapping[str, frozenset[str]]:
    """Each name that is made or used, with the paths of the modules that do so."""
    found = defaultdict(set)
    for path, node in nodes():
        for name in names_in(node):
            if name not in OTHERS_NAMES:
                found[name].add(path)
    return {name: frozenset(paths) for name, paths in found.items()}


def aliases_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names that a module gives to types, each with its type; what stands for any type, as a TypeVar does, names none."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=value):
                placeholder = isinstance(value, ast.Call) and ast.unparse(value.func) in {"TypeVar", "ParamSpec"}
                if re.match(r"_?[A-Z]\w*[a-z]", name) and not placeholder:
                    yield name, ast.unparse(value)


@cache
def types() -> Mapping[str, frozenset[str]]:
    """Each name of a type, without "_" before it, with its meanings: where a class is, or the type that an alias stands for."""
    found = defaultdict(set)
    for path, node in nodes():
        if isinstance(node, ast.ClassDef):
            found[node.name.lstrip("_")].add(f"{path}:{node.lineno}")
    for tree in modules().values():
        for name, meant in aliases_in(tree):
            found[name.lstrip("_")].add(meant)
    return {name: frozenset(meanings) for name, meanings in found.items()}


def test_a_name_of_a_type_means_one_thing() -> None:
    assert {name: meanings for name, meanings in types().items() if len(meanings) > 1} == {}


@pytest.mark.parametrize("name", OTHER_TYPES)
def test_a_type_has_the_trades_name(name: str) -> None:
    assert types().get(name) is None


@pytest.mark.parametrize("word", SAID_OTHERWISE)
def test_what_the_trade_has_a_word_for_has_no_other(word: str) -> None:
    # A word without "_" is a whole part of a name; that it is in the name at all is looked up faster.
    held = [name for name in names() if word in name.lower()]
    assert {name: names()[name] for name in held if "_" in word or word in map(str.lower, _PARTS.findall(name))} == {}


def test_a_case_is_not_busy_but_has_an_open_order() -> None:
    """Elsewhere a connection, a server or the owner of a step may be."""
    busy = {name: paths for name, paths in names().items() if "busy" in map(str.lower, _PARTS.findall(name))}
    assert {path for paths in busy.values() for path in paths if path.startswith(("contracts/", "disbursement/"))} == set()


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Each file with prose, in small letters and without the names that are kept; migrations stay as they were when they were applied."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.*")]
    paths = [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.sql"), *documents]
    return tuple(
        (str(path.relative_to(ROOT)), KEPT.sub("", path.read_text("utf-8")).lower())
        for path in paths
        if not {"migrations", "__pycache__"} & set(path.parts)
    )


@pytest.mark.parametrize("word", PROSE)
def test_texts_are_in_the_same_words(word: str) -> None:
    # What may stand before it is looked at only in texts that have it: a search that begins with the word itself skips to it.
    held = [(path, text) for path, text in texts() if re.search(word, text)]
    pattern = re.compile(rf"(?<![\w-])(?:{word})(?![\w-])")
    assert {(path, found[0]) for path, text in held if (found := pattern.search(text))} == set()


def test_a_docstring_says_what_a_thing_does_or_is() -> None:
    begins = []
    for path, node in nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            whole = ast.get_docstring(node) or ""
            first = whole.partition("\n")[0]
            if re.search("^What |[;,] gives (?!back|up)", first) or re.search(r"\. Gives |^Gives (?:how|those)", whole, re.MULTILINE):
                begins.append((path, first))
    assert begins == []


@pytest.fixture(scope="module")
def columns(kvitt_server: TestServer) -> list[tuple[str, str, str]]:
    """Schema, table and name of each column of a migrated database."""
    with kvitt_server.database() as conninfo, kvitt_connection(conninfo) as connection:
        return connection.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()


@pytest.mark.parametrize("word", SAID_OTHERWISE)
def test_tables_and_columns_are_in_the_same_words(word: str, columns: list[tuple[str, str, str]]) -> None:
    assert columns
    assert [row for row in columns if any(word in re.split("[_.]", part) for part in row)] == []


def test_files_are_small() -> None:
    paths = [*HOUSE.rglob("*.py"), *HOUSE.rglob("*.sql"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    long = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert {path: lines for path, lines in long.items() if lines > MOST_LINES} == {}


def test_functions_are_short() -> None:
    lengths = [
        node.end_lineno - node.lineno + 1
        for _, node in nodes()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    ]
    assert median(lengths) <= MEDIAN_LINES


def test_modules_are_fewer_for_what_they_hold_than_in_a_house_ordered_by_technique() -> None:
    """There each had 113 lines in the mean."""
    lengths = [len((HOUSE / path).read_text("utf-8").splitlines()) for path in modules()]
    assert sum(lengths) / len(lengths) > 1.25 * LINES_OF_A_MODULE


def test_rows_are_read_by_name() -> None:
    """Each row becomes a value by `kernel/fetch.py`; nobody else takes rows off a cursor, or columns by their number."""
    found = set()
    for path, node in nodes():
        if path in READERS_OF_TUPLES or path.startswith("kernel/migrations/"):
            continue
        match node:
            case ast.Attribute(attr="fetchone" | "fetchall", lineno=line):
                found.add((path, line))
            case ast.Subscript(value=ast.Name(id="row"), slice=ast.Constant(value=int()), lineno=line):
                found.add((path, line))
    assert found == set()
