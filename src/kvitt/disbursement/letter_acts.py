"""The replay of a dead letter, with what it would lead to: as its sender wrote it, or mended (design §4, §11)."""

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from hashlib import sha256
from itertools import takewhile, zip_longest
from typing import Final, NamedTuple

from msgspec import Struct

from kvitt.disbursement.dead import OPEN, DeadLetter, DeadLetters, Put, Replayed
from kvitt.disbursement.holding import HoldKind
from kvitt.disbursement.ports import Ports
from kvitt.disbursement.preview import Preview, foresee
from kvitt.errors import NotInThatState
from kvitt.kernel.approvals import ApprovableAct, ShownEffect
from kvitt.kernel.clock import Clock
from kvitt.kernel.database import Connection
from kvitt.kernel.operators import Operator

_SHOWN_BYTES: Final = 4096
PutsOn = Callable[[Connection], Put]
"""Returns what appends a record in the transaction of a connection."""
_AROUND: Final = 40
_LONG: Final = 3 * _AROUND
_BETWEEN: Final = re.compile(r"[{}\[\],:<>]")
"""What ends a word or a number, a person's too: a cut through one would leave a half that nothing masks."""


class LetterNamed(Struct, frozen=True):
    """The dead letter that an act is about."""

    number: int


class LetterReplayed(LetterNamed, frozen=True):
    """A dead letter with what is put in place of its bytes and its key; None leaves them."""

    body: bytes | None = None
    key: bytes | None = None


def letter_act(clock: Clock, ports: Ports, puts_on: PutsOn) -> ApprovableAct[LetterReplayed]:
    """The replay of a dead letter with what is put in place of its bytes and its key."""

    def preview(connection: Connection, asked: LetterReplayed) -> ShownEffect:
        return _effect(connection, clock, ports, asked)

    def run(connection: Connection, asked: LetterReplayed, operator: Operator) -> str:
        letters = DeadLetters(connection, clock, ports, puts_on(connection))
        record = letters.replay(asked.number, operator, body=asked.body, key=asked.key)
        return f"dead letter {asked.number} was appended to {record.topic} and closed"

    return ApprovableAct("dead replay", LetterReplayed, _subject, preview, run)


def unchanged_letter_act(clock: Clock, ports: Ports, puts_on: PutsOn) -> ApprovableAct[LetterNamed]:
    """The replay of a dead letter as its sender wrote it."""

    def preview(connection: Connection, asked: LetterNamed) -> ShownEffect:
        return _effect(connection, clock, ports, LetterReplayed(asked.number))

    def run(connection: Connection, asked: LetterNamed, operator: Operator) -> str:
        record = DeadLetters(connection, clock, ports, puts_on(connection)).replay(asked.number, operator)
        return f"dead letter {asked.number} was appended to {record.topic} and closed"

    return ApprovableAct("dead replay unchanged", LetterNamed, _subject, preview, run)


def _subject(asked: LetterNamed) -> str:
    return f"dead letter {asked.number}"


def _effect(connection: Connection, clock: Clock, ports: Ports, asked: LetterReplayed) -> ShownEffect:
    letters = DeadLetters(connection, clock, ports)
    letter = letters.find(asked.number)
    if letter.state != OPEN:
        raise NotInThatState(f"dead letter {asked.number} was {letter.state} by {letter.closed_by}: {letter.note}")
    record = letters.as_replayed(asked.number, body=asked.body, key=asked.key)
    foreseen = [*_foreseen(connection, ports, letter, record)]
    key = "no key" if record.key is None else f"the key {record.key.decode(errors='backslashreplace')}"
    whose = "as its sender wrote it" if record.body == letter.body else "with a mended body"
    text = f"dead letter {asked.number} would be appended to {record.topic} under {key}, {whose}:\n{_shown(letter, record)}"
    text = "\n".join([text, *(each.text for each in foreseen)])
    counted = [each.text for each in foreseen if not each.moves]
    return ShownEffect.of(text, letter.state, record.topic, record.key, sha256(record.body).hexdigest(), counted)


