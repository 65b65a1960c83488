"""The header by which callers and senders name the trace that they are in, as the W3C has it."""

import re
from typing import Final, NamedTuple

TRACEPARENT: Final = "traceparent"
_FORM: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED: Final = 1


class TraceParent(NamedTuple):
    """The trace, the span in it that led here, and whether the trace is kept."""

    trace_id: int
    span_id: int
    sampled: bool


def trace_parent_of(value: str | None) -> TraceParent | None:
    """Reads a header; None for none, and for one that says nothing."""
    found = _FORM.fullmatch((value or "").strip())
    if found is None:
        return None
    named = TraceParent(int(found[1], 16), int(found[2], 16), bool(int(found[3], 16) & _SAMPLED))
    return named if named.trace_id and named.span_id else None
