"""Orders as operators find them: by the beginning of an id, by their case, whole, and on a terminal of any width."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from integration.test_operate import KARI_AND_OLA, Bench, clock
from kvitt.app.main import main
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.kernel.queries import load
from kvitt.testing import TestServer
from kvitt.transports.log.embedded_log import NewRecord, append, make_topics
from support.console_script import KVITT, PATIENCE_SECONDS

pytestmark = pytest.mark.usefixtures("made_up_people")

TWINS = ("5f2c0d3a-9d0e-5b53-8a26-2f7c9b0e4d11", "5f2c0d3b-9d0e-5b53-8a26-2f7c9b0e4d12")
ESCAPE = b"\x1b[2Jkey\x07"


class Site:
    """A database with three orders, two of which begin alike, and what a hostile sender and a hostile rail wrote."""

    def __init__(self, conninfo: str, bench: Bench) -> None:
        self.conninfo, self.bench = conninfo, bench
        for case_id in ("A", "B", "C"):
            bench.pay(case_id, 1234)
        self.settled, *twins = [each.order_id for each in reversed(bench.operate.orders(list(OrderState)))]
        for order_id, twin in zip(twins, TWINS, strict=True):
            for table in ("orders", "order_lines", "payments", "audit", "outbox"):
                bench.connection.execute(f"UPDATE {table} SET order_id = %s WHERE order_id = %s".encode(), (twin, order_id))
        bench.send.dequeue(1)
        bench.connection.execute("UPDATE orders SET state = 'unknown', was_unknown = true WHERE state = 'sending'")
        bench.operate.resend(self.settled, KARI_AND_OLA)
        bench.connection.execute(
            "INSERT INTO alarms (order_id, area, sent_at, raised_at) VALUES (%s, 'TILLSTPB', %s, %s)", (self.settled, clock(), clock())
        )
        bench.send.dequeue(1)
        bench.connection.execute("UPDATE orders SET state = 'sent' WHERE state = 'sending'")
        bench.operate.decide(self.settled, accepted=True, operator=KARI_AND_OLA)
        bench.receipt(self.settled, "08")
        bench.submit([Incoming(primary_input(Scheme.TILLEGGSSTONADER), 0, 900, ESCAPE, b"{\x1b]0;mine\x07")])
        bench.settle([RawReceipt("r", b"\x1b[31mgarbage \xe2\x80\xae")])
        make_topics(bench.connection, ["helved.status.v1"])
        append(bench.connection, [NewRecord("helved.status.v1", ESCAPE, ESCAPE)], clock())
        self.garbage = bench.operate.odd_receipts()[0].receipt_no

    def kvitt(self, *arguments: str, fails: int = 0) -> str:
        """What a command says into a pipe."""
        done = CliRunner().invoke(main, [*arguments, "--database", self.conninfo], prog_name="kvitt")
        assert done.exit_code == fails, (done.output, done.exception)
        assert not set("\x1b\x07\u202e") & set(done.output)
        return done.output


@pytest.fixture(scope="module")
def site(kvitt_server: TestServer) -> Iterator[Site]:
    with kvitt_server.database() as conninfo, connect(conninfo) as connection:
        yield Site(conninfo, Bench(connection))


@pytest.mark.parametrize("named", [TWINS[0], TWINS[0].upper(), TWINS[0].replace("-", ""), "5f2c0d3a", "5F2C0D3A…", "5f2c0d3a-9d0e..."])
def test_an_order_is_found_by_as_much_of_its_id_as_tells_it_apart(site: Site, named: str) -> None:
    assert site.kvitt("order", "show", named).splitlines()[0].split() == ["order", TWINS[0]]


def test_a_beginning_of_several_orders_names_them_and_does_nothing(site: Site) -> None:
    before = site.bench.acts()
    for verb in ("release", "resend", "withdraw", "decide"):
        how = ("--accepted",) if verb == "decide" else ()
        said = site.kvitt("order", verb, "5f2c0d3", *how, "--by", "kari", "--approved-by", "ola", "--reason", "a test", fails=2)
        assert f"may be any of {TWINS[0]}, {TWINS[1]}" in said
    assert site.bench.acts() == before


def test_an_order_is_shown_with_everything_about_it(site: Site) -> None:
    page = site.kvitt("order", "show", site.settled[:13])
    for part in ("TILLEGGSSTØNADER A", "TILLSTPB", "accepted, by hand, a copy may be at the rail", "1,234", "resend", "decide accepted"):
        assert part in page
    for row in ("kari", "ola", "a test", "alarm", "audit chain of the case"):
        assert row in page
    published = json.loads(site.kvitt("order", "show", site.settled, "--json"))
    [line] = published["lines"]
    [contradiction] = published["contradictions"]
    assert (published["resends"], contradiction["ours"], contradiction["rails"], contradiction["resolution"]) == (
        1,
        "accepted",
        "rejected",
        None,
    )
    assert "contradictions" in page
    assert (published["order_id"], published["case_id"], line["amount_kroner"]) == (site.settled, "A", 1234)
    assert [act["what"] for act in published["acts"]] == ["resend", "decide accepted"]
    assert site.kvitt("order", "show", site.settled, "--message") == published["message"]
    assert line["line_id"] in page


def test_orders_are_listed_newest_first_and_by_case(site: Site) -> None:
    listed = site.kvitt("order", "list", "--state", "ready", "--state", "accepted")
    assert [each for each in listed.split() if each in (site.settled, *TWINS)] == [TWINS[1], TWINS[0], site.settled]
    assert [json.loads(line)["order_id"] for line in site.kvitt("order", "list", "--case", "A", "--json").splitlines()] == [site.settled]
    assert "there are no such orders" in site.kvitt("order", "list", "--case", "nobody")
    assert "more: 2 left out by --limit 1" in site.kvitt("order", "list", "--state", "ready", "--state", "accepted", "--limit", "1")


def test_a_case_shows_the_ids_of_its_orders_and_an_alarm_the_case(site: Site) -> None:
    assert site.settled in site.kvitt("case", "ts", "A")
    alarms = [json.loads(line) for line in site.kvitt("alarm", "list", "--json").splitlines()]
    assert {(alarm["order_id"], alarm["scheme"], alarm["case_id"]) for alarm in alarms} == {(site.settled, "TILLEGGSSTØNADER", "A")}
    assert site.settled in site.kvitt("alarm", "list")


def test_what_others_wrote_does_not_reach_the_terminal_as_it_is(site: Site) -> None:
    assert "\\x1b]0;mine\\x07" in site.kvitt("dead", "show", "1")
    assert "\\x1b[2Jkey\\x07" in site.kvitt("dead", "show", "1")
    for page in (("dead", "list"), ("receipt", "list"), ("topic", "helved.status.v1")):
        site.kvitt(*page)
    assert "\\x1b[2Jkey\\x07" in site.kvitt("topic", "helved.status.v1")
    shown = on_a_terminal(80, str(KVITT), "receipt", "show", str(site.garbage), "--database", site.conninfo)
    assert "\\x1b[31mgarbage" in shown
    raw = CliRunner().invoke(main, ["dead", "show", "1", "--raw", "--database", site.conninfo])
    assert raw.stdout_bytes == b"{\x1b]0;mine\x07"


def on_a_terminal(width: int, *command: str) -> str:
    """What a process prints on a terminal of this width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            said += chunk
        assert process.wait(PATIENCE_SECONDS) == 0, said
    os.close(ours)
    return said.decode()


