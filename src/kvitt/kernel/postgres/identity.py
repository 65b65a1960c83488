"""Decides as whom the server runs, since PostgreSQL refuses root: ourselves, an unprivileged user, or root under another name.

No user is made, and no directory but the server's own gets another owner or mode.
"""

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Final

from msgspec import Struct

from kvitt.errors import ServerDidNotStart
from kvitt.kernel.postgres import launch

UNPRIVILEGED: Final = ("postgres", "nobody")
"""Users that may serve when we are root, best first."""


class ServerIdentity(Struct, frozen=True):
    """`name` is what the launcher calls it; files of the server belong to `uid` and `gid`."""

    name: str
    uid: int
    gid: int

    def command(self, target: Path, program: Path, *arguments: str, parent: int = 0) -> list[str]:
        """The command that runs `program` under this identity; see launch.py for `target` and `parent`."""
        return [sys.executable, "-I", "-S", launch.__file__, self.name, str(parent), str(target), str(program), *arguments]

    def own(self, directory: Path) -> None:
        """Make `directory` (new or ours already) belong to this identity, closed to others."""
        directory.mkdir(mode=0o700, exist_ok=True)
        if directory.stat().st_uid != self.uid:
            os.chown(directory, self.uid, self.gid)
        directory.chmod(0o700)


def choose_identity(cluster: Path, directory: Path, program: Path) -> ServerIdentity:
    """The identity that serves `cluster` with `program`, from beside `directory`, which is made its own.

    A cluster that exists keeps its owner. Raises ServerDidNotStart with the directory that is in the way and what to do.
    """
    if os.geteuid() != 0:
        return _ourselves(cluster, directory)
    reasons = list[str]()
    for candidate in _candidates(cluster):
        candidate.own(directory)
        if not (reason := _obstacle(candidate, directory, program)):
            return candidate
        reasons.append(f"as {_called(candidate)}: {reason}")
    raise ServerDidNotStart(
        f"PostgreSQL doesn't run as root, and nobody else can serve {cluster} with {program} ({'; '.join(reasons)}). "
        "Name a data directory that other users can reach, install kvitt where they can read it, or run kvitt as an ordinary user."
    )


def _ourselves(cluster: Path, directory: Path) -> ServerIdentity:
    identity = ServerIdentity("same", os.geteuid(), os.getegid())
    if cluster.exists() and cluster.stat().st_uid != identity.uid:
        raise ServerDidNotStart(
            f"{cluster} belongs to user id {cluster.stat().st_uid}, and we are {identity.uid}; "
            "run kvitt as its owner or name another directory"
        )
    identity.own(directory)
    return identity


def _candidates(cluster: Path) -> list[ServerIdentity]:
    """Who may serve when we are root: the owner of the cluster when there is one, else the first who can."""
    as_root = ServerIdentity("namespace", 0, 0)
    if cluster.exists():
        owner = cluster.stat()
        return [ServerIdentity(f"user:{owner.st_uid}:{owner.st_gid}", owner.st_uid, owner.st_gid)] if owner.st_uid else [as_root]
    return [user for name in UNPRIVILEGED if (user := _user(name))] + [as_root]


def _user(name: str) -> ServerIdentity | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return ServerIdentity(f"user:{entry.pw_uid}:{entry.pw_gid}", entry.pw_uid, entry.pw_gid)


def _obstacle(identity: ServerIdentity, home: Path, program: Path) -> str:
    """Returns what keeps `identity` from serving; empty when nothing does."""
    tried = subprocess.run(identity.command(home, program, "--version"), check=False, capture_output=True, text=True)
    return "" if tried.returncode == 0 else tried.stderr.strip() or f"exit status {tried.returncode}"


def _called(identity: ServerIdentity) -> str:
    return "root in a user namespace" if identity.name == "namespace" else f"user id {identity.uid}"
