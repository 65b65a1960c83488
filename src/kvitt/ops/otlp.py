"""Sends spans to a collector as OpenTelemetry has it. Only where traces are set is any of OpenTelemetry imported."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from kvitt.errors import BadSettings
from kvitt.ops.trace_job import SendSpans
from kvitt.ops.traces import TraceSpan

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

_NANOSECONDS: Final = 1_000_000_000
_OF_A_MICROSECOND: Final = 1_000
_SECONDS: Final = 5.0


class TracesNotTaken(Exception):
    """The collector has not taken the spans; they are sent again."""


def sending(url: str, service: str) -> SendSpans:
    """Returns what sends spans of a service to a collector, and raises TracesNotTaken. Raises BadSettings where nothing is installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise BadSettings("[tracing] url: OpenTelemetry is not installed; pip install kvitt[otel]") from error
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExportResult

    exporter, resource = OTLPSpanExporter(endpoint=url, timeout=_SECONDS), Resource({"service.name": service})

    def send(spans: Sequence[TraceSpan]) -> None:
        if exporter.export([_readable(each, resource) for each in spans]) is not SpanExportResult.SUCCESS:
            raise TracesNotTaken(f"{len(spans)} spans")

    return send


def _readable(span: TraceSpan, resource: "Resource") -> "ReadableSpan":
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(span_id: int) -> SpanContext:
        return SpanContext(span.trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        name=span.name,
        context=context(span.span_id),
        parent=None if span.parent_id is None else context(span.parent_id),
        resource=resource,
        attributes=dict(span.attributes),
        kind=SpanKind.CONSUMER if span.name == "message" else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
        start_time=_nanoseconds(span.start),
        end_time=_nanoseconds(span.end),
    )


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp()) * _NANOSECONDS + at.microsecond * _OF_A_MICROSECOND
