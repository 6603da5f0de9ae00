"""The end of a server's processes, as their supervisor has it."""

import os
import signal
import time
from pathlib import Path

from moorage.server.crew import Crew, Place


def test_a_socket_that_another_server_has_made_at_the_path_meanwhile_stays(tmp_path: Path) -> None:
    """The next server may begin while the last one still answers: its clients would find no socket."""
    path = tmp_path / "registry.sock"
    path.touch()
    pid = os.fork()
    if pid == 0:  # A worker that drains while the next server begins.
        deadline = time.monotonic() + 3.0
        while path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        path.write_text("of the next server")
        os._exit(0)
    crew = Crew(drain_time_s=10.0, finish_time_s=0.0, unix_path=str(path), places=[Place(0, pid=pid)])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})
    try:
        crew.stop(signal.SIGWINCH)  # Which ends no process.
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert path.read_text() == "of the next server"
