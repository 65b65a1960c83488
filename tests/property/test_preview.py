"""A preview says what the real way says: the same answer and reason, the same orders but for the clock, held for the same reasons.

Arbitrary messages go in one after the other, on a case that is known, open, or new, with payments that another case may have.
"""

import json
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from kvitt.app.ports import PORTS
from kvitt.contracts.helved import topics as helved_topics
from kvitt.contracts.helved.messages import StreamMessage
from kvitt.contracts.helved.outputs import encode_status
from kvitt.disbursement.holding import decode_all
from kvitt.disbursement.preview import Preview, preview
from kvitt.disbursement.submit import Outcome
from kvitt.disbursement.values import Scheme
from kvitt.formats import topics
from kvitt.kernel.clock import oslo
from kvitt.rails.oppdrag import order_xml
from kvitt.testing import TestServer
from support.hub_messages import OTHER_PERSON, body_of
from support.hub_stage import Stage, staged
from support.strategies import messages_of
from support.tried import tried

SCHEMES = [scheme for scheme in Scheme if scheme is not Scheme.SYKEPENGER]
_numbers = count()


class Step(Struct, frozen=True):
    """A message of one of two cases, and what is done to it; `settled_first`: no order is open then."""

    message: StreamMessage
    case: int
    twist: str
    settled_first: bool


TWISTS = ("none", "none", "none", "other person", "other case's payments", "cut off", "no case", "twice the same")


def steps_of(scheme: Scheme) -> st.SearchStrategy[list[Step]]:
    """Histories of one scheme."""

    def stepped(messages: list[StreamMessage]) -> st.SearchStrategy[list[Step]]:
        one = [
            st.builds(Step, st.just(each), st.integers(0, 1), st.sampled_from(TWISTS), st.sampled_from([True, True, False]))
            for each in messages
        ]
        return st.tuples(*one).map(list)

    return messages_of(scheme, smallest=2).flatmap(stepped)


def written(step: Step, cases: tuple[str, str]) -> bytes:
    """The message as its sender writes it."""
    own, other = cases[step.case], cases[1 - step.case]
    body = body_of(step.message, own)
    match step.twist:
        case "other person":
            return body.replace(b"01020312345", OTHER_PERSON.encode())
        case "other case's payments":
            made = json.loads(body_of(step.message, other))
            return json.dumps({**made, "sakId": own}, ensure_ascii=False).encode()
        case "cut off":
            return body[: len(body) // 2]
        case "no case":
            return json.dumps({**json.loads(body), "sakId": ""}, ensure_ascii=False).encode()
        case "twice the same":
            entries = json.loads(body)
            for name in ("utbetalinger", "perioder"):
                if isinstance(entries.get(name), list):
                    entries[name] = [*entries[name], *entries[name][:1]]
            return json.dumps(entries, ensure_ascii=False).encode()
    return body


@pytest.fixture(scope="module")
def stage(kvitt_server: TestServer) -> Iterator[Stage]:
    with kvitt_server.database() as conninfo, staged(conninfo) as made:
        yield made


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_preview_says_what_then_comes_of_the_message(stage: Stage, scheme: Scheme) -> None:
    @tried(12)
    @given(steps_of(scheme))
    def holds(steps: list[Step]) -> None:
        number = next(_numbers)
        cases = (f"P{number}-0", f"P{number}-1")
        for place, step in enumerate(steps):
            if step.settled_first:
                stage.finish()
            # Whatever is held stays held: then the case has an open order, as any case may have.
            key, body = f"{number}/{place}", written(step, cases)
            seen = preview(stage.connection, PORTS, scheme, key.encode(), body, now=stage.clock())
            (outcome,) = stage.hand_in(scheme, (key, body))
            assert seen.waits is (outcome is Outcome.QUEUED), "a message that can not be read waits for nothing"
            if not seen.waits:
                assert said(seen) == heard(stage, key)
                assert ordered(stage, seen) == made(stage, key)

    holds()


def said(seen: Preview) -> tuple[bytes, str | None]:
    return encode_status(seen.answer), seen.reason


def heard(stage: Stage, key: str) -> tuple[bytes, str | None]:
    """What the sender has heard, to the byte, with the reason behind it."""
    query = "SELECT value, headers FROM outbox WHERE topic = %s AND key = %s ORDER BY outbox_no LIMIT 1"
    ((value, headers),) = stage.rows(query, helved_topics.STATUSES, key.encode())
    assert isinstance(value, bytes)
    assert isinstance(headers, bytes)
    return value, dict(topics.decode_headers(headers)).get("reason")


def ordered(stage: Stage, seen: Preview) -> list[tuple[bytes, object]]:
    """The orders of a preview with what would hold them, at the moment at which the real ones were made."""
    query = "SELECT made_at FROM orders WHERE order_id::text = ANY (%s) ORDER BY number"
    moments = stage.rows(query, [each.order_id for each in seen.orders])
    assert len(moments) == len(seen.orders) == len(seen.held)
    return [
        (order_xml.encode(replace(order, made_at=oslo(at))), reasons)  # type: ignore[arg-type]
        for order, reasons, (at,) in zip(seen.orders, seen.held, moments, strict=True)
    ]


def made(stage: Stage, key: str) -> list[tuple[bytes, object]]:
    """The real orders of a message, and what holds them."""
    query = """SELECT o.message, o.held_for::text FROM orders AS o JOIN messages AS m USING (message_no)
               WHERE m.key = %s ORDER BY o.number"""
    return [(bytes(xml), decode_all(str(held))) for xml, held in stage.rows(query, key.encode())]  # type: ignore[call-overload]
