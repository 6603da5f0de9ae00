"""The folder that backups are kept in: each blob once for all of them, and a folder for each backup.

::

    DIR/
    ├── lock                        held by the process that makes a backup there
    ├── blobs/<algorithm>/ab/<hex>  every blob that some backup has; <hex>.damaged: what a trial found to be another
    ├── partial/                    blobs on their way, emptied at each start
    ├── unfinished/                 the backup that is being made, begun anew at each start
    └── 20261129T170000Z/           a backup: it has this name once it is whole
        ├── backup.json             what it consists of, each file with its digest
        ├── blobs.jsonl             digest and size of every blob, one a line
        ├── registry.db             the registry's SQLite, or registry/ with a file for each table of PostgreSQL,
        ├── links.jsonl             or its link files
        ├── control.db, control/    the control plane's
        └── files/                  configuration and keys

All of it is for its owner only: there are secrets in it.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader, FileIO, TextIOWrapper
from pathlib import Path

from moorage.atomic_writes import sync_folder
from moorage.errors import MoorageError
from moorage.oci.digests import Digest
from moorage.wiring.backup_sources import open_at_once

_NAME = re.compile(r"(\d{8}T\d{6}Z)(?:-(\d+))?")
_NO_NAME = ("", 0)
_PRIVATE = 0o700


class BackupRefused(MoorageError):
    """A backup that cannot be made, brought back or tried out; the text says what would help."""


@dataclass(frozen=True, slots=True)
class BackupBlob:
    """A blob of a backup."""

    digest: Digest
    size_bytes: int
    is_missing: bool = False
    """True if the registry knew already that it has lost it."""

    def to_line(self) -> str:
        """Return its line in ``blobs.jsonl``."""
        return json.dumps([str(self.digest), self.size_bytes, self.is_missing]) + "\n"

    @classmethod
    def of_line(cls, line: str) -> "BackupBlob":
        """Read such a line.

        Raises:
            BackupRefused: it is none.
        """
        try:
            text, size_bytes, is_missing = json.loads(line)
            return cls(Digest.parse(text), int(size_bytes), bool(is_missing))
        except (ValueError, TypeError, AttributeError, MoorageError) as exc:
            msg = f"not a line of blobs.jsonl: {line[:100]!r}"
            raise BackupRefused(msg) from exc


@dataclass(frozen=True, slots=True)
class OneBackup:
    """The folder of one backup."""

    path: Path

    @property
    def record(self) -> Path:
        """Record of what it consists of; it is written last."""
        return self.path / "backup.json"

    @property
    def blob_list(self) -> Path:
        """A line for each blob."""
        return self.path / "blobs.jsonl"

    @property
    def registry_sqlite(self) -> Path:
        """The registry's database, if that is SQLite."""
        return self.path / "registry.db"

    @property
    def registry_tables(self) -> Path:
        """The registry's tables, if they are in PostgreSQL."""
        return self.path / "registry"

    @property
    def links(self) -> Path:
        """The registry's link files, if it has no database."""
        return self.path / "links.jsonl"

    @property
    def control_sqlite(self) -> Path:
        """The control plane's database, if that is SQLite."""
        return self.path / "control.db"

    @property
    def control_tables(self) -> Path:
        """The control plane's tables, if they are in PostgreSQL."""
        return self.path / "control"

    @property
    def files(self) -> Path:
        """Configuration and keys."""
        return self.path / "files"

    def blobs(self) -> Iterator[BackupBlob]:
        """Read the list, one after another.

        Raises:
            BackupRefused: a line is not one of a list.
            OSError: it cannot be read.
        """
        with TextIOWrapper(BufferedReader(open_file(self.blob_list)), encoding="utf-8", errors="replace") as lines:
            for line in lines:
                yield BackupBlob.of_line(line)


