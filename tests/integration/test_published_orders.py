"""How orders are published: each under a key of its own, with its payments as they stand in it; of several areas, which are paid."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.resources import files

import pytest

from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.order_keys import further_key
from kvitt.contracts.helved.outputs import encode_status
from kvitt.disbursement.answers import Status
from kvitt.disbursement.check import check
from kvitt.disbursement.handle import Handler
from kvitt.disbursement.inbox import InboxMessage, Incoming
from kvitt.disbursement.operate import Operate
from kvitt.disbursement.resolve import Resolve
from kvitt.disbursement.settle import RawReceipt
from kvitt.disbursement.unit_of_work import UnitOfWork
from kvitt.disbursement.values import Area, Scheme
from kvitt.formats import topics
from kvitt.formats.topics import partition_of
from kvitt.kernel.operators import Operator
from kvitt.transports.log.embedded_log import LogRelay, make_topics, read
from support.hub_messages import dp, payment_uid, text, ts, ts_payment
from support.hub_stage import Stage, receipt_with, staged
from support.topics import TOPICS

TS, DP = Scheme.TILLEGGSSTONADER, Scheme.DAGPENGER
BOARDING, CHILDREN, MATERIAL = "BOUTGIFTER_AAP", "TILSYN_BARN_AAP", "LÆREMIDLER_AAP"
AREA_OF = {BOARDING: "TILLSTBO", CHILDREN: "TILLSTPB", MATERIAL: "TILLSTLM"}
FINAL = {Status.OK, Status.FAILED}
SINCE_THE_FIRST = {(helved_topics.ORDERS, partition): 0 for partition in range(topics.PARTITIONS)}


@pytest.fixture
def stage(database: str) -> Iterator[Stage]:
    with staged(database) as made:
        yield made
        assert [repr(each) for each in check(database, PORTS).differences] == []


def over(*benefits: str, case: str = "S", **changes: object) -> dict[str, object]:
    """A message with a payment in the area of each benefit."""
    return ts(case, *[ts_payment(payment_uid(case, number), benefit=each) for number, each in enumerate(benefits)], **changes)


def receipts_of(stage: Stage) -> dict[str, RawReceipt]:
    """Sends what is ready; the rail's receipts by area."""
    found = stage.exchange()
    return {area: each for each in found for area in AREA_OF.values() if f">{area}<".encode() in each.body}


def records(stage: Stage, topic: str) -> list[tuple[bytes, bytes, dict[str, str]]]:
    """What is published on a topic, in order: key, value, headers of which the last counts."""
    query = """SELECT o.key, coalesce(o.value, d.message), o.headers FROM outbox AS o LEFT JOIN orders AS d ON d.order_id = o.order_id
               WHERE topic = %s ORDER BY outbox_no"""
    rows = stage.rows(query, topic)
    return [(bytes(key), bytes(value), dict(topics.decode_headers(bytes(headers)))) for key, value, headers in rows]  # type: ignore[call-overload]


def areas_under_keys(stage: Stage, topic: str = helved_topics.ORDERS) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for key, value, _ in records(stage, topic):
        found.setdefault(key, []).extend(area for area in AREA_OF.values() if f">{area}<".encode() in value)
    return found


def test_orders_of_one_message_and_their_receipts_share_no_key(stage: Stage) -> None:
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN, MATERIAL)))
    stage.settle(list(receipts_of(stage).values()))
    keys = {"TILLSTBO": b"k", **{area: further_key(b"k", Area(area)) for area in ("TILLSTPB", "TILLSTLM")}}
    assert areas_under_keys(stage) == {key: [area, area] for area, key in keys.items()}, "the order, and the order with its receipt"
    assert {headers["original-key"] for _, _, headers in records(stage, helved_topics.ORDERS)} == {"k"}
    assert {partition_of(key) for key in keys.values()} == {partition_of(b"k")}


@pytest.mark.parametrize("severities", [("00", "00"), ("08", "00"), ("", "08"), ("04", "12")])
def test_a_receipt_stands_under_the_key_of_its_order_whatever_it_says(stage: Stage, severities: Sequence[str]) -> None:
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN)))
    found = receipts_of(stage)
    stage.settle([receipt_with(found[area], severity, "sagt") for area, severity in zip(("TILLSTBO", "TILLSTPB"), severities, strict=True)])
    by_key: dict[bytes, set[str]] = {}
    for key, value, headers in records(stage, helved_topics.ORDERS):
        by_key.setdefault(key, set()).add(headers["uids"])
        assert (headers["uids"] == payment_uid("S", 0)) is (b">TILLSTBO<" in value)
    assert by_key == {b"k": {payment_uid("S", 0)}, further_key(b"k", Area("TILLSTPB")): {payment_uid("S", 1)}}


