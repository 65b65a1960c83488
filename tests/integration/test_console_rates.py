"""Messages are counted by the hour, each once, whenever the job runs; and the overview shows them beside a usual day."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from brokers.broker import free_port

from kvitt.api.console.pages.rates import rates_today
from kvitt.app.ports import PORTS
from kvitt.app.transports import records_behind_at_brokers
from kvitt.broker_settings import KafkaSettings
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import Connection, connect
from kvitt.ops.figure_jobs import keeping_up_job, rates_job, records_behind
from kvitt.testing import HandClock
from support.console_stage import LOOKS, console_site

NOW = datetime(2026, 7, 1, 10, 30, tzinfo=UTC)
"""A Wednesday, half past twelve in Oslo."""
MESSAGE = """INSERT INTO messages (message_no, source, partition, position, key, digest, body, scheme, dry_run, state, received_at)
             SELECT %(first)s + n, 'topic', 0, %(first)s + n, 'key', sha256('x'), 'x', %(scheme)s, %(dry_run)s, 'answered', %(at)s
             FROM generate_series(1, %(number)s) AS n"""


@pytest.fixture
def connection(database: str) -> Connection:
    return connect(database)


def came(connection: Connection, first: int, number: int, at: datetime, scheme: str = "AAP", *, dry_run: bool = False) -> None:
    connection.execute(MESSAGE, {"first": first, "number": number, "at": at, "scheme": scheme, "dry_run": dry_run})


def count(connection: Connection) -> None:
    """Runs the job some time after it ran last."""
    connection.execute("UPDATE counted_messages SET seen_at = seen_at - interval '2 minutes'")
    rates_job().run(connection, utc_now())


def hours(connection: Connection, relation: str = "kvitt_views.message_hours") -> Sequence[tuple[object, ...]]:
    return connection.execute(f"SELECT scheme, hour, messages FROM {relation} ORDER BY hour, scheme".encode()).fetchall()


def test_each_message_is_counted_once_whenever_it_is_counted(connection: Connection) -> None:
    hour = NOW.replace(minute=0)
    came(connection, 0, 5, NOW)
    came(connection, 10, 2, NOW, dry_run=True)
    came(connection, 20, 1, NOW + timedelta(hours=1), "DAGPENGER")
    wanted = [("AAP", hour, 5), ("DAGPENGER", hour + timedelta(hours=1), 1)]
    assert hours(connection) == wanted
    count(connection)
    assert hours(connection, "message_hours") == [], "it may still be on its way when its number is seen first"
    rates_job().run(connection, utc_now())
    assert hours(connection, "message_hours") == [], "nor a moment later"
    count(connection)
    assert hours(connection, "message_hours") == hours(connection) == wanted
    came(connection, 30, 3, NOW)
    assert hours(connection) == [("AAP", hour, 8), wanted[1]]
    for _ in range(3):
        count(connection)
    assert hours(connection, "message_hours") == hours(connection) == [("AAP", hour, 8), wanted[1]]


def test_it_is_said_when_more_has_come_than_is_counted(connection: Connection) -> None:
    assert not rates_today(connection, NOW).is_at_least
    came(connection, 0, 5_000, NOW)
    assert [each.today for each in rates_today(connection, NOW).schemes] == [5_000]
    assert not rates_today(connection, NOW).is_at_least
    came(connection, 6_000, 1, NOW)
    found = rates_today(connection, NOW)
    assert ([each.today for each in found.schemes], found.is_at_least) == ([5_000], True)
    for _ in range(2):
        count(connection)
    found = rates_today(connection, NOW)
    assert ([each.today for each in found.schemes], found.is_at_least) == ([5_001], False)


def test_a_usual_day_is_the_middle_of_like_days_that_are_known(connection: Connection) -> None:
    assert not rates_today(connection, NOW).has_usual
    early, late = NOW.replace(hour=8), NOW.replace(hour=20)
    for week, number in ((0, 7), (1, 10), (2, 90), (3, 20)):
        came(connection, 1_000 * week, number, early - timedelta(weeks=week))
        came(connection, 1_000 * week + 500, 4, late - timedelta(weeks=week), "DAGPENGER")
    came(connection, 9_000, 50, NOW - timedelta(days=1))
    found = rates_today(connection, NOW)
    assert [(each.scheme, each.today, each.in_full_hours, each.usual, each.usual_day) for each in found.schemes] == [
        ("AAP", 7, 7, 20, 20),
        ("DAGPENGER", 4, 0, 0, 4),
    ]
    bars = {bar.label: (bar.text, bar.usual_text) for bar in found.chart.bars}
    assert (bars["10"], bars["22"], bars["11"]) == (("7", "20"), ("4", "4"), ("0", "0"))


def test_the_overview_says_when_no_usual_day_is_known(database: str, connection: Connection, tmp_path: Path) -> None:
    with console_site(database, tmp_path, clock=HandClock(NOW)) as site:
        browser = site.browser(LOOKS)
        assert "Nothing has come in today" in browser.get("/").words
        came(connection, 0, 5, NOW)
        words = browser.get("/").words
        assert "There is no usual day yet" in words
        assert "AAP 5 0 none yet none yet" in words


def test_each_minute_is_noted_how_far_the_hub_is_behind(connection: Connection) -> None:
    job = keeping_up_job(lambda connection: records_behind(connection, ["topic"]))
    job.run(connection, NOW)
    connection.execute(
        "INSERT INTO log_partitions (topic, partition, next_position) VALUES ('topic', 0, 12), ('topic', 1, 5), ('other', 0, 9)"
    )
    connection.execute("INSERT INTO leases (lease, owner, fencing_token, until, position) VALUES ('intake:topic:0', 'o', 1, now(), 10)")
    connection.execute(
        """INSERT INTO outbox (topic, key, value, headers, event_id, made_at)
           SELECT 'status', 'key', 'x', '[]', gen_random_uuid(), now() - n * interval '1 minute' FROM generate_series(3, 1, -1) AS n"""
    )
    came(connection, 0, 1, utc_now() - timedelta(hours=2))
    connection.execute("UPDATE messages SET state = 'queued'")
    assert job.run(connection, NOW) == "7 records are not taken in"
    rows = "SELECT not_taken_in, unpublished_seconds / 60, unanswered_seconds / 60 FROM kvitt_views.keeping_up ORDER BY at"
    assert connection.execute(rows).fetchall() == [(0, 0, 0), (7, 3, 120)]


def test_the_overview_shows_the_worst_of_each_ten_minutes_of_the_last_hours(database: str, connection: Connection, tmp_path: Path) -> None:
    with console_site(database, tmp_path, clock=lambda: NOW) as site:
        browser = site.browser(LOOKS)
        assert "Nothing was noted in the last 6 hours" in browser.get("/").words
        noted = "INSERT INTO keeping_up (at, not_taken_in, unpublished_seconds, unanswered_seconds) VALUES (%s, %s, %s, %s)"
        for minutes, behind, published, answered in ((7 * 60, 99, 99, 99), (25, 5, 2, 60), (21, 1_500, 40, 7_200), (1, None, 1, 0)):
            connection.execute(noted, [NOW - timedelta(minutes=minutes), behind, published, answered])
        page = browser.get("/").words
    shown = page.partition("Do we keep up?")[2]
    assert "Records that are not taken in: the numbers Records that are not taken in From Records 01.07.2026 12:00:00 1 500" in shown
    assert "From Age 01.07.2026 12:00:00 40 s 01.07.2026 12:20:00 1 s" in shown
    assert "From Age 01.07.2026 12:00:00 120 min 01.07.2026 12:20:00 0 min" in shown


def test_a_lag_that_no_broker_tells_is_left_out(connection: Connection) -> None:
    nobody = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}")
    assert records_behind_at_brokers(connection, nobody, PORTS) is None
    keeping_up_job(lambda connection: records_behind_at_brokers(connection, nobody, PORTS)).run(connection, NOW)
    assert connection.execute("SELECT not_taken_in FROM kvitt_views.keeping_up").fetchall() == [(None,)]