@dataclass(frozen=True, slots=True)
class BackupFolder:
    """The folder of all backups."""

    path: Path

    @property
    def partial(self) -> Path:
        """Blobs on their way."""
        return self.path / "partial"

    @property
    def unfinished(self) -> OneBackup:
        """The backup that is being made."""
        return OneBackup(self.path / "unfinished")

    def blob(self, digest: Digest) -> Path:
        """Return the file of a blob."""
        return self.path / "blobs" / digest.algorithm / digest.encoded[:2] / digest.encoded

    def set_aside(self, digest: Digest) -> None:
        """Give a damaged blob another name, so that the next backup copies it again; its bytes stay.

        Raises:
            OSError: it cannot be renamed.
        """
        path = self.blob(digest)
        path.rename(path.with_name(f"{path.name}.damaged"))

    def names(self) -> list[str]:
        """Return the names of the backups that are whole, oldest first."""
        try:
            found = [entry.name for entry in os.scandir(self.path) if _order(entry.name) > _NO_NAME]
        except FileNotFoundError:
            return []
        return sorted((name for name in found if OneBackup(self.path / name).record.exists()), key=_order)

    def chosen(self, name: str = "") -> OneBackup:
        """Return a backup by its name, or the newest.

        Raises:
            BackupRefused: there is none.
        """
        names = self.names()
        if name in names or (names and not name):
            return OneBackup(self.path / (name or names[-1]))
        there = f"there are {', '.join(names[-5:])}" if names else "there is none; moorage backup makes one"
        msg = f"{self.path} has no whole backup{f' {name}' if name else ''}: {there}"
        raise BackupRefused(msg)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from making a backup there until the block ends, or the process.

        Raises:
            BackupRefused: somebody does, or it is not a folder for backups.
            OSError: it cannot be used.
        """
        make_folder(self.path, mode=_PRIVATE)
        lock = self.path / "lock"
        if not lock.exists():
            self._see_that_nothing_is_in_the_way()
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                msg = f"a backup is being made in {self.path}; wait for its end, or take another folder"
                raise BackupRefused(msg) from None
            yield
        finally:
            os.close(descriptor)

    def _see_that_nothing_is_in_the_way(self) -> None:
        """Refuse a folder in which no backup was made yet if it has what would be emptied."""
        for path in (self.partial, self.unfinished.path):
            if os.path.lexists(path):
                msg = f"{self.path} has {path.name}, which no backup has made; name a folder of its own for backups"
                raise BackupRefused(msg)

    def begin(self) -> OneBackup:
        """Make an empty folder for a new backup; whole blobs of one that was ended stay."""
        for left in (self.partial, self.unfinished.path):
            shutil.rmtree(left, ignore_errors=True)
            left.mkdir(mode=_PRIVATE)
        self.unfinished.files.mkdir(mode=_PRIVATE)
        (self.path / "blobs").mkdir(mode=_PRIVATE, exist_ok=True)
        return self.unfinished

    def new_name(self, now: datetime | None = None) -> str:
        """Return a name that comes after those of all backups, also if the clock was set back since."""
        wanted = _order((now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ"))
        last, count = max((_order(entry.name) for entry in self.path.iterdir()), default=_NO_NAME)
        time, count = max(wanted, (last, count + 1))
        return time if count == 1 else f"{time}-{count}"

    def finish(self, name: str) -> OneBackup:
        """Give the backup its name, in one step."""
        target = OneBackup(self.path / name)
        blobs = self.path / "blobs"
        of_blobs = [blobs, *blobs.glob("*"), *blobs.glob("*/*")]
        of_backup = [Path(name) for name, _, _ in os.walk(self.unfinished.path)]
        for folder in (self.path, *of_blobs, *of_backup):
            sync_folder(folder)
        self.unfinished.path.rename(target.path)
        sync_folder(self.path)
        shutil.rmtree(self.partial, ignore_errors=True)
        return target


def _order(name: str) -> tuple[str, int]:
    """Return the time and the number in the name of a backup, which give their order; of other names: before all."""
    found = _NAME.fullmatch(name)
    return _NO_NAME if found is None else (found[1], int(found[2] or 1))


def open_file(path: Path) -> FileIO:
    """Open a file of a backup; a pipe or a device in its place is not waited for.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    reader = open_at_once(path)
    if stat.S_ISREG(os.fstat(reader.fileno()).st_mode):
        return reader
    reader.close()
    raise OSError(errno.EINVAL, "it is not a file", str(path))


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """Make a folder and those above it, unless they are there; their names are durable on return.

    Raises:
        OSError: one cannot be made.
    """
    made = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True, mode=mode)
    for each in made:
        sync_folder(each.parent)
