"""What a caller may take of an API before anybody knows who it is, asked of a real server over real connections."""

import http.client
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kvitt.api.http_limits import Limits, network_of
from kvitt.api.http_server import HttpListener, ListenAddress
from kvitt.errors import ApiPortTaken
from support.http_site import GET, HEAD, MAX_BODY, PATIENT, App, Message, certificate, heard, pour, refused, serving, status
from support.patience import PATIENCE_SECONDS, stretched, until

SHORT = 0.3
"""Seconds: a caller that is silent waits until it is hung up on, and every test waits for that."""


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        pytest.param(b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", 414, id="a long address"),
        pytest.param(HEAD + b"x: " + b"a" * 40_000 + b"\r\n\r\n", 431, id="one long header"),
        pytest.param(HEAD + b"x: y\r\n" * 200 + b"\r\n", 431, id="many headers"),
        pytest.param(HEAD + b"content-length: -1\r\n\r\n", 400, id="a length that is none"),
        pytest.param(HEAD + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400, id="two lengths"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, id="TLS where there is none"),
        pytest.param(b"CONNECT kvitt:80 HTTP/1.1\r\nhost: kvitt\r\n\r\n", 400, id="a tunnel"),
    ],
)
def test_a_head_that_is_none_or_too_long_is_refused(said: bytes, answer: int) -> None:
    with serving(PATIENT) as site:
        assert status(heard(site.call(said))) == answer
        assert status(heard(site.call(GET.replace(b"host", b"connection: close\r\nhost")))) == 200


@pytest.mark.parametrize(
    ("begin", "chunk"),
    [
        pytest.param(HEAD, b"x: " + b"a" * 1_000 + b"\r\n", id="header lines without end"),
        pytest.param(HEAD + b"x: ", b"a" * 65_536, id="a header without end"),
        pytest.param(b"GET /", b"a" * 65_536, id="an address without end"),
        pytest.param(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"ffff\r\n" + b"a" * 65_535 + b"\r\n", id="a body without end"),
        pytest.param(HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 10_000, id="a body of crumbs"),
        pytest.param(HEAD + b"transfer-encoding: chunked\r\n\r\n1;", b"a" * 65_536, id="an extension without end"),
        pytest.param(HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n" * 1_000, id="trailers without end"),
        pytest.param(HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\nx: ", b"a" * 65_536, id="a trailer without end"),
    ],
)
def test_what_has_no_end_is_cut_off_early(begin: bytes, chunk: bytes) -> None:
    with serving(PATIENT) as site, site.call(begin) as connection:
        assert pour(connection, chunk, 300_000_000) < 30_000_000


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        pytest.param(b"", None, id="nothing at all"),
        pytest.param(b"\r\n\r\n", None, id="empty lines"),
        pytest.param(b"GET / HT", 408, id="half a request line"),
        pytest.param(HEAD + b"x: y", 408, id="half a head"),
        pytest.param(HEAD + b"content-length: 10\r\n\r\nhalf", 408, id="half a body"),
        pytest.param(HEAD + b"transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", 408, id="half a chunked body"),
        pytest.param(HEAD + b"content-length: 10\r\nexpect: 100-continue\r\n\r\n", 100, id="no body after all"),
    ],
)
def test_whoever_stops_half_way_is_hung_up_on(said: bytes, answer: int | None) -> None:
    with serving(Limits(header_seconds=SHORT, body_seconds=SHORT, idle_seconds=SHORT)) as site:
        assert status(heard(site.call(said))) == answer


def test_whoever_says_a_byte_now_and_then_gains_no_time() -> None:
    with serving(Limits(header_seconds=SHORT)) as site, site.call(HEAD) as connection:
        connection.settimeout(0.01)
        dripped = 0
        try:
            while dripped < 100_000:
                connection.sendall(b"x")
                dripped += 1
                try:
                    if not connection.recv(65536):
                        break
                except TimeoutError:
                    continue
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert dripped < 10_000


def test_a_connection_serves_many_requests_and_is_closed_when_it_rests() -> None:
    with serving(Limits(idle_seconds=stretched(1.0))) as site:
        connection = http.client.HTTPConnection(site.url.netloc, timeout=PATIENCE_SECONDS)
        for number in range(20):
            connection.request("POST", "/", body=b"a" * number)
            assert connection.getresponse().read() == str(number).encode()
        assert connection.sock is not None
        assert connection.sock.recv(1) == b""


