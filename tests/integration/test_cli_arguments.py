"""No value of any argument or option ends a command with a traceback: one sentence names what was given and the rule, with status 2."""

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner, Result

from integration.test_operate import Bench, clock
from kvitt.app.approvals import approvals_of
from kvitt.app.main import main
from kvitt.app.parts import payouts_of
from kvitt.app.ports import PORTS
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.preview import preview
from kvitt.disbursement.reconcile.consistency import Consistency
from kvitt.disbursement.reconcile.runs import Cause, Trigger
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.simulation_requests import by_call, request
from kvitt.disbursement.states import OrderState
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import connect
from kvitt.kernel.operators import Operator
from kvitt.payouts.approvable import PayoutNamed
from kvitt.payouts.model import Cash, NewPayout
from kvitt.settings import PayoutsSettings, Settings
from kvitt.testing import TestServer
from support.cli_values import LONG_RUNNING, NO_NUMBER, ODD, UNUSABLE, commands, is_number, typed, valued
from support.console_script import KVITT, PATIENCE_SECONDS, command
from support.hub_messages import aap
from support.rest_stage import earn

pytestmark = pytest.mark.usefixtures("made_up_people")

LEAVES = dict(commands())
Typed = Callable[..., subprocess.CompletedProcess[str]]
SHARES = 4
NOWHERE = "host=/nowhere dbname=nothing"


@pytest.fixture(scope="module")
def known(kvitt_server: TestServer) -> Iterator[Mapping[str, str]]:
    """A database with one of everything that a command can name, and what to call it."""
    with kvitt_server.database() as conninfo:
        with connect(conninfo) as connection:
            bench = Bench(connection)
            bench.pay("A-1", 100)
            bench.submit([Incoming(primary_input(Scheme.TILLEGGSSTONADER), 0, 900, str(uuid4()).encode(), b"{")])
            bench.settle([RawReceipt("r", b"garbage")])
            [order] = bench.operate.orders(list(OrderState))
            asked = preview(connection, PORTS, Scheme.AAP, b"k", json.dumps(aap("S-1", 500)).encode(), now=clock()).orders
            assert request(connection, PORTS.rails, (Scheme.AAP, "S-1"), by_call("helved", "tests"), asked, now=clock()) == 1
            connection.execute(
                "INSERT INTO decisions (message_no, case_no, contract, operation, application, by_approver, outcome) "
                "SELECT message_no, case_no, 'helved', 'post', 'tests', false, 'ordered' FROM messages WHERE message_no = 1"
            )
            assert Consistency(connection, PORTS, clock).make("AAP", Cause(Trigger.SCHEDULE)).run_no == 1
        earn(conninfo)
        with payouts_of(conninfo, PayoutsSettings()) as payouts:
            payouts.create(NewPayout("party-1", "shop-1", Cash(100_000, "RUB"), "p-1"))
        with connect(conninfo) as connection:
            approvals_of(Settings(), connection).ask("payout confirm", PayoutNamed("p-1"), Operator("kari", "a test of it"))
        assert clock()
        yield {
            "conninfo": conninfo,
            "order_id": order.order_id,
            "payout_id": "p-1",
            "plan_id": "payout_p-1",
            "case_id": "A-1",
            "scheme": "ts",
            "number": "1",
            "by": "kari",
            "approved_by": "ola",
            "reason": "a test of it",
            "party": "party-1",
            "party_id": "party-1",
            "shop": "shop-1",
            "currency": "RUB",
            "area": "TILLSTPB",
            "at": "2026-01-01T00:00:00Z",
            "entry": "operators:1",
            "owner": "helved",
            "contract": "utbetalinger",
            "payments": f"{uuid4()}={uuid4()}",
        }


def run(known: Mapping[str, str], path: str, other: Mapping[str, str], files: Path) -> Result:
    database = NOWHERE if path in LONG_RUNNING else known["conninfo"]
    line = typed(path, LEAVES[path], known, other, ["--data", str(files), "--database", database])
    return CliRunner().invoke(main, line, prog_name="kvitt")