def test_a_message_in_one_area_is_published_under_the_senders_key_alone(stage: Stage) -> None:
    stage.hand_in(TS, ("k", over(BOARDING)))
    stage.finish()
    assert {key for key, _, _ in records(stage, helved_topics.ORDERS)} == {b"k"}
    assert stage.rows("SELECT published_under FROM orders") == [(None,)]
    assert b'"status":"OK"' not in records(stage, helved_topics.STATUSES)[-1][1].partition(b'"linjer"')[2]


def test_a_dry_run_over_areas_is_one_request_with_a_question_about_each(stage: Stage) -> None:
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN, dryrun=True)))
    asked = stage.rows("SELECT request_no, place, area FROM simulation_questions ORDER BY place")
    assert asked == [(asked[0][0], 0, "TILLSTBO"), (asked[0][0], 1, "TILLSTPB")]


def test_questions_that_were_published_for_others_to_ask_share_no_key_and_are_proved_by_their_entry(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_once(_: object, message: InboxMessage, work: UnitOfWork, now: datetime) -> Handler:
        questions = [b"<request>TILLSTBO</request>", b"<request>TILLSTPB</request>"]
        return Handler(PORTS.contracts.of[message.source], PORTS.rails, work, now, published_questions=questions)

    monkeypatch.setattr("kvitt.disbursement.submit._Sorting._handler", as_once)
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN, dryrun=True)))
    assert areas_under_keys(stage, helved_topics.SIMULATIONS) == {b"k": ["TILLSTBO"], further_key(b"k", Area("TILLSTPB")): ["TILLSTPB"]}
    assert stage.one("SELECT count(*) FROM simulation_requests") == 0
    assert check(stage.conninfo, PORTS).clean
    stage.connection.execute("UPDATE outbox SET value = '<request>TILLSTBO, and more</request>' WHERE key = 'k'")
    assert not check(stage.conninfo, PORTS).clean
    stage.connection.execute("UPDATE outbox SET value = '<request>TILLSTBO</request>' WHERE key = 'k'")


def test_a_reader_of_the_log_that_keeps_the_newest_record_of_a_key_has_every_order(stage: Stage) -> None:
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN, MATERIAL)))
    stage.settle(list(receipts_of(stage).values())[:2])
    make_topics(stage.connection, TOPICS)
    held = stage.keeper.acquire(stage.connection, "relay")
    assert held
    LogRelay(stage.connection, stage.clock, held.lease).step()
    newest = {record.key: record.value or b"" for record in read(stage.connection, SINCE_THE_FIRST, 100)}
    assert sorted(area for value in newest.values() for area in AREA_OF.values() if f">{area}<".encode() in value) == sorted(
        AREA_OF.values()
    )


@pytest.mark.parametrize("severity", ["00", "08", ""])
def test_a_receipt_names_the_payments_of_its_order_in_their_order(stage: Stage, severity: str) -> None:
    one, two, three = (payment_uid("S", number) for number in range(3))
    stage.hand_in(TS, ("k1", ts("S", ts_payment(one), ts_payment(two, 400))))
    stage.finish()
    stage.hand_in(TS, ("k2", ts("S", ts_payment(three, 300), ts_payment(two, 200), ts_payment(one, 100))))
    stage.settle([receipt_with(receipt, severity, "sagt") for receipt in stage.exchange()])
    ordered, receipted = [headers["uids"] for key, _, headers in records(stage, helved_topics.ORDERS) if key == b"k2"]
    assert ordered == receipted == f"{three},{two},{one}"


def test_payments_become_true_in_the_order_in_which_they_stand_in_the_order(stage: Stage) -> None:
    one, two, three = (payment_uid("S", number) for number in range(3))
    stage.hand_in(TS, ("k1", ts("S", ts_payment(one), ts_payment(two, 400))))
    stage.finish()
    stage.hand_in(TS, ("k2", ts("S", ts_payment(three, 300), ts_payment(two, 200), ts_payment(one, 100))))
    # Where rows lie on the disk, and in the case list, says nothing about an order.
    stage.connection.execute("UPDATE payments SET position_in_case = position_in_case WHERE payment_id = %s", [three])
    stage.finish()
    told_true = [
        key
        for (key,) in stage.rows("SELECT convert_from(key, 'UTF8') FROM outbox WHERE topic = %s ORDER BY outbox_no", helved_topics.PAYMENTS)
    ]
    assert told_true == [one, two, three, two, one]


def test_the_case_list_is_published_after_every_accepted_change(stage: Stage) -> None:
    for number, amount in enumerate((500, 600, 700)):
        stage.hand_in(DP, (f"k{number}", dp("D", amount)))
        stage.finish()
    lists = [value for _, value, _ in records(stage, helved_topics.CASES)]
    assert len(lists) == 3
    assert len(set(lists)) == 1


