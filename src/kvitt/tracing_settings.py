"""The settings of traces: where they go, and how many of them."""

from typing import Annotated

from msgspec import Meta, Struct


class TracingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Traces of messages, for OpenTelemetry; they take `pip install kvitt[otel]`.

    `url` is where a collector takes them, as OTLP over HTTP (`…/v1/traces`); empty: there are none. `ratio` says of how many messages whose
    sender has not decided it; `service` is what the hub is called in them.
    """

    url: Annotated[str, Meta(pattern=r"^(https?://\S+)?$")] = ""
    ratio: Annotated[float, Meta(ge=0, le=1)] = 1.0
    service: Annotated[str, Meta(min_length=1)] = "kvitt"
