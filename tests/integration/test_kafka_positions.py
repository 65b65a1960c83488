"""Where reading goes on, and that it is said, never guessed: topics made anew, deleted records, the rapid (design §1)."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.values import Scheme
from kvitt.formats import topics
from kvitt.kernel.database import connect
from kvitt.transports.kafka.topics import ensure_topics
from support.broker_fixtures import running_kafka
from support.hub_messages import PLAIN, person_of, text
from support.kafka_stage import ends, hint, send
from support.patience import PATIENCE_SECONDS, until
from support.rapid_messages import need
from support.run_stage import Place, running
from support.topics import TOPIC_TERMS

pytestmark = pytest.mark.usefixtures("made_up_people")

Connection = psycopg.Connection[tuple[object, ...]]
OUTSIDE = "another.rapid.v1"
"""What the rapid is called on this cluster."""
WHO = ("--by", "kari", "--approved-by", "ola", "--reason", "a test")


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A broker of this file's own: topics are deleted there."""
    with running_kafka() as running_broker:
        ensure_topics(KafkaSettings(bootstrap=running_broker.address, rapid_topic=OUTSIDE), TOPIC_TERMS)
        yield running_broker.address


@pytest.fixture
def place(tmp_path: Path, database: str, broker: str) -> Place:
    settings = KafkaSettings(bootstrap=broker, group=tmp_path.name, rapid_topic=OUTSIDE)
    hint(settings, {at: end for at, end in ends(broker, list(helved_topics.SCHEME_OF_INPUT)).items() if end})
    return Place(tmp_path, database, settings)


def count(connection: Connection, query: str = "SELECT count(*) FROM messages") -> int:
    ((number,),) = connection.execute(query.encode()).fetchall()
    return int(str(number))


def batch(scheme: Scheme, name: str, number: int) -> list[tuple[bytes, bytes]]:
    return [(f"{name}{index}".encode(), text(PLAIN[scheme](f"{name}{index}"))) for index in range(number)]