SENDERS = {
    "uids": "x",
    "hash_key": "x",
    "resend": "true",
    "fagsystem": "AAP",
    "original-key": "x",
    "reason": "x",
    "event-id": "x",
    "x-ts": "1",
    "UIDS": "x",
    "Resend": "true",
    "retries": "1000",
    "maxRetries": "0",
    "skip-dedup": "true",
    "barrierStartedAt": "0",
    "x-sy": "2",
}


def test_headers_of_a_sender_do_not_pass_for_the_hubs(stage: Stage) -> None:
    headers = topics.encode_headers([*SENDERS.items(), ("traceparent", "00-1")])
    stage.submit([Incoming(helved_topics.primary_input(DP), 0, 1, b"k", text(dp("D")), headers)])
    stage.finish()
    ours = {"original-key": "k", "fagsystem": "DAGPENGER"}
    for topic in (helved_topics.STATUSES, helved_topics.PENDING_PAYMENTS, helved_topics.ORDERS, helved_topics.PAYMENTS):
        query = "SELECT headers FROM outbox WHERE topic = %s"
        for found in (topics.decode_headers(each) for each in stage.bytes(query, topic)):
            assert len(dict(found)) == len(found)
            named = dict(found)
            assert named.pop("traceparent") == "00-1"
            assert named.pop("uids", "") != "x"
            assert len(named.pop("hash_key", "0" * 64)) == 64
            assert named == ours


def paid(stage: Stage) -> dict[str, str | None]:
    """What the last status says of the lines of each area."""
    said = json.loads(records(stage, helved_topics.STATUSES)[-1][1])
    return {line["ytelse"]: line.get("status") for line in said["detaljer"]["linjer"]}


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("together", [True, False])
def test_a_message_that_failed_in_part_says_which_lines_are_paid(stage: Stage, together: bool, turned: bool) -> None:
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN, MATERIAL)))
    found = receipts_of(stage)
    answers = [
        receipt_with(found["TILLSTBO"], "00"),
        receipt_with(found["TILLSTPB"], "08", "Feil person"),
        receipt_with(found["TILLSTLM"], "04", "Merknad"),
    ]
    answers = answers[::-1] if turned else answers
    for batch in [answers] if together else [[each] for each in answers]:
        stage.settle(batch)
    final = stage.final("k")
    assert paid(stage) == {"TILLSTBO": "OK", "TILLSTPB": "FEILET", "TILLSTLM": "OK"}
    assert final.error
    assert (final.error.status, final.error.text) == (400, "Feil person (utført: TILLSTBO, TILLSTLM; ikke utført: TILLSTPB)")
    assert stage.bytes("SELECT answer FROM messages") == [encode_status(final)]


@pytest.mark.parametrize(("severity", "said"), [("00", "OK"), ("04", "OK"), ("08", "FEILET")])
def test_where_all_areas_end_alike_the_words_are_the_rails(stage: Stage, severity: str, said: str) -> None:
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN)))
    stage.settle([receipt_with(each, severity, "sagt") for each in receipts_of(stage).values()])
    final = stage.final("k")
    assert paid(stage) == {"TILLSTBO": said, "TILLSTPB": said}
    assert (final.error.text if final.error else "sagt") == "sagt"


def test_an_unclear_receipt_of_one_area_says_what_is_known_of_the_other(stage: Stage) -> None:
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN)))
    found = receipts_of(stage)
    stage.settle([receipt_with(found["TILLSTBO"], "00")])
    stage.settle([receipt_with(found["TILLSTPB"], "99", "hva?")])
    assert paid(stage) == {"TILLSTBO": "OK", "TILLSTPB": None}
    (answer,) = [each for each in stage.answers("k") if each.status in FINAL]
    assert answer.error
    assert answer.error.text.endswith("hva? (utført: TILLSTBO; uavklart: TILLSTPB)")
    stage.settle([found["TILLSTPB"]])
    assert paid(stage) == {"TILLSTBO": "OK", "TILLSTPB": "OK"}
    assert [each.status for each in stage.answers("k")][-1] is Status.OK


def test_an_order_that_is_taken_back_leaves_the_other_area_paid_and_says_so(stage: Stage) -> None:
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN)))
    (first,) = stage.sender.dequeue(1)
    stage.sender.sent([(first.order_id, first.message_no)])
    stage.settle(
        [RawReceipt("r", first.message.replace(b'oppdrag">', b'oppdrag"><mmel><alvorlighetsgrad>00</alvorlighetsgrad></mmel>', 1))]
    )
    (left,) = stage.rows("SELECT order_id::text FROM orders WHERE state = 'ready'")
    Operate(stage.connection, stage.clock, PORTS).withdraw(str(left[0]), Operator("Kari Nordmann", "sent to the wrong area", None))
    assert paid(stage) == {"TILLSTBO": "OK", "TILLSTPB": "FEILET"}
    final = stage.final("k")
    assert final.error
    assert final.error.text == "Utbetalingen er trukket tilbake før den ble sendt (utført: TILLSTBO; ikke utført: TILLSTPB)"


