"""The supervisor: binds the addresses, keeps the workers running, passes signals on. It serves nothing itself.

What is set up before it forks, such as the log, is there in every process, and shared by them.
"""

import contextlib
import dataclasses
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from moorage.errors import MoorageError
from moorage.server import worker
from moorage.server.allocator import share_one_arena
from moorage.server.application import KEEPER, MakeApplication, ServerProcess
from moorage.server.idle_pages import let_go_of_files
from moorage.server.metrics_folder import metrics_folder
from moorage.server.open_files import raise_open_files
from moorage.server.server_settings import ServerSettings
from moorage.telemetry import LEVELS, get_log, set_level

_log = get_log("supervisor")

_OTHERS = {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
"""Administrators and log rotation send them to daemons, and mean no end by it."""
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *_OTHERS}
_CANNOT_START = 3
"""A worker's exit status when trying again is of no use."""
_QUICK_S = 5.0
"""A worker that ends sooner is restarted ever more slowly."""
_BACKOFF_LIMIT_S = 30.0
_STOP_MARGIN_S = 5.0
"""Seconds that workers get on top of their time to drain before they are killed."""


@dataclass(slots=True)
class _Worker:
    """A place for a worker, and the process that holds it now."""

    number: int
    pid: int = 0
    started_at: float = 0.0
    restart_at: float = 0.0
    failures: int = 0


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """Runs the processes of an application until a signal ends it."""

    settings: ServerSettings
    make: MakeApplication
    """Called in every process, after it was forked."""
    on_ready: Callable[[str], object]
    """Called once, with the address, when every worker answers."""
    reread_level: Callable[[], str] | None = None
    """Reads the configuration once more, for the level of the log; None: there is none to read."""
    _workers: list[_Worker] = field(default_factory=list)
    _listeners: list[socket.socket] = field(default_factory=list)
    _debug_listeners: list[socket.socket] = field(default_factory=list)
    _lifeline: tuple[int, int] = (-1, -1)
    _ready: tuple[int, int] = (-1, -1)
    _stopping: bool = False
    _metrics: Path | None = None

    def run(self) -> int:
        """Serve; return the exit status.

        Raises:
            ConfigurationError: the addresses cannot be bound.
        """
        settings = self.settings
        raise_open_files()
        self._listeners = settings.address.bind(settings.count)
        if settings.debug_address is not None:
            self._debug_listeners = settings.debug_address.bind(settings.count)
        self._lifeline, self._ready = os.pipe(), os.pipe()
        os.set_blocking(self._ready[0], False)
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._workers = [_Worker(number) for number in range(settings.count)]
        share_one_arena()
        gc.freeze()  # Workers need not look at what is here, and so share the pages that it is on.
        gc.enable()
        with self._counting():
            for place in self._workers:
                self._start(place)
            return self._watch()

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        """A private folder for metrics while the node runs, if anybody can ask for them."""
        if not self.settings.has_metrics:
            yield
            return
        with contextlib.ExitStack() as stack:
            try:
                self._metrics = stack.enter_context(metrics_folder())
            except OSError as exc:
                _log.error("there is no folder to count in, so there are no metrics", error=str(exc))
            yield

    def _watch(self) -> int:
        waiting = self.settings.count
        while True:
            caught = signal.sigtimedwait(_SIGNALS, self._pause(waiting))
            if waiting:
                waiting -= self._announced()
                if waiting <= 0:
                    waiting = 0
                    self.on_ready(_shown(self._listeners[0]))
                    if self.settings.has_keeper:  # Not before: it has nothing to do with the first answer.
                        self._workers.append(_Worker(KEEPER))
                    let_go_of_files()
            if caught is not None and caught.si_signo in _OTHERS:
                self._note(signal.Signals(caught.si_signo))
            elif caught is not None and caught.si_signo != signal.SIGCHLD:
                return self._stop(signal.Signals(caught.si_signo))
            if self._reap():
                self._stop(signal.SIGTERM)
                return 1
            now = time.monotonic()
            for place in self._workers:
                if place.pid == 0 and place.restart_at <= now:
                    self._start(place)

    def _note(self, name: signal.Signals) -> None:
        """Do what a signal asks for, as far as that is not done without it, and say what was done."""
        if name is not signal.SIGHUP:
            message = "nothing to do: logs go to stdout or stderr, so that there is none to open again"
            _log.info(message, caught=name.name)
            return
        if self.reread_level is None:
            message = "nothing to do: files are read whenever they change; everything else needs a restart"
            _log.info(message, caught=name.name)
            return
        before = self.settings.log.level
        try:
            level = self.reread_level()
        except MoorageError as exc:
            _log.error("the configuration cannot be read again; nothing has changed", caught=name.name, error=str(exc))
            return
        if LEVELS[level] < LEVELS[before]:
            set_level(level)  # Before the line, which may be one that was not written until now.
        _log.info(
            "read again: log.level; certificates, keys, passwords and rules are, whenever their files change; "
            "everything else of the configuration needs a restart",
            caught=name.name,
            log_level=level,
        )
        set_level(level)
        self.settings = dataclasses.replace(self.settings, log=dataclasses.replace(self.settings.log, level=level))

    def _pause(self, waiting: int) -> float:
        if waiting:
            return 0.01
        due = [place.restart_at - time.monotonic() for place in self._workers if place.pid == 0]
        return max(0.0, min([*due, 3600.0]))

    def _announced(self) -> int:
        with contextlib.suppress(BlockingIOError):
            return len(os.read(self._ready[0], 1024))
        return 0

    def _start(self, place: _Worker) -> None:
        sys.stdout.flush()
        place.started_at, place.restart_at = time.monotonic(), 0.0
        place.pid = os.fork()
        if place.pid == 0:
            os._exit(self._be_worker(place.number))

    def _be_worker(self, number: int) -> int:
        """Run a worker in the child process, and return the status to exit with."""
        try:
            # They stay blocked until they can be handled: a start that is cut off would not close its files.
            for name in _SIGNALS:
                signal.signal(name, signal.SIG_IGN if name in _OTHERS else signal.SIG_DFL)
            _name_process(number)
            os.close(self._lifeline[1])
            self._close_others(number)
            worker.run(self._setup(number))
        except MoorageError as exc:
            _log.error("the worker cannot start", error=str(exc))
            return _CANNOT_START
        except KeyboardInterrupt:
            return 0
        except BaseException:  # noqa: BLE001 - whatever it is, the parent must see a status
            _log.exception("the worker crashed")
            return 1
        finally:
            if self.settings.log.reports is not None:
                self.settings.log.reports.flush()
            sys.stdout.flush()
            sys.stderr.flush()
        return 0

    def _setup(self, number: int) -> worker.WorkerSetup:
        return worker.WorkerSetup(
            settings=self.settings,
            process=ServerProcess(number=number, metrics=self._metrics),
            make=self.make,
            listeners=_own(self._listeners, number),
            debug_listeners=_own(self._debug_listeners, number),
            lifeline=self._lifeline[0],
            announce=lambda: _write_byte(self._ready[1]),
        )

    def _close_others(self, number: int) -> None:
        """Let go of the sockets of other workers: one that is held by nobody refuses, one that is held waits."""
        for listeners in (self._listeners, self._debug_listeners):
            for listener in listeners:
                if listener not in _own(listeners, number):
                    listener.close()

    def _reap(self) -> bool:
        """Note which workers have ended; whether one of them says that none can start."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return False
            place = next((place for place in self._workers if place.pid == pid), None)
            if place is None:
                continue
            place.pid = 0
            if self._stopping:
                continue
            code = os.waitstatus_to_exitcode(status)
            if code == _CANNOT_START:
                return True
            quick = time.monotonic() - place.started_at < _QUICK_S
            place.failures = place.failures + 1 if quick else 0
            delay_s = min(0.1 * 2**place.failures, _BACKOFF_LIMIT_S) if quick else 0.0
            place.restart_at = time.monotonic() + delay_s
            _log.error("a worker ended; starting another", pid=pid, status=code, delay_s=delay_s)

    def _stop(self, name: signal.Signals) -> int:
        patience_s = self.settings.drain_time.total_seconds()
        self._stopping = True
        _log.info("stopping", quit_signal=name.name, http_drain_timeout_s=patience_s)
        for listener in [*self._listeners, *self._debug_listeners]:
            listener.close()
        self._tell(name)
        deadline = time.monotonic() + patience_s + self.settings.finish_time.total_seconds() + _STOP_MARGIN_S
        while any(place.pid for place in self._workers) and time.monotonic() < deadline:
            caught = signal.sigtimedwait(_SIGNALS, 0.2)
            if caught is not None and caught.si_signo == signal.SIGINT and name is not signal.SIGINT:
                self._tell(signal.SIGKILL)  # A person at a terminal has lost patience.
            self._reap()
        self._tell(signal.SIGKILL)
        if self.settings.address.is_unix:
            with contextlib.suppress(OSError):
                os.unlink(self.settings.address.text)  # noqa: PTH108 - one call
        return 0

    def _tell(self, name: signal.Signals) -> None:
        for place in self._workers:
            if place.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(place.pid, name)


def _own(listeners: list[socket.socket], number: int) -> list[socket.socket]:
    """A worker's own socket; a path has one for all."""
    if not listeners or number == KEEPER:
        return []
    return [listeners[number] if len(listeners) > 1 else listeners[0]]


def _name_process(number: int) -> None:
    """Call a process, in the lists of ``ps`` and ``top``, what it is."""
    name = "moorage-keeper" if number == KEEPER else f"moorage-worker{number}"
    with contextlib.suppress(OSError):  # Not everywhere is Linux.
        fd = os.open("/proc/self/comm", os.O_WRONLY)  # Each process has for itself what it touches: no Path.
        try:
            os.write(fd, name.encode())
        finally:
            os.close(fd)


def _write_byte(fileno: int) -> None:
    os.write(fileno, b".")


def _shown(listener: socket.socket) -> str:
    if listener.family == socket.AF_UNIX:
        return str(listener.getsockname())
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
