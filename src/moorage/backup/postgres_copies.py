"""Copies of a PostgreSQL database as PostgreSQL's own stream of rows, all tables as they are at one moment.

The tables' shape is not in them: it is that of the migrations, which a restore applies first. See ADR 0093.
"""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moorage.backup.backup_folder import BackupBlob, BackupRefused
from moorage.sql.database_place import PostgresSettings
from moorage.wiring.backup_sources import digest_of, postgres_connection

if TYPE_CHECKING:
    import asyncpg

SEQUENCES = "sequences.json"
_SUFFIX = ".copy"
_FETCHED = 1000
_TABLES = """
    SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
        AND a.attgenerated = '' AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
    GROUP BY n.nspname, c.relname ORDER BY n.nspname, c.relname"""
_SEQUENCES = "SELECT schemaname, sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
_BLOBS = "SELECT digest, size, missing_since IS NOT NULL FROM blobs ORDER BY digest"
_FOREIGN_KEYS = """
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(k.conname), pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname NOT LIKE 'pg\\_%'"""


_MANIFESTS = "SELECT r.path, m.digest, m.payload FROM manifests m JOIN repositories r ON r.id = m.repository_id"
_TAGS = """
    SELECT r.path, t.name, m.digest FROM tags t
    JOIN manifests m ON m.id = t.manifest_id JOIN repositories r ON r.id = t.repository_id
    ORDER BY random() LIMIT $1"""


class PostgresSnapshot:
    """One moment of a database, for as long as its transaction is open."""

    def __init__(self, connection: "asyncpg.Connection") -> None:
        self._connection = connection

    async def copy_tables(self, folder: Path) -> dict[str, int]:
        """Write a file for each table; return how many rows each has.

        Raises:
            OSError: the folder cannot be written.
        """
        folder.mkdir(mode=0o700)  # noqa: ASYNC240 - a moment
        rows: dict[str, int] = {}
        for schema, table, columns in await self._connection.fetch(_TABLES):
            name = f"{schema}.{table}"
            query = f"SELECT {_listed(columns)} FROM {_quoted(schema)}.{_quoted(table)}"  # noqa: S608 - quoted
            with (folder / f"{name}{_SUFFIX}").open("xb") as stream:
                status = await self._connection.copy_from_query(query, output=stream)
            rows[name] = int(status.split()[-1])
        found = await self._connection.fetch(_SEQUENCES)  # After the rows: never one that is behind them.
        values = {f"{schema}.{name}": value for schema, name, value in found}
        (folder / SEQUENCES).write_text(json.dumps(values))
        return rows

    async def blobs(self) -> AsyncIterator[BackupBlob]:
        """Yield the blobs that the registry's database knows."""
        async for key, size_bytes, is_missing in self._connection.cursor(_BLOBS, prefetch=_FETCHED):
            yield BackupBlob(digest_of(bytes(key)), int(size_bytes), bool(is_missing))

    async def manifests(self) -> AsyncIterator[tuple[str, bytes, bytes]]:
        """Yield the path, the key and the payload of each manifest of the registry."""
        async for path, key, payload in self._connection.cursor(_MANIFESTS, prefetch=_FETCHED):
            yield str(path), bytes(key), bytes(payload)

    async def tags(self, count: int) -> list[tuple[str, str, bytes]]:
        """Return so many tags of the registry, drawn by lot: their path, their name, and the key of their manifest."""
        found = await self._connection.fetch(_TAGS, count)
        return [(str(path), str(tag), bytes(key)) for path, tag, key in found]

    async def rows(self) -> dict[str, int]:
        """Count the rows of each table."""
        counts: dict[str, int] = {}
        for schema, table, _ in await self._connection.fetch(_TABLES):
            query = f"SELECT count(*) FROM {_quoted(schema)}.{_quoted(table)}"  # noqa: S608 - quoted
            counts[f"{schema}.{table}"] = int(await self._connection.fetchval(query))
        return counts

    async def column(self, query: str) -> list[str]:
        """Return the first column of a result as texts."""
        return [str(row[0]) for row in await self._connection.fetch(query)]

    async def sum_of(self, query: str) -> str:
        """Return a digest of the first column of a result, however long that is."""
        hasher = hashlib.sha256()
        async for row in self._connection.cursor(query, prefetch=_FETCHED):
            hasher.update(str(row[0]).encode() + b"\n")
        return hasher.hexdigest()


