"""What a process logs while it works, at its most talkative: personal data, keys, case ids and bodies go to the restricted log only."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, time
from pathlib import Path

import psycopg
import pytest
import structlog

from kvitt import logs
from kvitt.app.hub import HubProcess
from kvitt.app.process import operations
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.values import Scheme
from kvitt.errors import CaseNotFound, LeaseLost, NotBegun
from kvitt.kernel.database import connect
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import run_loop
from kvitt.kernel.queue import Outgoing
from kvitt.kernel.state_log import StateLog
from kvitt.ops.readiness import Condition
from kvitt.rails.oppdrag.emulator import (
    Chance,
    DamageForm,
    Faults,
    set_faults,
)
from kvitt.settings import OpsSettings, Settings
from kvitt.transports.log.embedded_log import NewRecord, append
from kvitt.transports.queue.table_queue import TableQueue
from support.hub_messages import PLAIN, aap, dp, historisk, text
from support.patience import until

PERSON, CASE, KEY, DECISION, NAME = "27127799381", "SAK-MARKED", "key-marked", "BEH-MARKED", "Kari Marked"
MARKS = (PERSON[:8], CASE, KEY, DECISION, NAME, "MARKED", "Marked", "marked")
AT_ONCE = OpsSettings(
    port=0, receipt_after_minutes=0.0001, rail_opens=time.min, rail_closes=time.min, rail_every_day=True, look_seconds=0.05
)
SETTINGS = Settings(lease_seconds=2.0, ops=AT_ONCE)
Lines = Callable[[], list[Mapping[str, object]]]


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    before, handlers = structlog.get_config(), list(logging.getLogger().handlers)
    yield
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers


@pytest.fixture
def lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Lines:
    """Everything that the ordinary log holds until now; whatever it says is checked for marks."""
    logs.set_up(tmp_path, level="debug", form=logs.LogForm.JSON)
    said: list[str] = []

    def read() -> list[Mapping[str, object]]:
        captured = capsys.readouterr()
        said.extend((captured.out + captured.err).splitlines())
        for line in said:
            assert not any(mark in line for mark in MARKS), line
        return [json.loads(line) for line in said]

    return read


def restricted(tmp_path: Path) -> str:
    file = tmp_path / logs.RESTRICTED_FILE
    return file.read_text("utf-8") if file.exists() else ""


@contextmanager
def at_work(conninfo: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A hub with all its roles, its health, and its watch; returns a connection to look at it."""
    hub = HubProcess(conninfo, SETTINGS)
    with operations(hub, SETTINGS), connect(conninfo) as connection:
        hub.start()
        try:
            yield connection
        finally:
            hub.stop()


def marked(scheme: Scheme, number: int) -> bytes:
    """A good message full of marks."""
    number_of_person = f"{PERSON[:8]}{(number + len(scheme)) % 1000:03}"
    name = "ident" if scheme in (Scheme.DAGPENGER, Scheme.AAP) else "personIdent" if scheme is Scheme.VALP else "personident"
    person = {name: number_of_person}
    return text(PLAIN[scheme](f"{CASE}-{scheme.value[:4]}-{number}", behandlingId=DECISION, **person))


def send(connection: psycopg.Connection[tuple[object, ...]], scheme: Scheme, *records: tuple[str | None, bytes | None]) -> None:
    headers = text([["navn", NAME]])
    topic = helved_topics.primary_input(scheme)
    new = [NewRecord(topic, key.encode() if key else None, body, headers) for key, body in records]
    append(connection, new, datetime.now(UTC))


def test_no_word_of_a_message_reaches_the_ordinary_log(database: str, lines: Lines, tmp_path: Path) -> None:
    with at_work(database) as connection:
        for scheme in PLAIN:
            send(connection, scheme, *((f"{KEY}-{scheme.value}-{number}", marked(scheme, number)) for number in range(3)))
        send(
            connection,
            Scheme.AAP,
            (f"{KEY}-none", None),
            (None, f'{{"navn": "{NAME}"}}'.encode()),
            (f"{KEY}-broken", f'{{"ident": "{PERSON}", '.encode()),
            (f"{KEY}-shape", text(aap(CASE, ident=[PERSON], navn=NAME))),
            (f"{KEY}-refused", text(aap(CASE, ident=NAME))),
            (f"{KEY}-long", text(aap(CASE * 10))),
        )
        # Two cases that claim one payment id fail on the database's own words, which quote it.
        taken = "9c1a2b3c-0000-4000-8000-00000000abcd"
        both = {
            Scheme.AAP: aap(f"{CASE}-1", uid=taken, ident=PERSON),
            Scheme.HISTORISK: historisk(f"{CASE}-2", id=taken, personident=PERSON),
        }
        claims = [
            NewRecord(helved_topics.primary_input(scheme), f"{KEY}-{scheme.value}".encode(), text(body)) for scheme, body in both.items()
        ]
        append(connection, claims, datetime.now(UTC))
        events = {"messages taken", "orders sent", "receipts settled", "health and metrics"}
        until(lambda: events <= {str(line["event"]) for line in lines()})
        until(lambda: _unanswered(connection) == 0)
        (taken_line, *_) = [line for line in lines() if line["event"] == "messages taken" and line.get("derived")]
        assert {"schemes", "message_nos", "order_ids", "records"} <= set(taken_line)
        (settled, *_) = [line for line in lines() if line["event"] == "receipts settled"]
        assert {"receipts", "accepted", "settled_ids", "message_nos"} <= set(settled)


