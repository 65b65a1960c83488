"""Messages as they come in and as they are read, before any state is looked at (design §4 step 2)."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Raw, Struct

from kvitt.errors import Undecodable
from kvitt.kernel.leases import Lease
from kvitt.rules.claims import Claims
from kvitt.rules.editions import CURRENT, Edition
from kvitt.rules.forms import claims_of
from kvitt.rules.needs import Need
from kvitt.rules.refusals import BASE
from kvitt.rules.validation import broken_case_id, flawed_ids
from kvitt.rules.values import Refusal, Scheme
from kvitt.wire import forms, json_reading, topics
from kvitt.wire.rapid import need
from kvitt.wire.rapid.need import InvalidNeed

_REASON_CHARACTERS = 500
_ANY_OBJECT: Final = msgspec.json.Decoder(dict[str, Raw])
Claimed = Claims | Need | InvalidNeed | Refusal
"""What a message wants, in the values of its dialect, or why nothing can be made of it."""


class Incoming(Struct, frozen=True):
    """A record of an input topic under the identity that its edge gave it. `lease` is None for sources without a position to keep.

    `follows` is how far the partition had been read before it, where that is not its own position (None): sources may leave
    positions out. A record is only handled when everything before it is. `edition` is that of the day on which it came in.
    """

    source: str
    partition: int
    position: int
    key: bytes | None
    body: bytes | None
    headers: bytes | None = None
    lease: Lease | None = None
    follows: int | None = None
    edition: Edition = CURRENT


class Address(Struct, frozen=True):
    """Whom an answer goes to, and under which edge identity the question came: what is needed to tell about a message.

    Only the rapid has records without a key; their answers have none either.
    """

    message_no: int
    source: str
    partition: int
    position: int
    key: bytes | None
    headers: bytes | None
    scheme: Scheme


class Taken(Address, frozen=True):
    """A message that has a number, read as far as it can be: `claims`, or the refusal to answer with."""

    body: bytes
    claims: Claimed
    dry_run: bool
    received_at: datetime | None = None
    """When it came in; None: it comes in now."""


class Unaddressed(StrEnum):
    """Why a record can have no answer: there is nothing in it, or nobody to tell."""

    TOMBSTONE = "a tombstone says nothing about a case"
    NO_KEY = "the record has no key, so its sender can not be answered"
    BAD_KEY = "the key is not UTF-8 text, so its sender can not be answered"
    FOR_OTHERS = "the record is for others"


class Aside(Struct, frozen=True):
    """A record that is no message: passed by, or `kept` as a dead letter with the reason."""

    incoming: Incoming
    reason: str
    kept: bool


class Reading(Struct, frozen=True):
    """A record read as far as it can be: with `claims` (or a refusal) and maybe the reason why it is kept as a dead letter."""

    incoming: Incoming
    scheme: Scheme
    digest: bytes
    claims: Claimed
    dry_run: bool
    dead: str | None = None

    @property
    def case_key(self) -> tuple[Scheme, str] | None:
        """The case that it belongs to; none when it is refused before its case matters."""
        if isinstance(self.claims, Need):
            return self.scheme, self.claims.case_id
        return (self.scheme, self.claims.decision.case_id) if isinstance(self.claims, Claims) else None


def unaddressed(incoming: Incoming) -> Unaddressed | None:
    """The reason why a record can not be answered at all, or None. On the rapid a need is answered where it stands, key or none."""
    if incoming.body is None:
        return Unaddressed.TOMBSTONE
    if incoming.source == topics.RAPID:
        return None
    if incoming.key is None:
        return Unaddressed.NO_KEY
    try:
        return Unaddressed.BAD_KEY if b"\0" in incoming.key else None if incoming.key.decode() else Unaddressed.NO_KEY
    except UnicodeDecodeError:
        return Unaddressed.BAD_KEY


def unreadable(topic: str) -> Refusal:
    """What the sender of an undecodable message is told, to the letter (helved §3.8)."""
    text = f"DeserialiseringFeiletException: Feil ved deserialisering av melding fra {topics.named_input(topic)}"
    return Refusal(400, text, BASE)


def failure(incoming: Incoming, error: Exception) -> Refusal:
    """What the sender is told when kvitt itself failed on its message (helved §3.8)."""
    said = " ".join(str(error).split())[:_REASON_CHARACTERS]
    where = f"(partition={incoming.partition}, offset={incoming.position})"
    return Refusal(500, f"Feil ved prosessering av melding fra {incoming.source} {where}: {type(error).__name__}: {said}", BASE)


def look(incoming: Incoming) -> "Reading | Aside":
    """A record read as a message, or set aside; one on which reading itself fails is answered and kept like any that kvitt fails on."""
    if problem := unaddressed(incoming):
        return Aside(incoming, problem.value, kept=problem is not Unaddressed.TOMBSTONE)
    try:
        return _look_at_need(incoming) if incoming.source == topics.RAPID else read(incoming)
    except Exception as error:  # noqa: BLE001 - the failure becomes this message's stored answer
        digest = hashlib.sha256(incoming.body or b"").digest()
        scheme = topics.SCHEME_OF_SOURCE[incoming.source]
        return Reading(incoming, scheme, digest, failure(incoming, error), False, f"{type(error).__name__}: {error}")


def read(incoming: Incoming) -> Reading:
    """Decodes a record that can be answered. Never raises for anything a sender may have written."""
    if incoming.source == topics.RAPID:
        found = _read_need(incoming)
        assert isinstance(found, Reading), "what is for others is set aside before"
        return found
    assert incoming.key is not None, "unaddressed records are set aside before"
    assert incoming.body is not None, "unaddressed records are set aside before"
    scheme = topics.SCHEME_OF_INPUT[incoming.source]
    digest = hashlib.sha256(incoming.body).digest()
    try:
        message = forms.decode(scheme, incoming.body, incoming.edition)
    except Undecodable as broken:
        return Reading(incoming, scheme, digest, unreadable(incoming.source), False, str(broken))
    if incoming.edition >= Edition.PLAIN_IDS and (flawed := flawed_ids(message)):
        return Reading(incoming, scheme, digest, flawed, message.head.dry_run)
    claims = claims_of(message, incoming.key.decode())
    if isinstance(claims, Claims) and (broken_id := broken_case_id(claims.decision.case_id)):
        claims = broken_id
    return Reading(incoming, scheme, digest, claims, message.head.dry_run)


def _look_at_need(incoming: Incoming) -> "Reading | Aside":
    """A need that comes in; one that is nested too deep, also where nobody reads, is kept.

    Without a limit of our own it would depend on the caller's stack whether a stored need can be read again.
    """
    found = _read_need(incoming)
    if isinstance(found, Reading):
        try:
            json_reading.read(_ANY_OBJECT, incoming.body or b"")
        except Undecodable as broken:
            return Aside(incoming, str(broken), kept=True)
    return found


def _read_need(incoming: Incoming) -> "Reading | Aside":
    """A need of ours; everything else on the rapid is for others, but what was to be one and is no JSON is kept (rapid §1.4, §2.1)."""
    assert incoming.body is not None, "tombstones are set aside before"
    try:
        found = need.read(incoming.body, incoming.edition)
    except Undecodable as broken:
        return Aside(incoming, str(broken), kept=True)
    if found is None:
        return Aside(incoming, Unaddressed.FOR_OTHERS.value, kept=False)
    return Reading(incoming, Scheme.SYKEPENGER, hashlib.sha256(incoming.body).digest(), found, False)


def numbered(reading: Reading, message_no: int, received_at: datetime | None = None) -> Taken:
    """A record that was read, as the message that it is under its number."""
    incoming = reading.incoming
    assert incoming.body is not None, "tombstones are set aside before"
    return Taken(
        message_no,
        incoming.source,
        incoming.partition,
        incoming.position,
        incoming.key,
        incoming.headers,
        reading.scheme,
        incoming.body,
        reading.claims,
        reading.dry_run,
        received_at,
    )
