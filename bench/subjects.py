"""The servers that are compared: how each is started, and a running one."""

import contextlib
import importlib.metadata
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import processes
from load import Address, LoadError
from postgres import PASSWORD, USER, Postgres
from seeding import PostgresSink, Sink, SqliteSink

START_S = 30
STOP_S = 20
POLL_S = 0.001

_MOORAGE = (sys.executable, "-m", "moorage")
_PROBE = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Subject(ABC):
    """A server that can be started on an address with a data folder."""

    name: str
    store: str = ""
    """Where its metadata is, if there is a choice."""
    database: Postgres | None = None
    """The database server that works for it."""
    has_tls = False
    """True if it speaks HTTPS."""

    @property
    @abstractmethod
    def version(self) -> str:
        """What the server calls itself, for the report."""

    @abstractmethod
    def command(self, address: Address, folder: Path) -> list[str]:
        """The command that serves *folder* in the foreground. Files it needs are written into *folder*."""

    def prepare(self, folder: Path) -> None:  # noqa: B027 - most have nothing to do
        """Do what has to be done once before *folder* is served."""

    def sink(self, folder: Path) -> Sink:
        """Where rows of metadata can be written, once it serves *folder*."""
        raise NotImplementedError


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
        return ["docker-registry", "serve", str(self.write(address, folder))]

    def write(self, address: Address, folder: Path) -> Path:
        """Write the configuration into *folder*."""
        path = folder / "config.yml"
        path.write_text(json.dumps(self.configuration(address, folder), indent=2))  # JSON is YAML too.
        return path

    def configuration(self, address: Address, folder: Path) -> dict[str, object]:
        """What its package configures."""
        return {
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


class Moorage(Subject):
    """Moorage of this tree, without a configuration file: its metadata is in SQLite, beside the data."""

    name = "moorage"
    store = "SQLite"

    def __init__(self, workers: int) -> None:
        self._workers = workers

    @property
    def version(self) -> str:
        """The version of the installed package."""
        return importlib.metadata.version("moorage")

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with what ``moorage serve`` does by itself."""
        where = ["--addr", f"{address[0]}:{address[1]}", "--data", str(folder / "data")]
        return [*_MOORAGE, "serve", *where, "--workers", str(self._workers)]

    def sink(self, folder: Path) -> Sink:
        """The file that ``moorage serve`` makes."""
        return SqliteSink(folder / "data" / "moorage.db")


class MoorageConfigured(Moorage):
    """Moorage with a configuration file."""

    def command(self, address: Address, folder: Path) -> list[str]:
        """Serve with a configuration file written into *folder*."""
        serve, *options = super().command(address, folder)[len(_MOORAGE) :]
        return [*_MOORAGE, serve, str(self._write(folder)), *options]

    def _database(self, folder: Path) -> Mapping[str, object] | None:
        raise NotImplementedError

    def _write(self, folder: Path) -> Path:
        path = folder / "config.yml"
        path.write_text(json.dumps(self.configuration(folder), indent=2))  # JSON is YAML too.
        return path

    def configuration(self, folder: Path) -> dict[str, object]:
        """What the file says."""
        storage = {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}}
        configuration: dict[str, object] = {"version": "0.1", "storage": storage}
        database = self._database(folder)
        if database is not None:
            configuration["database"] = database
        return configuration


class MoorageOnLayout(MoorageConfigured):
    """Moorage with its metadata in Distribution's layout: a configuration without a database."""

    store = "layout"

    def _database(self, folder: Path) -> Mapping[str, object] | None:
        del folder
        return None


class MoorageOnPostgres(MoorageConfigured):
    """Moorage with its metadata in a database of *server*, one for each folder."""

    store = "PostgreSQL"

    def __init__(self, workers: int, server: Postgres, *, port: int | None = None) -> None:
        """*port*: where the server is reached, if not where it listens."""
        super().__init__(workers)
        self.database: Postgres = server
        self._port = port or server.port

    def prepare(self, folder: Path) -> None:
        """Make the folder's database and its schema.

        Raises:
            LoadError: the migrations failed.
        """
        self.database.make(_database_name(folder))
        command = [*_MOORAGE, "database", "migrate", "up", str(self._write(folder))]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment(), check=False)
        if ended.returncode:
            msg = f"{command!r}:\n{ended.stdout}{ended.stderr}"
            raise LoadError(msg)

    def sink(self, folder: Path) -> Sink:
        """The folder's database."""
        return PostgresSink(self.database.url(_database_name(folder)))

    def _database(self, folder: Path) -> Mapping[str, object] | None:
        return {
            "enabled": True,
            "host": "127.0.0.1",
            "port": self._port,
            "user": USER,
            "password": PASSWORD,
            "dbname": _database_name(folder),
            "sslmode": "disable",
            "preparedstatements": True,
        }


def _database_name(folder: Path) -> str:
    return folder.name.lower()


@dataclass(frozen=True, slots=True)
class Daemon:
    """A subject that runs, and how long it took to answer."""

    subject: Subject
    process: subprocess.Popen[bytes]
    address: Address
    folder: Path
    start_s: float

    def cpu_s(self) -> float:
        """Seconds of CPU that the server and all its processes have used up to now."""
        return processes.cpu_s(self.process.pid)

    def database_cpu_s(self) -> float:
        """The same of the database server that works for it; 0 if there is none."""
        return self.subject.database.cpu_s() if self.subject.database else 0.0

    def peak_memory_bytes(self) -> int:
        """The largest resident size that one of its processes has had."""
        return processes.peak_memory_bytes(self.process.pid)

    def memory_bytes(self) -> int:
        """The largest resident size that one of its processes has."""
        return processes.memory_bytes(self.process.pid)

    def proportional_bytes(self) -> int:
        """The memory of all its processes together, shared pages counted once."""
        return processes.proportional_bytes(self.process.pid)

    def sink(self) -> Sink:
        """Where rows of metadata can be written."""
        return self.subject.sink(self.folder)


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
        subject.prepare(folder)
        command = subject.command(address, folder)
        with (folder / "log").open("wb") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=folder, env=environment(), start_new_session=True
            )
        try:
            answered = _wait_for_answer(process, address, folder / "log", has_tls=subject.has_tls)
            yield Daemon(subject, process, address, folder, answered - began)
        finally:
            processes.stop(process, patience_s=STOP_S)
    finally:
        shutil.rmtree(folder)


def environment() -> dict[str, str]:
    """The caller's environment, without settings of its shell: they are not those under test.

    Python may write compiled files, as every installed package has them: the round that warms up makes them.
    """
    ours = ("REGISTRY_", "AWS_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for_answer(process: subprocess.Popen[bytes], address: Address, log: Path, *, has_tls: bool) -> float:
    """Wait until the server answers, and return when it did.

    The port was free a moment ago, and may be somebody else's by now, who answers just as well: what is missing there
    would look like what this server has lost.
    """
    deadline = time.monotonic() + START_S
    while True:
        if _answers(address, has_tls=has_tls):
            answered = time.perf_counter()
            if processes.listens(process.pid, address[1]):
                return answered
        if process.poll() is not None or time.monotonic() > deadline:
            msg = f"{process.args!r} does not serve:\n{log.read_text(errors='replace')[-2000:]}"
            raise LoadError(msg)
        time.sleep(POLL_S)


def _answers(address: Address, *, has_tls: bool) -> bool:
    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection(address, timeout=START_S))
            if has_tls:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                connection = stack.enter_context(context.wrap_socket(connection))
            connection.sendall(_PROBE)
            # One that asks for credentials answers as well.
            return connection.recv(4096).startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 401 "))
    except OSError:
        return False