def test_receipts_are_not_quoted_whatever_stands_in_them(database: str, lines: Lines) -> None:
    with at_work(database) as connection:
        set_faults(connection, Faults(damage=Chance(next=2), damage_forms=(DamageForm.TRUNCATED,)))
        send(connection, Scheme.DAGPENGER, *((f"{KEY}-{number}", marked(Scheme.DAGPENGER, number)) for number in range(4)))
        replies = TableQueue(database, SETTINGS.reply_queue)
        replies.put([Outgoing(f"{KEY}-1", f"<oppdrag>{PERSON} {NAME}".encode()), Outgoing(f"{KEY}-2", NAME.encode())])
        replies.close()
        until(lambda: any(line["event"] == "receipt could not be read" for line in lines()))
        until(lambda: any(line["event"] == "receipts settled" and line.get("accepted") for line in lines()))


def test_an_alarm_names_the_order_and_nobody(database: str, lines: Lines) -> None:
    with at_work(database) as connection:
        set_faults(connection, Faults(swallow=Chance(next=1)))
        send(connection, Scheme.DAGPENGER, (f"{KEY}-1", text(dp(CASE, ident=PERSON))))
        until(lambda: any(line["event"] == "order has no receipt" for line in lines()))
        (raised,) = [line for line in lines() if line["event"] == "order has no receipt"]
        ((order_id,),) = connection.execute("SELECT order_id::text FROM orders").fetchall()
    assert (raised["level"], raised["order_id"], raised["area"]) == ("error", order_id, "DP")


@pytest.mark.parametrize(
    ("error", "in_the_open"),
    [
        pytest.param(ValueError(f"invalid literal: {PERSON}"), False, id="words of anyone"),
        pytest.param(psycopg.DataError(f'invalid input: "{NAME}"'), False, id="words of the database about a value"),
        pytest.param(CaseNotFound("AAP", CASE), False, id="ours, about what a sender named"),
        pytest.param(NotBegun("tbd.rapid.v1 partition 0"), True, id="ours, about ourselves"),
        pytest.param(ConnectionRefusedError("queue refused"), True, id="a connection"),
        pytest.param(psycopg.OperationalError("server closed the connection"), True, id="a server"),
    ],
)
def test_why_a_role_starts_anew_is_reported_in_the_open_only_if_it_can_quote_nobody(
    lines: Lines, tmp_path: Path, error: Exception, in_the_open: bool
) -> None:
    stop = threading.Event()

    def step() -> int:
        stop.set()
        raise error

    run_loop("sender", lambda: nullcontext(step), stop)
    (line,) = lines()
    assert (line["event"], line["error"]) == ("role starts anew", type(error).__name__)
    assert (line["reason"] == str(error)) is in_the_open
    assert (str(error) in restricted(tmp_path).replace('\\"', '"')) is not in_the_open


class NeverWaits(threading.Event):
    """Whoever waits for it hears at once how it stands."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - the name is the standard library's
        return self.is_set()


def test_a_role_tells_what_changes_and_not_each_round(lines: Lines) -> None:
    stop, moment = NeverWaits(), [0.0]
    held, broken = LeaseLost("relay is held by another process"), ConnectionRefusedError("queue refused")
    rounds = iter([held] * 500 + [None] + [broken] * 500 + [None] * 3)

    def step() -> int:
        moment[0] += 1
        failure = next(rounds, None)
        if failure:
            raise failure
        if moment[0] == 1004:
            stop.set()
        return 1

    run_loop("relay", lambda: nullcontext(step), stop, StateLog(structlog.get_logger("kvitt.kernel.loop"), clock=lambda: moment[0]))
    published = [(line["level"], line["event"], line.get("error")) for line in lines()]
    assert published == [
        ("info", "role stands by", None),
        ("info", "role takes over", None),
        ("warning", "role starts anew", "ConnectionRefusedError"),
        ("info", "role works again", None),
    ]


def test_a_process_that_stands_by_says_so_once_and_that_it_took_over(lines: Lines, database: str) -> None:
    owner, hub = LeaseKeeper(database, seconds=600.0), HubProcess(database, SETTINGS, ("relay",))
    rounds: set[datetime] = set()

    def relay() -> Condition:
        (state,) = hub.board.states()
        rounds.add(state.stepped_at)
        return state.condition

    with connect(database) as connection:
        assert owner.acquire(connection, "relay")
    hub.start()
    try:
        until(lambda: relay() is Condition.STANDS_BY and len(rounds) > 4, what="nobody tried for the lease again")
        owner.close()
        until(lambda: relay() is Condition.WORKS, what="nobody took over")
        until(lambda: [line["event"] for line in lines() if "role" in line] == ["role stands by", "role takes over"])
    finally:
        hub.stop()


def _unanswered(connection: psycopg.Connection[tuple[object, ...]]) -> object:
    ((waiting,),) = connection.execute("SELECT count(*) FROM messages WHERE state <> 'answered'").fetchall()
    return waiting
