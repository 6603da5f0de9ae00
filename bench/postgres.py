"""A PostgreSQL of our own for a measurement: a fresh data folder, a free port on loopback, nothing shared."""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg

import processes
from load import LoadError

USER = "moorage"
PASSWORD = "moorage"  # noqa: S105 - it guards a scratch database that only listens on loopback
START_S = 30
STOP_S = 60

_HOMES = "/usr/lib/postgresql"
_ACCOUNTS = ("postgres", "nobody")
_INITDB_OPTIONS = ("-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync")


@dataclass(frozen=True, slots=True)
class Postgres:
    """A server that runs. Every database on it belongs to :data:`USER`, who may do everything."""

    process: subprocess.Popen[bytes]
    port: int

    def url(self, database: str = "postgres") -> str:
        """Where a database of it is, for asyncpg."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def make(self, database: str) -> None:
        """Make an empty database."""
        asyncio.run(self._execute(f'CREATE DATABASE "{database}"'))

    async def _execute(self, text: str) -> None:
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(text)
        finally:
            await connection.close()

    def cpu_s(self) -> float:
        """Seconds of CPU that the server and all its processes have used up to now."""
        return processes.cpu_s(self.process.pid)


def programs() -> Path | None:
    """The folder of the newest installed PostgreSQL's programs; None if there is none."""
    homes = sorted(Path(_HOMES).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return homes[-1].parent if homes else None


def version() -> str:
    """What the installed PostgreSQL calls itself; empty if there is none."""
    home = programs()
    if home is None:
        return ""
    ended = subprocess.run([home / "postgres", "--version"], capture_output=True, text=True, check=True)
    return ended.stdout.split()[2]


@contextlib.contextmanager
def serving(scratch: Path, settings: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """Start a fresh PostgreSQL under *scratch* with *settings* besides the defaults; stop and remove it on the way out.

    Raises:
        LoadError: there is none installed, or it does not start.
    """
    home = programs()
    if home is None:
        msg = "PostgreSQL is not installed (scripts/install-test-components installs it)"
        raise LoadError(msg)
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=scratch))
    account = _account()
    try:
        if account is not None:
            # The programs refuse to run as root; whom they run as has to reach the folder.
            shutil.chown(folder, account)
            scratch.chmod(0o711)
        _make(home, folder, account)
        with _started(home, folder, account, settings or {}) as postgres:
            yield postgres
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _started(home: Path, folder: Path, account: str | None, settings: Mapping[str, str]) -> Iterator[Postgres]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    own = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", **settings}
    options = [option for name, value in own.items() for option in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [home / "postgres", "-D", folder / "data", *options],
            stdout=log,
            stderr=log,
            cwd=folder,
            user=account,
            group=account and pwd.getpwnam(account).pw_gid,
            start_new_session=True,
        )
    try:
        _wait(process, port, folder / "log")
        yield Postgres(process, port)
    finally:
        # A fast shutdown: it does not wait for clients.
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        processes.stop(process, patience_s=STOP_S)


def _account() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _ACCOUNTS if name in known)


def _make(home: Path, folder: Path, account: str | None) -> None:
    secret = folder / "secret"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    made = subprocess.run(
        [home / "initdb", "-D", folder / "data", "-U", USER, "--pwfile", secret, *_INITDB_OPTIONS],
        capture_output=True,
        text=True,
        cwd=folder,
        user=account,
        group=account and pwd.getpwnam(account).pw_gid,
        check=False,
    )
    if made.returncode:
        msg = f"initdb: {made.stderr}"
        raise LoadError(msg)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while "ready to accept connections" not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            msg = f"PostgreSQL does not serve on port {port}:\n{log.read_text(errors='replace')[-2000:]}"
            raise LoadError(msg)
        time.sleep(0.01)
