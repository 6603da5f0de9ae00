"""The processes of a server as their supervisor knows them: told, missed, and ended together.

It imports little: a supervisor that has become a small program ends its server with this alone.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass, field

from moorage.server.held_signals import OTHERS
from moorage.telemetry import get_log

_log = get_log("supervisor")

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, *OTHERS}
CANNOT_START = 3
"""A worker's exit status when what it needs cannot be used. At the start, trying again is of no use then."""
QUICK_S = 5.0
"""A worker that ends sooner is restarted ever more slowly."""
_BACKOFF_LIMIT_S = 30.0
_STOP_MARGIN_S = 5.0
"""Seconds that workers get on top of their time to drain before they are killed."""


@dataclass(slots=True)
class Place:
    """A place for a worker, and the process that holds it now."""

    number: int
    pid: int = 0
    started_at: float = 0.0
    restart_at: float = 0.0
    failures: int = 0

    def put_off(self, *, failed: bool) -> float:
        """Set the time of the next start, ever later while starts have *failed*; return the seconds until then."""
        self.failures = self.failures + 1 if failed else 0
        # Some hours of failures make a power that no float holds.
        delay_s = min(0.1 * 2 ** min(self.failures, 10), _BACKOFF_LIMIT_S) if failed else 0.0
        self.restart_at = time.monotonic() + delay_s
        return delay_s


@dataclass(slots=True, kw_only=True)
class Crew:
    """All processes of a server, and what they have in common, by the numbers of open files."""

    drain_time_s: float
    finish_time_s: float
    unix_path: str = ""
    """The path that is listened at; empty: none is."""
    places: list[Place] = field(default_factory=list)
    listeners: list[int] = field(default_factory=list)
    debug_listeners: list[int] = field(default_factory=list)
    lifeline: tuple[int, int] = (-1, -1)
    """A pipe whose writing end only the supervisor has: it closes when the supervisor is gone."""
    ready: tuple[int, int] = (-1, -1)
    """A pipe in which each worker writes when it answers."""
    has_begun: bool = False
    """True once all have answered: what a later one lacks may come back, and the others go on without it."""
    is_stopping: bool = False

    @property
    def filenos(self) -> list[int]:
        """All its open files."""
        return [*self.all_listeners, *self.lifeline, *self.ready]

    @property
    def all_listeners(self) -> list[int]:
        """The sockets of both addresses."""
        return [*self.listeners, *self.debug_listeners]

    def reap(self) -> bool:
        """Note which workers have ended; return whether one of them says that the server cannot start."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return False
            place = next((place for place in self.places if place.pid == pid), None)
            if place is None:
                continue
            place.pid = 0
            if self.is_stopping:
                continue
            code = os.waitstatus_to_exitcode(status)
            if code == CANNOT_START and not self.has_begun:
                return True
            is_quick = time.monotonic() - place.started_at < QUICK_S
            delay_s = place.put_off(failed=is_quick or code == CANNOT_START)
            _log.error("a worker ended; starting another", pid=pid, status=code, delay_s=delay_s)

    def stop(self, name: signal.Signals, *, is_told: bool = False) -> None:
        """Tell all to end, unless they are told and nobody listens any more; kill who has not when the time is over."""
        self.is_stopping = True
        _log.info("stopping", quit_signal=name.name, http_drain_timeout_s=self.drain_time_s)
        if self.unix_path:  # Not at the end: by then it may be the socket of the server that comes after this one.
            with contextlib.suppress(OSError):
                os.unlink(self.unix_path)  # noqa: PTH108 - one call
        if not is_told:
            for fileno in self.all_listeners:
                os.close(fileno)
            self._tell(name)
        deadline = time.monotonic() + self.drain_time_s + self.finish_time_s + _STOP_MARGIN_S
        while any(place.pid for place in self.places) and time.monotonic() < deadline:
            caught = signal.sigtimedwait(SIGNALS, 0.2)
            if caught is not None and caught.si_signo == signal.SIGINT and name is not signal.SIGINT:
                self._tell(signal.SIGKILL)  # A person at a terminal has lost patience.
            self.reap()
        self._tell(signal.SIGKILL)

    def _tell(self, name: signal.Signals) -> None:
        for place in self.places:
            if place.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(place.pid, name)
