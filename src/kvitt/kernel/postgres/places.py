"""Where the embedded server keeps its things below a data directory, and where its socket can live."""

import shutil
import socket
import tempfile
from pathlib import Path
from typing import Final

from msgspec import Struct

from kvitt.kernel.postgres.identity import Identity
from kvitt.kernel.postgres.leftovers import SOCKET_NAME

ELSEWHERE: Final = "kvitt-postgres-"


class Places(Struct, frozen=True):
    """The paths of one server. `home` and the logs are ours; `cluster` and `sockets` belong to whom the server runs as."""

    home: Path

    @property
    def cluster(self) -> Path:
        return self.home / "cluster"

    @property
    def unfinished_cluster(self) -> Path:
        """A cluster that is being made; its rename to `cluster` is the moment it exists."""
        return self.home / "cluster.unfinished"

    @property
    def sockets(self) -> Path:
        return self.home / "run"

    @property
    def sockets_elsewhere(self) -> Path:
        """A file that names the directory made for sockets when `sockets` can't hold them."""
        return self.home / "run.elsewhere"

    @property
    def log(self) -> Path:
        return self.home / "log" / "server.log"


def make_places(data_dir: Path) -> Places:
    """The places below `data_dir`, made where they are missing; others may pass through `home` but not look into it."""
    places = Places(data_dir / "postgres")
    for directory in (places.home, places.log.parent):
        directory.mkdir(exist_ok=True)
    places.home.chmod(0o711)
    places.log.parent.chmod(0o700)
    return places


def socket_directory(places: Places, identity: Identity) -> Path:
    """A directory that can hold a socket: inside the data directory, or a new private one among the temporary files.

    A socket's path has at most 107 bytes, some file systems have no sockets at all, and a client takes a comma for the end of a host.
    """
    forget_sockets_elsewhere(places)
    if "," not in str(places.sockets) and _holds_sockets(places.sockets):
        return places.sockets
    elsewhere = Path(tempfile.mkdtemp(prefix=ELSEWHERE))
    places.sockets_elsewhere.write_text(str(elsewhere), encoding="utf-8")
    identity.own(elsewhere)
    return elsewhere


def forget_sockets_elsewhere(places: Places) -> None:
    """Remove the directory that an earlier start made for its sockets, if it made one."""
    if not places.sockets_elsewhere.exists():
        return
    directory = Path(places.sockets_elsewhere.read_text(encoding="utf-8"))
    if directory.name.startswith(ELSEWHERE) and directory.is_dir():
        shutil.rmtree(directory)
    places.sockets_elsewhere.unlink()


def _holds_sockets(directory: Path) -> bool:
    trial = directory / "x".rjust(len(SOCKET_NAME), ".")
    trial.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as end:
        try:
            end.bind(str(trial))
        except OSError:
            return False
    trial.unlink()
    return True
