"""Named SQL: reads a file of described statements and hands out their texts by name (style: all SQL lives in `.sql` files).

A statement starts with `-- name: some_name`, is followed by at least one comment line that says what it does, and ends at the next name.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

NAME_LINE = re.compile(r"^-- name:[ \t]*(\S*)[ \t]*$", re.MULTILINE)
DESCRIPTION = re.compile(r"\A\s*--[ \t]*\S")
COMMENT_LINE = re.compile(r"^\s*--.*$", re.MULTILINE)


class Queries:
    """The statements of one file; `queries.some_name` is the SQL text, an unknown name raises AttributeError."""

    def __init__(self, source: str, text: str) -> None:
        """Read `text`; raise ValueError naming `source` when a statement lacks a fit name, a description or SQL, or stands twice."""
        self._source = source
        self._statements = dict[str, str]()
        for name, body in _statements_in(text):
            if fault := _fault_of(name, body, name in self._statements):
                raise ValueError(f"{source}: statement {name!r} {fault}")
            self._statements[name] = body.strip()
        if not self._statements:
            raise ValueError(f"{source}: holds no named statement")

    def __getattr__(self, name: str) -> str:
        if name.startswith("__") or name not in self._statements:
            raise AttributeError(f"{self._source} has no statement named {name!r}; it has {', '.join(self._statements)}")
        return self._statements[name]

    def __dir__(self) -> list[str]:
        return list(self._statements)

    def __iter__(self) -> Iterator[str]:
        """All texts, in their order."""
        return iter(self._statements.values())


@cache
def load(name: str, package: str) -> Queries:
    """The statements of `sql/<name>.sql` in `package`; raise FileNotFoundError or ValueError when it can't be read as such."""
    path = files(package) / "sql" / f"{name}.sql"
    return Queries(f"{package}/sql/{name}.sql", path.read_text(encoding="utf-8"))


def _statements_in(text: str) -> Iterator[tuple[str, str]]:
    preface, *parts = NAME_LINE.split(text)
    if COMMENT_LINE.sub("", preface).strip():
        yield "", preface
    yield from zip(parts[::2], parts[1::2], strict=True)


def _fault_of(name: str, body: str, stands_twice: bool) -> str | None:
    if not name.isidentifier() or name.startswith("_"):
        return "has no fit name"
    if not DESCRIPTION.match(body):
        return "has no description"
    if not COMMENT_LINE.sub("", body).strip():
        return "has no SQL"
    return "stands twice" if stands_twice else None
