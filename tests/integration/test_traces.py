"""One trace from a message to its final status, at a real collector of OpenTelemetry (OTLP over HTTP)."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from kvitt.app.parts import jobs_of
from kvitt.contracts.helved.topics import primary_input
from kvitt.disbursement.caller import CallHeaders, call_headers
from kvitt.disbursement.values import Scheme
from kvitt.errors import BadSettings
from kvitt.formats.traceparent import trace_parent_of
from kvitt.ops.otlp import TracesNotTaken, sending
from kvitt.ops.trace_job import send_traces
from kvitt.settings import Settings
from kvitt.testing import Hub
from kvitt.tracing_settings import TracingSettings
from support.hub_messages import PERSON, aap, payment_uid, person_of
from support.patience import PATIENCE_SECONDS
from support.single_payments import single, span
from support.single_payments import text as single_text

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes spans while `takes`, as a collector of OpenTelemetry does, and keeps them."""

    def __init__(self) -> None:
        self.spans, self.bytes, self.services = list[Span](), b"", set[str]()
        self.takes = True
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if collector.takes:
                    collector.take(body)
                self.send_response(200 if collector.takes else 400)
                self.send_header("content-type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"

    def take(self, body: bytes) -> None:
        self.bytes += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services |= {each.value.string_value for each in resource.resource.attributes if each.key == "service.name"}
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def begun(hub: Hub, collector: Collector, ratio: float = 1.0) -> Callable[[], int]:
    """Traces have begun; what is returned sends those of all that is out a minute later, and says of how many messages."""
    send = sending(collector.url, "hub of a test")

    def sent() -> int:
        with hub.connection.transaction():
            return send_traces(hub.connection, hub.clock() + timedelta(minutes=1), send, ratio)

    assert sent() == 0
    return sent


def put(hub: Hub, case_id: str, traceparent: str | None = None, amount: int = 500) -> None:
    headers = {"TraceParent": traceparent} if traceparent else {}
    hub.put(primary_input(Scheme.AAP), f"key of {case_id}", aap(case_id, amount), headers)


def test_a_message_is_one_trace_from_intake_to_its_final_status(kvitt_hub: Hub, collector: Collector) -> None:
    sent = begun(kvitt_hub, collector)
    put(kvitt_hub, "S")
    kvitt_hub.run()
    assert sent() == 1
    assert sent() == 0
    assert collector.services == {"hub of a test"}
    assert len({span.trace_id for span in collector.spans}) == 1
    named = {span.name: span for span in collector.spans}
    (root,) = [span for span in collector.spans if not span.parent_span_id]
    assert root is named["message"]
    parents = {
        span.name: next((each.name for each in collector.spans if each.span_id == span.parent_span_id), None) for span in collector.spans
    }
    assert parents == {
        **dict.fromkeys(("intake", "decide", "order", "publish"), "message"),
        **dict.fromkeys(("send", "receipt"), "order"),
        "message": None,
    }
    steps = [named[name] for name in ("intake", "decide", "send", "receipt")]
    final = max((span for span in collector.spans if span.name == "publish"), key=lambda span: span.end_time_unix_nano)
    assert all(one.end_time_unix_nano <= other.end_time_unix_nano for one, other in pairwise([*steps, final]))
    assert root.start_time_unix_nano <= min(span.start_time_unix_nano for span in collector.spans)
    assert root.end_time_unix_nano == final.end_time_unix_nano
    assert {span.status.code for span in collector.spans} == {Status.STATUS_CODE_UNSET}


def test_nothing_of_a_trace_tells_of_a_person(kvitt_hub: Hub, collector: Collector) -> None:
    sent = begun(kvitt_hub, collector)
    put(kvitt_hub, "CASE-OF-SOMEBODY")
    kvitt_hub.rail.fault(refuse=1, text=f"{PERSON} er ukjent")
    kvitt_hub.run()
    assert sent() == 1
    for word in (person_of("CASE-OF-SOMEBODY"), PERSON, "CASE-OF-SOMEBODY", "er ukjent"):
        assert word.encode() not in collector.bytes
    failed = {span.name for span in collector.spans if span.status.code == Status.STATUS_CODE_ERROR}
    assert failed == {"order", "receipt"}


def test_the_trace_of_the_sender_is_gone_on_with(kvitt_hub: Hub, collector: Collector) -> None:
    sent = begun(kvitt_hub, collector, ratio=0)
    put(kvitt_hub, "S1", f"00-{TRACE}-{PARENT}-01")
    put(kvitt_hub, "S2", f"00-{TRACE[::-1]}-{PARENT}-00")
    put(kvitt_hub, "S3", "none of a trace")
    kvitt_hub.run()
    assert sent() == 1
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    (root,) = [span for span in collector.spans if span.name == "message"]
    assert root.parent_span_id.hex() == PARENT
    carried = kvitt_hub.published("helved.status.v1", "key of S1")[-1]
    assert carried.header("TraceParent") == f"00-{TRACE}-{PARENT}-01"


def test_a_collector_that_is_away_gets_the_same_spans_later(kvitt_hub: Hub, collector: Collector) -> None:
    sent = begun(kvitt_hub, collector)
    put(kvitt_hub, "S1")
    put(kvitt_hub, "S2")
    kvitt_hub.run()
    collector.takes = False
    with pytest.raises(TracesNotTaken):
        sent()
    collector.takes = True
    assert sent() == 2
    put(kvitt_hub, "S1", amount=700)
    kvitt_hub.run()
    assert sent() == 1
    ids = [span.span_id for span in collector.spans]
    assert len(ids) == len(set(ids))


def test_a_message_without_its_final_status_waits_and_holds_up_nobody(kvitt_hub: Hub, collector: Collector) -> None:
    sent = begun(kvitt_hub, collector)
    kvitt_hub.rail.fault(swallow=1)
    put(kvitt_hub, "S1")
    put(kvitt_hub, "S2")
    kvitt_hub.run()
    assert sent() == 1
    put(kvitt_hub, "S3")
    kvitt_hub.run("intake")
    assert sent() == 0, "what is not out yet has no trace yet"
    kvitt_hub.run()
    assert sent() == 1


def test_a_call_over_rest_keeps_the_trace_that_it_is_in(kvitt_hub: Hub, collector: Collector) -> None:
    sent = begun(kvitt_hub, collector)
    token = kvitt_hub.rest.token(schemes=tuple(Scheme))
    with httpx.Client(base_url=kvitt_hub.rest.url, timeout=PATIENCE_SECONDS) as caller:
        for number, traceparent in enumerate((f"00-{TRACE}-{PARENT}-01", "none of a trace")):
            body = single_text(single(span("2026-06-01"), sakId=f"AAP-{number}", personident=person_of(f"S{number}")))
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "traceparent": traceparent}
            answer = caller.post(f"/utbetalinger/{payment_uid(str(number))}", content=body, headers=headers)
            assert answer.status_code == 201, answer.text
    stored = [bytes(headers) for (headers,) in kvitt_hub.connection.execute("SELECT headers FROM messages ORDER BY message_no")]
    assert [TRACE.encode() in each for each in stored] == [True, False]
    assert b"none of a trace" not in stored[1]
    kvitt_hub.run()
    assert sent() == 2
    assert TRACE in {span.trace_id.hex() for span in collector.spans}
    kvitt_hub.check()