def _shown(letter: DeadLetter, record: Replayed) -> str:
    """The body, and before it what was mended: lines that are taken out and lines that are put in."""
    shown = record.body[:_SHOWN_BYTES].decode(errors="backslashreplace")
    if record.body == letter.body:
        return shown
    mended = difference(*(each.decode(errors="backslashreplace") for each in (letter.body, record.body)))
    return "\n".join([*mended, "so that it is:", shown])


class _ForeseenLine(NamedTuple):
    """A line about what would come of a message; one that `moves` with other messages makes no other effect."""

    text: str
    moves: bool = False


def _foreseen(connection: Connection, ports: Ports, letter: DeadLetter, record: Replayed) -> Iterator[_ForeseenLine]:
    """Lines that say what the message would lead to, were it handled now; no ids in them, which are made anew each time."""
    scheme = ports.contracts.scheme_of(letter.source)
    if record.key is None or scheme in ports.contracts.forwarding:
        yield _ForeseenLine("it is forwarded as it is, and what it leads to is seen then")
        return
    try:
        found = foresee(connection, ports, scheme, record.key, record.body, now=record.at)
    except ValueError as error:
        yield _ForeseenLine(f"it would not be handled: {error}")
        return
    yield from _lines(found)


def _lines(found: Preview) -> Iterator[_ForeseenLine]:
    if found.contradicted:
        yield _ForeseenLine("a receipt contradicts what stands of the case: the message would wait until two people have resolved it")
    elif found.waits:
        yield _ForeseenLine(
            "the case has an order without a receipt: the message would wait, and be compared with what is accepted by then"
        )
    if found.refusal:
        because = f" ({found.reason})" if found.reason else ""
        yield _ForeseenLine(f"it would be answered FEILET [{found.refusal.status}] {found.refusal.text}{because}")
    elif not found.orders:
        yield _ForeseenLine("it would be answered OK: nothing differs from what is accepted, nothing would be ordered")
    else:
        for order, reasons in zip(found.orders, found.held, strict=True):
            yield _ForeseenLine(f"it would order, area {order.area}, order {order.number} of case {order.case_id}:")
            for line in order.lines:
                ceases = f", ceases from {line.ceased_from}" if line.ceased_from else ""
                yield _ForeseenLine(f"  {line.class_code} from {line.start} to {line.end}, {line.amount} kr{ceases}")
            for reason in reasons:
                yield _ForeseenLine(
                    f"  it would be held until two people have looked at it: {reason.text}", reason.kind is HoldKind.OVER_LIMIT
                )


def difference(before: str, after: str) -> Iterator[str]:
    """Yields what is taken out and what is put in, line by line in their order; of a long line what differs and what is around it."""
    was, now = before.splitlines(), after.splitlines()
    for kind, first, last, new_first, new_last in SequenceMatcher(None, was, now).get_opcodes():
        if kind != "equal":
            for out, put in zip_longest(was[first:last], now[new_first:new_last]):
                yield from _pair(out, put)


def _pair(out: str | None, put: str | None) -> Iterator[str]:
    start = end = 0
    if out is not None and put is not None:
        start = _alike(out, put)
        end = _alike(out[start:][::-1], put[start:][::-1])
    for said, line in (("taken out", out), ("put in", put)):
        if line is not None:
            yield f"{said}: {_narrowed(line, start, len(line) - end)}"


def _alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _narrowed(line: str, start: int, end: int) -> str:
    """The line from before a place to behind another one; all of it where it is not long."""
    if len(line) <= _LONG:
        return line
    before, after = line[: max(start - _AROUND, 0)], line[end + _AROUND :]
    first = max((each.end() for each in _BETWEEN.finditer(before)), default=0)
    behind = _BETWEEN.search(after)
    last = len(line) - len(after) + behind.start() if behind else len(line)
    return f"{'… ' if first else ''}{line[first:last].strip()}{' …' if last < len(line) else ''}"
