"""The registry as an application that a server's processes run, with its debug address, its chores and its metrics."""

import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from moorage.cache.shared_changes import SharedChanges
from moorage.config import Config
from moorage.http.database_report import DatabaseReport
from moorage.http.debug import DebugApp
from moorage.http.health_report import HealthReport
from moorage.limits.node_counters import NodeCounters
from moorage.server.address import ListenAddress
from moorage.server.application import Application, ServerProcess
from moorage.server.server_settings import ServerSettings
from moorage.server.tls.tls_contexts import ServerTLS
from moorage.telemetry import get_log
from moorage.tracing.spans import spans_here
from moorage.web.beside import Beside, Handler, Neighbour
from moorage.wiring.at_work import shown_at_work
from moorage.wiring.guards import token_path
from moorage.wiring.health import storage_question
from moorage.wiring.log_settings import log_settings
from moorage.wiring.notifications import finish_time
from moorage.wiring.observers import observers
from moorage.wiring.registry import Registry, build
from moorage.wiring.stores import Store
from moorage.wiring.tracing import TracedRequests, open_spans

_log = get_log("worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryApplication:
    """Makes the registry of each process; itself it is made once, before there are any."""

    config: Config
    store: Store
    secret: bytes
    """Signs the states of uploads; the same for all: :func:`upload_key`."""
    counters: NodeCounters | None = None
    """The counters of rate limits, shared by all: :func:`moorage.wiring.limits.node_counters`; None: no limits."""
    share: float = 1.0
    """The part of a limit of requests to storage that each process may use."""
    changes: SharedChanges = field(default_factory=SharedChanges)
    """Shared by all, as it is made before they are forked."""
    tokens: Neighbour | None = None
    """The token server; None: the registry is none."""

    async def __call__(self, process: ServerProcess) -> Application:
        """Make the application of one process.

        Raises:
            ConfigurationError, StorageUnavailable, DatabaseUnavailable: it cannot be made.
        """
        spans = open_spans(os.environ)
        spans_here.set(spans)  # For all tasks that are made from here on.
        observed = observers(process, driver=self.config.storage.name)
        traced = None if spans is None else TracedRequests(spans, observed.requests)
        registry = await build(
            self.config,
            self.store,
            secret=self.secret,
            counters=self.counters,
            observed=observed if traced is None else replace(observed, requests=traced),
            share=self.share,
            changes=self.changes,
        )
        health = _health_report(self.config, registry)
        front = self._front(registry)

        async def close() -> None:
            await registry.close()
            if spans is not None:
                await spans.close()

        return Application(
            handler=front if traced is None else traced.around(front),
            debug=_debug_app(self.config, registry, health, process),
            chores=registry.chores if self.tokens is None else (*registry.chores, self.tokens.keep),
            upkeep=registry.upkeep,
            flushes=(*registry.metadata.flushes, *registry.notifying.flushes),
            on_duty=partial(self._on_duty, registry),
            on_drain=health.drain,
            close=close,
        )

    @contextlib.asynccontextmanager
    async def _on_duty(self, registry: Registry, stop: Callable[[], None]) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(registry.health.at_work())
            if not self.config.storage.maintenance.readonly.enabled:
                await stack.enter_async_context(shown_at_work(registry.storage, on_loss=stop, room=registry.room))
            if registry.notifying.at_work is not None:
                await stack.enter_async_context(registry.notifying.at_work())
            yield

    def _front(self, registry: Registry) -> Handler:
        """Return the handler of requests: the registry, and with it its own token server if there is one."""
        if self.tokens is None:
            return registry.app
        path = token_path(self.config)
        return Beside(registry.app, self.tokens.app(path, registry.app.access_log), path=path)


def registry_settings(
    config: Config, *, count: int, has_keeper: bool, tls: ServerTLS | None = None, debug_tls: ServerTLS | None = None
) -> ServerSettings:
    """Return the settings of the registry's server, as *config* has them."""
    http = config.http
    debug = ListenAddress(http.debug.addr, key="http.debug.addr") if http.debug.addr else None
    return ServerSettings(
        address=ListenAddress(http.addr, is_unix=http.net == "unix"),
        debug_address=debug,
        tls=tls,
        debug_tls=debug_tls,
        count=count,
        has_keeper=has_keeper,
        has_metrics=debug is not None and http.debug.prometheus.enabled,
        drain_time=http.draintimeout,
        finish_time=finish_time(config),
        log=log_settings(config),
    )


def upload_key(secret: str) -> bytes:
    """Return the key of upload states: the configured one with this boot's, so that a power cut makes all states void.

    A state vouches for bytes that were written and not yet synced, and these may be gone after a power cut.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    except OSError:
        boot = secrets.token_bytes(32)
    return secret.encode() + b"\0" + boot if secret else secrets.token_bytes(32)


def _health_report(config: Config, registry: Registry) -> HealthReport:
    is_read_only = config.storage.maintenance.readonly.enabled
    return HealthReport(
        registry.storage,
        registry.metadata.database,
        watch=registry.health,
        probe=storage_question(registry.storage, is_read_only=is_read_only),
        room=registry.room,
        damage=registry.damaged.remaining,
        is_read_only=is_read_only,
    )


def _debug_app(config: Config, registry: Registry, health: HealthReport, process: ServerProcess) -> DebugApp:
    served = None if registry.metadata.database is None else DatabaseReport(registry.metadata.database)
    if process.metrics is None:
        return DebugApp(health, database=served)
    from moorage.server.metrics import Exposition  # noqa: PLC0415 - as above

    counts, database, rows = config.database.metrics, registry.metadata.database, None
    if database is not None and counts.enabled:
        from moorage.wiring.collection import row_counts  # noqa: PLC0415 - as above

        rows = row_counts(database)
    exposition = Exposition(
        process.metrics,
        rows=rows,
        interval=counts.interval,
        pending=registry.notifying.pending,
        adopted=registry.metadata.adopted,
    )
    return DebugApp(health, database=served, metrics=exposition, metrics_path=config.http.debug.prometheus.path)
