"""Modules stand in an order: none needs, to be loaded, another one that needs it."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"


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


def test_no_two_modules_need_each_other() -> None:
    files = {module_of(file): file for file in (SOURCE / "kvitt").rglob("*.py")}
    order = TopologicalSorter({module: set(loaded_first(file, set(files))) - {module} for module, file in files.items()})
    try:
        order.prepare()
    except CycleError as error:
        raise AssertionError(" → ".join(error.args[1])) from None