def make_anew(kafka: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.delete_topics([topic]).values():
        future.result()
    until(lambda: topic not in admin.list_topics(timeout=PATIENCE_SECONDS).topics)
    for future in admin.create_topics([NewTopic(topic, topics.PARTITIONS, 1)]).values():
        future.result()
    ends(kafka, [topic])


def test_a_topic_that_is_made_anew_below_a_running_hub_is_reported_and_nothing_of_it_is_passed_by(place: Place) -> None:
    topic = helved_topics.EXTERNAL_INPUTS[Scheme.HISTORISK]
    with connect(place.database) as connection:
        with running(place, "intake") as (runner,):
            send(place.kafka, topic, *batch(Scheme.HISTORISK, "old", 30))
            until(lambda: count(connection) == 30)
            make_anew(place.kafka, topic)
            send(place.kafka, topic, *batch(Scheme.HISTORISK, "new", 15))
            until(lambda: any("RecordsGone" in line for line in runner.lines), what="nobody was told")
            assert runner.stop() == 0
        assert count(connection) == 30
        refused = place.command("run", "--roles", "intake")
        assert refused.returncode == 2
        assert "records_gone" in refused.stderr
        alone = place.command("kafka", "set-start-offset", "--topic", topic, "--beginning", "--over", "--by", "kari", "--reason", "a test")
        assert "needs_second_person" in alone.stderr
        begun = place.command("kafka", "set-start-offset", "--topic", topic, "--beginning", "--over", *WHO)
        assert begun.returncode == 0, begun.stdout + begun.stderr
        with running(place, "intake"):
            until(lambda: count(connection) == 45)
            send(place.kafka, topic, *batch(Scheme.HISTORISK, "later", 15))
            until(lambda: count(connection) == 60)
        assert count(connection, "SELECT count(*) FROM audit WHERE chain = 0 AND note LIKE '%kari%'") == 1


def test_nothing_is_read_of_a_topic_that_was_made_anew_and_is_longer_than_the_old_one_between_two_polls(place: Place) -> None:
    topic = helved_topics.EXTERNAL_INPUTS[Scheme.DAGPENGER]
    with connect(place.database) as connection:
        with running(place, "intake") as (runner,):
            send(place.kafka, topic, *batch(Scheme.DAGPENGER, "old", 30))
            until(lambda: count(connection) == 30)
            # Neither the hub nor its client sees the topic missing, or too short: what they find next is at the offsets that they want.
            runner.process.send_signal(signal.SIGSTOP)
            make_anew(place.kafka, topic)
            send(place.kafka, topic, *batch(Scheme.DAGPENGER, "new", 200))
            runner.process.send_signal(signal.SIGCONT)
            until(lambda: any("RecordsGone" in line for line in runner.lines), what="nobody was told")
            assert runner.stop() == 0
        assert count(connection) == 30
        kari = ("--by", "kari", "--reason", "a test", "--ask")
        asked = place.command("kafka", "set-start-offset", "--topic", topic, "--beginning", "--over", *kari)
        assert "begins at 0, 0 are never read" in asked.stdout, asked.stdout + asked.stderr
        begun = place.command("approve", "yes", "1", "--by", "ola")
        assert begun.returncode == 0, begun.stdout + begun.stderr
        with running(place, "intake"):
            until(lambda: count(connection) >= 230)
        assert count(connection) == 230


def test_a_topic_that_was_made_anew_while_the_hub_was_away_is_refused_however_long_it_is(place: Place) -> None:
    topic = helved_topics.EXTERNAL_INPUTS[Scheme.VALP]
    with connect(place.database) as connection, running(place, "intake") as (runner,):
        send(place.kafka, topic, *batch(Scheme.VALP, "old", 20))
        until(lambda: count(connection) == 20)
        assert runner.stop() == 0
    make_anew(place.kafka, topic)
    send(place.kafka, topic, *batch(Scheme.VALP, "new", 200))
    refused = place.command("run", "--roles", "intake")
    assert refused.returncode == 2
    assert f"{topic} was made anew" in refused.stderr


def test_marks_of_transactions_that_are_deleted_behind_the_last_record_are_no_loss(place: Place) -> None:
    topic = helved_topics.EXTERNAL_INPUTS[Scheme.AAP]
    producer = Producer({"bootstrap.servers": place.kafka, "transactional.id": "neighbour"})
    producer.init_transactions()
    positions = f"SELECT coalesce(sum(position), 0)::bigint FROM leases WHERE lease LIKE 'intake:{topic}:%'"
    with connect(place.database) as connection:
        with running(place, "intake") as (runner,):
            producer.begin_transaction()
            for key, body in batch(Scheme.AAP, "one", 30):
                producer.produce(topic, body, key)
            producer.commit_transaction()
            until(lambda: count(connection) == 30)
            until(lambda: count(connection, positions) == sum(ends(place.kafka, [topic]).values()))
            assert runner.stop() == 0
        admin = AdminClient({"bootstrap.servers": place.kafka})
        for future in admin.delete_records([TopicPartition(topic, partition, -1) for partition in range(topics.PARTITIONS)]).values():
            future.result()
        with running(place, "intake"):
            send(place.kafka, topic, *batch(Scheme.AAP, "two", 30))
            until(lambda: count(connection) == 60)


def test_records_that_are_deleted_before_they_were_read_are_reported(place: Place) -> None:
    topic = helved_topics.EXTERNAL_INPUTS[Scheme.TILLEGGSSTONADER]
    with connect(place.database) as connection, running(place, "intake") as (runner,):
        send(place.kafka, topic, *batch(Scheme.TILLEGGSSTONADER, "read", 30))
        until(lambda: count(connection) == 30)
        assert runner.stop() == 0
    send(place.kafka, topic, *batch(Scheme.TILLEGGSSTONADER, "unread", 30))
    admin = AdminClient({"bootstrap.servers": place.kafka})
    for future in admin.delete_records([TopicPartition(topic, partition, -1) for partition in range(topics.PARTITIONS)]).values():
        future.result()
    refused = place.command("run", "--roles", "intake")
    assert refused.returncode == 2
    assert "records_gone" in refused.stderr
    assert "comes next" in refused.stderr


def needs(name: str, number: int) -> list[tuple[bytes, bytes]]:
    return [
        (f"{name}{index}".encode(), text(need(fagsystemId=f"{name}{index}", fødselsnummer=person_of(f"{name}{index}"))))
        for index in range(number)
    ]


def test_the_rapid_begins_where_the_old_hubs_group_has_come_to_and_nowhere_else(place: Place) -> None:
    send(place.kafka, OUTSIDE, *needs("PAID", 30))
    unsaid = place.command("run", "--roles", "rapid")
    assert unsaid.returncode == 2
    assert "not_begun" in unsaid.stderr
    wrong = place.command("kafka", "set-start-offset", "--topic", OUTSIDE, "--group", f"{place.run}-misspelt", *WHO)
    assert wrong.returncode == 2
    assert "is that its name" in wrong.stderr
    old = f"old-{place.run}"
    places = {(OUTSIDE, partition): end for (_, partition), end in ends(place.kafka, [OUTSIDE]).items()}
    hint(KafkaSettings(bootstrap=place.kafka, group=old), places)
    send(place.kafka, OUTSIDE, *needs("NEW", 6))
    looked = place.command("kafka", "set-start-offset", "--topic", topics.RAPID, "--group", old, "--dry-run")
    assert looked.returncode == 0, looked.stderr
    assert "nothing was changed" in looked.stdout
    member = Consumer({"bootstrap.servers": place.kafka, "group.id": old, "enable.auto.commit": False})
    member.subscribe([OUTSIDE])
    until(lambda: member.poll(0.1) or member.assignment(), what="the old hub did not join its group")
    busy = place.command("kafka", "set-start-offset", "--topic", topics.RAPID, "--group", old, *WHO)
    assert "at work" in busy.stderr
    member.close()
    begun = place.command("kafka", "set-start-offset", "--topic", topics.RAPID, "--group", old, *WHO)
    assert begun.returncode == 0, begun.stdout + begun.stderr
    again = place.command("kafka", "set-start-offset", "--topic", topics.RAPID, "--group", old, *WHO)
    assert again.returncode == 2
    assert "read here before" in again.stderr
    with connect(place.database) as connection:
        with running(place, "rapid") as (runner,):
            until(lambda: count(connection) == 6)
            meanwhile = place.command("kafka", "set-start-offset", "--topic", topics.RAPID, "--end", "--over", *WHO)
            assert "somebody is reading" in meanwhile.stderr
            assert runner.stop() == 0
        assert count(connection, "SELECT count(*) FROM messages WHERE convert_from(key, 'UTF8') LIKE 'PAID%'") == 0
    lag = place.command("kafka", "lag")
    assert lag.returncode == 0, lag.stderr
    assert topics.RAPID in lag.stdout