def refuse_traceback(result: Result, published: object) -> None:
    assert result.exception is None or isinstance(result.exception, SystemExit), (published, result.exception, result.exc_info)
    assert result.exit_code in (0, 1, 2), (published, result.output)
    for character in ("\x1b", "\x07", "\u202e"):
        assert character not in result.output, published


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end in a process of its own."""
    done = subprocess.run([str(KVITT), *arguments], capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@cache
def taken_by() -> Mapping[tuple[str | None, str], Sequence[str]]:
    """The commands that take something by a name and of a type."""
    found = defaultdict(list)
    for path in sorted(LEAVES):
        for each in valued(LEAVES[path]):
            found[each.name, each.type.name].append(path)
    return found


def odd_for(path: str, parameter: click.Parameter) -> Sequence[str]:
    """The odd values to try: those of what many commands take in one way are shared out among them, each tried on a quarter of them."""
    takers = taken_by()[parameter.name, parameter.type.name]
    shares = min(len(takers), SHARES)
    return list(ODD)[takers.index(path) % shares :: shares]


def hint(path: str, parameter: click.Parameter) -> str:
    return parameter.get_error_hint(click.Context(LEAVES[path]))


@pytest.mark.parametrize("path", sorted(LEAVES))
def test_no_value_ends_a_command_with_a_traceback(known: Mapping[str, str], path: str, tmp_path: Path) -> None:
    for parameter in valued(LEAVES[path]):
        name = str(parameter.name)
        never = UNUSABLE | (NO_NUMBER if is_number(parameter) else {})
        if isinstance(parameter.type, click.Path):  # a name of a file is bytes
            del never["no UTF-8"]
        for what, value in never.items():
            result = run(known, path, {name: value}, tmp_path)
            refuse_traceback(result, (path, name, what))
            assert result.exit_code == 2, (path, name, what, result.output)
            assert hint(path, parameter).strip("'") in result.output, (path, name, what, result.output)
        if name == "kafka":  # a broker that is not there is waited for
            continue
        for what in odd_for(path, parameter):
            refuse_traceback(run(known, path, {name: ODD[what]}, tmp_path), (path, name, what))


@pytest.mark.parametrize("path", sorted(LEAVES))
def test_a_usual_value_for_everything_is_no_misuse(known: Mapping[str, str], path: str, tmp_path: Path) -> None:
    result = run(known, path, {}, tmp_path)
    refuse_traceback(result, path)
    assert "Usage:" not in result.output or "name who does it" in result.output or "kafka" in result.output.lower(), result.output


@pytest.mark.parametrize("what", ["directory", "endless", "absent", "unreadable name"])
@pytest.mark.parametrize(
    "path", sorted(path for path, command in LEAVES.items() if any(isinstance(each.type, click.Path) for each in valued(command)))
)
def test_a_file_that_can_not_be_read_is_named(known: Mapping[str, str], path: str, what: str, tmp_path: Path) -> None:
    files = {"directory": str(tmp_path), "endless": "/dev/zero", "absent": str(tmp_path / "none"), "unreadable name": "x" * 300}
    for parameter in valued(LEAVES[path]):
        if isinstance(parameter.type, click.Path):
            result = run(known, path, {str(parameter.name): files[what]}, tmp_path)
            refuse_traceback(result, (path, what))
            assert (result.exit_code, hint(path, parameter).strip("'") in result.output or "--kafka" in result.output) == (2, True), (
                result.output
            )


@pytest.mark.parametrize("option", ["--config", "--data", "--database", "--log-level"])
@pytest.mark.parametrize("what", [*UNUSABLE, *ODD])
def test_where_things_are_is_read_as_strictly(known: Mapping[str, str], option: str, what: str, tmp_path: Path) -> None:
    value = (UNUSABLE | ODD)[what]
    result = CliRunner().invoke(main, ["case", "--data", str(tmp_path), f"{option}={value}", "ts", "A-1"], prog_name="kvitt")
    refuse_traceback(result, (option, what))
    assert result.exit_code == 2
    named = what in UNUSABLE and (what != "no UTF-8" or option not in ("--config", "--data"))
    assert not named or option in result.output, result.output
    assert known


@pytest.mark.parametrize(
    ("typed_to", "arguments", "said"),
    [
        (process, ("order", "show", "5f2c…"), "no order's id begins with 5f2c"),
        (command, ("order", "release", "5f", "--by", "kari", "--reason", "a test"), "is known by its first 4 to 32 hexadecimal digits"),
        (command, ("order", "show", "zzzz"), "is no order id"),
        (command, ("order", "show", "a" * 33), "is known by its first 4 to 32 hexadecimal digits"),
        (process, ("order", "list", "--limit", "0"), "--limit"),
        (command, ("dead", "show", "--", "-1"), "NUMBER"),
        (command, ("ledger", "account", "show", "1", "--at", "soon"), "--at"),
        (command, ("payout", "show", "p-…"), "a beginning has at least 4 characters"),
    ],
)
def test_it_is_said_in_one_sentence(known: Mapping[str, str], typed_to: Typed, arguments: tuple[str, ...], said: str) -> None:
    """A refusal of kvitt's own and one of click's are heard from a real process too."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    done = typed_to(*arguments[:place], "--database", known["conninfo"], *arguments[place:])
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_bytes_that_are_no_utf_8_are_reported_by_the_real_process(known: Mapping[str, str]) -> None:
    command = [os.fsencode(KVITT), b"payout", b"show", b"p-\xff\xfe", b"--database", known["conninfo"].encode()]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 2
    assert b"Invalid value for 'PAYOUT': it holds bytes that are no UTF-8" in done.stderr


def test_every_list_and_every_show_has_json(known: Mapping[str, str], tmp_path: Path) -> None:
    lists = [path for path in LEAVES if path.split()[-1] in {"list", "show"}]
    assert len(lists) > 10
    for path in lists:
        line = typed(path, LEAVES[path], known, {}, ["--data", str(tmp_path), "--database", known["conninfo"], "--json"])
        result = CliRunner().invoke(main, line)
        assert result.exit_code == 0, (path, result.output)
        assert all(isinstance(json.loads(each), dict) for each in result.stdout.splitlines()), (path, result.stdout)