COMMANDS = """
import sys
from kvitt.app.main import main
for each in sys.argv[2:]:
    main([*each.split(), "--database", sys.argv[1]], standalone_mode=False)
    print("\\f", end="", flush=True)
"""
"""Runs commands one after the other, with a page break after each."""


@pytest.mark.parametrize("width", [80, 120])
def test_pages_hold_the_width_of_a_terminal(site: Site, width: int) -> None:
    typed = ("order list --state ready", f"order show {TWINS[0]}", "case ts A", "alarm list")
    said = click.unstyle(on_a_terminal(width, sys.executable, "-c", COMMANDS, site.conninfo, *typed))
    *pages, rest = said.split("\f")
    assert rest == ""
    for arguments, page in zip(typed, pages, strict=True):
        assert max(map(len, page.splitlines())) <= width, arguments
        assert (TWINS[0] if arguments.startswith("order") else site.settled) in page


def test_a_beginning_is_looked_up_in_the_key(site: Site) -> None:
    site.bench.connection.execute(
        """INSERT INTO orders (order_id, case_no, number, area, person, message_no, state, message, correlation_time, correlation_key,
                               is_first_order, made_at, day, sum_kroner)
           SELECT md5(n::text)::uuid, 10 + n, 1, 'DP', '', n, 'accepted', '', '', '', true, now(), current_date, 0
           FROM generate_series(1, 5000) AS n"""
    )
    site.bench.connection.execute("ANALYZE orders")
    arguments = {"first": "5f2c" + "0" * 28, "last": "5f2c" + "f" * 28, "limit": 6}
    row = site.bench.connection.execute(
        f"EXPLAIN (FORMAT JSON) {load('lookup', 'kvitt.disbursement').orders_between}".encode(), arguments
    ).fetchone()
    assert row is not None
    assert "orders_pkey" in json.dumps(row[0])
    assert "Seq Scan" not in json.dumps(row[0])
