"""One worker: an event loop that serves its sockets until it is told to stop."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import uvloop
from aiohttp import web

from moorage.config import Config
from moorage.config.stores import Store
from moorage.errors import BackendError
from moorage.gc.online.review_loop import ReviewObserver
from moorage.http.beside import Beside, Handler, Neighbour
from moorage.http.connection import ConnectionServer
from moorage.http.debug import DebugApp
from moorage.server.at_work import shown_at_work
from moorage.server.chores import housekeeping
from moorage.server.open_files import watch_open_files
from moorage.server.scheduling import step_back
from moorage.server.tls.tls_contexts import CHECK_S, ServerTLS
from moorage.storage.base import Capability
from moorage.telemetry import get_log
from moorage.wiring.collection import row_counts
from moorage.wiring.guards import token_path
from moorage.wiring.registry import Registry, build

_log = get_log("worker")

_DRAIN_TICK_S = 0.05
_CUT_S = 0.5
"""Seconds that handlers get to let go of their files when their time is up."""

_GC_THRESHOLD = 50_000
"""A request makes some hundred objects and hardly a cycle: looking for cycles every 700 costs a good part of it."""

HOUSEKEEPER = -1
_HOUSEKEEPER_NICENESS = 10

_FLUSH_S = 5.0
"""Seconds between notes of pulls and uploads in the database: long, as every write makes SQLite's readers forget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """Everything that the supervisor gives a worker."""

    store: Store

    number: int
    """From 0; :data:`HOUSEKEEPER` serves nothing and does what only one process of a node has to do."""
    listeners: Sequence[socket.socket]
    debug_listeners: Sequence[socket.socket]
    tls: ServerTLS | None
    """HTTPS of the main address, as it was when the supervisor started; None for plain HTTP."""
    debug_tls: ServerTLS | None
    """The same for the debug address."""
    secret: bytes
    """Signs the states of uploads; the same for all."""
    lifeline: int
    """The reading end of a pipe that closes when the supervisor is gone."""
    announce: Callable[[], None]
    """To be called when requests are answered."""
    tokens: Neighbour | None = None
    """The token server; None: the registry is none."""
    metrics: Path | None = None
    """The folder in which the node's processes count; None: metrics are off."""


def run(config: Config, station: Station) -> None:
    """Serve until SIGTERM (drain), SIGINT (stop at once), or the end of the supervisor (drain).

    Raises:
        ConfigurationError, StorageUnavailable: it cannot start.
    """
    work = _keep_house if station.number == HOUSEKEEPER else _serve
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work(config, station))


async def _keep_house(config: Config, station: Station) -> None:
    """Do what is to be done from time to time, in a process of its own: nobody who pulls or pushes waits for it."""
    step_back(_HOUSEKEEPER_NICENESS)
    stop = _StopSignal(station.lifeline)
    observer, on_damage = _observers(station)
    registry = await build(config, station.store, secret=station.secret, observer=observer, on_damage=on_damage)
    async with housekeeping(config, registry), _kept(station.tokens):
        await stop.wait()
    await _flush_once(registry.metadata.flushes)
    await registry.close()


async def _serve(config: Config, station: Station) -> None:
    stop = _StopSignal(station.lifeline)
    observer, on_damage = _observers(station)
    registry = await build(config, station.store, secret=station.secret, observer=observer, on_damage=on_damage)
    tls, debug_tls = station.tls, station.debug_tls
    kept_fresh = [part for part in (tls, debug_tls) if part is not None]
    for part in kept_fresh:
        part.refresh(at_once=True)  # The supervisor may have started long ago.
    async with contextlib.AsyncExitStack() as stack:
        connections = ConnectionServer(_front(config, registry, station))
        server = web.ServerRunner(connections, handle_signals=False, shutdown_timeout=_CUT_S)
        await server.setup()
        for listener in station.listeners:
            await web.SockSite(server, listener, ssl_context=_context(tls)).start()
        debug = web.ServerRunner(
            ConnectionServer(_debug_app(config, registry, station)),
            handle_signals=False,
            shutdown_timeout=_CUT_S,
        )
        await debug.setup()
        for listener in station.debug_listeners:
            await web.SockSite(debug, listener, ssl_context=_context(debug_tls)).start()
        stack.push_async_callback(debug.cleanup)
        stack.push_async_callback(server.cleanup)
        if not config.storage.maintenance.readonly.enabled:
            await stack.enter_async_context(shown_at_work(registry.storage, on_loss=stop.at_once))
        if station.number == 0 and Capability.SHARED not in registry.storage.capabilities:
            await stack.enter_async_context(housekeeping(config, registry))
            await stack.enter_async_context(_kept(station.tokens))
        if station.number == 0 and tls is not None:
            stack.callback(tls.begin_issuing())
        stack.callback(asyncio.create_task(_refresh(kept_fresh)).cancel)
        stack.callback(asyncio.create_task(watch_open_files()).cancel)
        flushing = asyncio.create_task(_flush(registry.metadata.flushes))
        stack.push_async_callback(_ended, flushing)
        gc.collect()
        gc.freeze()  # What lives as long as the worker need not be looked at again.
        gc.set_threshold(_GC_THRESHOLD)
        station.announce()
        drains = await stop.wait()
        await _drain(server, connections, config.http.draintimeout if drains else timedelta(0))
    await _flush_once(registry.metadata.flushes)
    await registry.close()


