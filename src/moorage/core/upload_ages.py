"""Ages of the upload sessions in storage."""

from collections.abc import Sequence
from datetime import UTC, datetime

from moorage.core.session_limits import began_by
from moorage.errors import PathUnknown, StorageUnavailable
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver


async def begun_before(
    storage: StorageDriver, name: RepositoryName, sessions: Sequence[str], limit: datetime, *, now: datetime
) -> list[str]:
    """Return those of some sessions that began before *limit*: as they say, else by their ids or their last change."""
    starts = [paths.upload_started_at(name, session) for session in sessions]
    try:
        started_at = await storage.get_each(starts, lambda _, content: _moment(content))
    except StorageUnavailable:  # Of one, perhaps: another registry may have run as another user.
        started_at = [await _started_at(storage, start) for start in starts]
    return [
        session
        for session, at in zip(sessions, started_at, strict=True)
        if (at or await _seen_at(storage, name, session, now) or limit) < limit
    ]


async def _started_at(storage: StorageDriver, path: str) -> datetime | None:
    try:
        return _moment(await storage.get(path))
    except (PathUnknown, StorageUnavailable):
        return None


async def _seen_at(storage: StorageDriver, name: RepositoryName, session: str, now: datetime) -> datetime | None:
    """The earliest moment at which a session is known to have been there; None if it is not any more."""
    try:
        changed_at = (await storage.stat(paths.upload(name, session))).modified_at
    except PathUnknown:
        return None
    began = began_by(session, now)
    return changed_at if began is None else min(began, changed_at)


def _moment(content: bytes) -> datetime | None:
    """The time that a session says it was started at; None if it says none."""
    try:
        return datetime.fromisoformat(content.decode("ascii").strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