def test_a_long_body_within_the_limit_is_read_whole() -> None:
    with serving(PATIENT) as site:
        connection = http.client.HTTPConnection(site.url.netloc, timeout=PATIENCE_SECONDS)
        for _ in range(3):
            connection.request("POST", "/", body=b"a" * MAX_BODY)
            assert connection.getresponse().read() == str(MAX_BODY).encode()
        connection.close()


def test_the_refusal_of_a_body_reaches_a_caller_who_is_still_sending() -> None:
    class Refuses(App):
        async def __call__(self, scope: Message, receive: Callable[[], Any], send: Callable[[Message], Any]) -> None:  # noqa: ARG002
            await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"no"})

    with serving(PATIENT, Refuses()) as site, site.call(HEAD + b"content-length: 2000000\r\n\r\n") as connection:
        connection.sendall(b"a" * 1_500_000)
        said = heard(connection)
        assert status(said) == 413
        assert b"connection: close" in said
        assert said.endswith(b"no")


def test_requests_sent_ahead_are_answered_in_order_and_only_so_many() -> None:
    app = App()
    ahead = b"".join(HEAD + b"content-length: %d\r\n\r\n" % length + b"a" * length for length in range(8))
    last = HEAD + b"connection: close\r\ncontent-length: 8\r\n\r\n" + b"a" * 8
    with serving(PATIENT, app) as site:
        said = heard(site.call(ahead + last))
        assert [part.rsplit(b"\r\n", 1)[-1][:1] for part in said.split(b"HTTP/1.1 200 OK")[1:]] == [b"%d" % length for length in range(9)]
        app.may_answer.clear()
        with site.call() as greedy:
            assert pour(greedy, GET * 100, 100_000_000) < 10_000_000
        assert refused("too many requests ahead of an answer") > 0


