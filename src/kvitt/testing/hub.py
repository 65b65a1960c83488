"""A hub for tests: everything that `kvitt up` runs, on a database of its own, driven by the test and by nobody else."""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import psycopg
from msgspec import Struct
from msgspec.structs import replace

from kvitt.api.emulator_http import emulator_listener, emulator_serving
from kvitt.app.ports import checks_of, limits_of, ports_of, publishes_statuses
from kvitt.app.transports import EmbeddedTransport
from kvitt.disbursement.check.check import check
from kvitt.disbursement.ports import Ports
from kvitt.formats.topics import Header, decode_headers, encode_headers
from kvitt.kernel.database import LOCK_MS, connect
from kvitt.kernel.fetch import fetch
from kvitt.kernel.queries import load
from kvitt.payouts.directory import load_directory
from kvitt.payouts.directory_file import read_directory
from kvitt.rails.oppdrag.comparison import compare
from kvitt.settings import Settings
from kvitt.testing.apis import OpenApis, Rest, Thrift
from kvitt.testing.clock import START, HandClock
from kvitt.testing.rail import EmulatedRail, PutAtRails, SentOrder
from kvitt.testing.roles import Roles
from kvitt.testing.scratch import scratch_directory
from kvitt.transports.log.embedded_log import NewRecord, append
from kvitt.transports.queue.table_queue import TableQueue

_SQL = load("testing", package="kvitt.testing")
_MOST_ROUNDS: Final = 10_000
Headers = Mapping[str, str] | Iterable[Header] | bytes


class Differs(AssertionError):
    """The store is not what its own history makes; the message lists the findings of the check."""


class NotDone(AssertionError):
    """The hub was still at work after very many rounds."""


class PutRecord(Struct, frozen=True):
    """A record that was put on a topic, by where it stands."""

    topic: str
    partition: int
    position: int


class PublishedRecord(Struct, frozen=True):
    """A record that the hub has published. `at` is when it stood on the topic."""

    topic: str
    partition: int
    position: int
    at: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]

    @property
    def text_key(self) -> str:
        """The key as text; empty for none."""
        return (self.key or b"").decode()

    @property
    def json(self) -> Any:
        """The value, read as JSON; None for a tombstone."""
        return None if self.value is None else json.loads(self.value)

    def header(self, name: str) -> str | None:
        """The last header of that name; None when there is none."""
        return dict(self.headers).get(name)


