"""What the console need not keep is cleared away by a job, and nothing else is; looks of a year are there whatever anybody wants."""

from datetime import timedelta

import psycopg
import pytest

from integration.test_deploy_rights import limited  # noqa: F401 - a fixture
from kvitt.api.console import clearing
from kvitt.api.console.clearing import clear
from kvitt.app.parts import jobs_of
from kvitt.app.ports import PORTS
from kvitt.console_settings import ConsoleSettings
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.settings import Settings

KEPT = timedelta(days=5 * 365.25)
ROWS = """
    INSERT INTO console.logins (browser_hash, state_hash, nonce, verifier, next_path, begun_at)
    SELECT decode(age, 'escape'), '', '', '', '/', now() - age::interval FROM unnest(ARRAY['11 minutes', '9 minutes']) AS a (age);
    INSERT INTO console.sessions (session_hash, issuer, person, name, roles, began_at, seen_at, ends_at)
    SELECT decode(age, 'escape'), 'i', 'p', 'n', '{look}', now() - age::interval, now() - age::interval, now() - age::interval
    FROM unnest(ARRAY['6 years', '4 years', '-1 hours']) AS a (age);
    INSERT INTO console.revealed_cases (session_hash, case_no, revealed_at)
    SELECT decode(age, 'escape'), 1, now() - age::interval FROM unnest(ARRAY['3 days', '1 hour']) AS a (age);
    INSERT INTO console.done_forms (session_hash, form_hash, done_at)
    SELECT decode(age, 'escape'), '', now() - age::interval FROM unnest(ARRAY['3 days', '1 hour']) AS a (age);
    INSERT INTO console.looks (looked_at, issuer, person, name, what)
    SELECT now() - age::interval, 'i', 'p', 'n', age FROM unnest(ARRAY['7 years', '6 years', '4 years', '1 day']) AS a (age);
"""


def ages(connection: Connection, table: str, column: str) -> list[int]:
    """The ages in days of what is left, oldest first."""
    query = f"SELECT (extract(epoch FROM now() - {column}) / 86400)::integer FROM console.{table} ORDER BY 1 DESC"
    return [int(days) for (days,) in connection.execute(query.encode())]


def left(connection: Connection) -> dict[str, list[int]]:
    columns = {"logins": "begun_at", "sessions": "ends_at", "revealed_cases": "revealed_at", "done_forms": "done_at", "looks": "looked_at"}
    return {table: ages(connection, table, column) for table, column in columns.items()}


def test_what_is_old_is_cleared_away_with_the_rights_of_the_guide_and_the_rest_stays(limited: str) -> None:  # noqa: F811
    with connect(limited) as connection:
        connection.execute(ROWS.encode())
        with connection.transaction():
            assert clear(connection, utc_now(), KEPT) == 6
        found = left(connection)
        assert clear(connection, utc_now(), KEPT) == 0
    assert {table: len(rows) for table, rows in found.items()} == {
        "logins": 1,
        "sessions": 2,
        "revealed_cases": 1,
        "done_forms": 1,
        "looks": 2,
    }
    assert [days // 365 for days in found["looks"]] == [4, 0]
    assert found["done_forms"] == found["revealed_cases"] == [0]


def test_owners_of_last_month_and_old_checks_are_cleared_away_but_for_those_that_say_how_things_are(limited: str) -> None:  # noqa: F811
    with connect(limited) as connection:
        connection.execute(
            """INSERT INTO leases (lease, owner, fencing_token, until) VALUES ('relay', 'c', 3, now() + interval '1 day');
               INSERT INTO lease_owners (lease, fencing_token, owner, since) VALUES
                   ('relay', 1, 'a', now() - interval '90 days'), ('relay', 2, 'b', now() - interval '20 days'),
                   ('relay', 3, 'c', now() - interval '40 days');
               INSERT INTO check_runs (began_at, ended_at, version, looked_at, by_kind, differences, found)
               SELECT now() - age::interval, now() - age::interval, '1', '{}', '{}', differences, '{}'
               FROM (VALUES ('9 years', 0), ('8 years', 0), ('7 years', 1), ('6 years', 1)) AS r (age, differences);
               INSERT INTO keeping_up (at, unpublished_seconds, unanswered_seconds)
               SELECT now() - age::interval, 0, 0 FROM unnest(ARRAY['31 days', '29 days']) AS a (age)"""
        )
        with connection.transaction():
            assert clear(connection, utc_now(), KEPT) == 4
        assert connection.execute("SELECT owner FROM lease_owners ORDER BY owner").fetchall() == [("b",), ("c",)]
        assert connection.execute("SELECT differences FROM check_runs ORDER BY run_no").fetchall() == [(0,), (1,)]
        assert connection.execute("SELECT count(*) FROM keeping_up").fetchone() == (1,)


def test_the_job_keeps_what_the_settings_say(database: str) -> None:
    (job,) = [each for each in jobs_of(Settings(console=ConsoleSettings(looks_years=6.5)), PORTS) if each.name == "console rows"]
    with connect(database) as connection:
        connection.execute(ROWS.encode())
        with connection.transaction():
            assert job.run(connection, utc_now()) == "4 rows of the console are cleared away"
        assert [days // 365 for days in left(connection)["looks"]] == [6, 4, 0]


def test_many_rows_are_cleared_away_some_at_a_time(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "MOST", 1)
    with connect(database) as connection:
        connection.execute(ROWS.encode())
        assert [clear(connection, utc_now(), KEPT) for _ in range(3)] == [5, 1, 0]


def test_a_look_of_a_year_is_deleted_by_nobody(database: str) -> None:
    with connect(database) as connection:
        connection.execute(ROWS.encode())
        with pytest.raises(psycopg.errors.RestrictViolation, match="kept for a year"):
            connection.execute("DELETE FROM console.looks WHERE what = '1 day'")
        assert connection.execute("DELETE FROM console.looks WHERE what = '4 years'").rowcount == 1
