"""Requests that may be repeated, as many callers and several processes take and end them at once (design §12)."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

from msgspec import to_builtins

from kvitt.errors import KeyReused, RequestInProgress
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.executor import Locks
from kvitt.kernel.fetch import fetch_value
from kvitt.kernel.group_commit import HEAVY
from kvitt.kernel.requests import (
    BeginRequest,
    Begun,
    EndRequest,
    KeyedRequests,
    RequestCommand,
    RequestId,
    RequestResult,
    RequestWriter,
    StoredAnswer,
)
from support.patience import PATIENCE_SECONDS, until

END_OTHERS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def test_a_request_that_another_process_is_at_work_on_is_left_to_it(database: str) -> None:
    asked = BeginRequest(RequestId("me", "key"), b"digest")
    with connect(database) as connection:
        (first,) = RequestWriter(connection, utc_now).execute([asked])
        assert isinstance(first, Begun)
        assert not first.again
        (refused,) = RequestWriter(connection, utc_now).execute([asked])
        assert isinstance(refused, RequestInProgress)
        (later,) = RequestWriter(connection, lambda: utc_now() + timedelta(seconds=31)).execute([asked])
        assert to_builtins(later) == {"first_at": to_builtins(first)["first_at"], "again": True}


def test_requests_of_a_moment_share_a_transaction_and_each_hears_what_it_would_hear_alone(database: str) -> None:
    one, two, other = RequestId("me", "one"), RequestId("me", "two"), RequestId("you", "one")
    answered = StoredAnswer(201, "application/json", b"{}")
    with connect(database) as connection:
        act = RequestWriter(connection, utc_now).execute
        results = act(
            [BeginRequest(one, b"1"), BeginRequest(one, b"1"), BeginRequest(one, b"2"), BeginRequest(other, b"2", "Transaction-ID")]
        )
        assert [type(each) for each in results] == [Begun, RequestInProgress, KeyReused, Begun]
        results = act([BeginRequest(one, b"1"), EndRequest(one, answered), BeginRequest(two, b"1"), EndRequest(other, None)])
        assert results[:2] + results[3:] == [answered, None, None]
        assert isinstance(results[2], Begun)
        left, used = act([BeginRequest(other, b"2"), BeginRequest(one, b"2", "Transaction-ID")])
        assert isinstance(left, Begun)
        assert left.again, "it was left to whoever asks next"
        assert isinstance(used, KeyReused)
        assert "Transaction-ID" in str(used)


def test_long_answers_of_a_moment_are_kept_in_transactions_of_their_own(database: str) -> None:
    """In one they could be more than the server takes, and none would be kept."""
    asked = [RequestId("me", key) for key in "abc"]
    long = StoredAnswer(200, "application/json", b" " * HEAVY)
    with closing(KeyedRequests(database, utc_now)) as requests, connect(database) as other:
        for begun in [requests.submit(BeginRequest(each, b"1")) for each in asked]:
            begun.result(PATIENCE_SECONDS)
        with other.transaction():
            other.execute("SELECT FROM rest.requests WHERE key = 'a' FOR UPDATE")
            kept = [requests.submit(EndRequest(each, long)) for each in asked]
        for each in kept:
            assert each.result(PATIENCE_SECONDS) is None
        assert fetch_value(other, "SELECT count(DISTINCT xmin::text) FROM rest.requests WHERE status = 200") == 3


HELD_UP = """
CREATE FUNCTION held_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(99); RETURN NEW; END $$;
CREATE TRIGGER held_up BEFORE INSERT ON rest.requests FOR EACH ROW WHEN (NEW.key = 'b') EXECUTE FUNCTION held_up();
"""


def test_two_processes_that_begin_and_end_the_same_requests_do_not_wait_in_a_circle(unused_database: str) -> None:
    a, b, answered = RequestId("me", "a"), RequestId("me", "b"), StoredAnswer(201, "application/json", b"{}")
    with (
        connect(unused_database) as one,
        connect(unused_database) as two,
        connect(unused_database) as other,
        ThreadPoolExecutor(2) as threads,
    ):

        def begun(connection: Connection, batch: Sequence[RequestCommand]) -> Future[list[RequestResult]]:
            """A batch under way that has come to wait for somebody."""
            done = threads.submit(RequestWriter(connection, utc_now).run, batch, Locks.WAIT)
            waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
            pid = connection.info.backend_pid
            until(lambda: fetch_value(other, waits, (pid,)) == 1, what="the batch waits for nobody")
            return done

        RequestWriter(one, utc_now).execute([BeginRequest(b, b"1")])
        other.execute(HELD_UP)
        with other.transaction():
            other.execute("SELECT pg_advisory_xact_lock(99)")
            first = begun(two, [BeginRequest(a, b"1"), BeginRequest(b, b"1")])
            second = begun(one, [EndRequest(b, answered), BeginRequest(a, b"1")])
        found = [*first.result(PATIENCE_SECONDS), *second.result(PATIENCE_SECONDS)]
    assert [type(each) for each in found] == [Begun, RequestInProgress, type(None), RequestInProgress]


def test_requests_go_on_where_their_connection_has_ended_meanwhile(database: str) -> None:
    """What was done for a request stays its answer, and nobody has to come again."""
    one, answered = RequestId("me", "one"), StoredAnswer(201, "application/json", b"{}")
    with closing(KeyedRequests(database, utc_now)) as requests, connect(database) as other:

        def heard(command: RequestCommand) -> RequestResult:
            told = requests.submit(command).result(PATIENCE_SECONDS)
            other.execute(END_OTHERS)
            return told

        assert isinstance(heard(BeginRequest(one, b"1")), Begun)
        assert heard(EndRequest(one, answered)) is None
        assert heard(BeginRequest(one, b"1")) == answered
