"""Jobs that a registry does by itself from time to time."""

from datetime import timedelta

from moorage.core.uploads import Uploads
from moorage.errors import BackendError
from moorage.oci.names import RepositoryName
from moorage.storage.base import StorageDriver
from moorage.storage.walk import repository_folders
from moorage.telemetry import get_log

_log = get_log("uploadpurging")

_BATCH = 1000
"""Sessions that are looked at together; a dry run tells of so many of the listed ones."""


async def purge_uploads(storage: StorageDriver, uploads: Uploads, *, age: timedelta, dry_run: bool) -> int:
    """Remove every upload session that was started longer ago than *age*, wherever it lies in storage.

    Return how many there were. What cannot be read or removed is logged, and the others are removed all the same.
    Source: GitLab features CFS-001, CFS-002.
    """
    count = 0
    async for name in repository_folders(storage):
        try:
            purged = await uploads.purge(name, older_than=age, dry_run=dry_run)
        except BackendError as exc:
            _log.error("uploads could not be looked at", repository=name.text, error=str(exc))
            continue
        for session in purged:
            count += 1
            _tell(name, session, dry_run=dry_run)
    return count


async def purge_listed_uploads(uploads: Uploads, *, age: timedelta, dry_run: bool) -> int:
    """As :func:`purge_uploads` where sessions are listed: only the old ones are looked at, however many there are.

    A session that a crash kept from the list is left to :func:`purge_uploads`.
    """
    count, stuck = 0, set[str]()
    while listed := await uploads.purge_listed(older_than=age, dry_run=dry_run, limit=_BATCH, stuck=stuck):
        count += len(listed)
        for upload in listed:
            _tell(upload.name, upload.id, dry_run=dry_run)
        if dry_run:  # The same ones would come again.
            break
    return count


def _tell(name: RepositoryName, session: str, *, dry_run: bool) -> None:
    _log.info("upload would be purged" if dry_run else "upload purged", repository=name.text, session=session)