def test_until_orders_are_settled_their_lines_name_their_areas_only(stage: Stage) -> None:
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN)))
    receipts_of(stage)
    for _, value, _ in records(stage, helved_topics.STATUSES):
        lines = json.loads(value)["detaljer"]["linjer"]
        assert [(line["ytelse"], line.get("status")) for line in lines] == [("TILLSTBO", None), ("TILLSTPB", None)]


def test_places_in_orders_that_were_made_before_they_were_kept_are_found_from_the_lines(stage: Stage) -> None:
    one, two, three = (payment_uid("S", number) for number in range(3))
    stage.hand_in(TS, ("k1", ts("S", ts_payment(one), ts_payment(two, 400))))
    stage.finish()
    stage.hand_in(TS, ("k2", ts("S", ts_payment(three, 300), ts_payment(two, 200, spans=((1, 2), (4, 5))), ts_payment(one, spans=()))))
    stage.finish()
    query = "SELECT payment_id::text, version, position FROM payments ORDER BY version, position"
    kept = stage.rows(query)
    assert kept == [(one, 1, 0), (two, 1, 1), (three, 2, 0), (two, 2, 1), (one, 2, 2)]
    stage.connection.execute("UPDATE payments SET position = 0")
    (migration,) = (files("kvitt.kernel.migrations") / "versions").glob("*_telling.sql")  # type: ignore[attr-defined]
    for found in re.findall(r"^UPDATE payments.*?;$", migration.read_text(), re.DOTALL | re.MULTILINE):
        stage.connection.execute(found.replace("listed", "position_in_case"))
    assert stage.rows(query) == kept


def test_the_rails_word_that_is_adopted_is_published_under_the_key_of_its_order_and_says_anew_what_is_paid(stage: Stage) -> None:
    both = Operator("Kari Nordmann", "the rail says otherwise", "Ola Hansen")
    stage.hand_in(TS, ("k", over(BOARDING, CHILDREN)))
    found = receipts_of(stage)
    stage.settle([receipt_with(found["TILLSTBO"], "00"), receipt_with(found["TILLSTPB"], "08", "Nei")])
    assert paid(stage) == {"TILLSTBO": "OK", "TILLSTPB": "FEILET"}
    stage.settle([receipt_with(found["TILLSTPB"], "00", message_id="later")])
    ((order_id,),) = stage.rows("SELECT order_id::text FROM contradictions")
    Resolve(stage.connection, stage.clock, PORTS).adopt(str(order_id), both)
    assert paid(stage) == {"TILLSTBO": "OK", "TILLSTPB": "OK"}
    assert [answer.error for answer in stage.answers("k")][-1] is None
    key, _, headers = records(stage, helved_topics.ORDERS)[-1]
    assert (key, headers["uids"]) == (further_key(b"k", Area("TILLSTPB")), payment_uid("S", 1))
    stage.settle([receipt_with(found["TILLSTBO"], "08", "Likevel ikke", message_id="later still")])
    ((order_id,),) = stage.rows("SELECT order_id::text FROM contradictions WHERE resolved_at IS NULL")
    Resolve(stage.connection, stage.clock, PORTS).adopt(str(order_id), both)
    assert paid(stage) == {"TILLSTBO": "FEILET", "TILLSTPB": "OK"}
    last = stage.answers("k")[-1].error
    assert last
    assert last.text == "Likevel ikke (utført: TILLSTPB; ikke utført: TILLSTBO)"
    key, _, headers = records(stage, helved_topics.ORDERS)[-1]
    assert (key, headers["uids"]) == (b"k", payment_uid("S", 0)), "what falls is named too"


def test_changes_in_two_areas_tell_the_case_list_once_for_each_under_events_of_their_own(stage: Stage) -> None:
    stage.hand_in(TS, ("k1", over(BOARDING, CHILDREN)))
    stage.finish()
    changed = [ts_payment(payment_uid("S", number), 700, benefit=each) for number, each in enumerate((BOARDING, CHILDREN))]
    stage.hand_in(TS, ("k2", ts("S", *changed)))
    for receipt in stage.exchange():
        stage.settle([receipt])
    query = "SELECT count(*), count(DISTINCT event_id), count(DISTINCT value) FROM outbox WHERE topic = %s"
    assert stage.rows(query, helved_topics.CASES) == [(3, 3, 1)]
