"""Databases that tests use one after the other: what a test has left is emptied, and is then what a fresh copy of the template is.

That is where most of a short test went: a fresh database is five hundred files, and each connection to it learns all tables anew.
A test that has changed more than rows (a table, a right, a setting, statistics) has had its database for itself: it is dropped.
"""

import os
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict

from kvitt.testing import TestServer
from kvitt.testing.server import GIVEN
from support.kept_connections import KEPT, SMALL_BYTES

_MOST_TIMES: Final = 200
"""So often a database is used: what is deleted leaves its traces in indexes."""

_CATALOGS: Final = re.findall(
    r"\w+",
    """attrdef attribute class collation constraint conversion default_acl description enum event_trigger extension foreign_server index
    language largeobject_metadata operator policy proc publication rewrite sequence statistic statistic_ext trigger type""",
)
_ROWS_AND_NEW_ROWS: Final = "SELECT count(*), count(*) FILTER (WHERE age(xmin) < age(w.newest)) FROM pg_{}, w"
_BESIDE_CATALOGS: Final = """
SELECT count(*), 0 FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
UNION ALL SELECT count(*), 0 FROM pg_prepared_xacts WHERE database = current_database()
UNION ALL SELECT count(s), count(*) FILTER (WHERE datacl IS NULL AND datconnlimit = -1)
FROM pg_database AS d LEFT JOIN pg_db_role_setting AS s ON s.setdatabase = d.oid WHERE datname = current_database()
"""
_CHANGES: Final = "WITH w AS (SELECT %s::xid AS newest) " + " UNION ALL ".join(
    [*map(_ROWS_AND_NEW_ROWS.format, _CATALOGS), _BESIDE_CATALOGS]
)
_TABLES: Final = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1
"""
_LARGE: Final = "SELECT name FROM unnest(%s::text[]) AS name WHERE pg_relation_size(name::regclass) > %s"
_SEQUENCES: Final = "SELECT seqrelid, seqstart, pg_sequence_last_value(seqrelid) FROM pg_sequence ORDER BY seqrelid"
_OTHERS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL (%s) AND backend_type = 'client backend'
"""
_ENDING_SECONDS: Final = 0.5
"""So long the server's processes may take to end after those who were connected to them."""


class Fresh(NamedTuple):
    """What a fresh copy of the template has."""

    limit: str
    catalogs: list[Any]
    tables: list[str]
    seeds: dict[str, bytes]
    sequences: dict[int, tuple[int, int | None]]


