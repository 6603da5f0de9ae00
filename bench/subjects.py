"""The servers that are compared: how each is started, and a running one."""

import contextlib
import importlib.metadata
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import processes
from load import Address, LoadError

START_S = 30
STOP_S = 20
POLL_S = 0.001

_PROBE = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Subject(ABC):
    """A server that can be started on an address with a data folder."""

    name: str

    @property
    @abstractmethod
    def version(self) -> str:
        """What the server calls itself, for the report."""

    @abstractmethod
    def command(self, address: Address, folder: Path) -> list[str]:
        """The command that serves *folder* in the foreground. Files it needs are written into *folder*."""


class DockerRegistry(Subject):
    """Debian's ``docker-registry``: as its package configures it, but for the address, the folder and no password."""

    def __init__(self, name: str = "docker-registry") -> None:
        self.name = name

    @property
    def version(self) -> str:
        """The last word of ``docker-registry --version``."""
        ended = subprocess.run(["docker-registry", "--version"], capture_output=True, text=True, check=True)
        return ended.stdout.split()[-1]

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with a configuration file written into *folder*."""
        configuration = {
            "version": "0.1",
            "log": {"level": "info", "fields": {"service": "registry"}},
            "storage": {
                "cache": {"blobdescriptor": "inmemory"},
                "filesystem": {"rootdirectory": str(folder / "data")},
                "delete": {"enabled": True},
            },
            "http": {
                "addr": f"{address[0]}:{address[1]}",
                "secret": "bench",
                "headers": {"X-Content-Type-Options": ["nosniff"]},
            },
            "health": {"storagedriver": {"enabled": True, "interval": "10s", "threshold": 3}},
        }
        path = folder / "config.yml"
        path.write_text(json.dumps(configuration, indent=2))  # JSON is YAML too.
        return ["docker-registry", "serve", str(path)]


class Moorage(Subject):
    """Moorage of this tree, without a configuration file."""

    def __init__(self, workers: int) -> None:
        self.name = "moorage"
        self._workers = workers

    @property
    def version(self) -> str:
        """The version of the installed package."""
        return importlib.metadata.version("moorage")

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with what ``moorage serve`` does by itself."""
        where = ["--addr", f"{address[0]}:{address[1]}", "--data", str(folder / "data")]
        return [sys.executable, "-m", "moorage", "serve", *where, "--workers", str(self._workers)]


@dataclass(frozen=True, slots=True)
class Daemon:
    """A subject that runs, and how long it took to answer."""

    subject: Subject
    process: subprocess.Popen[bytes]
    address: Address
    start_s: float

    def cpu_s(self) -> float:
        """Seconds of CPU that the server and all its processes have used up to now."""
        return processes.cpu_s(self.process.pid)

    def peak_memory_bytes(self) -> int:
        """The largest resident size that one of its processes has had."""
        return processes.peak_memory_bytes(self.process.pid)


@contextlib.contextmanager
def running(subject: Subject, scratch: Path) -> Iterator[Daemon]:
    """Start *subject* with a fresh folder in *scratch*; on the way out stop it and remove the folder.

    Raises:
        LoadError: it ended, or did not answer in time. The end of its log is in the message.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{subject.name.split()[0]}-", dir=scratch))
    try:
        (folder / "data").mkdir()
        address = ("127.0.0.1", _free_port())
        command = subject.command(address, folder)
        # Settings of the caller's shell are not those under test.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}
        with (folder / "log").open("wb") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True
            )
        try:
            _wait_for_answer(process, address, folder / "log")
            yield Daemon(subject, process, address, time.perf_counter() - began)
        finally:
            processes.stop(process, patience_s=STOP_S)
    finally:
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for_answer(process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not _answers(address):
        if process.poll() is not None or time.monotonic() > deadline:
            msg = f"{process.args!r} does not serve:\n{log.read_text(errors='replace')[-2000:]}"
            raise LoadError(msg)
        time.sleep(POLL_S)


def _answers(address: Address) -> bool:
    try:
        with socket.create_connection(address, timeout=START_S) as connection:
            connection.sendall(_PROBE)
            return connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
