"""The server's settings: nothing that was committed may be lost, nobody outside the machine may connect."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from kvitt.kernel.postgres.binaries import Binaries
from kvitt.kernel.postgres.identity import Identity

BASE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",
        "wal_compression": "on",
        "checkpoint_timeout": "15min",
        "autovacuum_naptime": "15s",
        "timezone": "UTC",
        "jit": "off",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %a ",
        # The statement of an error may hold personal data, which never reaches the ordinary log (design §11).
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_checkpoints": "off",
    }
)
IF_SUPPORTED: Final[Mapping[str, str]] = MappingProxyType({"wal_compression": "lz4", "default_toast_compression": "lz4"})
"""Better values that some builds lack."""


def server_arguments(settings: Mapping[str, str], *, cluster: Path, sockets: Path, name: str) -> Iterator[str]:
    """Command-line arguments of `postgres` for `settings` (later than BASE, so they win)."""
    yield from ("-D", str(cluster))
    # A list of directories in PostgreSQL's eyes: only what is quoted may have commas and blanks.
    quoted = '"' + str(sockets).replace('"', '""') + '"'
    for key, value in {**settings, "unix_socket_directories": quoted, "cluster_name": name}.items():
        yield from ("-c", f"{key}={value}")


def effective_settings(binaries: Binaries, identity: Identity, cluster: Path, asked: Mapping[str, str]) -> Mapping[str, str]:
    """BASE, bettered by what this build of PostgreSQL supports, overruled by what was asked for."""
    supported = {key: value for key, value in IF_SUPPORTED.items() if _knows(binaries, identity, cluster, key, value)}
    return {**BASE, **supported, **asked}


def _knows(binaries: Binaries, identity: Identity, cluster: Path, key: str, value: str) -> bool:
    command = identity.command(cluster, binaries.postgres, "-D", str(cluster), "-c", f"{key}={value}", "-C", key)
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
