"""What is measured of the command itself: how long a start takes until it answers, and what a short command costs.

A start is timed from outside, by what it prints. What a command takes is its CPU time, which bears a busy machine.
"""

import contextlib
import os
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import processes
from figures import AtMost, Figure, Series
from load import LoadError
from stage import Stage

START_LIMIT_S = 5.0
COMMAND_LIMIT_S = 0.12
STARTS = 5
COMMANDS = 20
_PATIENCE_S = 60
_READY = "Accounts and projects are at"
_COMMAND = Path(sys.executable).with_name("moorage")


def up_start(stage: Stage) -> list[Figure]:
    """``moorage up`` in a folder that is set up, until registry and control plane both answer."""
    if not stage.stores:
        return []
    with TemporaryDirectory(dir=stage.scratch) as name:
        folder = Path(name) / "data"
        first = _started(folder)
        stage.say(f"up: the first start, which makes everything, took {first:.2f} s")
        times = [_started(folder) for _ in range(STARTS)]
    return [
        Figure(
            work="up-start",
            title="moorage up, until both answer",
            judged=Series("s", [], times),
            target=AtMost(START_LIMIT_S),
            others=(Series("the first start, s", [], [first]),),
        )
    ]


def commands(stage: Stage) -> list[Figure]:
    """CPU time of ``--help``, ``version``, and a command that asks a registry."""
    if not stage.stores:
        return []
    with TemporaryDirectory(dir=stage.scratch) as name:
        address = f"127.0.0.1:{_free_port()}"
        server = subprocess.Popen(
            [_COMMAND, "serve", "--addr", address, "--data", name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_answer(address)
            words = (["--help"], ["version"], ["repo", "list", address])
            taken = {" ".join(each[:2]): [_cpu_s(each) for _ in range(COMMANDS)] for each in words}
        finally:
            processes.stop(server, patience_s=20)
    return [
        Figure(
            work="commands",
            title=f"moorage {name}",
            judged=Series("CPU s", [], times),
            target=AtMost(COMMAND_LIMIT_S),
        )
        for name, times in taken.items()
    ]


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"up-start": up_start, "commands": commands}


def _started(folder: Path) -> float:
    """Seconds from the start of the command until it says that both answer."""
    ports = ["--addr", f"127.0.0.1:{_free_port()}", "--control-addr", f"127.0.0.1:{_free_port()}"]
    began = time.monotonic()
    process = subprocess.Popen([_COMMAND, "up", str(folder), *ports], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        _read_until(process, _READY, began + _PATIENCE_S)
        return time.monotonic() - began
    finally:
        processes.stop(process, patience_s=20)
        with contextlib.suppress(OSError):
            assert process.stdout is not None
            process.stdout.close()


def _read_until(process: "subprocess.Popen[bytes]", text: str, deadline: float) -> None:
    assert process.stdout is not None
    said = b""
    while text.encode() not in said:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
        if not part:
            msg = f"moorage up did not start: {said.decode(errors='replace')[-2000:]}"
            raise LoadError(msg)
        said += part


def _cpu_s(words: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([_COMMAND, *words], stdout=subprocess.DEVNULL, check=True, timeout=_PATIENCE_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _await_answer(address: str) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.05)
    msg = f"the registry at {address} did not start"
    raise LoadError(msg)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
