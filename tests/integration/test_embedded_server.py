"""The embedded server keeps what was committed, whoever is killed, and has one owner at a time."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from kvitt.errors import DataDirectoryInUse, NoPostgresBinaries, ServerDidNotStart
from kvitt.kernel.database import connect, is_connection_lost, wait_until_ready
from kvitt.kernel.postgres import (
    EmbeddedServer,
    binaries,
    launch,
    leftovers,
    running_server,
)
from kvitt.testing.scratch import scratch_directory
from support.patience import PATIENCE_SECONDS, until

OWNER = """
import sys, threading
from pathlib import Path
from kvitt.kernel.postgres import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
print(server.start(), flush=True)
print(server.pid, flush=True)
sys.stdin.read()
server.stop()
"""
"""Owns a data directory until its standard input ends."""


@pytest.fixture(scope="module")
def once_started() -> Iterator[Path]:
    """A directory whose server was made, and stopped."""
    with scratch_directory() as directory:
        with EmbeddedServer(directory):
            pass
        yield directory


@pytest.fixture
def used_dir(once_started: Path, data_dir: Path) -> Path:
    """A directory of the test's own, for a server that has been started before."""
    # With its owner and modes, which a server looks at.
    subprocess.run(["cp", "--archive", once_started / "postgres", data_dir], check=True)
    return data_dir


