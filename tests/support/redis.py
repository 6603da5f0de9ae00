"""A Redis of our own: one server, one watched by a Sentinel, or a cluster, on free loopback ports, gone afterwards."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from moorage.config.sections.redis import RedisConnection
from support.components import need
from support.ports import free_port

START_DEADLINE_S = 60.0
_TICK_S = 0.02
_SLOTS = 16384
_BUS_OFFSET = 10000
_HIGHEST_PORT = 65535


class Redis:
    """One redis-server that keeps nothing on disk. *args* are added to its command line."""

    def __init__(self, *args: str, port: int | None = None, password: str = "", sentinel: bool = False) -> None:
        need("redis-server", "redis-cli")
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.password = password
        self.args = list(args)
        self.sentinel = sentinel
        self.folder = Path()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="moorage-redis-"))
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        conf = self.folder / "redis.conf"
        if not conf.exists():
            conf.write_text("")  # a Sentinel writes into its own
        command = ["redis-server", str(conf), "--bind", self.host, "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--sentinel"] if self.sentinel else ["--save", "", "--appendonly", "no"]
        if self.password:
            command += ["--requirepass", self.password]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.args], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "redis.log").read_text()
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(_TICK_S)

    def kill(self) -> None:
        """SIGKILL. What it had is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def cli(self, *args: str) -> str:
        """What redis-cli prints."""
        command = ["redis-cli", "-h", self.host, "-p", str(self.port), "--no-auth-warning"]
        if self.password:
            command += ["-a", self.password]
        return subprocess.run([*command, *args], check=True, capture_output=True, text=True, timeout=30).stdout.strip()

    def calls(self, command: str) -> int:
        """How often a command was called since the start."""
        for line in self.cli("INFO", "commandstats").splitlines():
            if line.startswith(f"cmdstat_{command}:calls="):
                return int(line.partition("calls=")[2].partition(",")[0])
        return 0

    def _answers(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.cli("PING") == "PONG"
        return False


@contextlib.contextmanager
def watched(name: str, master: Redis) -> Iterator[Redis]:
    """A Sentinel that calls *master* by *name*."""
    with Redis(sentinel=True) as sentinel:
        sentinel.cli("SENTINEL", "MONITOR", name, master.host, str(master.port), "1")
        if master.password:
            sentinel.cli("SENTINEL", "SET", name, "auth-pass", master.password)
        yield sentinel


@contextlib.contextmanager
def cluster() -> Iterator[Sequence[Redis]]:
    """Three servers that share the keys between them."""
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(Redis("--cluster-enabled", "yes", port=_port_with_bus())) for _ in range(3)]
        for number, node in enumerate(nodes):
            node.cli("CLUSTER", "ADDSLOTSRANGE", str(_SLOTS * number // 3), str(_SLOTS * (number + 1) // 3 - 1))
        for node in nodes[1:]:
            nodes[0].cli("CLUSTER", "MEET", node.host, str(node.port))
        deadline = time.monotonic() + START_DEADLINE_S
        while not all(_is_whole(node) for node in nodes):
            assert time.monotonic() < deadline, nodes[0].cli("CLUSTER", "NODES")
            time.sleep(_TICK_S)
        yield nodes


def _is_whole(node: Redis) -> bool:
    info = node.cli("CLUSTER", "INFO").splitlines()
    return "cluster_state:ok" in info and "cluster_known_nodes:3" in info


def _port_with_bus() -> int:
    while (port := free_port()) + _BUS_OFFSET > _HIGHEST_PORT:
        pass
    return port


def patient(address: str) -> RedisConnection:
    """Return a connection whose deadlines a busy machine keeps: it is no Redis that is away."""
    patience = timedelta(seconds=60)
    return RedisConnection(addr=address, readtimeout=patience, writetimeout=patience)
