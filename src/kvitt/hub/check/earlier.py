"""What was told before each order had a key of its own, and how far it may differ from what a replay tells: in form, and never in facts.

Records of the outbox below `telling.since` are early, and so is a message of which one of them tells. An order of then is told under its
sender's key to its end; a receipt named the payments only that it made true, the case list was told only when it had changed, headers
of senders passed for the hub's, and an answer over several areas did not say which of them are paid.
"""

from msgspec.structs import replace

from kvitt.errors import Undecodable
from kvitt.rules.answers import Answer, Details
from kvitt.store.rows import OutboxRow
from kvitt.wire import status, topics


def as_told_then(given: OutboxRow, stored: OutboxRow, *, early: bool) -> OutboxRow:
    """What a replay tells of an early message, in the form that the stored record has, where that may be another one."""
    if early:
        given = replace(given, key=stored.key, headers=stored.headers)
    if given.topic == topics.STATUSES and says_the_same(given.value, stored.value):
        given = replace(given, value=stored.value)
    return given


def says_the_same(given: bytes | None, stored: bytes | None) -> bool:
    """Whether two answers differ in their words at most, and in what they say of each area."""
    if given == stored or not given or not stored:
        return given == stored
    try:
        return _plain(given) == _plain(stored)
    except Undecodable:
        return False


def _plain(answer: bytes) -> Answer:
    read = status.decode(answer)
    lines = tuple(replace(line, area=None, status=None) for line in read.details.lines) if read.details else ()
    error = replace(read.error, text="", doc="") if read.error else None
    return replace(read, details=Details(None, lines), error=error)
