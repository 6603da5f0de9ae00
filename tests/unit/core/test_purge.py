"""Sessions that nobody finished are purged by their age."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog

from moorage.core.maintenance import purge_uploads
from moorage.core.uploads import Uploads
from moorage.errors import UploadUnknown
from moorage.metadata.layout import LayoutLinks
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from moorage.storage.upload_sinks import sink_of
from unit.core.breaking import DenyingDriver
from unit.core.sending import NAME, sending

WEEK = timedelta(days=7)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.time = datetime(2024, 2, 28, 23, 59, 59, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def storage(clock: Clock) -> MemoryDriver:
    return MemoryDriver(now=clock)


@pytest.fixture
def uploads(clock: Clock, storage: MemoryDriver) -> Uploads:
    return Uploads(storage, LayoutLinks(storage), sink=sink_of(storage), now=clock)


async def began_by_another(storage: MemoryDriver, started_at: bytes | None) -> str:
    """An upload as Distribution begins it; the id says nothing."""
    session = str(uuid.uuid4())
    await storage.put(f"{paths.upload(NAME, session)}/data", b"")
    if started_at is not None:
        await storage.put(paths.upload_started_at(NAME, session), started_at)
    return session


async def test_only_sessions_older_than_the_age_are_removed(clock: Clock, uploads: Uploads) -> None:
    old = await uploads.start(NAME)
    clock.time += timedelta(days=1)
    young = await uploads.start(NAME)
    clock.time += timedelta(days=6)
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=False) == [], "a week is not more than a week"
    clock.time += timedelta(seconds=1)
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=False) == [old.id]
    with pytest.raises(UploadUnknown):
        await uploads.status(NAME, old.id)
    assert (await uploads.status(NAME, young.id)).offset_bytes == 0


async def test_a_dry_run_says_the_same_and_removes_nothing(clock: Clock, uploads: Uploads) -> None:
    old = await uploads.start(NAME)
    clock.time += WEEK * 2
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=True) == [old.id]
    assert (await uploads.status(NAME, old.id)).id == old.id


async def test_age_counts_from_the_start_however_busy_the_session_is(clock: Clock, uploads: Uploads) -> None:
    session = await uploads.start(NAME)
    clock.time += WEEK * 2
    await uploads.append(NAME, session.id, sending(b"still alive"), start=0)
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=True) == [session.id]


@pytest.mark.parametrize("content", [b"", b"yesterday", b"\xff\xfe", b"2024-13-41T00:00:00Z", None])
async def test_a_session_without_a_readable_start_counts_from_its_last_change(
    content: bytes | None, clock: Clock, storage: MemoryDriver, uploads: Uploads
) -> None:
    session = await began_by_another(storage, content)
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=True) == []
    clock.time += WEEK * 2
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=False) == [session]


@pytest.mark.parametrize(
    "text", ["2024-02-20T00:00:00Z", "2024-02-20T05:30:00+05:30", "2024-02-20T00:00:00.123456789Z"]
)
async def test_starts_that_another_registry_wrote_are_understood(
    text: str, storage: MemoryDriver, uploads: Uploads
) -> None:
    session = await began_by_another(storage, text.encode())
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=True) == [session]
    assert await uploads.purge(NAME, older_than=timedelta(days=9), dry_run=True) == []


async def test_every_repository_is_looked_at(clock: Clock, storage: MemoryDriver, uploads: Uploads) -> None:
    names = [RepositoryName(text) for text in ("a", "a/b", "a-b", "c/d/e")]
    for name in names:
        await uploads.start(name)
    await uploads.push(NAME, Digest.of(b"x"), sending(b"x"))
    clock.time += WEEK * 2
    assert await purge_uploads(storage, uploads, age=WEEK, dry_run=True) == len(names)
    assert await purge_uploads(storage, uploads, age=WEEK, dry_run=False) == len(names)
    assert await purge_uploads(storage, uploads, age=WEEK, dry_run=False) == 0


@pytest.mark.parametrize("call", ["delete", "list", "get"])
async def test_one_session_that_another_user_has_left_keeps_no_other_from_being_purged(
    call: str, clock: Clock, storage: MemoryDriver
) -> None:
    """As after a registry that ran as root: the purge ended at its first session, each time, for good."""
    denying = DenyingDriver(storage)
    uploads = Uploads(denying, LayoutLinks(storage), sink=sink_of(denying), now=clock)
    names = [RepositoryName(text) for text in ("a", "b", "c")]
    sessions = [(await uploads.start(name)).id for name in names]
    clock.time += WEEK * 2
    denying.denied = {
        "delete": f"delete {paths.upload(names[0], sessions[0])}",
        "list": f"list {paths.uploads(names[0])}",
        "get": f"get {paths.upload_started_at(names[0], sessions[0])}",
    }[call]
    with structlog.testing.capture_logs() as logged:
        purged = await purge_uploads(denying, uploads, age=WEEK, dry_run=False)
    told = [line["repository"] for line in logged if line["log_level"] == "error"]
    # One that does not say when it began counts from its last change.
    assert (purged, told) == ((3, []) if call == "get" else (2, ["a"]))
    denying.denied = ""
    assert await purge_uploads(denying, uploads, age=WEEK, dry_run=False) == 3 - purged


async def test_a_repository_without_uploads_has_nothing_to_purge(uploads: Uploads) -> None:
    assert await uploads.purge(RepositoryName("never/seen"), older_than=WEEK, dry_run=False) == []


@pytest.mark.parametrize("name", ["x", "not one of ours, 8 all the same", "0123456789abcd8xyz"])
async def test_what_somebody_has_put_there_counts_from_its_last_change(
    name: str, clock: Clock, storage: MemoryDriver, uploads: Uploads
) -> None:
    await storage.put(f"{paths.uploads(NAME)}/{name}", b"")
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=True) == []
    clock.time += WEEK * 2
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=True) == [name]


async def test_what_has_not_changed_since_the_minutes_of_ids_began_anew_is_old(clock: Clock, uploads: Uploads) -> None:
    session = await uploads.start(NAME)
    clock.time += timedelta(minutes=1 << 20)
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=True) == [session.id]


@pytest.mark.parametrize("kind", ["inmemory", "filesystem"])
async def test_an_upload_that_was_left_is_purged_from_any_storage(kind: str, tmp_path: Path) -> None:
    storage = MemoryDriver() if kind == "inmemory" else FilesystemDriver(tmp_path)
    clock = Clock()
    clock.time = datetime.now(UTC)
    uploads = Uploads(storage, LayoutLinks(storage), sink=sink_of(storage), now=clock)
    session = await uploads.start(NAME)
    await uploads.append(NAME, session.id, sending(b"so far"), start=0)
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=False) == []
    clock.time += WEEK * 2
    assert await uploads.purge(NAME, older_than=WEEK, dry_run=False) == [session.id]
    assert await storage.list(paths.uploads(NAME)) == []
    await storage.close()