@contextlib.asynccontextmanager
async def _kept(tokens: Neighbour | None) -> AsyncIterator[None]:
    """While the keys of tokens, if there are any, are looked after."""
    if tokens is None:
        yield
        return
    task = asyncio.create_task(tokens.keep())
    try:
        yield
    finally:
        await _ended(task)


def _front(config: Config, registry: Registry, station: Station) -> Handler:
    """Return the handler of requests: the registry, and with it its own token server if there is one."""
    if station.tokens is None:
        return registry.app
    path = token_path(config)
    return Beside(registry.app, station.tokens.app(path), path=path)


def _observers(station: Station) -> tuple[ReviewObserver | None, Callable[[], None] | None]:
    """Return the observers that count for metrics, of garbage collection and of damaged blobs; None without metrics."""
    if station.metrics is None:
        return None, None
    from moorage.core.metrics import BlobMetrics  # noqa: PLC0415 - as below
    from moorage.gc.online.collection_metrics import CollectionMetrics  # noqa: PLC0415 - a start without metrics need not wait for it
    from moorage.server.metrics import count_in  # noqa: PLC0415 - as above

    try:
        counted = count_in(station.metrics, station.number)
        return CollectionMetrics(counted), BlobMetrics(counted).met_damage
    except OSError as exc:
        _log.error("there is no room to count in: this process is missing in the metrics", error=str(exc))
        return None, None


def _debug_app(config: Config, registry: Registry, station: Station) -> DebugApp:
    storage, database = registry.storage, registry.metadata.database
    if station.metrics is None:
        return DebugApp(storage, database, room=registry.room, damage=registry.damaged.remaining)
    from moorage.server.metrics import Exposition  # noqa: PLC0415 - as above

    counts = config.database.metrics
    rows = row_counts(database) if database is not None and counts.enabled else None
    exposition = Exposition(station.metrics, rows=rows, interval=counts.interval)
    path = config.http.debug.prometheus.path
    return DebugApp(
        storage,
        database,
        room=registry.room,
        damage=registry.damaged.remaining,
        metrics=exposition,
        metrics_path=path,
    )


class _StopSignal:
    """Waits to be told to stop, and knows whether there is time to finish."""

    def __init__(self, lifeline: int) -> None:
        self._told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._tell, True)
        loop.add_signal_handler(signal.SIGINT, self._tell, False)
        loop.add_reader(lifeline, self._lost, lifeline)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})

    async def wait(self) -> bool:
        """Return when told; whether requests in flight may end."""
        return await self._told

    def at_once(self) -> None:
        """Stop, without an end for requests in flight."""
        self._tell(False)

    def _tell(self, drains: bool) -> None:  # noqa: FBT001 - add_signal_handler passes it on
        if not self._told.done():
            self._told.set_result(drains)

    def _lost(self, lifeline: int) -> None:
        if os.read(lifeline, 1) == b"":
            asyncio.get_running_loop().remove_reader(lifeline)
            _log.error("the supervisor is gone; draining")
            self._tell(True)


def _context(tls: ServerTLS | None) -> ssl.SSLContext | None:
    return None if tls is None else tls.context


async def _drain(server: web.ServerRunner, connections: ConnectionServer, patience: timedelta) -> None:
    """Take no more connections, and give requests in flight *patience* to end; idle connections are closed."""
    for site in list(server.sites):
        await site.stop()
    # Not aiohttp's own way: from the first moment it drops the rest of every body that is still coming in.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience.total_seconds()):
            while connections.retire():  # noqa: ASYNC110 - there are as many ends as connections
                await asyncio.sleep(_DRAIN_TICK_S)
    await connections.shutdown(_CUT_S)


async def _refresh(parts: Sequence[ServerTLS]) -> None:
    while parts:
        await asyncio.sleep(CHECK_S)
        for part in parts:
            part.refresh()


async def _flush(flushes: Sequence[Callable[[], Awaitable[None]]]) -> None:
    while flushes:
        await asyncio.sleep(_FLUSH_S)
        await _flush_once(flushes)


async def _ended(task: asyncio.Task[None]) -> None:
    """Stop a task, and wait until it has put back what it had in hand."""
    task.cancel()
    await asyncio.wait([task])


async def _flush_once(flushes: Sequence[Callable[[], Awaitable[None]]]) -> None:
    for flush in flushes:
        try:
            await flush()
        except BackendError as exc:
            _log.warning("pulls and uploads could not be noted; trying again later", error=str(exc))