def test_a_call_keeps_the_trace_that_it_is_in() -> None:
    call = CallHeaders("post", "3", "app", traceparent=f"00-{TRACE}-{PARENT}-01")
    assert TRACE.encode() in call.encode()
    assert call_headers(call.encode()).application == "app"
    assert b"traceparent" not in CallHeaders("post", "3", "app").encode()


@pytest.mark.parametrize(
    "value",
    [None, "", "x", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{PARENT}", f"00-{TRACE.upper()}-{PARENT}-01"],
)
def test_a_header_that_is_none_of_a_trace_says_nothing(value: str | None) -> None:
    assert trace_parent_of(value) is None


def test_traces_are_a_job_where_they_are_set_and_cost_nothing_where_they_are_not(kvitt_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    on = Settings(tracing=TracingSettings(url="http://127.0.0.1:9/v1/traces"))
    assert "traces" in [job.name for job in jobs_of(on, kvitt_hub.ports)]
    looked = "import sys, kvitt.app.hub; from kvitt.app.parts import jobs_of; from kvitt.app.ports import PORTS"
    looked += "; from kvitt.settings import Settings"
    said = f"{looked}; jobs_of(Settings(), PORTS); print([name for name in sys.modules if name.startswith('opentelemetry')])"
    assert subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(BadSettings, match=r"kvitt\[otel\]"):
        jobs_of(on, kvitt_hub.ports)
