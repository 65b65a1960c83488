"""Which database: a given one, or the embedded one in the data directory."""

from collections.abc import Iterator
from contextlib import contextmanager

from kvitt.config import Settings
from kvitt.errors import NotUpgraded
from kvitt.kernel.database import PATIENCE_MS, connect
from kvitt.kernel.leases import release_every_lease
from kvitt.kernel.migrate import pending, upgrade
from kvitt.kernel.postgres import EmbeddedServer, running_server


@contextmanager
def database(settings: Settings, *, own: bool, upgrade_it: bool = True) -> Iterator[str]:
    """A migrated database as conninfo: the external one, a running kvitt's (unless `own`), or the embedded one, started for the while.

    Raises DataDirectoryInUse when `own` and another process has the data directory; NotUpgraded when the external one would have to be
    migrated and not `upgrade_it`.
    """
    if settings.database_url:
        if upgrade_it:
            upgrade(settings.database_url)
        elif pending(settings.database_url):
            raise NotUpgraded("this is no database of kvitt, or an older one; run kvitt db upgrade")
        yield settings.database_url
        return
    if not own and (running := running_server(settings.data)):
        yield running
        return
    server = EmbeddedServer(settings.data)
    conninfo = server.start()
    try:
        upgrade(conninfo)
        with connect(conninfo, lock_timeout_ms=PATIENCE_MS) as connection:
            release_every_lease(connection)
        yield conninfo
    finally:
        server.stop()
