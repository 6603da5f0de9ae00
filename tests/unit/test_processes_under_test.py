"""What tests rely on where they stop and go on with the processes of a server."""

import signal
import subprocess
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from e2e.settings import config_for
from support.daemon import Daemon
from support.processes import children_of, freeze, frozen, is_running, signal_each, thaw
from support.threaded_server import Quiet, ThreadedServer

SLEEPER = (sys.executable, "-c", "import signal; signal.pause()")
_SPAWN = """
import signal, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print("ready", flush=True)
signal.pause()
"""
SPAWNER = (sys.executable, "-c", _SPAWN)


@pytest.fixture
def ended() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(60)
    return process.pid


class Yes(Quiet, BaseHTTPRequestHandler):
    """Answers every question with 200."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def test_a_process_that_ended_meanwhile_is_passed_over_and_those_after_it_are_told(ended: int) -> None:
    with subprocess.Popen(SLEEPER) as sleeper:
        signal_each([ended, sleeper.pid], signal.SIGKILL)
        assert sleeper.wait(60) == -signal.SIGKILL


def test_a_process_that_ended_has_no_children_and_does_not_run(ended: int) -> None:
    assert children_of(ended) == []
    assert not is_running(ended)


def test_a_server_that_dies_while_it_is_frozen_can_be_thawed() -> None:
    with subprocess.Popen(SPAWNER, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        with frozen(server.pid):
            (child,) = children_of(server.pid)
            signal_each([server.pid, child], signal.SIGKILL)
            server.wait(60)
        thaw(server.pid)
        with pytest.raises(ProcessLookupError):
            freeze(server.pid)


def test_a_daemon_that_does_not_answer_in_time_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.daemon.START_DEADLINE_S", 0.0)
    daemon = Daemon(tmp_path)
    with pytest.raises(RuntimeError, match="did not answer"):
        daemon.start()
    assert not is_running(daemon.pid)


@pytest.mark.parametrize("more", ["", "log: {level: error}\n"], ids=["told", "not-told"])
def test_a_daemon_is_ready_when_each_of_its_workers_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """Else one is killed in a test before the supervisor knows of it, or is not yet among those that there are."""
    monkeypatch.setattr("support.daemon.status_of", lambda *_, **__: HTTPStatus.OK)
    monkeypatch.setattr("support.daemon.listens", lambda *_: True)
    with Daemon(tmp_path, config=config_for(tmp_path) + more, workers=3) as daemon:
        for _ in range(2):
            workers = daemon.worker_pids
            assert len(workers) == 3
            daemon.kill_worker(workers[0])
            assert daemon.stop() == 0
            daemon.start()


def test_somebody_else_at_its_port_is_not_taken_for_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadedServer(Yes) as somebody_else:
        monkeypatch.setattr("support.daemon.free_port", lambda: int(somebody_else.address.rpartition(":")[2]))
        with pytest.raises(RuntimeError, match="ended with"):
            Daemon(tmp_path).start()
