"""The embedded log gives records as they were appended, over all partitions, however little is read at once."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from kvitt.kernel.database import connect
from kvitt.transports.log import embedded_log
from kvitt.transports.log.embedded_log import (
    NewRecord,
    append,
    make_topics,
    partitions_of,
    read,
)

TOPIC = "teamdagpenger.utbetaling.v1"
START = {(TOPIC, partition): 0 for partition in range(3)}


@pytest.mark.parametrize("at_once", [1, 2, 7, 1000])
@pytest.mark.parametrize("max_bytes", [1, 50, 1 << 20])
def test_records_come_as_they_were_appended(database: str, monkeypatch: pytest.MonkeyPatch, at_once: int, max_bytes: int) -> None:
    monkeypatch.setattr(embedded_log, "BYTES_AT_ONCE", max_bytes)
    with connect(database) as connection:
        make_topics(connection, [TOPIC])
        for number in range(60):
            append(connection, [NewRecord(TOPIC, str(uuid4()).encode(), f"{number:>9}".encode())], datetime.now(UTC))
        positions, values = dict(START), list[bytes]()
        while records := read(connection, positions, at_once):
            for record in records:
                assert record.position == positions[record.topic, record.partition]
                positions[record.topic, record.partition] += 1
                values.append(record.value or b"")
    assert values == [f"{number:>9}".encode() for number in range(60)]


def test_a_topic_that_is_there_keeps_its_partitions_or_its_keys_would_move(database: str) -> None:
    with connect(database) as connection:
        make_topics(connection, [TOPIC])
        make_topics(connection, [TOPIC, "another"], 12)
        assert partitions_of(connection, [TOPIC, "another", "none"]) == {TOPIC: 3, "another": 12}