def test_trailers_are_no_headers() -> None:
    app = App()
    with serving(PATIENT, app) as site:
        said = heard(site.call(HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\ntrailed: in\r\n\r\n"))
    assert (status(said), said[-1:], app.trailers) == (200, b"1", [])


def test_one_address_and_all_have_so_many_connections_and_get_them_back() -> None:
    with serving(Limits(connections=5, connections_per_address=3)) as site, ExitStack() as opened:
        mine = [opened.enter_context(site.call()) for _ in range(3)]
        assert status(heard(site.call())) == 503
        theirs = [opened.enter_context(site.call(source="127.0.0.2")) for _ in range(2)]
        assert status(heard(site.call(source="127.0.0.3"))) == 503
        mine[0].close()
        until(lambda: status(heard(site.call(GET.replace(b"host", b"connection: close\r\nhost"), "127.0.0.3"))) == 200)
        theirs[0].close()
        until(lambda: status(heard(site.call(GET.replace(b"host", b"connection: close\r\nhost")))) == 200)


def test_under_tls_those_who_never_greet_count_from_the_beginning_and_vanish(tmp_path: Path) -> None:
    file = certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(file))
    listener = HttpListener(ListenAddress("127.0.0.1", 0, 0, file), "test", Limits(connections=2, header_seconds=SHORT))
    place = (str(urlsplit(listener.url).hostname), int(urlsplit(listener.url).port or 0))

    def answered() -> bool:
        try:
            with (
                socket.create_connection(place, timeout=PATIENCE_SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=place[0]) as tls,
            ):
                tls.sendall(GET)
                return tls.recv(65536).startswith(b"HTTP/1.1 200")
        except (OSError, ssl.SSLError):
            return False

    try:
        with listener.serving(App()), ExitStack() as opened:
            silent = [opened.enter_context(socket.create_connection(place, timeout=PATIENCE_SECONDS)) for _ in range(2)]
            assert heard(socket.create_connection(place, timeout=PATIENCE_SECONDS)) == b""
            assert [heard(each) for each in silent] == [b"", b""]
            until(answered, what="nobody is let in again")
    finally:
        listener.close()


def test_who_calls_is_who_has_the_connection_whatever_a_header_says() -> None:
    with serving(PATIENT) as site:
        heard(site.call(GET.replace(b"host", b"connection: close\r\nx-forwarded-for: 192.0.2.1\r\nhost"), "127.0.0.9"))
        assert site.app.client == "127.0.0.9"


def test_a_network_of_one_caller_is_one_address() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("fe80::1%eth0") == network_of("fe80::2")


def test_when_too_much_of_bodies_is_held_whoever_holds_most_is_refused() -> None:
    limits = Limits(body_memory_bytes=1_000_000)
    with serving(limits) as site, ExitStack() as opened:
        greedy = opened.enter_context(site.call(HEAD + b"content-length: 1000000\r\n\r\n" + b"a" * 600_000))
        modest = opened.enter_context(site.call(HEAD + b"connection: close\r\ncontent-length: 450000\r\n\r\n" + b"a" * 449_999))
        assert status(heard(greedy)) == 503
        modest.sendall(b"a")
        assert status(heard(modest)) == 200


def test_an_answer_that_nobody_takes_is_given_up() -> None:
    app = App()
    app.answer = b"a" * 50_000_000
    with serving(Limits(answer_seconds=SHORT), app) as site, site.call(GET):
        until(lambda: refused("answer not taken") > 0)


def test_a_call_that_breaks_off_is_not_done() -> None:
    app = App()
    with serving(Limits(body_seconds=SHORT), app) as site:
        site.call(HEAD + b"content-length: 10\r\n\r\nhalf").close()
        until(lambda: app.gone == 1)
        heard(site.call(HEAD + b"content-length: 10\r\n\r\nhalf"))
        until(lambda: app.gone == 2)


def test_whoever_asks_for_another_protocol_is_answered_in_this_one() -> None:
    with serving(PATIENT) as site:
        said = heard(site.call(b"GET / HTTP/1.1\r\nhost: kvitt\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"))
    assert status(said) == 200


def test_an_api_that_nobody_serves_lets_nobody_in_and_can_be_served_again() -> None:
    listener = HttpListener(ListenAddress("127.0.0.1", 0, 0), "test")
    url = urlsplit(listener.url)
    place = (str(url.hostname), int(url.port or 0))
    try:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(place, timeout=PATIENCE_SECONDS)
            with listener.serving(App()), socket.create_connection(place, timeout=PATIENCE_SECONDS) as connection:
                connection.sendall(GET.replace(b"host", b"connection: close\r\nhost"))
                assert status(heard(connection)) == 200
    finally:
        listener.close()


def test_of_two_that_have_not_begun_to_listen_one_has_the_usual_port_and_the_other_another() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        usual = int(probe.getsockname()[1])
    first, second = (HttpListener(ListenAddress("127.0.0.1", None, usual), "test") for _ in range(2))
    try:
        ports = [int(urlsplit(each.url).port or 0) for each in (first, second)]
        with pytest.raises(ApiPortTaken):
            HttpListener(ListenAddress("127.0.0.1", usual, 0), "test")
        with second.serving(App()), first.serving(App()):
            for port in ports:
                with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
                    connection.sendall(GET.replace(b"host", b"connection: close\r\nhost"))
                    assert status(heard(connection)) == 200
    finally:
        first.close()
        second.close()
    assert ports[0] == usual != ports[1]
    third = HttpListener(ListenAddress("127.0.0.1", usual, 0), "test")
    third.close()


@pytest.mark.parametrize("port", [None, 0, 18_022])
def test_an_address_that_is_none_of_this_machines_is_refused_by_name(port: int | None) -> None:
    with pytest.raises(ApiPortTaken, match=r"192\.0\.2\.1"):
        HttpListener(ListenAddress("192.0.2.1", port, 18_022), "test")


def test_listeners_that_share_a_port_share_callers_and_leave_them_to_each_other() -> None:
    first = HttpListener(ListenAddress("127.0.0.1", 0, 0, shared=True), "test")
    place = ("127.0.0.1", int(urlsplit(first.url).port or 0))
    second = HttpListener(ListenAddress(*place, 0, shared=True), "test")

    def answers(calls: int) -> set[bytes]:
        found = set()
        for _ in range(calls):
            with socket.create_connection(place, timeout=PATIENCE_SECONDS) as connection:
                connection.sendall(GET.replace(b"host", b"connection: close\r\nhost"))
                found.add(heard(connection).rpartition(b"\r\n")[2])
        return found

    early, late = App(), App()
    early.answer, late.answer = b"early", b"late"
    try:
        with second.serving(late):
            assert answers(8) == {b"late"}, "whoever does not serve yet has no callers"
            with first.serving(early):
                assert answers(64) == {b"early", b"late"}
            assert answers(8) == {b"late"}
    finally:
        first.close()
        second.close()


def test_a_port_is_shared_only_with_those_who_share_it_too() -> None:
    alone = HttpListener(ListenAddress("127.0.0.1", 0, 0), "test")
    try:
        with alone.serving(App()), pytest.raises(ApiPortTaken):
            HttpListener(ListenAddress("127.0.0.1", int(urlsplit(alone.url).port or 0), 0, shared=True), "test")
    finally:
        alone.close()
