"""Traces as a receiver of our own gets them over OTLP."""

import queue
import subprocess
import sys
from collections.abc import Iterator, Mapping
from gzip import decompress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from e2e.databases import sqlite_path
from e2e.images import build_image
from e2e.notifying import push_tags
from e2e.settings import config_for
from e2e.wire import Wire
from moorage.errors import ConfigurationError
from moorage.wiring.tracing import wanted_exporters
from support.daemon import Daemon
from support.receiver import Receiver
from support.redis import Redis
from support.registry_client import RegistryClient
from support.threaded_server import Quiet, ThreadedServer

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
DEADLINE_S = 60.0


class Collector(ThreadedServer):
    """Takes spans over OTLP and keeps them."""

    def __init__(self) -> None:
        self.exports: queue.Queue[ExportTraceServiceRequest] = queue.Queue()
        self.spans: list[Span] = []
        self.resources: list[Mapping[str, str]] = []
        exports = self.exports

        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = decompress(body)
                exports.put(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        super().__init__(Handler)

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a registry sends here."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def take(self) -> None:
        """Wait for one more export."""
        found = self.exports.get(timeout=DEADLINE_S)
        for resource in found.resource_spans:
            self.resources.append({each.key: each.value.string_value for each in resource.resource.attributes})
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]

    def take_all(self) -> None:
        """Take what has come."""
        while not self.exports.empty():
            self.take()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def facts(span: Span) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_a_request_goes_on_with_its_callers_trace_down_to_storage_database_and_redis(
    tmp_path: Path, collector: Collector
) -> None:
    with Redis() as redis:
        tree = yaml.safe_load(config_for(tmp_path))
        tree["database"] = {"enabled": True, "sqlite": str(sqlite_path(tmp_path))}
        tree["redis"] = {"addr": redis.address}
        limiter = {
            "name": "all",
            "log_only": True,
            "match": {"type": "IP"},
            "precedence": 1,
            "limit": {"rate": 1000, "period": "second", "burst": 1000},
            "action": {"warn_threshold": 0.9, "warn_action": "log", "hard_action": "log"},
        }
        tree["rate_limiter"] = {"enabled": True, "limiters": [limiter]}
        running = Daemon(tmp_path, config=yaml.safe_dump(tree), env=collector.environment)
        with running as daemon, RegistryClient(daemon.address) as client:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": "secret=of-a-stranger"}
            answer = client.request("GET", "/v2/group/app/tags/list?_state=hidden", headers=headers)
            assert answer.status == 404
    collector.take_all()
    ours = [span for span in collector.spans if span.trace_id.hex() == TRACE]
    (request,) = [span for span in ours if span.parent_span_id.hex() == PARENT]
    assert request.name == "GET /v2/{name}/tags/list"
    told = facts(request)
    assert told["http.response.status_code"] == 404
    assert told["url.path"] == "/v2/group/app/tags/list"
    assert told["moorage.request_id"] == answer.headers["X-Request-Id"]
    below = [span for span in ours if span is not request]
    assert {span.parent_span_id for span in below} == {request.span_id}
    names = {span.name.partition(" ")[0] for span in below}
    assert names >= {"database", "redis"}
    assert "hidden" not in str(collector.spans)
    assert "of-a-stranger" not in str(collector.spans)
    assert {resource["service.name"] for resource in collector.resources} == {"moorage"}


def test_storage_is_seen_and_a_failure_is_marked(tmp_path: Path, collector: Collector) -> None:
    environment = {**collector.environment, "OTEL_SERVICE_NAME": "registry of the tests"}
    running = Daemon(tmp_path, config=config_for(tmp_path), env=environment)
    with running as daemon, RegistryClient(daemon.address) as client:
        assert client.request("GET", "/v2/group/app/tags/list").status == 404
    collector.take_all()
    (request,) = [span for span in collector.spans if span.name == "GET /v2/{name}/tags/list"]
    calls = [span for span in collector.spans if span.name.startswith("storage ") and span.trace_id == request.trace_id]
    assert calls
    assert {facts(span)["moorage.storage.driver"] for span in calls} == {"filesystem"}
    assert any(facts(span).get("error.type") == "PathUnknown" for span in calls)
    assert {resource["service.name"] for resource in collector.resources} == {"registry of the tests"}


def test_a_receiver_of_notifications_is_given_the_trace(tmp_path: Path, collector: Collector) -> None:
    with Receiver() as receiver:
        tree = yaml.safe_load(config_for(tmp_path))
        tree["database"] = {"enabled": True, "sqlite": str(sqlite_path(tmp_path))}
        tree["notifications"] = {"endpoints": [{"name": "here", "url": receiver.url, "timeout": "30s"}]}
        with Daemon(tmp_path, config=yaml.safe_dump(tree), env=collector.environment) as daemon:
            push_tags(Wire(daemon.address), "group/app", build_image("traced"), ["1"])
            receiver.wait(lambda receiver: bool(receiver.taken), DEADLINE_S)
            given = receiver.heard[0].headers["traceparent"]
    collector.take_all()
    _, trace, parent, _ = given.split("-")
    (sent,) = [span for span in collector.spans if span.span_id.hex() == parent]
    assert (sent.name, sent.trace_id.hex()) == ("notification", trace)


def test_a_collector_that_is_away_holds_up_nothing(tmp_path: Path) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY": "10"}
    with Daemon(tmp_path, env=environment) as daemon, RegistryClient(daemon.address) as client:
        for _ in range(20):
            assert client.request("GET", "/v2/").status == 200
        assert daemon.stop() == 0


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, ()),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, ()),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, ["otlp"]),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp", "console"]),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, ["otlp"]),
    ],
)
def test_opentelemetrys_own_variables_switch_it_on_and_off(environ: Mapping[str, str], found: object) -> None:
    assert wanted_exporters(environ) == found


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ],
)
def test_what_cannot_be_done_is_refused_by_the_name_of_its_variable(environ: Mapping[str, str], variable: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        wanted_exporters(environ)
    assert [mistake.path for mistake in caught.value.mistakes] == [variable]


def test_without_the_extra_there_is_one_sentence_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith("moorage.tracing.otel"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigurationError) as caught:
        wanted_exporters({"OTEL_TRACES_EXPORTER": "otlp"})
    assert "pip install 'moorage[otel]'" in caught.value.mistakes[0].message


def test_a_registry_that_is_not_traced_loads_nothing_of_it() -> None:
    code = "import sys, moorage.wiring.registry_application, moorage.starting.registry_start; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "moorage.tracing.spans" in loaded
    assert [name for name in loaded if name.startswith(("opentelemetry", "google.protobuf", "requests"))] == []
