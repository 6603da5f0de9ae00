"""The supervisor: binds the addresses, keeps the workers running, passes signals on. It serves nothing itself.

What is set up before it forks, such as the log, is there in every process, and shared by them.
"""

import contextlib
import dataclasses
import gc
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from moorage import __version__
from moorage.errors import MoorageError
from moorage.server import worker
from moorage.server.allocator import share_one_arena
from moorage.server.application import KEEPER, MakeApplication, ServerProcess
from moorage.server.crew import CANNOT_START, QUICK_S, SIGNALS, Crew, Place
from moorage.server.held_signals import OTHERS
from moorage.server.idle_pages import let_go_of_files
from moorage.server.metrics_folder import metrics_folder
from moorage.server.open_files import raise_open_files
from moorage.server.resting import Rested, Resting, rest
from moorage.server.server_settings import ServerSettings
from moorage.telemetry import LEVELS, get_log, level_of_all, set_level

_log = get_log("supervisor")

_CALM_S = 1.0
"""Seconds without anything to do after which a supervisor rests."""


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
    resting: Resting | None = None
    """The way to rest while nothing happens; None: it stays as it is."""
    _crew: Crew = field(init=False)
    _listeners: list[socket.socket] = field(default_factory=list)
    _debug_listeners: list[socket.socket] = field(default_factory=list)
    _metrics: Path | None = None
    _endings: list[Callable[[], object]] = field(default_factory=list)
    """Calls at the very end, for what has been set up here and by the start, of a supervisor that has rested."""
    _kept: list[int] = field(default_factory=list)
    """Files that stay open while it rests."""

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
        self._crew = Crew(
            drain_time_s=settings.drain_time.total_seconds(),
            finish_time_s=settings.finish_time.total_seconds(),
            unix_path=settings.address.text if settings.address.is_unix else "",
            places=[Place(number) for number in range(settings.count)],
            listeners=[listener.fileno() for listener in self._listeners],
            debug_listeners=[listener.fileno() for listener in self._debug_listeners],
            lifeline=os.pipe(),
            ready=os.pipe(),
        )
        os.set_blocking(self._crew.ready[0], False)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        if self.resting is not None:
            self._endings += self.resting.endings
            self._kept += self.resting.filenos
        _settle()
        with self._counting():
            for place in self._crew.places:
                self._start(place)
            return self._watch(waiting=settings.count)

    def go_on(self, rested: Rested, caught: int) -> int:
        """Do what a signal asks for after a rest, and all that follows; return the exit status.

        What was to be done at the end is left to whoever has called this.
        """
        self._crew, self._metrics = rested.crew, rested.metrics
        self._endings, self._kept = [*rested.endings], [*rested.filenos]
        self._listeners = [socket.socket(fileno=fileno) for fileno in rested.crew.listeners]
        self._debug_listeners = [socket.socket(fileno=fileno) for fileno in rested.crew.debug_listeners]
        _settle()
        return self._watch(caught)

    @contextlib.contextmanager
    def _counting(self) -> Iterator[None]:
        """A private folder for metrics while the node runs, if anybody can ask for them."""
        if not self.settings.has_metrics:
            yield
            return
        with contextlib.ExitStack() as stack:
            try:
                self._metrics, held = stack.enter_context(metrics_folder())
                self._kept.append(held)
                self._endings.append(partial(shutil.rmtree, self._metrics, ignore_errors=True))
            except OSError as exc:
                _log.error("there is no folder to count in, so there are no metrics", error=str(exc))
            yield

    def _watch(self, caught: int = 0, *, waiting: int = 0) -> int:
        """Do what there is to do, until the end; *waiting*: so many workers have not said yet that they answer."""
        while True:
            if waiting:
                waiting = max(0, waiting - self._announced())
                if not waiting:
                    self._begin()
            if caught in OTHERS:
                self._note(signal.Signals(caught))
            elif caught in (signal.SIGTERM, signal.SIGINT):
                return self._stop(signal.Signals(caught))
            if self._crew.reap():
                self._stop(signal.SIGTERM)
                return 1
            now = time.monotonic()
            for place in self._crew.places:
                if place.pid == 0 and place.restart_at <= now:
                    self._start(place)
            if not waiting and self._calm_at() <= time.monotonic():
                self._rest()
            found = signal.sigtimedwait(SIGNALS, 0.01 if waiting else self._pause())
            caught = 0 if found is None else found.si_signo

    def _begin(self) -> None:
        """Say that requests are answered, and begin what can wait until then."""
        self._crew.has_begun = True
        self.on_ready(_shown(self._listeners[0]))
        if self.settings.has_keeper:
            self._crew.places.append(Place(KEEPER))
        if self.resting is None:
            let_go_of_files()

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

    def _pause(self) -> float:
        due = [place.restart_at for place in self._crew.places if place.pid == 0]
        return max(0.0, min([*due, self._calm_at(), time.monotonic() + 3600.0]) - time.monotonic())

    def _calm_at(self) -> float:
        """The time at which there will be nothing to do; infinite: nobody knows it, or it does not rest."""
        if self.resting is None or any(place.pid == 0 for place in self._crew.places):
            return float("inf")
        return max(place.started_at + (QUICK_S if place.failures else _CALM_S) for place in self._crew.places)

    def _rest(self) -> None:
        """Become the small program; what cannot be is not tried again."""
        resting, log = self.resting, self.settings.log
        if resting is None:
            return
        if log.reports is not None:
            log.reports.flush()
        rested = Rested(
            crew=self._crew,
            log=dataclasses.replace(log, reports=None),
            level=level_of_all,
            version=__version__,
            metrics=self._metrics,
            endings=self._endings,
            filenos=self._kept,
        )
        rest(rested, resting.go_on)
        self.resting = None
        let_go_of_files()

    def _announced(self) -> int:
        with contextlib.suppress(BlockingIOError):
            return len(os.read(self._crew.ready[0], 1024))
        return 0

    def _start(self, place: Place) -> None:
        sys.stdout.flush()
        place.started_at, place.restart_at = time.monotonic(), 0.0
        try:
            pid = os.fork()
        except OSError as exc:
            if not self._crew.has_begun:
                raise
            # Memory or processes have run out, which is often why there is a place to fill.
            delay_s = place.put_off(failed=True)
            _log.error("no worker can be started; trying again", error=str(exc), delay_s=delay_s)
            return
        if pid == 0:
            os._exit(self._be_worker(place.number))
        place.pid = pid

    def _be_worker(self, number: int) -> int:
        """Run a worker in the child process, and return the status to exit with."""
        try:
            # They stay blocked until they can be handled: a start that is cut off would not close its files.
            for name in SIGNALS:
                signal.signal(name, signal.SIG_IGN if name in OTHERS else signal.SIG_DFL)
            _name_process(number)
            os.close(self._crew.lifeline[1])
            self._close_others(number)
            worker.run(self._setup(number))
        except MoorageError as exc:
            _log.error("the worker cannot start", error=str(exc))
            return CANNOT_START
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
            lifeline=self._crew.lifeline[0],
            announce=lambda: _write_byte(self._crew.ready[1]),
        )

    def _close_others(self, number: int) -> None:
        """Let go of the sockets of other workers: one that is held by nobody refuses, one that is held waits."""
        for listeners in (self._listeners, self._debug_listeners):
            for listener in listeners:
                if listener not in _own(listeners, number):
                    listener.close()

    def _stop(self, name: signal.Signals) -> int:
        for listener in [*self._listeners, *self._debug_listeners]:
            listener.detach()  # The crew closes them, by their numbers.
        self._crew.stop(name)
        return 0


def _settle() -> None:
    """Prepare the memory for what is forked."""
    share_one_arena()
    gc.freeze()  # Workers need not look at what is here, and so share the pages that it is on.
    gc.enable()


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
