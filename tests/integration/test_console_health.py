"""Pages about the installation itself: whether everything adds up, with the age of the answer, and who owns what since when."""

import re
from pathlib import Path

from click.testing import CliRunner
from psycopg import sql

import kvitt
from kvitt.app.main import main
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.values import Scheme
from kvitt.kernel.database import Connection, connect
from kvitt.kernel.leases import LeaseKeeper
from kvitt.testing import Hub
from support.console_stage import LOOKS, ConsoleSite, console_site
from support.hub_messages import aap


def kvitt_check(conninfo: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["check", "--database", conninfo])
    return done.exit_code, done.output


def test_health_tells_how_the_last_check_ended_and_how_old_that_is(kvitt_hub: Hub, tmp_path: Path) -> None:
    kvitt_hub.put(helved_topics.primary_input(Scheme.AAP), "key-1", aap("A1"))
    kvitt_hub.run()
    connection = kvitt_hub.connection
    with console_site(kvitt_hub.conninfo, tmp_path) as site:
        browser = site.browser(LOOKS)
        assert "Nobody has checked this store yet" in browser.get("/health").words
        assert kvitt_check(kvitt_hub.conninfo)[0] == 0
        words = browser.get("/health").words
        assert "0 differences at the last check, " in words
        assert f"by version {kvitt.__version__}" in words
        assert "cases 1 " in words

        connection.execute("UPDATE cases SET orders_made = orders_made + 1")
        assert kvitt_check(kvitt_hub.conninfo)[0] == 1
        words = browser.get("/health").words
        assert "0 differences" not in words
        assert "case orders_made of case number 1: is not what the case's history makes" in words
        assert "The last one without any was" in words

        connection.execute("UPDATE cases SET orders_made = orders_made - 1")
        assert kvitt_check(kvitt_hub.conninfo)[0] == 0
        assert "0 differences at the last check" in browser.get("/health").words


def test_who_may_only_read_checks_as_well_and_is_told_that_it_is_noted_nowhere(unused_database: str) -> None:
    with connect(unused_database) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
    status, said = kvitt_check(unused_database)
    assert (status, "noted nowhere" in said) == (0, True), said


def test_jobs_and_roles_tell_since_when_something_has_its_owner_and_what_changed_hands(
    conninfo: str, connection: Connection, site: ConsoleSite
) -> None:
    browser = site.browser(LOOKS)
    first, second = LeaseKeeper(conninfo), LeaseKeeper(conninfo)
    assert first.acquire(connection, "relay")
    assert first.acquire(connection, "relay"), "an owner who asks again is no new one"
    first.close()
    assert second.acquire_all(connection, ["relay", "sender"]).keys() == {"relay", "sender"}
    assert second.acquire_all(connection, ["relay"]).keys() == {"relay"}
    found = connection.execute("SELECT lease, fencing_token, owner FROM kvitt_views.lease_owners ORDER BY lease, fencing_token").fetchall()
    assert found == [("relay", 1, first.owner), ("relay", 2, second.owner), ("sender", 1, second.owner)]
    connection.execute(
        """INSERT INTO processes (process, began_at, seen_at, roles)
           SELECT process, now() - age::interval, now(),
                  jsonb_build_array(jsonb_build_object('role', role, 'condition', 'works', 'since', now()))
           FROM (VALUES (%s, '3 days', 'relay'), ('other', '1 minute', 'console')) AS p (process, age, role)""",
        [first.owner],
    )
    page = browser.get("/jobs").words
    assert re.search(r"Which began console 1 1 1 \S+ \S+ relay 1 1 1 \S+ \S+ sender 1 1 1", page), "the first relay was not started today"
    connection.execute("DELETE FROM processes")
    assert re.search(r"Which began relay 2 2 2 \S+ \S+ sender 1 1 1", browser.get("/jobs").words), (
        "of a process that says nothing what it owned"
    )
    assert "3 of them in the last hour" in page
    assert all(owner in page for owner in (first.owner, second.owner))
    (since,) = connection.execute("SELECT since FROM kvitt_views.leases WHERE lease = 'relay'").fetchone() or (None,)
    assert since == (connection.execute("SELECT max(since) FROM lease_owners WHERE lease = 'relay'").fetchone() or (None,))[0]
    second.close()
