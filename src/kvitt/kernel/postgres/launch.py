"""A program of its own that becomes another program after changing who it is; the embedded server's children start through it.

PostgreSQL refuses to run as root. The change is made here, after a clean exec, because code that runs between fork and exec
in a process with threads may hang. Imports nothing but the standard library.

    launch.py IDENTITY PARENT TARGET PROGRAM ARGUMENT…
        IDENTITY  same | user:UID:GID | namespace
        PARENT    die with this process id (by SIGINT); 0 = live on
        TARGET    a directory that the new identity must be able to write
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
INSIDE_ID = 65534
"""What root is called inside the namespace; any number but 0 will do."""

CANNOT_REACH = 77
"""Exit status when the identity can't use the target or the program; the reason is on standard error."""


def main(identity: str, parent: str, target: str, program: str, *arguments: str) -> None:
    """Become `identity`, check that it reaches what it needs, bind the life to the parent's, and run the program."""
    try:
        _become(identity)
    except OSError as error:
        _give_up(f"cannot run as {identity}: {error}")
    _check_reach(Path(target), os.R_OK | os.W_OK | os.X_OK)
    _check_reach(Path(program), os.R_OK | os.X_OK)
    if int(parent):
        _die_with(int(parent))
    os.umask(0o077)
    os.execv(program, [program, *arguments])


def _become(identity: str) -> None:
    kind, _, ids = identity.partition(":")
    if kind == "user":
        uid, gid = map(int, ids.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if kind == "namespace":
        _enter_namespace()


def _enter_namespace() -> None:
    """Be called something else than root, while files see us as root: root's own directories stay reachable."""
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no user namespace: {os.strerror(number)}")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{INSIDE_ID} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{INSIDE_ID} {gid} 1")


def _check_reach(path: Path, mode: int) -> None:
    for directory in reversed(path.parents):
        if not os.access(directory, os.X_OK):
            _give_up(f"cannot enter the directory {directory}")
    if not os.access(path, mode):
        _give_up(f"cannot use {path}")


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")


def _give_up(reason: str) -> None:
    print(reason, file=sys.stderr)
    sys.exit(CANNOT_REACH)


if __name__ == "__main__":
    main(*sys.argv[1:])
