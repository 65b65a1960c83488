"""All settings, with their defaults; the environment overrides them (`KVITT_` and the name in capitals)."""

import os
from datetime import time
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct


class OpsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Health, metrics and alarms of a process.

    `port` None: 9464 if it is free, else any; the log says which. The rail answers from `rail_opens` until `rail_closes` (00:00:00 = the
    end of the day), Oslo time, on working days or on `rail_every_day`; an order that has waited `receipt_after_minutes` of that time for
    its receipt raises an alarm. Every `look_seconds` it is looked for such orders.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    receipt_after_minutes: Annotated[float, Meta(gt=0)] = 60.0
    rail_opens: time = time(6)
    rail_closes: time = time(21)
    rail_every_day: bool = False
    look_seconds: Annotated[float, Meta(gt=0)] = 60.0


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
    ops: OpsSettings = OpsSettings()


def load_settings(**overrides: object) -> Settings:
    """The settings from the environment, with `overrides` (None = not given) on top. Raises msgspec.ValidationError naming the setting."""
    named = {name: os.environ[f"KVITT_{name.upper()}"] for name in Settings.__struct_fields__ if f"KVITT_{name.upper()}" in os.environ}
    ops = {
        name: os.environ[f"KVITT_OPS_{name.upper()}"] for name in OpsSettings.__struct_fields__ if f"KVITT_OPS_{name.upper()}" in os.environ
    }
    given = {name: value for name, value in overrides.items() if value is not None}
    return msgspec.convert({"ops": ops, **named, **given}, Settings, strict=False, dec_hook=_decode)


def _decode(kind: type, value: object) -> object:
    return Path(str(value)) if kind is Path else value
