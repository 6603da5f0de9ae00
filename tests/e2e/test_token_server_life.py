"""The token server under an administrator: signals, a process that dies, an address that is taken."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.daemon import START_DEADLINE_S, STOP_DEADLINE_S
from support.processes import children_of
from support.token_server import TokenServer

RULES = {"rules": [{"users": ["ada"], "repositories": ["team/**"], "actions": ["pull", "push"]}]}
USERS = {"ada": "ada's password"}


def children(server: TokenServer) -> list[int]:
    assert server.process is not None
    return children_of(server.process.pid)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(name: signal.Signals, tmp_path: Path) -> None:
    with TokenServer(tmp_path, RULES, USERS) as server:
        assert server.process is not None
        server.process.send_signal(name)
        assert server.process.wait(STOP_DEADLINE_S) == 0
        assert not server.alive()


def test_a_hang_up_is_noted_and_ends_nothing(tmp_path: Path) -> None:
    with TokenServer(tmp_path, RULES, USERS) as server:
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + START_DEADLINE_S
        while "SIGHUP" not in server.log:
            assert time.monotonic() < deadline, server.log
            time.sleep(0.05)
        assert server.alive()


def test_the_process_that_serves_is_replaced_when_it_is_killed(tmp_path: Path) -> None:
    with TokenServer(tmp_path, RULES, USERS) as server:
        (serving,) = children(server)
        os.kill(serving, signal.SIGKILL)
        deadline = time.monotonic() + START_DEADLINE_S
        while children(server) in ([serving], []) or not server.alive():
            assert time.monotonic() < deadline, server.log
            time.sleep(0.05)
        assert "a worker ended; starting another" in server.log
        assert server.stop() == 0


def test_an_address_that_is_taken_is_a_message_about_the_key_of_its_settings(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = TokenServer(tmp_path, RULES, USERS, addr=address)
        command = [sys.executable, "-m", "moorage", "token", "serve", str(server.path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    said = f"error: addr: cannot listen on {address}: Address already in use; is another registry running there?\n"
    assert done.stderr == said
