"""What a registry does by itself from time to time."""

from datetime import timedelta

from moorage.core.uploads import Uploads
from moorage.storage.base import StorageDriver
from moorage.storage.walk import repository_folders
from moorage.telemetry import get_log

_log = get_log("uploadpurging")


async def purge_uploads(storage: StorageDriver, uploads: Uploads, *, age: timedelta, dry_run: bool) -> int:
    """Remove every upload session that was started longer ago than *age*; return how many there were.

    Source: GitLab features CFS-001, CFS-002.
    """
    count = 0
    async for name in repository_folders(storage):
        for session in await uploads.purge(name, older_than=age, dry_run=dry_run):
            count += 1
            _log.info(
                "upload would be purged" if dry_run else "upload purged",
                repository=name.text,
                session=session,
            )
    return count
