"""The intake from Kafka: every record is handled once, whatever the brokers, the group or the database do (helved §1, §3.8)."""

import threading

import psycopg
import pytest

from kvitt.app.ports import PORTS
from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.inbox import Incoming
from kvitt.disbursement.submit import Outcome, Submit
from kvitt.disbursement.values import Scheme
from kvitt.formats import topics
from kvitt.formats.topics import partition_of
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.group_commit import GroupCommit
from kvitt.kernel.leases import LeaseKeeper
from kvitt.kernel.loop import run_loop
from kvitt.transports.kafka.intake import KafkaIntake
from support.hub_messages import PLAIN, dp, text
from support.kafka_stage import ends, hint, joined, roles, send, until

DP = helved_topics.EXTERNAL_INPUTS[Scheme.DAGPENGER]
DP_TWIN = helved_topics.INTERNAL_INPUTS[Scheme.DAGPENGER]
Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def settings(kafka: str) -> KafkaSettings:
    return joined(kafka)


def rows(connection: Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


def count(connection: Connection, query: str = "SELECT count(*) FROM messages") -> int:
    ((number,),) = connection.execute(query.encode()).fetchall()
    assert isinstance(number, int)
    return number


def test_messages_of_every_input_topic_are_taken_in_with_their_headers(database: str, settings: KafkaSettings) -> None:
    for topic, scheme in helved_topics.SCHEME_OF_INPUT.items():
        send(settings.bootstrap, topic, (f"{topic} key".encode(), text(PLAIN[scheme](f"{topic[:20]}"))), headers=[("trace", b"a\xff")])
    with roles(database, settings, "intake"), connect(database) as connection:
        until(lambda: count(connection) == len(helved_topics.SCHEME_OF_INPUT))
        found = rows(connection, "SELECT source, convert_from(key, 'UTF8'), partition, headers FROM messages ORDER BY 1")
    for source, key, partition, headers in found:
        assert key == f"{source} key"
        assert partition == partition_of(str(key).encode())
        assert topics.decode_headers(bytes(headers)) == (("trace", "a\ufffd"),)  # type: ignore[call-overload]
    assert {str(row[0]) for row in found} == set(helved_topics.SCHEME_OF_INPUT)


def test_an_external_topic_and_its_internal_twin_feed_the_same_case(database: str, settings: KafkaSettings) -> None:
    send(settings.bootstrap, DP, (b"outside", text(dp("TWIN", 500))))
    with roles(database, settings, "intake"), connect(database) as connection:
        until(lambda: count(connection) == 1)
        send(settings.bootstrap, DP_TWIN, (b"inside", text(dp("TWIN", 600))))
        until(lambda: count(connection) == 2)
        assert count(connection, "SELECT count(*) FROM cases") == 1
        assert rows(connection, "SELECT state FROM messages ORDER BY message_no") == [("derived",), ("queued",)]


def test_what_can_not_be_read_is_answered_or_kept_and_stops_nothing(database: str, settings: KafkaSettings) -> None:
    typed = helved_topics.INTERNAL_INPUTS[Scheme.TILTAKSPENGER]
    send(settings.bootstrap, typed, (b"k", b"\xff not json"), (b"k", None), (b"\xff", b"{}"), (b"k", b""))
    send(settings.bootstrap, typed, (b"k", text(PLAIN[Scheme.TILTAKSPENGER]("SOUND"))))
    # The brokers themselves refuse records without a key on compacted topics.
    send(settings.bootstrap, DP, (None, b"{}"), (None, None))
    with roles(database, settings, "intake"), connect(database) as connection:
        until(lambda: count(connection, "SELECT count(*) FROM orders") == 1)
        until(lambda: count(connection, "SELECT count(*) FROM dead_letters") == 4)
        published = rows(
            connection, f"SELECT convert_from(value, 'UTF8') FROM outbox WHERE topic = '{helved_topics.STATUSES}' ORDER BY outbox_no"
        )
    said = f"DeserialiseringFeiletException: Feil ved deserialisering av melding fra {typed}"
    assert [said in str(value) for (value,) in published] == [True, True, False]


def test_a_hub_goes_on_from_what_it_has_stored_whatever_the_brokers_believe(database: str, settings: KafkaSettings) -> None:
    send(settings.bootstrap, DP, *[(f"k{index}".encode(), text(dp(f"A{index}"))) for index in range(20)])
    with roles(database, settings, "intake"), connect(database) as connection:
        until(lambda: count(connection) == 20)
    hint(settings, {(DP, partition): end + 1000 for (_, partition), end in ends(settings.bootstrap, [DP]).items()})
    send(settings.bootstrap, DP, *[(f"l{index}".encode(), text(dp(f"B{index}"))) for index in range(20)])
    with roles(database, settings, "intake"), connect(database) as connection:
        until(lambda: count(connection) == 40)
    hint(settings, {(DP, partition): 0 for partition in range(topics.PARTITIONS)})
    send(settings.bootstrap, DP, (b"last", text(dp("C"))))
    with roles(database, settings, "intake"), connect(database) as connection:
        until(lambda: count(connection) == 41)


def test_a_new_group_without_a_past_begins_at_the_first_record(database: str, settings: KafkaSettings) -> None:
    topic = helved_topics.EXTERNAL_INPUTS[Scheme.HISTORISK]
    send(settings.bootstrap, topic, (b"first ever", text(PLAIN[Scheme.HISTORISK]("FIRST"))))
    fresh = KafkaSettings(bootstrap=settings.bootstrap, group=f"{settings.group}-fresh")
    everything = sum(ends(settings.bootstrap, [topic]).values())
    with roles(database, fresh, "intake"), connect(database) as connection:
        read = f"SELECT coalesce(sum(position), 0)::bigint FROM leases WHERE lease LIKE 'intake:{topic}:%'"
        until(lambda: count(connection, read) == everything)


def test_a_partition_that_another_process_may_still_write_under_is_not_read_before_its_lease_is_free(
    database: str, settings: KafkaSettings
) -> None:
    rival = LeaseKeeper(database, seconds=600.0)
    lanes = {partition_of(f"k{index}".encode()) for index in range(30)}
    assert lanes == {0, 1, 2}
    with connect(database) as connection:
        assert rival.acquire(connection, f"intake:{DP}:1")
        send(settings.bootstrap, DP, *[(f"k{index}".encode(), text(dp(f"R{index}"))) for index in range(30)])
        free = sum(partition_of(f"k{index}".encode()) != 1 for index in range(30))
        with roles(database, settings, "intake"):
            until(lambda: count(connection) == free)
            assert count(connection, "SELECT count(*) FROM messages WHERE partition = 1") == 0
            rival.close()
            until(lambda: count(connection) == 30)


def test_partitions_are_read_on_while_the_lease_of_one_is_locked_and_that_one_once_it_is_free(
    database: str, settings: KafkaSettings
) -> None:
    keys = {partition_of(f"k{index}".encode()): f"k{index}".encode() for index in range(30)}

    def come(name: str) -> None:
        send(settings.bootstrap, DP, *[(keys[part], text(dp(f"L{name}-{part}-{index}"))) for index in range(10) for part in keys])

    locked, others = "SELECT count(*) FROM messages WHERE partition = 1", "SELECT count(*) FROM messages WHERE partition <> 1"
    with connect(database) as connection, psycopg.connect(database) as stranger, roles(database, settings, "intake"):
        come("before")
        until(lambda: count(connection) == 30)
        stranger.execute("SELECT 1 FROM leases WHERE lease = %s FOR UPDATE", (f"intake:{DP}:1",))
        for goal, name in ((40, "while"), (60, "longer")):
            come(name)
            until(lambda goal=goal: count(connection, others) == goal)  # type: ignore[misc]
        assert count(connection, locked) == 10
        stranger.rollback()
        until(lambda: count(connection) == 90)
        assert count(connection, "SELECT count(DISTINCT (partition, position)) FROM messages") == 90


def test_lost_connections_lose_and_double_nothing(database: str, settings: KafkaSettings) -> None:
    terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with roles(database, settings, "intake"), connect(database) as connection:
        for batch in range(4):
            records = [(f"{batch}-{index}".encode(), text(dp(f"T{batch}-{index}"))) for index in range(150)]
            send(settings.bootstrap, DP, *records)
            until(lambda batch=batch: count(connection) > batch * 150)  # type: ignore[misc]
            connection.execute(terminate.encode())
        until(lambda: count(connection) == 600)
        assert count(connection, "SELECT count(DISTINCT key) FROM messages") == 600


def test_a_hub_that_can_not_write_takes_in_no_more_than_its_bound_and_stays_in_the_group(database: str, settings: KafkaSettings) -> None:
    send(settings.bootstrap, DP, *[(f"k{index}".encode(), text(dp(f"P{index}"))) for index in range(500)])
    keeper, stop = LeaseKeeper(database), threading.Event()
    handed: list[Incoming] = []
    with connect(database) as blocker, connect(database) as writer, connect(database) as connection:
        writers: GroupCommit[Incoming, Outcome] = GroupCommit(lambda _: Submit(writer, utc_now, PORTS).execute, max_batch=16)

        def hand(incoming: Incoming, lane: int) -> object:
            handed.append(incoming)
            return writers.submit(incoming, lane)

        intake = KafkaIntake(database, keeper, hand, settings, topics=list(PORTS.contracts.inputs("intake")), max_outstanding=40)  # type: ignore[arg-type]
        paused = threading.Event()
        thread = threading.Thread(target=run_loop, args=("intake", intake.steps, stop))
        with blocker.transaction():
            blocker.execute("LOCK TABLE cases IN ACCESS EXCLUSIVE MODE")
            thread.start()
            until(lambda: len(handed) >= 40)
            # Long enough for the loop to have paused its partitions and to poll on without work.
            paused.wait(2.0)
            assert len(handed) == 40
        until(lambda: count(connection) == 500)
        stop.set()
        thread.join()
        writers.close()
        keeper.close()
    assert len(handed) == 500, "nothing is read twice because of a pause"
