"""Health and metrics of a process as a probe and a scraper see them: over HTTP, from a real hub on a real database."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, time
from math import inf
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from psycopg.conninfo import make_conninfo

from kvitt.config import load_settings
from kvitt.errors import LeaseLost, PortTaken
from kvitt.kernel.database import connect
from kvitt.kernel.loop import MakeStep, run_loop
from kvitt.kernel.migrate import upgrade
from kvitt.kernel.queries import load
from kvitt.ops.figures import TopicLag
from kvitt.ops.http import MOST_CONNECTIONS, PageServer
from kvitt.ops.readiness import Condition, Readiness, RoleBoard, RoleState
from kvitt.ops.server import OpsServer
from kvitt.settings import OpsSettings
from support.patience import PATIENCE_SECONDS, until

ANY_PORT = OpsSettings(port=0)
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def utc_now() -> datetime:
    return datetime.now(UTC)


def no_roles() -> Sequence[RoleState]:
    return ()


def one_role() -> Sequence[RoleState]:
    return (RoleState("relay", Condition.WORKS, utc_now(), utc_now()),)


@contextmanager
def serving(conninfo: str, roles: Callable[[], Sequence[RoleState]] = one_role, **options: object) -> Iterator[OpsServer]:
    server = OpsServer(conninfo, ANY_PORT, utc_now, roles, **options)  # type: ignore[arg-type]
    server.start()
    try:
        yield server
    finally:
        server.stop()


def get(server: OpsServer, path: str) -> tuple[int, str, bytes]:
    """Status, content type and body of a page."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()
    finally:
        connection.close()


def ready(server: OpsServer) -> tuple[int, Readiness]:
    status, _, body = get(server, "/isready")
    return status, msgspec.json.decode(body, type=Readiness)


def codes(server: OpsServer) -> list[str]:
    return [reason.code for reason in ready(server)[1].reasons]


def scrape(server: OpsServer) -> Samples:
    status, kind, body = get(server, "/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    families = text_string_to_metric_families(body.decode())
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for family in families for sample in family.samples}


def test_a_process_on_a_good_database_is_alive_and_ready(database: str) -> None:
    with serving(database) as server:
        assert get(server, "/isalive") == (200, "text/plain; charset=utf-8", b"alive\n")
        status, found = ready(server)
        assert (status, found.ready, found.reasons, [each.code for each in found.notes]) == (200, True, [], ["no_scheduler"])
        assert get(server, "/anything")[0] == 404
        server.stopping()
        assert (get(server, "/isalive")[0], codes(server)) == (200, ["stopping"])


def test_every_process_says_when_no_scheduler_has_run_in_any_of_them(database: str) -> None:
    job = {"name": "approvals", "timetable": "every 60 s", "catch_up": "last", "next_due": utc_now()}
    with connect(database) as connection, serving(database) as server:
        assert scrape(server)["kvitt_scheduler_idle_seconds", ()] == inf
        connection.execute(load("jobs", "kvitt.kernel").define_job, job)
        connection.execute("UPDATE jobs SET last_run = now()")
        until(lambda: not ready(server)[1].notes)
        until(lambda: scrape(server)["kvitt_scheduler_idle_seconds", ()] < 3600)
        connection.execute("UPDATE jobs SET last_run = now() - interval '1 hour'")
        until(lambda: [each.code for each in ready(server)[1].notes] == ["no_scheduler"])
        assert ready(server)[0] == 200
        until(lambda: scrape(server)["kvitt_scheduler_idle_seconds", ()] >= 3600)


def test_a_process_without_roles_is_alive_and_never_ready(database: str) -> None:
    with serving(database, no_roles) as server:
        assert (get(server, "/isalive")[0], ready(server)[0], codes(server)) == (200, 503, ["no_roles"])


def test_a_role_that_will_begin_is_a_reason_until_it_has(database: str) -> None:
    board = RoleBoard(utc_now, ["relay", "sender"])
    with serving(database, board.states) as server:
        assert codes(server) == ["role_begins", "role_begins"]
        with role_running(board, "relay", failing_with([])):
            until(lambda: codes(server) == ["role_begins"])
            with role_running(board, "sender", failing_with([])):
                until(lambda: codes(server) == [])


def test_a_database_that_is_not_there_is_a_reason_and_its_return_is_seen(server: str, database: str) -> None:
    with serving(make_conninfo(database, dbname="nowhere")) as process:
        status, found = ready(process)
        assert (status, [reason.code for reason in found.reasons]) == (503, ["database_unreachable"])
        assert get(process, "/isalive")[0] == 200
        samples = scrape(process)
        assert samples["kvitt_database_up", ()] == 0
        assert ("kvitt_outbox_records", ()) not in samples
    with serving(database) as process, connect(server) as connection:
        assert scrape(process)["kvitt_database_up", ()] == 1
        name = make_conninfo(database).split("dbname=")[1].split()[0]
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        until(lambda: scrape(process)["kvitt_database_up", ()] == 1 and codes(process) == [])


def test_a_database_without_our_tables_is_distinguished_from_none(empty_database: str) -> None:
    with serving(empty_database) as process:
        assert codes(process) == ["not_upgraded"]
        upgrade(empty_database)
        until(lambda: codes(process) == [], what="the upgrade was not noticed")


