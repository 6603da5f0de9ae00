"""Several servers under one parent: they start together, and none stays without the others."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from moorage.errors import ConfigurationError, MoorageError
from moorage.server.errand import end_with
from moorage.server.held_signals import OTHERS
from moorage.telemetry import get_log

OnReady = Callable[[str], object]
RunServer = Callable[[OnReady], int]
"""Runs a server in its process until a signal ends it; tells its address once it answers."""

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, *OTHERS)
_LINE_LIMIT_BYTES = 4096

_log = get_log("supervisor")


@dataclass(slots=True)
class _Child:
    """A server's process, and the pipe by which it says that it answers."""

    pid: int
    ready: int
    said: bytes = b""


@dataclass(slots=True)
class Together:
    """Runs servers side by side until a signal ends them, or one of them ends."""

    servers: Sequence[RunServer]
    on_ready: Callable[[Sequence[str]], object]
    """Told the addresses, in the order of the servers, once all of them answer."""
    _children: list[_Child] = field(default_factory=list)
    _is_stopping: bool = False

    def run(self) -> int:
        """Run them; return the exit status: 0 if a signal has ended them."""
        caught = {*_PASSED_ON, signal.SIGCHLD}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, caught)
        for server in self.servers:
            self._children.append(_start(server, before))
        waiting, status = True, 0
        while self._children:
            found = signal.sigtimedwait(caught, 0.05 if waiting else 3600.0)
            if waiting and not self._is_stopping and self._all_answer():
                waiting = False
                self.on_ready([child.said.decode().strip() for child in self._children])
            if found is not None and found.si_signo in _PASSED_ON:
                self._is_stopping = self._is_stopping or found.si_signo not in OTHERS
                self._tell(signal.Signals(found.si_signo))
            status = max(status, self._reap())
        return status

    def _all_answer(self) -> bool:
        for child in self._children:
            with contextlib.suppress(BlockingIOError):
                child.said += os.read(child.ready, _LINE_LIMIT_BYTES)
        return all(child.said.endswith(b"\n") for child in self._children)

    def _reap(self) -> int:
        """Let go of those that have ended; when one has that should not, the others end with it."""
        worst = 0
        for child in list(self._children):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if not pid:
                continue
            os.close(child.ready)
            self._children.remove(child)
            code = os.waitstatus_to_exitcode(status)
            worst = max(worst, abs(code) if not self._is_stopping else 0)
            if not self._is_stopping:
                worst = max(worst, 1)
                self._is_stopping = True
                self._tell(signal.SIGTERM)
        return worst

    def _tell(self, name: signal.Signals) -> None:
        for child in self._children:
            os.kill(child.pid, name)  # Not reaped yet, so that the number is still theirs.


def _start(server: RunServer, mask: Iterable[int]) -> _Child:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    sys.stdout.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Child(pid, reading)
    os.close(reading)
    os._exit(_be_server(server, mask, writing, parent))


def _be_server(server: RunServer, mask: Iterable[int], writing: int, parent: int) -> int:
    os.setpgid(0, 0)  # Ctrl-C is the parent's to pass on, so that it comes once.
    end_with(parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        return server(lambda address: os.write(writing, f"{address}\n".encode()))
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            print(f"error: {mistake}", file=sys.stderr)  # noqa: T201 - the command's own words, as cli has them
    except MoorageError as exc:
        print(f"error: {exc}", file=sys.stderr)  # noqa: T201 - as above
    except KeyboardInterrupt:
        return 0
    except BaseException:  # noqa: BLE001 - whatever it is, the parent must see a status
        _log.exception("the server crashed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 1
