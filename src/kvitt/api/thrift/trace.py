"""The headers of a call over Thrift: who calls in which chain, and until when an answer is wanted (payouts §7.1)."""

import random
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Final

from msgspec import Struct

from kvitt.api.http_headers import repeated_headers
from kvitt.formats.times import instant_text, parse_instant
from kvitt.kernel.actor import THRIFT, UNNAMED, Actor

CONTENT_TYPE: Final = "application/x-thrift"
ERROR_CLASS, ERROR_REASON = "woody.error-class", "woody.error-reason"
_TRACE, _PARENT, _SPAN, _DEADLINE = "woody.trace-id", "woody.parent-id", "woody.span-id", "woody.deadline"
_OLDER: Final = {_TRACE: "x-rbk-trace-id", _PARENT: "x-rbk-parent-id", _SPAN: "x-rbk-span-id"}
_META: Final = re.compile(r"(?:woody\.meta[.-]|x-rbk-meta-)([a-z0-9_.-]{1,53})", re.IGNORECASE | re.ASCII)
ROOT: Final = "undefined"
_WHO: Final = ("user-identity.username", "user-identity.email", "user-identity.id")
_MOST_META = 32
_chance = random.SystemRandom()


class BadHeaders(Exception):
    """The headers of a call can't be used; the text is the reason that the caller gets."""


class CallTrace(Struct, frozen=True):
    """The place of a call in its chain; `meta` is baggage that is passed on, `address` where the call came from."""

    trace_id: str
    span_id: str
    parent_id: str = ROOT
    deadline: datetime | None = None
    deadline_text: str | None = None
    meta: tuple[tuple[str, str], ...] = ()
    address: str | None = None

    def child(self, deadline: datetime) -> "CallTrace":
        """The trace of a call that is made because of this one."""
        return CallTrace(
            trace_id=self.trace_id,
            span_id=new_id(),
            parent_id=self.span_id,
            deadline=deadline,
            deadline_text=instant_text(deadline),
            meta=self.meta,
        )

    def headers(self) -> dict[str, str]:
        """As they are sent."""
        sent = {_TRACE: self.trace_id, _PARENT: self.parent_id, _SPAN: self.span_id}
        if self.deadline_text is not None:
            sent[_DEADLINE] = self.deadline_text
        return sent

    def baggage(self) -> dict[str, str]:
        """The headers of what is passed on."""
        return {f"woody.meta.{key}": value for key, value in self.meta}


current: ContextVar[CallTrace | None] = ContextVar("woody_trace", default=None)
"""The call that this thread or task works for, so that calls of its own continue the chain and keep the deadline."""


def actor() -> Actor:
    """The actor, as the rows of what is done name it: the user that the caller says it acts for, and where the call came from."""
    trace = current.get()
    if trace is None:
        return Actor(THRIFT, UNNAMED)
    said = dict(trace.meta)
    name = next((said[key] for key in _WHO if said.get(key)), UNNAMED)
    return Actor(THRIFT, name, trace.address, trace.trace_id)


def new_id() -> str:
    """An id of a chain or a call: a decimal number below 2⁶³, as the callers' own are."""
    return str(_chance.getrandbits(63))


def root() -> CallTrace:
    """The beginning of a chain of our own."""
    return CallTrace(new_id(), new_id())


def refuse_repeated(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises BadHeaders for a header by which a call is read, dated or traced, or that says who asks, and that is there more than once."""
    headers = tuple(headers)
    who = (name.decode("latin-1") for name, _ in headers if (match := _META.fullmatch(name.decode("latin-1"))) and match[1].lower() in _WHO)
    decisive = ("content-type", "content-length", _TRACE, _PARENT, _SPAN, _DEADLINE, *_OLDER.values(), *dict.fromkeys(who))
    if repeated := repeated_headers(headers, decisive):
        raise BadHeaders(f"{', '.join(repeated)} more than once")


def read_trace(headers: Mapping[str, str], address: str | None = None) -> CallTrace:
    """The trace of a call, of headers by lower-cased name, that came from an address. Raises BadHeaders."""
    found = {name: headers.get(name) or headers.get(_OLDER[name]) for name in (_TRACE, _PARENT, _SPAN)}
    if missing := [name for name, value in found.items() if not value]:
        raise BadHeaders(f"{', '.join(missing)} missing")
    text = headers.get(_DEADLINE)
    try:
        deadline = parse_instant(text) if text is not None else None
    except ValueError:
        raise BadHeaders(f"bad header: {_DEADLINE}") from None
    meta = tuple((match[1].lower(), value) for name, value in headers.items() if (match := _META.fullmatch(name)))
    return CallTrace(
        trace_id=found[_TRACE] or "",
        span_id=found[_SPAN] or "",
        parent_id=found[_PARENT] or "",
        deadline=deadline,
        deadline_text=text,
        meta=meta[:_MOST_META],
        address=address,
    )
