"""The token by which somebody is logged in on this machine: in their own directory of states, and for their eyes only (design §11)."""

import hashlib
import os
from pathlib import Path
from stat import S_IMODE
from typing import Final
from uuid import uuid4

from kvitt.console_settings import ConsoleSettings
from kvitt.errors import NotLoggedIn

_OTHERS: Final = 0o077


def keep_token(given: ConsoleSettings, token: str) -> None:
    """Keeps a token in place of the one before."""
    file = _file_of(given)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{uuid4().hex}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as output:
        output.write(token)
    draft.replace(file)


def kept_token(given: ConsoleSettings) -> str | None:
    """The token that is kept; None where there is none. Raises NotLoggedIn where others may have read or written it."""
    file = _file_of(given)
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    if found.st_uid != os.geteuid() or S_IMODE(found.st_mode) & _OTHERS:
        raise NotLoggedIn(f"{file} is not yours alone: take it away, and log in again (kvitt login)")
    return file.read_text("ascii", "replace").strip()


def forget_token(given: ConsoleSettings) -> bool:
    """Takes the token away; returns whether there was one."""
    try:
        _file_of(given).unlink()
    except FileNotFoundError:
        return False
    return True


def _file_of(given: ConsoleSettings) -> Path:
    """One file for each issuer and client: whoever works at two installations is logged in at both."""
    states = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    of = hashlib.sha256(f"{given.issuer}\n{given.device_client_id or given.client_id}".encode()).hexdigest()[:16]
    return Path(states) / "kvitt" / f"token-{of}"
