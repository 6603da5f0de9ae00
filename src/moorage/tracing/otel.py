"""Spans by OpenTelemetry, sent over HTTP in the background. It needs the extra ``moorage[otel]``.

Nothing waits for it: what has ended goes through a bounded queue in a thread of its own, and what does not fit is
dropped. Baggage of strangers is neither kept nor passed on.

Source: W3C Trace Context; OpenTelemetry's environment variables; Distribution 3's ``tracing``.
"""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from moorage import __version__
from moorage.tracing.spans import Facts, RequestSpan

_CLOSE_MS = 2000
_CLOSE_S = 5.0
_LONGEST = 256
"""Characters of a fact that a stranger chose."""
_FAULT = 500


class OtelSpans:
    """Spans of one process. To be made in it, as a thread of it sends them; and to be closed."""

    def __init__(self, exporters: Sequence[str], *, environ: Mapping[str, str]) -> None:
        """*exporters*: ``otlp``, ``console``. The rest the library reads from the environment itself."""
        is_named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        resource = Resource.create({"service.version": __version__, **({} if is_named else {SERVICE_NAME: "moorage"})})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._exporters = [_exporter(name) for name in exporters]
        for exporter in self._exporters:
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("moorage", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, method: str, path: str, headers: Mapping[str, str]) -> Iterator[RequestSpan]:
        """See the protocol."""
        caller = self._propagator.extract(
            {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
        )
        facts = {
            "http.request.method": method[:16],
            "url.path": path[:_LONGEST],
            "user_agent.original": headers.get("User-Agent", "")[:_LONGEST],
        }
        span = self._tracer.start_span(method[:16], context=caller, kind=SpanKind.SERVER, attributes=facts)
        with _failing(span):
            yield _OtelRequest(span)

    def round(self, name: str) -> AbstractContextManager[object]:
        """See the protocol."""
        return _failing(self._tracer.start_span(name, kind=SpanKind.INTERNAL))

    def call(self, name: str, facts: Facts, *, begins: bool = False) -> AbstractContextManager[object]:
        """See the protocol."""
        if not begins and not get_current_span().get_span_context().is_valid:
            return nullcontext()
        shortened = {key: value[:_LONGEST] if isinstance(value, str) else value for key, value in facts.items()}
        # The error's text stays here: it may name what is nobody's business.
        return _failing(self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=shortened))

    def headers(self) -> Mapping[str, str]:
        """See the protocol."""
        found: dict[str, str] = {}
        self._propagator.inject(found)
        return found

    async def close(self) -> None:
        """Send what waits, but not for long: the process is about to end."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.to_thread(self._close)
        except TimeoutError:
            return

    def _close(self) -> None:
        self._provider.force_flush(_CLOSE_MS)
        for exporter in self._exporters:
            exporter.shutdown()  # First, so that nothing is tried again.
        self._provider.shutdown()


class _OtelRequest:
    def __init__(self, span: Span) -> None:
        self._span = span

    def routed(self, method: str, route: str) -> None:
        """See the protocol."""
        shown = route.replace("<", "{").replace(">", "}")
        self._span.update_name(f"{method[:16]} {shown}")
        self._span.set_attribute("http.route", shown)

    def answered(self, *, status: int, request_id: str) -> None:
        """See the protocol."""
        self._span.set_attribute("http.response.status_code", status)
        self._span.set_attribute("moorage.request_id", request_id)
        if status >= _FAULT:
            self._span.set_status(Status(StatusCode.ERROR))


@contextmanager
def _failing(span: Span) -> Iterator[object]:
    with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield span
        except Exception as exc:
            span.set_attribute("error.type", type(exc).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise


def _exporter(name: str) -> SpanExporter:
    return ConsoleSpanExporter(out=sys.stderr) if name == "console" else OTLPSpanExporter()
