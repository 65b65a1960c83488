"""The example messages that come with kvitt: beside the project when it is installed from there, else inside the package."""

from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from msgspec import Struct

import kvitt


class Example(Struct, frozen=True):
    """One message: the scheme's short name, the name that says what it shows, and its bytes."""

    scheme: str
    name: str
    body: bytes


def example_directory() -> Traversable:
    """Where the examples are."""
    beside = Path(kvitt.__file__).parents[2] / "examples"
    return beside if (beside / "dp").is_dir() else files("kvitt") / "examples"


def examples() -> Sequence[Example]:
    """All of them, by scheme and name; none when they were not installed."""
    directory = example_directory()
    if not directory.is_dir():
        return ()
    found = [
        Example(scheme.name, message.name.removesuffix(".json"), message.read_bytes())
        for scheme in directory.iterdir()
        if scheme.is_dir()
        for message in scheme.iterdir()
        if message.name.endswith(".json")
    ]
    return sorted(found, key=lambda each: (each.scheme, each.name))


def parties_example() -> str:
    """The example of a file of parties."""
    return (example_directory() / "parties.toml").read_text("utf-8")
