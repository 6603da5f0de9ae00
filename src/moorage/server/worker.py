"""One worker: an event loop that serves its sockets until it is told to stop."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import uvloop
from aiohttp.web_request import BaseRequest

from moorage.errors import BackendError
from moorage.server.application import KEEPER, MakeApplication, ServerProcess
from moorage.server.chores import housekeeping
from moorage.server.draining import CUT_S, drain
from moorage.server.listening import Listening
from moorage.server.open_files import watch_open_files
from moorage.server.scheduling import step_back
from moorage.server.server_settings import ServerSettings
from moorage.server.tls.tls_contexts import CHECK, ServerTLS
from moorage.telemetry import get_log
from moorage.web.connection import ConnectionServer
from moorage.web.responses import Response
from moorage.work.alongside import alongside
from moorage.work.loop import Loop, LoopPace, every

_log = get_log("worker")

_KEEPER_NICENESS = 10

_FLUSH = timedelta(seconds=5)
"""Time between notes of pulls and uploads in the database: long, as every write makes SQLite's readers forget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """Everything that the supervisor gives a worker."""

    settings: ServerSettings
    process: ServerProcess
    make: MakeApplication
    listeners: Sequence[socket.socket]
    debug_listeners: Sequence[socket.socket]
    lifeline: int
    """The reading end of a pipe that closes when the supervisor is gone."""
    announce: Callable[[], None]
    """To be called when requests are answered."""

    @property
    def is_first(self) -> bool:
        """True for the worker that does what only one of them has to do."""
        return self.process.number == 0


def run(setup: WorkerSetup) -> None:
    """Serve until SIGTERM (drain), SIGINT (stop at once), or the end of the supervisor (drain).

    Raises:
        ConfigurationError, StorageUnavailable: it cannot start.
    """
    work = _keep_house if setup.process.number == KEEPER else _serve
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work(setup))


async def _keep_house(setup: WorkerSetup) -> None:
    """Do what is to be done from time to time, in a process of its own: nobody who pulls or pushes waits for it."""
    step_back(_KEEPER_NICENESS)
    stop = _StopSignal(setup.lifeline)
    application = await setup.make(setup.process)
    async with housekeeping(application.chores):
        await stop.wait()
    await _flush_once(application.flushes)
    await application.close()


async def _serve(setup: WorkerSetup) -> None:
    stop, settings = _StopSignal(setup.lifeline), setup.settings
    application = await setup.make(setup.process)
    tls, debug_tls = settings.tls, settings.debug_tls
    kept_fresh = [part for part in (tls, debug_tls) if part is not None]
    for part in kept_fresh:
        part.refresh(at_once=True)  # The supervisor may have started long ago.
    async with contextlib.AsyncExitStack() as stack:
        if application.on_duty is not None:  # Before the first request, and until after the last.
            await stack.enter_async_context(application.on_duty(stop.at_once))
        connections = _speaking(application.handler, tls)
        server = await _listening(connections, setup.listeners)
        if application.debug is not None:
            debug = await _listening(_speaking(application.debug, debug_tls), setup.debug_listeners)
            stack.push_async_callback(debug.close, CUT_S)
        stack.push_async_callback(server.close, CUT_S)
        await stack.enter_async_context(housekeeping(application.upkeep))
        if setup.is_first and not settings.has_keeper:
            await stack.enter_async_context(housekeeping(application.chores))
        if setup.is_first and tls is not None:
            stack.callback(tls.begin_issuing())
        works = [_flush(application.flushes), watch_open_files()]
        works += [every(CHECK, part.refresh) for part in kept_fresh]
        await stack.enter_async_context(alongside(*(work.run for work in works)))
        # What lives as long as the worker need not be looked at again. Not collected before: that would touch 0.4 MiB
        # of pages that are shared, for a few kilobytes.
        gc.freeze()
        gc.set_threshold(settings.collect_every)
        setup.announce()
        drains = await stop.wait()
        if application.on_drain is not None:
            application.on_drain()
        await drain(server, connections, settings.drain_time if drains else timedelta(0), cut=stop.cut)
    await _flush_once(application.flushes)
    await application.close()


def _speaking(handler: Callable[[BaseRequest], Awaitable[Response]], tls: ServerTLS | None) -> ConnectionServer:
    return ConnectionServer(handler, None if tls is None else tls.begin)


async def _listening(connections: ConnectionServer, listeners: Sequence[socket.socket]) -> Listening:
    """Answer by *connections* at *listeners*."""
    server = Listening(connections)
    for listener in listeners:
        await server.begin(listener)
    return server


class _StopSignal:
    """Waits to be told to stop, and knows whether there is time to finish."""

    def __init__(self, lifeline: int) -> None:
        self.cut = asyncio.Event()
        """Set when there is no time to finish any more, or never was."""
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
        if not drains:
            self.cut.set()
        if not self._told.done():
            self._told.set_result(drains)

    def _lost(self, lifeline: int) -> None:
        if os.read(lifeline, 1) == b"":
            asyncio.get_running_loop().remove_reader(lifeline)
            _log.error("the supervisor is gone; draining")
            self._tell(True)


def _flush(flushes: Sequence[Callable[[], Awaitable[None]]]) -> Loop:
    return Loop(partial(_flush_once, flushes), LoopPace(interval=_FLUSH, pauses_first=True))


async def _flush_once(flushes: Sequence[Callable[[], Awaitable[None]]]) -> None:
    for flush in flushes:
        try:
            await flush()
        except BackendError as exc:
            _log.warning("pulls and uploads could not be noted; trying again later", error=str(exc))
