"""Ages of the upload sessions in storage, as they say them themselves."""

from collections.abc import Sequence
from datetime import UTC, datetime

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver


async def begun_before(
    storage: StorageDriver, name: RepositoryName, sessions: Sequence[str], limit: datetime
) -> list[str]:
    """Return those of some sessions that began before *limit*; without a readable start, their last change counts."""
    starts = [paths.upload_started_at(name, session) for session in sessions]
    try:
        started_at = await storage.get_each(starts, lambda _, content: _moment(content))
    except StorageUnavailable:  # Of one, perhaps: another registry may have run as another user.
        started_at = [await _started_at(storage, start) for start in starts]
    return [
        session
        for session, at in zip(sessions, started_at, strict=True)
        if (at or await _changed_at(storage, name, session) or limit) < limit
    ]


async def _started_at(storage: StorageDriver, path: str) -> datetime | None:
    try:
        return _moment(await storage.get(path))
    except (PathUnknown, StorageUnavailable):
        return None


async def _changed_at(storage: StorageDriver, name: RepositoryName, session: str) -> datetime | None:
    try:
        return (await storage.stat(paths.upload(name, session))).modified_at
    except PathUnknown:
        return None


def _moment(content: bytes) -> datetime | None:
    """The time that a session says it was started at; None if it says none."""
    try:
        return datetime.fromisoformat(content.decode("ascii").strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