class Hub:
    """A hub under test; make one with `kvitt.testing.hub()`.

    conninfo    the database, for tools of the test's own
    connection  a connection to it, in autocommit mode, with which the hub itself does nothing
    clock       the time of the hub
    rail        the emulator: its faults, its books
    settings    those that the hub runs with
    ports       the contracts that it keeps, and the rails that it sends by
    """

    def __init__(self, conninfo: str, settings: Settings, start: datetime = START, ports: Ports | None = None) -> None:
        """On a migrated database; see `kvitt.testing.hub` for the rest."""
        self.ports = ports or ports_of(
            settings.rapid,
            settings.ops,
            hears_strays=True,
            publishes_statuses=publishes_statuses(settings),
            checks=checks_of(settings.simulation),
            limits=limits_of(settings.limits),
        )
        self.conninfo, self.clock = conninfo, HandClock(start)
        self._opened = ExitStack()
        self._own_data = settings.data == Settings().data
        self._given = settings
        self.connection: psycopg.Connection[Any] = self._opened.enter_context(connect(conninfo, application="kvitt test"))
        self._put_at_rail: PutAtRails = {}
        self._roles = Roles(
            conninfo,
            settings,
            self.clock,
            self.ports,
            put=self._put_at_rail,
            simulation_url=lambda: self.simulation_url,
            look=lambda: self.__dict__.get("_log"),
        )
        self.rail = EmulatedRail(
            self.connection, lambda rail: TableQueue(conninfo, self._roles.queues_of(rail).replies), self._put_at_rail, self.clock
        )

    def close(self) -> None:
        """Ends connections and APIs; the database stays."""
        # Leases are given up by a connection that the rest ends.
        try:
            self._roles.close()
        finally:
            self._opened.close()

    @cached_property
    def settings(self) -> Settings:
        """Free ports, this database, and a directory of its own where none was given."""
        data = self._opened.enter_context(scratch_directory()) if self._own_data else self._given.data
        thrift, rest = self._given.thrift, self._given.rest
        return replace(
            self._given,
            data=data,
            database_url=self.conninfo,
            thrift=thrift if thrift.port is not None else replace(thrift, port=0),
            rest=rest if rest.port is not None else replace(rest, port=0),
        )

    @cached_property
    def _log(self) -> psycopg.Connection[Any]:
        """The connection of whoever puts and reads records; the topics are there."""
        EmbeddedTransport(self.conninfo, self.ports).prepare()
        return self._opened.enter_context(connect(self.conninfo, application="kvitt test records", lock_timeout_ms=LOCK_MS))

    def put(self, topic: str, key: bytes | str | None, body: object, headers: Headers = ()) -> PutRecord:
        """Puts a record on an input topic, as a sender does; the hub reads it when it runs.

        A `body` of bytes or None goes as it is, a text as UTF-8, anything else as JSON; `headers` are names with values, or bytes in the
        place of what the log keeps of them. Raises ValueError for a topic that nobody reads.
        """
        if topic not in self._roles.inputs:
            raise ValueError(f"the hub does not read {topic}; it reads {', '.join(self._roles.inputs)}")
        record = NewRecord(topic, _key(key), _bytes(body), _headers(headers))
        ((partition, position),) = append(self._log, [record], self.clock())
        return PutRecord(topic, partition, position)

    def run(self, *roles: str) -> int:
        """Lets the hub work until nothing is left to do, and returns how much that was; nothing sleeps, nothing runs beside it.

        What waits for the clock (a delayed receipt) or for others (a rail that is closed, a case that somebody has locked) is left.
        `roles` are the only ones to work: intake, sender, emulator, receiver, resume, simulator, reconciler, relay; those of a further rail
        are `sender NAME`, `receiver NAME` and, where orders can be cancelled at it, `canceller NAME`. Raises what a role raised, ValueError
        for one that is none, NotDone when there is no end.
        """
        if unknown := [role for role in roles if role not in self._roles.makers]:
            raise ValueError(f"no role is called {unknown[0]}; there are {', '.join(self._roles.makers)}")
        if not roles or {"intake", "relay"}.intersection(roles):
            assert self._log, "the topics are there"
        done = 0
        for _ in range(_MOST_ROUNDS):
            worked = sum(self._roles.step(role) for role in roles or self._roles.makers)
            if not worked:
                return done
            done += worked
        raise NotDone(f"{done} things were done, and there was no end")

    def published(self, topic: str, key: bytes | str | None = None) -> list[PublishedRecord]:
        """Returns what the hub has published on a topic, in the order in which it did; under one key, if that is given."""
        asked = {"topic": topic, "key": _key(key)}
        return fetch(self._log, PublishedRecord, _SQL.published, asked, headers=lambda stored: tuple(decode_headers(stored)))

    def sent(self) -> tuple[SentOrder, ...]:
        """The orders that were put on the rail's queue, in that order, with their bytes."""
        return self.rail.sent()

    def load_parties(self, directory: str) -> None:
        """Makes the local directory of parties say what this TOML says (docs/parties.md), for payouts."""
        load_directory(self.connection, self.clock, read_directory(directory))

    def findings(self) -> list[str]:
        """Returns what `kvitt check` finds: all derived again from what came, compared with what is stored and what the rail will pay."""
        found = [f"{each.kind.value} {each.subject}: {each.text}" for each in check(self.conninfo, self.ports).differences]
        compared = compare(self.connection, self.ports.contracts)
        return found + [f"payment {each.payment_id} of case {each.case_id} in {each.area}: {each.text}" for each in compared.differences]

    def check(self) -> None:
        """Raises Differs when `kvitt check` finds anything."""
        if found := self.findings():
            raise Differs("\n".join(found))

    @cached_property
    def _apis(self) -> OpenApis:
        apis = OpenApis(self.conninfo, self.settings, self.ports, self.clock)
        self._opened.callback(apis.close)
        return apis

    @cached_property
    def simulation_url(self) -> str:
        """The address at which the rail is asked for simulations. It answers from the first look on."""
        listener = emulator_listener(0)
        self._opened.callback(listener.close)
        self._opened.enter_context(emulator_serving(self.conninfo, listener, clock=self.clock))
        return listener.url

    @property
    def rest(self) -> Rest:
        """The REST API: its address, and tokens for it. It answers from the first look on."""
        return self._apis.rest

    @property
    def thrift(self) -> Thrift:
        """The Thrift API: its address, and clients for it. It answers from the first look on."""
        return self._apis.thrift


def _key(key: bytes | str | None) -> bytes | None:
    return key.encode() if isinstance(key, str) else key


def _bytes(body: object) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()


def _headers(headers: Headers) -> bytes:
    if isinstance(headers, bytes):
        return headers
    return encode_headers(headers.items() if isinstance(headers, Mapping) else headers)