@contextlib.asynccontextmanager
async def postgres_snapshot(settings: PostgresSettings) -> AsyncIterator[PostgresSnapshot]:
    """Open one moment of a database until the block ends. Writers go on; only what removes old rows waits.

    Raises:
        DatabaseUnavailable: it cannot be reached.
        BackupRefused: it cannot be read.
    """
    connection = await postgres_connection(settings)
    try:
        with _said(settings):
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute("SELECT 1")  # The moment is that of the first look.
                yield PostgresSnapshot(connection)
    finally:
        await connection.close()


async def tables_of(settings: PostgresSettings) -> Sequence[str]:
    """Return the names of the tables that are there."""
    connection = await postgres_connection(settings)
    try:
        return [f"{schema}.{table}" for schema, table, _ in await connection.fetch(_TABLES)]
    finally:
        await connection.close()


async def load_tables(settings: PostgresSettings, folder: Path) -> list[str]:
    """Fill tables, which migrations have just made, from the files of a backup: all of them or none.

    Return the tables that are left out: no migration makes them, so they were somebody else's in that database.

    Raises:
        BackupRefused: a table has no file, or the server does not take it.
    """
    connection = await postgres_connection(settings)
    try:
        with _said(settings):
            async with connection.transaction():
                return await _load(connection, folder)
    finally:
        await connection.close()


async def _load(connection: "asyncpg.Connection", folder: Path) -> list[str]:
    tables = {
        f"{schema}.{table}": (schema, table, columns) for schema, table, columns in await connection.fetch(_TABLES)
    }
    files = {path.name.removesuffix(_SUFFIX) for path in folder.glob(f"*{_SUFFIX}")}  # noqa: ASYNC240 - as above
    lacking = set(tables) - files
    if lacking:
        different = ", ".join(sorted(lacking)[:5])
        msg = f"the backup lacks tables that its migrations make: {different}; take the version that made it"
        raise BackupRefused(msg)
    # Rows come table by table, so that a row may come before the one that it names: keys are checked at the end.
    keys = await connection.fetch(_FOREIGN_KEYS)
    names = [f"{_quoted(schema)}.{_quoted(table)}" for schema, table, _ in tables.values()]
    for table, key, _ in keys:
        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key}")
    for name in names:
        await connection.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER")
    await connection.execute(f"TRUNCATE {', '.join(names)}")
    for name, (schema, table, columns) in tables.items():
        with (folder / f"{name}{_SUFFIX}").open("rb") as stream:
            await connection.copy_to_table(table, schema_name=schema, columns=columns, source=stream)
    for name in names:
        await connection.execute(f"ALTER TABLE {name} ENABLE TRIGGER USER")
    for table, key, definition in keys:
        await connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {key} {definition}")
    await _set_sequences(connection, json.loads((folder / SEQUENCES).read_text()))
    return sorted(files - set(tables))


async def _set_sequences(connection: "asyncpg.Connection", values: Mapping[str, int]) -> None:
    for name, value in values.items():
        schema, _, sequence = name.partition(".")
        await connection.execute(  # Sequences of somebody else's tables are not there.
            "SELECT setval(to_regclass($1), $2) WHERE to_regclass($1) IS NOT NULL",
            f"{_quoted(schema)}.{_quoted(sequence)}",
            value,
        )


@contextlib.contextmanager
def _said(settings: PostgresSettings) -> Any:  # noqa: ANN401 - a context manager
    """The vendor's errors, as ours."""
    import asyncpg  # noqa: PLC0415 - a use of SQLite need not wait for it

    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        msg = f"the database {settings.dbname} on {settings.host}: {' '.join(str(exc).split())}"
        raise BackupRefused(msg) from exc


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))
