"""A PostgreSQL of our own: a cluster in a folder of its own, on a free loopback port, gone afterwards."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import yaml

from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.schema.migrator import up
from moorage.sql.database_place import PostgresSettings
from moorage.sql.postgres.postgres_database import PostgresDatabase
from support.components import need
from support.ports import free_port
from support.processes import children_of, is_running, signal_each

DEBIANS = Path("/usr/lib/postgresql/15/bin")
BIN = Path(os.environ.get("MOORAGE_TEST_POSTGRES") or DEBIANS)
"""Programs of the server: Debian's, or of another version that ``MOORAGE_TEST_POSTGRES`` names."""
SYSTEM_USER = "postgres"
"""Who runs it when we are root: PostgreSQL refuses to."""
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 60.0
COMMAND_DEADLINE_S = 60.0

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "logging_collector": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "log_line_prefix": "%m [%p] %d ",
}
_CARELESS = {"fsync": "off", "full_page_writes": "off"}
# The server ends with the thread that started it (setpriv --pdeathsig), so that a test run that is killed leaves none:
# this thread lives as long as the process.
_starter = ThreadPoolExecutor(1, thread_name_prefix="postgres-starter")
_STOP_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Postgres:
    """One PostgreSQL server. ``with Postgres() as postgres:`` makes its cluster, starts it and removes it.

    *fsync*: as careful as in production; without it a test is quicker, and :meth:`kill` still loses nothing, as the
    machine stays up. *settings* go into ``postgresql.conf``, *hba* lines above the others into ``pg_hba.conf``.
    *files* go into its data folder. *standby_of*: a hot standby that streams from that server, until :meth:`promote`.
    """

    def __init__(
        self,
        *,
        fsync: bool = False,
        settings: Mapping[str, str] | None = None,
        hba: Sequence[str] = (),
        files: Mapping[str, bytes] | None = None,
        standby_of: "Postgres | None" = None,
    ) -> None:
        need(str(BIN / "postgres"), "setpriv")
        self.host = "127.0.0.1"
        self.port = free_port()
        self.user: str = standby_of.user if standby_of else "registry"
        self.password: str = standby_of.password if standby_of else secrets.token_hex(8)
        self.settings = dict(_SETTINGS) | ({} if fsync else _CARELESS) | dict(settings or {})
        self.hba = list(hba)
        self.files = dict(files or {})
        self.primary = standby_of
        self.folder = Path()
        self.template: str | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # Not below pytest's folders: those are closed to other users.
        self.folder = Path(tempfile.mkdtemp(prefix="moorage-postgres-"))
        try:
            if os.geteuid() == 0:
                shutil.chown(self.folder, SYSTEM_USER, SYSTEM_USER)
            self._make_cluster()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if self.process is not None:
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        path = self.folder / "postgres.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, *, wait: bool = True) -> None:
        """Start the server; with *wait*, return only when it takes connections."""
        command = ["setpriv", "--pdeathsig", "INT", *_as_user(), str(BIN / "postgres"), "-D", str(self.data)]
        with (self.folder / "postgres.log").open("ab") as log:
            self.process = _starter.submit(
                subprocess.Popen,
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
            ).result()
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_DEADLINE_S
        probe = [_program("pg_isready"), "-q", "-h", self.host, "-p", str(self.port)]
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, self.log[-4000:]
            if subprocess.run(probe, check=False, timeout=COMMAND_DEADLINE_S).returncode == 0:
                return
            time.sleep(0.02)
        msg = f"PostgreSQL took no connection within {START_DEADLINE_S} s:\n{self.log[-4000:]}"
        raise RuntimeError(msg)

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it: *fast* ends every connection and writes all down; *immediate* leaves recovery to the next start."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(_STOP_SIGNALS[mode])
        self.process.wait(STOP_DEADLINE_S)
        self.process = None

    def kill(self) -> None:
        """SIGKILL to the server and everything it runs: what a power cut does to processes."""
        assert self.process is not None
        children = children_of(self.process.pid)
        self.process.kill()
        self.process.wait(STOP_DEADLINE_S)
        self.process = None
        signal_each(children, signal.SIGKILL)
        deadline = time.monotonic() + STOP_DEADLINE_S
        while any(is_running(pid) for pid in children):
            assert time.monotonic() < deadline, "processes of PostgreSQL are left"
            time.sleep(0.01)

    def restart(self) -> None:
        self.stop()
        self.start()

    def promote(self) -> None:
        """Make a standby take writes; returns when it does."""
        self._run("pg_ctl", "promote", "-w", "-D", str(self.data))

    def psql(self, sql: str, dbname: str = "postgres") -> str:
        """Run *sql* over the unix socket, each statement on its own, and return what it prints, unadorned."""
        return self._run(
            "psql",
            *("-h", str(self.folder), "-p", str(self.port), "-U", self.user, "-d", dbname),
            *("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"),
            stdin=sql,
        )

    def create_database(self, name: str | None = None, template: str | None = None) -> str:
        """A new database, by default under a random name, empty or a copy of *template*. Returns its name."""
        name = name or f"t_{secrets.token_hex(8)}"
        self.psql(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return name

    def dsn(self, dbname: str) -> str:
        return f"postgresql://{self.user}:{quote(self.password)}@{self.host}:{self.port}/{dbname}"

    def config_section(self, dbname: str, **extra: object) -> str:
        """GitLab's ``database`` section for *dbname*, as YAML; *extra* keys are added or replace."""
        section: dict[str, object] = {
            "enabled": True,
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": dbname,
            "sslmode": "disable",
        }
        return yaml.safe_dump({"database": section | extra}, sort_keys=False)

    def _make_cluster(self) -> None:
        if self.primary is not None:
            self._copy_primary(self.primary)
        else:
            secret = self.folder / "password"
            secret.write_text(self.password)
            secret.chmod(0o644)  # the folder around it is closed
            self._run(
                "initdb",
                *("-D", str(self.data), "-U", self.user, "--pwfile", str(secret), "--no-sync"),
                *("--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
            )
        own = {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{key} = '{value}'\n" for key, value in (self.settings | own).items())
        hba = self.data / "pg_hba.conf"
        hba.write_text("".join(f"{line}\n" for line in self.hba) + hba.read_text())
        for name, content in self.files.items():
            path = self.data / name
            path.write_bytes(content)
            path.chmod(0o600)
            shutil.chown(path, self.data.owner())

    def _copy_primary(self, primary: "Postgres") -> None:
        source = f"host={primary.folder} port={primary.port} user={primary.user}"
        self._run("pg_basebackup", "-D", str(self.data), "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")

    def _run(self, command: str, *args: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["setpriv", *_as_user(), _program(command), *args],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_DEADLINE_S,
            cwd=self.folder,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()


def migrated(postgres: Postgres) -> str:
    """A new database with the whole schema, copied from a template that is made once for each server."""
    if postgres.template is None:
        name = postgres.create_database("t_template")
        # In a thread: the caller may be inside an event loop.
        _starter.submit(asyncio.run, up(settings_for(postgres, name), Wish())).result()
        postgres.template = name
    return postgres.create_database(template=postgres.template)


def _program(name: str) -> str:
    """The path of a program; what a package of the server alone lacks is Debian's, which talks to newer servers."""
    own = BIN / name
    return str(own if own.exists() else DEBIANS / name)


def settings_for(
    postgres: Postgres,
    dbname: str,
    **changes: Any,  # noqa: ANN401 - fields of several types
) -> PostgresSettings:
    """How *dbname* is reached; *changes* are fields of the settings."""
    given: dict[str, Any] = {
        "host": postgres.host,
        "port": postgres.port,
        "user": postgres.user,
        "password": postgres.password,
        "dbname": dbname,
        "sslmode": "disable",
    }
    return PostgresSettings(**(given | changes))


@contextlib.asynccontextmanager
async def opened(
    postgres: Postgres,
    dbname: str | None = None,
    **changes: Any,  # noqa: ANN401 - fields of several types
) -> AsyncIterator[PostgresDatabase]:
    """Our database over *dbname*, by default a new one with the whole schema; closed at the end of the block."""
    database = await PostgresDatabase.open(settings_for(postgres, dbname or migrated(postgres), **changes))
    try:
        yield database
    finally:
        await database.close()


def _as_user() -> list[str]:
    if os.geteuid() != 0:
        return ["--"]
    return ["--reuid", SYSTEM_USER, "--regid", SYSTEM_USER, "--init-groups", "--"]
