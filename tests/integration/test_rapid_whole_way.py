"""The rapid with everything running: needs on the embedded log are answered on it, and no record stops the next one (rapid §1-§3)."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from kvitt.app.hub import HubProcess
from kvitt.formats.topics import RAPID
from kvitt.settings import Settings
from support.patience import until
from support.rapid_messages import PERSON
from support.rapid_stage import Message, following_need, in_short, other_case
from support.whole_way import Way, whole_way

QUESTION = b'{"@event_name": "behov"'
"""How the questions of these tests begin, and nothing that kvitt writes: it has no blanks between name and value."""


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    """A hub whose roles run in threads of their own, as `kvitt up` has them: the test only looks."""
    with whole_way() as made:
        running = HubProcess(made.hub.conninfo, Settings(lease_seconds=2.0))
        running.start()
        try:
            yield made
        finally:
            running.stop()
        assert made.hub.findings() == []


def send(way: Way, *messages: Message | bytes, key: str = PERSON) -> None:
    """Appends records to the rapid."""
    values = [json.dumps(each, ensure_ascii=False).encode() if isinstance(each, dict) else each for each in messages]
    for value in values:
        way.hub.put(RAPID, key, value)


def published(way: Way, case: str) -> list[tuple[object, object, Message]]:
    """What was said of a case on the rapid, as (key, partition, message); what was asked is left out."""
    query = "SELECT key, partition, value FROM log_records WHERE topic = %s ORDER BY partition, position"
    found: list[tuple[object, object, Message]] = []
    for key, partition, value in way.connection.execute(query, (RAPID,)).fetchall():
        assert isinstance(value, bytes)
        if case.encode() in value and not value.startswith(QUESTION):
            found.append((key, partition, json.loads(value)))
    return found


def words(way: Way, case: str) -> list[str]:
    return [in_short(message) for _, _, message in published(way, case)]


def test_a_need_on_the_log_is_answered_on_the_log(way: Way) -> None:
    send(way, other_case(100, fødselsnummer=PERSON))
    until(lambda: {"AKSEPTERT", "raw receipt"} <= set(words(way, "SAK100")), what="the need was not answered")
    records = published(way, "SAK100")
    keyed = [in_short(message) for key, _, message in records if key is not None]
    assert keyed == ["MOTTATT", "ordered", "queued OVERFØRT", "OVERFØRT", "rail AKSEPTERT", "AKSEPTERT"]
    assert [(in_short(message), partition) for key, partition, message in records if key is None] == [("raw receipt", 0)]
    assert {key for key, _, _ in records} == {PERSON.encode(), None}


KEPT: list[tuple[str, str]] = [
    ("lists deeper than is read", '"ukjent":' + "[" * 65 + "]" * 65),
    ("lists as deep as the stack happens to allow", '"ukjent":' + "[" * 950 + "]" * 950),
    ("lists deeper than any stack", '"ukjent":' + "[" * 5000 + "]" * 5000),
    ("an end that is missing", '"ukjent":"'),
]
ANSWERED: list[tuple[str, str]] = [
    ("lists as deep as is read", '"ukjent":' + "[" * 63 + "]" * 63),
    ("a name among the needs that no double holds", '"@behov":["Utbetaling",1e999]'),
    ("an id that no double holds", '"@id":1e999'),
    ("a time that no double holds", '"@opprettet":1e400'),
    ("a count that no double holds", '"system_read_count":1e999'),
]


def with_member(number: int, member: str) -> bytes:
    """A need with one more member, as it stands there, or with one of its own in place of what it is otherwise."""
    others = {name: value for name, value in other_case(number).items() if not member.startswith(f'"{name}":')}
    return json.dumps(others, ensure_ascii=False)[:-1].encode() + b"," + member.encode() + b"}"


@pytest.mark.parametrize(("number", "member"), [*enumerate(member for _, member in KEPT)], ids=[name for name, _ in KEPT])
def test_what_can_not_be_read_is_kept_and_the_need_behind_it_goes_on(way: Way, number: int, member: str) -> None:
    """Such a record holds up nothing behind it, and is not read for ever."""
    kept, behind, body = f"SAK{200 + number}", f"SAK{300 + number}", with_member(200 + number, member)
    send(way, body, other_case(300 + number))
    until(lambda: "AKSEPTERT" in words(way, behind), what="the need behind it was not answered")
    assert way.dead(body)
    assert (words(way, kept), way.orders(kept)) == ([], 0)


@pytest.mark.parametrize(("number", "member"), [*enumerate(member for _, member in ANSWERED)], ids=[name for name, _ in ANSWERED])
def test_what_is_odd_around_a_need_keeps_nobody_from_the_answer(way: Way, number: int, member: str) -> None:
    send(way, with_member(250 + number, member))
    until(lambda: "AKSEPTERT" in words(way, f"SAK{250 + number}"), what="the need was not answered")


def test_many_needs_with_their_repeats_and_followers_are_each_paid_once(way: Way) -> None:
    """With intake, sender and receiver at work at once: a repeat meets its need at any stage of its way."""
    numbers = range(400, 420)
    for _ in range(3):
        for number in numbers:
            send(way, other_case(number), following_need(number), key=str(number))
    for number in numbers:
        until(lambda case=f"SAK{number}": is_done(way, case), what=f"case {number} was not settled")  # type: ignore[misc]
        said = Counter(words(way, f"SAK{number}"))
        assert (said["ordered"], said["queued OVERFØRT"], said["rail AKSEPTERT"], said["FEIL"]) == (2, 2, 2, 0)
        assert way.orders(f"SAK{number}") == 2


def is_done(way: Way, case: str) -> bool:
    """Both orders of a case are accepted, and its six questions are answered: each once, and each first one at every stage."""
    said = Counter(words(way, case))
    answers = said["MOTTATT"] + said["OVERFØRT"] + said["AKSEPTERT"]
    waited = Counter(way.connection.execute("SELECT state FROM messages JOIN cases USING (case_no) WHERE case_id = %s", (case,)).fetchall())
    return said["rail AKSEPTERT"] == 2 and answers >= 10 and waited == {("answered",): 6}


def test_own_words_on_the_bus_are_read_past(way: Way) -> None:
    send(way, other_case(500))
    until(lambda: "AKSEPTERT" in words(way, "SAK500"), what="the need was not answered")
    query = "SELECT max(position) + 1 FROM log_records WHERE topic = %s AND partition = 0"
    ((end,),) = way.connection.execute(query, (RAPID,)).fetchall()
    assert isinstance(end, int)
    until(lambda: read_up_to(way) >= end, what="what kvitt said itself was not read past")


def read_up_to(way: Way) -> int:
    ((position,),) = way.connection.execute("SELECT position FROM leases WHERE lease = %s", (f"intake:{RAPID}:0",)).fetchall()
    assert isinstance(position, int)
    return position
