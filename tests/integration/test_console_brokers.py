"""Topics in the console where they are at brokers: partitions with their ends, records newest first, and words when no broker answers."""

import hashlib
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from kvitt.broker_settings import KafkaSettings
from kvitt.contracts.helved import topics as helved_topics
from kvitt.disbursement.values import Scheme
from kvitt.formats.topics import encode_headers
from kvitt.kernel.database import connect
from kvitt.transports.kafka import browse
from kvitt.transports.kafka.browse import BrowsedRecords, KafkaBrowser
from kvitt.transports.kafka.plain import put
from kvitt.transports.log.embedded_log import NewRecord
from support.console_stage import LOOKS, console_site
from support.hub_messages import PERSON, aap, text
from support.kafka_stage import joined

TOPIC = helved_topics.primary_input(Scheme.VALP)


def written(settings: KafkaSettings, *values: bytes | None) -> tuple[int, list[int]]:
    """Records under one key: their partition and positions."""
    headers = encode_headers([("hode", "<b>")])
    places = put(settings, [NewRecord(TOPIC, b"key-of-a-page", value, headers) for value in values])
    return places[0][0], [position for _, position in places]


def test_records_at_the_brokers_are_there_newest_first_with_key_headers_and_bytes(kafka: str, database: str, tmp_path: Path) -> None:
    settings = joined(kafka)
    body = text(aap("A1"))
    partition, positions = written(settings, *(f"{n}".encode() for n in range(60)), None, body)
    at = f"topic={quote(TOPIC, safe='')}&partition={partition}"
    with console_site(database, tmp_path, kafka=settings) as site, connect(database) as connection:
        browser = site.browser(LOOKS)
        assert f'href="/topics/records?{at.replace("&", "&amp;")}"' in browser.get("/topics").text
        newest = browser.get(f"/topics/records?{at}")
        assert "tombstone" in newest.words
        older = browser.get(newest.link("Older"))
        shown = [int(each) for page in (newest, older) for each in re.findall(r";position=(\d+)", page.text)]
        assert shown[: len(positions)] == positions[::-1], "each once, newest first"
        record = browser.get(newest.link(str(positions[-1])))
        assert hashlib.sha256(body).hexdigest() not in record.words, "by it a person could be guessed"
        assert hashlib.sha256(b"59").hexdigest() in browser.get(newest.link(str(positions[59]))).words
        assert "hode" in record.words
        assert "<b>" not in record.text
        assert PERSON.encode() in body
        assert PERSON not in record.text
        assert browser.get(f"/topics/record?{at}&position={positions[-1] + 1}").status == 404
        assert browser.get("/topics/records?topic=nobody&partition=0").status == 404
        looked = [what for (what,) in connection.execute("SELECT what FROM kvitt_views.looks ORDER BY look_no")]
        assert looked == [f"records of {TOPIC}/{partition}"] * 2 + [f"record {TOPIC}/{partition}/{positions[each]}" for each in (-1, 59)]


def test_what_is_no_record_between_records_is_passed_by(kafka: str) -> None:
    settings = joined(kafka)
    partition, positions = written(settings, b"1", b"2", b"3")
    browser = KafkaBrowser(settings, [TOPIC])
    try:
        found = browser.before(TOPIC, partition, positions[2], 2).records
        assert [each.position for each in found] == [positions[1], positions[0]]
        assert [each.value for each in found] == [None, None], "only their sizes were asked for"
        assert browser.before(TOPIC, partition, 0, 5) == BrowsedRecords([], None)
        found_one = browser.one(TOPIC, partition, positions[1])
        assert found_one is not None
        assert found_one.value == b"2"
    finally:
        browser.close()


def test_what_lies_behind_a_gap_is_reached_page_by_page(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = joined(kafka)
    partition, positions = written(settings, *(f"{n}".encode() for n in range(7)))
    monkeypatch.setattr(browse, "_SPAN", 3)
    browser = KafkaBrowser(settings, [TOPIC])
    try:
        older, shown = positions[-1] + 1, list[int]()
        while older > positions[0]:
            page = browser.before(TOPIC, partition, older, 50)
            shown += [each.position for each in page.records]
            assert page.older is None or page.older < older
            older = page.older or 0
        assert [each for each in shown if each >= positions[0]] == positions[::-1]
    finally:
        browser.close()


def test_brokers_that_do_not_answer_are_named_and_other_pages_stand(database: str, tmp_path: Path) -> None:
    with console_site(database, tmp_path, kafka=KafkaSettings(bootstrap="127.0.0.1:1")) as site:
        browser = site.browser(LOOKS)
        page = browser.get("/topics")
        assert page.status == 503
        assert "the brokers do not answer" in page.words
        assert browser.get("/").status == 200
