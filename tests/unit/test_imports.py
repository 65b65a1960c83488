"""Modules stand in an order: none needs, to be loaded, another one that needs it."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
DERIVATIONS = "kvitt.disbursement.derive"
CLOCK = "kvitt.kernel.clock"
"""Asks the machine's clock, in the function `utc_now` alone."""
ASKING = frozenset({"utc_now", "uuid1", "uuid4"})
ASKING_OF_TIMES = frozenset({"now", "utcnow", "today"})
"""The same as functions of `date` and `datetime`; alone such a name is a moment that was handed in."""


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def loaded_first(file: Path, modules: set[str]) -> Iterator[str]:
    """The modules that a module imports while it is loaded; what functions import, and what is only for types, comes later."""
    for statement in ast.parse(file.read_text("utf-8")).body:
        if isinstance(statement, ast.Import):
            yield from (each.name for each in statement.names if each.name in modules)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            inside = {f"{statement.module}.{each.name}" for each in statement.names} & modules
            yield from inside or {statement.module} & modules


def all_files() -> dict[str, Path]:
    return {module_of(file): file for file in (SOURCE / "kvitt").rglob("*.py")}


def needed_by(module: str, files: dict[str, Path], known: frozenset[str] = frozenset()) -> frozenset[str]:
    """A module with all that it imports while it is loaded, and what these import; without what is `known` already."""
    needed = known | {module}
    for each in loaded_first(files[module], set(files)):
        if each not in needed:
            needed = needed_by(each, files, needed)
    return needed


def asked_in(file: Path) -> Iterator[tuple[str, int, str]]:
    """Where a module asks a clock, or for something that is another one each time."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.Attribute(attr=name) if name in ASKING | ASKING_OF_TIMES:
                yield module_of(file), node.lineno, name
            case ast.Name(id=name) if name in ASKING:
                yield module_of(file), node.lineno, name


def test_derivations_and_all_that_they_stand_on_ask_no_clock_and_leave_nothing_to_chance() -> None:
    files = all_files()
    needed = {each for module in files if module.startswith(DERIVATIONS) for each in needed_by(module, files)}
    assert f"{DERIVATIONS}.chained" in needed
    assert "kvitt.disbursement.calendar" in needed
    assert [found for module in sorted(needed - {CLOCK}) for found in asked_in(files[module])] == []


def test_no_two_modules_need_each_other() -> None:
    files = all_files()
    order = TopologicalSorter({module: set(loaded_first(file, set(files))) - {module} for module, file in files.items()})
    try:
        order.prepare()
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from None