def is_alive(pid: int) -> bool:
    """Whether a process runs under this id; one that has ended and waits to be noticed does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def commit_row(conninfo: str) -> None:
    with connect(conninfo) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (a int)")
        connection.execute("INSERT INTO kept VALUES (1)")


def rows(conninfo: str) -> int:
    with connect(conninfo) as connection:
        found = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert found
    return int(str(found[0]))


@contextmanager
def owner_process(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """A process that owns the directory: the process, its server's conninfo and pid. Both are gone afterwards, whatever a test did."""
    with subprocess.Popen([sys.executable, "-c", OWNER, data_dir], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        conninfo, server_pid = process.stdout.readline().strip(), int(process.stdout.readline())
        try:
            yield process, conninfo, server_pid
        finally:
            process.kill()
            until(lambda: not is_alive(server_pid))


def test_the_first_start_makes_a_database_with_our_settings(data_dir: Path) -> None:
    with EmbeddedServer(data_dir) as server, connect(server.conninfo) as connection:
        names = ["fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "TimeZone", "jit", "plan_cache_mode"]
        values = [connection.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in names]
        assert values == [("on",), ("on",), ("on",), ("",), ("UTC",), ("off",), ("force_custom_plan",)]
        assert connection.execute("SELECT current_database(), lower('ÆØÅ')").fetchone() == ("kvitt", "æøå")
        assert running_server(data_dir) == server.conninfo
    assert running_server(data_dir) is None


def test_a_restart_keeps_the_rows(used_dir: Path) -> None:
    server = EmbeddedServer(used_dir)
    commit_row(server.start())
    server.stop()
    server.stop()
    assert rows(server.start()) == 1
    server.stop()


def test_settings_of_the_caller_win(used_dir: Path) -> None:
    with EmbeddedServer(used_dir, settings={"max_connections": "17"}) as server, connect(server.conninfo) as connection:
        assert connection.execute("SHOW max_connections").fetchone() == ("17",)


def test_a_killed_server_is_started_again_with_what_was_committed(used_dir: Path) -> None:
    with EmbeddedServer(used_dir) as server:
        commit_row(server.conninfo)
        with connect(server.conninfo) as idle:
            first = server.pid
            os.kill(first, signal.SIGKILL)
            until(lambda: server.pid != first)
            wait_until_ready(server.conninfo, PATIENCE_SECONDS)
            with pytest.raises(psycopg.OperationalError) as lost:
                idle.execute("SELECT 1")
            assert is_connection_lost(lost.value)
        assert rows(server.conninfo) == 1


def test_a_server_killed_again_and_again_comes_back_each_time(used_dir: Path) -> None:
    with EmbeddedServer(used_dir) as server:
        for count in range(1, 4):
            wait_until_ready(server.conninfo, PATIENCE_SECONDS)
            commit_row(server.conninfo)
            killed = server.pid
            os.kill(killed, signal.SIGKILL)
            until(lambda killed=killed: server.pid != killed)
            wait_until_ready(server.conninfo, PATIENCE_SECONDS)
            assert rows(server.conninfo) == count


def test_the_server_ends_with_an_owner_that_was_killed(used_dir: Path) -> None:
    with owner_process(used_dir) as (process, _, server_pid):
        process.kill()
        until(lambda: not is_alive(server_pid))
        assert running_server(used_dir) is None


def test_a_new_owner_finds_the_rows_of_one_that_was_killed(used_dir: Path) -> None:
    with owner_process(used_dir) as (process, conninfo, _):
        commit_row(conninfo)
        process.kill()
        process.wait()
        with EmbeddedServer(used_dir) as server:
            assert rows(server.conninfo) == 1


def test_a_new_owner_ends_a_server_that_outlived_its_owner(used_dir: Path) -> None:
    with owner_process(used_dir) as (process, conninfo, server_pid):
        commit_row(conninfo)
        # A stopped process can't obey the signal that its owner's death sends, and so looks alive for as long as we please.
        os.kill(server_pid, signal.SIGSTOP)
        process.kill()
        process.wait()
        assert is_alive(server_pid)
        os.kill(server_pid, signal.SIGCONT)
        with EmbeddedServer(used_dir) as server:
            assert server.pid != server_pid
            assert not is_alive(server_pid)
            assert rows(server.conninfo) == 1


def test_owner_and_server_killed_together_lose_nothing(used_dir: Path) -> None:
    with owner_process(used_dir) as (process, conninfo, server_pid):
        commit_row(conninfo)
        os.kill(server_pid, signal.SIGKILL)
        process.kill()
        process.wait()
        with EmbeddedServer(used_dir) as server:
            assert rows(server.conninfo) == 1


def test_a_second_owner_is_refused_and_may_connect_as_a_client(used_dir: Path) -> None:
    with owner_process(used_dir) as (process, conninfo, _):
        with pytest.raises(DataDirectoryInUse, match=f"{used_dir} is in use by process {process.pid}"):
            EmbeddedServer(used_dir).start()
        assert running_server(used_dir) == conninfo
        commit_row(conninfo)


def test_looking_for_an_owner_where_there_is_none_finds_none(data_dir: Path) -> None:
    assert running_server(data_dir) is None
    assert running_server(data_dir / "missing") is None


def test_a_stale_pid_file_naming_a_living_stranger_is_no_obstacle(used_dir: Path) -> None:
    with EmbeddedServer(used_dir) as server:
        commit_row(server.conninfo)
    pid_file = used_dir / "postgres/cluster/postmaster.pid"
    owner = pid_file.parent.stat()
    # A program of the server's own user: PostgreSQL would take it for a rival.
    with subprocess.Popen(["sleep", "600"], user=owner.st_uid, group=owner.st_gid) as stranger:
        pid_file.write_text(f"{stranger.pid}\n{pid_file.parent}\n{int(time.time())}\n5432\n{used_dir}\n\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        try:
            with EmbeddedServer(used_dir) as server:
                assert rows(server.conninfo) == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_first_start_that_was_cut_short_is_begun_anew(data_dir: Path) -> None:
    unfinished = data_dir / "postgres/cluster.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with EmbeddedServer(data_dir) as server:
        commit_row(server.conninfo)
    assert not unfinished.exists()


def test_a_path_too_long_for_a_socket_gets_its_socket_elsewhere(data_dir: Path) -> None:
    deep = data_dir / ("d" * 100)
    with EmbeddedServer(deep) as server:
        commit_row(server.conninfo)
        host = psycopg.conninfo.conninfo_to_dict(server.conninfo)["host"]
        assert Path(str(host)).exists()
    assert not Path(str(host)).exists()
    with EmbeddedServer(deep) as server:
        assert rows(server.conninfo) == 1


def test_a_path_may_have_commas_blanks_quotes_and_equals_signs(data_dir: Path) -> None:
    # The first keeps its socket inside the directory; a comma sends it elsewhere.
    for name in ('a = "b" ', 'a, b="c", d'):
        with EmbeddedServer(data_dir / name) as server:
            commit_row(server.conninfo)
            assert running_server(data_dir / name) == server.conninfo


def test_an_ordinary_user_can_own_a_server(data_dir: Path) -> None:
    command = [sys.executable, "-c", OWNER, data_dir / "theirs"]
    with subprocess.Popen(
        as_ordinary_user(command, data_dir),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    ) as process:
        assert process.stdout
        conninfo = process.stdout.readline().strip()
        assert conninfo, "the server did not start"
        commit_row(conninfo)
        process.communicate("")
        assert process.returncode == 0


def as_ordinary_user(command: list[str | Path], data_dir: Path) -> list[str | Path]:
    """The command as not root: as we are, else as an unprivileged user, else (where that one can't run our Python) in a namespace."""
    if os.geteuid() != 0:
        return command
    launcher = [sys.executable, "-I", "-S", launch.__file__]
    os.chown(data_dir, launch.INSIDE_ID, launch.INSIDE_ID)
    user = [*launcher, f"user:{launch.INSIDE_ID}:{launch.INSIDE_ID}", "0", data_dir]
    if subprocess.run([*user, sys.executable, "-c", ""], check=False, capture_output=True).returncode == 0:
        return [*user, *command]
    os.chown(data_dir, 0, 0)
    return [*launcher, "namespace", "0", data_dir, *command]


@pytest.fixture
def closed_dir(data_dir: Path) -> Path:
    """A directory below one that only its owner may enter."""
    closed = data_dir / "closed"
    closed.mkdir(mode=0o700)
    return closed / "data"


def test_a_directory_that_only_root_can_enter_is_served_by_root_under_another_name(closed_dir: Path) -> None:
    launcher = [sys.executable, "-I", "-S", launch.__file__, "namespace", "0", closed_dir.parent, sys.executable, "-c", ""]
    if os.geteuid() == 0 and subprocess.run(launcher, check=False, capture_output=True).returncode != 0:
        # A machine that forbids user namespaces leaves no way to serve it; then the refusal says so.
        with pytest.raises(ServerDidNotStart, match="no user namespace"):
            EmbeddedServer(closed_dir).start()
        return
    with EmbeddedServer(closed_dir) as server:
        commit_row(server.conninfo)
        assert (closed_dir / "postgres/cluster").stat().st_uid == os.geteuid()
    assert (closed_dir.parent.stat().st_mode & 0o777, closed_dir.parent.stat().st_uid) == (0o700, os.geteuid())


def test_a_directory_that_cannot_be_entered_is_named(closed_dir: Path) -> None:
    if os.geteuid() == 0:
        # Root enters everything, but the user who owns this cluster does not.
        cluster = closed_dir / "postgres/cluster"
        cluster.mkdir(parents=True)
        os.chown(cluster, launch.INSIDE_ID, launch.INSIDE_ID)
        message = f"cannot enter the directory {closed_dir.parent}.*Name a data directory that other users can reach"
    else:
        closed_dir.parent.chmod(0)
        message = f"the data directory {closed_dir} can't be used: .*Permission denied"
    with pytest.raises(ServerDidNotStart, match=message):
        EmbeddedServer(closed_dir).start()
    closed_dir.parent.chmod(0o700)


def test_looking_into_a_directory_that_is_closed_to_us_says_so(closed_dir: Path) -> None:
    look = "import sys; from pathlib import Path; from kvitt.kernel.postgres import running_server; running_server(Path(sys.argv[1]))"
    command = as_ordinary_user([sys.executable, "-c", look, closed_dir], closed_dir.parents[1])
    closed_dir.parent.chmod(0)
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ":".join(sys.path)})
    closed_dir.parent.chmod(0o700)
    assert f"DataDirectoryUnreachable: the data directory {closed_dir} can't be looked into: Permission denied" in done.stderr


def test_a_wrong_setting_is_reported_with_the_log_and_leaves_nothing_running(data_dir: Path) -> None:
    with pytest.raises(ServerDidNotStart, match=r"server\.log says: .*unrecognized configuration parameter \"no_such_setting\""):
        EmbeddedServer(data_dir, settings={"no_such_setting": "1"}).start()
    assert not list(leftovers._processes(data_dir / "postgres/cluster"))
    with EmbeddedServer(data_dir) as server:
        commit_row(server.conninfo)


def test_a_cluster_of_another_major_version_demands_its_own_binaries(data_dir: Path) -> None:
    cluster = data_dir / "postgres/cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(NoPostgresBinaries, match=r"PostgreSQL version 9, with which .*cluster was made is needed; found .*version 18"):
        EmbeddedServer(data_dir).start()


def test_a_directory_without_binaries_is_refused(data_dir: Path) -> None:
    with pytest.raises(NoPostgresBinaries, match=r"version 15 or newer is needed; found .*none"):
        EmbeddedServer(data_dir, binaries=data_dir).start()


def test_the_machines_own_binaries_serve_as_well(data_dir: Path) -> None:
    for directory in [binaries.find_binaries(data_dir / "none").directory, *sorted(binaries.MACHINE.glob("*/bin"))]:
        if int(subprocess.check_output([directory / "postgres", "--version"], text=True).split()[2].split(".")[0]) < binaries.OLDEST_MAJOR:
            continue
        target = data_dir / directory.parent.name
        with EmbeddedServer(target, binaries=directory) as server:
            commit_row(server.conninfo)
            assert rows(server.conninfo) == 1
        shutil.rmtree(target)
