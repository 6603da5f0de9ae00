"""The installed daemon as its own process, for tests that need the real thing: sockets, workers, signals, disk."""

import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

from support.answering import status_of
from support.ports import free_port
from support.processes import children_of, listens
from support.server_under_test import ServerUnderTest

START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 90.0


class Daemon(ServerUnderTest):
    """One ``moorage serve`` process group on a free loopback port.

    ``with Daemon(tmp_path) as daemon:`` starts it and waits until it answers; the end of the block stops it and
    fails if it left a traceback in its log. *config* is the text of a configuration file; without it the daemon
    runs on its defaults with ``--data``. *tls* is what a client needs where it speaks HTTPS;
    *within* is put before its command, to run it in a namespace; *has_folder* False: its data is in no folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: str | None = None,
        workers: int = 1,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        within: Sequence[str] = (),
        has_folder: bool = True,
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.tls = tls
        self.within = within
        self.url = f"{'http' if tls is None else 'https'}://{self.address}"
        self.log_path = folder / "moorage.log"
        self.config = config
        self.has_folder = has_folder
        self.workers = workers
        self.args = list(args)
        self.env = dict(env or {})
        self.process: subprocess.Popen[bytes] | None = None
        self._said_before = 0

    def start(self, *, wait: bool = True) -> None:
        """Start the process group; with *wait*, return only when each of its workers answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [*self.within, sys.executable, "-m", "moorage", "serve"]
        if self.config is not None:
            path = self.folder / "config.yml"
            path.write_text(self.config)
            command.append(str(path))
        command += ["--data", str(self.data)] if self.has_folder else []
        command += ["--addr", self.address, "--workers", str(self.workers), *self.args]
        self._said_before = len(self.log)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.env},
                start_new_session=True,
                cwd=self.folder,
            )
        if wait:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()  # Nobody else would: the block that stops it is never entered.
                raise

    def wait_ready(self) -> None:
        """Wait for an answer of this process and of no other: somebody else's may be at its port."""
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                msg = f"the daemon ended with {self.process.returncode}:\n{self.log[-4000:]}"
                raise RuntimeError(msg)
            # In this order: while nobody is there, to ask costs less than to look who it is.
            answers = status_of(f"{self.url}/", tls=self.tls, timeout_s=2) == HTTPStatus.OK
            if answers and listens(self.pid, self.port) and self.has_begun:
                return
            time.sleep(0.05)
        msg = f"the daemon did not answer within {START_DEADLINE_S} s:\n{self.log[-4000:]}"
        raise RuntimeError(msg)

    @property
    def pid(self) -> int:
        """The supervisor's process id, which is also its process group."""
        assert self.process is not None
        return self.process.pid

    @property
    def has_begun(self) -> bool:
        """True if its supervisor has heard of each worker that it answers; before, one that cannot start ends all."""
        said = self.log[self._said_before :]  # Which depends on the level; the keeper begins then, where there is one.
        return "listening on " in said or " listens on " in said or bool(self.keeper_pids)

    @property
    def rests(self) -> bool:
        """True while the supervisor is the small program that waits."""
        return b"resting_program" in Path(f"/proc/{self.pid}/cmdline").read_bytes()

    @property
    def worker_pids(self) -> list[int]:
        """The processes that serve; the one that keeps house is another child of the supervisor."""
        return [pid for pid in self._children if _name_of(pid).startswith("moorage-worker")]

    @property
    def keeper_pids(self) -> list[int]:
        """The process that does what goes on beside serving; none while it has not begun."""
        return [pid for pid in self._children if _name_of(pid) == "moorage-keeper"]

    @property
    def _children(self) -> list[int]:
        return children_of(self.pid)

    def stop(self) -> int:
        """SIGTERM, wait, and return the exit status; what will not go in time is killed and that is a failure."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            msg = f"the daemon did not stop within {STOP_DEADLINE_S} s of SIGTERM:\n{self.log[-4000:]}"
            raise RuntimeError(msg) from None

    def kill(self) -> None:
        """SIGKILL to the supervisor and every worker at once: what a power cut does to processes."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_DEADLINE_S)

    def kill_worker(self, pid: int) -> None:
        """SIGKILL to one worker."""
        assert pid in self.worker_pids
        os.kill(pid, signal.SIGKILL)

    def rss_bytes(self) -> dict[int, int]:
        """Peak resident memory (VmHWM) of each worker by process id."""
        peaks = {}
        for pid in self.worker_pids:
            status = Path(f"/proc/{pid}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            assert found is not None
            peaks[pid] = int(found.group(1)) * 1024
        return peaks


@contextlib.contextmanager
def running(folder: Path, *, config: str | None = None, workers: int = 1) -> Iterator[Daemon]:
    """A started :class:`Daemon`, stopped at the end of the block."""
    with Daemon(folder, config=config, workers=workers) as daemon:
        yield daemon


def _name_of(pid: int) -> str:
    with contextlib.suppress(OSError):  # It has just gone.
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""
