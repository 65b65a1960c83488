"""All settings, with their defaults; the environment overrides them (`KVITT_` and the name in capitals)."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct


class Settings(Struct, frozen=True, kw_only=True):
    """What may differ between installations.

    `database_url` None means the embedded PostgreSQL under `data`. `lanes` is the number of writers of the intake; more than one
    pays only where the database is far away, for they share one interpreter.
    """

    data: Path = Path(".kvitt")
    database_url: str | None = None
    lanes: int = 1
    max_batch: int = 128
    request_queue: str = "oppdrag.request"
    reply_queue: str = "oppdrag.receipts"
    emulator: bool = True
    lease_seconds: float = 2.5


def load_settings(**overrides: object) -> Settings:
    """The settings from the environment, with `overrides` (None = not given) on top. Raises msgspec.ValidationError naming the setting."""
    named = {name: os.environ[f"KVITT_{name.upper()}"] for name in Settings.__struct_fields__ if f"KVITT_{name.upper()}" in os.environ}
    given = {name: value for name, value in overrides.items() if value is not None}
    return msgspec.convert({**named, **given}, Settings, strict=False, dec_hook=_decode)


def _decode(kind: type, value: object) -> object:
    return Path(str(value)) if kind is Path else value