class UsedDatabase:
    """A database that tests use one after the other, with the connection by which it is emptied."""

    def __init__(self, conninfo: str, opened: ExitStack) -> None:
        self.conninfo, self.times, self._opened = conninfo, 1, opened
        self.name = str(conninfo_to_dict(conninfo)["dbname"])
        # Neither triggers nor foreign keys have a say where everything goes.
        options = "-c session_replication_role=replica -c lock_timeout=1000"
        self._connection = opened.enter_context(psycopg.Connection.connect(conninfo, autocommit=True, prepare_threshold=0, options=options))
        KEPT.begin(self.name)

    def let_go(self) -> None:
        """Ends what is connected to it by us; it is not used again."""
        KEPT.end(self.name)
        self._connection.close()

    def close(self) -> None:
        """Ends what is connected to it by us, and has it dropped."""
        KEPT.end(self.name)
        self._opened.close()

    def fresh(self) -> Fresh:
        """What it has, while nobody has used it."""
        limit = str(self._one("SELECT pg_current_xact_id()::xid"))
        tables = [name for (name,) in self._rows(_TABLES)]
        filled = [name for name in tables if self._one(f"SELECT EXISTS (SELECT FROM {name})")]
        return Fresh(limit, self._changes(limit), tables, {name: self._content(name) for name in filled}, self._sequences())

    def made_fresh(self, fresh: Fresh) -> bool:
        """Whether it is again what it was when nobody had used it; False: more than rows were changed, or somebody is in the way."""
        self.times += 1
        try:
            return self.times <= _MOST_TIMES and self._is_left() and self._changes(fresh.limit) == fresh.catalogs and self._empty(fresh)
        except psycopg.OperationalError:
            return False

    def _is_left(self) -> bool:
        """Whether nobody else is connected. Who still is might go on in the midst of the next test."""
        deadline = time.monotonic() + _ENDING_SECONDS
        while self._one(_OTHERS, KEPT.processes(self.name)):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _empty(self, fresh: Fresh) -> bool:
        changed = self._changed_tables(fresh)
        with self._connection.pipeline():
            for name in changed:
                self._connection.execute(f"DELETE FROM {name}".encode())
        for name in changed:
            if name in fresh.seeds:
                self._fill(name, fresh.seeds[name])
        self._put_back_sequences(fresh)
        # What is vacuumed is learnt and planned anew by all that are connected: so not each time, but before a table is large.
        if large := [name for (name,) in self._rows(_LARGE, changed, SMALL_BYTES)]:
            self._connection.execute(f"VACUUM {', '.join(large)}".encode(), prepare=False)
        return True

    def _changed_tables(self, fresh: Fresh) -> list[str]:
        exist = ", ".join(f"EXISTS (SELECT FROM {name})" for name in fresh.tables)
        (filled,) = self._rows(f"SELECT {exist}")
        changed = [name for name, is_filled in zip(fresh.tables, filled, strict=True) if is_filled and name not in fresh.seeds]
        return changed + [name for name, rows in fresh.seeds.items() if self._content(name) != rows]

    def _put_back_sequences(self, fresh: Fresh) -> None:
        now = self._sequences()
        for sequence, (start, last) in fresh.sequences.items():
            if now[sequence] != (start, last):
                self._rows("SELECT setval(%s::regclass, %s, %s)", sequence, last or start, last is not None)

    def _changes(self, limit: str) -> list[Any]:
        return self._rows(_CHANGES, limit)

    def _sequences(self) -> dict[int, tuple[int, int | None]]:
        return {oid: (start, last) for oid, start, last in self._rows(_SEQUENCES)}

    def _content(self, table: str) -> bytes:
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT".encode()) as rows:
            return b"".join(map(bytes, rows))

    def _fill(self, table: str, rows: bytes) -> None:
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as filling:
            filling.write(rows)

    def _rows(self, query: str, *arguments: object) -> list[Any]:
        return self._connection.execute(query.encode(), arguments or None).fetchall()

    def _one(self, query: str, *arguments: object) -> Any:
        return self._rows(query, *arguments)[0][0]


class UsingAgain(TestServer):
    """The server of the run, whose databases are used again."""

    def __init__(self, given: TestServer) -> None:
        super().__init__(given.conninfo)
        self._given = given
        self._fresh: Fresh | None = None
        self._mine, self._ready = threading.Lock(), deque[UsedDatabase]()
        self._lent: dict[str, UsedDatabase] = {}

    @property
    def template(self) -> str:
        """The one that the given server has."""
        return self._given.template

    @contextmanager
    def database(self) -> Iterator[str]:
        """Conninfo of a migrated database that is as a fresh one."""
        if GIVEN in os.environ:
            # Whoever may make databases on a server that is named may not silence triggers there.
            with self.unused() as conninfo:
                yield conninfo
            return
        used = self._again() or self._made()
        self._lent[used.conninfo] = used
        try:
            yield used.conninfo
        finally:
            del self._lent[used.conninfo]
            self._ready.append(used)

    @contextmanager
    def unused(self) -> Iterator[str]:
        """Conninfo of one that nobody has used, where each connection is a new one."""
        with super().database() as conninfo:
            yield conninfo

    @contextmanager
    def copy(self, conninfo: str) -> Iterator[str]:
        """As the other one's: nobody may be connected to what is copied."""
        if used := self._lent.get(conninfo):
            used.let_go()
        with super().copy(conninfo) as copied:
            yield copied

    def close(self) -> None:
        while self._ready:
            self._ready.popleft().close()
        super().close()

    def _again(self) -> UsedDatabase | None:
        with self._mine:
            while self._ready:
                used = self._ready.popleft()
                if self._fresh and used.made_fresh(self._fresh):
                    return used
                used.close()
        return None

    def _made(self) -> UsedDatabase:
        opened = ExitStack()
        used = UsedDatabase(opened.enter_context(super().database()), opened)
        with self._mine:
            self._fresh = self._fresh or used.fresh()
        return used
