"""The record of a backup: what it consists of, with a digest of itself, so that no byte changes unseen."""

import hashlib
import json
import os
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from moorage.atomic_writes import write_whole
from moorage.backup.backup_folder import BackupRefused, OneBackup, open_file

RECORD_FORMAT: Literal[1] = 1
_CHUNK_BYTES = 1 << 20
_SHOWN = 5

StoreKind = Literal["sqlite", "postgresql", "layout"]


class RecordPart(BaseModel):
    """A part of a record; what it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRecord(RecordPart):
    """A file of the backup."""

    size_bytes: int
    sha256: str


class KeptFile(RecordPart):
    """A file of configuration or keys: the key that names it, where it was, and where it is in the backup."""

    key: str
    was: str
    file: str


class HalfRecord(RecordPart):
    """One of the two servers: the kind of its database, the rows of each table, and the migrations it has had."""

    kind: StoreKind
    rows: dict[str, int] = {}
    migrations: list[str] = []


class BlobsRecord(RecordPart):
    """The blobs."""

    are_copied: bool
    """False: only listed, as they are in a store that has copies of its own."""
    count: int
    size_bytes: int
    copied: int = 0
    copied_bytes: int = 0
    """Bytes that this backup had to copy; the rest was there already."""


class BackupRecord(RecordPart):
    """The whole of ``backup.json``."""

    format: Literal[1] = RECORD_FORMAT
    moorage: str
    started_at: str
    seconds: float
    driver: str
    identity: str = ""
    """The name of the registry's database; empty: it has none, or the backup was made by an older Moorage."""
    registry: HalfRecord
    control: HalfRecord | None
    folder: str
    """The folder of the registry's configuration."""
    is_one_folder: bool
    """True if all that was named by the configuration lay in that folder, as ``moorage up`` has it."""
    kept: list[KeptFile]
    variables: list[str]
    """Names of variables that overrode the configuration; their values are not kept."""
    blobs: BlobsRecord
    problems: list[str]
    """Blobs and files that could not be copied, the first thousand, each with its reason."""
    problem_count: int
    files: dict[str, FileRecord]
    """Every other file of the backup, by its path below it."""


def write_record(path: Path, record: BackupRecord) -> None:
    """Write the record whole."""
    content = _content_of(record)
    document = {"sha256": _digest_of(content), "backup": content}
    write_whole(path, json.dumps(document, indent=1).encode())


def read_record(path: Path) -> BackupRecord:
    """Read a record.

    Raises:
        BackupRefused: it is none, was changed, is of a newer Moorage, or names files outside.
    """
    try:
        with open_file(path) as stream:
            document = json.loads(stream.readall())
        content = document["backup"]
        is_right = document["sha256"] == _digest_of(content)
    except OSError as exc:
        msg = f"{path} cannot be read: {exc.strerror}"
        raise BackupRefused(msg) from exc
    except (ValueError, KeyError, TypeError) as exc:
        msg = f"{path} is damaged: it is not what a backup writes there"
        raise BackupRefused(msg) from exc
    if not is_right:
        msg = f"{path} is damaged: its digest is not the one that it was written with"
        raise BackupRefused(msg)
    try:
        record = BackupRecord.model_validate(content)
    except ValidationError as exc:
        msg = f"{path} is of another version, Moorage {content.get('moorage')}; take that one"
        raise BackupRefused(msg) from exc
    _see_that_names_stay_inside(path, record)
    return record


def is_inside(path: PurePath, folder: PurePath) -> bool:
    """Return whether a path, as it is written, is one below *folder*."""
    return folder in path.parents and ".." not in path.relative_to(folder).parts


def _see_that_names_stay_inside(path: Path, record: BackupRecord) -> None:
    """Refuse a record by which a restore would read or write elsewhere: anybody can give a record its digest."""
    here = PurePosixPath("backup")
    for name in (*record.files, *(each.file for each in record.kept)):
        if not is_inside(here / name, here) or name not in record.files:
            msg = f"{path} was not written by a backup: {name[:200]!r} leads out of its folder"
            raise BackupRefused(msg)


def record_files(folder: Path) -> dict[str, FileRecord]:
    """Return every file below *folder*, made durable, by its path."""
    found: dict[str, FileRecord] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = record_of(path, is_synced=True)
    return found


def record_of(path: Path, *, is_synced: bool = False) -> FileRecord:
    """Return the size and the digest of a file.

    Raises:
        OSError: it cannot be read.
    """
    hasher, size_bytes = hashlib.sha256(), 0
    with open_file(path) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hasher.update(chunk)
            size_bytes += len(chunk)
        if is_synced:
            os.fsync(stream.fileno())
    return FileRecord(size_bytes=size_bytes, sha256=hasher.hexdigest())


def file_problems(one: OneBackup, record: BackupRecord) -> list[str]:
    """Compare every file of a backup with its digest; return what is wrong."""
    found = []
    for name, expected in record.files.items():
        try:
            is_same = record_of(one.path / name) == expected
        except OSError as exc:
            found.append(f"{name} cannot be read in the backup: {exc.strerror}")
            continue
        if not is_same:
            found.append(f"{name} is damaged in the backup: its bytes are not those that were written")
    return found


def see_that_files_are_right(one: OneBackup, record: BackupRecord) -> None:
    """Refuse a backup of which a file has changed.

    Raises:
        BackupRefused: it has; which ones.
    """
    problems = file_problems(one, record)
    if problems:
        msg = f"this backup is damaged; take another one: {'; '.join(problems[:_SHOWN])}"
        raise BackupRefused(msg)


def digest_of_record(record: BackupRecord) -> str:
    """Return the digest by which one backup is told from another: that of what its record says."""
    return _digest_of(_content_of(record))


def _content_of(record: BackupRecord) -> dict[str, Any]:
    """Return what is written: without a name that there is not, as older versions write and read it."""
    return record.model_dump(mode="json", exclude=None if record.identity else {"identity"})


def _digest_of(content: Any) -> str:  # noqa: ANN401 - JSON
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
