"""The names in the environment that begin with `KVITT_`: which are settings, which are others', and what a misspelt one was meant to be."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Final

from kvitt.errors import BadSettings

PREFIX: Final = "KVITT_"
CONFIG: Final = "KVITT_CONFIG"
TOKEN: Final = "KVITT_TOKEN"  # noqa: S105 - the name of a variable
_OTHERS: Final = frozenset(
    {CONFIG, TOKEN, "KVITT_DIE_AT", "KVITT_SEED", "KVITT_EXAMPLES", "KVITT_KILLS", "KVITT_CIRCLE", "KVITT_CIRCLE_KILLS"}
)
"""Names that are no settings: the file of settings, the token of who acts, and what the project's own tests and benchmarks ask for."""
_OTHERS_BEGIN: Final = ("KVITT_TEST_", "KVITT_BENCH_", "KVITT_BROKER_", "KVITT_SOAK_")
_SERVICE_LINKS: Final = re.compile(
    r"KVITT(_[A-Z0-9_]+)?_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|KVITT(_[A-Z0-9_]+)?_PORT_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?"
)
"""What Kubernetes puts into every container beside a Service that is called kvitt, or kvitt-something."""
_SERVICE_ADDRESS: Final = re.compile(r"(tcp|udp|sctp)://\S+")


def settings_in(environment: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """The variables that are settings, of which `known` are the names there can be.

    Raises BadSettings for an empty one, which says nothing and must not be taken for a choice, and for one that is none.
    """
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX) and not _is_anothers(name, value)}
    for name, value in given.items():
        if name not in known:
            raise BadSettings(f"{name} in the environment is no setting{meant(name, known)}")
        if not value.strip():
            raise BadSettings(f"{name} in the environment is empty: unset it, or give it a value")
    return given


def config_in(environment: Mapping[str, str]) -> str | None:
    """The file that KVITT_CONFIG names; None when it is not set. Raises BadSettings when it is empty."""
    named = environment.get(CONFIG)
    if named is not None and not named.strip():
        raise BadSettings(f"{CONFIG} in the environment is empty: unset it, or give it a value")
    return named


def meant(name: str, known: Collection[str]) -> str:
    """The end of a sentence that says which known name comes nearest; nothing when none does."""
    # What all of them begin with would make everything near to everything.
    bare = {each.removeprefix(PREFIX): each for each in known}
    nearest = get_close_matches(name.removeprefix(PREFIX), list(bare), n=1, cutoff=0.6)
    return f"; did you mean {bare[nearest[0]]}?" if nearest else ""


def _is_anothers(name: str, value: str) -> bool:
    if name in _OTHERS or name.startswith(_OTHERS_BEGIN) or _SERVICE_LINKS.fullmatch(name):
        return True
    return name.endswith("_PORT") and _SERVICE_ADDRESS.fullmatch(value) is not None
