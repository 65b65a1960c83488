"""What the deployment guide says of topics and settings is what the code does."""

import re
from pathlib import Path

import msgspec
import pytest

from kvitt.config import KafkaSettings, OpsSettings, QueueSettings, RapidSettings, Settings, load_settings
from kvitt.doors.kafka_topics import Cleanup, terms_of
from kvitt.wire.topics import ALL_TOPICS, PARTITIONS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/deploy.md").read_text("utf-8")
EXAMPLE = ROOT / "examples/kvitt.toml"


@pytest.mark.parametrize("topic", ALL_TOPICS)
def test_the_guide_tells_each_topic_with_its_terms(topic: str) -> None:
    (row,) = [line for line in GUIDE.splitlines() if re.match(rf"\| `{re.escape(topic)}`", line)]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    terms = terms_of(topic)
    kept = {Cleanup.OWNERS: "–", Cleanup.COMPACT: "for ever", Cleanup.COMPACT_AND_DELETE: "336 h"}[terms.cleanup]
    owners = terms.cleanup is Cleanup.OWNERS
    assert cells[1:4] == ["its owner's" if owners else str(PARTITIONS), "its owner's" if owners else terms.cleanup.value, kept]


def test_the_example_is_the_defaults() -> None:
    assert load_settings(EXAMPLE) == Settings()


@pytest.mark.parametrize("kind", [Settings, KafkaSettings, QueueSettings, RapidSettings, OpsSettings])
def test_the_example_names_every_setting(kind: type[msgspec.Struct]) -> None:
    told = EXAMPLE.read_text("utf-8")
    hidden = {"password"}
    for field in msgspec.structs.fields(kind):
        assert field.name in hidden or re.search(rf"(?m)^(# )?(\[)?(kafka\.)?{field.name}\b|, {field.name}\b|with {field.name}\b", told), (
            field.name
        )
