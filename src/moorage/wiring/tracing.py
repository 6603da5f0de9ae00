"""Tracing as the environment has it, by OpenTelemetry's own variables; and the parts of a registry, with spans around.

Off unless a variable asks for it: then nothing is wrapped, and nothing is loaded. Source: ADR 0065.
"""

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from aiohttp.web_request import BaseRequest

from moorage.errors import ConfigurationError, Mistake
from moorage.sql.base import Database, Transaction
from moorage.storage.base import StorageDriver
from moorage.tracing.spans import RequestSpan, Spans
from moorage.web.application import RequestObserver
from moorage.web.beside import Handler
from moorage.web.request import split_target
from moorage.web.responses import Response
from moorage.wiring.observing import STORAGE_ACTIONS, query_name

if TYPE_CHECKING:
    from moorage.redis.guarded import GuardedRedis
    from moorage.tracing.otel import OtelSpans

_EXPORTER = "OTEL_TRACES_EXPORTER"
_PLACES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_KNOWN = ("otlp", "console", "none")
_HTTP = "http/protobuf"


def wanted_exporters(environ: Mapping[str, str]) -> Sequence[str]:
    """Return where traces go; empty: tracing is off.

    Raises:
        ConfigurationError: it is asked for and cannot be done.
    """
    given = environ.get(_EXPORTER, "").strip() or ("otlp" if any(environ.get(name) for name in _PLACES) else "none")
    found = [word.strip() for word in given.split(",") if word.strip()]
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or found == ["none"]:
        return ()
    if unknown := [word for word in found if word not in _KNOWN]:
        message = f"{unknown[0][:60]!r} is none of {', '.join(_KNOWN)}"
        raise ConfigurationError([Mistake(_EXPORTER, message)])
    protocol = next(((name, environ[name]) for name in _PROTOCOLS if environ.get(name)), (_PROTOCOLS[0], _HTTP))
    if "otlp" in found and protocol[1] != _HTTP:
        message = f"only {_HTTP} is spoken here, usually at port 4318; or set {_EXPORTER}=none"
        raise ConfigurationError([Mistake(protocol[0], message)])
    try:
        import moorage.tracing.otel  # noqa: F401, PLC0415 - it is an extra
    except ImportError:
        message = "it needs packages that are not installed; type: pip install 'moorage[otel]', or set it to none"
        raise ConfigurationError([Mistake(_EXPORTER, message)]) from None
    return [word for word in found if word != "none"]


def open_spans(environ: Mapping[str, str]) -> "OtelSpans | None":
    """Return the spans of this process; None: tracing is off.

    Raises:
        ConfigurationError: see :func:`wanted_exporters`.
    """
    exporters = wanted_exporters(environ)
    if not exporters:
        return None
    from moorage.tracing.otel import OtelSpans  # noqa: PLC0415 - as above

    return OtelSpans(exporters, environ=environ)


class TracedRequests:
    """Spans around the requests of a process; it observes them to know their routes, and tells who observed before."""

    def __init__(self, spans: Spans, observer: RequestObserver | None) -> None:
        """*observer*: is told of requests as before; None: nobody is."""
        self._spans = spans
        self._observer = observer
        self._current: ContextVar[RequestSpan | None] = ContextVar("request_span", default=None)

    def around(self, handler: Handler) -> Handler:
        """Return *handler* with a span around each request."""

        async def traced(request: BaseRequest) -> Response:
            path = split_target(request.raw_path)[0]
            with self._spans.request(request.method, path, request.headers) as span:
                token = self._current.set(span)
                try:
                    response = await handler(request)
                finally:
                    self._current.reset(token)
                span.answered(status=response.status, request_id=response.request_id)
                return response

        return traced

    def begins(self) -> None:
        """See the protocol."""
        if self._observer is not None:
            self._observer.begins()

    def ends(self) -> None:
        """See the protocol."""
        if self._observer is not None:
            self._observer.ends()

    def answered(
        self, *, method: str, route: str, status: int, duration_s: float, received_bytes: int, sent_bytes: int
    ) -> None:
        """See the protocol."""
        span = self._current.get()
        if span is not None and route:
            span.routed(method, route)
        if self._observer is not None:
            self._observer.answered(
                method=method,
                route=route,
                status=status,
                duration_s=duration_s,
                received_bytes=received_bytes,
                sent_bytes=sent_bytes,
            )


def trace_parts(spans: Spans, storage: StorageDriver, redises: Sequence["GuardedRedis"]) -> None:
    """Put spans around calls to storage and to each Redis."""
    trace_storage(storage, spans)
    for client in redises:
        trace_redis(client, spans)


def trace_storage(storage: StorageDriver, spans: Spans) -> None:
    """Have every call to *storage* be a span."""
    for name, action in STORAGE_ACTIONS.items():
        method = getattr(storage, name, None)
        if method is not None and inspect.iscoroutinefunction(method):
            setattr(storage, name, _spanned(method, spans, _stored(storage.name, action)))


def trace_database(database: Database, spans: Spans) -> None:
    """Have every query be a span by its name, and every transaction one."""
    system = {"sqlite": "sqlite", "postgres": "postgresql"}[database.dialect]

    def named(args: tuple[object, ...]) -> tuple[str, Mapping[str, str | int]]:
        name = query_name(args)
        return f"database {name}", {"db.system.name": system, "db.operation.name": name}

    for name in ("all", "first", "write"):
        setattr(database, name, _spanned(getattr(database, name), spans, named))
    facts = {"db.system.name": system, "db.operation.name": "transaction"}
    if type(database).transact is not Database.transact:  # Else it is a block, as below.
        transact = _spanned(database.transact, spans, lambda _: ("database transaction", facts))
        setattr(database, "transact", transact)  # noqa: B010 - as above
    begin = database.transaction

    @contextlib.asynccontextmanager
    async def transaction(*, repository: str | None = None) -> AsyncIterator[Transaction]:
        with spans.call("database transaction", facts):
            async with begin(repository=repository) as found:
                yield found

    database.transaction = transaction  # type: ignore[method-assign]  # that is what tracing means


def trace_redis(client: "GuardedRedis", spans: Spans) -> None:
    """Have every turn at a Redis be a span."""
    turn = client.turn

    @contextlib.asynccontextmanager
    async def traced() -> AsyncIterator[Any]:
        with spans.call(client.name, {"db.system.name": "redis"}):
            async with turn() as found:
                yield found

    client.turn = traced  # type: ignore[method-assign]  # as above


def _stored(driver: str, action: str) -> Callable[[tuple[object, ...]], tuple[str, Mapping[str, str | int]]]:
    def named(args: tuple[object, ...]) -> tuple[str, Mapping[str, str | int]]:
        path = args[0] if args and isinstance(args[0], str) else ""
        return f"storage {action}", {"moorage.storage.driver": driver, "moorage.storage.path": path}

    return named


def _spanned(
    method: Callable[..., Awaitable[Any]],
    spans: Spans,
    named: Callable[[tuple[object, ...]], tuple[str, Mapping[str, str | int]]],
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def spanned(*args: object, **others: object) -> object:
        with spans.call(*named(args)):
            return await method(*args, **others)

    return spanned
