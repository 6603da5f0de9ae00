"""Copies of an SQLite file that others write to meanwhile."""

import asyncio
import contextlib
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from moorage.atomic_writes import sync_folder, write_whole
from moorage.backup.backup_folder import BackupBlob, BackupRefused, make_folder
from moorage.backup.backup_record import record_of
from moorage.wiring.backup_sources import digest_of

_BLOBS = "SELECT digest, size, missing_since IS NOT NULL FROM blobs ORDER BY digest"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
_LOGS = ("-wal", "-journal")
"""Ends of the names of the files that SQLite has beside a database."""
_PROBLEMS = 20
_TIMEOUT_S = 30.0


class SqliteSnapshot:
    """One moment of a database, for as long as its reader is open. Readers and writers of it go on meanwhile."""

    def __init__(self, source: Path, reader: sqlite3.Connection) -> None:
        self._source = source
        self._reader = reader

    async def copy(self, target: Path) -> None:
        """Copy the whole database.

        Raises:
            BackupRefused: it cannot be read.
            OSError: the copy cannot be written.
        """
        await asyncio.to_thread(self._copy, target)

    async def column(self, query: str) -> list[str]:
        """Return the first column of a result as texts.

        Raises:
            BackupRefused: it cannot be read.
        """
        return await asyncio.to_thread(self._column, query)

    async def sum_of(self, query: str) -> str:
        """Return a digest of the first column of a result, however long that is.

        Raises:
            BackupRefused: it cannot be read.
        """
        return await asyncio.to_thread(self._sum_of, query)

    def _copy(self, target: Path) -> None:
        write_whole(target, b"")  # For its owner only.
        try:
            with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writer:
                self._reader.backup(writer)
                writer.execute("PRAGMA journal_mode = delete")  # One file, without a log beside it.
        except sqlite3.Error as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                raise OSError(28, "No space left on device", str(target)) from exc
            raise _unreadable(self._source, exc) from exc

    def _column(self, query: str) -> list[str]:
        return list(self._texts(query))

    def _sum_of(self, query: str) -> str:
        hasher = hashlib.sha256()
        for text in self._texts(query):
            hasher.update(text.encode() + b"\n")
        return hasher.hexdigest()

    def _texts(self, query: str) -> Iterator[str]:
        try:
            for row in self._reader.execute(query):
                yield str(row[0])
        except sqlite3.Error as exc:
            raise _unreadable(self._source, exc) from exc


@contextlib.contextmanager
def sqlite_snapshot(source: Path) -> Iterator[SqliteSnapshot]:
    """Open one moment of a database until the block ends.

    Raises:
        BackupRefused: it is not there, or cannot be read.
    """
    if not source.exists():
        msg = f"there is no {source}"
        raise BackupRefused(msg)
    with contextlib.ExitStack() as stack:
        try:
            reader = stack.enter_context(_opened(source))
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()  # The moment is that of the first look.
        except sqlite3.Error as exc:
            raise _unreadable(source, exc) from exc
        yield SqliteSnapshot(source, reader)


def see_that_no_file_is_left(target: Path) -> None:
    """Refuse a place for a database where there is one, or the log of one.

    Raises:
        BackupRefused: there is.
    """
    # SQLite would take what a log has, which a killed server left, for changes of the database that is brought back.
    for path in (target, *(target.with_name(f"{target.name}{end}") for end in _LOGS)):
        if path.exists() and path.stat().st_size:
            msg = f"{path} is not empty: name a file that is not there yet, or move this one away"
            raise BackupRefused(msg)


def put_sqlite(source: Path, target: Path) -> None:
    """Put a copy where a server is going to look for it: whole or not at all, durable.

    Raises:
        BackupRefused: something else has come there.
        OSError: it cannot be written.
    """
    if target.exists() and record_of(target) == record_of(source):
        return  # By a restore that was ended right afterwards.
    see_that_no_file_is_left(target)
    make_folder(target.parent.absolute())
    fresh = target.with_name(f".{target.name}.restored")
    write_whole(fresh, b"")
    with source.open("rb") as reader, fresh.open("wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())
    try:
        see_that_no_file_is_left(target)  # Again: of a large database it was a while ago.
    except BackupRefused:
        fresh.unlink()
        raise
    fresh.replace(target)
    sync_folder(target.parent)


def sqlite_blobs(path: Path) -> Iterator[BackupBlob]:
    """Yield the blobs that the registry's database knows.

    Raises:
        BackupRefused: it cannot be read.
    """
    with _questions(path) as connection:
        for key, size_bytes, is_missing in connection.execute(_BLOBS):
            yield BackupBlob(digest_of(bytes(key)), int(size_bytes), bool(is_missing))


def sqlite_rows(path: Path) -> dict[str, int]:
    """Count the rows of each table.

    Raises:
        BackupRefused: it cannot be read.
    """
    with _questions(path) as connection:
        names = [str(name) for (name,) in connection.execute(_TABLES).fetchall()]
        counts = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() for name in names}  # noqa: S608 - ours
        return {name: int(row[0]) for name, row in counts.items()}


def sqlite_problems(path: Path) -> Sequence[str]:
    """Have SQLite look at every page of a database; return what it finds."""
    try:
        with _questions(path) as connection:
            found = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_PROBLEMS})")]
            loose = connection.execute("PRAGMA foreign_key_check").fetchmany(_PROBLEMS)
    except BackupRefused as exc:
        return [str(exc)]
    return [
        *(f"{path.name}: {line}" for line in found if line != "ok"),
        *(f"{path.name}: a row of {row[0]} names one of {row[2]} that is not there" for row in loose),
    ]


@contextlib.contextmanager
def _questions(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a copy, which is not changed by it."""
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            yield connection
    except sqlite3.Error as exc:
        msg = f"{path} cannot be read as a database: {exc}"
        raise BackupRefused(msg) from exc


def _opened(path: Path) -> contextlib.closing[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode=rw"  # Readers of a write-ahead log write to the file beside it.
    return contextlib.closing(
        sqlite3.connect(uri, uri=True, timeout=_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    )


def _unreadable(source: Path, exc: sqlite3.Error) -> BackupRefused:
    return BackupRefused(f"{source} cannot be copied: {exc}")
