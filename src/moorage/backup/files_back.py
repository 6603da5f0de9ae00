"""Configuration and keys of a backup on their way back, into an empty folder of their own."""

from pathlib import Path

from moorage.atomic_writes import write_whole
from moorage.backup.backup_folder import BackupRefused, OneBackup, make_folder
from moorage.backup.backup_record import BackupRecord, digest_of_record, is_inside, see_that_files_are_right
from moorage.backup.kept_files import put_back
from moorage.backup.places import CONTROL_FILE, ServerPlaces, read_targets

_MARK = ".restoring"


def put_files_back(one: OneBackup, record: BackupRecord, folder: Path) -> ServerPlaces:
    """Put configuration and keys of a backup into an empty folder, and read them there.

    A folder that was begun with the same backup is gone on with; :func:`end_files` says that it is done.

    Raises:
        BackupRefused: the folder is not empty, the files lay or lie in several places, or are damaged.
        ConfigurationError: the configuration cannot be used.
    """
    now, begun = folder.absolute(), digest_of_record(record)
    mark = now / _MARK
    if not record.is_one_folder or not all(is_inside(Path(each.was), Path(record.folder)) for each in record.kept):
        msg = (
            f"this backup is of files in several places, and not of one folder; write a configuration with new places, "
            f"take keys from {one.files}, and name it by --to"
        )
        raise BackupRefused(msg)
    goes_on = mark.is_file() and mark.read_text() == begun
    if now.exists() and any(now.iterdir()) and not goes_on:
        msg = f"{folder} is not empty; name a folder that is, or that is not there yet"
        raise BackupRefused(msg)
    kept = {each.file: record.files[each.file] for each in record.kept}
    see_that_files_are_right(one, record.model_copy(update={"files": kept}))
    make_folder(now, mode=0o700)
    write_whole(mark, begun.encode())
    put_back(record.kept, one.path, was=Path(record.folder), now=now)
    has_control = any(each.key == CONTROL_FILE for each in record.kept)
    places = read_targets(now / "config.yml", now / CONTROL_FILE if has_control else None)
    elsewhere = places.outside(now)
    if elsewhere is not None:
        msg = (
            f"the configuration of this backup names {elsewhere}, which is not in {folder}; write one with new places, "
            f"take keys from {one.files}, and name it by --to"
        )
        raise BackupRefused(msg)
    return places


def end_files(folder: Path) -> None:
    """Take the mark away by which an unfinished restore into *folder* is known.

    Raises:
        OSError: it cannot be removed.
    """
    (folder.absolute() / _MARK).unlink(missing_ok=True)
