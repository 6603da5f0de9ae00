"""Databases for trials of a backup: made on a server that somebody names, and dropped when they were tried."""

import asyncio
import dataclasses
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from moorage.backup.backup_folder import BackupRefused
from moorage.sql.database_place import PostgresSettings
from moorage.wiring.backup_sources import postgres_connection

if TYPE_CHECKING:
    import asyncpg

NAME_PREFIX = "moorage_verify_"
"""So begins the name of each; one that is left by a process that was killed may be dropped by hand."""
_KEYS = ("host", "port", "user", "password", "dbname", "sslmode", "sslcert", "sslkey", "sslrootcert")
_MIGRATE_DEADLINE_S = 300.0


class ScratchDatabase:
    """``with ScratchDatabase(server) as settings:`` is an empty database on that server; the block's end drops it.

    Raises:
        DatabaseUnavailable: the server does not answer.
        BackupRefused: it makes no database for this user.
    """

    def __init__(self, server: PostgresSettings) -> None:
        self._server = server
        self._name = f"{NAME_PREFIX}{secrets.token_hex(6)}"

    def __enter__(self) -> PostgresSettings:
        asyncio.run(_told(self._server, f'CREATE DATABASE "{self._name}" TEMPLATE template0'))
        return dataclasses.replace(self._server, dbname=self._name, primary="")

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        asyncio.run(_told(self._server, f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)'))


def as_configured(settings: PostgresSettings) -> dict[str, object]:
    """Return the connection as a configuration has it."""
    return {name: getattr(settings, name) for name in _KEYS if getattr(settings, name)}


def migrate_control(settings: PostgresSettings, scratch: Path, migrations: Sequence[str]) -> None:
    """Make the control plane's tables in an empty database, as *migrations* make them.

    It is done in a process of its own, as Django starts once in each.

    Raises:
        BackupRefused: they cannot be made.
    """
    file = scratch / "control.yml"
    file.touch(mode=0o600)
    file.write_text(json.dumps({"secret": secrets.token_hex(32), "log": "text", "database": as_configured(settings)}))
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MOORAGE_CONTROL")}
    names = scratch / "migrations.json"
    names.write_text(json.dumps(list(migrations)))
    command = [sys.executable, "-m", "moorage.backup.control_tables", str(file), str(names)]
    done = subprocess.run(  # noqa: S603 - our own command
        command, env=environ, capture_output=True, text=True, check=False, timeout=_MIGRATE_DEADLINE_S
    )
    if done.returncode:
        msg = f"the control plane's tables cannot be made on that server: {done.stderr.strip()[-500:]}"
        raise BackupRefused(msg)


async def _told(server: PostgresSettings, statement: str) -> None:
    async with _connected(server) as connection:
        await connection.execute(statement)


@asynccontextmanager
async def _connected(server: PostgresSettings) -> AsyncIterator["asyncpg.Connection"]:
    import asyncpg  # noqa: PLC0415 - a use of SQLite need not wait for it

    connection = await postgres_connection(server)
    try:
        yield connection
    except asyncpg.InsufficientPrivilegeError as exc:
        msg = (
            f"{server.user} may not make a database on {server.host} for the trial: "
            f'ALTER ROLE "{server.user}" CREATEDB lets it, or name another server'
        )
        raise BackupRefused(msg) from exc
    except asyncpg.PostgresError as exc:
        msg = f"no database for the trial on {server.host}: {' '.join(str(exc).split())}"
        raise BackupRefused(msg) from exc
    finally:
        await connection.close()
