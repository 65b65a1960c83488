"""Taking over from another hub: what it left in the state topics becomes the accepted state, or nothing does (helved §1.2)."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from kvitt.app.main import main
from kvitt.broker_settings import KafkaSettings
from kvitt.config import read_client_file
from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.importing import Importing
from kvitt.disbursement.imported import Discrepancy
from kvitt.disbursement.values import Scheme
from kvitt.errors import NeedsSecondPerson, NotInThatState, TopicNotFound
from kvitt.formats.topics import StateRecord
from kvitt.kernel.clock import utc_now
from kvitt.kernel.database import connect
from kvitt.kernel.migrate import upgrade
from kvitt.rails.oppdrag import order_xml
from kvitt.transports.kafka.plain import read_state
from kvitt.transports.kafka.relay import KafkaRelay
from support.hub_messages import aap, dp, payment_uid, ts, ts_payment
from support.hub_stage import Stage, receipt_with, staged
from support.kafka_stage import ends, joined, read
from support.patience import until
from support.state_records import LINE, OPERATOR, case_list, payment, period, run, utbetaling

pytestmark = pytest.mark.usefixtures("made_up_people")


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made


def lines_of(stage: Stage, case: str) -> list[tuple[object, ...]]:
    query = """SELECT l.line_id, l.refers_to, l.ceased_from IS NOT NULL, o.is_first_order
               FROM order_lines AS l JOIN orders AS o USING (order_id)
               JOIN cases AS c USING (case_no) WHERE c.case_id = %s ORDER BY o.number, l.position"""
    return stage.rows(query, case)


def test_the_first_message_after_an_import_goes_on_with_the_old_chain(stage: Stage) -> None:
    uid = payment_uid("C1")
    report = run(stage, payment(utbetaling("C1", uid, period(1, 12))), case_list("C1", uid))
    assert (report.cases, report.payments, report.faults, report.written) == (1, 1, 0, True)
    stage.hand_in(Scheme.AAP, ("same", aap("C1", 500)), ("more", aap("C1", 700)))
    assert stage.said("same") == ["OK"]
    ((made, refers_to, ceases, first),) = lines_of(stage, "C1")
    assert (refers_to, ceases, first) == (LINE, False, False)
    assert made != LINE


def test_a_shortening_after_an_import_ceases_the_last_line_as_it_was_sent(stage: Stage) -> None:
    uid = payment_uid("C1")
    sent = period(1, 26)
    run(stage, payment(utbetaling("C1", uid, period(1, 12), sistePeriode=sent)), case_list("C1", uid))
    stage.hand_in(Scheme.AAP, ("gone", aap("C1", utbetalinger=[])))
    ((line_id, refers_to, ceases, _),) = lines_of(stage, "C1")
    assert (line_id, refers_to, ceases) == (LINE, None, True)
    xml = stage.one("SELECT message FROM orders")
    assert isinstance(xml, bytes)
    order_xml.validate(xml)
    assert b"<datoVedtakTom>2026-06-26" in xml


def test_a_case_that_was_emptied_is_known_to_the_rail(stage: Stage) -> None:
    uid = payment_uid("C1")
    run(stage, payment(utbetaling("C1", uid, period(1, 12), action="DELETE")), case_list("C1"), case_list("D1", scheme="DAGPENGER"))
    stage.hand_in(Scheme.AAP, ("again", aap("C1", 700)))
    stage.hand_in(Scheme.DAGPENGER, ("days", dp("D1")))
    assert [first for *_, first in lines_of(stage, "C1") + lines_of(stage, "D1")] == [False, False]


def test_the_case_list_keeps_its_order_and_grows_at_its_end(stage: Stage) -> None:
    uids = [payment_uid("T1", number) for number in (3, 1, 2)]
    one = {"fagsystem": "TILLSTPB", "stønad": "TILSYN_BARN_AAP"}
    records = [payment(utbetaling("T1", uid, period(1, 5, 500 + index), **one)) for index, uid in enumerate(uids)]
    run(stage, *records, case_list("T1", *uids, scheme="TILLEGGSSTØNADER"))
    new = payment_uid("T1", 4)
    stage.hand_in(Scheme.TILLEGGSSTONADER, ("new", ts("T1", ts_payment(new, 900))))
    # The emulated rail knows nothing of what another hub has sent, so its answer is put right.
    stage.settle([receipt_with(receipt, "00") for receipt in stage.exchange()])
    assert stage.final("new").status.value == "OK"
    listed = stage.one(
        "SELECT convert_from(value, 'UTF8') FROM outbox WHERE topic = %s ORDER BY outbox_no DESC LIMIT 1", helved_topics.CASES
    )
    assert json.loads(str(listed)) == [*uids, new]


def test_the_newest_record_of_a_key_counts_and_a_tombstone_takes_it_away(stage: Stage) -> None:
    first, second = payment_uid("C1"), payment_uid("C2")
    gone = StateRecord(helved_topics.PAYMENTS, 0, second.encode(), None)
    old, new = utbetaling("C1", first, period(1, 5)), utbetaling("C1", first, period(1, 12))
    records = [payment(old), payment(utbetaling("C2", second, period(1, 5))), payment(new), gone, case_list("C1", first)]
    report = Importing(stage.connection, stage.clock).run(([each] for each in records), OPERATOR)
    assert (report.records, report.cases, report.payments) == (5, 1, 1)
    stage.hand_in(Scheme.AAP, ("same", aap("C1", 500)))
    assert stage.said("same") == ["OK"]


def test_a_dry_run_tells_everything_and_leaves_nothing(stage: Stage) -> None:
    uid = payment_uid("C1")
    records = payment(utbetaling("C1", uid, period(1, 12))), case_list("C1", uid)
    report = run(stage, *records, dry_run=True)
    assert (report.cases, report.payments, report.written) == (1, 1, False)
    assert [stage.one(f"SELECT count(*) FROM {table}") for table in ("cases", "payments", "audit")] == [0, 0, 0]
    assert run(stage, *records).written


ONCE = payment(utbetaling("C1", payment_uid("C1"), period(1, 5))).value
assert ONCE is not None
FAULTS = [
    (Discrepancy.UNREADABLE, [StateRecord(helved_topics.PAYMENTS, 0, payment_uid("C1").encode(), b"{")]),
    (Discrepancy.UNREADABLE, [StateRecord(helved_topics.PAYMENTS, 0, payment_uid("C1").encode(), ONCE[:-1] + b',"perioder":[]}')]),
    (Discrepancy.OTHER_KEY, [payment(utbetaling("C1", payment_uid("C1"), period(1, 5)), key="another")]),
    (Discrepancy.TWO_PARTITIONS, [payment(utbetaling("C1", payment_uid("C1"), period(1, 5)), partition=each) for each in (0, 1)]),
    (Discrepancy.CASE_ID, [payment(utbetaling("C\u200b1", payment_uid("C\u200b1"), period(1, 5)))]),
    (Discrepancy.CASE_ID, [payment(utbetaling("C" * 31, payment_uid("C1"), period(1, 5)))]),
    (Discrepancy.PERSONS, [payment(utbetaling("C1", payment_uid("C1", 2), period(1, 5), personident="02020312345"))]),
    (Discrepancy.BENEFIT, [payment(utbetaling("C1", payment_uid("C1"), period(1, 5), stønad="DAGPENGER"))]),
    (Discrepancy.OVERLAP, [payment(utbetaling("C1", payment_uid("C1"), period(1, 5), period(5, 9)))]),
    (Discrepancy.LINE_ID, [payment(utbetaling("C1", payment_uid("C1"), period(1, 5), lastPeriodeId="x" * 31))]),
    (Discrepancy.NO_AREA, [case_list("T1", scheme="TILLEGGSSTØNADER")]),
]


@pytest.mark.parametrize(("discrepancy", "odd"), FAULTS, ids=[discrepancy.name for discrepancy, _ in FAULTS])
def test_a_fault_keeps_everything_out_unless_its_case_is_left_out(stage: Stage, discrepancy: Discrepancy, odd: list[StateRecord]) -> None:
    good, sound = payment_uid("GOOD"), payment(utbetaling("C1", payment_uid("C1"), period(1, 5)))
    records = [payment(utbetaling("GOOD", good, period(1, 5))), case_list("GOOD", good), case_list("C1", payment_uid("C1")), sound, *odd]
    report = run(stage, *records)
    assert discrepancy in report.counts
    assert not report.written
    assert stage.one("SELECT count(*) FROM cases") == 0
    assert run(stage, *records, leave_out=True).written
    taken = {case_id for (case_id,) in stage.rows("SELECT case_id FROM cases WHERE unknown <> '{*}'")}
    assert "GOOD" in taken
    if discrepancy not in (Discrepancy.CASE_ID, Discrepancy.NO_AREA):
        assert "C1" not in taken


def test_a_list_that_disagrees_with_the_payments_is_noted_and_the_payments_count(stage: Stage) -> None:
    living, ceased, unknown = (payment_uid("C1", number) for number in range(3))
    report = run(
        stage,
        payment(utbetaling("C1", living, period(1, 5))),
        payment(utbetaling("C1", ceased, period(1, 5), action="DELETE")),
        payment(utbetaling("C2", payment_uid("C2"), period(1, 5))),
        case_list("C1", ceased, unknown),
    )
    assert set(report.counts) == {Discrepancy.NOT_LISTED, Discrepancy.LISTED_CEASED, Discrepancy.LISTED_UNKNOWN, Discrepancy.NO_LIST}
    assert (report.cases, report.payments, report.faults, report.written) == (2, 3, 0, True)


def test_only_an_empty_kvitt_is_filled(stage: Stage) -> None:
    stage.hand_in(Scheme.AAP, ("k", aap("C1")))
    with pytest.raises(NotInThatState, match="1 cases"):
        run(stage, payment(utbetaling("C2", payment_uid("C2"), period(1, 5))))


def test_a_kvitt_that_is_filled_from_the_topics_of_another_has_its_state(stage: Stage, kafka: str, empty_database: str) -> None:
    settings = joined(kafka)
    names = [f"{settings.group}-{index}" for index in range(12)]
    for amount in (500, 600):
        stage.hand_in(Scheme.DAGPENGER, *[(f"{name} {amount}", dp(name, amount)) for name in names])
        stage.hand_in(Scheme.AAP, *[(f"{name} {amount}", aap(name, amount)) for name in names])
        stage.finish()
    stage.hand_in(Scheme.AAP, *[(f"{name} end", aap(name, utbetalinger=[])) for name in names[:3]])
    stage.finish()
    start = ends(kafka, [helved_topics.PAYMENTS, helved_topics.CASES])
    held = stage.keeper.acquire(stage.connection, "relay")
    assert held
    with closing(KafkaRelay(stage.connection, utc_now, held.lease, settings)) as relay:
        while relay.step():
            continue
    records: list[StateRecord] = []

    def are_all_there() -> bool:
        """Brokers let readers of committed records see a transaction some time after its commit."""
        found = [each for each in read(kafka, start) if each.topic() in (helved_topics.PAYMENTS, helved_topics.CASES)]
        records[:] = [StateRecord(str(each.topic()), int(each.partition() or 0), each.key(), each.value()) for each in found]
        return len(found) == stage.one("SELECT count(*) FROM outbox WHERE topic = ANY (%s)", [helved_topics.PAYMENTS, helved_topics.CASES])

    until(are_all_there)
    assert {each.key for each in records} <= {
        each.key for topic in (helved_topics.PAYMENTS, helved_topics.CASES) for batch in read_state(settings, topic) for each in batch
    }
    state = """SELECT c.scheme, c.case_id, c.person, c.areas, p.payment_id, p.area, p.action, p.last_line, p.document,
                      row_number() OVER (PARTITION BY c.case_no, p.action = 'DELETE' ORDER BY p.position_in_case)
               FROM cases AS c JOIN payments AS p USING (case_no) WHERE p.state = 'accepted' AND NOT p.superseded ORDER BY 1, 2, 5"""
    before = stage.rows(state)
    upgrade(empty_database)
    with connect(empty_database) as other:
        report = Importing(other, utc_now).run([records], OPERATOR)
        assert (report.written, report.counts) == (True, {})
        assert other.execute(state.encode()).fetchall() == before
        ((note,),) = other.execute("SELECT note FROM audit WHERE chain = 0").fetchall()
        assert '"by":"kari"' in str(note)


def test_the_command_reports_and_its_status_tells_of_faults(kafka: str, database: str) -> None:
    settings = joined(kafka)
    producer = Producer({"bootstrap.servers": kafka, "partitioner": "murmur2_random"})
    uid = payment_uid(settings.group)
    bad = payment(utbetaling(settings.group, uid, period(1, 5), period(5, 9)))
    producer.produce(bad.topic, bad.value, bad.key)
    producer.flush()
    arguments = ["import", "helved", "--kafka", kafka, "--database", database]
    unnamed = CliRunner().invoke(main, arguments)
    assert unnamed.exit_code == 2
    assert "--by NAME --reason TEXT" in unnamed.output
    alone = CliRunner().invoke(main, [*arguments, "--by", "kari", "--reason", "kvitt takes over"])
    assert f"({NeedsSecondPerson.code}, see" in alone.output
    looked = CliRunner().invoke(main, [*arguments, "--dry-run"])
    assert looked.exit_code == 1, looked.output
    assert Discrepancy.OVERLAP.value in looked.output
    assert "would be taken over" in looked.output
    producer.produce(bad.topic, None, bad.key)
    producer.flush()


def test_a_topic_that_is_not_there_is_said_to_be_missing(kafka: str) -> None:
    with pytest.raises(TopicNotFound, match=r"helved\.nothing"):
        list(read_state(KafkaSettings(bootstrap=kafka), "helved.nothing.v1"))


def test_client_settings_come_from_a_file_and_are_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# of the platform\n\nsecurity.protocol = SSL\nsasl.password=a=b\n")
    client = read_client_file(file)
    assert client == {"security.protocol": "SSL", "sasl.password": "a=b"}
    assert "a=b" not in repr(KafkaSettings(bootstrap="b:1", client=client))
    file.write_text("security.protocol\n")
    with pytest.raises(ValueError, match=r"kafka\.properties:1"):
        read_client_file(file)