@contextmanager
def role_running(board: RoleBoard, role: str, make_step: MakeStep) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=run_loop, args=(role, board.watched(role, make_step), stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def failing_with(failure: list[Exception]) -> MakeStep:
    """A role that fails for as long as there is something in the list."""
    rest = threading.Event()

    @contextmanager
    def steps() -> Iterator[Callable[[], int]]:
        def step() -> int:
            if failure:
                raise failure[0]
            rest.wait(0.01)
            return 0

        yield step

    return steps


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        pytest.param(ConnectionRefusedError("10.0.0.1 refused"), "broker_unreachable", id="a queue that is down"),
        pytest.param(ZeroDivisionError("fnr 01020312345"), "role_starts_anew", id="a mistake of ours"),
    ],
)
def test_a_role_that_starts_anew_is_a_reason_until_a_step_succeeds(database: str, failure: Exception, code: str) -> None:
    failures, board, role = [failure], RoleBoard(utc_now), f"sender-{uuid4()}"
    with serving(database, board.states) as process, role_running(board, role, failing_with(failures)):
        until(lambda: codes(process) == [code])
        said = get(process, "/isready")[2].decode()
        assert str(failure) not in said
        assert type(failure).__name__ in said
        samples = scrape(process)
        assert samples["kvitt_role_works", (("role", role),)] == 0
        assert samples["kvitt_role_restarts_total", (("role", role),)] >= 1
        failures.clear()
        until(lambda: codes(process) == [])
        assert scrape(process)["kvitt_role_works", (("role", role),)] == 1


def test_a_role_whose_lease_another_process_has_stands_by(database: str) -> None:
    board = RoleBoard(utc_now)
    with serving(database, board.states) as process, role_running(board, "relay", failing_with([LeaseLost("held by another")])):
        until(lambda: ready(process)[0] == 200)
        note, *_ = ready(process)[1].notes
        assert note.code == "lease_held_by_another"
        assert scrape(process)["kvitt_role_works", (("role", "relay"),)] == 1


def test_a_role_that_hangs_or_has_not_begun_is_a_reason(database: str) -> None:
    moments = [datetime(2026, 7, 1, 8, minute, tzinfo=UTC) for minute in range(10)]
    board = RoleBoard(lambda: moments[0])
    hangs, goes_on = threading.Event(), threading.Event()

    @contextmanager
    def steps() -> Iterator[Callable[[], int]]:
        def step() -> int:
            hangs.set()
            goes_on.wait()
            return 1

        yield step

    with serving(database, board.states) as process, role_running(board, "receiver", steps):
        assert hangs.wait(PATIENCE_SECONDS)
        assert codes(process) == ["role_begins"]
        moments.pop(0)
        assert codes(process) == ["role_begins"]
        moments.pop(0)
        assert codes(process) == ["role_silent"]
        goes_on.set()
        until(lambda: [state.condition for state in board.states()] == [Condition.WORKS])
        assert codes(process) == []


def test_brokers_that_can_not_be_asked_are_a_reason_and_a_metric(database: str) -> None:
    def unreachable() -> Sequence[TopicLag]:
        raise RuntimeError("no broker at kafka.intern:9092")

    with serving(database, broker_lag=unreachable) as process:
        assert codes(process) == ["broker_unreachable"]
        assert scrape(process)["kvitt_broker_up", ()] == 0
    with serving(database, broker_lag=lambda: [TopicLag("aap.utbetaling.v1", 17)]) as process:
        assert codes(process) == []
        assert scrape(process)["kvitt_lag_records", (("topic", "aap.utbetaling.v1"),)] == 17


def test_a_port_that_is_set_and_taken_is_an_error_and_one_that_is_usual_is_not(database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            OpsServer(database, OpsSettings(port=port), utc_now, no_roles).start()
    with pytest.raises(PortTaken, match=r"192\.0\.2\.1"):
        OpsServer(database, OpsSettings(host="192.0.2.1"), utc_now, no_roles).start()
    usual = [OpsServer(database, OpsSettings(), utc_now, no_roles) for _ in range(2)]
    for each in usual:
        each.start()
    assert len({each.url for each in usual}) == 2
    for each in usual:
        each.stop()


@pytest.mark.parametrize("said", [b"", b"GET /isalive HT", b"GET /isalive HTTP/1.1\r\nx: y\r\n"])
def test_those_who_say_nothing_or_half_keep_nobody_out(database: str, said: bytes) -> None:
    with serving(database) as process, ExitStack() as opened:
        for _ in range(3 * MOST_CONNECTIONS):
            silent = opened.enter_context(socket.create_connection(place(process)))
            silent.sendall(said)
            assert get(process, "/isalive")[0] == 200


def test_a_head_without_end_is_cut_off(database: str) -> None:
    with serving(database) as process, socket.create_connection(place(process), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(b"GET /isalive HTTP/1.1\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall((b"x: " + b"y" * 1_000 + b"\r\n") * 100_000)


def test_whoever_takes_too_long_is_hung_up_on() -> None:
    pages = PageServer("127.0.0.1", 0, {}, seconds=0.3)
    try:
        with socket.create_connection(("127.0.0.1", pages.port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(b"GET / HT")
            assert connection.recv(1) == b""
    finally:
        pages.close()


def test_the_environment_sets_what_is_shown_and_when_it_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"HOST": "::1", "PORT": "8080", "RECEIPT_AFTER_MINUTES": "90", "RAIL_OPENS": "07:30:00", "RAIL_EVERY_DAY": "true"}
    for name, value in given.items():
        monkeypatch.setenv(f"KVITT_OPS_{name}", value)
    wanted = OpsSettings(host="::1", port=8080, receipt_after_minutes=90.0, rail_opens=time(7, 30), rail_every_day=True)
    assert load_settings().ops == wanted


def place(server: OpsServer) -> tuple[str, int]:
    """Host and port of the pages."""
    url = urlsplit(server.url)
    return str(url.hostname), int(url.port or 0)
