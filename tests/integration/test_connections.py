"""Connections to PostgreSQL notice when the network has gone silent, whatever makes them, and unless somebody says otherwise."""

import socket

import pytest
from psycopg.conninfo import make_conninfo

from kvitt.kernel.database import NETWORK, connect, pool
from support.commit_proxy import proxied

OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, int(NETWORK["keepalives_idle"])),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, int(NETWORK["keepalives_interval"])),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, int(NETWORK["keepalives_count"])),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(NETWORK["tcp_user_timeout"])),
)


def set_on(descriptor: int) -> list[int]:
    """What the kernel has heard of a connection."""
    with socket.socket(fileno=socket.dup(descriptor)) as same:
        return [same.getsockopt(level, option) for level, option, _ in OPTIONS]


def test_every_tcp_connection_notices_a_silent_network(database: str) -> None:
    wanted = [value for _, _, value in OPTIONS]
    with (
        proxied(database) as (_, conninfo),
        pool(conninfo, application="tests", size=1) as pooled,
        connect(conninfo) as connection,
        pooled.connection() as lent,
    ):
        assert (set_on(connection.fileno()), set_on(lent.fileno())) == (wanted, wanted)


@pytest.mark.parametrize(("name", "place", "value"), [("keepalives_idle", 1, 77), ("tcp_user_timeout", 4, 9000)])
def test_what_the_url_says_stands(database: str, name: str, place: int, value: int) -> None:
    with proxied(database) as (_, conninfo), connect(make_conninfo(conninfo, **{name: str(value)})) as connection:
        assert set_on(connection.fileno())[place] == value


def test_a_unix_socket_takes_no_harm(database: str) -> None:
    with connect(database) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
