"""Backups of one registry told from those of another, which somebody has made in the same folder.

A database has a name, which every copy of it keeps. Link files have none, nor have the records of older backups: there,
a registry that has not one of the blobs that the last backup has is taken for another one.
"""

from collections.abc import Iterator
from itertools import islice

from moorage.backup.backup_folder import BackupFolder, BackupRefused, OneBackup
from moorage.backup.backup_record import BackupRecord, read_record
from moorage.sql.database_place import DatabasePlace
from moorage.wiring.databases import name_of, opened_database

_SAMPLE = 1000
"""Blobs of the last backup that are looked for."""
_WAY_OUT = (
    "is the volume mounted, and is it the right configuration? Another registry needs a folder of its own; if it is "
    "right, as after a move into a new database, give --another-registry once"
)


async def identity_of(place: DatabasePlace | None) -> str:
    """Return the name of a registry's database; empty: it has none.

    Raises:
        DatabaseUnavailable: it cannot be asked.
    """
    if place is None:
        return ""
    async with opened_database(place, directly=True) as database:
        return await name_of(database)


def see_that_it_is_the_same(folder: BackupFolder, made: OneBackup, identity: str) -> None:
    """Refuse a backup, whose list of blobs is there, of another registry than that of the folder's last one.

    A folder that has backups of several registries takes more of each that has a name.

    Raises:
        BackupRefused: it is another one.
    """
    records = _newest_first(folder)
    last, record = next(records, (None, None))
    if last is None or record is None or not record.blobs.count:
        return
    if not identity or not record.identity:
        if not _has_any(made, last):
            msg = f"none of the blobs of {last.path} is in this registry: {_WAY_OUT}"
            raise BackupRefused(msg)
    elif identity != record.identity and all(each.identity != identity for _, each in records):
        msg = f"{last.path} is a backup of another registry: {_WAY_OUT}"
        raise BackupRefused(msg)


def newest_of_each(folder: BackupFolder) -> dict[str, tuple[OneBackup, BackupRecord]]:
    """Return the newest backup of each registry that has a name, by that name."""
    found: dict[str, tuple[OneBackup, BackupRecord]] = {}
    for one, record in _newest_first(folder):
        if record.identity:
            found.setdefault(record.identity, (one, record))
    return found


def see_that_it_is_clear_which(folder: BackupFolder) -> None:
    """Refuse a folder of which the newest backup may be that of another registry than the one that is wanted.

    Raises:
        BackupRefused: it has backups of several, or the newest has nothing, and an older one has.
    """
    found = list(newest_of_each(folder).values())
    if len(found) <= 1:
        found = _newest_and_one_with_blobs(folder)
    if len(found) > 1:
        each = [
            f"{one.path.name} (configuration in {record.folder}, blobs: {record.blobs.count})" for one, record in found
        ]
        msg = f"{folder.path} may have backups of several registries; name one by --backup. The newest of each: "
        raise BackupRefused(msg + ", ".join(each))


def _newest_and_one_with_blobs(folder: BackupFolder) -> list[tuple[OneBackup, BackupRecord]]:
    """Return the newest backup, and, if that has no blobs, the newest that has some."""
    records = _newest_first(folder)
    found = list(islice(records, 1))
    if found and not found[0][1].blobs.count:
        found += islice((each for each in records if each[1].blobs.count), 1)
    return found


def _newest_first(folder: BackupFolder) -> Iterator[tuple[OneBackup, BackupRecord]]:
    """Yield the backups whose record can be read."""
    for name in reversed(folder.names()):
        one = OneBackup(folder.path / name)
        try:
            yield one, read_record(one.record)
        except BackupRefused:
            continue


def _has_any(made: OneBackup, last: OneBackup) -> bool:
    """Return whether a backup has one of some blobs of an earlier one; True if that one has no list any more."""
    try:
        some = {blob.digest for blob in islice(last.blobs(), _SAMPLE)}
    except (BackupRefused, OSError):
        return True
    return not some or any(blob.digest in some for blob in made.blobs())
