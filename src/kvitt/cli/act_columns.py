"""The columns of acts: who did what, about what, when and why."""

from collections.abc import Sequence

from kvitt.cli.listing import Column, Kind

ACTS: Sequence[Column] = (
    Column("at", "time (UTC)"),
    Column("act"),
    Column("by"),
    Column("approved_by"),
    Column("reason", kind=Kind.TEXT),
    Column("subject", "about"),
    Column("entry"),
    Column("door", kind=Kind.HIDDEN),
    Column("address", kind=Kind.HIDDEN),
    Column("trace", kind=Kind.HIDDEN),
)
